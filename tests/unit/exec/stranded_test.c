// SPDX-License-Identifier: MIT
//
// A job is not left behind a busy worker while another one sleeps.
#include <weft/weft.h>

#include "weft_test.h"

static uint32_t ran;

// Waits, then computes until the other job has run; true if it did in time.
WEFT_JOB(bool, wait_and_compute, uint64_t, id)
{
    weft_join(weft_future_open(id));
    double end = weft_now() + weft_test_seconds(2);
    while (!__atomic_load_n(&ran, __ATOMIC_ACQUIRE)) {
        if (weft_now() > end)
            return false;
    }
    return true;
}

WEFT_JOB(int, run, int, x)
{
    __atomic_store_n(&ran, 1, __ATOMIC_RELEASE);
    return x;
}

// One wake may serve both a job that anybody may take and a task that only its
// own worker may go on with: then the job's wake is passed on.
WEFT_TEST(wake_of_a_worker_that_has_its_own, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 100; i++) {
        __atomic_store_n(&ran, 0, __ATOMIC_RELAXED);
        weft_promise *p = weft_promise_new();
        weft_future *kept = weft_promise_future(p);
        weft_future *waits =
            weft_submit(ex, wait_and_compute, weft_future_id(kept));
        weft_sleep(0.001); // most times all is asleep then
        weft_future *runs = weft_submit(ex, run, 1);
        weft_promise_keep(p, 0, NULL, 0, NULL);
        bool in_time = false;
        ck_assert_int_eq(weft_result(waits, &in_time), 0);
        ck_assert(in_time);
        weft_join(runs);
        weft_future_unref(kept);
    }
    weft_executor_close(ex);
}

WEFT_TEST_MAIN("stranded")
