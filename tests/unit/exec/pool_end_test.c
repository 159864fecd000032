// SPDX-License-Identifier: MIT
//
// The end of a thread pool: what meets the closer, and what must not reach
// the next pool.
#include <weft/weft.h>

#include "weft_test.h"

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

// The last end may come at any moment of the close.
WEFT_TEST(close_meets_last_end, .timeout = 30)
{
    for (unsigned i = 0; i < 2000; i++) {
        weft_executor *ex = weft_thread_pool(.workers = 1 + i % 2);
        weft_future *f = weft_submit(ex, square, 3);
        if (weft_test_random() % 2)
            weft_cancel(f);
        weft_future_unref(f);
        for (uint64_t n = weft_test_random() % 2000; n > 0; n--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        ck_assert_int_eq(weft_executor_close(ex), 0);
    }
}

WEFT_TEST_MAIN("pool_end")
