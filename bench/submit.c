// SPDX-License-Identifier: MIT
// submit: what does it cost a plain thread, or a job of the pool itself
// (inside), to give a job to a thread pool? Bursts of 10,000; the figure is the
// CPU time of the submitting thread alone for the submits alone. Then it waits
// for every result and adds them up.
#include <stdlib.h>
#include <weft.h>

#include "support/bench.h"

enum { BURST = 10000, WARM_BURSTS = 3 };

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
}

static weft_future *futures[BURST];

static uint64_t collect(long n)
{
    uint64_t sum = 0;
    for (long i = 0; i < n; i++) {
        long x;
        if (weft_result(futures[i], &x) != 0)
            bench_fail("weft_result failed");
        sum += (uint64_t)x;
    }
    return sum;
}

static double burst(weft_executor *ex, long n)
{
    double begin = bench_thread_cpu();
    for (long i = 0; i < n; i++)
        futures[i] = weft_submit(ex, triple, i);
    return bench_thread_cpu() - begin;
}

static void bursts(weft_executor *ex, const struct bench_ask *ask,
                   struct bench_reply *reply)
{
    long n = ask->ops < BURST ? (long)ask->ops : BURST;
    uint64_t count = ask->ops / (uint64_t)n;
    double submit = 0, begin, wall;
    for (int i = 0; i < WARM_BURSTS; i++) {
        burst(ex, n);
        collect(n);
    }
    begin = bench_cpu();
    wall = bench_wall();
    for (uint64_t i = 0; i < count; i++) {
        submit += burst(ex, n);
        reply->answer += collect(n);
    }
    double jobs = (double)count * (double)n;
    reply->value = submit / jobs;
    reply->more[0] = (bench_cpu() - begin) / jobs;
    reply->more[1] = (bench_wall() - wall) / jobs;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_thread_pool(.workers = (unsigned)ask->param[0]);
    bursts(ex, ask, reply);
    weft_executor_close(ex);
}

// By a job of the pool.
struct place {
    weft_executor *ex;
    const struct bench_ask *ask;
    struct bench_reply *reply;
};
WEFT_JOB(int, bursts_inside, struct place, p)
{
    bursts(p.ex, p.ask, p.reply);
    return 0;
}

static void inside_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_thread_pool(.workers = (unsigned)ask->param[0]);
    int out;
    if (weft_result(weft_submit(ex, bursts_inside, ex, ask, reply), &out) != 0)
        bench_fail("the job failed");
    weft_executor_close(ex);
}

// The least: a record from malloc with the call in it, and one compare-and-swap
// that puts it on a list; whoever takes the list runs it.
struct entry {
    struct entry *next;
    long (*fn)(long);
    long arg;
};

static struct entry *list;

static void push(long i)
{
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        bench_fail("no memory");
    entry->fn = triple;
    entry->arg = i;
    entry->next = __atomic_load_n(&list, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&list, &entry->next, entry, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static uint64_t run_list(void)
{
    uint64_t sum = 0;
    struct entry *next,
        *entry = __atomic_exchange_n(&list, NULL, __ATOMIC_ACQUIRE);
    for (; entry != NULL; entry = next) {
        next = entry->next;
        sum += (uint64_t)entry->fn(entry->arg);
        free(entry);
    }
    return sum;
}

static void list_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long n = ask->ops < BURST ? (long)ask->ops : BURST;
    uint64_t bursts = ask->ops / (uint64_t)n;
    double submit = 0;
    for (uint64_t i = 0; i < bursts; i++) {
        double begin = bench_thread_cpu();
        for (long k = 0; k < n; k++)
            push(k);
        submit += bench_thread_cpu() - begin;
        reply->answer += run_list();
    }
    reply->value = submit / (double)bursts / (double)n;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"malloc and push", BENCH_FLOOR, .fn = list_side},
    {"GThreadPool", BENCH_PEER, .program = "submit_glib",
     .package = "libglib2.0-dev"},
    {"Boost.Asio", BENCH_PEER, .program = "submit_asio",
     .package = "libboost-dev"},
    {"libuv", BENCH_PEER, .program = "submit_libuv", .package = "libuv1-dev"},
    {"Python", BENCH_PEER, .program = "submit_python", .package = "python3"},
    {"oneTBB", BENCH_PEER, .program = "submit_tbb", .package = "libtbb-dev"},
    {"tokio", BENCH_PEER, .program = "submit_tokio",
     .package = "librust-tokio-dev"},
    {"rayon", BENCH_PEER, .program = "submit_rayon",
     .package = "librust-rayon-dev"},
    {"Go", BENCH_PEER, .program = "submit_go", .package = "golang-go"},
    {0}};

static const struct bench_side inside_sides[] = {
    {"weft", BENCH_WEFT, .fn = inside_side},
    {"malloc and push", BENCH_FLOOR, .fn = list_side},
    {0}};

static void ask(const char *name, const char *what, long workers, double bar,
                const struct bench_side *sides)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = what,
            .unit = "ns",
            .ops = (uint64_t)bench_pick(1000000, 200000, 1000),
            .warm = 20000,
            .params = {{"workers", workers}},
            .more = {"cpu_ns_of_all_threads", "wall_ns"},
            .bar = bar},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("submit", argc, argv);
    const char *what = "one submit, the submitter's CPU time";
    ask("submit/1", what, 1, 25, sides);
    ask("submit/2", what, 2, 25, sides);
    what = "one submit by a job of the pool";
    ask("submit/inside/1", what, 1, 8, inside_sides);
    ask("submit/inside/2", what, 2, 8, inside_sides);
    return bench_end();
}
