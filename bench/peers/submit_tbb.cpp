// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. An arena with no place for the
// submitting thread.
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "submit.h"

static tbb::task_arena *arena;

static void give(long n)
{
    for (long i = 0; i < n; i++)
        arena->enqueue([i] { submit_job(i); });
}

int main(int argc, char **argv)
{
    int workers = (int)peer_argument(argc, argv, 1);
    // The limit counts the submitting thread too.
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              (size_t)workers + 1);
    tbb::task_arena place(workers, 0);
    arena = &place;
    submit_measure(peer_argument(argc, argv, 0), give, submit_await);
}
