// SPDX-License-Identifier: MIT
// Rule 4: seconds are double: negative is 0, INFINITY is no limit, NaN aborts.
#include "kit.h"

static const double nothing[] = {0.0, -0.0, -1e-300, -1, -1e300, -INFINITY};

KIT_BOTH(negative_is_zero)
{
    struct kit_gate gate = kit_gate_new();

    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        double none = nothing[i];
        kit_assert_code(weft_sleep(none), 0);
        ck_assert_int_eq(weft_wait(&gate.future, 1, WEFT_ALL_COMPLETED, none),
                         0);
        int rc = weft_park(none);
        ck_assert(rc == -ETIMEDOUT || rc == 0);
        WEFT_TIMEOUT(none);
        kit_assert_code(weft_check(), -ETIMEDOUT);
        WEFT_SHIELD(none);
        kit_assert_code(weft_check(), -ETIMEDOUT);
    }
    kit_gate_free(&gate);
}

static int open_soon(void *arg)
{
    int rc = weft_sleep(0.002);
    kit_gate_open(arg);
    return rc;
}

KIT_BOTH(infinity_is_no_limit)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = weft_task_start(open_soon, &gate);
    WEFT_TIMEOUT(INFINITY);
    WEFT_SHIELD(INFINITY);

    ck_assert_int_eq(weft_wait(&gate.future, 1, WEFT_ALL_COMPLETED, INFINITY),
                     1);
    kit_assert_code(weft_join(f), 0);
    kit_gate_free(&gate);
}

// So long that no clock of nanoseconds could say when.
KIT_BOTH(longer_than_any_clock_is_no_limit)
{
    static const double far[] = {1e10, 1e15, 1e18, 1e30, 1.7e308};

    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        struct kit_gate gate = kit_gate_new();
        weft_future *f = weft_task_start(open_soon, &gate);
        WEFT_TIMEOUT(far[i]);
        kit_assert_code(weft_check(), 0);
        ck_assert_int_eq(weft_wait(&gate.future, 1, WEFT_ALL_COMPLETED, far[i]),
                         1);
        kit_assert_code(weft_join(f), 0);
        kit_gate_free(&gate);
    }
}

KIT_BOTH(fractions_count)
{
    double before = weft_now();

    kit_assert_code(weft_sleep(0.0015), 0);
    ck_assert(weft_now() - before >= 0.0015 - 1e-6);
    kit_assert_code(weft_sleep(1e-12), 0);
    kit_assert_code(weft_sleep(5e-324), 0);
}

// NaN -------------------------------------------------------------------------

static void sleep_nan(void)
{
    weft_sleep(NAN);
}

static void park_nan(void)
{
    weft_park(NAN);
}

static void wait_nan(void)
{
    weft_wait(NULL, 0, WEFT_ALL_COMPLETED, NAN);
}

static void timeout_nan(void)
{
    WEFT_TIMEOUT(NAN);
}

static void shield_nan(void)
{
    WEFT_SHIELD(-NAN);
}

WEFT_JOB(int, nothing_job)
{
    return 0;
}

static void deadline_nan(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_submit(weft_executor_with(ex, .deadline = NAN), nothing_job);
}

static void stall_nan(void)
{
    weft_run(kit_return, NULL, .stall = NAN);
}

WEFT_TEST(nan_aborts)
{
    kit_assert_aborts(stall_nan, ".stall must not be NaN");
    kit_assert_aborts(sleep_nan, "weft_sleep");
    kit_assert_aborts(park_nan, "weft_park");
    kit_assert_aborts(wait_nan, "weft_wait");
    kit_assert_aborts(timeout_nan, "weft_timeout_enter");
    kit_assert_aborts(shield_nan, "weft_shield_enter");
    kit_assert_aborts(deadline_nan, "weft_submit");
}

WEFT_TEST_MAIN("rule 4")
