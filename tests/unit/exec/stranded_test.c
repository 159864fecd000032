// SPDX-License-Identifier: MIT
//
// A job is not left behind a busy worker while another one sleeps.
#include "kit.h"

#include <pthread.h>

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

// More than fit in one word of the mask of those that sleep.
enum { MANY = 130 };
static pthread_barrier_t all;

WEFT_JOB(int, meet_all)
{
    pthread_barrier_wait(&all); // takes its thread
    return 0;
}

WEFT_TEST(each_of_many_workers_is_woken, .timeout = 30)
{
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    weft_future *f[MANY];
    setenv("WEFT_WATCHDOG", "0", 1); // there would be spares
    pthread_barrier_init(&all, NULL, MANY);
    weft_executor *ex = weft_thread_pool(.workers = MANY);
    for (int round = 0; round < 3; round++) {
        do
            kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
        while (stats.idle < MANY);
        for (int i = 0; i < MANY; i++)
            f[i] = weft_submit(ex, meet_all);
        kit_assert_code(weft_gather_into(f, MANY, NULL, 0, NULL), 0);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("stranded")
