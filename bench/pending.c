// SPDX-License-Identifier: MIT
// pending: how much memory does a task take that was started but has not run?
// And what does it cost to start it, a million in a row, and then to run all?
#include <sys/mman.h>
#include <weft.h>

#include "support/bench.h"

struct crowd {
    long tasks;
    uint64_t sum;
    double rss, tables;
    double start_cpu, run_cpu;
};

static struct crowd crowd;

static int add(void *arg)
{
    crowd.sum += (uintptr_t)arg;
    return 0;
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    int rc = 0;
    weft_join(weft_task_start(add, NULL));
    double run_begin;
    {
        WEFT_GROUP(g, &rc);
        double rss = bench_rss(), tables = bench_page_tables();
        double begin = bench_cpu();
        for (long i = 0; i < c->tasks; i++)
            weft_future_unref(weft_task_start(add, (void *)(uintptr_t)i));
        c->start_cpu = bench_cpu() - begin;
        c->rss = bench_rss() - rss;
        c->tables = bench_page_tables() - tables;
        run_begin = bench_cpu();
    }
    c->run_cpu = bench_cpu() - run_begin;
    return rc;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    crowd.tasks = (long)ask->ops;
    if (weft_run(crowd_main, &crowd) != 0)
        bench_fail("weft_run failed");
    bench_tell_memory(reply, crowd.rss, crowd.tables, (double)ask->ops);
    reply->more[2] = crowd.start_cpu / (double)ask->ops;
    reply->more[3] = crowd.run_cpu / (double)ask->ops;
    reply->answer = crowd.sum;
}

// The least: a function and its argument in an array.
static void array_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct entry {
        int (*fn)(void *);
        void *arg;
    } * all;
    double n = (double)ask->ops;
    double rss = bench_rss(), tables = bench_page_tables();
    double begin = bench_cpu();
    all = mmap(NULL, ask->ops * sizeof *all, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        bench_fail("no memory");
    for (uint64_t i = 0; i < ask->ops; i++)
        all[i] = (struct entry){add, (void *)(uintptr_t)i};
    reply->more[2] = (bench_cpu() - begin) / n;
    bench_tell_memory(reply, bench_rss() - rss, bench_page_tables() - tables,
                      n);
    begin = bench_cpu();
    crowd.sum = 0;
    for (uint64_t i = 0; i < ask->ops; i++)
        ((struct entry volatile *)all)[i].fn(all[i].arg);
    reply->more[3] = (bench_cpu() - begin) / n;
    reply->answer = crowd.sum;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"array of calls", BENCH_FLOOR, .fn = array_side},
    {"Boost.Asio", BENCH_PEER, .program = "pending_asio",
     .package = "libboost-dev"},
    {"asyncio", BENCH_PEER, .program = "pending_asyncio", .package = "python3"},
    {0}};

int main(int argc, char **argv)
{
    bench_start("pending", argc, argv);
    bench_ask(
        &(struct bench_question){
            .name = "pending",
            .what = "memory of a task that has not begun",
            .unit = "bytes",
            .ops = (uint64_t)bench_pick(1000000, 1000000, 5000),
            .warm = 10000,
            .more = {"rss", "page_tables", "cpu_ns_to_start", "cpu_ns_to_run"},
            .bar = 256,
            .reps = (unsigned)bench_pick(7, 3, 1)},
        sides);
    return bench_end();
}
