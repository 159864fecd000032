// SPDX-License-Identifier: MIT
// pipeline: numbers go through three stages: they are made one after the other,
// each is worked on for some ten nanoseconds, and they are added up in order.
// The figure is the CPU time of all threads for one of them: stages that are as
// short as these show what a pipeline itself needs, and many tokens, items that
// may be under way at once, what each of them costs. What is worked on for
// longer shows by the clock from when on two workers are quicker than a loop.
#include <weft.h>

#include "kernels.h"
#include "support/bench.h"

struct numbers {
    long left, rounds;
    uint64_t sum;
};

static int make(void **item, void *arg)
{
    struct numbers *n = arg;
    if (n->left == 0)
        return 1;
    *item = (void *)(uintptr_t)n->left--;
    return 0;
}

static int work(void **item, void *arg)
{
    const struct numbers *n = arg;
    *item =
        (void *)(uintptr_t)pipeline_work((uint64_t)(uintptr_t)*item, n->rounds);
    return 0;
}

static int add(void **item, void *arg)
{
    struct numbers *n = arg;
    n->sum += (uint64_t)(uintptr_t)*item;
    return 0;
}

static void run(weft_executor *ex, size_t tokens, struct numbers *n)
{
    static const struct weft_stage stages[] = {
        {make, false}, {work, true}, {add, false}};
    void *const args[] = {n, n, n};
    if (weft_pipeline(stages, 3, args, .executor = ex, .tokens = tokens) != 0)
        bench_fail("weft_pipeline failed");
}

static void figures(const struct bench_ask *ask, struct bench_reply *reply,
                    double cpu, double wall)
{
    cpu = (bench_cpu() - cpu) / (double)ask->ops;
    wall = (bench_wall() - wall) / (double)ask->ops;
    bool short_ones = ask->param[2] == 1;
    reply->value = short_ones ? cpu : wall;
    reply->more[0] = short_ones ? wall : cpu;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_thread_pool(.workers = (unsigned)ask->param[0]);
    struct numbers n = {.left = (long)ask->ops, .rounds = ask->param[2]};
    struct numbers warm = {.left = 1000, .rounds = n.rounds};
    size_t tokens = (size_t)ask->param[1];
    run(ex, tokens, &warm);
    double cpu = bench_cpu(), wall = bench_wall();
    run(ex, tokens, &n);
    figures(ask, reply, cpu, wall);
    reply->answer = n.sum;
    weft_executor_close(ex);
}

static void loop_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct numbers n = {.left = (long)ask->ops, .rounds = ask->param[2]};
    int (*volatile stages[3])(void **, void *) = {make, work, add};
    double cpu = bench_cpu(), wall = bench_wall();
    void *item = NULL;
    while (stages[0](&item, &n) == 0) {
        stages[1](&item, &n);
        stages[2](&item, &n);
    }
    figures(ask, reply, cpu, wall);
    reply->answer = n.sum;
}

static void ask(const char *name, long tokens, long rounds)
{
    static const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = weft_side},
        {"a loop", BENCH_FLOOR, .fn = loop_side},
        {"oneTBB", BENCH_PEER, .program = "pipeline_tbb",
         .package = "libtbb-dev"},
        {0}};
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = rounds == 1 ? "one item through three short stages"
                                : "one item through three stages, by the clock",
            .unit = "ns",
            .ops =
                (uint64_t)(bench_pick(1000000, 200000, 5000) / rounds + 1000),
            .params = {{"workers", 2}, {"tokens", tokens}, {"rounds", rounds}},
            .more = {rounds == 1 ? "wall_ns" : "cpu_ns"}},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("pipeline", argc, argv);
    ask("pipeline/16", 16, 1);
    ask("pipeline/1000", 1000, 1);
    ask("pipeline/10000", 10000, 1);
    ask("pipeline/200ns", 16, 20);
    ask("pipeline/1us", 16, 100);
    ask("pipeline/10us", 16, 1000);
    return bench_end();
}
