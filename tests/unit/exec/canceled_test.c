// SPDX-License-Identifier: MIT
//
// Jobs that are canceled before they began leave nothing behind in a pool whose
// threads are all busy.
#include "kit.h"

// A pool of one thread, which is busy until it is let go; and which it is.
struct busy {
    weft_executor *ex;
    weft_future *job;
};

static int held, let_go;

WEFT_JOB(int, hold, int, turn)
{
    kit_count(&held);
    while (kit_load(&let_go) < turn)
        sched_yield();
    return (int)weft_native_id();
}

WEFT_JOB(int, where)
{
    return (int)weft_native_id();
}

static struct busy busy_pool(bool blocking, int turn)
{
    struct busy b = {.ex =
                         weft_thread_pool(.workers = 1, .blocking = blocking)};
    b.job = weft_submit(b.ex, hold, turn);
    kit_await(&held, turn);
    return b;
}

static int end(struct busy b)
{
    int thread = 0;
    kit_count(&let_go);
    kit_assert_code(weft_result(b.job, &thread), 0);
    kit_assert_code(weft_executor_close(b.ex), 0);
    return thread;
}

static size_t pending(weft_executor *ex)
{
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    return stats.pending;
}

static void submit_and_cancel(weft_executor *ex)
{
    weft_future *f = weft_submit(ex, where);
    kit_assert_code(weft_cancel(f), 0);
    weft_future_unref(f);
}

// The same record again and again, more often than it has generations: it must
// not stand in the queue for what it is used for next, in another pool.
WEFT_TEST(it_stands_for_nothing_else, .repeat = 2, .timeout = 60)
{
    enum { ROUNDS = 70000 };
    struct busy first = busy_pool(weft_test_round() == 1, 1);
    struct busy second = busy_pool(weft_test_round() == 1, 2);
    int thread = 0;
    for (int i = 0; i < ROUNDS; i++)
        submit_and_cancel(first.ex);
    ck_assert_uint_lt(pending(first.ex), 10000);
    weft_future *f = weft_submit(second.ex, where);
    end(first); // with all that it has queued
    ck_assert(!weft_done(f));
    int expected = end(second);
    kit_assert_code(weft_result(f, &thread), 0);
    ck_assert_int_eq(thread, expected);
}

// What lives keeps its place and its order meanwhile.
static int order[64], begun;

WEFT_JOB(int, note, int, i)
{
    order[begun++] = i;
    return 0;
}

WEFT_TEST(what_lives_keeps_its_order, .repeat = 2, .timeout = 60)
{
    enum { LIVE = 64, BETWEEN = 300 };
    struct busy b = busy_pool(weft_test_round() == 1, 1);
    weft_future *fs[LIVE];
    for (int i = 0; i < LIVE; i++) {
        fs[i] = weft_submit(b.ex, note, i);
        for (int k = 0; k < BETWEEN; k++)
            submit_and_cancel(b.ex);
    }
    end(b);
    kit_assert_code(weft_gather_into(fs, LIVE, NULL, 0, NULL), 0);
    for (int i = 0; i < LIVE; i++)
        ck_assert_int_eq(order[i], i);
}

WEFT_TEST_MAIN("canceled")
