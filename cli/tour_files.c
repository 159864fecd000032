// SPDX-License-Identifier: MIT
#include "tour_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft.h>

#include "progress.h"

enum { DEPTH_MAX = 64 };

// Room for one more element, or false.
static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    void *moved = realloc(*array, more * size);
    if (!moved)
        return false;
    *array = moved;
    *room = more;
    return true;
}

void tour_files_add_unread(struct tour_files *files, const char *path, int code)
{
    char *copy = strdup(path);

    if (!copy || !grow((void **)&files->unread, &files->unread_room,
                       files->unread_count, sizeof(*files->unread))) {
        free(copy);
        return;
    }
    files->unread[files->unread_count++] = (struct tour_unread){copy, code};
}

static uint64_t taken(uint64_t size)
{
    return size < TOUR_FILE_BYTES ? size : TOUR_FILE_BYTES;
}

// Takes over path.
static void add_file(struct tour_files *files, char *path,
                     const struct stat *st)
{
    struct tour_file file = {path, (uint64_t)st->st_size, st->st_mtim};

    if (files->count == TOUR_FILES_MAX || files->bytes >= files->budget) {
        files->cut = true;
        free(path);
    } else if (!grow((void **)&files->at, &files->room, files->count,
                     sizeof(*files->at))) {
        tour_files_add_unread(files, path, -ENOMEM);
        free(path);
    } else {
        files->at[files->count++] = file;
        files->bytes += taken(file.size);
    }
}

static char *join_path(const char *dir, const char *name)
{
    size_t length = strlen(dir);
    const char *slash = length && dir[length - 1] == '/' ? "" : "/";
    char *path;

    return asprintf(&path, "%s%s%s", dir, slash, name) < 0 ? NULL : path;
}

static int not_a_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk(struct tour_files *files, const char *dir, dev_t device,
                int depth);

static void visit(struct tour_files *files, const char *dir, const char *name,
                  dev_t device, int depth)
{
    char *path = join_path(dir, name);
    struct stat st;

    if (path && lstat(path, &st) == 0 && st.st_dev == device) {
        if (S_ISREG(st.st_mode)) {
            add_file(files, path, &st);
            return;
        }
        if (S_ISDIR(st.st_mode)) {
            int rc = depth < DEPTH_MAX ? walk(files, path, device, depth + 1)
                                       : -ELOOP;
            if (rc < 0)
                tour_files_add_unread(files, path, rc);
        }
    }
    free(path);
}

static int walk(struct tour_files *files, const char *dir, dev_t device,
                int depth)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, not_a_dot, by_name);

    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        if (!files->cut)
            visit(files, dir, entries[i]->d_name, device, depth);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

int tour_files_find(struct tour_files *files, const char *dir, uint64_t budget)
{
    struct stat st;

    *files = (struct tour_files){.budget = budget};
    if (stat(dir, &st) < 0)
        return -errno;
    return walk(files, dir, st.st_dev, 0);
}

// No more than the file had: those of /proc may make a reader wait.
static void read_once(const struct tour_file *file)
{
    static char buf[1 << 16];
    uint64_t left = taken(file->size);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (fd < 0)
        return; // the ways of working will meet the error too
    while (left > 0 && (n = read(fd, buf, sizeof(buf))) > 0)
        left -= (uint64_t)n < left ? (uint64_t)n : left;
    close(fd);
}

static void drop_from(struct tour_files *files, size_t count)
{
    while (files->count > count) {
        struct tour_file *file = &files->at[--files->count];
        files->bytes -= taken(file->size);
        free(file->path);
        files->cut = true;
    }
}

void tour_files_warm(struct tour_files *files, double seconds)
{
    double until = weft_now() + seconds;

    progress_begin("reading the files once", files->count);
    for (size_t i = 0; i < files->count; i++) {
        if (weft_now() > until && i > 0)
            drop_from(files, i);
        else
            read_once(&files->at[i]);
        progress_step();
    }
    progress_end();
}

bool tour_files_changed(const struct tour_files *files, size_t i)
{
    const struct tour_file *file = &files->at[i];
    struct stat st;

    return lstat(file->path, &st) < 0 || (uint64_t)st.st_size != file->size ||
           st.st_mtim.tv_sec != file->changed.tv_sec ||
           st.st_mtim.tv_nsec != file->changed.tv_nsec;
}

void tour_files_free(struct tour_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->at[i].path);
    for (size_t i = 0; i < files->unread_count; i++)
        free(files->unread[i].path);
    free(files->at);
    free(files->unread);
    *files = (struct tour_files){0};
}
