// SPDX-License-Identifier: MIT
// Locks, conditions, semaphores and events in an arena, between processes, one
// of which may die. The case itself waits in a task or in a thread.
struct table;
#define TABLE struct table
#include "elsewhere.h"

struct table {
    struct weft_lock lock;
    struct weft_rlock rlock;
    struct weft_semaphore semaphore;
    struct weft_event event;
    struct weft_condition filled, emptied;
    long total, inside;
    int slot, produced;
    int arrived; // atomic
    long sum;
};

static struct table *make_table(void)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    struct table *t = weft_arena_value(arena, struct table);
    weft_lock_init(&t->lock, .arena = arena);
    weft_rlock_init(&t->rlock, .arena = arena);
    weft_semaphore_init(&t->semaphore, 0, .bound = 5, .arena = arena);
    weft_event_init(&t->event, .arena = arena);
    weft_condition_init(&t->filled, .arena = arena);
    weft_condition_init(&t->emptied, .arena = arena);
    return t;
}

static work_function add, hold_until_the_event, die_with_the_lock, nest,
    take_permits, wait_for_event, set_event, set_and_clear, consume, produce,
    wait_to_be_told, work_for_ever;

ELSEWHERE_WORKS(add, hold_until_the_event, die_with_the_lock, nest, consume,
                take_permits, wait_for_event, set_event, set_and_clear, produce,
                wait_to_be_told, work_for_ever)

static void until_arrived(struct table *t, int n)
{
    kit_await(&t->arrived, n);
}

// Locks -----------------------------------------------------------------------

static int add(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        WEFT_LOCKED(&t->lock);
        if (__atomic_add_fetch(&t->inside, 1, __ATOMIC_RELAXED) != 1)
            return -EIO;
        long seen = t->total;
        if (i % 16 == 0)
            weft_yield();
        t->total = seen + 1;
        __atomic_sub_fetch(&t->inside, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

static int add_here(void *t)
{
    return add(t, 300);
}

KIT_BOTH(one_at_a_time, .timeout = 30)
{
    struct table *t = make_table();
    weft_future *f[4] = {elsewhere(add, t, 300), elsewhere(add, t, 300),
                         weft_task_start(add_here, t),
                         weft_thread_start(add_here, t)};

    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(t->total, 1200);
    ck_assert(!weft_lock_locked(&t->lock));
    weft_lock_fini(&t->lock);
    weft_arena_close(arena);
}

static int hold_until_the_event(struct table *t, long n)
{
    (void)n;
    WEFT_LOCKED(&t->lock);
    kit_count(&t->arrived);
    return weft_event_wait(&t->event);
}

KIT_BOTH(try_and_time_limit)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(hold_until_the_event, t, 0);

    until_arrived(t, 1);
    kit_assert_code(weft_lock_try(&t->lock), -EAGAIN);
    ck_assert(weft_lock_locked(&t->lock));
    double before = weft_now();
    kit_assert_code(weft_lock_acquire_for(&t->lock, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    weft_event_set(&t->event);
    kit_assert_code(weft_lock_acquire(&t->lock), 0);
    kit_assert_code(weft_lock_try(&t->lock), -EAGAIN);
    kit_assert_code(weft_lock_acquire(&t->lock), -WEFT_EDEADLOCK);
    weft_lock_release(&t->lock);
    kit_assert_code(weft_join(f), 0);
    weft_arena_close(arena);
}

static int die_with_the_lock(struct table *t, long n)
{
    int rc = weft_lock_acquire(&t->lock);
    kit_count(&t->arrived);
    while (n > 0)
        n = weft_event_wait(&t->event) != 0;
    raise(SIGKILL);
    return rc;
}

static int get_orphan(void *arg)
{
    struct table *t = arg;
    int rc = weft_lock_acquire(&t->lock);
    weft_lock_release(&t->lock);
    return rc;
}

KIT_BOTH(who_waits_is_told_that_the_owner_died, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(die_with_the_lock, t, 1);

    until_arrived(t, 1);
    weft_future *task = weft_task_start(get_orphan, t);
    weft_future *thread = weft_thread_start(get_orphan, t);
    for (int i = 0; i < 20; i++)
        weft_yield();
    weft_event_set(&t->event);
    kit_assert_code(weft_join(f), -WEFT_ECRASHED);
    kit_assert_code(weft_join(task), -EOWNERDEAD);
    kit_assert_code(weft_join(thread), -EOWNERDEAD);
    kit_assert_code(weft_lock_acquire(&t->lock), -EOWNERDEAD);
    weft_lock_repaired(&t->lock);
    weft_lock_release(&t->lock);
    kit_assert_code(weft_lock_acquire(&t->lock), 0);
    weft_lock_release(&t->lock);
    weft_arena_close(arena);
}

static int nest(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        WEFT_RLOCKED(&t->rlock);
        WEFT_RLOCKED(&t->rlock);
        if (weft_rlock_depth(&t->rlock) != 2)
            return -EIO;
        t->total++;
    }
    return 0;
}

KIT_BOTH(a_recursive_one)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(nest, t, 200);

    kit_assert_code(nest(t, 200), 0);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(t->total, 400);
    ck_assert_uint_eq(weft_rlock_depth(&t->rlock), 0);
    weft_arena_close(arena);
}

// Semaphores ------------------------------------------------------------------

static int take_permits(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        kit_count(&t->arrived);
        int rc = weft_semaphore_acquire(&t->semaphore);
        if (rc < 0)
            return rc;
    }
    return 0;
}

KIT_BOTH(permits_cross)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(take_permits, t, 3);

    kit_assert_code(weft_semaphore_try(&t->semaphore), -EAGAIN);
    for (int i = 1; i <= 3; i++) {
        until_arrived(t, i);
        kit_assert_code(weft_semaphore_release(&t->semaphore, 1), 0);
    }
    kit_assert_code(weft_join(f), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&t->semaphore), 0);
    kit_assert_code(weft_semaphore_acquire_for(&t->semaphore, 0.002),
                    -ETIMEDOUT);
    kit_assert_code(weft_semaphore_release(&t->semaphore, 6), -EOVERFLOW);
    kit_assert_code(weft_semaphore_release(&t->semaphore, 5), 0);
    kit_assert_code(weft_semaphore_acquire(&t->semaphore), 0);
    weft_semaphore_fini(&t->semaphore);
    weft_arena_close(arena);
}

static int take_permit_here(void *arg)
{
    return take_permits(arg, 1);
}

// Who waits and is canceled, or whose process dies, takes no permit.
KIT_BOTH(the_dead_and_the_canceled_take_no_permit, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(take_permits, t, 1);
    until_arrived(t, 1);
    weft_future *canceled = weft_task_start(take_permit_here, t);
    until_arrived(t, 2);
    weft_future *served = weft_thread_start(take_permit_here, t);
    until_arrived(t, 3);

    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    weft_cancel(canceled);
    kit_assert_code(weft_join(canceled), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_semaphore_release(&t->semaphore, 1), 0);
    kit_assert_code(weft_join(served), 0);
    ck_assert_uint_eq(weft_semaphore_permits(&t->semaphore), 0);
    weft_arena_close(arena);
}

// Events ----------------------------------------------------------------------

static int wait_for_event(struct table *t, long n)
{
    (void)n;
    kit_count(&t->arrived);
    return weft_event_wait(&t->event);
}

static int wait_for_event_here(void *arg)
{
    return wait_for_event(arg, 0);
}

static void until_waited_for(struct weft_event *event)
{
    while (__atomic_load_n(&event->line, __ATOMIC_SEQ_CST) == 0)
        weft_yield();
}

KIT_BOTH(set_and_clear_at_once_wakes, .timeout = 20)
{
    struct table *t = make_table();
    kit_assert_code(weft_event_wait_for(&t->event, 0.002), -ETIMEDOUT);
    weft_event_fini(&t->event);
    for (int i = 0; i < 5; i++) {
        weft_future *f = elsewhere(wait_for_event, t, 0);
        until_waited_for(&t->event);
        weft_event_set(&t->event);
        weft_event_clear(&t->event);
        kit_assert_code(weft_join(f), 0);
        ck_assert(!weft_event_is_set(&t->event));
    }
    weft_arena_close(arena);
}

static int set_event(struct table *t, long n)
{
    (void)n;
    weft_event_set(&t->event);
    return 0;
}

KIT_BOTH(set_elsewhere)
{
    struct table *t = make_table();
    weft_future *task = weft_task_start(wait_for_event_here, t);
    weft_future *thread = weft_thread_start(wait_for_event_here, t);

    kit_assert_code(weft_join(elsewhere(set_event, t, 0)), 0);
    kit_assert_code(weft_event_wait(&t->event), 0);
    kit_assert_code(weft_join(task), 0);
    kit_assert_code(weft_join(thread), 0);
    weft_arena_close(arena);
}

static int select_event(void *arg)
{
    struct table *t = arg;
    struct weft_case cases[] = {WEFT_CASE_AFTER(60),
                                WEFT_CASE_EVENT(&t->event)};
    int i = weft_select(cases, 2);
    return i < 0 ? i : cases[i].code < 0 ? cases[i].code : i;
}

static int set_and_clear(struct table *t, long n)
{
    (void)n;
    until_waited_for(&t->event);
    weft_event_set(&t->event);
    weft_event_clear(&t->event);
    return 0;
}

KIT_BOTH(a_select_waits_for_it, .timeout = 20)
{
    struct table *t = make_table();
    struct weft_case c = WEFT_CASE_EVENT(&t->event);
    weft_future *task = weft_task_start(select_event, t);
    weft_future *thread = weft_thread_start(select_event, t);

    kit_assert_code(weft_join(elsewhere(set_event, t, 0)), 0);
    kit_assert_code(weft_join(task), 1);
    kit_assert_code(weft_join(thread), 1);
    kit_assert_code(weft_select(&c, 1, .nowait = true), 0);
    weft_event_clear(&t->event);
    kit_assert_code(weft_select(&c, 1, .nowait = true), -EAGAIN);
    kit_assert_code(weft_select(&c, 1, .timeout = 0.002), -ETIMEDOUT);
    weft_future *f = elsewhere(set_and_clear, t, 0);
    kit_assert_code(select_event(t), 1);
    kit_assert_code(weft_join(f), 0);
    weft_event_fini(&t->event); // who has left stands there no more
    weft_arena_close(arena);
}

// Conditions ------------------------------------------------------------------

static int consume(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        int rc = weft_lock_acquire(&t->lock);
        while (rc == 0 && t->slot == 0)
            rc = weft_condition_wait(&t->filled, &t->lock);
        if (rc < 0)
            return rc;
        t->sum += t->slot;
        t->slot = 0;
        weft_condition_notify(&t->emptied, 1);
        weft_lock_release(&t->lock);
    }
    return 0;
}

static int produce(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        int rc = weft_lock_acquire(&t->lock);
        while (rc == 0 && t->slot != 0)
            rc = weft_condition_wait(&t->emptied, &t->lock);
        if (rc < 0)
            return rc;
        t->slot = ++t->produced;
        weft_condition_notify(&t->filled, 1);
        weft_lock_release(&t->lock);
    }
    return 0;
}

static int produce_here(void *arg)
{
    return produce(arg, 100);
}

static int consume_here(void *arg)
{
    return consume(arg, 100);
}

KIT_BOTH(producers_and_consumers, .timeout = 60)
{
    struct table *t = make_table();
    weft_future *f[6] = {
        elsewhere(produce, t, 100),         elsewhere(consume, t, 100),
        weft_task_start(produce_here, t),   weft_task_start(consume_here, t),
        weft_thread_start(produce_here, t), weft_thread_start(consume_here, t)};

    for (int i = 0; i < 6; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(t->sum, 300 * 301 / 2);
    weft_condition_fini(&t->filled);
    weft_arena_close(arena);
}

static int wait_to_be_told(struct table *t, long n)
{
    (void)n;
    int rc = weft_lock_acquire(&t->lock);
    if (rc == 0)
        rc = weft_condition_wait(&t->filled, &t->lock);
    weft_lock_release(&t->lock);
    return rc;
}

static int wait_to_be_told_here(void *arg)
{
    return wait_to_be_told(arg, 0);
}

// The first in line dies: the notification goes to the next one.
KIT_BOTH(a_notification_passes_the_dead, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(wait_to_be_told, t, 0);
    while (weft_condition_waiting(&t->filled) < 1)
        weft_yield();
    weft_future *f = weft_thread_start(wait_to_be_told_here, t);
    while (weft_condition_waiting(&t->filled) < 2)
        weft_yield();
    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    ck_assert_uint_eq(weft_condition_notify(&t->filled, 1), 1);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_lock_acquire(&t->lock), 0);
    kit_assert_code(
        weft_condition_wait_for(&t->filled, &t->lock, NULL, NULL, 0.002),
        -ETIMEDOUT);
    weft_lock_release(&t->lock);
    weft_arena_close(arena);
}

// Kills at random instants ----------------------------------------------------

static int work_for_ever(struct table *t, long n)
{
    kit_count(&t->arrived);
    while (n == 0) {
        if (weft_lock_acquire(&t->lock) == -EOWNERDEAD) {
            t->inside = 0;
            weft_lock_repaired(&t->lock);
        }
        t->inside++;
        t->inside--;
        weft_condition_notify(&t->filled, 1);
        weft_lock_release(&t->lock);
        if (weft_semaphore_release(&t->semaphore, 1) == 0)
            weft_semaphore_acquire(&t->semaphore);
    }
    return 0;
}

// The parent must get the lock again after each kill, told or not.
KIT_BOTH(owners_killed_at_random, .timeout = 900)
{
    struct table *t = make_table();
    struct recovery recovery = {.kills = 0};

    printf("seed %llu\n", (unsigned long long)weft_test_seed());
    while (recovery.kills < weft_test_kills(25)) {
        int before = kit_load(&t->arrived);
        weft_future *f = elsewhere(work_for_ever, t, 0);
        until_arrived(t, before + 1);
        dawdle();
        kill_it(f);
        double killed = weft_now();
        int rc = weft_lock_acquire(&t->lock);
        recovery_add(&recovery, killed, rc == -EOWNERDEAD);
        if (rc == -EOWNERDEAD) {
            t->inside = 0;
            weft_lock_repaired(&t->lock);
        }
        ck_assert_int_eq(t->inside, 0);
        weft_lock_release(&t->lock);
        kit_assert_code(weft_join(f), -WEFT_ECRASHED);
        weft_condition_notify_all(&t->filled);
        while (weft_semaphore_try(&t->semaphore) == 0)
            ;
        kit_assert_code(weft_semaphore_release(&t->semaphore, 1), 0);
        kit_assert_code(weft_semaphore_acquire(&t->semaphore), 0);
    }
    recovery_print(&recovery, "lock");
    kit_assert_code(weft_arena_check(arena), 0);
    weft_arena_close(arena);
}

static void init_elsewhere(void)
{
    static struct weft_lock here;

    make_table();
    weft_lock_init(&here, .arena = arena);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(init_elsewhere, "weft_lock_init");
}

WEFT_TEST_MAIN("far")
