// SPDX-License-Identifier: MIT
// features: what do the things cost that are there for the day something goes
// wrong? The same work with all of them, and without one or the other.
//
//  watchdog   a thread that looks whether a worker hangs (WEFT_WATCHDOG=0)
//  overflow   the signal handler that names who overflowed (WEFT_SEGV=0)
//
// A task that starts others, yields to them and joins them, on one worker.
#include <stdlib.h>
#include <weft.h>

#include "support/bench.h"

struct job {
    uint64_t ops, sum;
    double begin, end;
};

static int child(void *arg)
{
    return (int)((uintptr_t)arg & 255);
}

static void loop(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        weft_future *f = weft_task_start(child, (void *)(uintptr_t)i);
        weft_yield();
        job->sum += (uint64_t)weft_join(f);
    }
}

static int run_job(void *arg)
{
    struct job *job = arg;
    loop(job, 2000);
    job->sum = 0;
    job->begin = bench_cpu();
    loop(job, job->ops);
    job->end = bench_cpu();
    return 0;
}

static void run(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct job job = {.ops = ask->ops};
    if (weft_run(run_job, &job) != 0)
        bench_fail("weft_run failed");
    reply->value = (job.end - job.begin) / (double)ask->ops;
    reply->answer = job.sum;
}

static void no_watchdog(const struct bench_ask *ask, struct bench_reply *reply)
{
    setenv("WEFT_WATCHDOG", "0", 1);
    run(ask, reply);
}

static void no_overflow(const struct bench_ask *ask, struct bench_reply *reply)
{
    setenv("WEFT_SEGV", "0", 1);
    run(ask, reply);
}

static void nothing(const struct bench_ask *ask, struct bench_reply *reply)
{
    setenv("WEFT_SEGV", "0", 1);
    no_watchdog(ask, reply);
}

int main(int argc, char **argv)
{
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = run},
        {"without the watchdog", BENCH_FLOOR, .fn = no_watchdog},
        {"without overflow reports", BENCH_FLOOR, .fn = no_overflow},
        {"without both", BENCH_FLOOR, .fn = nothing},
        {0}};
    bench_start("features", argc, argv);
    bench_ask(&(struct bench_question){.name = "features",
                                       .what = "start, yield, join",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           1000000, 300000, 2000),
                                       .warm = 2000},
              sides);
    return bench_end();
}
