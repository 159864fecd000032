// SPDX-License-Identifier: MIT
// spawn_join: what does it cost to start a task, run it and have its result,
// on one worker that is warm?
//
//  inlined     joined at once: the join calls the child on its own stack
//  switched    the parent yields, the child runs elsewhere, then it is joined
//  parked      joined at once, but the child yields once before it ends
//  two handles a second handle forbids the inline call: the parent parks and
//              the child wakes it
//  batch       a thousand are started, then all are joined
#include <pthread.h>
#include <stdlib.h>
#include <weft.h>

#include "floor.h"
#include "support/bench.h"

enum { BATCH = 1000, WARM = 2000 };

struct job {
    uint64_t ops;
    uint64_t sum;
    double begin, end;
    void (*loop)(struct job *job, uint64_t n);
};

static int child(void *arg)
{
    return (int)((uintptr_t)arg & 255);
}

static int child_that_yields(void *arg)
{
    weft_yield();
    return child(arg);
}

static void *number(uint64_t i)
{
    return (void *)(uintptr_t)i;
}

static void inlined(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        job->sum += (uint64_t)weft_join(weft_task_start(child, number(i)));
}

static void switched(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        weft_future *f = weft_task_start(child, number(i));
        weft_yield();
        job->sum += (uint64_t)weft_join(f);
    }
}

static void parked(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        job->sum +=
            (uint64_t)weft_join(weft_task_start(child_that_yields, number(i)));
}

static void two_handles(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        weft_future *f = weft_task_start(child, number(i));
        weft_future *again = weft_future_ref(f);
        job->sum += (uint64_t)weft_join(f);
        weft_future_unref(again);
    }
}

static void batch(struct job *job, uint64_t n)
{
    static weft_future *set[BATCH];
    for (uint64_t done = 0; done < n; done += BATCH) {
        uint64_t left = n - done < BATCH ? n - done : BATCH;
        for (uint64_t i = 0; i < left; i++)
            set[i] = weft_task_start(child, number(done + i));
        for (uint64_t i = 0; i < left; i++)
            job->sum += (uint64_t)weft_join(set[i]);
    }
}

static int run_job(void *arg)
{
    struct job *job = arg;
    job->loop(job, WARM);
    job->sum = 0;
    job->begin = bench_cpu();
    job->loop(job, job->ops);
    job->end = bench_cpu();
    return 0;
}

static void weft_side(void (*loop)(struct job *, uint64_t),
                      const struct bench_ask *ask, struct bench_reply *reply)
{
    struct job job = {.ops = ask->ops, .loop = loop};
    if (weft_run(run_job, &job) != 0)
        bench_fail("weft_run failed");
    reply->value = (job.end - job.begin) / (double)job.ops;
    reply->answer = job.sum;
}

#define SIDE(loop)                                                             \
    static void loop##_side(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        weft_side(loop, ask, reply);                                           \
    }
SIDE(inlined)
SIDE(switched)
SIDE(parked)
SIDE(two_handles)
SIDE(batch)

static void call_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    int (*volatile call)(void *) = child;
    uint64_t sum = 0;
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++)
        sum += (uint64_t)call(number(i));
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    reply->answer = sum;
}

// A record of the size of a future from malloc, a call, and free.
static void malloc_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    void *(*volatile take)(size_t) = malloc;
    int (*volatile call)(void *) = child;
    uint64_t sum = 0;
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        void *volatile *record = take(192);
        record[0] = number(i);
        sum += (uint64_t)call(record[0]);
        free((void *)record);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    reply->answer = sum;
}

static void *thread_child(void *arg)
{
    return number((uint64_t)child(arg));
}

// The same with an OS thread; a thousandth of the number, then as often as it
// takes to know the sum.
static void thread_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t n = ask->ops / 1000 + 1, sum = 0;
    double begin = bench_cpu();
    for (uint64_t i = 0; i < n; i++) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, NULL, thread_child, number(i)) != 0)
            bench_fail("pthread_create failed");
        pthread_join(thread, &result);
        sum += (uintptr_t)result;
    }
    reply->value = (bench_cpu() - begin) / (double)n;
    for (uint64_t i = n; i < ask->ops; i++)
        sum += (uint64_t)child(number(i));
    reply->answer = sum;
}

// `calls`: also those peers whose child is a mere call, on the stack of the
// join, and cannot wait for anything.
static void ask(const char *name, const char *what, bench_fn *weft, long ops,
                double bar, bool calls)
{
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = weft},
        {"malloc, call, free", BENCH_FLOOR, .fn = malloc_side},
        {"function call", BENCH_FLOOR, .fn = call_side},
        {"Boost.Fiber", BENCH_PEER, .program = "spawn_join_boost_fiber",
         .package = "libboost-fiber-dev"},
        {"Go", BENCH_PEER, .program = "spawn_join_go", .package = "golang-go"},
        {"tokio", BENCH_PEER, .program = "spawn_join_tokio",
         .package = "librust-tokio-dev"},
        {"asyncio", BENCH_PEER, .program = "spawn_join_asyncio",
         .package = "python3"},
        {"std::async", BENCH_PEER, .program = "spawn_join_std",
         .package = "g++"},
        {"pthread", BENCH_PEER, .fn = thread_side},
        {"Python threading", BENCH_PEER, .program = "spawn_join_threading",
         .package = "python3"},
        {calls ? "oneTBB" : NULL, BENCH_PEER, .program = "spawn_join_tbb",
         .package = "libtbb-dev"},
        {"OpenMP", BENCH_PEER, .program = "spawn_join_openmp",
         .package = "a compiler with OpenMP"},
        {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = what,
                                       .unit = "ns",
                                       .ops = (uint64_t)ops,
                                       .warm = 2000,
                                       .bar = bar},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("spawn_join", argc, argv);
    long n = bench_pick(1000000, 300000, 2000);
    ask("spawn_join/inlined", "start and join", inlined_side, n, 25, true);
    ask("spawn_join/switched", "start, yield, join", switched_side, n, 70,
        false);
    ask("spawn_join/parked", "start and join a child that yields once",
        parked_side, n, 0, false);
    ask("spawn_join/two_handles", "start and join, never inline",
        two_handles_side, n, 0, false);
    ask("spawn_join/batch", "start 1000, then join 1000", batch_side, n, 0,
        true);
    return bench_end();
}
