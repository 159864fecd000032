// SPDX-License-Identifier: MIT
// yield: what does it cost a task to let the others run?
//
// `tasks` tasks on one worker yield in turn. Each parks until the last of them
// has started. That one takes the time: from when all have run a few rounds to
// when it has done its share. Tasks go in the order in which they became
// ready, so that in between each of the others yields as often as it does.
#include <math.h>
#include <stdlib.h>
#include <weft.h>

#include "floor.h"
#include "support/bench.h"

enum { WARM = 3 }; // rounds before and after, which are not counted

struct ring {
    long tasks, rounds;
    long started;
    weft_waiter **waiters;
    uint64_t count; // yields of the middle part
    uint64_t before, after;
    double begin, end;
};

static void pass(long n)
{
    for (long i = 0; i < n; i++)
        if (weft_yield() != 0)
            bench_fail("weft_yield failed");
}

// Returns when all have started; true in the last one.
static bool meet(struct ring *r)
{
    r->waiters[r->started++] = weft_self();
    bool last = r->started == r->tasks;
    if (last)
        for (long i = 0; i < r->tasks - 1; i++)
            weft_unpark(r->waiters[i]);
    while (r->started < r->tasks)
        weft_park(INFINITY);
    return last;
}

static int member(void *arg)
{
    struct ring *r = arg;
    bool last = meet(r);
    pass(WARM);
    if (last) {
        r->before = r->count;
        r->begin = bench_cpu();
    }
    for (long i = 0; i < r->rounds; i++) {
        r->count++;
        weft_yield();
    }
    if (last) {
        r->end = bench_cpu();
        r->after = r->count;
    }
    pass(WARM);
    return 0;
}

static int start_all(void *arg)
{
    struct ring *r = arg;
    int rc = 0;
    {
        WEFT_GROUP(g, &rc);
        for (long i = 0; i < r->tasks; i++)
            weft_future_unref(weft_task_start(member, r));
    }
    return rc;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long tasks = ask->param[0];
    struct ring r = {.tasks = tasks, .rounds = (long)ask->ops / tasks};
    r.waiters = calloc((size_t)tasks, sizeof *r.waiters);
    if (weft_run(start_all, &r) != 0)
        bench_fail("weft_run failed");
    reply->value = (r.end - r.begin) / (double)(r.after - r.before);
    reply->answer = r.count;
    free(r.waiters);
    // 1 if the others yielded as often as the last.
    reply->more[0] = (double)(r.after - r.before) / (double)r.count;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
#ifdef BENCH_HAVE_FCONTEXT
    {"jump_fcontext", BENCH_FLOOR, .fn = floor_fcontext},
#endif
    {"function call", BENCH_FLOOR, .fn = floor_call},
    {"Boost.Fiber", BENCH_PEER, .program = "yield_boost_fiber",
     .package = "libboost-fiber-dev"},
    {"Go", BENCH_PEER, .program = "yield_go", .package = "golang-go"},
    {"tokio", BENCH_PEER, .program = "yield_tokio",
     .package = "librust-tokio-dev"},
    {"asyncio", BENCH_PEER, .program = "yield_asyncio", .package = "python3"},
    {0}};

static void ask(const char *name, long tasks, long ops, double bar)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "one yield",
                                       .unit = "ns",
                                       .ops = (uint64_t)ops,
                                       .warm = (uint64_t)tasks * 2,
                                       .params = {{"tasks", tasks}},
                                       .more = {"share"},
                                       .bar = bar},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("yield", argc, argv);
    long many = bench_pick(100000, 100000, 300);
    ask("yield/2", 2, bench_pick(4000000, 1000000, 2000), 10);
    ask("yield/10", 10, bench_pick(4000000, 1000000, 2000), 0);
    ask("yield/1000", 1000, bench_pick(4000000, 1000000, 2000), 30);
    ask("yield/10000", bench_pick(10000, 10000, 300),
        bench_pick(4000000, 1000000, 2000), 0);
    ask("yield/100000", many, many * bench_pick(10, 4, 5), 150);
    return bench_end();
}
