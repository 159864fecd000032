// SPDX-License-Identifier: MIT
// Read-write locks in an arena, between processes, one of which may die. The
// case itself waits in a task or in a thread.
struct table;
#define TABLE struct table
#include "elsewhere.h"

struct table {
    struct weft_rwlock lock;
    struct weft_event go;
    long a, b;   // a == b whenever no writer is inside
    int arrived; // atomic
    int inside;  // atomic: readers
    int most;    // atomic: readers at once
    int order;   // atomic: who goes in when
    int when[4];
};

static struct table *make_table(void)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    struct table *t = weft_arena_value(arena, struct table);
    weft_rwlock_init(&t->lock, .arena = arena);
    weft_event_init(&t->go, .arena = arena);
    return t;
}

static work_function read_and_write, read_until_told, write_until_told,
    die_writing, change_for_ever, write_in_turn, read_in_turn;

ELSEWHERE_WORKS(read_and_write, read_until_told, write_until_told, die_writing,
                change_for_ever, write_in_turn, read_in_turn)

static int read_and_write(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        bool write = i % 4 == 0;
        int rc = write ? weft_rwlock_write_acquire(&t->lock)
                       : weft_rwlock_read_acquire(&t->lock);
        if (rc < 0)
            return rc;
        if (t->a != t->b)
            return -EIO;
        if (write)
            t->a++;
        if (i % 16 == 0)
            weft_yield();
        if (write) {
            t->b++;
            weft_rwlock_write_release(&t->lock);
        } else {
            weft_rwlock_read_release(&t->lock);
        }
    }
    return 0;
}

static int read_and_write_here(void *t)
{
    return read_and_write(t, 200);
}

KIT_BOTH(writers_are_alone, .timeout = 60)
{
    struct table *t = make_table();
    weft_future *f[4] = {elsewhere(read_and_write, t, 200),
                         elsewhere(read_and_write, t, 200),
                         weft_task_start(read_and_write_here, t),
                         weft_thread_start(read_and_write_here, t)};

    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert_int_eq(t->a, 200);
    ck_assert_int_eq(t->b, 200);
    weft_rwlock_fini(&t->lock);
    weft_arena_close(arena);
}

static int read_until_told(struct table *t, long n)
{
    (void)n;
    int rc = weft_rwlock_read_acquire(&t->lock);
    if (rc < 0)
        return rc;
    kit_count(&t->arrived);
    rc = weft_event_wait(&t->go);
    weft_rwlock_read_release(&t->lock);
    return rc;
}

static int write_until_told(struct table *t, long n)
{
    (void)n;
    int rc = weft_rwlock_write_acquire(&t->lock);
    if (rc < 0)
        return rc;
    kit_count(&t->arrived);
    rc = weft_event_wait(&t->go);
    weft_rwlock_write_release(&t->lock);
    return rc;
}

KIT_BOTH(readers_are_together)
{
    struct table *t = make_table();
    weft_future *f[2] = {elsewhere(read_until_told, t, 0),
                         elsewhere(read_until_told, t, 0)};

    kit_await(&t->arrived, 2);
    kit_assert_code(weft_rwlock_read_try(&t->lock), 0);
    weft_rwlock_read_release(&t->lock);
    kit_assert_code(weft_rwlock_write_try(&t->lock), -EAGAIN);
    kit_assert_code(weft_rwlock_write_acquire_for(&t->lock, 0.002), -ETIMEDOUT);
    weft_event_set(&t->go);
    kit_assert_code(weft_rwlock_write_acquire(&t->lock), 0);
    ck_assert(weft_rwlock_write_held(&t->lock));
    kit_assert_code(weft_rwlock_write_acquire(&t->lock), -WEFT_EDEADLOCK);
    kit_assert_code(weft_rwlock_read_acquire(&t->lock), -WEFT_EDEADLOCK);
    kit_assert_code(weft_rwlock_read_try(&t->lock), -EAGAIN);
    weft_rwlock_write_release(&t->lock);
    ck_assert(!weft_rwlock_write_held(&t->lock));
    for (int i = 0; i < 2; i++)
        kit_assert_code(weft_join(f[i]), 0);
    weft_rwlock_fini(&t->lock);
    weft_arena_close(arena);
}

KIT_BOTH(a_writer_keeps_all_out)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(write_until_told, t, 0);

    kit_await(&t->arrived, 1);
    kit_assert_code(weft_rwlock_read_try(&t->lock), -EAGAIN);
    kit_assert_code(weft_rwlock_read_acquire_for(&t->lock, 0.002), -ETIMEDOUT);
    ck_assert(!weft_rwlock_write_held(&t->lock));
    weft_event_set(&t->go);
    kit_assert_code(weft_rwlock_read_acquire(&t->lock), 0);
    weft_rwlock_read_release(&t->lock);
    kit_assert_code(weft_join(f), 0);
    weft_arena_close(arena);
}

static int write_in_turn(struct table *t, long n)
{
    kit_count(&t->arrived);
    int rc = weft_rwlock_write_acquire(&t->lock);
    if (rc < 0)
        return rc;
    t->when[n] = ++t->order;
    weft_rwlock_write_release(&t->lock);
    return 0;
}

static int read_in_turn(struct table *t, long n)
{
    kit_count(&t->arrived);
    int rc = weft_rwlock_read_acquire(&t->lock);
    if (rc < 0)
        return rc;
    t->when[n] = __atomic_add_fetch(&t->order, 1, __ATOMIC_SEQ_CST);
    weft_rwlock_read_release(&t->lock);
    return 0;
}

// Until so many stand in line: in an order that is known they must be told
// apart.
static void until_waiting(struct table *t, unsigned n)
{
    until_in_line(&t->lock, &t->lock.half[1], &t->lock.line, n);
}

KIT_BOTH(nobody_overtakes)
{
    struct table *t = make_table();
    kit_assert_code(weft_rwlock_read_acquire(&t->lock), 0);
    weft_future *writer = elsewhere(write_in_turn, t, 0);
    until_waiting(t, 1);
    weft_future *reader = elsewhere(read_in_turn, t, 1);
    until_waiting(t, 2);

    kit_assert_code(weft_rwlock_read_try(&t->lock), -EAGAIN);
    weft_rwlock_read_release(&t->lock);
    kit_assert_code(weft_join(writer), 0);
    kit_assert_code(weft_join(reader), 0);
    ck_assert_int_eq(t->when[0], 1);
    ck_assert_int_eq(t->when[1], 2);
    weft_arena_close(arena);
}

KIT_BOTH(downgrade_lets_readers_in)
{
    struct table *t = make_table();
    kit_assert_code(weft_rwlock_write_acquire(&t->lock), 0);
    weft_future *reader = elsewhere(read_in_turn, t, 0);
    until_waiting(t, 1);
    weft_rwlock_downgrade(&t->lock);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_rwlock_write_try(&t->lock), -EAGAIN);
    weft_rwlock_read_release(&t->lock);
    kit_assert_code(weft_rwlock_write_try(&t->lock), 0);
    weft_rwlock_write_release(&t->lock);
    weft_arena_close(arena);
}

// Death -----------------------------------------------------------------------

static int die_writing(struct table *t, long n)
{
    (void)n;
    int rc = weft_rwlock_write_acquire(&t->lock);
    t->a++;
    kit_count(&t->arrived);
    if (rc == 0)
        rc = weft_event_wait(&t->go);
    raise(SIGKILL);
    return rc;
}

static int read_orphan(void *arg)
{
    struct table *t = arg;
    int rc = weft_rwlock_read_acquire(&t->lock);
    weft_rwlock_read_release(&t->lock);
    return rc;
}

static int write_orphan(void *arg)
{
    struct table *t = arg;
    int rc = weft_rwlock_write_acquire(&t->lock);
    weft_rwlock_write_release(&t->lock);
    return rc;
}

KIT_BOTH(who_waits_is_told_that_the_writer_died, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(die_writing, t, 0);

    kit_await(&t->arrived, 1);
    weft_future *task = weft_task_start(read_orphan, t);
    weft_future *thread = weft_thread_start(write_orphan, t);
    until_waiting(t, 2);
    weft_event_set(&t->go);
    kit_assert_code(weft_join(f), -WEFT_ECRASHED);
    kit_assert_code(weft_join(task), -EOWNERDEAD);
    kit_assert_code(weft_join(thread), -EOWNERDEAD);
    kit_assert_code(weft_rwlock_write_acquire(&t->lock), -EOWNERDEAD);
    t->a = t->b;
    weft_rwlock_repaired(&t->lock);
    weft_rwlock_write_release(&t->lock);
    kit_assert_code(weft_rwlock_read_acquire(&t->lock), 0);
    weft_rwlock_read_release(&t->lock);
    weft_arena_close(arena);
}

// A reader that dies has changed nothing: nobody is told.
KIT_BOTH(a_reader_that_dies_is_none, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(read_until_told, t, 0);
    weft_future *alive = elsewhere(read_until_told, t, 0);

    kit_await(&t->arrived, 2);
    weft_future *writer = weft_thread_start(write_orphan, t);
    until_waiting(t, 1);
    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    kit_assert_code(weft_rwlock_write_acquire_for(&t->lock, 0.002), -ETIMEDOUT);
    weft_event_set(&t->go);
    kit_assert_code(weft_join(alive), 0);
    kit_assert_code(weft_join(writer), 0);
    weft_rwlock_fini(&t->lock);
    weft_arena_close(arena);
}

// The last reader dies while a writer sleeps: nobody else will wake it.
KIT_BOTH(a_writer_sees_the_last_reader_die, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(read_until_told, t, 0);

    kit_await(&t->arrived, 1);
    weft_future *task = weft_task_start(write_orphan, t);
    weft_future *thread = weft_thread_start(write_orphan, t);
    until_waiting(t, 2);
    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    kit_assert_code(weft_join(task), 0);
    kit_assert_code(weft_join(thread), 0);
    weft_arena_close(arena);
}

// One that waits dies: it does not stop those behind it.
KIT_BOTH(a_writer_that_dies_in_line_stops_nobody, .timeout = 20)
{
    struct table *t = make_table();
    kit_assert_code(weft_rwlock_read_acquire(&t->lock), 0);
    weft_future *dead = elsewhere(write_in_turn, t, 0);
    until_waiting(t, 1);
    weft_future *reader = elsewhere(read_in_turn, t, 1);
    until_waiting(t, 2);
    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    kit_assert_code(weft_join(reader), 0);
    weft_rwlock_read_release(&t->lock);
    weft_rwlock_fini(&t->lock);
    weft_arena_close(arena);
}

static int change_for_ever(struct table *t, long n)
{
    kit_count(&t->arrived);
    for (long i = 0; n == 0; i++) {
        int rc = weft_rwlock_write_acquire(&t->lock);
        if (rc == -EOWNERDEAD) {
            t->b = t->a;
            weft_rwlock_repaired(&t->lock);
        }
        t->a++;
        t->b++;
        if (i % 2 == 0) {
            weft_rwlock_write_release(&t->lock);
            if (weft_rwlock_read_acquire(&t->lock) != 0)
                return -EIO;
        } else {
            weft_rwlock_downgrade(&t->lock);
        }
        weft_rwlock_read_release(&t->lock);
    }
    return 0;
}

// The parent must get the lock again after each kill; it is told if what the
// lock guards may be half done.
KIT_BOTH(owners_killed_at_random, .timeout = 900)
{
    struct table *t = make_table();
    struct recovery recovery = {.kills = 0};

    printf("seed %llu\n", (unsigned long long)weft_test_seed());
    while (recovery.kills < weft_test_kills(25)) {
        int before = kit_load(&t->arrived);
        weft_future *f[2] = {elsewhere(change_for_ever, t, 0), NULL};
        if (recovery.kills % 4 == 0)
            f[1] = elsewhere(change_for_ever, t, 0);
        kit_await(&t->arrived, before + 1 + (f[1] != NULL));
        dawdle();
        double killed = weft_now();
        for (int i = 0; i < 2 && f[i] != NULL; i++)
            kill_it(f[i]);
        int rc = weft_rwlock_write_acquire(&t->lock);
        recovery_add(&recovery, killed, rc == -EOWNERDEAD);
        if (rc == -EOWNERDEAD) {
            t->b = t->a;
            weft_rwlock_repaired(&t->lock);
        }
        ck_assert_int_eq(t->a, t->b);
        weft_rwlock_write_release(&t->lock);
        for (int i = 0; i < 2 && f[i] != NULL; i++)
            kit_assert_code(weft_join(f[i]), -WEFT_ECRASHED);
        kit_assert_code(weft_rwlock_read_acquire(&t->lock), 0);
        weft_rwlock_read_release(&t->lock);
    }
    recovery_print(&recovery, "rwlock");
    weft_rwlock_fini(&t->lock);
    kit_assert_code(weft_arena_check(arena), 0);
    weft_arena_close(arena);
}

// Misuse ----------------------------------------------------------------------

static void release_what_nobody_reads(void)
{
    weft_rwlock_read_release(&make_table()->lock);
}

static void release_what_nobody_writes(void)
{
    weft_rwlock_write_release(&make_table()->lock);
}

static void end_what_is_read(void)
{
    struct table *t = make_table();
    if (weft_rwlock_read_acquire(&t->lock) == 0)
        weft_rwlock_fini(&t->lock);
}

static void init_elsewhere(void)
{
    static struct weft_rwlock here;

    make_table();
    weft_rwlock_init(&here, .arena = arena);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(release_what_nobody_reads, "for reading");
    kit_assert_aborts(release_what_nobody_writes, "holds it");
    kit_assert_aborts(end_what_is_read, "not held");
    kit_assert_aborts(init_elsewhere, "weft_rwlock_init");
}

WEFT_TEST_MAIN("far_rwlock")
