// SPDX-License-Identifier: MIT
// Processes that compute.
#include "hogs.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

void bench_hogs_start(pid_t *hogs, int n, bool pinned)
{
    for (int i = 0; i < n; i++) {
        hogs[i] = fork();
        if (hogs[i] < 0)
            bench_fail("fork failed");
        if (hogs[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (pinned)
                bench_pin();
            for (volatile unsigned x = 0;; x++)
                ;
        }
    }
}

void bench_hogs_end(const pid_t *hogs, int n)
{
    for (int i = 0; i < n; i++) {
        kill(hogs[i], SIGKILL);
        waitpid(hogs[i], NULL, 0);
    }
}
