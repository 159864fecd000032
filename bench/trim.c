// SPDX-License-Identifier: MIT
// trim: after a peak of parked tasks, does the memory go back? Resident memory
// five seconds (three in a short run, after half as many) after the last of
// them has ended, over what it was before.
// Another thread looks every 50 ms; the worker sleeps undisturbed.
#include <math.h>
#include <pthread.h>
#include <time.h>
#include <weft.h>

#include "support/bench.h"

enum { MS = 1000 * 1000 };

struct peak {
    long tasks, arrived;
    bool open;
    weft_waiter **waiters;
    double idle; // seconds
    double start, top, end;
    double start_tables, end_tables;
    double ended;   // when the last task had ended
    double back;    // when memory was back, 0: never
    uint32_t state; // of the looker: 0 not yet, 1 look, 2 stop
};

static int wait_inside(void *arg)
{
    struct peak *p = arg;
    p->waiters[p->arrived++] = weft_self();
    while (!p->open)
        if (weft_park(INFINITY) != 0)
            bench_fail("weft_park failed");
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return weft_yield();
}

// Everything but the array of waiters, which is the program's own.
static double memory(void)
{
    return bench_rss();
}

static int rise(struct peak *p)
{
    weft_group *g = weft_group_open();
    for (long i = 0; i < p->tasks; i++)
        weft_future_unref(weft_task_start(wait_inside, p));
    while (p->arrived < p->tasks)
        weft_yield();
    p->top = memory();
    p->open = true;
    for (long i = 0; i < p->tasks; i++)
        weft_unpark(p->waiters[i]);
    return weft_group_close(g);
}

static int peak_main(void *arg)
{
    struct peak *p = arg;
    weft_join(weft_task_start(nothing, NULL));
    p->start = memory();
    p->start_tables = bench_page_tables();
    rise(p);
    p->ended = bench_wall();
    // release; partner: the looker
    __atomic_store_n(&p->state, 1, __ATOMIC_RELEASE);
    weft_sleep(p->idle);
    p->end = memory();
    p->end_tables = bench_page_tables();
    return 0;
}

static void *look(void *arg)
{
    struct peak *p = arg;
    const struct timespec pause = {.tv_nsec = 50 * MS};
    uint32_t state;
    // acquire; partner: peak_main and weft_side
    while ((state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE)) != 2) {
        if (state == 1 && p->back == 0 && memory() <= 1.1 * p->start)
            p->back = bench_wall();
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    static weft_waiter *waiters[200000];
    struct peak p = {.tasks = (long)ask->ops,
                     .waiters = waiters,
                     .idle = (double)ask->param[0] / 1000};
    pthread_t looker;
    for (uint64_t i = 0; i < ask->ops; i += 512)
        ((weft_waiter *volatile *)waiters)[i] = NULL;
    pthread_create(&looker, NULL, look, &p);
    if (weft_run(peak_main, &p) != 0)
        bench_fail("weft_run failed");
    __atomic_store_n(&p.state, 2, __ATOMIC_RELEASE);
    pthread_join(looker, NULL);
    reply->value = p.end / p.start;
    reply->answer = (uint64_t)p.arrived;
    reply->more[0] = p.start;
    reply->more[1] = p.top;
    reply->more[2] = p.end;
    reply->more[3] = p.back != 0 ? (p.back - p.ended) / 1e9 : -1;
    reply->more[4] = p.start_tables;
    reply->more[5] = p.end_tables;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"Go", BENCH_PEER, .program = "trim_go", .package = "golang-go"},
    {0}};

int main(int argc, char **argv)
{
    bench_start("trim", argc, argv);
    bench_ask(
        &(struct bench_question){
            .name = "trim",
            .what = "resident memory when idle after a peak, over the "
                    "start",
            .unit = "times",
            .ops = (uint64_t)bench_pick(200000, 100000, 300),
            .slow = true,
            .params = {{"idle_ms", bench_pick(5000, 3000, 100)}},
            .more = {"start", "peak", "end", "seconds_until_back",
                     "start_page_tables", "end_page_tables"},
            .bar = 1.1,
            .reps = (unsigned)bench_pick(7, 1, 1)},
        sides);
    return bench_end();
}
