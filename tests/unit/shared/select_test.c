// SPDX-License-Identifier: MIT
// weft_select with queues in an arena: their peers are other processes, and
// the other cases are of any kind.
#include "weft_test.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft.h>

#include "shared/queue.h"

static weft_arena *arena;
static weft_queue *in, *out;

static weft_queue *new_queue(size_t maxsize)
{
    return weft_queue_new(.arena = arena, .item = sizeof(uint64_t),
                          .maxsize = maxsize);
}

static void open_queues(size_t maxsize)
{
    ck_assert_int_eq(weft_arena_new(4 << 20, &arena), 0);
    in = new_queue(maxsize);
    out = new_queue(maxsize);
}

static void close_queues(void)
{
    weft_queue_free(in);
    weft_queue_free(out);
    weft_arena_close(arena);
}

struct order {
    struct weft_arena_ref in, out;
    uint64_t n;
};

static struct order order_of(uint64_t n)
{
    return (struct order){weft_queue_ref(in), weft_queue_ref(out), n};
}

// Runs fn as a plain thread's function and as a task.
static void in_both(weft_function *fn)
{
    int rc = fn(NULL);
    ck_assert_msg(rc == 0, "in a thread: %s", weft_error_name(rc));
    rc = weft_run(fn, NULL);
    ck_assert_msg(rc == 0, "in a task: %s", weft_error_name(rc));
}

// What is there ---------------------------------------------------------------

static int take_what_is_there(void *arg)
{
    uint64_t x = 7, y = 0, full = 1;
    struct weft_case cases[] = {WEFT_CASE_GET(in, &y), WEFT_CASE_PUT(out, &x)};
    (void)arg;
    ck_assert_int_eq(weft_select(cases, 1, .nowait = true), -EAGAIN);
    ck_assert_int_eq(weft_select(cases, 2), 1); // there is room
    ck_assert_int_eq(cases[1].code, 0);
    while (weft_queue_try_put(out, &full) == 0)
        ;
    ck_assert_int_eq(weft_select(cases, 2, .nowait = true), -EAGAIN);
    ck_assert_int_eq(weft_queue_put(in, &x), 0);
    ck_assert_int_eq(weft_select(cases, 2), 0);
    ck_assert_uint_eq(y, 7);
    for (x = 0; weft_queue_try_get(out, &x) == 0;)
        ck_assert(x == 7 || x == 1);
    return 0;
}

WEFT_TEST(what_is_there_is_taken_at_once)
{
    open_queues(2);
    in_both(take_what_is_there);
    close_queues();
}

static int time_out(void *arg)
{
    uint64_t x = 0;
    struct weft_case cases[] = {WEFT_CASE_GET(in, &x), WEFT_CASE_AFTER(0.02)};
    (void)arg;
    ck_assert_int_eq(weft_select(cases, 2), 1);
    ck_assert_int_eq(weft_select(cases, 1, .timeout = 0.02), -ETIMEDOUT);
    {
        WEFT_TIMEOUT(0.02);
        ck_assert_int_eq(weft_select(cases, 1), -ETIMEDOUT);
    }
    uint64_t y = 5; // nothing was taken by those, and nothing is lost
    ck_assert_int_eq(weft_queue_put(in, &y), 0);
    ck_assert_int_eq(weft_queue_get(in, &x), 0);
    return x == 5 ? 0 : -EIO;
}

WEFT_TEST(a_wait_that_ends_takes_nothing)
{
    open_queues(2);
    in_both(time_out);
    close_queues();
}

// What other processes do -----------------------------------------------------

// Answers each number with its square, until it is told to end.
static int answer(void *arg)
{
    struct order *order = arg;
    weft_queue *from = weft_queue_open(order->in);
    weft_queue *to = weft_queue_open(order->out);
    uint64_t x;
    while (weft_queue_get(from, &x) == 0) {
        x *= x;
        if (weft_queue_put(to, &x) != 0)
            return 1;
    }
    weft_queue_shutdown(to, false);
    return 0;
}

static int ask_and_hear(void *arg)
{
    struct order order = order_of(0);
    weft_future *f = weft_process_start(answer, &order, sizeof order);
    int ends[2];
    uint64_t x = 0, y;
    (void)arg;
    ck_assert_int_eq(pipe(ends), 0);
    for (uint64_t i = 0; i < 50; i++) {
        struct weft_case cases[] = {WEFT_CASE_GET(out, &y), WEFT_CASE_FUTURE(f),
                                    WEFT_CASE_READY(ends[0], WEFT_READABLE),
                                    WEFT_CASE_AFTER(3600)};
        x = i;
        ck_assert_int_eq(weft_queue_put(in, &x), 0);
        if (i % 2) // with a descriptor to sleep on, and without
            cases[2] = (struct weft_case)WEFT_CASE_NONE();
        ck_assert_int_eq(weft_select(cases, 4), 0);
        ck_assert_int_eq(cases[0].code, 0);
        ck_assert_uint_eq(y, i * i);
    }
    weft_queue_shutdown(in, false);
    struct weft_case last[] = {WEFT_CASE_GET(out, &y)};
    ck_assert_int_eq(weft_select(last, 1), 0);
    ck_assert_int_eq(last[0].code, -WEFT_ECLOSED);
    close(ends[0]);
    close(ends[1]);
    return weft_join(f);
}

WEFT_TEST(a_process_answers, .timeout = 30)
{
    open_queues(4);
    ck_assert_int_eq(ask_and_hear(NULL), 0);
    close_queues();
    open_queues(4);
    ck_assert_int_eq(weft_run(ask_and_hear, NULL), 0);
    close_queues();
}

// A full queue from which another process takes.
static int take_all(void *arg)
{
    struct order *order = arg;
    weft_queue *from = weft_queue_open(order->in);
    uint64_t x, next = 0;
    while (weft_queue_get(from, &x) == 0)
        if (x != next++)
            return 1;
    return next == order->n ? 0 : 2;
}

static int put_by_select(void *arg)
{
    enum { N = 500 };
    struct order order = order_of(N);
    weft_future *f = weft_process_start(take_all, &order, sizeof order);
    (void)arg;
    for (uint64_t x = 0; x < N; x++) {
        struct weft_case cases[] = {WEFT_CASE_PUT(in, &x), WEFT_CASE_FUTURE(f)};
        ck_assert_int_eq(weft_select(cases, 2), 0);
        ck_assert_int_eq(cases[0].code, 0);
    }
    weft_queue_shutdown(in, false);
    return weft_join(f);
}

WEFT_TEST(puts_wait_for_room, .timeout = 30)
{
    open_queues(2);
    ck_assert_int_eq(put_by_select(NULL), 0);
    close_queues();
    open_queues(2);
    ck_assert_int_eq(weft_run(put_by_select, NULL), 0);
    close_queues();
}

// Several who select on one queue, in two processes, and by get: each item
// comes once, and no wake is kept by one who has taken something else.
static int select_many(weft_queue *q, weft_queue *results)
{
    uint64_t x, sum = 0;
    weft_queue *own = weft_queue_new(.item = sizeof x);
    for (uint64_t turn = 0;; turn++) {
        struct weft_case cases[] = {WEFT_CASE_GET(q, &x),
                                    WEFT_CASE_GET(own, &x),
                                    WEFT_CASE_AFTER(0.0001)};
        if (turn % 3 == 0) // it leaves its place in the other queue for this
            weft_queue_put(own, &(uint64_t){0});
        int i = weft_select(cases, 2 + turn % 2);
        if (i < 0 || cases[i].code == -WEFT_ECLOSED)
            break;
        if (i == 0)
            sum += x;
    }
    weft_queue_free(own);
    return weft_queue_put(results, &sum);
}

static int select_here(void *arg)
{
    (void)arg;
    return select_many(in, out);
}

static int select_elsewhere(void *arg)
{
    struct order *order = arg;
    return select_many(weft_queue_open(order->in), weft_queue_open(order->out));
}

WEFT_TEST(many_select_on_one_queue, .timeout = 60)
{
    enum { N = 3000, WAITERS = 6 };
    open_queues(8);
    struct order order = order_of(N);
    weft_future *f[WAITERS];
    uint64_t sum = 0, x;
    for (int i = 0; i < WAITERS; i++)
        f[i] = i % 3 == 0 ? weft_thread_start(select_here, NULL)
               : i % 3 == 1
                   ? weft_task_start(select_here, NULL)
                   : weft_process_start(select_elsewhere, &order, sizeof order);
    for (uint64_t i = 1; i <= N; i++)
        ck_assert_int_eq(weft_queue_put(in, &i), 0);
    weft_queue_shutdown(in, false);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(weft_queue_get(out, &x), 0);
        sum += x;
    }
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    ck_assert_uint_eq(sum, (uint64_t)N * (N + 1) / 2);
    close_queues();
}

// A producer dies in the middle of its put; the select goes on with the next.
static void die_at_copied(unsigned point)
{
    if (point == WI_QUEUE_COPIED)
        raise(SIGKILL);
}

static int put_one(void *arg)
{
    struct order *order = arg;
    weft_queue *q = weft_queue_open(order->in);
    if (order->n == 0)
        wi_shared_queue_at = die_at_copied;
    return weft_queue_put(q, &order->n);
}

static int wait_for_nine(void *arg)
{
    uint64_t x = 0;
    struct weft_case cases[] = {WEFT_CASE_GET(in, &x), WEFT_CASE_AFTER(3600)};
    (void)arg;
    return weft_select(cases, 2) == 0 && x == 9 ? 0 : -EIO;
}

WEFT_TEST(a_peer_dies_in_its_put, .timeout = 30)
{
    open_queues(4);
    for (int i = 0; i < 2; i++) {
        struct order order = order_of(0);
        weft_future *f = i == 0 ? weft_thread_start(wait_for_nine, NULL)
                                : weft_task_start(wait_for_nine, NULL);
        ck_assert_int_eq(
            weft_join(weft_process_start(put_one, &order, sizeof order)),
            -WEFT_ECRASHED);
        order.n = 9;
        ck_assert_int_eq(
            weft_join(weft_process_start(put_one, &order, sizeof order)), 0);
        ck_assert_int_eq(weft_join(f), 0);
    }
    close_queues();
}

WEFT_TEST_MAIN("select on shared queues")
