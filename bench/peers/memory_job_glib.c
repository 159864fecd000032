// SPDX-License-Identifier: MIT
// memory/job: OPS HOLD. See bench/memory.c. It has no futures: the job stores
// its result in an array that is there before.
#include <glib.h>

#include "support.h"

static GMutex gate;
static long *results, done;

static void job(gpointer data, gpointer unused)
{
    long i = (long)(intptr_t)data - 1;
    (void)unused;
    g_mutex_lock(&gate);
    g_mutex_unlock(&gate);
    results[i] = 3 * i;
    // release; partner: main
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
    long n = peer_argument(argc, argv, 0);
    uint64_t sum = 0;
    GThreadPool *pool = g_thread_pool_new(job, NULL, 1, TRUE, NULL);
    results = malloc((size_t)n * sizeof *results);
    memset(results, 1, (size_t)n * sizeof *results);
    g_mutex_lock(&gate);
    double rss = peer_status("VmRSS"), tables = peer_status("VmPTE");
    for (long i = 0; i < n; i++)
        g_thread_pool_push(pool, (gpointer)(intptr_t)(i + 1), NULL);
    rss = peer_status("VmRSS") - rss;
    tables = peer_status("VmPTE") - tables;
    g_mutex_unlock(&gate);
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < n)
        sched_yield();
    for (long i = 0; i < n; i++)
        sum += (uint64_t)results[i];
    double d = (double)n;
    peer_reply((rss + tables) / d, sum, rss / d, tables / d, 0, 0);
    return 0;
}
