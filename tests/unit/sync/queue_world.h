// SPDX-License-Identifier: MIT
//
// queue_world.h: one case, three worlds. The case runs in a plain thread or in
// a task, and what it starts are threads or tasks:
//
//     WORLDS(a_get_waits_for_a_put)
//     {
//         weft_future *f = start(get_one, &queue);
//         ...
//     }
//
// makes the cases a_get_waits_for_a_put_thread_thread, _task_task and
// _thread_task.
#ifndef QUEUE_WORLD_H
#define QUEUE_WORLD_H

#include "kit.h"

#include "sync/queue.h"

typedef weft_future *world_start(weft_function *fn, void *arg);

static inline weft_future *world_thread(weft_function *fn, void *arg)
{
    return weft_thread_start(fn, arg);
}

static inline weft_future *world_task(weft_function *fn, void *arg)
{
    return weft_task_start(fn, arg);
}

#define WORLDS(name, ...)                                                      \
    static void world_##name(world_start *start);                              \
    static int world_main_##name(void *arg)                                    \
    {                                                                          \
        (void)arg;                                                             \
        world_##name(world_task);                                              \
        return 0;                                                              \
    }                                                                          \
    WEFT_TEST(name##_thread_thread, __VA_ARGS__)                               \
    {                                                                          \
        world_##name(world_thread);                                            \
    }                                                                          \
    WEFT_TEST(name##_task_task, __VA_ARGS__)                                   \
    {                                                                          \
        ck_assert_int_eq(weft_run(world_main_##name, NULL), 0);                \
    }                                                                          \
    WEFT_TEST(name##_thread_task, __VA_ARGS__)                                 \
    {                                                                          \
        world_##name(world_task);                                              \
    }                                                                          \
    static void world_##name(world_start *start __attribute__((unused)))

// Lets others run: tasks of this worker, threads of the process.
static inline void world_turn(void)
{
    if (wi_here.worker != NULL)
        weft_yield();
    sched_yield();
}

// Until n callers are listed on this side of the queue.
static inline void await_listed(weft_queue *q, bool put, int n)
{
    for (int have = -1; have != n; world_turn()) {
        struct wi_side *side = wi_queue_side(q, put);
        have = 0;
        wi_mutex_lock(side->lock);
        for (struct wi_waiter *w = side->waiting.first; w != NULL; w = w->next)
            have++;
        wi_mutex_unlock(side->lock);
    }
}

static inline void await_joiners(weft_queue *q, int n)
{
    for (int have = -1; have != n; world_turn()) {
        have = 0;
        wi_mutex_lock(&q->join_lock);
        for (struct wi_waiter *w = q->joiners.first; w != NULL; w = w->next)
            have++;
        wi_mutex_unlock(&q->join_lock);
    }
}

#endif
