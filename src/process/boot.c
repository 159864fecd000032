// SPDX-License-Identifier: MIT
#include "process/boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "os/event.h"
#include "os/memfd.h"
#include "os/process.h"

int wi_boot_at = WI_LAUNCH_FD;

static void fill(struct wi_boot *boot, size_t map_size, size_t arg_size,
                 const char *name)
{
    boot->magic = WI_BOOT_MAGIC;
    boot->version = WI_BOOT_VERSION;
    boot->map_size = map_size;
    boot->parent = wi_os_pid();
    boot->depth = wi_entry_depth() + 1;
    boot->arg_at = map_size;
    boot->arg_size = arg_size;
    if (name != NULL)
        snprintf(boot->name, sizeof boot->name, "%s", name);
}

int wi_boot_new(size_t map_size, const void *arg, size_t arg_size,
                const char *name, struct wi_boot **boot)
{
    if (wi_entry_depth() >= WI_PROCESS_DEPTH)
        return -EAGAIN;
    int fd = wi_os_memfd_new("weft", map_size);
    if (fd < 0)
        return fd;
    void *map;
    int rc = wi_os_memfd_map(fd, map_size, &map);
    if (rc == 0 && arg_size > 0) {
        rc = wi_os_memfd_write(fd, map_size, arg, arg_size);
        if (rc < 0)
            wi_os_memfd_unmap(map, map_size);
    }
    if (rc < 0) {
        wi_os_close(fd);
        return rc;
    }
    fill(map, map_size, arg_size, name);
    *boot = map;
    return fd;
}

void wi_boot_free(struct wi_boot *boot, size_t map_size, int fd)
{
    if (boot != NULL)
        wi_os_memfd_unmap(boot, map_size);
    wi_os_close(fd);
}

_Noreturn void wi_boot_cannot(struct wi_boot *boot, int code, const char *what)
{
    struct wi_words *words = wi_boot_words(boot);
    words->code = code;
    snprintf(words->text, sizeof words->text, "%s: %s (%s)", what,
             weft_strerror(code), weft_error_name(code));
    wi_boot_reach(boot, WI_STAGE_DONE);
    if (boot->kind == WI_BOOT_WORKER)
        wi_os_event_set(WI_BELL_FD);
    wi_os_leave(127);
}

bool wi_boot_arg(const struct wi_boot *boot, void **arg)
{
    *arg = NULL;
    if (boot->arg_size == 0)
        return true;
    *arg = malloc(boot->arg_size);
    return *arg != NULL && wi_os_memfd_read(WI_BOOT_FD, boot->arg_at, *arg,
                                            boot->arg_size) == 0;
}

// Texts -----------------------------------------------------------------------

static char *put(char *at, const char *text)
{
    size_t size = strlen(text) + 1;
    memcpy(at, text, size);
    return at + size;
}

// One after another: the directory, then the entries of the environment.
static char *join_texts(const char *cwd, const char *const *env, size_t *size)
{
    *size = cwd != NULL ? strlen(cwd) + 1 : 0;
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        *size += strlen(env[i]) + 1;
    char *texts = malloc(*size + 1), *at = texts;
    if (texts == NULL)
        return NULL;
    if (cwd != NULL)
        at = put(at, cwd);
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        at = put(at, env[i]);
    return texts;
}

int wi_boot_add_texts(struct wi_boot *boot, int fd, const char *cwd,
                      const char *const *env)
{
    size_t size;
    if (cwd == NULL && env == NULL)
        return 0;
    char *texts = join_texts(cwd, env, &size);
    if (texts == NULL)
        return -ENOMEM;
    int rc = wi_os_memfd_write(fd, boot->arg_at + boot->arg_size, texts, size);
    free(texts);
    if (rc < 0)
        return rc;
    boot->texts_size = size;
    boot->has_cwd = cwd != NULL;
    boot->has_env = env != NULL;
    return 0;
}

// The entries stay where they are, for the life of the process.
static int take_environment(char *at, const char *end)
{
    size_t n = 0;
    for (const char *p = at; p < end; p += strlen(p) + 1)
        n++;
    char **env = malloc((n + 1) * sizeof *env);
    if (env == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        env[i] = at;
    env[n] = NULL;
    wi_os_set_environ(env);
    return 0;
}

int wi_boot_take_texts(const struct wi_boot *boot, const char **what)
{
    size_t size = boot->texts_size;
    *what = "the environment";
    if (size == 0 && !boot->has_env)
        return 0;
    char *texts = malloc(size + 1);
    if (texts == NULL)
        return -ENOMEM;
    int rc = wi_os_memfd_read(WI_BOOT_FD, boot->arg_at + boot->arg_size, texts,
                              size);
    texts[size] = '\0';
    char *env = texts + (boot->has_cwd ? strlen(texts) + 1 : 0);
    if (rc == 0 && boot->has_env)
        rc = take_environment(env, texts + size);
    if (rc == 0 && boot->has_cwd) {
        *what = "the working directory";
        rc = wi_os_chdir(texts);
    }
    if (rc < 0 || !boot->has_env)
        free(texts);
    return rc;
}

int wi_boot_preload(const struct wi_boot *boot)
{
    if (boot->preload.build.size == 0 || wi_entry_preloaded())
        return 0;
    weft_function *fn = wi_name_find_function(&boot->preload);
    return fn == NULL ? -WEFT_ENOJOB : fn(NULL);
}
