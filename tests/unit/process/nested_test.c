// SPDX-License-Identifier: MIT
// Jobs in worker processes that submit jobs and wait for futures.
#include "jobs.h"

#include <math.h>

static weft_executor *ex;

// The first example of a deadlock in the documentation of Python's
// ThreadPoolExecutor: a job waits for a job of its own pool, which has one
// worker.
WEFT_JOB(long, square_elsewhere, long, x)
{
    long value = 0;
    int rc = weft_result(weft_submit(weft_executor_open(0), square, x), &value);
    if (rc < 0)
        weft_fail(rc, "nested: %s", weft_error_name(rc));
    return value;
}

WEFT_TEST(a_nested_job_in_a_pool_of_one)
{
    ex = weft_process_pool(.workers = 1);
    for (long i = 0; i < 50; i++)
        expect_long(weft_submit(ex, square_elsewhere, i), i * i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, fib, long, n)
{
    long a = 0, b = 0;
    if (n < 2)
        return n;
    weft_executor *own = weft_executor_open(0);
    weft_future *left = weft_submit(own, fib, n - 1);
    weft_future *right = weft_submit(own, fib, n - 2);
    int rc = weft_result(left, &a);
    if (rc == 0)
        rc = weft_result(right, &b);
    if (rc < 0)
        weft_fail(rc, "fib(%ld): %s", n, weft_error_name(rc));
    return a + b;
}

// Deeper than the number of workers that a pool starts for jobs that wait.
WEFT_TEST(recursion_beyond_the_cap, .timeout = 30)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, fib, 12), 144);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ex = weft_process_pool(.workers = 2);
    expect_long(weft_submit(ex, fib, 12), 144);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// A job that waits for a descriptor as well says, too, that it waits.
static int select_it(weft_future *f)
{
    int ends[2];
    if (pipe(ends) < 0)
        return -errno;
    struct weft_case cases[] = {
        WEFT_CASE_READY(ends[0], WEFT_READABLE),
        WEFT_CASE_FUTURE(f),
        WEFT_CASE_AFTER(weft_test_seconds(10)),
    };
    int which = weft_select(cases, 3);
    close(ends[0]);
    close(ends[1]);
    return which == 1 ? 0 : -WEFT_EDEADLOCK;
}

WEFT_JOB(long, fib_selected, long, n)
{
    long a = 0, b = 0;
    if (n < 2)
        return n;
    weft_executor *own = weft_executor_open(0);
    weft_future *left = weft_submit(own, fib_selected, n - 1);
    weft_future *right = weft_submit(own, fib_selected, n - 2);
    int rc = select_it(left);
    if (rc == 0)
        rc = select_it(right);
    if (rc == 0 && (rc = weft_result(left, &a)) == 0)
        rc = weft_result(right, &b);
    if (rc < 0)
        weft_fail(rc, "fib(%ld): %s", n, weft_error_name(rc));
    return a + b;
}

WEFT_TEST(recursion_by_select_beyond_the_cap, .timeout = 60)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, fib_selected, 9), 34);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, gather_squares, long, n)
{
    enum { MOST = 200 };
    weft_future *futures[MOST];
    long values[MOST], sum = 0;
    weft_executor *own = weft_executor_open(0);
    for (long i = 0; i < n; i++)
        futures[i] = weft_submit(own, square, i);
    int rc = weft_gather(futures, (size_t)n, values);
    if (rc < 0)
        weft_fail(rc, "gather: %s", weft_error_name(rc));
    for (long i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

WEFT_TEST(a_job_gathers_many)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, gather_squares, 200), 2646700);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Futures of the parent -------------------------------------------------------

WEFT_TEST(a_job_waits_for_a_future_of_the_parent)
{
    ex = weft_process_pool(.workers = 1);
    weft_promise *promise = weft_promise_new();
    weft_future *gate = weft_promise_future(promise);
    weft_future *f = weft_submit(ex, one_more, weft_future_id(gate));
    long value = 41;
    expect_long(weft_submit(ex, square, 3), 9); // the pool goes on meanwhile
    weft_promise_keep(promise, 0, &value, sizeof value, NULL);
    expect_long(f, 42);
    f = weft_submit(ex, one_more, weft_future_id(gate)); // done already
    expect_long(f, 42);
    weft_future_unref(gate);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(failures_travel_too)
{
    ex = weft_process_pool(.workers = 1);
    weft_promise *promise = weft_promise_new();
    weft_future *gate = weft_promise_future(promise);
    weft_future *f = weft_submit(ex, one_more, weft_future_id(gate));
    weft_promise_keep(promise, -EIO, NULL, 0, "no good");
    expect_text(f, -EIO, "EIO");
    weft_future_unref(gate);
    expect(weft_submit(ex, one_more, UINT64_C(987654321)), -ESRCH);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, bytes_of, uint64_t, id)
{
    struct weft_bytes bytes = {NULL, 0};
    long sum = 0;
    int rc = weft_result(weft_future_open(id), &bytes);
    if (rc < 0)
        weft_fail(rc, "%s", weft_error_name(rc));
    for (size_t i = 0; i < bytes.len; i++)
        sum += ((unsigned char *)bytes.data)[i];
    weft_bytes_free(&bytes);
    return sum;
}

WEFT_JOB(struct weft_bytes, ones, long, n)
{
    struct weft_bytes bytes = {malloc((size_t)n + 1), (size_t)n};
    memset(bytes.data, 1, (size_t)n);
    return bytes;
}

WEFT_TEST(large_results_travel_between_jobs)
{
    ex = weft_process_pool(.workers = 2);
    for (long n = 1; n < 4 << 20; n *= 13) {
        weft_future *from = weft_submit(ex, ones, n);
        expect_long(weft_submit(ex, bytes_of, weft_future_id(from)), n);
        weft_future_unref(from);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

struct two {
    uint64_t gate, other;
};

// Passes the id of a job of its own to another one.
WEFT_JOB(long, pass_on, long, x)
{
    long value = 0;
    weft_executor *own = weft_executor_open(0);
    weft_future *inner = weft_submit(own, square, x);
    weft_future *outer = weft_submit(own, one_more, weft_future_id(inner));
    int rc = weft_result(outer, &value);
    weft_future_unref(inner);
    if (rc < 0)
        weft_fail(rc, "%s", weft_error_name(rc));
    return value;
}

WEFT_TEST(ids_of_nested_jobs_travel)
{
    ex = weft_process_pool(.workers = 1);
    for (long i = 0; i < 20; i++)
        expect_long(weft_submit(ex, pass_on, i), i * i + 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(uint64_t, my_id)
{
    return weft_current_id();
}

WEFT_TEST(a_job_has_the_id_of_its_future)
{
    uint64_t id;
    ex = weft_process_pool(.workers = 1);
    weft_future *f = weft_submit(ex, my_id);
    ck_assert_int_eq(weft_get(f, &id), 0);
    ck_assert_uint_eq(id, weft_future_id(f));
    weft_future_unref(f);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, submit_to, uint64_t, id)
{
    long value = 0;
    int rc =
        weft_result(weft_submit(weft_executor_open(id), square, 6), &value);
    if (rc < 0)
        weft_fail(rc, "%s", weft_error_name(rc));
    return value;
}

WEFT_TEST(a_job_submits_to_another_pool)
{
    weft_executor *other = weft_process_pool(.workers = 1);
    ex = weft_process_pool(.workers = 1);
    ck_assert_uint_ne(weft_executor_id(ex), 0);
    ck_assert_uint_ne(weft_executor_id(ex), weft_executor_id(other));
    ck_assert_ptr_eq(weft_executor_open(weft_executor_id(ex)), ex);
    expect_long(weft_submit(ex, submit_to, weft_executor_id(other)), 36);
    expect(weft_submit(ex, submit_to, 4711), -ESRCH);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(weft_executor_close(other), 0);
}

WEFT_JOB(long, cancel_inner, int, x)
{
    weft_future *f = weft_submit(weft_executor_open(0), hang, x);
    weft_cancel(f);
    return -weft_join(f);
}

WEFT_TEST(a_job_cancels_what_it_submitted)
{
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < 10; i++)
        expect_long(weft_submit(ex, cancel_inner, i), WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int nested_task(void *arg)
{
    long value = 0;
    (void)arg;
    int rc = weft_result(weft_submit(weft_executor_open(0), square, 5), &value);
    return rc < 0 ? rc : (int)value;
}

WEFT_JOB(long, run_tasks)
{
    return weft_run(nested_task, NULL);
}

WEFT_TEST(a_task_inside_a_job_waits)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, run_tasks), 25);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int wait_in_a_task(void *arg)
{
    weft_future *f = arg;
    long value = 0;
    int rc = weft_result(f, &value);
    return rc < 0 ? rc : (int)value + 1;
}

// Each second one is known to wait on the job's own stack before it does so in
// a run.
WEFT_JOB(long, depth_in_runs, long, n)
{
    extern const struct weft_job weft_job_depth_in_runs;
    long less = n - 1;
    if (n == 0)
        return 0;
    weft_future *f =
        weft_submit_job(weft_executor_open(0), &weft_job_depth_in_runs, &less);
    if (n % 2 == 0)
        weft_wait(&f, 1, WEFT_ALL_COMPLETED, 0.005);
    int rc = weft_run(wait_in_a_task, f);
    if (rc < 0)
        weft_fail(rc, "at %ld: %s", n, weft_error_name(rc));
    return rc;
}

// On a job's run nothing can run on top, so that others must be found.
WEFT_TEST(recursion_of_runs_beyond_the_cap, .timeout = 30)
{
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit(ex, depth_in_runs, 16), 16);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Deadlocks -------------------------------------------------------------------

// The second example: two jobs that wait for each other. The gate's result is
// the id of the other one. 1000: it was told.
WEFT_JOB(long, wait_for_gated, uint64_t, gate)
{
    uint64_t other = 0;
    long value = 0;
    int rc = weft_result(weft_future_open(gate), &other);
    weft_future *f = weft_future_open(other);
    if (rc == 0)
        rc = weft_get(f, &value);
    weft_future_unref(f);
    if (rc == -WEFT_EDEADLOCK)
        return 1000;
    if (rc < 0)
        weft_fail(rc, "%s", weft_error_name(rc));
    return value + 1;
}

WEFT_TEST(a_mutual_wait_is_told_to_one, .timeout = 20)
{
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 20; i++) {
        weft_promise *promises[2];
        weft_future *gates[2], *jobs[2];
        for (int k = 0; k < 2; k++) {
            promises[k] = weft_promise_new();
            gates[k] = weft_promise_future(promises[k]);
            jobs[k] = weft_submit(ex, wait_for_gated, weft_future_id(gates[k]));
        }
        for (int k = 0; k < 2; k++) {
            uint64_t other = weft_future_id(jobs[1 - k]);
            weft_promise_keep(promises[k], 0, &other, sizeof other, NULL);
        }
        long values[2];
        ck_assert_int_eq(weft_get(jobs[0], &values[0]), 0);
        ck_assert_int_eq(weft_get(jobs[1], &values[1]), 0);
        ck_assert_int_eq(values[0] + values[1], 2001);
        for (int k = 0; k < 2; k++) {
            weft_future_unref(jobs[k]);
            weft_future_unref(gates[k]);
        }
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(forty_waits_without_a_cycle, .timeout = 20)
{
    enum { N = 40 };
    weft_future *chain[N];
    ex = weft_process_pool(.workers = 2);
    weft_promise *promise = weft_promise_new();
    weft_future *gate = weft_promise_future(promise);
    chain[0] = weft_submit(ex, one_more, weft_future_id(gate));
    for (int i = 1; i < N; i++)
        chain[i] = weft_submit(ex, one_more, weft_future_id(chain[i - 1]));
    long value = 0;
    weft_promise_keep(promise, 0, &value, sizeof value, NULL);
    for (int i = N - 1; i >= 0; i--) // an id alone keeps no future
        expect_long(chain[i], i + 1);
    weft_future_unref(gate);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// A crash fails what stands on the worker's stack, and nothing else.
WEFT_JOB(long, crash_now)
{
    raise(SIGKILL);
    return 0;
}

WEFT_JOB(long, survive_a_crash)
{
    return -weft_join(weft_submit(weft_executor_open(0), crash_now));
}

WEFT_TEST(a_nested_crash_is_the_nested_jobs)
{
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < 10; i++)
        expect_long(weft_submit(ex, survive_a_crash), WEFT_ECRASHED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("nested jobs")
