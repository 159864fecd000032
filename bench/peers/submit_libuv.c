// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. Only the thread of a loop may give
// work to the pool, so that it is the submitter, and runs the loop until all
// have ended; the requests are there beforehand.
#include <uv.h>

#include "submit.h"

static uv_work_t items[SUBMIT_BURST];

static void job(uv_work_t *item)
{
    submit_results[item - items] = 3 * (long)(item - items);
}

static void ended(uv_work_t *item, int status)
{
    (void)item, (void)status;
}

static void give(long n)
{
    for (long i = 0; i < n; i++)
        uv_queue_work(uv_default_loop(), &items[i], job, ended);
}

static void await(long n)
{
    (void)n;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    setenv("UV_THREADPOOL_SIZE", argv[2], 1);
    submit_measure(peer_argument(argc, argv, 0), give, await);
    return 0;
}
