// SPDX-License-Identifier: MIT
// How waits for objects in an arena end, and who is served: what Python's tests
// of locks ask for (tests/behaviour/locks), with one of those who meet in
// another process.
struct table;
#define TABLE struct table
#include "elsewhere.h"

struct table {
    struct weft_lock lock;
    struct weft_rlock rlock;
    struct weft_event event, go;
    struct weft_condition condition;
    struct weft_semaphore semaphore;
    int arrived, passed; // atomic
    int order[4];
    bool ready;
};

static struct table *make_table(void)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    struct table *t = weft_arena_value(arena, struct table);
    weft_lock_init(&t->lock, .arena = arena);
    weft_rlock_init(&t->rlock, .arena = arena);
    weft_event_init(&t->event, .arena = arena);
    weft_event_init(&t->go, .arena = arena);
    weft_condition_init(&t->condition, .arena = arena);
    weft_semaphore_init(&t->semaphore, 0, .arena = arena);
    return t;
}

static work_function hold, try_rlock, wait_for_event, wait_for_condition,
    make_ready, take_permit, give_permits;

ELSEWHERE_WORKS(hold, try_rlock, wait_for_event, wait_for_condition, make_ready,
                take_permit, give_permits)

// Events ----------------------------------------------------------------------

static int wait_and_count(void *arg)
{
    struct table *t = arg;
    kit_count(&t->arrived);
    int rc = weft_event_wait(&t->event);
    kit_count(&t->passed);
    return rc;
}

// Who has been told that an event is set may free it: nobody is told before
// whoever sets it has done with it.
WEFT_TEST(a_wait_does_not_end_before_the_set_does)
{
    struct table *t = make_table();
    struct wi_far_line line =
        wi_far_line_of(&t->event, &t->event.lock, &t->event.line);
    weft_event_set(&t->event);
    wi_far_take(&line); // as a set at its end
    weft_future *f = weft_thread_start(wait_and_count, t);
    kit_await(&t->arrived, 1);
    for (int i = 0; i < 1000; i++)
        sched_yield();
    ck_assert_int_eq(kit_load(&t->passed), 0);
    wi_far_give(&line);
    kit_assert_code(weft_join(f), 0);
    weft_arena_close(arena);
}

// Locks -----------------------------------------------------------------------

static int hold(struct table *t, long n)
{
    (void)n;
    WEFT_LOCKED(&t->lock);
    kit_count(&t->arrived);
    return weft_event_wait(&t->go);
}

KIT_BOTH(who_has_given_up_is_not_served)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(hold, t, 0);

    kit_await(&t->arrived, 1);
    kit_assert_code(weft_lock_acquire_for(&t->lock, 0.002), -ETIMEDOUT);
    weft_event_set(&t->go);
    kit_assert_code(weft_join(f), 0);
    ck_assert(!weft_lock_locked(&t->lock));
    kit_assert_code(weft_lock_try(&t->lock), 0);
    weft_lock_release(&t->lock);
    weft_arena_close(arena);
}

static int acquire_here(void *arg)
{
    struct table *t = arg;
    kit_count(&t->arrived);
    int rc = weft_lock_acquire(&t->lock);
    if (rc == 0)
        weft_lock_release(&t->lock);
    return rc == 0 ? 7 : rc;
}

KIT_BOTH(neither_cancel_nor_deadline_ends_a_wait)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(hold, t, 0);
    kit_await(&t->arrived, 1);
    weft_future *canceled = weft_task_start(acquire_here, t);
    kit_await(&t->arrived, 2);
    weft_cancel(canceled);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert(!weft_done(canceled));
    weft_event_set(&t->go);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(canceled), 7);
    ck_assert(!weft_lock_locked(&t->lock));
    weft_arena_close(arena);
}

static int try_rlock(struct table *t, long n)
{
    (void)n;
    int rc = weft_rlock_try(&t->rlock);
    if (rc != -EAGAIN)
        return rc == 0 ? 1 : rc;
    return weft_rlock_acquire_for(&t->rlock, 0.002) == -ETIMEDOUT ? 0 : -EIO;
}

static int try_rlock_here(void *t)
{
    return try_rlock(t, 0);
}

KIT_BOTH(a_recursive_one_has_one_owner)
{
    struct table *t = make_table();
    kit_assert_code(weft_rlock_acquire(&t->rlock), 0);
    kit_assert_code(weft_rlock_try(&t->rlock), 0);
    kit_assert_code(weft_join(elsewhere(try_rlock, t, 0)), 0);
    kit_assert_code(weft_join(weft_task_start(try_rlock_here, t)), 0);
    kit_assert_code(weft_join(weft_thread_start(try_rlock_here, t)), 0);
    ck_assert_uint_eq(weft_rlock_depth(&t->rlock), 2);
    weft_rlock_release(&t->rlock);
    ck_assert(weft_rlock_held(&t->rlock));
    weft_rlock_release(&t->rlock);
    ck_assert(!weft_rlock_locked(&t->rlock));
    kit_assert_code(weft_join(elsewhere(try_rlock, t, 0)), 1);
    weft_arena_close(arena);
}

// Events ----------------------------------------------------------------------

static int wait_for_event(struct table *t, long n)
{
    (void)n;
    return weft_event_wait(&t->event);
}

static int wait_for_event_here(void *t)
{
    return wait_for_event(t, 0);
}

KIT_BOTH(a_cancel_ends_one_wait_only_and_clear_none)
{
    struct table *t = make_table();
    weft_future *other = elsewhere(wait_for_event, t, 0);
    until_in_line(&t->event, &t->event.lock, &t->event.line, 1);
    weft_future *canceled = weft_task_start(wait_for_event_here, t);
    until_in_line(&t->event, &t->event.lock, &t->event.line, 2);

    weft_cancel(canceled);
    kit_assert_code(weft_join(canceled), -WEFT_EJOBCANCELED);
    weft_event_clear(&t->event);
    ck_assert(!weft_done(other));
    weft_event_set(&t->event);
    kit_assert_code(weft_join(other), 0);
    kit_assert_code(weft_event_wait(&t->event), 0);
    weft_event_clear(&t->event);
    kit_assert_code(weft_event_wait_for(&t->event, 0.002), -ETIMEDOUT);
    weft_event_fini(&t->event);
    weft_arena_close(arena);
}

// Conditions ------------------------------------------------------------------

static int wait_for_condition(struct table *t, long n)
{
    (void)n;
    int rc = weft_lock_acquire(&t->lock);
    if (rc == 0) {
        rc = weft_condition_wait(&t->condition, &t->lock);
        kit_count(&t->passed);
        weft_lock_release(&t->lock);
    }
    return rc;
}

static int wait_for_condition_here(void *t)
{
    return wait_for_condition(t, 0);
}

static void until_waiting(struct table *t, unsigned n)
{
    while (weft_condition_waiting(&t->condition) != n)
        weft_yield();
}

KIT_BOTH(exactly_those_notified_go_on)
{
    struct table *t = make_table();
    weft_future *f[3];
    f[0] = elsewhere(wait_for_condition, t, 0);
    until_waiting(t, 1);
    f[1] = weft_task_start(wait_for_condition_here, t);
    until_waiting(t, 2);
    f[2] = weft_thread_start(wait_for_condition_here, t);
    until_waiting(t, 3);

    kit_assert_code(weft_lock_acquire(&t->lock), 0);
    ck_assert_uint_eq(weft_condition_notify(&t->condition, 1), 1);
    weft_lock_release(&t->lock);
    kit_assert_code(weft_join(f[0]), 0);
    ck_assert_int_eq(kit_load(&t->passed), 1);
    ck_assert_uint_eq(weft_condition_waiting(&t->condition), 2);
    ck_assert_uint_eq(weft_condition_notify_all(&t->condition), 2);
    kit_assert_code(weft_join(f[1]), 0);
    kit_assert_code(weft_join(f[2]), 0);
    ck_assert_uint_eq(weft_condition_notify(&t->condition, 1), 0);
    weft_condition_fini(&t->condition);
    weft_arena_close(arena);
}

// The lock is with another process when the wait is canceled: the canceled one
// has it all the same before it returns.
KIT_BOTH(a_canceled_one_waits_for_the_lock)
{
    struct table *t = make_table();
    weft_future *canceled = weft_task_start(wait_for_condition_here, t);
    until_waiting(t, 1);
    weft_future *other = elsewhere(wait_for_condition, t, 0);
    until_waiting(t, 2);
    weft_future *holder = elsewhere(hold, t, 0);
    kit_await(&t->arrived, 1);

    weft_cancel(canceled);
    until_waiting(t, 1);
    ck_assert(!weft_done(canceled));
    weft_event_set(&t->go);
    kit_assert_code(weft_join(holder), 0);
    kit_assert_code(weft_join(canceled), -WEFT_EJOBCANCELED);
    ck_assert_uint_eq(weft_condition_notify(&t->condition, 2), 1);
    kit_assert_code(weft_join(other), 0);
    weft_arena_close(arena);
}

static bool is_ready(void *t)
{
    return ((struct table *)t)->ready;
}

static int make_ready(struct table *t, long n)
{
    until_waiting(t, (unsigned)n);
    WEFT_LOCKED(&t->lock);
    weft_condition_notify_all(&t->condition); // for nothing
    t->ready = true;
    weft_condition_notify_all(&t->condition);
    return 0;
}

KIT_BOTH(a_predicate_is_waited_for)
{
    struct table *t = make_table();
    kit_assert_code(weft_lock_acquire(&t->lock), 0);
    kit_assert_code(
        weft_condition_wait_for(&t->condition, &t->lock, is_ready, t, 0.002),
        -ETIMEDOUT);
    weft_future *f = elsewhere(make_ready, t, 1);
    kit_assert_code(
        weft_condition_wait_for(&t->condition, &t->lock, is_ready, t, INFINITY),
        0);
    ck_assert(t->ready);
    ck_assert(weft_lock_held(&t->lock));
    weft_lock_release(&t->lock);
    kit_assert_code(weft_join(f), 0);
    weft_arena_close(arena);
}

// Semaphores ------------------------------------------------------------------

static int take_permit(struct table *t, long n)
{
    int rc = weft_semaphore_acquire(&t->semaphore);
    if (rc == 0)
        t->order[n] = __atomic_add_fetch(&t->passed, 1, __ATOMIC_SEQ_CST);
    return rc;
}

static int take_permit_here(void *t)
{
    return take_permit(t, 1);
}

KIT_BOTH(permits_go_first_in_first_out)
{
    struct table *t = make_table();
    weft_future *f[3];
    f[0] = elsewhere(take_permit, t, 0);
    until_in_line(&t->semaphore, &t->semaphore.lock, &t->semaphore.line, 1);
    f[1] = weft_task_start(take_permit_here, t);
    until_in_line(&t->semaphore, &t->semaphore.lock, &t->semaphore.line, 2);
    f[2] = elsewhere(take_permit, t, 2);
    until_in_line(&t->semaphore, &t->semaphore.lock, &t->semaphore.line, 3);

    kit_assert_code(weft_semaphore_try(&t->semaphore), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        kit_assert_code(weft_semaphore_release(&t->semaphore, 1), 0);
        kit_assert_code(weft_join(f[i]), 0);
        ck_assert_int_eq(t->order[i], i + 1);
    }
    ck_assert_uint_eq(weft_semaphore_permits(&t->semaphore), 0);
    weft_arena_close(arena);
}

static int give_permits(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        kit_await(&t->arrived, (int)i + 1);
        weft_semaphore_release(&t->semaphore, 1);
    }
    return 0;
}

// Each permit that another process gives is taken or still there, whoever wins.
KIT_BOTH(a_cancel_and_a_permit_race, .timeout = 30)
{
    enum { ROUNDS = 100 };
    struct table *t = make_table();
    weft_future *giver = elsewhere(give_permits, t, ROUNDS);
    unsigned taken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        weft_future *f = weft_task_start(take_permit_here, t);
        kit_count(&t->arrived);
        weft_yield();
        weft_cancel(f);
        int rc = weft_join(f);
        ck_assert(rc == 0 || rc == -WEFT_EJOBCANCELED);
        taken += rc == 0;
    }
    kit_assert_code(weft_join(giver), 0);
    ck_assert_uint_eq(taken + weft_semaphore_permits(&t->semaphore), ROUNDS);
    weft_arena_close(arena);
}

// Misuse ----------------------------------------------------------------------

static void release_what_another_holds(void)
{
    struct table *t = make_table();
    elsewhere(hold, t, 0);
    kit_await(&t->arrived, 1);
    weft_lock_release(&t->lock);
}

static void release_a_free_rlock(void)
{
    weft_rlock_release(&make_table()->rlock);
}

static void end_a_held_one(void)
{
    struct table *t = make_table();
    if (weft_lock_acquire(&t->lock) == 0)
        weft_lock_fini(&t->lock);
}

static void wait_without_the_lock(void)
{
    struct table *t = make_table();
    weft_condition_wait(&t->condition, &t->lock);
}

static void end_an_event_that_is_waited_for(void)
{
    struct table *t = make_table();
    weft_thread_start(wait_for_event_here, t);
    until_in_line(&t->event, &t->event.lock, &t->event.line, 1);
    weft_event_fini(&t->event);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(release_what_another_holds, "holds it");
    kit_assert_aborts(release_a_free_rlock, "holds it");
    kit_assert_aborts(end_a_held_one, "not held");
    kit_assert_aborts(wait_without_the_lock, "holds the lock");
    kit_assert_aborts(end_an_event_that_is_waited_for, "nobody waits");
}

WEFT_TEST_MAIN("far_waits")
