// SPDX-License-Identifier: MIT
// idle: what does it cost to have nothing to do? CPU time in a second of
// waiting, of a thread pool that has done some work, and of a loop with a
// thousand tasks that wait for something that does not come.
#include <math.h>
#include <time.h>
#include <weft.h>

#include "support/bench.h"

enum { JOBS = 100, TASKS = 1000 };

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

// A while after the work, as some spin for a moment: half the time.
static double begin_idle(const struct bench_ask *ask)
{
    sleep_ms(ask->param[0] / 2);
    return bench_cpu();
}

static void tell(const struct bench_ask *ask, struct bench_reply *reply,
                 double begin)
{
    reply->value = (bench_cpu() - begin) / (double)ask->param[0];
}

WEFT_JOB(long, one, long, x)
{
    return x;
}

static void pool_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_future *futures[JOBS];
    for (long i = 0; i < JOBS; i++)
        futures[i] = weft_submit(ex, one, 1);
    for (long i = 0; i < JOBS; i++) {
        long x = 0;
        if (weft_result(futures[i], &x) != 0)
            bench_fail("weft_result failed");
        reply->answer += (uint64_t)x;
    }
    double begin = begin_idle(ask);
    sleep_ms(ask->param[0]);
    tell(ask, reply, begin);
    weft_executor_close(ex);
}

// The least: a thread that sleeps and looks at the clock.
static void sleep_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    double begin = begin_idle(ask);
    sleep_ms(ask->param[0]);
    tell(ask, reply, begin);
    reply->answer = (uint64_t)ask->param[1];
}

struct crowd {
    const struct bench_ask *ask;
    struct bench_reply *reply;
};

static int wait_for_nothing(void *arg)
{
    struct crowd *c = arg;
    c->reply->answer++;
    return weft_park(INFINITY);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    weft_group *g = weft_group_open();
    for (long i = 0; i < TASKS; i++)
        weft_future_unref(weft_task_start(wait_for_nothing, c));
    while (c->reply->answer < TASKS)
        weft_yield();
    weft_sleep((double)c->ask->param[0] / 2000);
    double begin = bench_cpu();
    weft_sleep((double)c->ask->param[0] / 1000);
    tell(c->ask, c->reply, begin);
    weft_group_cancel(g);
    weft_group_close(g);
    return 0;
}

static void tasks_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct crowd c = {ask, reply};
    if (weft_run(crowd_main, &c) != 0)
        bench_fail("weft_run failed");
}

static const struct bench_side pool_sides[] = {
    {"weft", BENCH_WEFT, .fn = pool_side},
    {"sleep", BENCH_FLOOR, .fn = sleep_side},
    {"GThreadPool", BENCH_PEER, .program = "idle_glib",
     .package = "libglib2.0-dev"},
    {"Boost.Asio", BENCH_PEER, .program = "idle_asio",
     .package = "libboost-dev"},
    {"oneTBB", BENCH_PEER, .program = "idle_tbb", .package = "libtbb-dev"},
    {0}};
static const struct bench_side task_sides[] = {
    {"weft", BENCH_WEFT, .fn = tasks_side},
    {"sleep", BENCH_FLOOR, .fn = sleep_side},
    {"Go", BENCH_PEER, .program = "idle_go", .package = "golang-go"},
    {"asyncio", BENCH_PEER, .program = "idle_asyncio", .package = "python3"},
    {0}};

static void ask(const char *name, const char *what, long things,
                const struct bench_side *sides)
{
    long ms = bench_pick(1000, 200, 20);
    bench_ask(
        &(struct bench_question){.name = name,
                                 .what = what,
                                 .unit = "us/s",
                                 .ops = 1,
                                 .slow = true,
                                 .params = {{"ms", ms}, {"things", things}},
                                 .reps = (unsigned)bench_pick(7, 7, 1)},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("idle", argc, argv);
    ask("idle/pool", "CPU time of an idle pool of 2 in a second", JOBS,
        pool_sides);
    ask("idle/tasks", "CPU time of a loop with 1000 waiting tasks in a second",
        TASKS, task_sides);
    return bench_end();
}
