// SPDX-License-Identifier: MIT
// What pools of other languages have died or hung of: workers that kill each
// other, that die in the wrong moment, pools that are resized or closed
// meanwhile. Each future ends, with the right value or as a victim, and the
// pool goes on.
#include "jobs.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>

static weft_executor *ex;

WEFT_JOB(long, own_pid)
{
    return getpid();
}

// A value that is right, or the word that its worker has died.
static bool ends_well(weft_future *f, long value)
{
    long got = -1;
    int rc = weft_get(f, &got);
    ck_assert_msg(rc == -WEFT_ECRASHED || (rc == 0 && got == value),
                  "code %d (%s), %ld: %s", rc, weft_error_name(rc), got,
                  weft_future_text(f));
    weft_future_unref(f);
    return rc == 0;
}

static void pool_is_well(void)
{
    for (long i = 0; i < 20; i++) {
        weft_future *f = weft_submit(ex, square, i);
        while (!ends_well(f, i * i)) // killed by one who was late
            f = weft_submit(ex, square, i);
    }
}

enum { MOST = 16 };

// The processes of the pool that have begun; waits for n.
static int pids_of_pool(pid_t *pids, int n)
{
    struct weft_worker_stats all[MOST];
    int count = 0;
    while (count < n) {
        ssize_t members = weft_process_pool_workers(ex, all, MOST);
        count = 0;
        for (ssize_t i = 0; i < members && i < MOST; i++)
            if (all[i].pid != 0 && all[i].state != WEFT_WORKER_STARTING &&
                all[i].state != WEFT_WORKER_DEAD)
                pids[count++] = all[i].pid;
        sched_yield();
    }
    return count;
}

// Killing each other ----------------------------------------------------------

struct grudge {
    int pid;
    long x;
};

WEFT_JOB(long, kill_other, struct grudge, g)
{
    if (g.pid != getpid())
        kill(g.pid, SIGKILL);
    return g.x;
}

static void kill_each_other(unsigned workers)
{
    pid_t pids[MOST];
    weft_future *f[3 * MOST];
    ex = weft_process_pool(.workers = workers);
    int n = pids_of_pool(pids, (int)workers);
    for (int i = 0; i < 3 * n; i++) {
        struct grudge g = {pids[i % n], i};
        f[i] = weft_submit_job(ex, &weft_job_kill_other, &g);
    }
    for (int i = 0; i < 3 * n; i++)
        ends_well(f[i], i);
    pool_is_well();
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(workers_kill_each_other, .timeout = 60)
{
    static const unsigned sizes[] = {1, 2, 5, 13};
    for (int i = 0; i < 4; i++)
        kill_each_other(sizes[i]);
}

WEFT_TEST(an_idle_worker_is_killed_from_outside, .timeout = 30)
{
    pid_t pids[MOST];
    ex = weft_process_pool(.workers = 2);
    for (int round = 0; round < 10; round++) {
        int n = pids_of_pool(pids, 2);
        for (int i = 0; i < n; i++)
            kill(pids[i], SIGKILL);
        if (round % 2)
            weft_process_pool_resize(ex, 1 + (unsigned)round % 3);
        pool_is_well();
        weft_process_pool_resize(ex, 2);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_worker_is_killed_during_the_close, .timeout = 30)
{
    for (int i = 0; i < 10; i++) {
        pid_t pids[MOST];
        ex = weft_process_pool(.workers = 2);
        int n = pids_of_pool(pids, 2);
        struct grudge g = {pids[n - 1], 5};
        weft_future *f = weft_submit_job(ex, &weft_job_kill_other, &g);
        weft_future *rest = weft_submit(ex, square, 7);
        ck_assert_int_eq(weft_executor_close(ex), 0);
        ends_well(f, 5);
        ends_well(rest, 49);
    }
}

// Resizing --------------------------------------------------------------------

WEFT_TEST(a_kill_and_a_resize, .timeout = 30)
{
    for (int i = 0; i < 10; i++) {
        pid_t pids[MOST];
        ex = weft_process_pool(.workers = 2);
        pids_of_pool(pids, 2);
        struct grudge g = {pids[i % 2], 5};
        weft_future *f = weft_submit_job(ex, &weft_job_kill_other, &g);
        ck_assert_int_eq(weft_process_pool_resize(ex, 1), 0);
        ends_well(f, 5);
        pool_is_well();
        ck_assert_int_eq(weft_executor_close(ex), 0);
    }
}

static void resize_many_times(enum weft_close_mode mode)
{
    static const unsigned sizes[] = {12, 2, 1, 12, 6, 1, 8, 5};
    enum { SIZES = 8, EACH = 6 };
    weft_future *f[SIZES * EACH];
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < SIZES; i++) {
        ck_assert_int_eq(weft_process_pool_resize(ex, sizes[i]), 0);
        for (int k = 0; k < EACH; k++)
            f[i * EACH + k] = weft_submit(ex, square, k);
    }
    ck_assert_int_eq(weft_executor_close(ex, .mode = mode), 0);
    for (int i = 0; i < SIZES * EACH; i++) {
        long got = 0, k = i % EACH;
        int rc = weft_result(f[i], &got);
        ck_assert(mode != WEFT_CLOSE_DRAIN ? rc == 0 || rc == -WEFT_EJOBCANCELED
                                           : rc == 0 && got == k * k);
    }
}

WEFT_TEST(many_resizes_and_nobody_waits, .timeout = 60)
{
    for (int i = 0; i < 3; i++) {
        resize_many_times(WEFT_CLOSE_DRAIN);
        resize_many_times(WEFT_CLOSE_CANCEL_ALL);
    }
}

WEFT_TEST(a_pool_without_workers_is_resized, .timeout = 30)
{
    static const unsigned sizes[] = {8, 2, 3, 1};
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ex = weft_process_pool(.workers = 2, .idle_timeout = 0.001);
    for (int i = 0; i < 4; i++) {
        expect_long(weft_submit(ex, square, 6), 36);
        do
            weft_process_pool_stats(ex, &stats);
        while (stats.workers > 0);
        ck_assert_int_eq(weft_process_pool_resize(ex, sizes[i]), 0);
    }
    expect_long(weft_submit(ex, square, 6), 36);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// The wrong moment ------------------------------------------------------------

static void *die_soon(void *arg)
{
    for (long i = (long)arg; i > 0; i--)
        __asm__ volatile("");
    kill(getpid(), SIGKILL);
    return NULL;
}

// The answer is out, or nearly, when the worker dies of something else.
WEFT_JOB(long, answer_and_die, long, x)
{
    pthread_t thread;
    pthread_create(&thread, NULL, die_soon, (void *)(x * 20000));
    pthread_detach(thread);
    return x;
}

WEFT_TEST(a_worker_dies_after_its_answer, .timeout = 60)
{
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 40; i++) {
        weft_future *f[4];
        f[0] = weft_submit(ex, answer_and_die, i);
        for (int k = 1; k < 4; k++)
            f[k] = weft_submit(ex, square, k);
        ends_well(f[0], i);
        for (int k = 1; k < 4; k++)
            ends_well(f[k], (long)k * k);
    }
    pool_is_well();
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, leave_at_once)
{
    _exit(1);
}

// Each worker takes one request and is gone.
WEFT_TEST(every_worker_leaves_with_its_request, .timeout = 60)
{
    enum { N = 30 };
    weft_future *f[N];
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < N; i++)
        f[i] = weft_submit(ex, leave_at_once);
    for (int i = 0; i < N; i++)
        expect_text(f[i], -WEFT_ECRASHED, "leave_at_once");
    pool_is_well();
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static weft_future *from_callback;

static void submit_a_crash(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
    weft_future *crash = weft_submit(ex, leave_at_once);
    __atomic_store_n(&from_callback, crash, __ATOMIC_RELEASE);
}

WEFT_TEST(a_callback_submits_what_crashes, .timeout = 30)
{
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 10; i++) {
        from_callback = NULL;
        weft_future *crash, *f = weft_submit(ex, square, i);
        weft_future_on_done(f, submit_a_crash, NULL);
        expect_long(f, (long)i * i);
        while ((crash = __atomic_load_n(&from_callback, __ATOMIC_ACQUIRE)) ==
               NULL)
            sched_yield();
        expect_text(crash, -WEFT_ECRASHED, "leave_at_once");
    }
    pool_is_well();
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int left; // atomic: jobs that callbacks are to submit
static int most; // atomic: calls of submit that stood in each other
static weft_promise *all_done;

// Each job that ends is followed by another one.
static void submit_the_next(weft_future *f, void *arg)
{
    static _Thread_local int inside;
    (void)f;
    (void)arg;
    int n = __atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL);
    if (n == 0)
        weft_promise_keep(all_done, 0, NULL, 0, NULL);
    if (inside > __atomic_load_n(&most, __ATOMIC_ACQUIRE))
        __atomic_store_n(&most, inside, __ATOMIC_RELEASE);
    if (n < 4000)
        return;
    inside++;
    weft_future *next = weft_submit(ex, square, n);
    inside--;
    weft_future_on_done(next, submit_the_next, NULL);
    weft_future_unref(next);
}

WEFT_TEST(callbacks_that_submit_do_not_pile_up, .timeout = 60)
{
    enum { N = 4000 };
    ex = weft_process_pool(.workers = 2);
    all_done = weft_promise_new();
    weft_future *end = weft_promise_future(all_done);
    left = 10 * N;
    for (long i = 0; i < N; i++) {
        weft_future *f = weft_submit(ex, square, i);
        weft_future_on_done(f, submit_the_next, NULL);
        weft_future_unref(f);
    }
    expect(end, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(most, 0); // a callback's submit calls no other one
}

static int seven(void *arg)
{
    (void)arg;
    return 7;
}

static void open_what_cannot_be(weft_future *f, void *pool)
{
    struct weft_process_options like = {.size = sizeof like, .in = 987654};
    (void)f;
    *(weft_executor **)pool = weft_process_pool(.process = &like);
}

// The callback runs on the thread that sees to all processes.
WEFT_TEST(a_callback_opens_a_pool_in_vain)
{
    weft_executor *pool = NULL;
    weft_future *f = weft_process_start(seven, NULL, 0);
    ck_assert_int_eq(weft_future_on_done(f, open_what_cannot_be, &pool), 0);
    expect(f, 7);
    expect(weft_process_start(seven, NULL, 0), 7); // after the callback
    expect(weft_submit(pool, square, 1), -EBADF);
    weft_executor_close(pool);
}

// Cancels at any instant: what stood behind the job, and may have begun the
// moment before, never suffers.
WEFT_TEST(a_cancel_ends_its_own_job_only, .timeout = 60)
{
    enum { N = 4 };
    int canceled = 0;
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < 300; i++) {
        weft_future *f[N];
        long got = -1;
        for (long k = 0; k < N; k++)
            f[k] = weft_submit(ex, square, k);
        for (uint64_t n = weft_test_random() % 40000; n > 0; n--)
            __asm__ volatile("");
        weft_cancel(f[0]);
        int rc = weft_result(f[0], &got);
        ck_assert(rc == 0 || rc == -WEFT_EJOBCANCELED);
        canceled += rc != 0;
        for (long k = 1; k < N; k++)
            expect_long(f[k], k * k);
    }
    printf("%d of 300 canceled\n", canceled);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Much data -------------------------------------------------------------------

enum { MUCH = 12 << 20 };

WEFT_JOB(struct weft_bytes, echo, struct weft_bytes, in)
{
    return weft_bytes_copy(in.data, in.len);
}

WEFT_TEST(jobs_with_much_data_are_canceled, .timeout = 60)
{
    enum { N = 6 };
    struct weft_bytes in = {calloc(1, MUCH), MUCH};
    for (int round = 0; round < 2; round++) {
        weft_future *f[N];
        ex = weft_process_pool(.workers = 2);
        for (int i = 0; i < N; i++)
            f[i] = weft_submit_job(ex, &weft_job_echo, &in);
        ck_assert_int_ge(
            weft_wait(f, N, WEFT_FIRST_COMPLETED, (double)INFINITY), 0);
        for (int i = 0; i < N && round == 0; i++)
            weft_cancel(f[i]);
        ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL),
                         0);
        for (int i = 0; i < N; i++) {
            struct weft_bytes out = {NULL, 0};
            int rc = weft_get(f[i], &out);
            ck_assert_msg(rc == -WEFT_EJOBCANCELED ||
                              (rc == 0 && out.len == MUCH),
                          "round %d, job %d: code %d: %s", round, i, rc,
                          weft_future_text(f[i]));
            weft_bytes_free(&out);
            weft_future_unref(f[i]);
        }
    }
    free(in.data);
}

// Nested ----------------------------------------------------------------------

WEFT_JOB(long, with_a_pool_of_its_own, long, x)
{
    weft_executor *own = weft_process_pool(.workers = 1);
    long value = 0;
    int rc = weft_result(weft_submit(own, square, x), &value);
    weft_executor_close(own);
    return rc < 0 ? rc : value;
}

WEFT_TEST(a_job_has_a_pool_of_its_own, .timeout = 30)
{
    ex = weft_process_pool(.workers = 2);
    expect_long(weft_submit(ex, with_a_pool_of_its_own, 7), 49);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// A limit of a chunk is for the chunk: all its elements end with it.
WEFT_JOB(long, nap_or_square, long, x)
{
    while (x == 9)
        pause();
    return x * x;
}

WEFT_TEST(a_timeout_of_a_chunk, .timeout = 30)
{
    enum { N = 20, CHUNK = 5 };
    long in[N], out[N];
    int codes[N];
    for (long i = 0; i < N; i++)
        in[i] = i;
    ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_map(weft_executor_with(ex, .timeout = 0.2),
                              nap_or_square, in, N, out, .chunk = CHUNK,
                              .codes = codes),
                     0);
    for (long i = 0; i < N; i++)
        ck_assert_int_eq(codes[i], i / CHUNK == 1 ? -WEFT_EJOBTIMEOUT : 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(jobs_run_in_different_processes)
{
    long a, b;
    ex = weft_process_pool(.workers = 2);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    a = weft_future_native_id(f);
    ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &b), 0);
    ck_assert_int_ne(a, b);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &b), 0);
    ck_assert_int_ne(a, b);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("robust pools")
