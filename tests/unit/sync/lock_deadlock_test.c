// SPDX-License-Identifier: MIT
// Cycles over locks, and over locks and joins: exactly one wait is told.
#include "world.h"

enum { MOST = 6 };

static struct weft_lock locks[MOST];
static weft_future *futures[MOST];
static int ring, holding, told, failed;

// Node i holds lock i, waits until all hold theirs, then wants the next one.
static int want_the_next(void *arg)
{
    int i = (int)(intptr_t)arg;

    kit_assert_code(weft_lock_acquire(&locks[i]), 0);
    kit_count(&holding);
    kit_await(&holding, ring);
    int rc = weft_lock_acquire(&locks[(i + 1) % ring]);
    if (rc == 0)
        weft_lock_release(&locks[(i + 1) % ring]);
    else if (rc == -WEFT_EDEADLOCK)
        kit_count(&told);
    else
        kit_count(&failed);
    weft_lock_release(&locks[i]);
    return 0;
}

static void run_ring(int n)
{
    weft_future *f[MOST];

    ring = n;
    holding = told = 0;
    for (int i = 0; i < n; i++)
        f[i] = world_start(want_the_next, kit_number(i));
    for (int i = 0; i < n; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(told, 1);
    ck_assert_int_eq(failed, 0);
}

WORLD_TEST(rings_of_locks, .timeout = 40)
{
    for (int i = 0; i < 40; i++)
        run_ring(2 + i % (MOST - 1));
    for (int i = 0; i < MOST; i++)
        weft_lock_fini(&locks[i]);
}

// Node 0 holds the lock and joins the last; the others join their
// predecessor, node 1 wants the lock.
static int join_or_want(void *arg)
{
    int i = (int)(intptr_t)arg, rc;

    if (i == 0) {
        kit_assert_code(weft_lock_acquire(&locks[0]), 0);
        kit_count(&holding);
        while (!__atomic_load_n(&futures[ring - 1], __ATOMIC_SEQ_CST))
            weft_yield();
        rc = weft_get_into(futures[ring - 1], NULL, 0);
        weft_lock_release(&locks[0]);
    } else if (i == 1) {
        kit_await(&holding, 1);
        rc = weft_lock_acquire(&locks[0]);
        if (rc == 0)
            weft_lock_release(&locks[0]);
    } else {
        rc = weft_get_into(futures[i - 1], NULL, 0);
    }
    if (rc == -WEFT_EDEADLOCK)
        kit_count(&told);
    return 0;
}

static void run_mixed_ring(int n)
{
    weft_future *f[MOST];

    ring = n;
    holding = told = 0;
    memset(futures, 0, sizeof futures);
    for (int i = 0; i < n; i++) {
        f[i] = world_start(join_or_want, kit_number(i));
        __atomic_store_n(&futures[i], f[i], __ATOMIC_SEQ_CST);
    }
    // A wait with a limit, so that it is no edge.
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(
            weft_wait(&f[i], 1, WEFT_ALL_COMPLETED, weft_test_seconds(20)), 1);
    for (int i = 0; i < n; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(told, 1);
}

WORLD_TEST(rings_of_a_lock_and_joins, .timeout = 40)
{
    for (int i = 0; i < 40; i++)
        run_mixed_ring(2 + i % (MOST - 1));
}

KIT_BOTH(oneself)
{
    kit_assert_code(weft_lock_acquire(&locks[0]), 0);
    kit_assert_code(weft_lock_acquire(&locks[0]), -WEFT_EDEADLOCK);
    kit_assert_code(weft_lock_acquire_for(&locks[0], 1), -WEFT_EDEADLOCK);
    weft_lock_release(&locks[0]);
}

// A child that its joiner may run inside the join wants what the joiner holds.
static int want_lock_0(void *arg)
{
    (void)arg;
    int rc = weft_lock_acquire(&locks[0]);
    if (rc == 0)
        weft_lock_release(&locks[0]);
    return rc;
}

WORLD_TEST(a_child_that_wants_what_its_joiner_holds)
{
    kit_assert_code(weft_lock_acquire(&locks[0]), 0);
    int rc = weft_join(world_start(want_lock_0, NULL));
    kit_assert_code(rc, -WEFT_EDEADLOCK);
    weft_lock_release(&locks[0]);
}

// A limit: no cycle is told, and the wait ends by it.
static int hold_0_want_1_for_a_while(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&locks[0]), 0);
    kit_count(&holding);
    kit_await(&holding, 2);
    int rc = weft_lock_acquire_for(&locks[1], 0.02);
    weft_lock_release(&locks[0]);
    return rc;
}

static int hold_1_want_0(void *arg)
{
    (void)arg;
    kit_assert_code(weft_lock_acquire(&locks[1]), 0);
    kit_count(&holding);
    kit_await(&holding, 2);
    kit_assert_code(weft_lock_acquire(&locks[0]), 0);
    weft_lock_release(&locks[0]);
    weft_lock_release(&locks[1]);
    return 0;
}

WORLD_TEST(a_wait_with_a_limit_is_no_edge)
{
    weft_future *a = world_start(hold_0_want_1_for_a_while, NULL);
    weft_future *b = world_start(hold_1_want_0, NULL);

    kit_assert_code(weft_join(a), -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(b), 0);
}

// No false alarm: locks always taken in the same order.
static int take_in_order(void *arg)
{
    uint64_t seed = (uint64_t)(intptr_t)arg;

    for (int i = 0; i < 200; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int a = (int)(seed >> 33) % (MOST - 1);
        int b = a + 1 + (int)(seed >> 45) % (MOST - 1 - a);
        int rc = weft_lock_acquire(&locks[a]);
        if (rc == 0) {
            if (i % 5 == 0)
                weft_yield();
            rc = weft_lock_acquire(&locks[b]);
            if (rc == 0)
                weft_lock_release(&locks[b]);
            weft_lock_release(&locks[a]);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

WORLD_TEST(no_false_alarm, .timeout = 40)
{
    weft_future *f[8];

    for (int i = 0; i < 8; i++)
        f[i] = world_start(take_in_order,
                           kit_number((long)(weft_test_random() >> 8)));
    for (int i = 0; i < 8; i++)
        kit_assert_code(weft_join(f[i]), 0);
}

WEFT_TEST_MAIN("lock_deadlock")
