// SPDX-License-Identifier: MIT
#include "os/oom.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/read_text.h"

// The number behind a word that begins a line; -1: there is none.
static int64_t number_of(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, word, length) == 0 && at[length] == ' ')
            return strtoll(at + length, NULL, 10);
    }
    return -1;
}

// Where the group lies of the line that contains `key`: "0::/a/b" for version
// 2, "4:memory:/a/b" for version 1.
static bool group_of(const char *text, const char *key, char *group,
                     size_t size)
{
    const char *at = strstr(text, key);
    if (at == NULL)
        return false;
    at += strlen(key);
    size_t n = strcspn(at, "\n");
    if (n >= size)
        return false;
    memcpy(group, at, n);
    group[n] = '\0';
    return true;
}

static int64_t look(const char *root, const char *group, const char *file)
{
    char path[640], text[512];
    snprintf(path, sizeof path, "%s%s/%s", root,
             strcmp(group, "/") == 0 ? "" : group, file);
    return wi_os_read_text(path, text, sizeof text)
               ? number_of(text, "oom_kill")
               : -1;
}

int64_t wi_os_oom_kills_of(const char *cgroup, const char *root)
{
    // A line of 4 KiB for each of its hierarchies at most, in practice 250.
    char text[8192], group[512], memory[128];
    int64_t n = -1;
    if (!wi_os_read_text(cgroup, text, sizeof text))
        return -1;
    if (strncmp(text, "0::", 3) == 0 || strstr(text, "\n0::") != NULL) {
        if (group_of(text, "0::", group, sizeof group))
            n = look(root, group, "memory.events");
        // In a container the group's own root is mounted.
        if (n < 0)
            n = look(root, "/", "memory.events");
    }
    if (n < 0 && group_of(text, ":memory:", group, sizeof group)) {
        snprintf(memory, sizeof memory, "%s/memory", root);
        n = look(memory, group, "memory.oom_control");
    }
    return n;
}

int64_t wi_os_oom_kills(void)
{
    return wi_os_oom_kills_of("/proc/self/cgroup", "/sys/fs/cgroup");
}

bool wi_os_memory_used_up(void)
{
    struct rlimit limit;
    char text[128];
    if (getrlimit(RLIMIT_DATA, &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY ||
        !wi_os_read_text("/proc/self/statm", text, sizeof text))
        return false;
    const char *at = text;
    for (int i = 0; i < 5 && at != NULL; i++) // data stands in place 6
        at = strchr(at + 1, ' ');
    uint64_t data = at != NULL ? strtoull(at, NULL, 10) : 0;
    data *= (uint64_t)sysconf(_SC_PAGESIZE);
    return data >= limit.rlim_cur - limit.rlim_cur / 8;
}
