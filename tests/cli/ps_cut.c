// SPDX-License-Identifier: MIT
//
// Preloaded into a program: as soon as that has asked how long the file
// CUT_FILE is, the file is cut off at CUT_BYTES, as if somebody else did it.
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static void cut_off(int fd)
{
    const char *file = getenv("CUT_FILE"), *bytes = getenv("CUT_BYTES");
    char link[64], path[PATH_MAX];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    if (file && bytes && strcmp(path, file) == 0 &&
        truncate(path, strtol(bytes, NULL, 10)) != 0)
        perror(path);
}

// Under both names that the C library has for it.
static int call_and_cut(const char *name, int fd, void *st)
{
    int (*real)(int fd, void *st);

    *(void **)&real = dlsym(RTLD_NEXT, name);
    int rc = real(fd, st);
    cut_off(fd);
    return rc;
}

EXPORT int fstat(int fd, struct stat *st)
{
    return call_and_cut("fstat", fd, st);
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
    return call_and_cut("fstat64", fd, st);
}
