// SPDX-License-Identifier: MIT
// Arenas: the allocator, references, names, views, seals, misuse.
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft.h>

static weft_arena *arena_of(size_t limit)
{
    weft_arena *a = NULL;
    ck_assert_int_eq(weft_arena_new(limit, &a), 0);
    return a;
}

static struct weft_arena_stat stat_of(weft_arena *a)
{
    struct weft_arena_stat stat = {.size = sizeof stat};
    weft_arena_stat(a, &stat);
    return stat;
}

// The allocator ---------------------------------------------------------------

static void expect_all(const unsigned char *p, size_t n, int byte)
{
    size_t i = 0;
    while (i < n && p[i] == byte)
        i++;
    ck_assert_msg(i == n, "byte %zu of %zu is %d, not %d", i, n, p[i], byte);
}

enum { SLOTS = 400 };

static size_t random_size(void)
{
    uint64_t r = weft_test_random();
    return r % 100 == 0 ? r / 100 % 3000000 : r / 100 % (16u << r % 11);
}

static void *random_block(weft_arena *a, size_t size)
{
    uint64_t align =
        weft_test_random() % 8 == 0 ? 16u << weft_test_random() % 9 : 16;
    unsigned char *p = weft_arena_alloc_aligned(a, size, align);
    if (p != NULL) {
        ck_assert_uint_eq((uintptr_t)p % align, 0);
        expect_all(p, size, 0);
    }
    return p;
}

WEFT_TEST(random_blocks_are_zeroed_and_apart, .timeout = 60)
{
    static struct {
        unsigned char *p;
        size_t size;
        int byte;
    } slots[SLOTS];
    weft_arena *a = arena_of(64 << 20);
    for (int i = 0; i < 20000; i++) {
        int k = (int)(weft_test_random() % SLOTS);
        if (slots[k].p != NULL) {
            expect_all(slots[k].p, slots[k].size, slots[k].byte);
            weft_arena_free(a, slots[k].p);
            slots[k].p = NULL;
        } else {
            slots[k].size = random_size();
            slots[k].byte = i % 255 + 1;
            slots[k].p = random_block(a, slots[k].size);
            if (slots[k].p != NULL)
                memset(slots[k].p, slots[k].byte, slots[k].size);
        }
        if (i % 500 == 0)
            ck_assert_int_eq(weft_arena_check(a), 0);
    }
    for (int k = 0; k < SLOTS; k++)
        weft_arena_free(a, slots[k].p);
    ck_assert_int_eq(weft_arena_check(a), 0);
    ck_assert_uint_eq(stat_of(a).used, 0);
    ck_assert_uint_eq(stat_of(a).blocks, 0);
    // It has become one block again: nearly all fits at once.
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 60 << 20));
    weft_arena_close(a);
}

WEFT_TEST(grows_to_its_limit_and_no_further)
{
    weft_arena *a = arena_of(4 << 20);
    ck_assert_uint_lt(stat_of(a).memory, 1 << 20);
    size_t got = 0;
    while (weft_arena_alloc(a, 10000) != NULL)
        got += 10000;
    ck_assert_uint_gt(got, 3800000);
    ck_assert_uint_eq(stat_of(a).memory, 4 << 20);
    ck_assert_int_eq(weft_arena_check(a), 0);
    ck_assert_ptr_null(weft_arena_alloc(a, SIZE_MAX));
    ck_assert_ptr_null(weft_arena_array(a, long, SIZE_MAX / 4));
    weft_arena_close(a);
}

WEFT_TEST(what_can_never_fit_takes_no_memory)
{
    weft_arena *a = arena_of(64 << 20);
    size_t before = stat_of(a).memory;
    ck_assert_ptr_null(weft_arena_alloc(a, 64 << 20));
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 20 << 20));
    size_t between = stat_of(a).memory;
    ck_assert_uint_lt(between, 32 << 20);
    ck_assert_ptr_null(weft_arena_alloc(a, 50 << 20));
    ck_assert_uint_eq(stat_of(a).memory, between);
    ck_assert_uint_lt(before, 1 << 20);
    // Nearly all of what is left, the free end included, can be had.
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 40 << 20));
    ck_assert_int_eq(weft_arena_check(a), 0);
    weft_arena_close(a);
}

WEFT_TEST(memory_that_the_system_refuses_is_no_memory)
{
    weft_arena *a = arena_of(64 << 20);
    struct rlimit limit = {8 << 20, 8 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_ptr_null(weft_arena_alloc(a, 16 << 20));
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 4 << 20));
    ck_assert_int_eq(weft_arena_check(a), 0);
    weft_arena_close(a);
}

static size_t patience; // bytes for which a call is not interrupted; 0: all

// The kernel's, up to Linux 6.18: a signal that comes meanwhile ends it, and
// all of it is undone. With a timer, as profilers have one, that is each call
// which takes longer than from one signal to the next.
int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (patience != 0 && (size_t)size > patience) {
        errno = EINTR;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

WEFT_TEST(an_arena_grows_under_a_timer)
{
    weft_arena *a = arena_of(256 << 20);
    patience = 3 << 20;
    unsigned char *p = weft_arena_alloc(a, 100 << 20);
    patience = 0;
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p[0] + p[50 << 20] + p[(100 << 20) - 1], 0);
    ck_assert_uint_ge(stat_of(a).memory, 100 << 20);
    ck_assert_int_eq(weft_arena_check(a), 0);
    weft_arena_close(a);
}

WEFT_TEST(offsets_stored_in_the_same_step)
{
    weft_arena *a = arena_of(1 << 20);
    uint64_t *where = weft_arena_value(a, uint64_t);
    ck_assert_int_eq(weft_arena_alloc_into(a, where, 100), 0);
    ck_assert_ptr_nonnull(weft_arena_at(a, *where));
    ck_assert_uint_eq(weft_arena_offset(a, weft_arena_at(a, *where)), *where);
    ck_assert_uint_eq(stat_of(a).blocks, 2);
    weft_arena_free_from(a, where);
    ck_assert_uint_eq(*where, 0);
    weft_arena_free_from(a, where);
    ck_assert_uint_eq(stat_of(a).blocks, 1);
    ck_assert_int_eq(weft_arena_alloc_into(a, where, 1 << 30), -ENOMEM);
    ck_assert_uint_eq(*where, 0);
    ck_assert_ptr_null(weft_arena_at(a, 1ull << 40));
    weft_arena_close(a);
}

static int allocate_a_lot(void *arg)
{
    weft_arena *a = arg;
    for (int i = 0; i < 20000; i++) {
        char *p = weft_arena_alloc(a, 1 + (size_t)i % 300);
        memset(p, 1, 1 + (size_t)i % 300);
        weft_arena_free(a, p);
    }
    return 0;
}

WEFT_TEST(threads_and_tasks_allocate_at_once, .timeout = 30)
{
    weft_arena *a = arena_of(1 << 20);
    weft_future *f[6];
    for (int i = 0; i < 3; i++)
        f[i] = weft_thread_start(allocate_a_lot, a);
    for (int i = 3; i < 6; i++)
        f[i] = weft_task_start(allocate_a_lot, a);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    ck_assert_int_eq(weft_arena_check(a), 0);
    ck_assert_uint_eq(stat_of(a).blocks, 0);
    weft_arena_close(a);
}

// Other processes -------------------------------------------------------------

struct work {
    struct weft_arena_ref where;
    int n;
};

static int count_up(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    struct weft_counter *c = weft_arena_open(work->where, &a);
    if (c == NULL)
        return -EIO;
    for (int i = 0; i < work->n; i++)
        weft_counter_add(c, 1);
    weft_arena_close(a);
    return 0;
}

WEFT_JOB(int, count_up_job, struct work, work)
{
    return count_up(&work);
}

WEFT_TEST(processes_and_workers_share_a_counter, .timeout = 30)
{
    weft_arena *a = arena_of(1 << 20);
    struct weft_counter *c = weft_arena_value(a, struct weft_counter);
    struct work work = {weft_arena_ref(a, c), 5000};
    weft_executor *ex = weft_process_pool(.workers = 2);
    weft_future *f[6];
    for (int i = 0; i < 3; i++)
        f[i] = weft_process_start(count_up, &work, sizeof work);
    for (int i = 3; i < 6; i++)
        f[i] = weft_submit_job(ex, &weft_job_count_up_job, &work);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    ck_assert_int_eq(weft_counter_get(c), 30000);
    ck_assert_int_eq(weft_counter_set(c, 7), 30000);
    ck_assert(weft_counter_swap(c, 7, 8) && !weft_counter_swap(c, 7, 9));
    weft_executor_close(ex);
    weft_arena_close(a);
}

// Builds a list in the arena of the parent.
struct cell {
    uint64_t next;
    long value;
};

static int build_list(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    uint64_t *head = weft_arena_open(work->where, &a);
    for (int i = 0; i < work->n; i++) {
        struct cell *cell = weft_arena_value(a, struct cell);
        cell->value = i;
        cell->next = *head;
        *head = weft_arena_offset(a, cell);
    }
    return 0; // ends with the arena open
}

WEFT_TEST(offsets_hold_at_other_addresses)
{
    weft_arena *a = arena_of(1 << 20), *view;
    uint64_t *head = weft_arena_value(a, uint64_t);
    struct work work = {weft_arena_ref(a, head), 100};
    ck_assert_int_eq(
        weft_join(weft_process_start(build_list, &work, sizeof work)), 0);
    ck_assert_int_eq(
        weft_arena_attach(weft_arena_fd(a), &view, .read_only = true), 0);
    ck_assert_ptr_ne(view, a);
    uint64_t at = weft_arena_offset(a, head);
    at = *(uint64_t *)weft_arena_at(view, at);
    for (long i = 99; i >= 0; i--) {
        struct cell *cell = weft_arena_at(view, at);
        ck_assert_ptr_ne(cell, weft_arena_at(a, at));
        ck_assert_int_eq(cell->value, i);
        at = cell->next;
    }
    ck_assert_uint_eq(at, 0);
    weft_arena_close(view);
    weft_arena_close(a);
}

// Mappings; what other threads map meanwhile does not count.
static int count_arenas(void)
{
    return kit_mappings("memfd:weft-arena");
}

WEFT_TEST(a_process_opens_its_own_arena_once)
{
    weft_arena *a = arena_of(1 << 20), *same = NULL;
    long *x = weft_arena_value(a, long);
    struct weft_arena_ref ref = weft_arena_ref(a, x);
    ck_assert_int_eq(count_arenas(), 1);
    ck_assert_ptr_eq(weft_arena_open(ref, &same), x);
    ck_assert_ptr_eq(same, a);
    ck_assert_int_eq(count_arenas(), 1);
    weft_arena_close(a);
    *x = 5; // still open
    weft_arena_close(same);
}

static int find_by_name(void *arg)
{
    weft_arena *a;
    int rc = weft_arena_find(arg, &a);
    if (rc < 0)
        return rc;
    long *root = weft_arena_root(a);
    ++*root;
    weft_arena_close(a);
    return 0;
}

WEFT_TEST(a_name_finds_it_as_long_as_it_is_open)
{
    char name[80];
    weft_arena *a, *b;
    snprintf(name, sizeof name, "test.%d", (int)getpid());
    ck_assert_int_eq(weft_arena_find(name, &a), -ENOENT);
    ck_assert_int_eq(weft_arena_new(1 << 20, &a, .name = name), 0);
    long *root = weft_arena_value(a, long);
    weft_arena_set_root(a, root);
    ck_assert_int_eq(weft_arena_new(1 << 20, &b, .name = name), -EADDRINUSE);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            weft_join(weft_process_start(find_by_name, name, sizeof name)), 0);
    ck_assert_int_eq(*root, 3);
    ck_assert_int_eq(weft_arena_find(name, &b), 0); // by way of the supervisor
    ck_assert_ptr_eq(a, b);
    weft_arena_close(a);
    ck_assert_int_eq(weft_arena_find(name, &a), 0);
    weft_arena_close(a);
    weft_arena_close(b);
    ck_assert_int_eq(weft_arena_find(name, &a), -ENOENT);
    ck_assert_int_eq(weft_arena_new(1, &a, .name = "a/b"), -EINVAL);
    ck_assert_int_eq(weft_arena_new(1, &a, .name = ""), -EINVAL);
}

static int name_and_wait(void *arg)
{
    weft_arena *a;
    struct {
        char name[80];
        int tell;
    } *in = arg;
    int rc = weft_arena_new(1 << 20, &a, .name = in->name);
    if (rc < 0)
        return rc;
    for (;;)
        pause();
}

WEFT_TEST(kill_9_takes_the_name_and_the_memory)
{
    struct {
        char name[80];
        int tell;
    } in = {"", 0};
    weft_arena *a;
    snprintf(in.name, sizeof in.name, "killed.%d", (int)getpid());
    weft_future *f = weft_process_start(name_and_wait, &in, sizeof in);
    int rc;
    while ((rc = weft_arena_find(in.name, &a)) == -ENOENT)
        weft_yield();
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(stat_of(a).participants, 2);
    ck_assert_int_eq(weft_process_kill(f), 0);
    ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
    weft_arena *again;
    ck_assert_int_eq(weft_arena_find(in.name, &again), -ENOENT);
    weft_arena_recover(a);
    ck_assert_uint_eq(stat_of(a).participants, 1);
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 100));
    weft_arena_close(a);
}

// Makes an arena, tells its reference in the one that it is given, and stays.
static int offer_one(void *arg)
{
    const struct work *work = arg;
    weft_arena *a, *own;
    struct weft_arena_ref *told = weft_arena_open(work->where, &a);
    if (weft_arena_new(1 << 20, &own) != 0)
        return -ENOMEM;
    struct weft_counter *c = weft_arena_value(own, struct weft_counter);
    told->id[1] = weft_arena_ref(own, c).id[1];
    told->at = weft_arena_offset(own, c);
    // release: the rest comes first
    __atomic_store_n(&told->id[0], weft_arena_ref(own, c).id[0],
                     __ATOMIC_RELEASE);
    return weft_sleep((double)INFINITY);
}

static int count_there(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    struct weft_counter *c = weft_arena_open(work->where, &a);
    return c != NULL ? (int)weft_counter_add(c, 1) : -ENOENT;
}

// Whoever gives a reference stands for it, whatever becomes of those who gave
// one before.
WEFT_TEST(a_reference_is_good_while_its_giver_lives)
{
    weft_arena *a = arena_of(1 << 20), *b;
    struct weft_arena_ref *told = weft_arena_value(a, struct weft_arena_ref);
    struct work work = {weft_arena_ref(a, told), 0};
    weft_future *f = weft_process_start(offer_one, &work, sizeof work);
    // acquire: as above
    while (__atomic_load_n(&told->id[0], __ATOMIC_ACQUIRE) == 0)
        weft_yield();
    struct weft_counter *c = weft_arena_open(*told, &b);
    ck_assert_ptr_nonnull(c);
    work.where = weft_arena_ref(b, c);
    weft_process_kill(f);
    ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
    ck_assert_int_eq(
        weft_join(weft_process_start(count_there, &work, sizeof work)), 1);
    weft_arena_close(b);
    weft_arena_close(a);
}

WEFT_TEST(a_reference_to_what_is_closed)
{
    weft_arena *a = arena_of(1 << 20), *b;
    int error = 0;
    struct weft_arena_ref ref = weft_arena_ref(a, NULL), none = {{0, 0}, 0};
    weft_arena_close(a);
    ck_assert_ptr_null(weft_arena_open_with(ref, &b, &error, NULL));
    ck_assert_int_eq(error, -ENOENT);
    ck_assert_ptr_null(weft_arena_open_with(none, &b, &error, NULL));
    ck_assert_int_eq(error, -ENOENT);
}

// Views and seals -------------------------------------------------------------

WEFT_TEST(a_view_cannot_be_written, .signal = SIGSEGV)
{
    weft_arena *a = arena_of(1 << 20), *view;
    long *x = weft_arena_value(a, long);
    weft_arena_attach(weft_arena_fd(a), &view, .read_only = true);
    volatile long *y = weft_arena_at(view, weft_arena_offset(a, x));
    *x = 4;
    ck_assert_int_eq(*y, 4);
    signal(SIGSEGV, SIG_DFL);
    *y = 5;
}

static int hold_open(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    struct weft_counter *c = weft_arena_open(work->where, &a);
    weft_counter_add(c, 1);
    while (weft_counter_get(c) == 1)
        weft_yield();
    weft_arena_close(a);
    return 0;
}

WEFT_TEST(a_seal_needs_all_writers_gone)
{
    weft_arena *a = arena_of(1 << 20), *b;
    struct weft_counter *c = weft_arena_value(a, struct weft_counter);
    struct work work = {weft_arena_ref(a, c), 0};
    weft_future *f = weft_process_start(hold_open, &work, sizeof work);
    while (weft_counter_get(c) == 0)
        weft_yield();
    ck_assert_int_eq(weft_arena_seal(a), -EBUSY);
    weft_counter_add(c, 1);
    ck_assert_ptr_nonnull(weft_arena_alloc(a, 100)); // as before
    ck_assert_int_eq(weft_join(f), 0);
    ck_assert_int_eq(weft_arena_seal(a), 0);
    ck_assert(stat_of(a).sealed);
    ck_assert_int_eq(weft_counter_get(c), 2);
    ck_assert_ptr_eq(weft_arena_open(work.where, &b), c);
    weft_arena_close(b);
    char byte = 1;
    ck_assert_int_eq(pwrite(weft_arena_fd(a), &byte, 1, 0), -1);
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                          weft_arena_fd(a), 0),
                     MAP_FAILED);
    weft_arena_close(a);
}

// A process that gave up its place for it would come back as another one.
WEFT_TEST(a_seal_that_fails_changes_nothing)
{
    weft_arena *a = arena_of(1 << 20);
    struct weft_counter *c = weft_arena_value(a, struct weft_counter);
    struct weft_lock *lock = weft_arena_value(a, struct weft_lock);
    struct work work = {weft_arena_ref(a, c), 0};
    weft_lock_init(lock, .arena = a);
    ck_assert_int_eq(weft_lock_acquire(lock), 0);
    weft_future *f = weft_process_start(hold_open, &work, sizeof work);
    while (weft_counter_get(c) == 0)
        weft_yield();
    ck_assert_int_eq(weft_arena_seal(a), -EBUSY);
    weft_lock_release(lock);
    ck_assert_int_eq(weft_lock_acquire(lock), 0);
    weft_lock_release(lock);
    weft_counter_add(c, 1);
    ck_assert_int_eq(weft_join(f), 0);
    weft_arena_close(a);
}

struct visits {
    struct weft_arena_ref where;
    int enough; // atomic
};

static int visit(void *arg)
{
    struct visits *v = arg;
    weft_arena *b;
    while (!__atomic_load_n(&v->enough, __ATOMIC_RELAXED)) {
        if (weft_arena_open(v->where, &b) == NULL)
            return -ENOENT;
        weft_arena_close(b);
    }
    return 0;
}

// While one is sealed its memory is out of sight for a moment; others may be
// opened all the same.
WEFT_TEST(a_seal_disturbs_no_other_arena, .timeout = 20)
{
    weft_arena *b = arena_of(1 << 20);
    struct visits v = {weft_arena_ref(b, NULL), 0};
    weft_future *f = weft_thread_start(visit, &v);
    for (int i = 0; i < 100; i++) {
        weft_arena *a = arena_of(1 << 20);
        ck_assert_int_eq(weft_arena_seal(a), 0);
        weft_arena_close(a);
    }
    __atomic_store_n(&v.enough, 1, __ATOMIC_RELAXED);
    ck_assert_int_eq(weft_join(f), 0);
    weft_arena_close(b);
}

static int read_sealed(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    struct weft_counter *c = weft_arena_open(work->where, &a);
    return c != NULL && weft_counter_get(c) == 77 && stat_of(a).sealed ? 0 : -1;
}

WEFT_TEST(views_do_not_stand_in_the_way_of_a_seal)
{
    weft_arena *a = arena_of(1 << 20), *view;
    long *x = weft_arena_value(a, long);
    *x = 4;
    ck_assert_int_eq(
        weft_arena_attach(weft_arena_fd(a), &view, .read_only = true), 0);
    volatile long *y = weft_arena_at(view, weft_arena_offset(a, x));
    ck_assert_int_eq(weft_arena_seal(a), 0);
    ck_assert_int_eq(*y, 4);
    weft_arena_close(view);
    weft_arena_close(a);
}

WEFT_TEST(a_sealed_arena_is_opened_as_a_view)
{
    weft_arena *a = arena_of(1 << 20);
    struct weft_counter *c = weft_arena_value(a, struct weft_counter);
    weft_counter_set(c, 77);
    struct work work = {weft_arena_ref(a, c), 0};
    ck_assert_int_eq(weft_arena_seal(a), 0);
    ck_assert_int_eq(
        weft_join(weft_process_start(read_sealed, &work, sizeof work)), 0);
    weft_arena_close(a);
}

WEFT_TEST(a_sealed_arena_cannot_be_written, .signal = SIGSEGV)
{
    weft_arena *a = arena_of(1 << 20);
    volatile long *x = weft_arena_value(a, long);
    ck_assert_int_eq(weft_arena_seal(a), 0);
    signal(SIGSEGV, SIG_DFL);
    *x = 5;
}

WEFT_TEST(huge_pages_or_the_next_best)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(32 << 20, &a, .huge = true), 0);
    char *p = weft_arena_alloc(a, 9 << 20);
    ck_assert_ptr_nonnull(p);
    memset(p, 1, 9 << 20);
    ck_assert_uint_eq(stat_of(a).memory % (2 << 20), 0);
    ck_assert_int_eq(weft_arena_check(a), 0);
    weft_arena_close(a);
}

// Misuse ----------------------------------------------------------------------

WEFT_TEST(a_second_free_aborts, .signal = SIGABRT)
{
    weft_arena *a = arena_of(1 << 20);
    void *p = weft_arena_alloc(a, 100);
    weft_arena_free(a, p);
    weft_arena_free(a, p);
}

WEFT_TEST(what_is_no_block_aborts, .signal = SIGABRT)
{
    weft_arena *a = arena_of(1 << 20);
    char *p = weft_arena_alloc(a, 100);
    weft_arena_free(a, p + 16);
}

WEFT_TEST(a_write_beyond_a_block_is_found)
{
    weft_arena *a = arena_of(1 << 20);
    char *p = weft_arena_alloc(a, 100);
    weft_arena_alloc(a, 100);
    memset(p, 255, 130);
    ck_assert_int_eq(weft_arena_check(a), -WEFT_EPROTO);
    weft_arena_close(a);
}

WEFT_TEST(what_is_no_arena_is_refused)
{
    weft_arena *a;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(weft_arena_attach(ends[0], &a), -WEFT_EPROTO);
    ck_assert_int_eq(weft_arena_attach(-1, &a), -EBADF);
    int fd = memfd_create("no arena", MFD_ALLOW_SEALING);
    ck_assert_int_eq(weft_arena_attach(fd, &a), -WEFT_EPROTO);
    ck_assert_int_eq(ftruncate(fd, 4 << 20), 0);
    ck_assert_int_eq(weft_arena_attach(fd, &a), -WEFT_EPROTO);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
    ck_assert_int_eq(weft_arena_attach(fd, &a), -WEFT_EPROTO);
    ck_assert_int_eq(weft_arena_new(0, &a), -EINVAL);
    ck_assert_int_eq(weft_arena_new(SIZE_MAX, &a), -EINVAL);
}

// Each 32-bit word of the head in turn has another value.
WEFT_TEST(another_build_is_refused)
{
    weft_arena *a = arena_of(1 << 20), *b;
    for (off_t at = 0; at < 44; at += 4) {
        uint32_t word = 0, spoilt;
        int fd = memfd_create("copy", MFD_ALLOW_SEALING);
        struct weft_arena_stat stat = stat_of(a);
        char *bytes = malloc(stat.memory);
        ck_assert_int_eq(pread(weft_arena_fd(a), bytes, stat.memory, 0),
                         (ssize_t)stat.memory);
        ck_assert_int_eq(write(fd, bytes, stat.memory), (ssize_t)stat.memory);
        ck_assert_int_eq(pread(fd, &word, 4, at), 4);
        spoilt = word ^ 0x40000001;
        ck_assert_int_eq(pwrite(fd, &spoilt, 4, at), 4);
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
        bool id = at >= 16 && at < 32; // may be anything
        ck_assert_int_eq(weft_arena_attach(fd, &b, .read_only = true),
                         id ? 0 : -WEFT_EPROTO);
        if (id)
            weft_arena_close(b);
        free(bytes);
        close(fd);
    }
    weft_arena_close(a);
}

WEFT_TEST(nothing_is_left_open)
{
    weft_arena *a = arena_of(1 << 20);
    weft_arena_ref(a, NULL);
    weft_arena_close(a);
    int fds = weft_test_count_fds(), threads = weft_test_count_threads();
    for (int i = 0; i < 50; i++) {
        a = arena_of(8 << 20);
        weft_arena_ref(a, weft_arena_alloc(a, 3 << 20));
        weft_arena_close(a);
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_test_await_threads(threads);
    ck_assert_int_eq(count_arenas(), 0);
}

WEFT_TEST_MAIN("arena")
