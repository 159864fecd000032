// SPDX-License-Identifier: MIT
// map: a tiny function over very many numbers, on threads and on processes: the
// time of it all for one element. Chunks are as large as each library chooses
// by itself, or where it does not, a thousandth of the whole.
#include <stdlib.h>
#include <weft.h>

#include "support/bench.h"

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
}

static long *numbers(uint64_t n)
{
    long *all = malloc(n * sizeof *all);
    if (all == NULL)
        bench_fail("no memory");
    for (uint64_t i = 0; i < n; i++)
        all[i] = (long)i;
    return all;
}

static uint64_t sum_of(const long *all, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += (uint64_t)all[i];
    return sum;
}

static void run(const struct bench_ask *ask, struct bench_reply *reply,
                weft_executor *ex)
{
    uint64_t n = ask->ops;
    long *in = numbers(n), *out = numbers(n);
    if (weft_map(ex, triple, in, n < 10000 ? n : 10000, out) != 0)
        bench_fail("weft_map failed");
    double begin = bench_wall(), cpu = bench_cpu();
    if (weft_map(ex, triple, in, n, out) != 0)
        bench_fail("weft_map failed");
    reply->value = (bench_wall() - begin) / (double)n;
    reply->more[0] = (bench_cpu() - cpu) / (double)n;
    reply->answer = sum_of(out, n);
    weft_executor_close(ex);
    free(in);
    free(out);
}

static void thread_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    run(ask, reply, weft_thread_pool(.workers = (unsigned)ask->param[0]));
}

static void process_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    run(ask, reply, weft_process_pool(.workers = (unsigned)ask->param[0]));
}

static void loop_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t n = ask->ops;
    long *in = numbers(n), *out = numbers(n);
    long (*volatile call)(long) = triple;
    double begin = bench_wall(), cpu = bench_cpu();
    for (uint64_t i = 0; i < n; i++)
        out[i] = call(in[i]);
    reply->value = (bench_wall() - begin) / (double)n;
    reply->more[0] = (bench_cpu() - cpu) / (double)n;
    reply->answer = sum_of(out, n);
    free(in);
    free(out);
}

static void ask(const char *name, bench_fn *weft, const char *peer, long n,
                double bar)
{
    const struct bench_side sides[] = {{"weft", BENCH_WEFT, .fn = weft},
                                       {"a loop", BENCH_FLOOR, .fn = loop_side},
                                       {"Python executor", BENCH_PEER,
                                        .program = peer, .package = "python3",
                                        .part = 10},
                                       {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "one tiny element of a map",
                                       .unit = "ns",
                                       .ops = (uint64_t)n,
                                       .warm = 5000,
                                       .params = {{"workers", 2}},
                                       .more = {"cpu_of_the_caller"},
                                       .bar = bar},
              sides);
}

int main(int argc, char **argv)
{
    weft_main_hook();
    bench_start("map", argc, argv);
    // Python's threads make a future for each element.
    ask("map/threads", thread_side, "map_threads_python",
        bench_pick(200000, 100000, 5000), 0);
    ask("map/processes", process_side, "map_processes_python",
        bench_pick(2000000, 500000, 5000), 33);
    return bench_end();
}
