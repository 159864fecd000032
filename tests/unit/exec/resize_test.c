// SPDX-License-Identifier: MIT
//
// Pools of threads that grow and shrink while they run.
#include "kit.h"

static int met, inside, most_inside;
static weft_executor *pool;

WEFT_JOB(int, meet, int, n)
{
    kit_count(&met);
    while (kit_load(&met) < n)
        sched_yield();
    return 0;
}

// Computes a little, and notes how many do so at once.
WEFT_JOB(int, compute, int, n)
{
    int now = __atomic_add_fetch(&inside, 1, __ATOMIC_ACQ_REL);
    if (now > kit_load(&most_inside))
        __atomic_store_n(&most_inside, now, __ATOMIC_RELEASE);
    for (int i = 0; i < n; i++)
        sched_yield();
    __atomic_sub_fetch(&inside, 1, __ATOMIC_ACQ_REL);
    return 0;
}

static struct weft_thread_pool_stats stats_of(weft_executor *ex)
{
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(ex, &stats), 0);
    return stats;
}

static void all_meet(weft_executor *ex, int n)
{
    weft_future *fs[16];
    met = 0;
    for (int i = 0; i < n; i++)
        fs[i] = weft_submit(ex, meet, n);
    kit_assert_code(weft_gather_into(fs, (size_t)n, NULL, 0, NULL), 0);
}

static void wait_until_idle(weft_executor *ex, unsigned n)
{
    while (stats_of(ex).idle < n)
        sched_yield();
}

static int most_at_once(weft_executor *ex)
{
    weft_future *fs[50];
    inside = most_inside = 0;
    for (int i = 0; i < 50; i++)
        fs[i] = weft_submit(ex, compute, 20);
    kit_assert_code(weft_gather_into(fs, 50, NULL, 0, NULL), 0);
    return most_inside;
}

KIT_BOTH(it_grows, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_thread_pool_resize(ex, 4), 0);
    all_meet(ex, 4);
    ck_assert_uint_eq(weft_executor_width(ex), 4);
    kit_assert_code(
        weft_thread_pool_resize(weft_executor_with(ex, .priority = 1), 9), 0);
    all_meet(ex, 9);
    ck_assert_uint_eq(stats_of(ex).workers, 9);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(it_shrinks_and_grows_again, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 4);
    all_meet(ex, 4);
    wait_until_idle(ex, 4);
    kit_assert_code(weft_thread_pool_resize(ex, 1), 0);
    ck_assert_int_eq(most_at_once(ex), 1);
    struct weft_thread_pool_stats stats = stats_of(ex);
    ck_assert_uint_eq(stats.workers, 1);
    ck_assert_uint_eq(stats.spares, 3);
    kit_assert_code(weft_thread_pool_resize(ex, 4), 0);
    all_meet(ex, 4);
    kit_assert_code(weft_executor_close(ex), 0);
}

static struct weft_event gate;

WEFT_JOB(int, wait_at_the_gate, int, n)
{
    kit_count(&met);
    while (kit_load(&met) < n)
        sched_yield();
    return weft_event_wait(&gate);
}

// What has begun ends where it is, and what waits behind it does not wait.
WEFT_TEST(it_drains, .timeout = 20)
{
    enum { N = 4 };
    weft_executor *ex = weft_thread_pool(.workers = N);
    weft_future *fs[N];
    for (int i = 0; i < N; i++)
        fs[i] = weft_submit(ex, wait_at_the_gate, N);
    while (kit_load(&met) < N)
        sched_yield();
    kit_assert_code(weft_thread_pool_resize(ex, 1), 0);
    for (int i = 0; i < 100; i++)
        kit_assert_code(weft_join(weft_submit(ex, compute, 1)), 0);
    weft_event_set(&gate);
    kit_assert_code(weft_gather_into(fs, N, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(with_blocking, .timeout = 8) // idle threads leave after 10 s
{
    weft_executor *ex = weft_thread_pool(.blocking = true, .workers = 1);
    weft_future *fs[6];
    met = 0;
    for (int i = 0; i < 6; i++)
        fs[i] = weft_submit(ex, meet, 6); // one alone meets nobody
    kit_assert_code(weft_thread_pool_resize(ex, 6), 0);
    kit_assert_code(weft_gather_into(fs, 6, NULL, 0, NULL), 0);
    ck_assert_uint_eq(weft_executor_width(ex), 6);
    kit_assert_code(weft_thread_pool_resize(ex, 1), 0);
    while (stats_of(ex).workers > 1)
        sched_yield();
    ck_assert_int_eq(most_at_once(ex), 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int bytes[2];

WEFT_JOB(int, read_plainly, int, n)
{
    char byte;
    kit_count(&met);
    return read(bytes[0], &byte, 1) == 1 ? n : -EIO;
}

// Threads that are too many leave although jobs wait: one takes them all.
WEFT_TEST(with_blocking_and_a_queue, .timeout = 20)
{
    enum { N = 4 };
    static const char many[2 * N];
    weft_future *fs[2 * N];
    weft_executor *ex = weft_thread_pool(.blocking = true, .workers = N);
    ck_assert_int_eq(pipe(bytes), 0);
    for (int i = 0; i < 2 * N; i++)
        fs[i] = weft_submit(ex, read_plainly, i);
    kit_await(&met, N);
    kit_assert_code(weft_thread_pool_resize(ex, 1), 0);
    ck_assert_int_eq(write(bytes[1], many, N), N);
    while (stats_of(ex).workers > 1 || kit_load(&met) == N) {
        ck_assert_int_le(kit_load(&met), N + 1);
        sched_yield();
    }
    ck_assert_int_eq(write(bytes[1], many, N), N);
    kit_assert_code(weft_gather_into(fs, 2 * N, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(what_it_refuses)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_executor *other = weft_inline_executor();
    kit_assert_code(weft_thread_pool_resize(ex, 0), -EINVAL);
    kit_assert_code(weft_thread_pool_resize(ex, 257), -EINVAL);
    kit_assert_code(weft_thread_pool_resize(other, 2), -EINVAL);
    ck_assert_uint_eq(weft_executor_width(ex), 1);
    kit_assert_code(weft_executor_close(other), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Initializers ----------------------------------------------------------------

static int initialized;

// The third one fails, if *arg says so.
static int initialize(void *arg)
{
    int n = __atomic_add_fetch(&initialized, 1, __ATOMIC_ACQ_REL);
    return n == 3 && *(bool *)arg ? -EIO : 0;
}

WEFT_TEST(new_threads_are_initialized)
{
    bool fails = false;
    weft_executor *ex =
        weft_thread_pool(.workers = 1, .initializer = initialize,
                         .init_arg = &fails);
    kit_assert_code(weft_thread_pool_resize(ex, 3), 0);
    ck_assert_int_eq(kit_load(&initialized), 3);
    all_meet(ex, 3);
    kit_assert_code(weft_executor_close(ex), 0);
}

static void expect_broken(weft_future *f)
{
    kit_assert_code(weft_get_into(f, NULL, 0), -WEFT_EBROKEN);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "(EIO)"));
    weft_future_unref(f);
}

WEFT_TEST(one_that_fails_breaks_the_pool)
{
    bool fails = true;
    weft_executor *ex =
        weft_thread_pool(.workers = 2, .initializer = initialize,
                         .init_arg = &fails);
    all_meet(ex, 2);
    kit_assert_code(weft_thread_pool_resize(ex, 3), -WEFT_EBROKEN);
    expect_broken(weft_submit(ex, compute, 1));
    kit_assert_code(weft_executor_close(ex), 0);
}

static int may_initialize;

static int initialize_slowly(void *fails)
{
    if (__atomic_add_fetch(&initialized, 1, __ATOMIC_ACQ_REL) == 1)
        return 0;
    while (kit_load(&may_initialize) == 0)
        sched_yield();
    return *(bool *)fails ? -EIO : 0;
}

static int resize_it(void *arg)
{
    (void)arg;
    return weft_thread_pool_resize(pool, 2);
}

WEFT_TEST(one_at_a_time, .timeout = 20)
{
    bool fails = false;
    pool = weft_thread_pool(.workers = 1, .initializer = initialize_slowly,
                            .init_arg = &fails);
    weft_future *first = weft_thread_start(resize_it, NULL);
    kit_await(&initialized, 2);
    kit_assert_code(weft_thread_pool_resize(pool, 3), -EBUSY);
    kit_count(&may_initialize);
    kit_assert_code(weft_join(first), 0);
    kit_assert_code(weft_thread_pool_resize(pool, 3), 0);
    kit_assert_code(weft_executor_close(pool), 0);
}

// What waits when a pool breaks does not wait any longer.
WEFT_TEST(what_waits_in_a_pool_that_breaks_fails, .timeout = 20)
{
    bool fails = true;
    pool = weft_thread_pool(.workers = 1, .initializer = initialize_slowly,
                            .init_arg = &fails);
    weft_future *busy = weft_submit(pool, meet, 2);
    kit_await(&met, 1);
    weft_future *waits = weft_submit(pool, compute, 1);
    weft_future *resizes = weft_thread_start(resize_it, NULL);
    kit_await(&initialized, 2);
    kit_count(&may_initialize);
    kit_assert_code(weft_join(resizes), -WEFT_EBROKEN);
    expect_broken(waits);
    kit_count(&met);
    kit_assert_code(weft_join(busy), 0);
    kit_assert_code(weft_executor_close(pool), 0);
}

// Each counts what it ends on a line of its own: closing hears of all.
WEFT_TEST(many_more_than_it_was_made_with, .timeout = 60)
{
    enum { MANY = 100 };
    weft_future *fs[MANY];
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_thread_pool_resize(ex, MANY), 0);
    met = 0;
    for (int i = 0; i < MANY; i++)
        fs[i] = weft_submit(ex, meet, MANY);
    kit_assert_code(weft_gather_into(fs, MANY, NULL, 0, NULL), 0);
    while (stats_of(ex).ended < MANY)
        sched_yield();
    kit_assert_code(weft_executor_close(ex), 0);
}

// A storm ---------------------------------------------------------------------

enum { SUBMITTERS = 3, JOBS = KIT_SANITIZED ? 300 : 2000 };

static int submit_many(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < JOBS; i++) {
        random = random * 1664525u + 1013904223u;
        weft_executor *ex =
            weft_executor_with(pool, .priority = (int)(random >> 30) - 1,
                               .migrate = (random >> 20) & 1);
        int rc = weft_join(weft_submit(ex, compute, (int)(random >> 28)));
        if (rc < 0)
            return rc;
    }
    return 0;
}

WEFT_TEST(jobs_while_it_changes, .timeout = 60)
{
    weft_future *fs[SUBMITTERS];
    pool = weft_thread_pool(.workers = 2);
    for (int i = 0; i < SUBMITTERS; i++)
        fs[i] = weft_thread_start(submit_many,
                                  kit_number((int)weft_test_random() & 0xffff));
    while (!weft_done(fs[0])) {
        kit_assert_code(
            weft_thread_pool_resize(pool, 1 + (unsigned)weft_test_random() % 6),
            0);
        sched_yield();
    }
    kit_assert_code(weft_gather_into(fs, SUBMITTERS, NULL, 0, NULL), 0);
    struct weft_thread_pool_stats stats = stats_of(pool);
    ck_assert_uint_eq(stats.submitted, SUBMITTERS * JOBS);
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_TEST_MAIN("resize")
