// SPDX-License-Identifier: MIT
// idle: OPS MS. See bench/idle.c.
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "support.h"

static long done;

int main(int argc, char **argv)
{
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 3);
    tbb::task_arena arena(2, 0);
    for (int i = 0; i < 100; i++)
        arena.enqueue([] { __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE); });
    peer_idle(peer_argument(argc, argv, 1), &done, 100);
}
