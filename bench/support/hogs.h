// SPDX-License-Identifier: MIT
// hogs.h: neighbors that want every CPU they may have.
#ifndef BENCH_HOGS_H
#define BENCH_HOGS_H

#include <stdbool.h>
#include <sys/types.h>

// Starts n processes that compute all the time, where the contenders of a
// pinned question run if `pinned`. They end with this program, however it ends.
void bench_hogs_start(pid_t *hogs, int n, bool pinned);
void bench_hogs_end(const pid_t *hogs, int n);

#endif
