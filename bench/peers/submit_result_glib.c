// SPDX-License-Identifier: MIT
// submit_result: OPS GAP. See bench/submit_result.c. The answer comes back
// through a mutex and a condition.
#include <glib.h>

#include "support.h"

static GThreadPool *pool;
static GMutex mutex;
static GCond ready;
static gboolean there;
static long value;

static void job(gpointer data, gpointer unused)
{
    (void)unused;
    g_mutex_lock(&mutex);
    value = 3 * ((long)(intptr_t)data - 1);
    there = TRUE;
    g_cond_signal(&ready);
    g_mutex_unlock(&mutex);
}

static long call(long x)
{
    g_thread_pool_push(pool, (gpointer)(intptr_t)(x + 1), NULL);
    g_mutex_lock(&mutex);
    while (!there)
        g_cond_wait(&ready, &mutex);
    there = FALSE;
    long result = value;
    g_mutex_unlock(&mutex);
    return result;
}

int main(int argc, char **argv)
{
    peer_pin();
    pool = g_thread_pool_new(job, NULL, 1, TRUE, NULL);
    peer_rounds(peer_argument(argc, argv, 0), peer_argument(argc, argv, 1),
                call);
    g_thread_pool_free(pool, FALSE, TRUE);
    return 0;
}
