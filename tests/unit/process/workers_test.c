// SPDX-License-Identifier: MIT
// Workers that come and go: limits of their lives, finalizers, the size of the
// pool, and what it tells about them.
#include "jobs.h"
#include "sleeps.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>

#include "process/pool.h"
#include "sched/task.h"

static weft_executor *ex;

WEFT_JOB(long, own_pid)
{
    return getpid();
}

static struct weft_process_pool_stats stats_now(void)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    return stats;
}

// The begin of a life ---------------------------------------------------------

// Holds the launcher back until the pool has heard that its child is ready.
static void until_heard(struct wi_launch *launch)
{
    struct wi_member *member = (struct wi_member *)launch;
    struct pollfd bell = {.fd = member->bell, .events = POLLIN};
    while (wi_boot_stage(member->boot) != WI_STAGE_READY)
        sched_yield();
    while (poll(&bell, 1, 0) == 1)
        sched_yield();
    wi_mutex_lock(&member->pool->lock); // it is held while the bell is heard
    wi_mutex_unlock(&member->pool->lock);
}

// A worker may be ready before the thread that has made it goes on.
WEFT_TEST(a_worker_that_is_quick_is_known_by_its_process_id)
{
    wi_launcher_made = until_heard;
    ex = weft_process_pool(.workers = 1);
    weft_future *f = weft_submit(ex, hang, 0);
    until_running(f);
    // What `weft ps` reads.
    ck_assert_int_eq(
        __atomic_load_n(&wi_of_future(f)->extra->native, __ATOMIC_RELAXED),
        weft_future_native_id(f));
    ck_assert_int_eq(weft_cancel(f), 0); // kills it
    expect_text(f, -WEFT_EJOBCANCELED, "hang");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// The end of a life -----------------------------------------------------------

WEFT_TEST(a_worker_leaves_after_so_many_jobs)
{
    enum { JOBS = 30, EACH = 3 };
    weft_future *f[JOBS];
    long pids[JOBS];
    ex = weft_process_pool(.workers = 2, .max_jobs = EACH);
    for (int i = 0; i < JOBS; i++)
        f[i] = weft_submit(ex, own_pid);
    for (int i = 0; i < JOBS; i++)
        ck_assert_int_eq(weft_result(f[i], &pids[i]), 0);
    for (int i = 0; i < JOBS; i++) {
        int same = 0;
        for (int k = 0; k < JOBS; k++)
            same += pids[k] == pids[i];
        ck_assert_int_le(same, EACH);
    }
    ck_assert_uint_eq(stats_now().died, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(one_job_a_worker)
{
    long last = 0, pid = 0;
    ex = weft_process_pool(.workers = 1, .max_jobs = 1);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &pid), 0);
        ck_assert_int_ne(pid, last);
        last = pid;
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_worker_that_is_old_leaves)
{
    long first = 0, pid = 0;
    ex = weft_process_pool(.workers = 1, .max_age = 0.3);
    ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &first), 0);
    do
        ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &pid), 0);
    while (pid == first); // the test's own time limit says for how long
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, grow)
{
    static char *volatile much;
    much = malloc(64 << 20);
    memset(much, 1, 64 << 20);
    return getpid();
}

WEFT_TEST(a_worker_that_has_grown_leaves)
{
    long big = 0, pid = 0;
    ex = weft_process_pool(.workers = 1, .max_rss = 48 << 20);
    ck_assert_int_eq(weft_result(weft_submit(ex, grow), &big), 0);
    do
        ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &pid), 0);
    while (pid == big);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Finalizers ------------------------------------------------------------------

static int add_byte(void *arg)
{
    int fd = open(arg, O_WRONLY | O_APPEND | O_CLOEXEC);
    int rc = write(fd, "x", 1) == 1 ? 0 : -EIO;
    close(fd);
    return rc;
}

WEFT_TEST(a_finalizer_runs_in_each_worker_that_leaves)
{
    char file[] = "/tmp/weft-test-XXXXXX";
    struct stat st;
    close(mkstemp(file));
    ex = weft_process_pool(.workers = 1, .max_jobs = 2, .finalizer = add_byte,
                           .init_arg = file, .init_size = sizeof file);
    for (long i = 0; i < 6; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    struct weft_process_pool_stats stats = stats_now();
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(stat(file, &st), 0);
    // Those that were just starting at the close have one, too.
    ck_assert_int_ge(st.st_size, (long)stats.started);
    ck_assert_int_ge(st.st_size, 3);
    unlink(file);
}

static int refuse(void *arg)
{
    (void)arg;
    return -EDOM;
}

static int die(void *arg)
{
    (void)arg;
    abort();
}

static int stay(void *arg)
{
    for (;;)
        pause();
    return arg == NULL;
}

// Each worker has one job, then its finalizer. None of them stays for ever.
WEFT_TEST(who_does_not_leave_in_time_is_killed, .timeout = 20)
{
    enum { N = 8 };
    struct weft_worker_stats workers[4 * N];
    ex = weft_process_pool(.workers = 1, .max_jobs = 1, .finalizer = stay,
                           .leave = 0.05);
    for (long i = 0; i < N; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    while (weft_process_pool_workers(ex, workers, 4 * N) > 2)
        weft_sleep(0.001);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_finalizer_that_fails_breaks_the_pool)
{
    ex = weft_process_pool(.workers = 1, .max_jobs = 1, .finalizer = refuse);
    expect_long(weft_submit(ex, square, 2), 4);
    weft_future *f;
    long value;
    do
        f = weft_submit(ex, square, 3);
    while (weft_get(f, &value) == 0 && (weft_future_unref(f), true));
    expect_text(f, -WEFT_EBROKEN, "the finalizer failed");
    weft_executor_close(ex);
}

WEFT_TEST(at_the_close_its_failure_comes_out_of_that)
{
    ex = weft_process_pool(.workers = 1, .finalizer = refuse);
    expect_long(weft_submit(ex, square, 2), 4);
    ck_assert_int_eq(weft_executor_close(ex), -WEFT_EBROKEN);
    ex = weft_process_pool(.workers = 1, .finalizer = die);
    expect_long(weft_submit(ex, square, 2), 4);
    ck_assert_int_eq(weft_executor_close(ex), -WEFT_EBROKEN);
}

// Size ------------------------------------------------------------------------

static void until_workers(unsigned n)
{
    while (stats_now().workers != n)
        weft_sleep(0.002);
}

WEFT_TEST(an_elastic_pool_grows_and_shrinks)
{
    enum { N = 4 };
    weft_future *f[N];
    ex = weft_process_pool(.workers = N, .idle_timeout = 0.2);
    ck_assert_uint_eq(stats_now().workers, 0);
    ck_assert_uint_eq(weft_executor_width(ex), N);
    for (int i = 0; i < N; i++)
        f[i] = weft_submit(ex, hang, 1);
    for (int i = 0; i < N; i++)
        until_running(f[i]); // all at once
    for (int i = 0; i < N; i++) {
        weft_cancel(f[i]);
        expect(f[i], -WEFT_EJOBCANCELED);
    }
    expect_long(weft_submit(ex, square, 3), 9);
    until_workers(0);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// No time is too long for a worker that is not needed: none leaves, but none
// comes before it is needed either.
WEFT_TEST(an_elastic_pool_may_keep_all_for_ever)
{
    ex = weft_process_pool(.workers = 4, .idle_timeout = (double)INFINITY);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_uint_le(stats_now().workers, 2); // with the spare
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(an_elastic_pool_keeps_the_least)
{
    ex =
        weft_process_pool(.workers = 4, .min_workers = 2, .idle_timeout = 0.05);
    until_workers(3); // and the spare
    weft_future *f[4];
    for (int i = 0; i < 4; i++)
        f[i] = weft_submit(ex, hang, 1);
    for (int i = 0; i < 4; i++)
        until_running(f[i]);
    for (int i = 0; i < 4; i++) {
        weft_cancel(f[i]);
        expect(f[i], -WEFT_EJOBCANCELED);
    }
    until_workers(3);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_pool_can_be_resized)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, square, 3), 9);
    until_workers(2);
    ck_assert_int_eq(weft_process_pool_resize(ex, 3), 0);
    ck_assert_uint_eq(weft_executor_width(ex), 3);
    weft_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = weft_submit(ex, hang, 1);
    for (int i = 0; i < 3; i++)
        until_running(f[i]);
    ck_assert_int_eq(weft_process_pool_resize(ex, 1), 0);
    for (int i = 0; i < 3; i++) {
        weft_cancel(f[i]);
        expect(f[i], -WEFT_EJOBCANCELED);
    }
    until_workers(2);
    expect_long(weft_submit(ex, square, 4), 16);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Idle ------------------------------------------------------------------------

// Of this process and of all workers.
static long long all_sleeps(void)
{
    struct weft_worker_stats all[8];
    long long total = own_sleeps();
    ssize_t n = weft_process_pool_workers(ex, all, 8);
    ck_assert_int_le(n, 8);
    for (ssize_t i = 0; i < n; i++)
        if (all[i].pid != 0)
            total += sleeps_of(all[i].pid, "");
    return total;
}

static void work_and_be_idle(weft_executor *pool)
{
    long in[200], out[200];
    ex = pool;
    for (long i = 0; i < 200; i++)
        in[i] = i;
    ck_assert_int_eq(weft_map(ex, square, in, 200, out), 0);
    expect_long(
        weft_submit(weft_executor_with(ex, .deadline = 100, .timeout = 100),
                    square, 3),
        9);
    weft_future *f = weft_submit(ex, hang, 0);
    until_running(f);
    weft_cancel(f); // a worker is replaced
    expect(f, -WEFT_EJOBCANCELED);
    await_silence(all_sleeps);
    expect_long(weft_submit(ex, square, 4), 16);
    weft_executor_close(ex);
}

WEFT_TEST(an_idle_pool_wakes_nobody, .timeout = 60)
{
    work_and_be_idle(weft_process_pool(.workers = 2));
    work_and_be_idle(weft_process_pool(.workers = 3, .idle_timeout = 0.01,
                                       .min_workers = 1));
    const struct weft_process_options like = {
        .size = sizeof like, .out = WEFT_DEV_CAPTURE, .err = WEFT_DEV_CAPTURE};
    work_and_be_idle(weft_process_pool(.workers = 2, .process = &like));
}

WEFT_TEST(only_process_pools_have_these)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ex = weft_thread_pool(.workers = 1);
    ck_assert_int_eq(weft_process_pool_resize(ex, 3), -EINVAL);
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), -EINVAL);
    ck_assert_int_eq((int)weft_process_pool_workers(ex, NULL, 0), -EINVAL);
    weft_executor_close(ex);
}

// What it tells ---------------------------------------------------------------

WEFT_JOB(long, say_no)
{
    weft_fail(-EDOM, NULL);
    return 0;
}

WEFT_JOB(long, crash)
{
    raise(SIGSEGV);
    return 0;
}

WEFT_TEST(a_pool_counts)
{
    ex = weft_process_pool(.workers = 1);
    for (long i = 0; i < 5; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    expect(weft_submit(ex, say_no), -EDOM);
    expect(weft_submit(ex, crash), -WEFT_ECRASHED);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    struct weft_process_pool_stats stats = stats_now();
    ck_assert_uint_eq(stats.running, 1);
    ck_assert_uint_eq(stats.pending, 0);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(weft_submit(ex, square, 2), 4);
    stats = stats_now();
    ck_assert_uint_eq(stats.submitted, 9);
    ck_assert_uint_eq(stats.done, 6);
    ck_assert_uint_eq(stats.failed, 1);
    ck_assert_uint_eq(stats.crashed, 1);
    ck_assert_uint_eq(stats.canceled, 1);
    ck_assert_uint_eq(stats.died, 1);
    ck_assert_uint_ge(stats.started, 3);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(each_worker_is_shown)
{
    struct weft_worker_stats w[8];
    long pid = 0;
    ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_result(weft_submit(ex, own_pid), &pid), 0);
    until_workers(2);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    ssize_t n = weft_process_pool_workers(ex, w, 8);
    ck_assert_int_eq((int)n, 2);
    int i = w[0].pid == weft_future_native_id(f) ? 0 : 1;
    ck_assert_int_eq(w[i].pid, weft_future_native_id(f));
    ck_assert_int_eq(w[i].state, WEFT_WORKER_BUSY);
    ck_assert_uint_eq(w[i].queued, 1);
    ck_assert(w[i].age > 0);
    ck_assert_uint_gt(w[i].rss, 0);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("process pool: workers")
