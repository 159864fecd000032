// SPDX-License-Identifier: MIT
// Events: who waits goes on when it is set, whatever happens to it afterwards.
#include "world.h"

static struct weft_event event;
static struct world_bunch bunch;
static int arrived;

static int wait_and_count(void *arg)
{
    (void)arg;
    int rc = weft_event_wait(&event);
    if (rc == 0)
        kit_count(&arrived);
    return rc;
}

static void line_up(int n)
{
    for (int i = 0; i < n; i++)
        world_await(world_add(&bunch, wait_and_count, NULL), WI_WAIT_EVENT);
}

KIT_BOTH(set_and_cleared)
{
    struct weft_event e = {0};

    ck_assert(!weft_event_is_set(&e));
    weft_event_clear(&e);
    ck_assert(!weft_event_is_set(&e));
    weft_event_set(&e);
    weft_event_set(&e);
    ck_assert(weft_event_is_set(&e));
    kit_assert_code(weft_event_wait(&e), 0);
    kit_assert_code(weft_event_wait_for(&e, 0), 0);
    weft_event_clear(&e);
    ck_assert(!weft_event_is_set(&e));
    kit_assert_code(weft_event_wait_for(&e, 0), -ETIMEDOUT);
    weft_event_fini(&e);
}

WORLD_TEST(all_who_wait_go_on)
{
    line_up(5);
    ck_assert_int_eq(kit_load(&arrived), 0);
    weft_event_set(&event);
    world_join(&bunch, 0);
    ck_assert_int_eq(arrived, 5);
    kit_assert_code(weft_join(world_start(wait_and_count, NULL)), 0);
}

WORLD_TEST(set_and_clear_at_once_wakes, .timeout = 30)
{
    for (int i = 0; i < 100; i++) {
        line_up(5);
        weft_event_set(&event);
        weft_event_clear(&event);
        world_join(&bunch, 0);
        ck_assert(!weft_event_is_set(&event));
    }
    weft_event_fini(&event);
}

WORLD_TEST(clear_does_not_wake)
{
    line_up(3);
    weft_event_clear(&event);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert_int_eq(kit_load(&arrived), 0);
    weft_event_set(&event);
    world_join(&bunch, 0);
    ck_assert_int_eq(arrived, 3);
}

static int wait_a_little(void *arg)
{
    double before = weft_now();

    (void)arg;
    kit_assert_code(weft_event_wait_for(&event, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    return 0;
}

WORLD_TEST(a_time_limit_ends_the_wait)
{
    for (int i = 0; i < 4; i++)
        world_add(&bunch, wait_a_little, NULL);
    world_join(&bunch, 0);
    weft_event_fini(&event); // nobody is left in line
    weft_event_set(&event);
    kit_assert_code(weft_event_wait_for(&event, 0.02), 0);
}

WORLD_TEST(a_cancel_ends_one_wait_only)
{
    line_up(3);
    weft_cancel(bunch.f[1]);
    kit_assert_code(weft_join(bunch.f[1]), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(kit_load(&arrived), 0);
    weft_event_set(&event);
    kit_assert_code(weft_join(bunch.f[0]), 0);
    kit_assert_code(weft_join(bunch.f[2]), 0);
}

KIT_BOTH(scopes_are_tested_even_if_it_is_set)
{
    struct weft_event e = {0};

    weft_event_set(&e);
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_event_wait(&e), -ETIMEDOUT);
}

// What was done before the set is seen, and the event may be gone at once.
struct box {
    struct weft_event event;
    int value;
};

static int fill(void *arg)
{
    struct box *box = arg;

    box->value = 7;
    weft_event_set(&box->event);
    return 0;
}

WORLD_TEST(may_be_freed_after_the_wait, .timeout = 30)
{
    for (int i = 0; i < 200; i++) {
        struct box *box = calloc(1, sizeof *box);
        weft_future *f = world_start(fill, box);
        if (i % 2)
            kit_assert_code(weft_event_wait(&box->event), 0);
        else
            while (!weft_event_is_set(&box->event))
                weft_yield();
        ck_assert_int_eq(box->value, 7);
        memset(box, 0xff, sizeof *box);
        free(box);
        kit_assert_code(weft_join(f), 0);
    }
}

static void end_while_waited_for(void)
{
    world = THREADS;
    line_up(1);
    weft_event_fini(&event);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(end_while_waited_for, "weft_event_fini");
}

WEFT_TEST_MAIN("event")
