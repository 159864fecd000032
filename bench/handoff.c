// SPDX-License-Identifier: MIT
// handoff: two tasks of one worker, or two threads, hand a turn to and fro with
// an event, a semaphore or a condition. One operation is one hand-off: what is
// done to give the turn, and the other one's wait for it. Threads share a CPU;
// beside them stands a bare futex.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { WARM = 1000 };

struct game {
    uint64_t turns; // to be taken by each
    void (*give)(struct game *g, int to);
    void (*await)(struct game *g, int me);
    struct weft_event event[2];
    struct weft_semaphore semaphore[2];
    struct weft_lock lock;
    struct weft_condition condition[2];
    int turn; // under the lock, or the futex's words
    uint32_t word[2];
    uint64_t taken[2];
    double begin, end;
};

struct player {
    struct game *game;
    int me;
};

static void check(int rc)
{
    if (rc != 0)
        bench_fail("a wait failed: %d", rc);
}

static void event_give(struct game *g, int to)
{
    weft_event_set(&g->event[to]);
}

static void event_await(struct game *g, int me)
{
    check(weft_event_wait(&g->event[me]));
    weft_event_clear(&g->event[me]);
}

static void semaphore_give(struct game *g, int to)
{
    check(weft_semaphore_release(&g->semaphore[to], 1));
}

static void semaphore_await(struct game *g, int me)
{
    check(weft_semaphore_acquire(&g->semaphore[me]));
}

// The turn is given under the lock that the other one waits with.
static void condition_give(struct game *g, int to)
{
    check(weft_lock_acquire(&g->lock));
    g->turn = to;
    weft_condition_notify(&g->condition[to], 1);
    weft_lock_release(&g->lock);
}

static void condition_await(struct game *g, int me)
{
    check(weft_lock_acquire(&g->lock));
    while (g->turn != me)
        check(weft_condition_wait(&g->condition[me], &g->lock));
    weft_lock_release(&g->lock);
}

static void futex_give(struct game *g, int to)
{
    // release; partner: the exchange in futex_await
    __atomic_store_n(&g->word[to], 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &g->word[to], FUTEX_WAKE_PRIVATE, 1);
}

static void futex_await(struct game *g, int me)
{
    // acquire; partner: the store in futex_give
    while (__atomic_exchange_n(&g->word[me], 0, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &g->word[me], FUTEX_WAIT_PRIVATE, 0, NULL);
}

static int play(void *arg)
{
    struct player *p = arg;
    struct game *g = p->game;
    for (uint64_t i = 0; i < g->turns + WARM; i++) {
        if (p->me == 0 && i == WARM)
            g->begin = bench_cpu();
        g->await(g, p->me);
        g->taken[p->me]++;
        g->give(g, !p->me);
    }
    if (p->me == 0)
        g->end = bench_cpu();
    return 0;
}

static void answer(const struct bench_ask *ask, const struct game *g,
                   struct bench_reply *reply)
{
    reply->value = (g->end - g->begin) / (2.0 * (double)g->turns);
    reply->answer =
        ask->ops + g->taken[0] + g->taken[1] - 2 * (g->turns + WARM);
}

static int play_both(void *arg)
{
    struct game *g = arg;
    struct player players[2] = {{g, 0}, {g, 1}};
    int rc = 0;
    g->give(g, 0);
    {
        WEFT_GROUP(group, &rc);
        weft_future_unref(weft_task_start(play, &players[0]));
        weft_future_unref(weft_task_start(play, &players[1]));
    }
    return rc;
}

static void tasks(const struct bench_ask *ask, struct bench_reply *reply,
                  struct game *g)
{
    g->turns = ask->ops / 2;
    g->turn = -1;
    if (weft_run(play_both, g) != 0)
        bench_fail("weft_run failed");
    answer(ask, g, reply);
}

static void *play_thread(void *arg)
{
    play(arg);
    return NULL;
}

// A fiftieth of the number: a switch between threads takes that much longer.
static void threads(const struct bench_ask *ask, struct bench_reply *reply,
                    struct game *g)
{
    struct player players[2] = {{g, 0}, {g, 1}};
    pthread_t other;
    g->turns = ask->ops / 50 + 1;
    g->turn = -1;
    bench_pin();
    g->give(g, 0);
    if (pthread_create(&other, NULL, play_thread, &players[1]) != 0)
        bench_fail("pthread_create failed");
    play(&players[0]);
    pthread_join(other, NULL);
    answer(ask, g, reply);
}

#define SIDES(kind)                                                            \
    static void kind##_tasks(const struct bench_ask *ask,                      \
                             struct bench_reply *reply)                        \
    {                                                                          \
        struct game g = {.give = kind##_give, .await = kind##_await};          \
        tasks(ask, reply, &g);                                                 \
    }                                                                          \
    static void kind##_threads(const struct bench_ask *ask,                    \
                               struct bench_reply *reply)                      \
    {                                                                          \
        struct game g = {.give = kind##_give, .await = kind##_await};          \
        threads(ask, reply, &g);                                               \
    }
SIDES(event)
SIDES(semaphore)
SIDES(condition)

static void futex_threads(const struct bench_ask *ask,
                          struct bench_reply *reply)
{
    struct game g = {.give = futex_give, .await = futex_await};
    threads(ask, reply, &g);
}

static void ask_tasks(const char *name, bench_fn *fn)
{
    const struct bench_side sides[] = {{"weft", BENCH_WEFT, .fn = fn}, {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "one hand-off between two tasks",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           10000000, 2000000, 2000),
                                       .warm = 2000,
                                       .params = {{"tasks", 2}},
                                       .bar = 80},
              sides);
}

static void ask_threads(const char *name, bench_fn *fn)
{
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = fn},
        {"futex", BENCH_FLOOR, .fn = futex_threads},
        {0}};
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "one hand-off between two threads on one CPU",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(10000000, 2000000, 2000),
            .warm = 2000,
            .params = {{"threads", 2}},
            .bar = 1.05,
            .bar_against = "futex"},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("handoff", argc, argv);
    ask_tasks("handoff/event", event_tasks);
    ask_tasks("handoff/semaphore", semaphore_tasks);
    ask_tasks("handoff/condition", condition_tasks);
    ask_threads("handoff/event/threads", event_threads);
    ask_threads("handoff/semaphore/threads", semaphore_threads);
    ask_threads("handoff/condition/threads", condition_threads);
    return bench_end();
}
