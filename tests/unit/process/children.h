// SPDX-License-Identifier: MIT
// Children that the library has not told of.
#ifndef WEFT_TEST_CHILDREN_H
#define WEFT_TEST_CHILDREN_H

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The processes of this name whose parent is this one; *one: one of them.
static inline int count_named(const char *name, pid_t *one)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int n = 0;
    *one = 0;
    while ((entry = readdir(proc)) != NULL) {
        char path[300], text[512] = "", comm[32], state;
        int pid, parent;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (read(fd, text, sizeof text - 1) > 0 &&
            sscanf(text, "%d (%31[^)]) %c %d", &pid, comm, &state, &parent) ==
                4 &&
            parent == getpid() && state != 'Z' && strcmp(comm, name) == 0) {
            *one = pid;
            n++;
        }
        close(fd);
    }
    closedir(proc);
    return n;
}

#endif
