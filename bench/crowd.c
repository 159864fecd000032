// SPDX-License-Identifier: MIT
// crowd: does a task cost more when there are more of them? So many start and
// wait until all have; then all are woken and end. The figure is the CPU time
// of one of these lives; beside it, the memory of one while all wait. Small
// crowds come and go many times, so that each sample has many lives.
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <weft.h>

#include "support/bench.h"

struct crowd {
    long tasks, arrived, rounds;
    uint64_t left;
    bool open;
    weft_waiter **waiters;
    double memory, cpu;
};

static int live(void *arg)
{
    struct crowd *c = arg;
    c->waiters[c->arrived++] = weft_self();
    while (!c->open)
        if (weft_park(INFINITY) != 0)
            bench_fail("weft_park failed");
    c->left++;
    return 0;
}

static double memory(void)
{
    return bench_rss() + bench_page_tables();
}

static int come_and_go(struct crowd *c, bool weigh)
{
    double before = weigh ? memory() : 0;
    int rc = 0;
    c->arrived = 0;
    c->open = false;
    {
        WEFT_GROUP(g, &rc);
        for (long i = 0; i < c->tasks; i++)
            weft_future_unref(weft_task_start(live, c));
        while (c->arrived < c->tasks)
            weft_yield();
        if (weigh)
            c->memory = memory() - before;
        c->open = true;
        for (long i = 0; i < c->tasks; i++)
            weft_unpark(c->waiters[i]);
    }
    return rc;
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    double begin = bench_cpu();
    int rc = come_and_go(c, true);
    for (long i = 1; i < c->rounds && rc == 0; i++)
        rc = come_and_go(c, false);
    c->cpu = bench_cpu() - begin;
    return rc;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct crowd c = {.tasks = ask->param[0],
                      .rounds = (long)ask->ops / ask->param[0]};
    c.waiters = calloc((size_t)c.tasks, sizeof *c.waiters);
    for (long i = 0; i < c.tasks; i++) // its memory is not the tasks'
        ((weft_waiter *volatile *)c.waiters)[i] = NULL;
    int rc = weft_run(crowd_main, &c, .stack_size = 64 * 1024);
    if (rc != 0)
        bench_fail("weft_run: %s", weft_strerror(rc));
    reply->value = c.cpu / (double)ask->ops;
    reply->more[0] = c.memory / (double)c.tasks;
    reply->answer = c.left;
    free(c.waiters);
}

// The least: one page touched at the top of each stack, and all given back.
static void page_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    enum { STACK = 64 * 1024 };
    size_t n = (size_t)ask->param[0];
    double begin = bench_cpu();
    for (uint64_t round = 0; round < ask->ops / n; round++) {
        double before = round == 0 ? memory() : 0;
        char *all = mmap(NULL, n * STACK, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (all == MAP_FAILED)
            bench_fail("no room for the stacks");
        madvise(all, n * STACK, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < n; i++) {
            all[(i + 1) * STACK - 64] = 1;
            reply->answer++;
        }
        if (round == 0)
            reply->more[0] = (memory() - before) / (double)n;
        munmap(all, n * STACK);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"one page a stack", BENCH_FLOOR, .fn = page_side},
    {"Go", BENCH_PEER, .program = "crowd_go", .package = "golang-go"},
    {"tokio", BENCH_PEER, .program = "crowd_tokio",
     .package = "librust-tokio-dev"},
    {"Boost.Fiber", BENCH_PEER, .program = "crowd_boost_fiber",
     .package = "libboost-fiber-dev"},
    {"asyncio", BENCH_PEER, .program = "crowd_asyncio", .package = "python3"},
    {0}};

static void ask(const char *name, long tasks, long lives)
{
    bool million = tasks == 1000000;
    bench_ask(
        &(struct bench_question){.name = name,
                                 .what = "start, wait, be woken and end, CPU",
                                 .unit = "ns",
                                 .ops = (uint64_t)lives,
                                 .slow = true,
                                 .params = {{"tasks", tasks}},
                                 .more = {"bytes_while_waiting"},
                                 .reps = million ? 7 : 0,
                                 .without = {million ? "Boost.Fiber" : NULL,
                                             million ? "asyncio" : NULL},
                                 .why = "a sample takes half a minute"},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("crowd", argc, argv);
    long lives = bench_pick(200000, 100000, 1000);
    long most = bench_pick(1000000, 1000000, 1000);
    ask("crowd/10", 10, lives);
    ask("crowd/100", 100, lives);
    ask("crowd/1000", 1000, lives);
    ask("crowd/10000", bench_pick(10000, 10000, 500), lives);
    ask("crowd/100000", bench_pick(100000, 100000, 500), lives);
    // They need about 5 GB.
    if (bench_pick(0, 1, 0) && !bench_lists())
        bench_skip("crowd/1000000", "weft",
                   "takes a tenth of a short run: in a full one only");
    else if (bench_free_memory() > 8e9)
        ask("crowd/1000000", most, most);
    else
        bench_skip("crowd/1000000", "weft", "needs 8 GB of free memory");
    return bench_end();
}
