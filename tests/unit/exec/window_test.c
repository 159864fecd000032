// SPDX-License-Identifier: MIT
//
// Pools of threads with a window: never more jobs under way than it says, and
// what a submit does when it is full.
#include "kit.h"

#include <pthread.h>

static weft_executor *pool;
static int ran, begun;

// The rounds of each case: with and without .blocking.
static bool blocking(void)
{
    return weft_test_round() == 1;
}

static struct weft_thread_pool_stats stats(void)
{
    struct weft_thread_pool_stats s = {.size = sizeof s};
    kit_assert_code(weft_thread_pool_stats(pool, &s), 0);
    return s;
}

static void close_pool(void)
{
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_JOB(long, count_inside, long, x)
{
    kit_count(&ran);
    weft_yield();
    return x;
}

static int submit_many(void *arg)
{
    long out = 0, sum = 0;
    for (long i = 0; i < 300; i++) {
        weft_future *f = weft_submit(pool, count_inside, i);
        if (i % 3 != 0) {
            weft_future_unref(f);
            continue;
        }
        kit_assert_code(weft_result(f, &out), 0);
        ck_assert_int_eq(out, i);
        sum += out;
    }
    kit_count(arg);
    return sum > 0 ? 0 : -EIO;
}

WEFT_TEST(no_more_are_under_way, .repeat = 2, .timeout = 30)
{
    enum { WINDOW = 3, SUBMITTERS = 4 };
    weft_future *fs[SUBMITTERS];
    int over = 0;
    pool = weft_thread_pool(.workers = 2, .blocking = blocking(),
                            .window = WINDOW);
    for (int i = 0; i < SUBMITTERS; i++)
        fs[i] = i % 2 ? weft_thread_start(submit_many, &over)
                      : weft_task_start(submit_many, &over);
    while (kit_load(&over) < SUBMITTERS) {
        struct weft_thread_pool_stats s = stats();
        // An end is counted behind the place that it gives back.
        ck_assert_uint_le(s.pending, WINDOW + 2);
        sched_yield();
    }
    kit_assert_code(weft_gather_into(fs, SUBMITTERS, NULL, 0, NULL), 0);
    close_pool();
    ck_assert_int_eq(ran, SUBMITTERS * 300);
}

static struct kit_gate gate;

WEFT_JOB(int, wait_at_gate)
{
    kit_count(&begun);
    return kit_gate_wait(&gate);
}

// A pool whose window of two is full, until the gate opens.
static void fill_pool(enum weft_when_full when_full, weft_future *fs[2])
{
    gate = kit_gate_new();
    pool = weft_thread_pool(.workers = 2, .blocking = blocking(), .window = 2,
                            .when_full = when_full);
    for (int i = 0; i < 2; i++)
        fs[i] = weft_submit(pool, wait_at_gate);
    kit_await(&begun, 2);
}

static void empty_pool(weft_future *fs[2])
{
    kit_gate_open(&gate);
    kit_assert_code(weft_gather_into(fs, 2, NULL, 0, NULL), 0);
}

// For want of a place in the window, as its text says.
static void expect_no_place(weft_future *f, int code)
{
    kit_assert_code(weft_get_into(f, NULL, 0), code);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "window"));
    weft_future_unref(f);
}

WEFT_TEST(a_full_one_fails_submits_if_it_shall, .repeat = 2)
{
    weft_future *fs[2];
    fill_pool(WEFT_FULL_FAIL, fs);
    expect_no_place(weft_submit(pool, count_inside, 1), -EAGAIN);
    kit_assert_code(weft_cancel(fs[0]), 0); // gives its place back, too
    weft_wait(fs, 1, WEFT_ALL_COMPLETED, INFINITY);
    kit_assert_code(weft_join(weft_submit(pool, count_inside, 1)), 0);
    kit_gate_open(&gate);
    weft_join(fs[0]);
    kit_assert_code(weft_join(fs[1]), 0);
    close_pool();
    kit_gate_free(&gate);
}

static int reports;

static void count_report(int code, const char *text)
{
    (void)code;
    (void)text;
    reports++;
}

// It is the end of its own scope, which the join tells first.
WEFT_TEST(a_submit_that_its_callers_deadline_ends_is_no_failure, .repeat = 2)
{
    weft_future *fs[2];
    fill_pool(WEFT_FULL_WAIT, fs);
    weft_on_unobserved(count_report);
    {
        WEFT_TIMEOUT(0.001);
        weft_future *f = weft_submit(pool, count_inside, 1);
        kit_assert_code(weft_join(f), -ETIMEDOUT);
    }
    ck_assert_int_eq(reports, 0);
    weft_on_unobserved(NULL);
    empty_pool(fs);
    close_pool();
    kit_gate_free(&gate);
}

WEFT_JOB(bool, is_here, pthread_t, thread)
{
    return pthread_equal(thread, pthread_self());
}

WEFT_TEST(or_the_caller_runs_the_job, .repeat = 2)
{
    weft_future *fs[2];
    bool here = false;
    fill_pool(WEFT_FULL_RUN, fs);
    kit_assert_code(
        weft_result(weft_submit(pool, is_here, pthread_self()), &here), 0);
    ck_assert(here);
    empty_pool(fs);
    kit_assert_code(
        weft_result(weft_submit(pool, is_here, pthread_self()), &here), 0);
    ck_assert(!here);
    close_pool();
    kit_gate_free(&gate);
}

static weft_future *submit_as(int priority, long x)
{
    return weft_submit(weft_executor_with(pool, .priority = priority),
                       count_inside, x);
}

static void expect_dropped(weft_future *f)
{
    expect_no_place(f, -WEFT_EJOBCANCELED);
}

static void expect_value(weft_future *f, long x)
{
    long out = -1;
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, x);
}

// A thread of a blocking pool that waits in Weft lends its place, so that more
// would begin: these jobs hold their threads.
static int doors[2];

WEFT_JOB(int, wait_at_door)
{
    char c;
    kit_count(&begun);
    return read(doors[0], &c, 1) == 1 ? 0 : -EIO;
}

static void shut_doors(size_t window, weft_future *holds[2])
{
    ck_assert_int_eq(pipe(doors), 0);
    pool = weft_thread_pool(.workers = 2, .blocking = blocking(),
                            .window = window, .when_full = WEFT_FULL_DROP);
    begun = 0;
    for (int i = 0; i < 2; i++)
        holds[i] = weft_submit(pool, wait_at_door);
    kit_await(&begun, 2);
}

static void open_doors(weft_future *holds[2])
{
    ck_assert_int_eq(write(doors[1], "xx", 2), 2);
    kit_assert_code(weft_gather_into(holds, 2, NULL, 0, NULL), 0);
}

WEFT_TEST(or_the_oldest_that_waits_is_dropped, .repeat = 2, .timeout = 20)
{
    enum { N = 6 };
    weft_future *holds[2], *fs[N];
    setenv("WEFT_WATCHDOG", "0", 1); // no spare thread takes a job
    shut_doors(4, holds);
    for (int i = 0; i < N; i++)
        fs[i] = weft_submit(pool, count_inside, i);
    for (int i = 0; i < N - 2; i++)
        expect_dropped(fs[i]);
    open_doors(holds);
    expect_value(fs[N - 2], N - 2);
    expect_value(fs[N - 1], N - 1);
    ck_assert_int_eq(ran, 2);
    close_pool();
}

// Of those of the least priority, and none of a higher than the new one.
WEFT_TEST(what_is_dropped_matters_least, .repeat = 2, .timeout = 20)
{
    weft_future *holds[2];
    setenv("WEFT_WATCHDOG", "0", 1);
    shut_doors(5, holds);
    weft_future *high = submit_as(1, 1), *usual = submit_as(0, 2);
    weft_future *low = submit_as(-1, 3);
    weft_future *later = submit_as(-1, 4);
    expect_dropped(low);
    weft_future *usual_later = submit_as(0, 5);
    expect_dropped(later);
    kit_assert_code(weft_join(submit_as(-1, 6)), -EAGAIN);
    weft_future *usual_last = submit_as(0, 7);
    expect_dropped(usual);
    weft_future *high_later = submit_as(9, 8);
    expect_dropped(usual_later);
    open_doors(holds);
    expect_value(high, 1);
    expect_value(usual_last, 7);
    expect_value(high_later, 8);
    close_pool();
}

WEFT_TEST(what_has_begun_is_not_dropped, .repeat = 2)
{
    weft_future *fs[2];
    fill_pool(WEFT_FULL_DROP, fs);
    expect_no_place(weft_submit(pool, count_inside, 1), -EAGAIN);
    empty_pool(fs);
    expect_value(weft_submit(pool, count_inside, 3), 3);
    close_pool();
    kit_gate_free(&gate);
}

static int submit_one(void *arg)
{
    long out = 0;
    weft_future *f = weft_submit(pool, count_inside, 8);
    kit_count(arg);
    int rc = weft_result(f, &out);
    return rc < 0 ? rc : (int)out;
}

KIT_BOTH(a_submit_waits_for_a_place, .timeout = 20)
{
    weft_future *fs[2], *submits[2];
    int through = 0;
    fill_pool(WEFT_FULL_WAIT, fs);
    submits[0] = weft_thread_start(submit_one, &through);
    submits[1] = weft_task_start(submit_one, &through);
    {
        WEFT_TIMEOUT(0.002); // a place does not come in that time
        weft_future *f = weft_submit(pool, count_inside, 1);
        kit_assert_code(weft_future_code(f), -ETIMEDOUT);
        weft_future_unref(f);
    }
    ck_assert_int_eq(kit_load(&through), 0);
    ck_assert_int_eq(kit_load(&ran), 0);
    empty_pool(fs);
    for (int i = 0; i < 2; i++)
        kit_assert_code(weft_join(submits[i]), 8);
    close_pool();
    kit_gate_free(&gate);
}

static int close_it(void *arg)
{
    kit_count(arg);
    return weft_executor_close(pool);
}

// Those that wait are told; what is under way ends.
WEFT_TEST(a_close_ends_the_wait, .repeat = 2, .timeout = 20)
{
    enum { N = 4 };
    weft_future *fs[2], *submits[N];
    int through = 0, closing = 0;
    fill_pool(WEFT_FULL_WAIT, fs);
    for (int i = 0; i < N; i++)
        submits[i] = weft_thread_start(submit_one, &through);
    weft_future *closes = weft_thread_start(close_it, &closing);
    for (int i = 0; i < N; i++)
        kit_assert_code(weft_join(submits[i]), -WEFT_ECLOSED);
    ck_assert(!weft_done(closes));
    empty_pool(fs);
    kit_assert_code(weft_join(closes), 0);
    ck_assert_int_eq(kit_load(&ran), 0);
    kit_gate_free(&gate);
}

// A job that waits for its own pool's window would wait for itself.
WEFT_JOB(long, submit_many_more, long, n)
{
    long sum = 0, out = 0;
    weft_future *fs[20];
    for (long i = 0; i < n; i++)
        fs[i] = weft_submit(pool, count_inside, i);
    for (long i = 0; i < n; i++)
        sum += weft_result(fs[i], &out) < 0 ? -1000 : out;
    return sum;
}

WEFT_TEST(jobs_need_no_place, .repeat = 2, .timeout = 20)
{
    long out = 0;
    pool = weft_thread_pool(.workers = 1, .blocking = blocking(), .window = 1);
    kit_assert_code(weft_result(weft_submit(pool, submit_many_more, 20), &out),
                    0);
    ck_assert_int_eq(out, 190);
    close_pool();
}

static void submit_in_callback(weft_future *f, void *arg)
{
    (void)f;
    *(weft_future **)arg = weft_submit(pool, count_inside, 1);
}

static int join_one(void *arg)
{
    (void)arg;
    WEFT_TIMEOUT(weft_test_seconds(5));
    return weft_join(weft_submit(pool, count_inside, 1));
}

WEFT_JOB(int, run_and_join_one)
{
    return weft_run(join_one, NULL);
}

WEFT_TEST(nor_do_runs_of_jobs, .repeat = 2, .timeout = 30)
{
    int rc = 1;
    pool = weft_thread_pool(.workers = 2, .blocking = blocking(), .window = 1);
    kit_assert_code(weft_result(weft_submit(pool, run_and_join_one), &rc), 0);
    kit_assert_code(rc, 0);
    close_pool();
}

WEFT_TEST(a_callback_does_not_wait, .repeat = 2)
{
    weft_future *fs[2], *f = NULL;
    fill_pool(WEFT_FULL_WAIT, fs);
    struct kit_gate other = kit_gate_new();
    kit_assert_code(weft_future_on_done(other.future, submit_in_callback, &f),
                    0);
    kit_gate_open(&other);
    kit_assert_code(weft_join(f), -EAGAIN);
    empty_pool(fs);
    close_pool();
    kit_gate_free(&gate);
    kit_gate_free(&other);
}

// All else of a pool works through its window.
WEFT_TEST(it_is_the_pool, .repeat = 2, .timeout = 20)
{
    long in[50], out[50];
    pool = weft_thread_pool(.workers = 2, .blocking = blocking(), .window = 1);
    for (long i = 0; i < 50; i++)
        in[i] = i;
    kit_assert_code(weft_map(pool, count_inside, in, 50, out, .chunk = 3), 0);
    for (long i = 0; i < 50; i++)
        ck_assert_int_eq(out[i], i);
    kit_assert_code(
        weft_thread_pool_resize(weft_executor_with(pool, .priority = 1), 3), 0);
    ck_assert_uint_eq(weft_executor_width(pool), 3);
    ck_assert_uint_gt(stats().submitted, 0);
    close_pool();
    weft_executor *none =
        weft_thread_pool(.stack_size = (size_t)1 << 40, .window = 1);
    kit_assert_code(weft_join(weft_submit(none, count_inside, 1)), -EINVAL);
    weft_executor_close(none);
}

// Submits, cancels and a close that meet.
static int submit_until_closed(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    for (int code = 0; code != -WEFT_ECLOSED;) {
        weft_future *f = weft_submit(pool, count_inside, 1);
        random = random * 1664525 + 1013904223;
        if (random >> 30 == 0)
            weft_cancel(f);
        code = weft_get_into(f, NULL, 0);
        weft_future_unref(f);
    }
    return 0;
}

WEFT_TEST(all_of_it_at_once, .repeat = 2, .timeout = 30)
{
    weft_future *fs[3];
    static const enum weft_when_full policies[] = {WEFT_FULL_WAIT,
                                                   WEFT_FULL_DROP};
    for (int turn = 0; turn < 40; turn++) {
        int closing = 0;
        gate = kit_gate_new();
        pool = weft_thread_pool(.workers = 2, .blocking = blocking(),
                                .window = 2 + turn % 2,
                                .when_full = policies[turn / 2 % 2]);
        begun = 0;
        weft_future *holds = weft_submit(pool, wait_at_gate);
        kit_await(&begun, 1); // else it may be dropped
        int before = kit_load(&ran);
        for (int i = 0; i < 3; i++)
            fs[i] =
                weft_thread_start(submit_until_closed,
                                  kit_number((int)weft_test_random() & 0xffff));
        kit_await(&ran, before + 50);
        weft_future *closes = weft_thread_start(close_it, &closing);
        kit_assert_code(weft_gather_into(fs, 3, NULL, 0, NULL), 0);
        kit_gate_open(&gate); // until then there is a pool to submit to
        kit_assert_code(weft_join(closes), 0);
        kit_assert_code(weft_join(holds), 0);
        kit_gate_free(&gate);
    }
}

WEFT_TEST_MAIN("window")
