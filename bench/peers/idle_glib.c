// SPDX-License-Identifier: MIT
// idle: OPS MS. See bench/idle.c.
#include <glib.h>

#include "support.h"

enum { JOBS = 100 };

static long done;

static void job(gpointer data, gpointer unused)
{
    (void)data, (void)unused;
    __atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
    long ms = peer_argument(argc, argv, 1);
    GThreadPool *pool = g_thread_pool_new(job, NULL, 2, TRUE, NULL);
    for (long i = 0; i < JOBS; i++)
        g_thread_pool_push(pool, pool, NULL);
    peer_idle(ms, &done, JOBS);
    return 0;
}
