// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. An arena with no place for the
// submitting thread; the result is stored by the job; one atomic counter says
// when all are done.
#include <atomic>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include "support.h"

static const long BURST = 10000, WARM_BURSTS = 3;

static long results[10000];
static std::atomic<long> done;

static uint64_t collect(long n)
{
    uint64_t sum = 0;
    while (done.load(std::memory_order_acquire) < n)
        sched_yield();
    for (long i = 0; i < n; i++)
        sum += (uint64_t)results[i];
    return sum;
}

static double burst(tbb::task_arena &arena, long n)
{
    done.store(0, std::memory_order_relaxed);
    double begin = peer_thread_cpu();
    for (long i = 0; i < n; i++)
        arena.enqueue([i] {
            results[i] = 3 * i;
            done.fetch_add(1, std::memory_order_release);
        });
    return peer_thread_cpu() - begin;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    int workers = (int)peer_argument(argc, argv, 1);
    long n = ops < BURST ? ops : BURST;
    // The limit counts the submitting thread too.
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              (size_t)workers + 1);
    tbb::task_arena arena(workers, 0);
    uint64_t answer = 0;
    double submit = 0;
    for (int i = 0; i < WARM_BURSTS; i++) {
        burst(arena, n);
        collect(n);
    }
    double cpu = peer_cpu(), wall = peer_wall();
    for (long i = 0; i < ops / n; i++) {
        submit += burst(arena, n);
        answer += collect(n);
    }
    double jobs = (double)(ops / n * n);
    cpu = peer_cpu() - cpu;
    wall = peer_wall() - wall;
    peer_reply(submit / jobs, answer, cpu / jobs, wall / jobs, 0, 0);
}
