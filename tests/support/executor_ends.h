// SPDX-License-Identifier: MIT
//
// executor_ends.h: a part of executor_suite.h: maps over the executor in every
// form, and all ways in which they and the executor itself are ended.
#ifndef WEFT_EXECUTOR_ENDS_H
#define WEFT_EXECUTOR_ENDS_H

#include "kit.h"

enum suite_traits {
    SUITE_PROCESS = 1, // jobs run in other processes
    SUITE_INLINE = 2,  // jobs run inside submit
};

typedef weft_executor *suite_make(void);

enum { SUITE_N = 100 };

// Fails for 42 alone; blocks from 1000 on.
WEFT_JOB(long, suite_element, long, x)
{
    if (x == 42)
        weft_fail(-EDOM, "not %ld", x);
    if (x >= 1000)
        weft_fail(weft_sleep(INFINITY), "stopped");
    return -x;
}

struct suite_flow {
    long next, end;
    size_t taken, flying, most;
    bool ordered;
    unsigned char seen[SUITE_N];
};

static int suite_make_next(void *in, void *arg)
{
    struct suite_flow *flow = arg;
    if (flow->next == flow->end)
        return 0;
    *(long *)in = flow->next++;
    if (++flow->flying > flow->most)
        flow->most = flow->flying;
    return 1;
}

static int suite_take_next(size_t i, int code, const void *out, void *arg)
{
    struct suite_flow *flow = arg;
    ck_assert_uint_lt(i, SUITE_N);
    ck_assert_int_eq(flow->seen[i]++, 0);
    if (flow->ordered)
        ck_assert_uint_eq(i, flow->taken);
    flow->taken++;
    flow->flying--;
    kit_assert_code(code, i == 42 ? -EDOM : 0);
    if (code == 0)
        ck_assert_int_eq(*(const long *)out, -(long)i);
    return 0;
}

static void suite_streams(weft_executor *ex)
{
    for (int i = 0; i < 8; i++) {
        struct suite_flow flow = {.end = SUITE_N, .ordered = i & 1};
        size_t window = i & 2 ? 5 : 0, chunk = i & 4 ? 5 : 0;
        kit_assert_code(weft_map_stream(ex, suite_element, suite_make_next,
                                        suite_take_next, &flow,
                                        .ordered = flow.ordered,
                                        .window = window, .chunk = chunk),
                        0);
        ck_assert_uint_eq(flow.taken, SUITE_N);
        if (window > 0)
            ck_assert_uint_le(flow.most, window);
    }
}

// One element fails: all others have their results, or the first 42 have.
static void suite_maps(weft_executor *ex)
{
    long in[SUITE_N], out[SUITE_N];
    int codes[SUITE_N];
    for (long i = 0; i < SUITE_N; i++)
        in[i] = i;
    for (int i = 0; i < 8; i++) {
        bool ordered = i & 1;
        size_t window = i & 2 ? 5 : 0, chunk = i & 4 ? 5 : 0;
        memset(out, 1, sizeof out);
        kit_assert_code(weft_map(ex, suite_element, in, SUITE_N, out,
                                 .ordered = ordered, .window = window,
                                 .chunk = chunk),
                        -EDOM);
        long sure = chunk > 0 ? 40 : ordered ? 1 : 0; // whole chunks before it
        for (long k = 0; ordered && k < sure; k++)
            ck_assert_int_eq(out[k], -k);
        memset(out, 1, sizeof out);
        kit_assert_code(weft_map(ex, suite_element, in, SUITE_N, out,
                                 .ordered = ordered, .window = window,
                                 .chunk = chunk, .codes = codes),
                        0);
        for (long k = 0; k < SUITE_N; k++) {
            kit_assert_code(codes[k], k == 42 ? -EDOM : 0);
            if (k != 42)
                ck_assert_int_eq(out[k], -k);
        }
    }
}

// Maps whose elements block, ended from outside -------------------------------

struct suite_endless {
    weft_executor *ex;
    bool stream, ordered;
    size_t chunk;
    int begun;
};

static int suite_map_endless(void *arg)
{
    struct suite_endless *e = arg;
    long in[SUITE_N], out[SUITE_N];
    for (long i = 0; i < SUITE_N; i++)
        in[i] = 1000 + i;
    kit_count(&e->begun);
    if (!e->stream)
        return weft_map(e->ex, suite_element, in, SUITE_N, out,
                        .ordered = e->ordered, .chunk = e->chunk);
    struct suite_flow flow = {.next = 1000, .end = 1000 + SUITE_N};
    return weft_map_stream(e->ex, suite_element, suite_make_next,
                           suite_take_next, &flow, .ordered = e->ordered,
                           .chunk = e->chunk);
}

static void suite_map_ends(weft_executor *ex)
{
    for (int i = 0; i < 8; i++) {
        struct suite_endless e = {.ex = ex,
                                  .stream = i & 1,
                                  .ordered = i & 2,
                                  .chunk = i & 4 ? 3 : 0};
        {
            WEFT_TIMEOUT(0.005);
            kit_assert_code(suite_map_endless(&e), -ETIMEDOUT);
        }
        weft_future *f = weft_thread_start(suite_map_endless, &e);
        kit_await(&e.begun, 2);
        kit_assert_code(weft_cancel(f), 0);
        kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED); // it said -ECANCELED
        f = weft_task_start(suite_map_endless, &e);
        kit_await(&e.begun, 3);
        kit_assert_code(weft_cancel(f), 0);
        kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    }
}

// All modes of closing, with and without a time -------------------------------

static int suite_close_pending(void *ex)
{
    return weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_PENDING);
}

static void suite_close_in_time(suite_make *make, enum weft_close_mode mode,
                                double deadline)
{
    enum { JOBS = 20 };
    weft_future *fs[JOBS];
    weft_executor *ex = make();
    for (long i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_element, 1000 + i);
    int rc = weft_executor_close(ex, .mode = mode, .deadline = deadline);
    ck_assert_msg(rc == -ETIMEDOUT || (rc == 0 && mode != WEFT_CLOSE_DRAIN),
                  "mode %d with %g s: %s", (int)mode, deadline,
                  weft_error_name(rc));
    for (int i = 0; i < JOBS; i++) {
        ck_assert(weft_done(fs[i]));
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    }
}

// What has begun goes on until it is canceled itself.
static void suite_close_without_pending(suite_make *make)
{
    enum { JOBS = 20 };
    weft_future *fs[JOBS];
    weft_executor *ex = make();
    for (long i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_element, 1000 + i);
    weft_future *closes = weft_thread_start(suite_close_pending, ex);
    for (int i = 0; i < JOBS; i++) {
        weft_cancel(fs[i]);
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    }
    kit_assert_code(weft_join(closes), 0);
}

static void suite_closes(suite_make *make)
{
    static const double deadlines[] = {-1, 0.01};
    for (int mode = WEFT_CLOSE_DRAIN; mode <= WEFT_CLOSE_CANCEL_ALL; mode++)
        for (int i = 0; i < 2; i++)
            suite_close_in_time(make, (enum weft_close_mode)mode, deadlines[i]);
    suite_close_without_pending(make);
}

// The scopes of who submits and closes are not those of the jobs.
static void suite_canceled_caller(suite_make *make)
{
    enum { JOBS = 20 };
    weft_future *fs[JOBS];
    weft_executor *ex = make();
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    for (long i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_element, i);
    kit_assert_code(weft_executor_close(ex), 0);
    for (int i = 0; i < JOBS; i++)
        kit_assert_code(weft_future_code(fs[i]), 0);
    for (int i = 0; i < JOBS; i++)
        weft_future_unref(fs[i]);
    kit_assert_code(weft_group_close(g), 0);
}

// Failures that nobody asks for -----------------------------------------------

static int suite_reports;

static void suite_report(int code, const char *text)
{
    if (code == -EDOM && strstr(text, "not 42") != NULL)
        kit_count(&suite_reports);
}

static void suite_unobserved(weft_executor *ex)
{
    suite_reports = 0;
    weft_on_unobserved(suite_report);
    weft_future_unref(weft_submit(ex, suite_element, 42));
    kit_await(&suite_reports, 1);
    kit_assert_code(weft_join(weft_submit(ex, suite_element, 42)), -EDOM);
    weft_on_unobserved(NULL);
    ck_assert_int_eq(suite_reports, 1);
}

#endif
