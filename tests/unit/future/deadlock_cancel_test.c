// SPDX-License-Identifier: MIT
//
// Cycles of waits of which a cancel ends one, or seems to.
#include <errno.h>
#include <math.h>

#include <weft/weft.h>

#include "weft_test.h"

static weft_future *a, *b;
static weft_waiter *failing;
static int a_got, b_got;

static int fail_when_told(void *arg)
{
    (void)arg;
    failing = weft_self();
    weft_park((double)INFINITY);
    return -EIO;
}

static int wait_in_failing_group(void *arg)
{
    (void)arg;
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(fail_when_told, NULL));
    a_got = weft_get_into(b, NULL, 0);
    weft_group_close(g);
    return 0;
}

// Waits for a at the moment when a's group has failed, but a has not run yet.
static int fail_group_and_wait(void *arg)
{
    (void)arg;
    weft_sleep(0.01);
    weft_unpark(failing);
    weft_yield();
    b_got = weft_get_into(a, NULL, 0);
    return 0;
}

static int run_pair(weft_function *fa, weft_function *fb)
{
    b = weft_task_start(fb, NULL);
    a = weft_task_start(fa, NULL);
    weft_sleep(0.05);
    weft_join(a);
    weft_join(b);
    return 0;
}

static int group_pair(void *arg)
{
    (void)arg;
    return run_pair(wait_in_failing_group, fail_group_and_wait);
}

WEFT_TEST(canceled_scope_closes_no_cycle)
{
    ck_assert_int_eq(weft_run(group_pair, NULL), 0);
    ck_assert_int_eq(a_got, -ECANCELED);
    ck_assert_int_eq(b_got, 0);
}

static int wait_in_shield(void *arg)
{
    (void)arg;
    WEFT_SHIELD((double)INFINITY);
    a_got = weft_get_into(b, NULL, 0);
    return 0;
}

static int cancel_and_wait(void *arg)
{
    (void)arg;
    weft_sleep(0.01);
    weft_cancel(a);
    b_got = weft_get_into(a, NULL, 0);
    return 0;
}

static int shield_pair(void *arg)
{
    (void)arg;
    return run_pair(wait_in_shield, cancel_and_wait);
}

WEFT_TEST(shielded_wait_closes_a_cycle)
{
    ck_assert_int_eq(weft_run(shield_pair, NULL), 0);
    ck_assert_int_eq(a_got, 0);
    ck_assert_int_eq(b_got, -WEFT_EDEADLOCK);
}

WEFT_TEST_MAIN("deadlock_cancel")
