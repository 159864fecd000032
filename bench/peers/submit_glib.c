// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. The result is stored by the job;
// one atomic counter says when all are done.
#include <glib.h>

#include "support.h"

enum { BURST = 10000, WARM_BURSTS = 3 };

static long results[BURST];
static long done;

// data is the number plus one: GLib refuses NULL.
static void job(gpointer data, gpointer unused)
{
    long i = (long)(intptr_t)data - 1;
    (void)unused;
    results[i] = 3 * i;
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
}

static uint64_t collect(long n)
{
    uint64_t sum = 0;
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < n)
        sched_yield();
    for (long i = 0; i < n; i++)
        sum += (uint64_t)results[i];
    return sum;
}

static double burst(GThreadPool *pool, long n)
{
    __atomic_store_n(&done, 0, __ATOMIC_RELAXED);
    double begin = peer_thread_cpu();
    for (long i = 0; i < n; i++)
        g_thread_pool_push(pool, (gpointer)(intptr_t)(i + 1), NULL);
    return peer_thread_cpu() - begin;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    int workers = (int)peer_argument(argc, argv, 1);
    long n = ops < BURST ? ops : BURST;
    GThreadPool *pool = g_thread_pool_new(job, NULL, workers, TRUE, NULL);
    uint64_t answer = 0;
    double submit = 0;
    for (int i = 0; i < WARM_BURSTS; i++) {
        burst(pool, n);
        collect(n);
    }
    double cpu = peer_cpu(), wall = peer_wall();
    for (long i = 0; i < ops / n; i++) {
        submit += burst(pool, n);
        answer += collect(n);
    }
    double jobs = (double)(ops / n * n);
    cpu = peer_cpu() - cpu;
    wall = peer_wall() - wall;
    g_thread_pool_free(pool, FALSE, TRUE);
    peer_reply(submit / jobs, answer, cpu / jobs, wall / jobs, 0, 0);
    return 0;
}
