// SPDX-License-Identifier: MIT
#include "server.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

void bench_pin_to(int n)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(n % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof set, &set);
}

double bench_cpu_of(pid_t pid)
{
    struct timespec t;
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        bench_fail("the server does not run");
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// In a child, since the backend of a process is chosen once.
bool bench_have_uring(void)
{
    static int known; // 1: yes, 2: no
    int status = 1;
    if (known == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            setenv("WEFT_BACKEND", "uring", 1);
            _exit(weft_run(nothing, NULL) != 0);
        }
        waitpid(pid, &status, 0);
        known = status == 0 ? 1 : 2;
    }
    return known == 1;
}
