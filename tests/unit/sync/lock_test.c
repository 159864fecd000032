// SPDX-License-Identifier: MIT
// Locks: who has them, who gets them next, and what misuse says.
#include "world.h"

#include <pthread.h>

static struct weft_lock lock;
static struct weft_rlock rlock;
static long total;
static int arrived;

_Static_assert(sizeof(struct weft_lock) <= 16, "as small as it was promised");

// One at a time ---------------------------------------------------------------

enum { MANY = 6, ROUNDS = 300 };

static int add_in_two_steps(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        WEFT_LOCKED(&lock);
        long seen = total;
        if (i % 7 == 0)
            weft_yield();
        total = seen + 1;
    }
    return 0;
}

WORLD_TEST(one_at_a_time, .timeout = 30)
{
    weft_future *f[MANY];

    for (int i = 0; i < MANY; i++)
        f[i] = world_start(add_in_two_steps, NULL);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(total, MANY * ROUNDS);
    weft_lock_fini(&lock);
}

static int add_recursively(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        WEFT_RLOCKED(&rlock);
        long seen = total;
        {
            WEFT_RLOCKED(&rlock);
            ck_assert_uint_eq(weft_rlock_depth(&rlock), 2);
            if (i % 7 == 0)
                weft_yield();
        }
        ck_assert(weft_rlock_held(&rlock));
        total = seen + 1;
    }
    return 0;
}

WORLD_TEST(one_at_a_time_recursively, .timeout = 30)
{
    weft_future *f[MANY];

    for (int i = 0; i < MANY; i++)
        f[i] = world_start(add_recursively, NULL);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(total, MANY * ROUNDS);
    weft_rlock_fini(&rlock);
}

// Held by another -------------------------------------------------------------

static struct kit_gate gate;

static int hold_until_the_gate_opens(void *arg)
{
    WEFT_LOCKED(&lock);
    kit_count(arg);
    kit_gate_wait(&gate);
    return 0;
}

static weft_future *held_by_another(void)
{
    gate = kit_gate_new();
    weft_future *f = world_start(hold_until_the_gate_opens, &arrived);
    kit_await(&arrived, 1);
    return f;
}

static void let_go(weft_future *f)
{
    kit_gate_open(&gate);
    kit_assert_code(weft_join(f), 0);
    kit_gate_free(&gate);
}

WORLD_TEST(try_fails_when_it_is_held)
{
    weft_future *f = held_by_another();

    kit_assert_code(weft_lock_try(&lock), -EAGAIN);
    ck_assert(!weft_lock_held(&lock));
    ck_assert(weft_lock_locked(&lock));
    let_go(f);
    kit_assert_code(weft_lock_try(&lock), 0);
    ck_assert(weft_lock_held(&lock));
    kit_assert_code(weft_lock_try(&lock), -EAGAIN);
    weft_lock_release(&lock);
    ck_assert(!weft_lock_locked(&lock));
}

WORLD_TEST(a_time_limit_ends_the_wait)
{
    weft_future *f = held_by_another();
    double before = weft_now();

    kit_assert_code(weft_lock_acquire_for(&lock, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    kit_assert_code(weft_lock_acquire_for(&lock, 0), -ETIMEDOUT);
    kit_assert_code(weft_lock_acquire_for(&lock, -1), -ETIMEDOUT);
    let_go(f);
    kit_assert_code(weft_lock_acquire_for(&lock, 0), 0);
    weft_lock_release(&lock);
    weft_lock_fini(&lock); // nobody is left in line
}

// A waiter that has given up is not handed the lock.
WORLD_TEST(who_has_given_up_is_not_served)
{
    weft_future *f = held_by_another();

    kit_assert_code(weft_lock_acquire_for(&lock, 0.002), -ETIMEDOUT);
    weft_future *next = world_start(add_in_two_steps, NULL);
    kit_assert_code(weft_lock_acquire_for(&lock, 0.002), -ETIMEDOUT);
    let_go(f);
    kit_assert_code(weft_join(next), 0);
    ck_assert_int_eq(total, ROUNDS);
    weft_lock_fini(&lock);
}

static int acquire_while_canceled(void *arg)
{
    WEFT_TIMEOUT(0);
    kit_count(arg);
    ck_assert_int_lt(weft_sleep(INFINITY), 0);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    total++;
    weft_lock_release(&lock);
    return 0;
}

WORLD_TEST(neither_cancel_nor_deadline_ends_a_wait)
{
    weft_future *f = held_by_another();
    weft_future *w = world_start(acquire_while_canceled, &arrived);

    kit_await(&arrived, 2);
    weft_cancel(w);
    for (int i = 0; i < 20; i++)
        weft_yield();
    ck_assert(!weft_done(w));
    let_go(f);
    kit_assert_code(weft_join(w), 0);
    ck_assert_int_eq(total, 1);
}

// Nobody starves: a holder that takes the lock again and again, without ever
// waiting, lets the other one in.
static bool stop;

static int greedy(void *arg)
{
    kit_count(arg);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        WEFT_LOCKED(&lock);
        weft_yield(); // so that the other one finds it taken
    }
    return 0;
}

static void be_let_in(int times)
{
    weft_future *f = world_start(greedy, &arrived);

    kit_await(&arrived, 1);
    for (int i = 0; i < times; i++) {
        kit_assert_code(weft_lock_acquire(&lock), 0);
        total++;
        weft_lock_release(&lock);
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    kit_assert_code(weft_join(f), 0);
}

WORLD_TEST(nobody_starves, .timeout = 30)
{
    be_let_in(100);
    ck_assert_int_eq(total, 100);
}

// Among tasks of one worker: the waiter is let in after at most five turns of
// the one who overtakes it.
static int turns;

static int overtake(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        WEFT_LOCKED(&lock);
        turns++;
        weft_yield();
    }
    return 0;
}

KIT_TASK(turns_before_a_waiter_are_bounded)
{
    weft_future *f = weft_task_start(overtake, NULL);

    while (turns == 0)
        weft_yield();
    for (int i = 0; i < 50; i++) {
        int before = turns;
        kit_assert_code(weft_lock_acquire(&lock), 0);
        ck_assert_int_le(turns - before, 6);
        weft_lock_release(&lock);
        weft_yield();
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    kit_assert_code(weft_join(f), 0);
}

// Who stands in line among tasks of one worker goes in in that order.
static int order[8];

static int note(void *arg)
{
    WEFT_LOCKED(&lock);
    order[arrived++] = (int)(intptr_t)arg;
    return 0;
}

KIT_TASK(a_line_is_served_in_its_order)
{
    weft_future *f[8];

    kit_assert_code(weft_lock_acquire(&lock), 0);
    for (int i = 0; i < 8; i++) {
        f[i] = weft_task_start(note, kit_number(i));
        world_await(f[i], WI_WAIT_LOCK);
    }
    weft_lock_release(&lock);
    for (int i = 0; i < 8; i++) {
        kit_assert_code(weft_join(f[i]), 0);
        ck_assert_int_eq(order[i], i);
    }
}

// Recursion -------------------------------------------------------------------

KIT_BOTH(a_recursive_lock_counts)
{
    for (uint32_t i = 1; i <= 5; i++) {
        kit_assert_code(weft_rlock_acquire(&rlock), 0);
        ck_assert_uint_eq(weft_rlock_depth(&rlock), i);
    }
    kit_assert_code(weft_rlock_try(&rlock), 0);
    kit_assert_code(weft_rlock_acquire_for(&rlock, 0), 0);
    ck_assert_uint_eq(weft_rlock_depth(&rlock), 7);
    for (uint32_t i = 7; i > 0; i--) {
        ck_assert_uint_eq(weft_rlock_depth(&rlock), i);
        weft_rlock_release(&rlock);
    }
    ck_assert_uint_eq(weft_rlock_depth(&rlock), 0);
    ck_assert(!weft_rlock_locked(&rlock));
    weft_rlock_fini(&rlock);
}

static int try_rlock(void *arg)
{
    (void)arg;
    ck_assert_uint_eq(weft_rlock_depth(&rlock), 0);
    return weft_rlock_try(&rlock);
}

WORLD_TEST(the_owner_is_the_task_not_its_thread)
{
    kit_assert_code(weft_rlock_acquire(&rlock), 0);
    kit_assert_code(weft_join(world_start(try_rlock, NULL)), -EAGAIN);
    weft_rlock_release(&rlock);
}

static int hold_rlock(void *arg)
{
    WEFT_RLOCKED(&rlock);
    kit_count(arg);
    return kit_gate_wait(&gate);
}

WORLD_TEST(a_time_limit_ends_the_wait_for_a_recursive_one)
{
    gate = kit_gate_new();
    weft_future *f = world_start(hold_rlock, &arrived);
    kit_await(&arrived, 1);
    double before = weft_now();
    kit_assert_code(weft_rlock_acquire_for(&rlock, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    kit_assert_code(weft_rlock_try(&rlock), -EAGAIN);
    ck_assert(weft_rlock_locked(&rlock));
    let_go(f);
    kit_assert_code(weft_rlock_acquire_for(&rlock, 0), 0);
    weft_rlock_release(&rlock);
    weft_rlock_fini(&rlock);
}

// Misuse ----------------------------------------------------------------------

static int release_it(void *arg)
{
    weft_lock_release(arg);
    return 0;
}

static void release_by_another(void)
{
    WEFT_LOCKED(&lock);
    weft_join(weft_thread_start(release_it, &lock));
}

static int main_releases_by_another(void *arg)
{
    (void)arg;
    WEFT_LOCKED(&lock);
    return weft_join(weft_task_start(release_it, &lock));
}

static void release_by_another_task(void)
{
    weft_run(main_releases_by_another, NULL);
}

static void release_a_free_one(void)
{
    weft_lock_release(&lock);
}

static void release_a_free_rlock(void)
{
    weft_rlock_release(&rlock);
}

static void release_too_often(void)
{
    if (weft_rlock_acquire(&rlock) == 0)
        weft_rlock_release(&rlock);
    weft_rlock_release(&rlock);
}

static int release_rlock(void *arg)
{
    weft_rlock_release(arg);
    return 0;
}

static void release_rlock_by_another(void)
{
    WEFT_RLOCKED(&rlock);
    weft_join(weft_thread_start(release_rlock, &rlock));
}

static void end_a_held_one(void)
{
    if (weft_lock_acquire(&lock) == 0)
        weft_lock_fini(&lock);
}

static void twice_by_declaration(void)
{
    WEFT_LOCKED(&lock);
    WEFT_LOCKED(&lock);
}

WEFT_TEST(misuse_aborts, .timeout = 20)
{
    kit_assert_aborts(release_by_another, "weft_lock_release");
    kit_assert_aborts(release_by_another_task, "holds it");
    kit_assert_aborts(release_a_free_one, "holds it");
    kit_assert_aborts(release_a_free_rlock, "weft_rlock_release");
    kit_assert_aborts(release_too_often, "holds it");
    kit_assert_aborts(release_rlock_by_another, "holds it");
    kit_assert_aborts(end_a_held_one, "not held");
    kit_assert_aborts(twice_by_declaration, "cycle");
}

// Owners that end -------------------------------------------------------------

static int leak(void *arg)
{
    return weft_lock_acquire(arg);
}

WORLD_TEST(a_lock_that_was_leaked_says_so)
{
    kit_assert_code(weft_join(world_start(leak, &lock)), 0);
    for (int i = 0; i < 3; i++) { // until it is repaired
        kit_assert_code(weft_lock_acquire(&lock), -EOWNERDEAD);
        ck_assert(weft_lock_held(&lock));
        weft_lock_release(&lock);
    }
    kit_assert_code(weft_lock_try(&lock), -EOWNERDEAD);
    weft_lock_repaired(&lock);
    weft_lock_release(&lock);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    weft_lock_release(&lock);
    weft_lock_fini(&lock);
}

static int leak_at_the_gate(void *arg)
{
    int rc = weft_lock_acquire(&lock);
    kit_count(arg);
    kit_gate_wait(&gate);
    return rc;
}

static int get_orphan(void *arg)
{
    (void)arg;
    int rc = weft_lock_acquire(&lock);
    weft_lock_release(&lock);
    return rc;
}

WORLD_TEST(who_waits_is_told_when_the_owner_ends)
{
    weft_future *waiters[3];

    gate = kit_gate_new();
    weft_future *f = world_start(leak_at_the_gate, &arrived);
    kit_await(&arrived, 1);
    for (int i = 0; i < 3; i++)
        waiters[i] = world_start(get_orphan, NULL);
    for (int i = 0; i < 20; i++)
        weft_yield();
    kit_gate_open(&gate);
    kit_assert_code(weft_join(f), 0);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(waiters[i]), -EOWNERDEAD);
    kit_gate_free(&gate);
}

static void leak_and_end(void)
{
    weft_join(weft_task_start(leak, &lock, .name = "forgetful"));
}

WEFT_TEST(a_leak_is_reported)
{
    char text[8192];

    ck_assert_int_eq(kit_child(leak_and_end, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "forgetful"));
    ck_assert_ptr_nonnull(strstr(text, "ended while it held 1 lock"));
}

static void *leak_in_foreign_thread(void *arg)
{
    return weft_lock_acquire(arg) == 0 ? arg : NULL;
}

WEFT_TEST(a_foreign_thread_that_leaks)
{
    pthread_t thread;
    void *got;

    ck_assert_int_eq(
        pthread_create(&thread, NULL, leak_in_foreign_thread, &lock), 0);
    pthread_join(thread, &got);
    ck_assert_ptr_eq(got, &lock);
    kit_assert_code(weft_lock_acquire(&lock), -EOWNERDEAD);
    weft_lock_release(&lock);
}

// After fork() the child's locks belong to nobody: they say so, and can be
// repaired.
static int acquired_and_repaired(struct weft_lock *l)
{
    int rc = weft_lock_acquire(l);

    if (rc != -EOWNERDEAD)
        return 1;
    weft_lock_repaired(l);
    weft_lock_release(l);
    if (weft_lock_acquire(l) != 0)
        return 2;
    weft_lock_release(l);
    return 0;
}

static struct weft_lock own;

static void in_the_child(void)
{
    if (fork() == 0) {
        if (weft_fork_child() != 0)
            _exit(10);
        _exit(acquired_and_repaired(&lock) + 3 * acquired_and_repaired(&own));
    }
    int status = -1;
    wait(&status);
    _exit(status != 0);
}

static void fork_while_it_is_held(void)
{
    world = THREADS;
    held_by_another();
    if (weft_lock_acquire(&own) == 0)
        in_the_child();
}

WEFT_TEST(locks_held_at_a_fork)
{
    char text[8192];

    ck_assert_int_eq(kit_child(fork_while_it_is_held, text, sizeof text), 0);
}

// Whoever would wait for it there is told why that is in vain.
static void declare_in_a_child(void)
{
    world = THREADS;
    held_by_another();
    if (fork() == 0) {
        WEFT_LOCKED(&lock);
        _exit(0);
    }
    int status = -1;
    wait(&status);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        abort();
    _exit(1);
}

WEFT_TEST(a_declaration_in_the_child_of_a_fork)
{
    kit_assert_aborts(declare_in_a_child, "fork");
}

static int acquire_and_end(void *arg)
{
    return weft_lock_acquire(arg);
}

// Also who died with it is forgotten.
WEFT_TEST(one_that_has_ended_is_as_new)
{
    struct weft_lock of_a_dead_one = {0};

    kit_assert_code(
        weft_join(weft_thread_start(acquire_and_end, &of_a_dead_one)), 0);
    kit_assert_code(weft_lock_acquire(&of_a_dead_one), -EOWNERDEAD);
    weft_lock_release(&of_a_dead_one);
    weft_lock_fini(&of_a_dead_one);
    kit_assert_code(weft_lock_acquire(&of_a_dead_one), 0);
    weft_lock_release(&of_a_dead_one);
}

WEFT_TEST_MAIN("lock")
