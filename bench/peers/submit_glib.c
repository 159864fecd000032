// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c.
#include <glib.h>

#include "submit.h"

static GThreadPool *pool;

// data is the number plus one: GLib refuses NULL.
static void job(gpointer data, gpointer unused)
{
    (void)unused;
    submit_job((long)(intptr_t)data - 1);
}

static void give(long n)
{
    for (long i = 0; i < n; i++)
        g_thread_pool_push(pool, (gpointer)(intptr_t)(i + 1), NULL);
}

int main(int argc, char **argv)
{
    pool = g_thread_pool_new(job, NULL, (int)peer_argument(argc, argv, 1), TRUE,
                             NULL);
    submit_measure(peer_argument(argc, argv, 0), give, submit_await);
    g_thread_pool_free(pool, FALSE, TRUE);
    return 0;
}
