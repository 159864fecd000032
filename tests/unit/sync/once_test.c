// SPDX-License-Identifier: MIT
// Once: by one, seen by all, tried again after a failure.
#include "world.h"

static struct weft_once once, second;
static struct world_bunch bunch;
static int runs, value, failures;

static int make(void *arg)
{
    (void)arg;
    runs++;
    weft_yield();
    value = 42;
    return 3;
}

static int need(void *arg)
{
    (void)arg;
    int rc = weft_once_call(&once, make, NULL);
    ck_assert_int_eq(value, 42);
    return rc;
}

WORLD_TEST(one_does_it_all_see_it)
{
    int sum = 0;

    ck_assert(!weft_once_done(&once));
    for (int i = 0; i < 8; i++)
        world_add(&bunch, need, NULL);
    for (int i = 0; i < 8; i++)
        sum += weft_join(bunch.f[i]);
    ck_assert_int_eq(sum, 3); // its code to one, 0 to the others
    ck_assert_int_eq(runs, 1);
    ck_assert(weft_once_done(&once));
    kit_assert_code(weft_once_call(&once, kit_never, NULL), 0);
}

static int fail_three_times(void *arg)
{
    (void)arg;
    weft_yield();
    return ++runs <= 3 ? -EIO : 0;
}

static int try_it(void *arg)
{
    (void)arg;
    int rc = weft_once_call(&once, fail_three_times, NULL);
    if (rc == -EIO)
        kit_count(&failures);
    return rc == -EIO ? 0 : rc;
}

WORLD_TEST(a_failure_goes_to_one_and_the_next_tries)
{
    for (int i = 0; i < 8; i++)
        world_add(&bunch, try_it, NULL);
    world_join(&bunch, 0);
    ck_assert_int_eq(failures, 3);
    ck_assert_int_eq(runs, 4);
    ck_assert(weft_once_done(&once));
}

static int call_itself(void *arg)
{
    (void)arg;
    return weft_once_call(&once, call_itself, NULL);
}

KIT_BOTH(one_that_calls_itself)
{
    kit_assert_code(weft_once_call(&once, call_itself, NULL), -WEFT_EDEADLOCK);
    kit_assert_code(weft_once_call(&once, kit_return, kit_number(1)), 1);
}

static int call_the_first(void *arg)
{
    kit_count(arg);
    kit_await(arg, 2);
    int rc = weft_once_call(&once, kit_return, NULL);
    return rc == -WEFT_EDEADLOCK ? 1 : rc;
}

static int call_the_second(void *arg)
{
    kit_count(arg);
    kit_await(arg, 2);
    int rc = weft_once_call(&second, kit_return, NULL);
    return rc == -WEFT_EDEADLOCK ? 1 : rc;
}

static int begin_with_the_second(void *arg)
{
    return weft_once_call(&second, call_the_first, arg);
}

WORLD_TEST(two_that_need_each_other)
{
    int both = 0;
    weft_future *f = world_start(begin_with_the_second, &both);
    int rc = weft_once_call(&once, call_the_second, &both);

    ck_assert_int_eq(rc + weft_join(f), 1); // exactly one was told
}

static int wait_at_gate(void *arg)
{
    kit_count(&runs);
    return kit_gate_wait(arg);
}

static int call_canceled(void *arg)
{
    int rc = weft_once_call(&once, kit_never, NULL);
    kit_assert_code(rc, 0);
    return kit_count(arg);
}

static int runner(void *arg)
{
    return weft_once_call(&once, wait_at_gate, arg);
}

WORLD_TEST(a_cancel_does_not_end_the_wait)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = world_start(runner, &gate);
    kit_await(&runs, 1);
    weft_future *w = world_start(call_canceled, &value);
    world_await(w, WI_WAIT_ONCE);
    weft_cancel(w);
    for (int i = 0; i < 20; i++)
        weft_yield();
    kit_gate_open(&gate);
    kit_assert_code(weft_join(w), 0);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(value, 1);
    kit_gate_free(&gate);
}

WEFT_TEST_MAIN("once")
