// SPDX-License-Identifier: MIT
//
// sleeps.h: how often the threads of a process have woken up.
#ifndef WEFT_TEST_SLEEPS_H
#define WEFT_TEST_SLEEPS_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

// Of one thread; 0 if its name is `but`.
static inline long long sleeps_of_thread(pid_t pid, const char *thread,
                                         const char *but)
{
    char path[300], line[256], name[32] = "";
    long long n, sleeps = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, thread);
    FILE *status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "Name: %31[^\n]", name);
        if (sscanf(line, "voluntary_ctxt_switches: %lld", &n) == 1)
            sleeps = n;
    }
    if (status != NULL)
        fclose(status);
    return strcmp(name, but) == 0 ? 0 : sleeps;
}

// Switches that the threads of a process have asked for: each is the end of a
// sleep. Those whose name is `but` are left out. 0: it has ended.
static inline long long sleeps_of(pid_t pid, const char *but)
{
    char path[64];
    long long total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;)
        if (e->d_name[0] != '.')
            total += sleeps_of_thread(pid, e->d_name, but);
    closedir(tasks);
    return total;
}

// The same of this process's own: the library names its threads, so one that
// has the caller's name, the caller itself among them, is not the library's,
// but a sanitizer's.
static inline long long own_sleeps(void)
{
    char own_name[32];
    prctl(PR_GET_NAME, own_name);
    return sleeps_of(getpid(), own_name);
}

// Returns when the count has stood still for half a second; what wakes now and
// then for ever lets the case run out of time.
static inline void await_silence(long long (*sleeps)(void))
{
    const struct timespec window = {.tv_nsec = 500000000};
    long long before;
    do {
        before = sleeps();
        nanosleep(&window, NULL);
    } while (sleeps() != before);
    ck_assert_msg(sleeps() > 0, "no thread of the library is seen");
}

#endif
