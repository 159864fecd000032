// SPDX-License-Identifier: MIT
//
// world.h: who meets at an object. The same case runs between threads, between
// tasks of one worker, between tasks of several workers, and between a task
// and threads.
#ifndef WEFT_WORLD_H
#define WEFT_WORLD_H

#include "kit.h"

#include "future/future.h"

enum world {
    THREADS,
    TASKS,         // of one worker
    WORKERS,       // tasks of three workers
    TASKS_THREADS, // by turns, first a task; the case itself runs in a thread
    WORLDS
};

static enum world world __attribute__((unused));
static unsigned world_started __attribute__((unused));

static const char *const world_names[WORLDS] __attribute__((unused)) = {
    "thread-thread", "task-task", "worker-worker", "thread-task"};

// Starts somebody else, of the world's kind.
static inline weft_future *world_start(weft_function *fn, void *arg)
{
    bool thread = world == THREADS ||
                  (world == TASKS_THREADS && world_started++ % 2 != 0);
    return thread ? weft_thread_start(fn, arg) : weft_task_start(fn, arg);
}

// Returns when f waits for what the kind says (enum wi_wait_kind): then it
// stands in line.
static inline void world_await(weft_future *f, unsigned kind)
{
    struct wi_task *t = wi_of_future(f);

    while (__atomic_load_n(&t->wait_kind, __ATOMIC_ACQUIRE) != kind)
        if (weft_yield() < 0)
            sched_yield();
}

// As many as the case wants; joined in the order of starting.
struct world_bunch {
    weft_future *f[16];
    int n;
};

static inline weft_future *world_add(struct world_bunch *b, weft_function *fn,
                                     void *arg)
{
    ck_assert_int_lt(b->n, 16);
    return b->f[b->n++] = world_start(fn, arg);
}

static inline void world_join(struct world_bunch *b, int code)
{
    for (int i = 0; i < b->n; i++)
        kit_assert_code(weft_join(b->f[i]), code);
    b->n = 0;
}

struct world_body {
    void (*run)(void);
};

static inline int world_main(void *arg)
{
    ((struct world_body *)arg)->run();
    return 0;
}

static inline void world_run(enum world which, void (*run)(void))
{
    struct world_body body = {run};
    world = which;
    world_started = 0;
    if (which == TASKS)
        kit_assert_code(weft_run(world_main, &body), 0);
    else if (which == WORKERS)
        kit_assert_code(weft_run(world_main, &body, .workers = 3), 0);
    else
        run();
}

// The same body as one case for each world.
#define WORLD_CASE(name, suffix, which, ...)                                   \
    WEFT_TEST(name##suffix, __VA_ARGS__)                                       \
    {                                                                          \
        world_run(which, world_body_##name);                                   \
    }
#define WORLD_TEST(name, ...)                                                  \
    static void world_body_##name(void);                                       \
    WORLD_CASE(name, _of_threads, THREADS, __VA_ARGS__)                        \
    WORLD_CASE(name, _of_tasks, TASKS, __VA_ARGS__)                            \
    WORLD_CASE(name, _of_workers, WORKERS, __VA_ARGS__)                        \
    WORLD_CASE(name, _of_both, TASKS_THREADS, __VA_ARGS__)                     \
    static void world_body_##name(void)

#endif
