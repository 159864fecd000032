// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. Only the thread of a loop may give
// work to the pool, so that it is the submitter, and runs the loop until all
// have ended; the requests are there beforehand.
#include <uv.h>

#include "support.h"

enum { BURST = 10000, WARM_BURSTS = 3 };

static struct item {
    uv_work_t work;
    long result;
} items[BURST];

static void job(uv_work_t *work)
{
    struct item *item = (struct item *)work;
    item->result = 3 * (long)(item - items);
}

static void ended(uv_work_t *work, int status)
{
    (void)work, (void)status;
}

static uint64_t collect(long n)
{
    uint64_t sum = 0;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    for (long i = 0; i < n; i++)
        sum += (uint64_t)items[i].result;
    return sum;
}

static double burst(long n)
{
    double begin = peer_thread_cpu();
    for (long i = 0; i < n; i++)
        uv_queue_work(uv_default_loop(), &items[i].work, job, ended);
    return peer_thread_cpu() - begin;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long n = ops < BURST ? ops : BURST;
    uint64_t answer = 0;
    double submit = 0;
    setenv("UV_THREADPOOL_SIZE", argv[2], 1);
    for (int i = 0; i < WARM_BURSTS; i++) {
        burst(n);
        collect(n);
    }
    double cpu = peer_cpu(), wall = peer_wall();
    for (long i = 0; i < ops / n; i++) {
        submit += burst(n);
        answer += collect(n);
    }
    double jobs = (double)(ops / n * n);
    cpu = peer_cpu() - cpu;
    wall = peer_wall() - wall;
    peer_reply(submit / jobs, answer, cpu / jobs, wall / jobs, 0, 0);
    return 0;
}
