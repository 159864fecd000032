// SPDX-License-Identifier: MIT
// Every executor passes the same suite: the library's, and two as users write
// them, of which one stands in examples/.
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

static weft_executor *processes(void)
{
    return weft_process_pool(.workers = 2);
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

WEFT_TEST(a_job_closes_its_pool, .signal = SIGABRT)
{
    close_from_within(one_thread());
}

WEFT_TEST(a_job_closes_its_blocking_pool, .signal = SIGABRT)
{
    close_from_within(blocking());
}

WEFT_TEST(a_job_closes_its_loop_executor, .signal = SIGABRT)
{
    close_from_within(weft_loop_executor());
}

WEFT_TEST_MAIN("executors")
