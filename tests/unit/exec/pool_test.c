// SPDX-License-Identifier: MIT
// The thread pool: submit from anywhere, wait from anywhere, close.
#include "kit.h"

#include <pthread.h>

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_JOB(long, after_yields, long, x)
{
    for (int i = 0; i < 5; i++)
        weft_yield();
    return x;
}

static int ran;

WEFT_JOB(int, count_run)
{
    kit_count(&ran);
    return 1;
}

WEFT_JOB(int, block_job)
{
    kit_count(&ran);
    return weft_sleep(INFINITY);
}

KIT_BOTH(a_job_gives_its_result)
{
    weft_executor *ex = weft_thread_pool();
    long out = 0;

    kit_assert_code(weft_result(weft_submit(ex, square, 7), &out), 0);
    ck_assert_int_eq(out, 49);
    kit_assert_code(weft_executor_close(ex), 0);
}

static weft_executor *joined_in;

WEFT_JOB(size_t, pending_after_joins)
{
    for (int i = 0; i < 20; i++)
        weft_join(weft_submit(joined_in, square, i));
    struct weft_thread_pool_stats stats = {.size = sizeof stats};
    kit_assert_code(weft_thread_pool_stats(joined_in, &stats), 0);
    return stats.pending;
}

KIT_BOTH(what_ran_inside_a_join_does_not_wait)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    size_t pending = 1;

    joined_in = ex;
    kit_assert_code(weft_result(weft_submit(ex, pending_after_joins), &pending),
                    0);
    ck_assert_uint_eq(pending, 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(many_jobs_on_pools_of_all_sizes, .timeout = 30)
{
    static weft_future *fs[1000];

    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        ck_assert_uint_eq(weft_executor_width(ex), n);
        for (long i = 0; i < 1000; i++)
            fs[i] = i % 2 ? weft_submit(ex, square, i)
                          : weft_submit(ex, after_yields, i);
        for (long i = 0; i < 1000; i++) {
            long out = -1;
            kit_assert_code(weft_result(fs[i], &out), 0);
            ck_assert_int_eq(out, i % 2 ? i * i : i);
        }
        kit_assert_code(weft_executor_close(ex), 0);
    }
}

KIT_BOTH(the_default_width_is_the_cpu_count)
{
    weft_executor *ex = weft_thread_pool();

    ck_assert_uint_eq(weft_executor_width(ex), weft_cpu_count());
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_JOB(int, tell_name, struct weft_text, want)
{
    char name[64];

    weft_current_name(name, sizeof name);
    return strcmp(name, want.s) == 0;
}

KIT_BOTH(a_job_has_its_name_or_the_one_of_the_submit)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int same = 0;

    kit_assert_code(
        weft_result(weft_submit(ex, tell_name, .s = "tell_name"), &same), 0);
    ck_assert_int_eq(same, 1);
    weft_future *f = weft_submit(weft_executor_with(ex, .name = "another"),
                                 tell_name, .s = "another");
    kit_assert_code(weft_result(f, &same), 0);
    ck_assert_int_eq(same, 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Who waits -------------------------------------------------------------------

static weft_executor *pool;

WEFT_JOB(long, fib, long, n)
{
    long a = 0, b = 0;

    if (n < 2)
        return n;
    weft_future *f = weft_submit(pool, fib, n - 1);
    weft_future *g = weft_submit(pool, fib, n - 2);
    int rc = weft_result(f, &a), rc2 = weft_result(g, &b);
    if (rc < 0 || rc2 < 0)
        weft_fail(rc < 0 ? rc : rc2, "fib(%ld)", n);
    return a + b;
}

KIT_BOTH(jobs_wait_for_jobs_of_their_pool, .timeout = 30)
{
    for (unsigned n = 1; n <= 3; n++) {
        long out = 0;
        pool = weft_thread_pool(.workers = n);
        kit_assert_code(weft_result(weft_submit(pool, fib, 12), &out), 0);
        ck_assert_int_eq(out, 144);
        kit_assert_code(weft_executor_close(pool), 0);
    }
}

static int submit_and_wait(void *arg)
{
    long x = (long)(intptr_t)arg, out = -1;
    int rc = weft_result(weft_submit(pool, square, x), &out);

    return rc < 0 ? rc : out == x * x ? 0 : -EIO;
}

KIT_BOTH(tasks_and_threads_submit_at_once, .timeout = 20)
{
    weft_future *fs[100];

    pool = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 100; i++)
        fs[i] = i % 10 ? weft_task_start(submit_and_wait, kit_number(i))
                       : weft_thread_start(submit_and_wait, kit_number(i));
    kit_assert_code(weft_gather_into(fs, 100, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_JOB(int, start_everything)
{
    int runs = 0;
    int rc = weft_join(weft_task_start(kit_count, &runs));

    if (rc == 0)
        rc = weft_join(weft_thread_start(kit_count, &runs));
    return rc < 0 ? rc : runs;
}

KIT_BOTH(a_job_starts_tasks_and_threads)
{
    int out = 0;
    weft_executor *ex = weft_thread_pool(.workers = 1);

    kit_assert_code(weft_result(weft_submit(ex, start_everything), &out), 0);
    ck_assert_int_eq(out, 2);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int met;

WEFT_JOB(int, meet, int, n)
{
    kit_count(&met);
    while (kit_load(&met) < n)
        sched_yield();
    return 0;
}

KIT_BOTH(a_pool_has_as_many_workers_as_it_was_given, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 4);
    weft_future *fs[4];
    int out[4];

    for (int i = 0; i < 4; i++)
        fs[i] = weft_submit(ex, meet, 4);
    kit_assert_code(weft_gather(fs, 4, out), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_JOB(struct weft_text, say_thread_name)
{
    struct weft_text name = {{0}};
    pthread_getname_np(pthread_self(), name.s, sizeof name.s);
    return name;
}

KIT_BOTH(threads_have_the_name_of_their_pool)
{
    struct weft_text name;
    weft_executor *ex = weft_thread_pool(.workers = 1, .name = "special");
    kit_assert_code(weft_result(weft_submit(ex, say_thread_name), &name), 0);
    ck_assert_str_eq(name.s, "special-0");
    weft_executor_close(ex);
    ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(ex, say_thread_name), &name), 0);
    ck_assert_str_eq(name.s, "pool-0");
    weft_executor_close(ex);
}

// Cancel and deadlines --------------------------------------------------------

KIT_BOTH(a_job_that_waits_can_be_canceled)
{
    ran = 0;
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, block_job);

    kit_await(&ran, 1);
    kit_assert_code(weft_cancel(f), 0);
    int rc = weft_join(f); // it returned a value, though
    ck_assert_msg(rc == 0 || rc == -WEFT_EJOBCANCELED, "code %d", rc);
    kit_assert_code(weft_executor_close(ex), 0);
}

static struct kit_gate gate;

WEFT_JOB(int, wait_gate)
{
    kit_count(&ran);
    while (!weft_done(gate.future))
        sched_yield(); // keeps its worker
    return 0;
}

KIT_BOTH(a_canceled_job_that_has_not_started_never_runs)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    gate = kit_gate_new();
    weft_future *first = weft_submit(ex, wait_gate);

    kit_await(&ran, 1);
    weft_future *second = weft_submit(ex, count_run);
    kit_assert_code(weft_cancel(second), 0);
    ck_assert(weft_done(second));
    kit_assert_code(weft_join(second), -WEFT_EJOBCANCELED);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(first), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    ck_assert_int_eq(kit_load(&ran), 1);
    kit_gate_free(&gate);
}

KIT_BOTH(a_job_that_overruns_its_deadline)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f =
        weft_submit(weft_executor_with(ex, .deadline = 0.002), block_job);

    kit_assert_code(weft_join(f), -WEFT_EJOBTIMEOUT);
    long out = 0;
    f = weft_submit(weft_executor_with(ex, .deadline = 60), square, 3);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, 9);
    kit_assert_code(weft_executor_close(ex), 0);
}

// A deadline runs from the submit: a job that waited too long for its turn
// has overrun it too.
KIT_BOTH(a_job_whose_deadline_passed_before_its_turn)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    gate = kit_gate_new();
    weft_future *first = weft_submit(ex, wait_gate);

    kit_await(&ran, 1);
    weft_future *late =
        weft_submit(weft_executor_with(ex, .deadline = 0.001), block_job);
    kit_assert_code(weft_sleep(0.002), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(first), 0);
    kit_assert_code(weft_join(late), -WEFT_EJOBTIMEOUT);
    ck_assert_int_eq(kit_load(&ran), 1); // it did not begin
    kit_assert_code(weft_executor_close(ex), 0);
    kit_gate_free(&gate);
}

// Jobs that submit ------------------------------------------------------------

static weft_executor *own_pool;
static int waited_for;

static void wait_for_idle(weft_executor *ex, size_t n)
{
    struct weft_thread_pool_stats s = {.size = sizeof s};
    while (weft_thread_pool_stats(ex, &s) == 0 && s.idle < n)
        sched_yield();
}

WEFT_JOB(int, say_it_ran)
{
    return kit_count(&waited_for);
}

// Computes on until another worker has run what it submits.
WEFT_JOB(bool, submit_and_compute)
{
    double end = weft_now() + weft_test_seconds(5);
    for (int i = 0; i < 3; i++) // so that a record is at hand
        weft_join(weft_submit(own_pool, say_it_ran));
    wait_for_idle(own_pool, 1);
    int before = kit_load(&waited_for);
    weft_future_unref(weft_submit(own_pool, say_it_ran));
    while (kit_load(&waited_for) == before && weft_now() < end)
        sched_yield();
    return kit_load(&waited_for) > before;
}

KIT_BOTH(a_job_wakes_a_worker_for_what_it_submits, .timeout = 30)
{
    own_pool = weft_thread_pool(.workers = 2);
    for (int i = 0; i < 20; i++) {
        bool in_time = false;
        wait_for_idle(own_pool, 2);
        weft_future *f = weft_submit(own_pool, submit_and_compute);
        kit_assert_code(weft_result(f, &in_time), 0);
        ck_assert(in_time);
    }
    kit_assert_code(weft_executor_close(own_pool), 0);
}

// Close -----------------------------------------------------------------------

KIT_BOTH(close_runs_what_was_submitted, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);

    for (int i = 0; i < 500; i++)
        weft_future_unref(weft_submit(ex, count_run));
    kit_assert_code(weft_executor_close(ex), 0);
    ck_assert_int_eq(kit_load(&ran), 500);
}

static int close_pool(void *arg)
{
    return weft_executor_close(arg);
}

static int close_pool_pending(void *arg)
{
    return weft_executor_close(arg, .mode = WEFT_CLOSE_CANCEL_PENDING);
}

// Submits from another thread while the pool drains: they fail, or run.
KIT_BOTH(a_closed_pool_takes_no_more)
{
    gate = kit_gate_new();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *first = weft_submit(ex, wait_gate);
    kit_await(&ran, 1);
    weft_future *closer = weft_thread_start(close_pool, ex);
    int rc = 0, tries = 0;

    while (rc == 0) {
        weft_future *f = weft_submit(ex, count_run);
        if (weft_done(f))
            rc = weft_future_code(f);
        weft_future_unref(f);
        tries += rc == 0;
        if (weft_yield() == 0)
            sched_yield();
    }
    kit_assert_code(rc, -WEFT_ECLOSED);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(closer), 0);
    kit_assert_code(weft_join(first), 0);
    ck_assert_int_eq(kit_load(&ran), 1 + tries);
    kit_gate_free(&gate);
}

KIT_BOTH(close_may_cancel_what_has_not_started)
{
    weft_future *fs[20];
    weft_executor *ex = weft_thread_pool(.workers = 1);

    gate = kit_gate_new();
    weft_future *first = weft_submit(ex, wait_gate);
    kit_await(&ran, 1);
    for (int i = 0; i < 20; i++)
        fs[i] = weft_submit(ex, count_run);
    weft_future *opener = weft_future_ref(fs[19]);
    // When the last one is canceled, the first one may end.
    weft_future *closer =
        weft_thread_start(close_pool_pending, ex, .name = "closer");
    ck_assert_int_eq(weft_wait(&opener, 1, WEFT_ALL_COMPLETED, INFINITY), 1);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(closer), 0);
    kit_assert_code(weft_join(first), 0);
    for (int i = 0; i < 20; i++)
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(kit_load(&ran), 1);
    weft_future_unref(opener);
    kit_gate_free(&gate);
}

KIT_BOTH(close_may_cancel_all)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_future *fs[10];

    for (int i = 0; i < 10; i++)
        fs[i] = weft_submit(ex, block_job);
    kit_await(&ran, 2);
    kit_assert_code(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    for (int i = 0; i < 10; i++)
        weft_join(fs[i]);
}

KIT_BOTH(a_deadline_makes_close_cancel)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, block_job);

    kit_await(&ran, 1);
    kit_assert_code(weft_executor_close(ex, .deadline = 0.002), -ETIMEDOUT);
    ck_assert(weft_done(f));
    weft_join(f);
}

KIT_BOTH(close_of_null_and_of_an_unused_pool)
{
    kit_assert_code(weft_executor_close(NULL), 0);
    for (int i = 0; i < 20; i++)
        kit_assert_code(weft_executor_close(weft_thread_pool(.workers = 3)), 0);
}

KIT_BOTH(close_is_not_ended_by_cancel)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_group *g = weft_group_open();

    for (int i = 0; i < 100; i++)
        weft_future_unref(weft_submit(ex, count_run));
    weft_group_cancel(g);
    kit_assert_code(weft_check(), -ECANCELED);
    kit_assert_code(weft_executor_close(ex), 0);
    ck_assert_int_eq(kit_load(&ran), 100);
    weft_group_close(g);
}

KIT_BOTH(pools_come_and_go, .timeout = 30)
{
    int threads = weft_test_count_threads();

    for (int i = 0; i < 40; i++) {
        long out = 0;
        weft_executor *ex = weft_thread_pool(.workers = 1 + (unsigned)i % 3);
        kit_assert_code(weft_result(weft_submit(ex, square, i), &out), 0);
        kit_assert_code(weft_executor_close(ex), 0);
    }
    weft_test_await_threads(threads);
}

// However its block is left, what was submitted has run.
static int leave_early(int n, bool early)
{
    WEFT_EXECUTOR(ex, weft_thread_pool(.workers = 1));
    for (int i = 0; i < n; i++) {
        weft_future_unref(weft_submit(ex, count_run));
        if (early && i == 9)
            return i;
    }
    return n;
}

KIT_BOTH(a_pool_belongs_to_a_block)
{
    int threads = weft_test_count_threads();
    ck_assert_int_eq(leave_early(50, false), 50);
    ck_assert_int_eq(kit_load(&ran), 50);
    ck_assert_int_eq(leave_early(50, true), 9);
    ck_assert_int_eq(kit_load(&ran), 60);
    for (int i = 0; i < 3; i++) {
        WEFT_EXECUTOR(none, NULL);
        WEFT_EXECUTOR(inside, weft_thread_pool(.workers = 2, .name = "in"));
        weft_future_unref(weft_submit(inside, count_run));
        if (none == NULL)
            continue;
    }
    ck_assert_int_eq(kit_load(&ran), 63);
    weft_test_await_threads(threads);
}

// Initializers ----------------------------------------------------------------

static __thread int initialized;
static int initializers;

static int initialize(void *arg)
{
    weft_sleep(0.001);
    initialized = *(int *)arg;
    kit_count(&initializers);
    return 0;
}

WEFT_JOB(int, say_initialized)
{
    return initialized;
}

static int fail_third(void *arg)
{
    return __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST) == 3 ? -EDOM : 0;
}

static int fail_always(void *arg)
{
    (void)arg;
    return -EDOM;
}

KIT_BOTH(an_initializer_runs_in_each_thread_first)
{
    int mark = 7;
    for (int blocking = 0; blocking < 2; blocking++) {
        weft_executor *ex =
            weft_thread_pool(.workers = 3, .blocking = blocking,
                             .initializer = initialize, .init_arg = &mark);
        initializers = 0;
        for (int i = 0; i < 20; i++) {
            int out = 0;
            kit_assert_code(weft_result(weft_submit(ex, say_initialized), &out),
                            0);
            ck_assert_int_eq(out, 7);
        }
        weft_executor_close(ex);
    }
}

// Each says why, whether it waited for the threads or came later.
static void expect_broken(weft_executor *ex)
{
    for (int i = 0; i < 3; i++) {
        weft_future *f = weft_submit(ex, say_initialized);
        kit_assert_code(weft_get_into(f, NULL, 0), -WEFT_EBROKEN);
        const char *text = weft_future_text(f);
        ck_assert_msg(strstr(text, "initializer") != NULL &&
                          strstr(text, "(EDOM)") != NULL,
                      "the text is: %s", text);
        weft_future_unref(f);
    }
    weft_executor_close(ex);
}

KIT_BOTH(an_initializer_that_fails_breaks_the_pool)
{
    int count = 0;
    expect_broken(weft_thread_pool(.workers = 4, .initializer = fail_third,
                                   .init_arg = &count));
    expect_broken(
        weft_thread_pool(.blocking = true, .initializer = fail_always));
}

// What it tells ---------------------------------------------------------------

KIT_BOTH(a_pool_tells_what_it_does)
{
    for (int blocking = 0; blocking < 2; blocking++) {
        struct weft_thread_pool_stats s = {.size = sizeof s};
        weft_executor *ex =
            weft_thread_pool(.workers = 2, .blocking = blocking);
        weft_future *busy[2];
        ran = 0;
        busy[0] = weft_submit(ex, block_job);
        busy[1] = weft_submit(ex, block_job);
        kit_await(&ran, 2);
        kit_assert_code(weft_thread_pool_stats(ex, &s), 0);
        ck_assert_uint_ge(s.workers, 2);
        ck_assert_uint_eq(s.submitted, 2);
        ck_assert_uint_eq(s.ended, 0);
        ck_assert_uint_eq(s.pending, 0);
        for (int i = 0; i < 2; i++) {
            weft_cancel(busy[i]);
            kit_assert_code(weft_join(busy[i]), 0);
        }
        do
            kit_assert_code(weft_thread_pool_stats(
                                weft_executor_with(ex, .deadline = 1), &s),
                            0);
        while (s.ended < 2); // counted after the waiters were told
        weft_executor_close(ex);
    }
    weft_executor *none = weft_inline_executor();
    struct weft_thread_pool_stats s = {.size = sizeof s};
    kit_assert_code(weft_thread_pool_stats(none, &s), -EINVAL);
    weft_executor_close(none);
}

WEFT_TEST_MAIN("pool")
