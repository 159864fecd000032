// SPDX-License-Identifier: MIT
// Readers together, writers alone, nobody past the line.
#include "world.h"

static struct weft_rwlock lock;
static struct world_bunch bunch;
static int reading, writing, most, order[16], arrived;
static struct kit_gate gate;

static int read_and_write(void *arg)
{
    uint64_t seed = (uint64_t)(intptr_t)arg;

    for (int i = 0; i < 200; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if ((seed >> 40) % 4 == 0) {
            kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
            ck_assert_int_eq(__atomic_add_fetch(&writing, 1, __ATOMIC_SEQ_CST),
                             1);
            ck_assert_int_eq(kit_load(&reading), 0);
            if (i % 3 == 0)
                weft_yield();
            __atomic_sub_fetch(&writing, 1, __ATOMIC_SEQ_CST);
            weft_rwlock_write_release(&lock);
        } else {
            kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
            kit_count(&reading);
            ck_assert_int_eq(kit_load(&writing), 0);
            if (i % 3 == 0)
                weft_yield();
            __atomic_sub_fetch(&reading, 1, __ATOMIC_SEQ_CST);
            weft_rwlock_read_release(&lock);
        }
    }
    return 0;
}

WORLD_TEST(writers_are_alone, .timeout = 40)
{
    for (int i = 0; i < 8; i++)
        world_add(&bunch, read_and_write,
                  kit_number((long)(weft_test_random() >> 8)));
    world_join(&bunch, 0);
    weft_rwlock_fini(&lock);
}

static int read_at_the_gate(void *arg)
{
    (void)arg;
    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    kit_count(&reading);
    int rc = kit_gate_wait(&gate);
    weft_rwlock_read_release(&lock);
    return rc;
}

WORLD_TEST(readers_are_together)
{
    gate = kit_gate_new();
    for (int i = 0; i < 5; i++)
        world_add(&bunch, read_at_the_gate, NULL);
    kit_await(&reading, 5);
    kit_assert_code(weft_rwlock_read_try(&lock), 0);
    kit_assert_code(weft_rwlock_write_try(&lock), -EAGAIN);
    weft_rwlock_read_release(&lock);
    kit_gate_open(&gate);
    world_join(&bunch, 0);
    kit_assert_code(weft_rwlock_write_try(&lock), 0);
    ck_assert(weft_rwlock_write_held(&lock));
    kit_assert_code(weft_rwlock_read_try(&lock), -EAGAIN);
    weft_rwlock_write_release(&lock);
    weft_rwlock_fini(&lock);
    kit_gate_free(&gate);
}

static int note(int who)
{
    order[__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST)] = who;
    return 0;
}

static int write_and_note(void *arg)
{
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    note((int)(intptr_t)arg);
    weft_rwlock_write_release(&lock);
    return 0;
}

static int read_and_note(void *arg)
{
    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    note((int)(intptr_t)arg);
    weft_rwlock_read_release(&lock);
    return 0;
}

// A reader holds it; W0 R1 R2 W3 R4 stand in line: W0 first, then R1 and R2 in
// any order, W3, R4. A new reader does not come before W0.
WORLD_TEST(nobody_goes_past_the_line)
{
    weft_function *const line[] = {write_and_note, read_and_note, read_and_note,
                                   write_and_note, read_and_note};

    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    for (int i = 0; i < 5; i++)
        world_await(world_add(&bunch, line[i], kit_number(i)), WI_WAIT_LOCK);
    kit_assert_code(weft_rwlock_read_try(&lock), -EAGAIN);
    ck_assert_int_eq(kit_load(&arrived), 0);
    weft_rwlock_read_release(&lock);
    world_join(&bunch, 0);
    ck_assert_int_eq(order[0], 0);
    ck_assert_int_eq(order[1] + order[2], 3);
    ck_assert_int_eq(order[3], 3);
    ck_assert_int_eq(order[4], 4);
}

static int write_for_a_while(void *arg)
{
    (void)arg;
    return weft_rwlock_write_acquire_for(&lock, 0.02);
}

// A writer that gives up lets the readers behind it in.
WORLD_TEST(who_gives_up_holds_nobody_up)
{
    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    weft_future *writer = world_start(write_for_a_while, NULL);
    weft_future *reader = world_start(read_and_note, NULL);
    kit_assert_code(weft_join(writer), -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_rwlock_write_acquire_for(&lock, 0.002), -ETIMEDOUT);
    weft_rwlock_read_release(&lock);
    kit_assert_code(weft_rwlock_write_acquire_for(&lock, 0), 0);
    weft_rwlock_write_release(&lock);
    weft_rwlock_fini(&lock);
}

WORLD_TEST(downgrade)
{
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    world_await(world_add(&bunch, read_and_note, NULL), WI_WAIT_LOCK);
    world_await(world_add(&bunch, write_and_note, kit_number(1)), WI_WAIT_LOCK);
    weft_rwlock_downgrade(&lock);
    kit_assert_code(weft_join(bunch.f[0]), 0);
    ck_assert(!weft_done(bunch.f[1]));
    weft_rwlock_read_release(&lock);
    kit_assert_code(weft_join(bunch.f[1]), 0);
    weft_rwlock_fini(&lock);
}

static int acquire_canceled(void *arg)
{
    kit_count(arg);
    while (weft_check() == 0)
        weft_yield();
    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    weft_rwlock_read_release(&lock);
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    weft_rwlock_write_release(&lock);
    return 7;
}

WORLD_TEST(a_cancel_ends_no_wait)
{
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    weft_future *f = world_start(acquire_canceled, &arrived);
    kit_await(&arrived, 1);
    weft_cancel(f);
    world_await(f, WI_WAIT_LOCK);
    weft_rwlock_write_release(&lock);
    kit_assert_code(weft_join(f), 7);
}

// Cycles and orphans ----------------------------------------------------------

KIT_BOTH(oneself)
{
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    kit_assert_code(weft_rwlock_write_acquire(&lock), -WEFT_EDEADLOCK);
    kit_assert_code(weft_rwlock_read_acquire(&lock), -WEFT_EDEADLOCK);
    weft_rwlock_write_release(&lock);
}

static int want_to_read(void *arg)
{
    (void)arg;
    int rc = weft_rwlock_read_acquire(&lock);
    if (rc == 0)
        weft_rwlock_read_release(&lock);
    return rc;
}

WORLD_TEST(a_child_that_wants_what_its_joiner_writes)
{
    kit_assert_code(weft_rwlock_write_acquire(&lock), 0);
    int rc = weft_join(world_start(want_to_read, NULL));
    kit_assert_code(rc, -WEFT_EDEADLOCK);
    weft_rwlock_write_release(&lock);
}

static int leak(void *arg)
{
    int rc = weft_rwlock_write_acquire(&lock);

    kit_count(&most);
    if (arg != NULL)
        kit_gate_wait(arg);
    return rc;
}

static int take_orphan(void *arg)
{
    (void)arg;
    int rc = weft_rwlock_read_acquire(&lock);
    weft_rwlock_read_release(&lock);
    return rc;
}

WORLD_TEST(a_writer_that_ended)
{
    kit_assert_code(weft_join(world_start(leak, NULL)), 0);
    kit_assert_code(weft_rwlock_read_acquire(&lock), -EOWNERDEAD);
    weft_rwlock_read_release(&lock);
    kit_assert_code(weft_rwlock_write_acquire(&lock), -EOWNERDEAD);
    weft_rwlock_repaired(&lock);
    weft_rwlock_write_release(&lock);
    kit_assert_code(weft_rwlock_read_acquire(&lock), 0);
    weft_rwlock_read_release(&lock);
}

// A writer that three wait for ends with the lock.
static void end_a_writer(void)
{
    weft_future *f = world_start(leak, &gate);
    kit_await(&most, 1);
    for (int i = 0; i < 3; i++)
        world_await(world_add(&bunch, take_orphan, NULL), WI_WAIT_LOCK);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(f), 0);
}

WORLD_TEST(who_waits_is_told_when_the_writer_ends)
{
    gate = kit_gate_new();
    end_a_writer();
    world_join(&bunch, -EOWNERDEAD);
    kit_gate_free(&gate);
}

// Whoever comes between the end of a writer and the look of those who wait for
// it: here that is the case itself, which is told of the end before them.
KIT_TASK(who_comes_first_after_the_end_of_a_writer)
{
    gate = kit_gate_new();
    world = TASKS;
    end_a_writer();
    kit_assert_code(weft_rwlock_write_try(&lock), -EAGAIN);
    world_join(&bunch, -EOWNERDEAD);
    kit_assert_code(weft_rwlock_write_try(&lock), -EOWNERDEAD);
    weft_rwlock_write_release(&lock);
    kit_gate_free(&gate);
}

// Misuse ----------------------------------------------------------------------

static void release_unread(void)
{
    weft_rwlock_read_release(&lock);
}

static void release_unwritten(void)
{
    weft_rwlock_write_release(&lock);
}

static void end_a_held_one(void)
{
    if (weft_rwlock_read_acquire(&lock) == 0)
        weft_rwlock_fini(&lock);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(release_unread, "for reading");
    kit_assert_aborts(release_unwritten, "holds it");
    kit_assert_aborts(end_a_held_one, "not held");
}

static int acquire_and_end(void *arg)
{
    return weft_rwlock_write_acquire(arg);
}

// Also who died with it is forgotten.
WEFT_TEST(one_that_has_ended_is_as_new)
{
    struct weft_rwlock of_a_dead_one = {0};

    kit_assert_code(
        weft_join(weft_thread_start(acquire_and_end, &of_a_dead_one)), 0);
    kit_assert_code(weft_rwlock_write_acquire(&of_a_dead_one), -EOWNERDEAD);
    weft_rwlock_write_release(&of_a_dead_one);
    weft_rwlock_fini(&of_a_dead_one);
    kit_assert_code(weft_rwlock_write_acquire(&of_a_dead_one), 0);
    weft_rwlock_write_release(&of_a_dead_one);
}

WEFT_TEST_MAIN("rwlock")
