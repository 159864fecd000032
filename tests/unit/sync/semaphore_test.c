// SPDX-License-Identifier: MIT
// Semaphores: permits are neither lost nor made, and go by the order in which
// they were asked for.
#include "world.h"

static struct weft_semaphore semaphore;
static struct world_bunch bunch;
static int order[16], places, arrived, inside, most;

static int acquire_and_note(void *arg)
{
    int rc = weft_semaphore_acquire(&semaphore);

    if (rc == 0) {
        order[__atomic_fetch_add(&places, 1, __ATOMIC_SEQ_CST) % 16] =
            (int)(intptr_t)arg;
        kit_count(&arrived);
    }
    return rc;
}

// n that wait, in the order of their numbers.
static void line_up(int n)
{
    for (int i = 0; i < n; i++)
        world_await(world_add(&bunch, acquire_and_note, kit_number(i)),
                    WI_WAIT_SEMAPHORE);
}

WORLD_TEST(permits_count)
{
    weft_semaphore_init(&semaphore, 3);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_semaphore_acquire(&semaphore), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 0);
    kit_assert_code(weft_semaphore_try(&semaphore), -EAGAIN);
    kit_assert_code(weft_semaphore_release(&semaphore, 2), 0);
    kit_assert_code(weft_semaphore_release(&semaphore, 0), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 2);
    kit_assert_code(weft_semaphore_try(&semaphore), 0);
    kit_assert_code(weft_semaphore_acquire_for(&semaphore, 0), 0);
    kit_assert_code(weft_semaphore_try(&semaphore), -EAGAIN);
    weft_semaphore_fini(&semaphore);
}

WEFT_TEST(initializers)
{
    struct weft_semaphore none = {0}, some = WEFT_SEMAPHORE(2),
                          bounded = WEFT_SEMAPHORE_BOUNDED(2);

    kit_assert_code(weft_semaphore_try(&none), -EAGAIN);
    kit_assert_code(weft_semaphore_release(&some, 5), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&some), 7);
    kit_assert_code(weft_semaphore_release(&bounded, 1), -EOVERFLOW);
}

static int try_it(void *arg)
{
    (void)arg;
    return weft_semaphore_try(&semaphore);
}

WORLD_TEST(try_while_others_have_the_permits)
{
    int got = 0;

    weft_semaphore_init(&semaphore, 5);
    kit_assert_code(weft_semaphore_acquire(&semaphore), 0);
    for (int i = 0; i < 10; i++) {
        int rc = weft_join(world_start(try_it, NULL));
        ck_assert(rc == 0 || rc == -EAGAIN);
        got += rc == 0;
    }
    ck_assert_int_eq(got, 4);
}

// A permit goes to whoever has waited longest; nobody comes before the line.
WORLD_TEST(first_in_first_out)
{
    line_up(6);
    for (int i = 0; i < 6; i++) {
        kit_assert_code(weft_semaphore_release(&semaphore, 1), 0);
        kit_assert_code(weft_semaphore_try(&semaphore), -EAGAIN);
        kit_await(&arrived, i + 1);
        ck_assert_int_eq(order[i], i);
    }
    world_join(&bunch, 0);
    weft_semaphore_fini(&semaphore);
}

WORLD_TEST(several_at_once)
{
    line_up(5);
    kit_assert_code(weft_semaphore_release(&semaphore, 3), 0);
    kit_await(&arrived, 3);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 0);
    ck_assert_int_eq(kit_load(&arrived), 3);
    kit_assert_code(weft_semaphore_release(&semaphore, 3), 0);
    world_join(&bunch, 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 1);
}

// Limits ----------------------------------------------------------------------

WORLD_TEST(who_gave_up_has_taken_no_permit)
{
    double before = weft_now();

    kit_assert_code(weft_semaphore_acquire_for(&semaphore, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    kit_assert_code(weft_semaphore_acquire_for(&semaphore, -1), -ETIMEDOUT);
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_semaphore_acquire(&semaphore), -ETIMEDOUT);
    }
    kit_assert_code(weft_semaphore_release(&semaphore, 1), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 1);
    weft_semaphore_fini(&semaphore);
}

WORLD_TEST(who_was_canceled_has_taken_no_permit)
{
    line_up(4);
    weft_cancel(bunch.f[0]);
    weft_cancel(bunch.f[2]);
    kit_assert_code(weft_join(bunch.f[0]), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(bunch.f[2]), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_semaphore_release(&semaphore, 2), 0);
    kit_assert_code(weft_join(bunch.f[1]), 0);
    kit_assert_code(weft_join(bunch.f[3]), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 0);
}

// A permit is given and the waiter canceled at the same time: one or the other.
WORLD_TEST(a_cancel_and_a_permit_race, .timeout = 30)
{
    for (int i = 0; i < 200; i++) {
        weft_future *f = world_start(acquire_and_note, NULL);
        arrived = 0;
        if (i % 2)
            world_await(f, WI_WAIT_SEMAPHORE);
        if (i % 4 < 2) {
            weft_semaphore_release(&semaphore, 1);
            weft_cancel(f);
        } else {
            weft_cancel(f);
            weft_semaphore_release(&semaphore, 1);
        }
        int rc = weft_join(f);
        ck_assert(rc == 0 || rc == -WEFT_EJOBCANCELED);
        ck_assert_uint_eq(weft_semaphore_permits(&semaphore), rc != 0);
        if (rc != 0)
            kit_assert_code(weft_semaphore_try(&semaphore), 0);
    }
}

KIT_BOTH(scopes_are_tested_even_if_there_is_a_permit)
{
    struct weft_semaphore s = WEFT_SEMAPHORE(1);
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_semaphore_acquire(&s), -ETIMEDOUT);
        kit_assert_code(weft_semaphore_try(&s), 0); // does not block
    }
    kit_assert_code(weft_semaphore_release(&s, 1), 0);
    kit_assert_code(weft_semaphore_acquire(&s), 0);
}

// Bounds ----------------------------------------------------------------------

WORLD_TEST(a_bound_is_kept)
{
    weft_semaphore_init(&semaphore, 2, .bound = 3);
    kit_assert_code(weft_semaphore_release(&semaphore, 2), -EOVERFLOW);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 2);
    kit_assert_code(weft_semaphore_release(&semaphore, 1), 0);
    kit_assert_code(weft_semaphore_release(&semaphore, 1), -EOVERFLOW);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_semaphore_try(&semaphore), 0);
    line_up(2);
    kit_assert_code(weft_semaphore_release(&semaphore, 3), 0);
    world_join(&bunch, 0);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 1);
    kit_assert_code(weft_semaphore_release(&semaphore, 3), -EOVERFLOW);
}

// Many at once ----------------------------------------------------------------

static int come_and_go(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int rc = weft_semaphore_acquire(&semaphore);
        if (rc < 0)
            return rc;
        int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        int seen = kit_load(&most);
        while (now > seen &&
               !__atomic_compare_exchange_n(&most, &seen, now, false,
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        if (i % 5 == 0)
            weft_yield();
        __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        weft_semaphore_release(&semaphore, 1);
    }
    return 0;
}

WORLD_TEST(never_more_than_there_are_permits, .timeout = 30)
{
    weft_semaphore_init(&semaphore, 3);
    for (int i = 0; i < 8; i++)
        world_add(&bunch, come_and_go, NULL);
    world_join(&bunch, 0);
    ck_assert_int_le(most, 3);
    ck_assert_uint_eq(weft_semaphore_permits(&semaphore), 3);
    weft_semaphore_fini(&semaphore);
}

// The semaphore is gone as soon as the permit is there.
static int release_it(void *arg)
{
    return weft_semaphore_release(arg, 1);
}

WORLD_TEST(may_be_freed_after_the_last_acquire, .timeout = 30)
{
    for (int i = 0; i < 200; i++) {
        struct weft_semaphore *s = calloc(1, sizeof *s);
        weft_future *f = world_start(release_it, s);
        kit_assert_code(weft_semaphore_acquire(s), 0);
        memset(s, 0xff, sizeof *s);
        free(s);
        kit_assert_code(weft_join(f), 0);
    }
}

static void begin_above_the_bound(void)
{
    weft_semaphore_init(&semaphore, 4, .bound = 3);
}

static void end_while_waited_for(void)
{
    world = THREADS;
    line_up(1);
    weft_semaphore_fini(&semaphore);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(begin_above_the_bound, "bound");
    kit_assert_aborts(end_while_waited_for, "weft_semaphore_fini");
}

WEFT_TEST_MAIN("semaphore")
