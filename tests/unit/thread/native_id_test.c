// SPDX-License-Identifier: MIT
//
// What a thread's future knows at once after the start.
#include <weft/weft.h>

#include "weft_test.h"

static uint32_t go;

static int wait_for_go(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        weft_yield();
    return 0;
}

WEFT_TEST(native_id_right_after_start)
{
    for (int i = 0; i < 200; i++) {
        __atomic_store_n(&go, 0, __ATOMIC_RELAXED);
        weft_future *f = weft_thread_start(wait_for_go, NULL);
        ck_assert_int_gt(weft_future_native_id(f), 0);
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
        weft_join(f);
    }
}

WEFT_JOB(long, fail_soon, long, x)
{
    for (long n = x; n > 0; n--)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    weft_fail(-1, "on purpose");
    return 0;
}

// A job gets the part of its record for the text while it is being canceled;
// for TSan.
WEFT_TEST(cancel_of_a_failing_job, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 500; i++) {
        weft_future *f =
            weft_submit(ex, fail_soon, (long)(weft_test_random() % 2000));
        for (uint64_t n = weft_test_random() % 20000; n > 0; n--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        weft_cancel(f);
        ck_assert_int_lt(weft_join(f), 0);
    }
    weft_executor_close(ex);
}

WEFT_TEST_MAIN("native_id")
