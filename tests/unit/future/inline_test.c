// SPDX-License-Identifier: MIT
//
// A child that runs inside its join: what others can tell of it.
#include <errno.h>
#include <math.h>
#include <weft/weft.h>

#include "kit.h"
#include "sched/worker.h"

static weft_future *child;
static uint64_t id;

static int wait_by_id(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&id, __ATOMIC_ACQUIRE) == 0)
        weft_yield();
    int rc =
        weft_join(weft_future_open(__atomic_load_n(&id, __ATOMIC_RELAXED)));
    return rc == -ESRCH ? 7 : rc; // it had ended
}

static int publish(void *arg)
{
    (void)arg;
    __atomic_store_n(&id, weft_future_id(child), __ATOMIC_RELEASE);
    for (uint64_t n = weft_test_random() % 4000; n > 0; n--)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return 7;
}

static int publish_inside(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        __atomic_store_n(&id, 0, __ATOMIC_RELAXED);
        weft_future *other = weft_thread_start(wait_by_id, NULL);
        child = weft_task_start(publish, NULL);
        ck_assert_int_eq(weft_join(child), 7);
        ck_assert_int_eq(weft_join(other), 7);
    }
    return 0;
}

// Its own body publishes it: then others may wait, and must be told.
WEFT_TEST(waiter_by_id_is_told, .timeout = 30)
{
    ck_assert_int_eq(weft_run(publish_inside, NULL), 0);
}

static struct kit_gate gate;
static int waiting; // children at the gate

static int wait_and_say_5(void *arg)
{
    (void)arg;
    waiting++;
    int rc = kit_gate_wait(&gate);
    return rc < 0 ? rc : 5;
}

static int join_in_shield(void *arg)
{
    (void)arg;
    WEFT_SHIELD((double)INFINITY);
    return weft_join(weft_task_start(wait_and_say_5, NULL));
}

// The one waiter gives up, the other goes on: the child is not canceled.
static int get_then_join(void *arg)
{
    weft_future *f = weft_task_start(wait_and_say_5, NULL);
    *(int *)arg = weft_get_into(f, NULL, 0);
    WEFT_SHIELD((double)INFINITY);
    return weft_join(f);
}

static int cancel_joiners(void *arg)
{
    (void)arg;
    int got = 0;
    gate = kit_gate_new();
    weft_future *f = weft_task_start(join_in_shield, NULL);
    weft_future *g = weft_task_start(get_then_join, &got);
    while (waiting < 2)
        weft_yield();
    weft_cancel(f);
    weft_cancel(g);
    kit_gate_open(&gate); // those who were canceled go on first
    ck_assert_int_eq(weft_join(f), 5);
    ck_assert_int_eq(weft_join(g), 5);
    ck_assert_int_eq(got, -ECANCELED);
    kit_gate_free(&gate);
    return 0;
}

// A cancel is passed on to a child only by a join that it would have ended.
WEFT_TEST(cancel_stops_at_shield_and_get)
{
    ck_assert_int_eq(weft_run(cancel_joiners, NULL), 0);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static size_t queue_length(void)
{
    const struct wi_deque *jobs = &wi_here.worker->jobs;
    return (size_t)(jobs->tail -
                    __atomic_load_n(&jobs->head, __ATOMIC_RELAXED));
}

static int join_in_order(void *arg)
{
    size_t *longest = arg;
    for (int i = 0; i < 10000; i++) {
        weft_future *first = weft_task_start(nothing, NULL);
        weft_future *second = weft_task_start(nothing, NULL);
        weft_join(first);
        weft_join(second);
        if (queue_length() > *longest)
            *longest = queue_length();
    }
    return 0;
}

// Joining in the order of starting leaves tombstones, but not for ever.
WEFT_TEST(queue_does_not_grow)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        size_t longest = 0;
        ck_assert_int_eq(weft_run(join_in_order, &longest, .workers = workers),
                         0);
        ck_assert_uint_lt(longest, 200);
    }
}

WEFT_TEST_MAIN("inline")
