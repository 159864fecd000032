// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. One worker, which is this thread; a
// task cannot wait for an event, nor return a value.
#include <tbb/global_control.h>
#include <tbb/task_group.h>

#include "support.h"

static uint64_t sum;

static void loop(long n)
{
    tbb::task_group group;
    for (long i = 0; i < n; i++) {
        group.run([i] { sum += (uint64_t)(i & 255); });
        group.wait();
    }
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
    loop(ops / 10 + 1);
    sum = 0;
    double begin = peer_cpu();
    loop(ops);
    double cpu = peer_cpu() - begin;
    peer_reply(cpu / (double)ops, sum, 0, 0, 0, 0);
}
