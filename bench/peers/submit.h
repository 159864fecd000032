// SPDX-License-Identifier: MIT
// submit.h: the bursts of bench/submit.c, for a pool that has no futures: a job
// stores its result, and one counter says when all are done.
#ifndef PEER_SUBMIT_H
#define PEER_SUBMIT_H

#include "support.h"

enum { SUBMIT_BURST = 10000, SUBMIT_WARM_BURSTS = 3 };

static long submit_results[SUBMIT_BURST], submit_done;

static inline void submit_job(long i)
{
    submit_results[i] = 3 * i;
    // release; partner: submit_await
    __atomic_fetch_add(&submit_done, 1, __ATOMIC_RELEASE);
}

// Until the n jobs of a burst are done.
static inline void submit_await(long n)
{
    // acquire; partner: submit_job
    while (__atomic_load_n(&submit_done, __ATOMIC_ACQUIRE) < n)
        sched_yield();
    submit_done = 0;
}

// give(n) submits the jobs 0 to n - 1, await(n) returns when they are done.
static inline double submit_burst(long n, void (*give)(long n),
                                  void (*await)(long n), uint64_t *sum)
{
    double begin = peer_thread_cpu();
    give(n);
    double used = peer_thread_cpu() - begin;
    await(n);
    for (long i = 0; i < n; i++)
        *sum += (uint64_t)submit_results[i];
    return used;
}

static inline void submit_measure(long ops, void (*give)(long n),
                                  void (*await)(long n))
{
    long n = ops < SUBMIT_BURST ? ops : SUBMIT_BURST;
    uint64_t answer = 0;
    double submit = 0;
    for (int i = 0; i < SUBMIT_WARM_BURSTS; i++)
        submit_burst(n, give, await, &answer);
    answer = 0;
    double cpu = peer_cpu(), wall = peer_wall();
    for (long i = 0; i < ops / n; i++)
        submit += submit_burst(n, give, await, &answer);
    double jobs = (double)(ops / n * n);
    peer_reply(submit / jobs, answer, (peer_cpu() - cpu) / jobs,
               (peer_wall() - wall) / jobs, 0, 0);
}

#endif
