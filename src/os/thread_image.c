// SPDX-License-Identifier: MIT
#include "os/thread_image.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

// The variables of one module.
struct block {
    struct block *next;
    char name[64];
    const char *at;
    size_t size;
    char copy[];
};

struct wi_os_thread_image {
    const char *own;
    size_t own_size;
    struct block *blocks;
    bool whole; // there was memory for all
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

// Those whose variables are part of what each thread is, and those of
// sanitizers.
static bool is_of_the_system(const char *name)
{
    static const char *const beginnings[] = {"ld-",     "ld.",      "libc.",
                                             "libasan", "libtsan",  "libubsan",
                                             "liblsan", "libclang", "linux-"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static size_t size_of_variables(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS)
            return info->dlpi_phdr[i].p_memsz;
    return 0;
}

static int copy_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct wi_os_thread_image *image = arg;
    const char *name = last_part(info->dlpi_name);
    const char *at = info->dlpi_tls_data;
    size_t length = size_of_variables(info);
    (void)size;
    bool has_own = at != NULL && image->own >= at && image->own < at + length;
    if (at == NULL || length == 0 || is_of_the_system(name) ||
        (has_own && name[0] != '\0'))
        return 0;
    struct block *block = malloc(sizeof *block + length);
    if (block == NULL) {
        image->whole = false;
        return 1;
    }
    wi_text_copy(block->name, sizeof block->name,
                 name[0] != '\0' ? name : "the program");
    block->at = at;
    block->size = length;
    memcpy(block->copy, at, length);
    block->next = image->blocks;
    image->blocks = block;
    return 0;
}

static void free_blocks(struct wi_os_thread_image *image)
{
    while (image->blocks != NULL) {
        struct block *block = image->blocks;
        image->blocks = block->next;
        free(block);
    }
}

struct wi_os_thread_image *
wi_os_thread_image_take(struct wi_os_thread_image *image, const void *own,
                        size_t size)
{
    if (image == NULL)
        image = calloc(1, sizeof *image);
    if (image == NULL)
        return NULL;
    free_blocks(image);
    image->own = own;
    image->own_size = size;
    image->whole = true;
    dl_iterate_phdr(copy_module, image);
    if (image->whole)
        return image;
    wi_os_thread_image_free(image);
    return NULL;
}

bool wi_os_thread_image_changed(const struct wi_os_thread_image *image,
                                struct wi_os_thread_change *change)
{
    const char *own_end = image->own + image->own_size;
    for (struct block *b = image->blocks; b != NULL; b = b->next) {
        for (size_t i = 0; i < b->size; i++) {
            const char *at = b->at + i;
            if (b->copy[i] == *at || (at >= image->own && at < own_end))
                continue;
            wi_text_copy(change->module, sizeof change->module, b->name);
            change->offset = i;
            return true;
        }
    }
    return false;
}

void wi_os_thread_image_free(struct wi_os_thread_image *image)
{
    if (image == NULL)
        return;
    free_blocks(image);
    free(image);
}
