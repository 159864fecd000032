// SPDX-License-Identifier: MIT
#include "held.h"

#include <pthread.h>
#include <time.h>

static int add_one(void *arg)
{
    return ++*(int *)arg;
}

static int thread_is_another(void *arg)
{
    return !pthread_equal(pthread_self(), *(pthread_t *)arg);
}

KIT_BOTH(it_returns_what_the_function_returns)
{
    int n = 6;

    kit_assert_code(weft_blocking(add_one, &n), 7);
    kit_assert_code(weft_blocking(kit_return, kit_number(-EDOM)), -EDOM);
    kit_assert_code(weft_blocking(add_one, &n, .name = "one"), 8);
}

KIT_TASK(in_a_task_it_is_another_thread)
{
    pthread_t self = pthread_self();

    kit_assert_code(weft_blocking(thread_is_another, &self), 1);
}

WEFT_TEST(in_a_thread_it_is_a_call)
{
    pthread_t self = pthread_self();

    kit_assert_code(weft_blocking(thread_is_another, &self), 0);
}

// A pair of pipes: the function blocks its thread in read(2).
struct blocked {
    int in[2];
    int began, ended;
};

static int block_in_read(void *arg)
{
    struct blocked *b = arg;
    char byte;
    ssize_t n;

    kit_count(&b->began);
    n = read(b->in[0], &byte, 1);
    kit_count(&b->ended);
    return n == 1 ? byte : -EIO;
}

static int offload(void *arg)
{
    return weft_blocking(block_in_read, arg);
}

static int offload_and_abandon(void *arg)
{
    return weft_blocking(block_in_read, arg, .abandon = true);
}

KIT_TASK(others_go_on_meanwhile)
{
    struct blocked b = {0};

    ck_assert_int_eq(pipe(b.in), 0);
    weft_future *f = weft_task_start(offload, &b);
    kit_await(&b.began, 1);
    ck_assert_int_eq(write(b.in[1], "x", 1), 1);
    kit_assert_code(weft_join(f), 'x');
}

KIT_TASK(a_cancel_waits_for_the_function)
{
    struct blocked b = {0};

    ck_assert_int_eq(pipe(b.in), 0);
    weft_future *f = weft_task_start(offload, &b);
    kit_await(&b.began, 1);
    weft_cancel(f);
    for (int i = 0; i < 100; i++)
        weft_yield();
    ck_assert(!weft_done(f));
    ck_assert_int_eq(write(b.in[1], "x", 1), 1);
    kit_assert_code(weft_join(f), 'x');
    ck_assert_int_eq(b.ended, 1);
}

KIT_TASK(a_cancel_reaches_the_calls_of_the_function)
{
    int began = 0, rc = 0;

    for (double limit = 0.02; began == 0; limit *= 2) {
        WEFT_TIMEOUT(limit);
        rc = weft_blocking(kit_count_and_block, &began);
        kit_assert_code(rc, began == 0 ? -ETIMEDOUT : -ECANCELED);
    }
    ck_assert_int_eq(began, 1);
}

// It cannot have what its caller holds as long as that waits for it: the caller
// may not leave, for the function has its memory, and so the function is told.
KIT_TASK(it_is_waited_for_although_it_wants_what_its_caller_has, .timeout = 20)
{
    struct held h = {.began = 0};
    int rc = 0;

    kit_assert_code(weft_lock_acquire(&h.lock), 0);
    for (double limit = 0.02; kit_load(&h.began) == 0; limit *= 2) {
        WEFT_TIMEOUT(limit);
        rc = weft_blocking(want_what_is_held, &h);
    }
    ck_assert_int_eq(kit_load(&h.ended), 1);
    kit_assert_code(h.code, -WEFT_EDEADLOCK);
    kit_assert_code(rc, -WEFT_EDEADLOCK);
    weft_lock_release(&h.lock);
}

KIT_TASK(one_that_is_abandoned_goes_on_alone)
{
    struct blocked b = {0};

    ck_assert_int_eq(pipe(b.in), 0);
    weft_future *f = weft_task_start(offload_and_abandon, &b);
    kit_await(&b.began, 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(kit_load(&b.ended), 0);
    ck_assert_int_eq(write(b.in[1], "x", 1), 1);
    kit_await(&b.ended, 1);
}

KIT_BOTH(scopes_are_tested_first)
{
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_blocking(kit_never, NULL), -ETIMEDOUT);
}

// Beyond the limit calls wait their turn; one that gives up never runs.
KIT_TASK(a_limit_of_threads)
{
    struct blocked b = {0};
    weft_future *f[3];

    kit_assert_code(weft_blocking_limit(0), -EINVAL);
    kit_assert_code(weft_blocking_limit(2), 0);
    ck_assert_int_eq(pipe(b.in), 0);
    for (int i = 0; i < 2; i++)
        f[i] = weft_task_start(offload, &b);
    kit_await(&b.began, 2);
    kit_assert_code(weft_blocking_limit(9), -EBUSY);
    f[2] = weft_task_start(offload, &b);
    {
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_blocking(kit_never, NULL), -ETIMEDOUT);
    }
    ck_assert_int_eq(kit_load(&b.began), 2);
    ck_assert_int_eq(write(b.in[1], "xyz", 3), 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_ge(weft_join(f[i]), 'x');
    ck_assert_int_eq(b.began, 3);
}

WEFT_TEST_MAIN("offload")
