// SPDX-License-Identifier: MIT
// Every executor passes the same suite: the library's, and two as users write
// them, of which one stands in examples/.
#include <weft/work.h>

#include "exec/job.h"
#include "executor_suite.h"
#include "latest_first.h"

int example_main(void);
#define main example_main
#include "../../../examples/user_executor.c"
#undef main

static weft_executor *one_thread(void)
{
    return weft_thread_pool(.workers = 1);
}

static weft_executor *threads(void)
{
    return weft_thread_pool(.workers = 4);
}

static weft_executor *blocking(void)
{
    return weft_thread_pool(.blocking = true, .workers = 4);
}

static weft_executor *with_window(void)
{
    return weft_thread_pool(.workers = 2, .window = 50);
}

static weft_executor *processes(void)
{
    return weft_process_pool(.workers = 2);
}

// A result that came too late ---------------------------------------------

static int taken, given_back;

static void *take(size_t size)
{
    kit_count(&taken);
    return malloc(size);
}

// Counts, and leaves the memory to free.
static bool count_back(const void *data)
{
    if (data != NULL)
        kit_count(&given_back);
    return false;
}

// Overruns the deadline of its submit, as a body may that never waits.
WEFT_JOB(struct weft_bytes, bytes_after, double, seconds)
{
    double end = weft_now() + seconds;
    while (weft_now() < end)
        sched_yield();
    return weft_bytes_new(1000);
}

KIT_BOTH(a_late_result_is_dropped_with_its_memory)
{
    static const struct wi_bytes_ops counting = {take, count_back};
    weft_executor *(*const make[])(void) = {
        weft_inline_executor, weft_loop_executor, one_thread, blocking};
    wi_bytes_ops = &counting;
    for (size_t i = 0; i < sizeof make / sizeof make[0]; i++) {
        weft_executor *ex = make[i]();
        struct weft_bytes bytes;
        weft_future *f = weft_submit(weft_executor_with(ex, .deadline = 0.02),
                                     bytes_after, 0.04);
        kit_assert_code(weft_result(f, &bytes), -WEFT_EJOBTIMEOUT);
        int before = kit_load(&taken);
        f = weft_submit(weft_executor_with(ex, .deadline = -1), bytes_after, 0);
        kit_assert_code(weft_result(f, &bytes), -WEFT_EJOBTIMEOUT);
        ck_assert_int_eq(kit_load(&taken), before); // it did not begin
        weft_executor_close(ex);
        ck_assert_int_eq(given_back, taken);
    }
    wi_bytes_ops = NULL;
    ck_assert_int_gt(taken, 0);
}

KIT_BOTH(inline_executor, .timeout = 60)
{
    executor_suite(weft_inline_executor, SUITE_INLINE);
}

KIT_BOTH(loop_executor, .timeout = 60)
{
    executor_suite(weft_loop_executor, 0);
}

KIT_BOTH(pool_of_one_thread, .timeout = 60)
{
    executor_suite(one_thread, 0);
}

KIT_BOTH(pool_of_threads, .timeout = 60)
{
    executor_suite(threads, 0);
}

KIT_BOTH(pool_with_a_window, .timeout = 60)
{
    executor_suite(with_window, 0);
}

KIT_BOTH(blocking_pool, .timeout = 60)
{
    executor_suite(blocking, 0);
}

WEFT_TEST(pool_of_processes, .timeout = 60)
{
    executor_suite(processes, SUITE_PROCESS);
}

KIT_BOTH(executor_of_a_user, .timeout = 60)
{
    executor_suite(latest_first, 0);
}

WEFT_TEST(executor_of_the_example, .timeout = 60)
{
    executor_suite(turns, SUITE_PROCESS);
    ck_assert_int_eq(example_main(), 0);
}

// Misuse that would wait for itself is told.
static weft_executor *own;

WEFT_JOB(int, close_own)
{
    return weft_executor_close(own);
}

static void close_from_within(weft_executor *ex)
{
    own = ex;
    weft_join(weft_submit(ex, close_own));
}

static int close_own_in_a_run(void *arg)
{
    (void)arg;
    return weft_executor_close(own);
}

WEFT_JOB(int, run_and_close_own)
{
    return weft_run(close_own_in_a_run, NULL);
}

WEFT_TEST(a_run_of_a_job_closes_the_pool, .signal = SIGABRT)
{
    own = one_thread();
    weft_join(weft_submit(own, run_and_close_own));
}

WEFT_TEST(a_job_closes_its_pool, .signal = SIGABRT)
{
    close_from_within(one_thread());
}

WEFT_TEST(a_job_closes_its_blocking_pool, .signal = SIGABRT)
{
    close_from_within(blocking());
}

WEFT_TEST(a_work_that_is_freed_says_so)
{
    weft_future *f;
    long two = 2;
    weft_work_free(weft_work_new(&weft_job_suite_square, &two, NULL, &f));
    kit_assert_code(weft_get_into(f, NULL, 0), -WEFT_EABANDONED);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "before it ran"));
    weft_future_unref(f);
}

// Closing looks at each job a few times, not at all of them for each.
KIT_BOTH(a_loop_executor_cancels_very_many, .timeout = 60)
{
    enum { MANY = 200000 };
    for (int mode = WEFT_CLOSE_CANCEL_PENDING; mode <= WEFT_CLOSE_CANCEL_ALL;
         mode++) {
        weft_executor *ex = weft_loop_executor();
        for (int i = 0; i < MANY; i++)
            weft_future_unref(weft_submit(ex, suite_square, i));
        kit_assert_code(
            weft_executor_close(ex, .mode = (enum weft_close_mode)mode), 0);
    }
}

// What a job submits while it is canceled ends with the rest of it.
static int blocked;

WEFT_JOB(int, submit_while_canceled)
{
    kit_count(&blocked);
    int rc = weft_sleep(INFINITY);
    weft_future_unref(weft_submit(own, suite_block));
    return rc;
}

static int close_and_cancel(void *ex)
{
    return weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
}

KIT_BOTH(a_canceled_job_submits_more)
{
    weft_executor *(*const make[])(void) = {weft_loop_executor, one_thread,
                                            threads, blocking, latest_first};
    for (int i = 0; i < (int)(sizeof make / sizeof make[0]); i++) {
        own = make[i]();
        weft_future *f = weft_submit(own, submit_while_canceled);
        kit_await(&blocked, i + 1);
        weft_future *closes = i % 2 ? weft_thread_start(close_and_cancel, own)
                                    : weft_task_start(close_and_cancel, own);
        kit_assert_code(weft_join(closes), 0);
        ck_assert(weft_done(f));
        weft_future_unref(f);
    }
}

WEFT_TEST(a_job_closes_its_loop_executor, .signal = SIGABRT)
{
    close_from_within(weft_loop_executor());
}

WEFT_TEST_MAIN("executors")
