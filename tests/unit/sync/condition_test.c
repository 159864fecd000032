// SPDX-License-Identifier: MIT
// Conditions: exactly those who were notified go on, and in their order.
#include "world.h"

static struct weft_lock lock;
static struct weft_rlock rlock;
static struct weft_condition condition;
static struct world_bunch bunch;
static int order[16], arrived, phase;

static int wait_and_note(void *arg)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int rc = weft_condition_wait(&condition, &lock);
    ck_assert(weft_lock_held(&lock));
    if (rc == 0)
        order[arrived++] = (int)(intptr_t)arg;
    weft_lock_release(&lock);
    return rc;
}

// n that wait, in the order of their numbers.
static void line_up(int n)
{
    for (int i = 0; i < n; i++)
        world_await(world_add(&bunch, wait_and_note, kit_number(i)),
                    WI_WAIT_CONDITION);
}

static int how_many(void)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int n = arrived;
    weft_lock_release(&lock);
    return n;
}

static void notify_held(size_t n, size_t notified)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    ck_assert_uint_eq(weft_condition_notify(&condition, n), notified);
    weft_lock_release(&lock);
}

WORLD_TEST(exactly_those_notified_go_on)
{
    line_up(9);
    ck_assert_uint_eq(weft_condition_waiting(&condition), 9);
    notify_held(3, 3);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(bunch.f[i]), 0);
    notify_held(5, 5);
    for (int i = 3; i < 8; i++)
        kit_assert_code(weft_join(bunch.f[i]), 0);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert_int_eq(how_many(), 8);
    ck_assert(!weft_done(bunch.f[8]));
    kit_assert_code(weft_lock_acquire(&lock), 0);
    ck_assert_uint_eq(weft_condition_notify_all(&condition), 1);
    ck_assert_uint_eq(weft_condition_notify_all(&condition), 0);
    weft_lock_release(&lock);
    kit_assert_code(weft_join(bunch.f[8]), 0);
    weft_condition_fini(&condition);
    weft_lock_fini(&lock);
}

// Without the lock the notified ones are woken at once.
WORLD_TEST(notified_without_the_lock)
{
    line_up(4);
    ck_assert_uint_eq(weft_condition_notify(&condition, 1), 1);
    kit_assert_code(weft_join(bunch.f[0]), 0);
    ck_assert_uint_eq(weft_condition_notify_all(&condition), 3);
    for (int i = 1; i < 4; i++)
        kit_assert_code(weft_join(bunch.f[i]), 0);
    ck_assert_int_eq(how_many(), 4);
}

// Among tasks of one worker the order is seen exactly.
KIT_TASK(notified_in_the_order_of_waiting)
{
    world = TASKS;
    line_up(8);
    notify_held(8, 8);
    world_join(&bunch, 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(order[i], i);
}

// A notification is not stolen by one who begins to wait after it.
WORLD_TEST(no_notification_for_a_later_one)
{
    line_up(1);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    weft_condition_notify(&condition, 1);
    weft_lock_release(&lock);
    weft_future *later = world_start(wait_and_note, kit_number(7));
    world_await(later, WI_WAIT_CONDITION);
    kit_assert_code(weft_join(bunch.f[0]), 0);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert(!weft_done(later));
    notify_held(1, 1);
    kit_assert_code(weft_join(later), 0);
}

KIT_BOTH(a_notification_without_waiters_is_lost)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    ck_assert_uint_eq(weft_condition_notify(&condition, 1), 0);
    kit_assert_code(
        weft_condition_wait_for(&condition, &lock, NULL, NULL, 0.002),
        -ETIMEDOUT);
    weft_lock_release(&lock);
}

// Limits ----------------------------------------------------------------------

static int wait_a_little(void *arg)
{
    double before = weft_now();

    (void)arg;
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int rc = weft_condition_wait_for(&condition, &lock, NULL, NULL, 0.02);
    ck_assert(weft_lock_held(&lock));
    weft_lock_release(&lock);
    ck_assert(weft_now() - before >= 0.02);
    return rc;
}

WORLD_TEST(a_time_limit_ends_the_wait)
{
    for (int i = 0; i < 5; i++)
        world_add(&bunch, wait_a_little, NULL);
    world_join(&bunch, -WEFT_EJOBTIMEOUT);
    weft_condition_fini(&condition);
    weft_lock_fini(&lock);
}

WORLD_TEST(who_was_canceled_has_taken_no_notification)
{
    line_up(3);
    weft_cancel(bunch.f[0]);
    kit_assert_code(weft_join(bunch.f[0]), -WEFT_EJOBCANCELED);
    notify_held(1, 1);
    kit_assert_code(weft_join(bunch.f[1]), 0);
    ck_assert(!weft_done(bunch.f[2]));
    notify_held(1, 1);
    kit_assert_code(weft_join(bunch.f[2]), 0);
}

// A cancel does not get the lock for whoever waits.
WORLD_TEST(a_canceled_one_waits_for_the_lock)
{
    line_up(1);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    weft_cancel(bunch.f[0]);
    world_await(bunch.f[0], WI_WAIT_LOCK);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert(!weft_done(bunch.f[0]));
    weft_lock_release(&lock);
    kit_assert_code(weft_join(bunch.f[0]), -WEFT_EJOBCANCELED);
}

// Notified first, canceled while it waits for the lock: it was notified.
WORLD_TEST(a_cancel_after_the_notification_is_too_late)
{
    line_up(2);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    weft_condition_notify(&condition, 1);
    weft_cancel(bunch.f[0]);
    for (int i = 0; i < 20; i++)
        weft_yield();
    weft_lock_release(&lock);
    kit_assert_code(weft_join(bunch.f[0]), 0);
    ck_assert(!weft_done(bunch.f[1]));
    notify_held(1, 1);
    kit_assert_code(weft_join(bunch.f[1]), 0);
}

// At the same time: either, and the notification goes to somebody.
WORLD_TEST(a_cancel_and_a_notification_race, .timeout = 40)
{
    for (int i = 0; i < 150; i++) {
        bunch.n = 0;
        arrived = 0;
        line_up(2);
        bool held = i % 2;
        if (held)
            kit_assert_code(weft_lock_acquire(&lock), 0);
        if (i % 4 < 2)
            weft_cancel(bunch.f[0]);
        size_t n = weft_condition_notify(&condition, 1);
        if (i % 4 >= 2)
            weft_cancel(bunch.f[0]);
        if (held)
            weft_lock_release(&lock);
        ck_assert_uint_eq(n, 1);
        int rc = weft_join(bunch.f[0]);
        ck_assert(rc == 0 || rc == -WEFT_EJOBCANCELED);
        ck_assert_uint_eq(weft_condition_notify_all(&condition), rc == 0);
        kit_assert_code(weft_join(bunch.f[1]), 0);
    }
    weft_condition_fini(&condition);
    weft_lock_fini(&lock);
}

// Holders that end ------------------------------------------------------------

static int wait_for_an_orphan(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&lock), 0);
    kit_assert_code(weft_condition_wait(&condition, &lock), -EOWNERDEAD);
    ck_assert(weft_lock_held(&lock));
    weft_lock_repaired(&lock);
    weft_lock_release(&lock);
    return 0;
}

static int notify_and_end(void *arg)
{
    int rc = weft_lock_acquire(&lock);
    *(size_t *)arg = weft_condition_notify(&condition, 1);
    return rc;
}

// In line for the lock, behind one that never gives it back.
WORLD_TEST(notified_by_one_that_ends_with_the_lock)
{
    size_t notified = 0;
    weft_future *f = world_start(wait_for_an_orphan, NULL);
    world_await(f, WI_WAIT_CONDITION);
    kit_assert_code(weft_join(world_start(notify_and_end, &notified)), 0);
    ck_assert_uint_eq(notified, 1);
    kit_assert_code(weft_join(f), 0);
    weft_condition_fini(&condition);
    weft_lock_fini(&lock);
}

static int wait_and_end(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&lock), 0);
    return weft_condition_wait(&condition, &lock);
}

// Behind one that was notified before it. Of threads only, for which the line
// says who of the two is first.
WEFT_TEST(notified_after_one_that_ends_with_the_lock)
{
    world = THREADS;
    world_await(world_add(&bunch, wait_and_end, NULL), WI_WAIT_CONDITION);
    world_await(world_add(&bunch, wait_for_an_orphan, NULL), WI_WAIT_CONDITION);
    notify_held(2, 2);
    world_join(&bunch, 0);
    weft_lock_fini(&lock);
}

KIT_BOTH(scopes_are_tested_first)
{
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    kit_assert_code(weft_condition_wait(&condition, &lock), -ETIMEDOUT);
    ck_assert(weft_lock_held(&lock));
    weft_lock_release(&lock);
}

// Predicates ------------------------------------------------------------------

static bool phase_is(void *arg)
{
    ck_assert(weft_lock_held(&lock));
    return phase == (int)(intptr_t)arg;
}

static int wait_for_phase(void *arg)
{
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int rc =
        weft_condition_wait_for(&condition, &lock, phase_is, arg, INFINITY);
    if (rc == 0) {
        ck_assert(phase_is(arg));
        phase++;
        weft_condition_notify_all(&condition);
    }
    weft_lock_release(&lock);
    return rc;
}

WORLD_TEST(wait_for_a_predicate)
{
    for (int i = 5; i > 0; i--)
        world_add(&bunch, wait_for_phase, kit_number(i));
    kit_assert_code(weft_lock_acquire(&lock), 0);
    phase = 1;
    weft_condition_notify_all(&condition);
    kit_assert_code(weft_condition_wait_for(&condition, &lock, phase_is,
                                            kit_number(6), INFINITY),
                    0);
    weft_lock_release(&lock);
    world_join(&bunch, 0);
}

static int notify_in_vain(void *arg)
{
    (void)arg;
    while (kit_load(&arrived) == 0) {
        weft_condition_notify_all(&condition);
        weft_sleep(0.001);
    }
    return 0;
}

WORLD_TEST(the_time_of_a_predicate_is_that_of_all_its_waits)
{
    double before = weft_now();

    world_add(&bunch, notify_in_vain, NULL);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    kit_assert_code(weft_condition_wait_for(&condition, &lock, phase_is,
                                            kit_number(4), 0.03),
                    -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.03);
    phase = 4;
    kit_assert_code(
        weft_condition_wait_for(&condition, &lock, phase_is, kit_number(4), 0),
        0);
    weft_lock_release(&lock);
    kit_count(&arrived);
    world_join(&bunch, 0);
}

// Recursive locks -------------------------------------------------------------

static int wait_deep(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_rlock_acquire(&rlock), 0);
    int rc = weft_condition_wait_rlock(&condition, &rlock);
    ck_assert_uint_eq(weft_rlock_depth(&rlock), 3);
    for (int i = 0; i < 3; i++)
        weft_rlock_release(&rlock);
    return rc;
}

WORLD_TEST(a_recursive_lock_is_released_entirely)
{
    for (int i = 0; i < 3; i++)
        world_await(world_add(&bunch, wait_deep, NULL), WI_WAIT_CONDITION);
    kit_assert_code(weft_rlock_acquire(&rlock), 0);
    ck_assert_uint_eq(weft_condition_notify(&condition, 2), 2);
    ck_assert_uint_eq(weft_condition_notify(&condition, 2), 1);
    kit_assert_code(
        weft_condition_wait_rlock_for(&condition, &rlock, NULL, NULL, 0.002),
        -ETIMEDOUT);
    ck_assert_uint_eq(weft_rlock_depth(&rlock), 1);
    weft_rlock_release(&rlock);
    world_join(&bunch, 0);
    weft_rlock_fini(&rlock);
}

// A queue of one place: nothing lost, nothing doubled -------------------------

static struct weft_condition filled, emptied;
static int slot, produced;
static long sum;
enum { ITEMS = 300, PRODUCERS = 3, CONSUMERS = 3 };

static int produce(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        WEFT_LOCKED(&lock);
        while (slot != 0)
            kit_assert_code(weft_condition_wait(&emptied, &lock), 0);
        slot = ++produced;
        weft_condition_notify(&filled, 1);
    }
    return 0;
}

static int consume(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        WEFT_LOCKED(&lock);
        while (slot == 0)
            kit_assert_code(weft_condition_wait(&filled, &lock), 0);
        sum += slot;
        slot = 0;
        weft_condition_notify(&emptied, 1);
    }
    return 0;
}

WORLD_TEST(producers_and_consumers, .timeout = 60)
{
    for (int i = 0; i < PRODUCERS; i++)
        world_add(&bunch, produce, NULL);
    for (int i = 0; i < CONSUMERS; i++)
        world_add(&bunch, consume, NULL);
    world_join(&bunch, 0);
    long n = ITEMS * PRODUCERS;
    ck_assert_int_eq(sum, n * (n + 1) / 2);
    weft_lock_fini(&lock);
}

// Deadlock --------------------------------------------------------------------

static struct weft_lock other;

static int wait_holding_the_other(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&other), 0);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    kit_assert_code(weft_condition_wait(&condition, &lock), 0);
    weft_lock_release(&lock);
    weft_lock_release(&other);
    return 0;
}

// The waiter cannot be told, it must have its lock back: so the other one is,
// whether its wait closes the cycle or was there before.
WORLD_TEST(a_cycle_over_a_re_acquire)
{
    weft_future *f = world_start(wait_holding_the_other, NULL);

    world_await(f, WI_WAIT_CONDITION);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    ck_assert_uint_eq(weft_condition_notify(&condition, 1), 1);
    kit_assert_code(weft_lock_acquire(&other), -WEFT_EDEADLOCK);
    weft_lock_release(&lock);
    kit_assert_code(weft_join(f), 0);
}

static int want_the_other(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&lock), 0);
    int rc = weft_lock_acquire(&other);
    if (rc == 0)
        weft_lock_release(&other);
    weft_lock_release(&lock);
    return rc;
}

WORLD_TEST(a_cycle_that_a_re_acquire_closes)
{
    weft_future *f = world_start(wait_holding_the_other, NULL);
    world_await(f, WI_WAIT_CONDITION);
    weft_future *g = world_start(want_the_other, NULL);
    world_await(g, WI_WAIT_LOCK);
    ck_assert_uint_eq(weft_condition_notify(&condition, 1), 1);
    kit_assert_code(weft_join(g), -WEFT_EDEADLOCK);
    kit_assert_code(weft_join(f), 0);
}

// Misuse ----------------------------------------------------------------------

static void wait_without_the_lock(void)
{
    weft_condition_wait(&condition, &lock);
}

static void wait_for_without_the_lock(void)
{
    weft_condition_wait_for(&condition, &lock, phase_is, NULL, 1);
}

static void end_while_waited_for(void)
{
    world = THREADS;
    line_up(1);
    weft_condition_fini(&condition);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(wait_without_the_lock, "holds the lock");
    kit_assert_aborts(wait_for_without_the_lock, "holds the lock");
    kit_assert_aborts(end_while_waited_for, "weft_condition_fini");
}

WEFT_TEST_MAIN("condition")
