// SPDX-License-Identifier: MIT
// park: two tasks of one worker hand a turn to and fro. One operation is one
// weft_unpark of the other and one weft_park of oneself.
#include <math.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <weft.h>

#include "floor.h"
#include "support/bench.h"

enum { WARM = 1000 }; // turns before, which are not counted

struct game {
    uint64_t ops;   // turns in all
    uint64_t turns; // turns taken
    int turn;       // whose it is
    weft_waiter *player[2];
    double begin, end;
};

struct player {
    struct game *game;
    int me;
};

static int play(void *arg)
{
    struct player *p = arg;
    struct game *g = p->game;
    g->player[p->me] = weft_self();
    while (g->player[!p->me] == NULL)
        weft_yield();
    for (;;) {
        while (g->turn != p->me)
            if (weft_park(INFINITY) != 0)
                bench_fail("weft_park failed");
        if (g->turns == WARM)
            g->begin = bench_cpu();
        if (g->turns == WARM + g->ops)
            g->end = bench_cpu();
        bool last = g->turns > WARM + g->ops;
        g->turns++;
        g->turn = !p->me;
        weft_unpark(g->player[!p->me]);
        if (last)
            return 0;
    }
}

static int start_both(void *arg)
{
    struct game *g = arg;
    struct player players[2] = {{g, 0}, {g, 1}};
    int rc = 0;
    {
        WEFT_GROUP(group, &rc);
        weft_future_unref(weft_task_start(play, &players[0]));
        weft_future_unref(weft_task_start(play, &players[1]));
    }
    return rc;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct game g = {.ops = ask->ops & ~(uint64_t)1};
    if (weft_run(start_both, &g) != 0)
        bench_fail("weft_run failed");
    reply->value = (g.end - g.begin) / (double)g.ops;
    // Each takes one more turn after the last that counts, one takes two.
    reply->answer = g.turns - WARM - 3;
}

// Two threads on one CPU and a word for each: what threads pay for the same.
struct table {
    uint64_t ops;
    uint64_t turns;
    uint32_t turn[2];
    int pipes[2][2];
    void (*wait)(struct table *t, int me);
    void (*wake)(struct table *t, int other);
};

static void futex_wait(struct table *t, int me)
{
    // acquire; partner: the store in futex_wake
    while (__atomic_load_n(&t->turn[me], __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &t->turn[me], FUTEX_WAIT_PRIVATE, 0, NULL);
    __atomic_store_n(&t->turn[me], 0, __ATOMIC_RELAXED);
}

static void futex_wake(struct table *t, int other)
{
    // release; partner: the load in futex_wait
    __atomic_store_n(&t->turn[other], 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &t->turn[other], FUTEX_WAKE_PRIVATE, 1);
}

static void pipe_wait(struct table *t, int me)
{
    char c;
    if (read(t->pipes[me][0], &c, 1) != 1)
        bench_fail("read failed");
}

static void pipe_wake(struct table *t, int other)
{
    if (write(t->pipes[other][1], "x", 1) != 1)
        bench_fail("write failed");
}

static void *second_thread(void *arg)
{
    struct table *t = arg;
    for (uint64_t i = 0; i < t->ops / 2; i++) {
        t->wait(t, 1);
        t->turns++;
        t->wake(t, 0);
    }
    return NULL;
}

static void play_threads(struct table *t, struct bench_reply *reply)
{
    pthread_t thread;
    bench_pin();
    if (pthread_create(&thread, NULL, second_thread, t) != 0)
        bench_fail("pthread_create failed");
    double begin = bench_cpu();
    for (uint64_t i = 0; i < t->ops / 2; i++) {
        t->turns++;
        t->wake(t, 1);
        t->wait(t, 0);
    }
    reply->value = (bench_cpu() - begin) / (double)t->ops;
    pthread_join(thread, NULL);
}

// A fiftieth of the number; the answer is told as if it were all.
static uint64_t some(uint64_t ops)
{
    return (ops / 50 & ~(uint64_t)1) + 2;
}

static void futex_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct table t = {
        .ops = some(ask->ops), .wait = futex_wait, .wake = futex_wake};
    play_threads(&t, reply);
    reply->answer = (ask->ops & ~(uint64_t)1) + t.turns - t.ops;
}

static void pipe_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct table t = {
        .ops = some(ask->ops), .wait = pipe_wait, .wake = pipe_wake};
    if (pipe(t.pipes[0]) != 0 || pipe(t.pipes[1]) != 0)
        bench_fail("pipe failed");
    play_threads(&t, reply);
    reply->answer = (ask->ops & ~(uint64_t)1) + t.turns - t.ops;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
#ifdef BENCH_HAVE_FCONTEXT
    {"jump_fcontext", BENCH_FLOOR, .fn = floor_fcontext},
#endif
    {"function call", BENCH_FLOOR, .fn = floor_call},
    {"Boost.Fiber", BENCH_PEER, .program = "park_boost_fiber",
     .package = "libboost-fiber-dev"},
    {"Go channel", BENCH_PEER, .program = "park_go", .package = "golang-go"},
    {"tokio", BENCH_PEER, .program = "park_tokio",
     .package = "librust-tokio-dev"},
    {"asyncio", BENCH_PEER, .program = "park_asyncio", .package = "python3",
     .part = 4},
    {"futex, 2 threads", BENCH_PEER, .fn = futex_side},
    {"pipe, 2 threads", BENCH_PEER, .fn = pipe_side},
    {0}};

int main(int argc, char **argv)
{
    bench_start("park", argc, argv);
    bench_ask(&(struct bench_question){.name = "park",
                                       .what = "one unpark and one park",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           10000000, 2000000, 2000),
                                       .warm = 2000,
                                       .params = {{"tasks", 2}},
                                       .bar = 30},
              sides);
    return bench_end();
}
