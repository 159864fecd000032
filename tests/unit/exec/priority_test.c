// SPDX-License-Identifier: MIT
//
// Priorities of jobs in pools of threads: the higher ones begin first, but
// none starves.
#include "kit.h"

enum { EACH = 200, TURNS = 61 };

static int begun;       // how many jobs have begun
static int place[4096]; // of each job, when it did
static bool occupied, leave;

WEFT_JOB(int, occupy)
{
    __atomic_store_n(&occupied, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&leave, __ATOMIC_ACQUIRE))
        sched_yield();
    return 0;
}

WEFT_JOB(int, note, int, i)
{
    place[i] = __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
    return 0;
}

// The pool's one thread is busy, until `leave`.
static weft_future *occupying(weft_executor *ex)
{
    weft_future *busy = weft_submit(ex, occupy);
    while (!__atomic_load_n(&occupied, __ATOMIC_ACQUIRE))
        sched_yield();
    return busy;
}

static weft_executor *busy_pool(bool blocking, weft_future **busy)
{
    weft_executor *ex = weft_thread_pool(.workers = 1, .blocking = blocking);
    *busy = occupying(ex);
    return ex;
}

static void let_go(weft_future *busy)
{
    __atomic_store_n(&leave, true, __ATOMIC_RELEASE);
    kit_assert_code(weft_join(busy), 0);
}

// The greatest place of the jobs first .. first + n - 1.
static int last_place(int first, int n)
{
    int last = 0;
    for (int i = first; i < first + n; i++)
        last = place[i] > last ? place[i] : last;
    return last;
}

static void check_order(bool blocking)
{
    static const int priorities[] = {-3, 0, 7};
    weft_future *busy, *fs[3 * EACH];
    weft_executor *ex = busy_pool(blocking, &busy);
    for (int i = 0; i < 3 * EACH; i++)
        fs[i] = weft_submit(
            weft_executor_with(ex, .priority = priorities[i / EACH]), note, i);
    let_go(busy);
    kit_assert_code(weft_gather_into(fs, 3 * EACH, NULL, 0, NULL), 0);
    // Two choices in 61 are others'.
    int others = 2 * (3 * EACH / TURNS + 1);
    ck_assert_int_le(last_place(2 * EACH, EACH), EACH + others);
    ck_assert_int_le(last_place(EACH, EACH), 2 * EACH + others);
    for (int i = 1; i < EACH; i++)
        ck_assert_int_lt(place[2 * EACH + i - 1], place[2 * EACH + i]);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(higher_ones_begin_first)
{
    check_order(false);
}

WEFT_TEST(higher_ones_begin_first_with_blocking)
{
    check_order(true);
}

// Behind as many of another priority as there may be.
static void check_starvation(int many, int one)
{
    weft_future *busy, *fs[1000];
    weft_executor *ex = busy_pool(false, &busy);
    fs[0] = weft_submit(weft_executor_with(ex, .priority = one), note, 0);
    for (int i = 1; i < 1000; i++)
        fs[i] = weft_submit(weft_executor_with(ex, .priority = many), note, i);
    let_go(busy);
    kit_assert_code(weft_gather_into(fs, 1000, NULL, 0, NULL), 0);
    ck_assert_int_le(place[0], TURNS + 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(a_low_one_does_not_starve)
{
    check_starvation(1, -1);
}

WEFT_TEST(a_usual_one_does_not_starve)
{
    check_starvation(1, 0);
}

// Jobs that submit their own kind for ever starve nobody either.
static weft_executor *pool;

WEFT_JOB(int, again, int, priority)
{
    weft_executor *ex = weft_executor_with(pool, .priority = priority);
    if (!__atomic_load_n(&leave, __ATOMIC_ACQUIRE))
        weft_future_unref(weft_submit(ex, again, priority));
    return 0;
}

static void check_among_endless(int one)
{
    pool = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 12; i++) {
        int priority = i % 3 - 1;
        if (priority != one)
            weft_future_unref(
                weft_submit(weft_executor_with(pool, .priority = priority),
                            again, priority));
    }
    weft_future *f =
        weft_submit(weft_executor_with(pool, .priority = one), note, 0);
    kit_assert_code(weft_join(f), 0);
    __atomic_store_n(&leave, true, __ATOMIC_RELEASE);
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_TEST(what_submits_itself_starves_no_low_one)
{
    check_among_endless(-1);
}

WEFT_TEST(what_submits_itself_starves_no_usual_one)
{
    check_among_endless(0);
}

// Queues are rings: one that goes over its end, and one that grows then.
static void check_rings(int priority)
{
    static const int counts[] = {1000, 300, 3000};
    static weft_future *fs[3000];
    weft_executor *ex = weft_thread_pool(.workers = 1);
    for (int round = 0; round < 3; round++) {
        begun = 0;
        leave = occupied = false;
        weft_future *busy = occupying(ex);
        for (int i = 0; i < counts[round]; i++)
            fs[i] = weft_submit(weft_executor_with(ex, .priority = priority),
                                note, i);
        let_go(busy);
        kit_assert_code(
            weft_gather_into(fs, (size_t)counts[round], NULL, 0, NULL), 0);
        for (int i = 0; i < counts[round]; i++)
            ck_assert_int_eq(place[i], i);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(high_ones_begin_in_their_order)
{
    check_rings(1);
}

WEFT_TEST(usual_ones_begin_in_their_order)
{
    check_rings(0);
}

static int close_pending(void *ex)
{
    return weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_PENDING);
}

static void check_cancel(bool blocking)
{
    weft_future *busy, *fs[30];
    weft_executor *ex = busy_pool(blocking, &busy);
    for (int i = 0; i < 30; i++)
        fs[i] =
            weft_submit(weft_executor_with(ex, .priority = i % 3 - 1), note, i);
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.pending, 30);
    ck_assert_uint_eq(stats.submitted, 31);
    weft_future *closes = weft_thread_start(close_pending, ex);
    for (int i = 0; i < 30; i++)
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    let_go(busy);
    kit_assert_code(weft_join(closes), 0);
}

WEFT_TEST(close_cancels_all_lanes)
{
    check_cancel(false);
}

WEFT_TEST(close_cancels_all_lines)
{
    check_cancel(true);
}

WEFT_TEST_MAIN("priority")
