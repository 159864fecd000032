// SPDX-License-Identifier: MIT
// Cycles of waits for locks that processes share: one of each is told, whatever
// the others are; what is no cycle is told to nobody; and who dies leaves no
// wait behind.
struct table;
#define TABLE struct table
#include "elsewhere.h"

#include "shared/lock.h"

enum { MOST = 4 };

struct table {
    struct weft_lock locks[MOST];
    struct weft_rlock rlock;
    struct weft_condition condition;
    struct weft_event go;
    int size;                            // of the ring or chain
    int holding, told, failed, orphaned; // atomic
};

static struct table *make_table(void)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    struct table *t = weft_arena_value(arena, struct table);
    for (int i = 0; i < MOST; i++)
        weft_lock_init(&t->locks[i], .arena = arena);
    weft_rlock_init(&t->rlock, .arena = arena);
    weft_condition_init(&t->condition, .arena = arena);
    weft_event_init(&t->go, .arena = arena);
    return t;
}

static work_function want_the_next, want_for_a_while, hold_and_want,
    hold_until_told, notify_and_want, recurse_and_want;

ELSEWHERE_WORKS(want_the_next, want_for_a_while, hold_and_want, hold_until_told,
                notify_and_want, recurse_and_want)

// How many waits are put down in the arena.
static unsigned waits(void)
{
    struct wi_segment *segment = wi_segment_of(arena);
    unsigned n = 0;
    wi_shared_lock(arena, &segment->waits_lock);
    for (uint64_t at = segment->waits; at != 0; n++)
        at = *(uint64_t *)wi_segment_at(arena, at);
    wi_shared_unlock(&segment->waits_lock);
    return n;
}

static void until_waits(unsigned n)
{
    while (waits() < n)
        if (weft_yield() < 0)
            sched_yield();
}

// What came of an acquire; whether the lock is ours.
static bool has(struct table *t, int rc)
{
    if (rc == -WEFT_EDEADLOCK)
        kit_count(&t->told);
    else if (rc == -EOWNERDEAD)
        kit_count(&t->orphaned);
    else if (rc != 0)
        kit_count(&t->failed);
    return rc == 0 || rc == -EOWNERDEAD;
}

// Rings -----------------------------------------------------------------------

// Holds lock i, waits until all hold theirs, then wants the next one.
static int want_the_next(struct table *t, long i)
{
    if (!has(t, weft_lock_acquire(&t->locks[i])))
        return 0;
    kit_count(&t->holding);
    kit_await(&t->holding, t->size);
    struct weft_lock *next = &t->locks[(i + 1) % t->size];
    if (has(t, weft_lock_acquire(next)))
        weft_lock_release(next);
    weft_lock_release(&t->locks[i]);
    return 0;
}

struct node {
    struct table *t;
    long i;
};

static int want_the_next_here(void *arg)
{
    struct node *node = arg;
    return want_the_next(node->t, node->i);
}

enum where { TASK, THREAD, PROCESS, PLACES };

static weft_future *start(struct node *node, enum where where)
{
    if (where == PROCESS)
        return elsewhere(want_the_next, node->t, node->i);
    return where == TASK ? weft_task_start(want_the_next_here, node)
                         : weft_thread_start(want_the_next_here, node);
}

static void run_ring(struct table *t, int size, unsigned places)
{
    struct node nodes[MOST];
    weft_future *f[MOST];

    t->size = size;
    t->holding = t->told = 0;
    for (int i = 0; i < size; i++, places /= PLACES) {
        nodes[i] = (struct node){t, i};
        f[i] = start(&nodes[i], places % PLACES);
    }
    for (int i = 0; i < size; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(t->told, 1);
    ck_assert_int_eq(t->failed, 0);
    ck_assert_int_eq(t->orphaned, 0);
    ck_assert_uint_eq(waits(), 0);
}

// Each way to put two or three nodes into tasks, threads and processes.
KIT_BOTH(one_of_a_ring_is_told, .timeout = 60)
{
    struct table *t = make_table();

    for (unsigned places = 0; places < 9; places++)
        run_ring(t, 2, places);
    for (unsigned places = 0; places < 27; places += 2)
        run_ring(t, 3, places);
    run_ring(t, 4, 80);
    weft_arena_close(arena);
}

// Waits that are no cycle -----------------------------------------------------

// Waits with a lock until it is told to go on.
static int hold_until_told(struct table *t, long i)
{
    if (!has(t, weft_lock_acquire(&t->locks[i])))
        return 0;
    kit_count(&t->holding);
    int rc = weft_event_wait(&t->go);
    weft_lock_release(&t->locks[i]);
    return rc;
}

// Holds lock n / MOST, and wants lock n % MOST.
static int hold_and_want(struct table *t, long n)
{
    struct weft_lock *mine = &t->locks[n / MOST], *next = &t->locks[n % MOST];
    if (!has(t, weft_lock_acquire(mine)))
        return 0;
    kit_count(&t->holding);
    if (has(t, weft_lock_acquire(next)))
        weft_lock_release(next);
    weft_lock_release(mine);
    return 0;
}

// Node i > 0 holds lock i and wants one of those below, which leads to the one
// that is held until all of them wait, and have walked.
KIT_BOTH(forty_that_are_no_cycle, .timeout = 60)
{
    struct table *t = make_table();
    printf("seed %llu\n", (unsigned long long)weft_test_seed());

    for (int round = 0; round < 40; round++) {
        weft_future *f[MOST];
        weft_event_clear(&t->go);
        t->holding = 0;
        f[0] = elsewhere(hold_until_told, t, 0);
        for (long i = 1; i < MOST; i++) {
            kit_await(&t->holding, (int)i);
            long below = (long)(weft_test_random() % (uint64_t)i);
            f[i] = elsewhere(hold_and_want, t, i * MOST + below);
        }
        until_waits(MOST - 1);
        weft_event_set(&t->go);
        for (int i = 0; i < MOST; i++)
            kit_assert_code(weft_join(f[i]), 0);
        ck_assert_int_eq(t->told + t->failed + t->orphaned, 0);
        ck_assert_uint_eq(waits(), 0);
    }
    kit_assert_code(weft_arena_check(arena), 0);
    weft_arena_close(arena);
}

// A wait with a limit is no edge: it ends by that.
static int want_for_a_while(struct table *t, long i)
{
    if (!has(t, weft_lock_acquire(&t->locks[i])))
        return 0;
    kit_count(&t->holding);
    until_waits(1);
    int rc = weft_lock_acquire_for(&t->locks[1 - i], 0.05);
    weft_lock_release(&t->locks[i]);
    return rc == -ETIMEDOUT ? 0 : -EIO;
}

KIT_BOTH(a_wait_with_a_limit_is_no_edge)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(want_for_a_while, t, 0);

    kit_await(&t->holding, 1);
    kit_assert_code(weft_lock_acquire(&t->locks[1]), 0);
    kit_assert_code(weft_lock_acquire(&t->locks[0]), 0);
    weft_lock_release(&t->locks[0]);
    weft_lock_release(&t->locks[1]);
    kit_assert_code(weft_join(f), 0);
    weft_arena_close(arena);
}

// Local and shared edges ------------------------------------------------------

static struct weft_lock local;

// Has the local lock, and wants shared lock 0.
static int local_then_shared(void *arg)
{
    struct table *t = arg;
    kit_assert_code(weft_lock_acquire(&local), 0);
    kit_count(&t->holding);
    if (has(t, weft_lock_acquire(&t->locks[0])))
        weft_lock_release(&t->locks[0]);
    weft_lock_release(&local);
    return 0;
}

// Has shared lock 1, and wants the local one.
static int shared_then_local(void *arg)
{
    struct table *t = arg;
    kit_assert_code(weft_lock_acquire(&t->locks[1]), 0);
    kit_count(&t->holding);
    kit_await(&t->holding, 3);
    if (t->size == 1)
        until_waits(2); // the local wait comes after the walks
    if (has(t, weft_lock_acquire(&local)))
        weft_lock_release(&local);
    weft_lock_release(&t->locks[1]);
    return 0;
}

KIT_BOTH(a_local_wait_between_shared_ones, .timeout = 30)
{
    struct table *t = make_table();

    for (t->size = 0; t->size < 2; t->size++) {
        t->holding = t->told = 0;
        weft_future *a = weft_thread_start(shared_then_local, t);
        kit_await(&t->holding, 1);
        weft_future *b = elsewhere(hold_and_want, t, 0 * MOST + 1);
        kit_await(&t->holding, 2);
        weft_future *c = weft_task_start(local_then_shared, t);
        kit_assert_code(weft_join(c), 0);
        kit_assert_code(weft_join(b), 0);
        kit_assert_code(weft_join(a), 0);
        ck_assert_int_eq(t->told, 1);
        ck_assert_int_eq(t->failed, 0);
    }
    weft_arena_close(arena);
}

// The same without the last edge: the other process waits for nothing of ours.
KIT_BOTH(a_local_wait_that_is_no_cycle, .timeout = 30)
{
    struct table *t = make_table();

    weft_future *b = elsewhere(hold_until_told, t, 0);
    kit_await(&t->holding, 1);
    weft_future *a = weft_thread_start(shared_then_local, t);
    kit_await(&t->holding, 2);
    weft_future *c = weft_thread_start(local_then_shared, t);
    kit_await(&t->holding, 3); // else d may let a have the local lock first
    weft_future *d = elsewhere(hold_and_want, t, 2 * MOST + 1);
    until_waits(2);
    weft_event_set(&t->go);
    kit_assert_code(weft_join(a), 0);
    kit_assert_code(weft_join(b), 0);
    kit_assert_code(weft_join(c), 0);
    kit_assert_code(weft_join(d), 0);
    ck_assert_int_eq(t->told + t->failed + t->orphaned, 0);
    weft_arena_close(arena);
}

// Who is told -----------------------------------------------------------------

static int notify_and_want(struct table *t, long n)
{
    (void)n;
    if (!has(t, weft_lock_acquire(&t->locks[0])))
        return 0;
    weft_condition_notify(&t->condition, 1);
    if (has(t, weft_lock_acquire(&t->locks[1])))
        weft_lock_release(&t->locks[1]);
    weft_lock_release(&t->locks[0]);
    return 0;
}

// Whoever comes back from a condition gets its lock: the other one is told.
KIT_BOTH(a_return_from_a_condition_is_not_told, .timeout = 30)
{
    struct table *t = make_table();

    kit_assert_code(weft_lock_acquire(&t->locks[1]), 0);
    kit_assert_code(weft_lock_acquire(&t->locks[0]), 0);
    weft_future *f = elsewhere(notify_and_want, t, 0);
    kit_assert_code(weft_condition_wait(&t->condition, &t->locks[0]), 0);
    weft_lock_release(&t->locks[0]);
    weft_lock_release(&t->locks[1]);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(t->told, 1);
    weft_arena_close(arena);
}

static int recurse_and_want(struct table *t, long n)
{
    (void)n;
    if (!has(t, weft_rlock_acquire(&t->rlock)) ||
        !has(t, weft_rlock_acquire(&t->rlock)))
        return 0;
    kit_count(&t->holding);
    if (has(t, weft_lock_acquire(&t->locks[0])))
        weft_lock_release(&t->locks[0]);
    weft_rlock_release(&t->rlock);
    weft_rlock_release(&t->rlock);
    return 0;
}

KIT_BOTH(a_recursive_one_is_an_edge)
{
    struct table *t = make_table();

    kit_assert_code(weft_lock_acquire(&t->locks[0]), 0);
    weft_future *f = elsewhere(recurse_and_want, t, 0);
    kit_await(&t->holding, 1);
    if (has(t, weft_rlock_acquire(&t->rlock)))
        weft_rlock_release(&t->rlock);
    weft_lock_release(&t->locks[0]);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(t->told, 1);
    ck_assert_int_eq(t->failed, 0);
    weft_arena_close(arena);
}

// Deaths ----------------------------------------------------------------------

// A ring of three processes, of which one dies about when they wait and walk.
// Whether it was part of a cycle when it died, or was told, or left the others
// an orphan: they end.
KIT_BOTH(deaths_among_those_who_wait, .timeout = 900)
{
    struct table *t = make_table();
    int kills = weft_test_kills(25);
    printf("seed %llu\n", (unsigned long long)weft_test_seed());

    for (int round = 0; round < kills; round++) {
        weft_future *f[3];
        int told = kit_load(&t->told);
        t->size = 3;
        t->holding = 0;
        for (long i = 0; i < 3; i++)
            f[i] = elsewhere(want_the_next, t, i);
        kit_await(&t->holding, 3);
        while (waits() < (unsigned)round % 3 && kit_load(&t->told) == told)
            weft_yield();
        weft_future *victim = f[weft_test_random() % 3];
        dawdle();
        pid_t pid = weft_future_native_id(victim);
        if (pid > 0) // it may have come to its end before
            kill(pid, SIGKILL);
        for (int i = 0; i < 3; i++) {
            int rc = weft_join(f[i]);
            ck_assert(rc == 0 || rc == -WEFT_ECRASHED);
        }
        for (int i = 0; i < 3; i++) {
            int rc = weft_lock_acquire(&t->locks[i]);
            ck_assert(rc == 0 || rc == -EOWNERDEAD);
            weft_lock_repaired(&t->locks[i]);
            weft_lock_release(&t->locks[i]);
        }
        ck_assert_int_eq(t->failed, 0);
    }
    printf("%d kills, %d told of a cycle, %d of a death\n", kills, t->told,
           t->orphaned);
    kit_assert_code(weft_arena_check(arena), 0);
    weft_arena_close(arena);
}

WEFT_TEST_MAIN("far_cycle")
