// SPDX-License-Identifier: MIT
// Buffers: to jobs and back, freed with their process, given away.
#include "jobs.h"

#include <semaphore.h>

#include "shared/heap.h"

static unsigned long sum_of(const unsigned char *p, size_t n)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + p[i];
    return sum;
}

static struct weft_buffer filled(size_t size, int byte)
{
    struct weft_buffer b = weft_buffer_new(size);
    ck_assert_uint_ne(b.where.at, 0);
    ck_assert_uint_eq((uintptr_t)weft_buffer_data(b) % 4096, 0);
    memset(weft_buffer_data(b), byte, size);
    return b;
}

WEFT_JOB(unsigned long, sum, struct weft_buffer, b)
{
    return sum_of(weft_buffer_data(b), b.len);
}

// A buffer of the worker's own, with the bytes turned round.
WEFT_JOB(struct weft_buffer, turn, struct weft_buffer, b)
{
    struct weft_buffer out = weft_buffer_new(b.len);
    const unsigned char *from = weft_buffer_data(b);
    unsigned char *to = weft_buffer_data(out);
    for (size_t i = 0; i < b.len; i++)
        to[i] = (unsigned char)~from[i];
    weft_buffer_free(b);
    return weft_buffer_give(out);
}

WEFT_TEST(to_a_job_and_back, .timeout = 30)
{
    weft_executor *ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 30; i++) {
        size_t size = i == 0 ? 5 << 20 : 1 + weft_test_random() % 300000;
        struct weft_buffer b = filled(size, i), out;
        unsigned long sum = 0;
        ck_assert_int_eq(
            weft_result(weft_submit_job(ex, &weft_job_sum, &b), &sum), 0);
        ck_assert_uint_eq(sum, sum_of(weft_buffer_data(b), size));
        ck_assert_int_eq(
            weft_result(weft_submit_job(ex, &weft_job_turn, &b), &out), 0);
        unsigned char *p = weft_buffer_data(out);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq(out.len, size);
        ck_assert(p[0] == (unsigned char)~i &&
                  p[size - 1] == (unsigned char)~i);
        weft_buffer_free(out);
    }
    weft_executor_close(ex);
}

struct cell {
    struct weft_buffer kept, given;
    struct weft_counter ready;
};

// Makes two buffers, gives one away, and waits for its death.
static int make_two(void *arg)
{
    weft_arena *a;
    struct cell *cell = weft_arena_open(*(struct weft_arena_ref *)arg, &a);
    cell->kept = weft_buffer_new(100000);
    cell->given = weft_buffer_new(100000);
    memset(weft_buffer_data(cell->given), 7, cell->given.len);
    weft_buffer_give(cell->given);
    weft_counter_add(&cell->ready, 1);
    for (;;)
        pause();
    return 0;
}

static weft_future *start_maker(weft_arena *a, struct cell *cell)
{
    struct weft_arena_ref ref = weft_arena_ref(a, cell);
    weft_counter_set(&cell->ready, 0);
    weft_future *f = weft_process_start(make_two, &ref, sizeof ref);
    while (weft_counter_get(&cell->ready) == 0)
        weft_yield();
    return f;
}

static void kill_it(weft_future *f)
{
    weft_process_kill(f);
    expect(f, -WEFT_ECRASHED);
}

static struct weft_arena_stat stat_of(struct weft_buffer b)
{
    weft_arena *a;
    struct weft_arena_stat stat = {.size = sizeof stat};
    ck_assert_ptr_nonnull(weft_arena_open(b.where, &a));
    weft_arena_recover(a);
    weft_arena_stat(a, &stat);
    weft_arena_close(a);
    return stat;
}

// What a dead process had made and not given away is freed; the rest stays, as
// long as somebody has its memory.
WEFT_TEST(a_dead_process_keeps_nothing, .timeout = 30)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    struct cell *cell = weft_arena_value(a, struct cell);
    weft_future *f = start_maker(a, cell);
    struct weft_buffer given = cell->given;
    const unsigned char *p = weft_buffer_data(given);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(stat_of(given).blocks, 2);
    kill_it(f);
    ck_assert_uint_eq(stat_of(given).participants, 1);
    ck_assert_uint_eq(stat_of(given).blocks, 1);
    ck_assert(p[0] == 7 && p[99999] == 7);
    weft_buffer_free(given);
    ck_assert_uint_eq(stat_of(given).blocks, 0);
    // The next one that comes from elsewhere ends it.
    f = start_maker(a, cell);
    ck_assert_ptr_nonnull(weft_buffer_data(cell->given));
    ck_assert_ptr_null(weft_buffer_data(given));
    kill_it(f);
    weft_arena_close(a);
}

// The thread that frees stops in the middle of that.
static _Thread_local bool frees;
static sem_t in_the_middle, go_on;

static void stop_here(unsigned n)
{
    enum { BLOCKS_ARE_COUNTED = 2 };
    if (!frees || n != BLOCKS_ARE_COUNTED)
        return;
    frees = false;
    sem_post(&in_the_middle);
    sem_wait(&go_on);
}

static int free_slowly(void *arg)
{
    frees = true;
    weft_buffer_free(*(struct weft_buffer *)arg);
    return 0;
}

// What somebody is still at is not given up, even if it seems to be empty.
WEFT_TEST(the_last_one_is_freed_while_another_comes, .timeout = 30)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    struct cell *cell = weft_arena_value(a, struct cell);
    weft_future *maker = start_maker(a, cell);
    struct weft_buffer last = cell->given;
    ck_assert_ptr_nonnull(weft_buffer_data(last));
    kill_it(maker);
    ck_assert_uint_eq(stat_of(last).blocks, 1);
    maker = start_maker(a, cell);
    sem_init(&in_the_middle, 0, 0);
    sem_init(&go_on, 0, 0);
    wi_heap_at_word = stop_here;
    weft_future *f = weft_thread_start(free_slowly, &last);
    sem_wait(&in_the_middle);
    ck_assert_ptr_nonnull(weft_buffer_data(cell->given));
    sem_post(&go_on);
    ck_assert_int_eq(weft_join(f), 0);
    ck_assert_uint_eq(stat_of(last).blocks, 0);
    kill_it(maker);
    weft_arena_close(a);
}

// Who has been canceled cleans up, in memory that it has not seen before.
WEFT_TEST(a_canceled_one_frees_what_it_was_given, .timeout = 30)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    struct cell *cell = weft_arena_value(a, struct cell);
    weft_future *maker = start_maker(a, cell);
    {
        WEFT_TIMEOUT(0);
        weft_buffer_free(cell->given);
    }
    ck_assert_uint_eq(stat_of(cell->kept).blocks, 1);
    kill_it(maker);
    weft_arena_close(a);
}

// Memory is used again: a thousand of 16 MiB are not 16 GiB.
// Of each two buffers one is given away.
WEFT_JOB(struct weft_buffer, make_many, int, n)
{
    for (int i = 0; i < n - 1; i++) {
        weft_buffer_new(1);
        weft_buffer_give(weft_buffer_new(1));
    }
    weft_buffer_new(1);
    return weft_buffer_give(weft_buffer_new(1));
}

// One look through them is enough, however many there are.
WEFT_TEST(a_dead_process_that_had_many_buffers, .timeout = 10)
{
    enum { N = 12000 };
    struct weft_buffer last = {.len = 0};
    weft_executor *ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_result(weft_submit(ex, make_many, N), &last), 0);
    ck_assert_ptr_nonnull(weft_buffer_data(last));
    ck_assert_uint_eq(stat_of(last).blocks, 2 * N);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_uint_eq(stat_of(last).blocks, N);
}

WEFT_TEST(memory_is_recycled)
{
    void *first = NULL;
    for (int i = 0; i < 1000; i++) {
        struct weft_buffer b = weft_buffer_new(16 << 20);
        if (first == NULL)
            first = weft_buffer_data(b);
        ck_assert_ptr_eq(weft_buffer_data(b), first);
        weft_buffer_free(b);
    }
}

WEFT_TEST(none_at_all)
{
    struct weft_buffer none = {.len = 0};
    ck_assert_ptr_null(weft_buffer_data(none));
    weft_buffer_free(none);
    ck_assert_uint_eq(weft_buffer_new((size_t)1 << 50).where.at, 0);
    struct weft_buffer b = weft_buffer_new(10);
    b.len = UINT64_MAX - 5;
    ck_assert_ptr_null(weft_buffer_data(b));
}

WEFT_TEST(freed_twice_aborts, .signal = SIGABRT)
{
    struct weft_buffer b = weft_buffer_new(10);
    weft_buffer_free(b);
    weft_buffer_free(b);
}

WEFT_TEST_MAIN("buffer")
