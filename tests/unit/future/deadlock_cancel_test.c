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

static int wait_plainly(void *arg)
{
    (void)arg;
    a_got = weft_get_into(b, NULL, 0);
    return 0;
}

static int plain_pair(void *arg)
{
    (void)arg;
    return run_pair(wait_plainly, cancel_and_wait);
}

// a has been canceled, and has not run since.
WEFT_TEST(canceled_wait_closes_no_cycle)
{
    ck_assert_int_eq(weft_run(plain_pair, NULL), 0);
    ck_assert_int_eq(a_got, -ECANCELED);
    ck_assert_int_eq(b_got, 0);
}

// Shields and groups ----------------------------------------------------------

static int wait_in_shielded_group(void *arg)
{
    WEFT_SHIELD((double)INFINITY);
    return wait_in_failing_group(arg);
}

static int wait_for_all_in_shielded_group(void *arg)
{
    (void)arg;
    WEFT_SHIELD((double)INFINITY);
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(fail_when_told, NULL));
    a_got = weft_wait(&b, 1, WEFT_ALL_COMPLETED, (double)INFINITY);
    weft_group_close(g);
    return 0;
}

static int wait_in_shield_of_failing_group(void *arg)
{
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(fail_when_told, NULL));
    wait_in_shield(arg);
    weft_group_close(g);
    return 0;
}

static int pair_of(void *arg)
{
    return run_pair((weft_function *)arg, fail_group_and_wait);
}

WEFT_TEST(canceled_scope_in_a_shield_closes_no_cycle)
{
    ck_assert_int_eq(weft_run(pair_of, (void *)wait_in_shielded_group), 0);
    ck_assert_int_eq(a_got, -ECANCELED);
    ck_assert_int_eq(b_got, 0);
    ck_assert_int_eq(weft_run(pair_of, (void *)wait_for_all_in_shielded_group),
                     0);
    ck_assert_int_eq(a_got, -ECANCELED);
    ck_assert_int_eq(b_got, 0);
}

WEFT_TEST(wait_in_a_shield_of_a_canceled_scope_closes_a_cycle)
{
    ck_assert_int_eq(weft_run(pair_of, (void *)wait_in_shield_of_failing_group),
                     0);
    ck_assert_int_eq(a_got, 0);
    ck_assert_int_eq(b_got, -WEFT_EDEADLOCK);
}

// More shields than an edge can count: all is as in one.
static int shields_left;

static int wait_in_many_shields(void *arg)
{
    WEFT_SHIELD((double)INFINITY);
    return --shields_left > 0 ? wait_in_many_shields(arg) : wait_in_shield(arg);
}

static int many_shields_pair(void *arg)
{
    (void)arg;
    return run_pair(wait_in_many_shields, cancel_and_wait);
}

WEFT_TEST(wait_in_many_shields_closes_a_cycle)
{
    static const int counts[] = {2, 7, 8, 9, 64};
    for (int i = 0; i < 5; i++) {
        shields_left = counts[i];
        ck_assert_int_eq(weft_run(many_shields_pair, NULL), 0);
        ck_assert_int_eq(a_got, 0);
        ck_assert_int_eq(b_got, -WEFT_EDEADLOCK);
    }
}

WEFT_TEST_MAIN("deadlock_cancel")
