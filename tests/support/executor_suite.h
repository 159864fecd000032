// SPDX-License-Identifier: MIT
//
// executor_suite.h: what every executor has to do, a user's own too: the same
// jobs with the same results. A case calls
//
//     executor_suite(make, SUITE_PROCESS);
//
// where make() gives a new executor each time. Included by one source file of
// a program: it defines jobs.
#ifndef WEFT_EXECUTOR_SUITE_H
#define WEFT_EXECUTOR_SUITE_H

#include "executor_ends.h"
#include "kit.h"

struct suite_wide {
    long v[20];
};

WEFT_JOB(long, suite_square, long, x)
{
    return x * x;
}

WEFT_JOB(int, suite_nothing)
{
    return 7;
}

WEFT_JOB(struct suite_wide, suite_reverse, struct suite_wide, w)
{
    struct suite_wide r;
    for (int i = 0; i < 20; i++)
        r.v[i] = w.v[19 - i];
    return r;
}

WEFT_JOB(struct weft_text, suite_greet, struct weft_text, name)
{
    return weft_text("hello, %s", name.s);
}

WEFT_JOB(struct weft_bytes, suite_double_bytes, struct weft_bytes, b)
{
    struct weft_bytes r = {malloc(2 * b.len + 1), 2 * b.len};
    memcpy(r.data, b.data, b.len);
    memcpy((char *)r.data + b.len, b.data, b.len);
    return r;
}

WEFT_JOB(int, suite_fail, int, code)
{
    weft_fail(code, "no %s today", "luck");
    return 1;
}

// Blocks until it is canceled.
WEFT_JOB(int, suite_block)
{
    int rc = weft_sleep(INFINITY);
    weft_fail(rc, "stopped");
    return 0;
}

// Blocks until it is canceled, and says nothing of it.
WEFT_JOB(int, suite_overrun)
{
    weft_sleep(INFINITY);
    return 1;
}

WEFT_JOB(long, suite_length, struct weft_text, text)
{
    return (long)strlen(text.s);
}

// A text without an end.
WEFT_JOB(struct weft_text, suite_endless, int, c)
{
    struct weft_text text;
    memset(&text, c, sizeof text);
    return text;
}

WEFT_JOB(int, suite_sleep_a_little)
{
    weft_sleep(0.002);
    return 1;
}

static void suite_values(weft_executor *ex)
{
    struct suite_wide wide = {{0}};
    struct weft_text text;
    struct weft_bytes bytes = {(void *)"ab\0c", 4};
    long n = 0;
    int i = 0;
    wide.v[0] = 5;
    kit_assert_code(weft_result(weft_submit(ex, suite_square, 9), &n), 0);
    ck_assert_int_eq(n, 81);
    kit_assert_code(weft_result(weft_submit(ex, suite_nothing), &i), 0);
    ck_assert_int_eq(i, 7);
    kit_assert_code(
        weft_result(weft_submit_job(ex, &weft_job_suite_reverse, &wide), &wide),
        0);
    ck_assert(wide.v[19] == 5 && wide.v[0] == 0);
    struct weft_text name = weft_text("weft");
    kit_assert_code(
        weft_result(weft_submit_job(ex, &weft_job_suite_greet, &name), &text),
        0);
    ck_assert_str_eq(text.s, "hello, weft");
    kit_assert_code(
        weft_result(weft_submit_job(ex, &weft_job_suite_double_bytes, &bytes),
                    &bytes),
        0);
    ck_assert_uint_eq(bytes.len, 8);
    ck_assert_mem_eq(bytes.data, "ab\0cab\0c", 8);
    weft_bytes_free(&bytes);
}

// It says where it ran.
static void suite_origin(const char *text, unsigned traits)
{
    char host[65] = "", process[32];
    gethostname(host, sizeof host - 1);
    snprintf(process, sizeof process, "process %d,", (int)getpid());
    bool here = strstr(text, process) != NULL;
    ck_assert_msg(
        strstr(text, "(id ") != NULL && strstr(text, "thread ") != NULL &&
            strstr(text, "process ") != NULL && strstr(text, host) != NULL &&
            (here || traits & SUITE_PROCESS),
        "the text is: %s", text);
}

static void suite_failures(weft_executor *ex, unsigned traits)
{
    struct weft_job unknown = weft_job_suite_square;
    weft_future *f = weft_submit(ex, suite_fail, -EDOM);
    long n = 3;
    kit_assert_code(weft_get(f, &n), -EDOM);
    ck_assert_msg(strstr(weft_future_text(f), "no luck today") != NULL &&
                      strstr(weft_future_text(f), "suite_fail") != NULL,
                  "the text is: %s", weft_future_text(f));
    suite_origin(weft_future_text(f), traits);
    ck_assert_int_eq(n, 3);
    weft_future_unref(f);
    // What ended a wait of the job is never taken for the end of the caller's.
    kit_assert_code(weft_join(weft_submit(ex, suite_fail, -ETIMEDOUT)),
                    -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(weft_submit(ex, suite_fail, -ECANCELED)),
                    -WEFT_EJOBCANCELED);
    f = weft_submit(ex, suite_square, 2);
    short wrong;
    kit_assert_code(weft_result(f, &wrong), -WEFT_ETYPE);
    unknown.magic = 0;
    kit_assert_code(weft_join(weft_submit_job(ex, &unknown, &n)), -WEFT_ENOJOB);
}

static void suite_many(weft_executor *ex)
{
    enum { JOBS = 300 };
    weft_future *fs[JOBS];
    long in[JOBS], out[JOBS];
    for (long i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_square, in[i] = i);
    kit_assert_code(weft_gather(fs, JOBS, out), 0);
    for (long i = 0; i < JOBS; i++)
        ck_assert_int_eq(out[i], i * i);
    memset(out, 0, sizeof out);
    kit_assert_code(weft_map(ex, suite_square, in, JOBS, out, .ordered = true),
                    0);
    for (long i = 0; i < JOBS; i++)
        ck_assert_int_eq(out[i], i * i);
    ck_assert_uint_ge(weft_executor_width(ex), 1);
}

// A text of which all bytes are used loses the last, on its way in and out.
static void suite_texts(weft_executor *ex)
{
    enum { TEXTS = 40, LAST = WEFT_TEXT_SIZE - 1 };
    struct weft_text in[TEXTS], out[TEXTS];
    long lengths[TEXTS], length = 0;
    int letters[TEXTS];
    memset(in, 'x', sizeof in);
    in[1].s[3] = '\0';
    for (int i = 0; i < TEXTS; i++)
        letters[i] = 'a' + i % 26;
    kit_assert_code(
        weft_result(weft_submit_job(ex, &weft_job_suite_length, in), &length),
        0);
    ck_assert_int_eq(length, LAST);
    kit_assert_code(
        weft_map(ex, suite_length, in, TEXTS, lengths, .ordered = true), 0);
    for (int i = 0; i < TEXTS; i++)
        ck_assert_int_eq(lengths[i], i == 1 ? 3 : LAST);
    ck_assert_int_eq(in[0].s[LAST], 'x'); // the caller's own is as it was
    kit_assert_code(weft_result(weft_submit(ex, suite_endless, 'y'), out), 0);
    ck_assert_uint_eq(strlen(out[0].s), LAST);
    kit_assert_code(
        weft_map(ex, suite_endless, letters, TEXTS, out, .ordered = true), 0);
    for (int i = 0; i < TEXTS; i++)
        ck_assert_msg(out[i].s[0] == letters[i] && strlen(out[i].s) == LAST,
                      "text %d has %zu bytes", i, strlen(out[i].s));
}

static int suite_submit_some(void *arg)
{
    weft_executor *ex = arg;
    for (long i = 0; i < 50; i++) {
        long out = 0;
        kit_assert_code(weft_result(weft_submit(ex, suite_square, i), &out), 0);
        ck_assert_int_eq(out, i * i);
    }
    return 0;
}

static void suite_threads(weft_executor *ex)
{
    weft_future *threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = weft_thread_start(suite_submit_some, ex);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(threads[i]), 0);
}

// Whether it began or not, the text names the job and says why it ended.
static void suite_late(weft_executor *ex, double deadline)
{
    weft_future *f = weft_submit(weft_executor_with(ex, .deadline = deadline),
                                 suite_overrun);
    kit_assert_code(weft_get_into(f, NULL, 0), -WEFT_EJOBTIMEOUT);
    const char *text = weft_future_text(f);
    ck_assert_msg(text != NULL && strstr(text, "suite_overrun") != NULL &&
                      strstr(text, "deadline") != NULL,
                  "the text is: %s", text);
    weft_future_unref(f);
}

static void suite_deadline(weft_executor *ex)
{
    suite_late(ex, 0.02);
    suite_late(ex, 1e-9);
    kit_assert_code(weft_join(weft_submit(
                        weft_executor_with(ex, .deadline = 0.02), suite_block)),
                    -WEFT_EJOBTIMEOUT);
    long out = 0;
    kit_assert_code(
        weft_result(weft_submit(weft_executor_with(ex, .deadline = 100),
                                suite_square, 3),
                    &out),
        0);
    ck_assert_int_eq(out, 9);
}

static int suite_note(weft_future *f, void *result, void *arg)
{
    long x;
    int rc = weft_get(f, &x);
    *(long *)result = x + *(long *)arg;
    return rc;
}

static void suite_combine(weft_executor *ex)
{
    long add = 100, out = 0;
    weft_future *f = weft_submit(ex, suite_square, 6);
    kit_assert_code(
        weft_result(weft_then(f, suite_note, &add, .result_size = sizeof out),
                    &out),
        0);
    ck_assert_int_eq(out, 136);
    weft_future_unref(f);
}

// Cancel: what has begun, and what has not. All places are taken first.
static void suite_cancel(weft_executor *ex)
{
    size_t n = weft_executor_width(ex);
    if (n > 8)
        n = 8;
    weft_future *busy[8], *late = NULL;
    for (size_t i = 0; i < n; i++)
        busy[i] = weft_submit(ex, suite_block);
    late = weft_submit(ex, suite_nothing);
    weft_cancel(late);
    for (size_t i = 0; i < n; i++)
        kit_assert_code(weft_cancel(busy[i]), 0);
    for (size_t i = 0; i < n; i++)
        kit_assert_code(weft_join(busy[i]), -WEFT_EJOBCANCELED);
    int rc = weft_join(late);
    ck_assert(rc == 0 || rc == -WEFT_EJOBCANCELED);
}

static void suite_close(suite_make *make, unsigned traits)
{
    enum { JOBS = 20 };
    weft_future *fs[JOBS];
    weft_executor *ex = make();
    for (int i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_sleep_a_little);
    kit_assert_code(weft_executor_close(ex), 0);
    for (int i = 0; i < JOBS; i++) {
        ck_assert(weft_done(fs[i]));
        kit_assert_code(weft_join(fs[i]), 0);
    }
    if (traits & SUITE_INLINE)
        return;
    ex = make();
    for (int i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_block);
    kit_assert_code(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    for (int i = 0; i < JOBS; i++)
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    ex = make();
    for (int i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, suite_block);
    kit_assert_code(weft_executor_close(ex, .deadline = 0.02), -ETIMEDOUT);
    for (int i = 0; i < JOBS; i++)
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
}

static void executor_suite(suite_make *make, unsigned traits)
{
    weft_executor *ex = make();
    suite_values(ex);
    suite_failures(ex, traits);
    suite_many(ex);
    suite_texts(ex);
    suite_threads(ex);
    suite_deadline(ex);
    suite_combine(ex);
    suite_maps(ex);
    suite_streams(ex);
    suite_unobserved(ex);
    if (!(traits & SUITE_INLINE)) {
        suite_cancel(ex);
        suite_map_ends(ex);
    }
    weft_executor_close(ex);
    suite_close(make, traits);
    suite_canceled_caller(make);
    if (!(traits & SUITE_INLINE))
        suite_closes(make);
}

#endif
