// SPDX-License-Identifier: MIT
// Jobs: kinds of argument and result, failing, names.
#include "kit.h"

#include <stdio.h>

static weft_executor *pool;

static void open_pool(void)
{
    pool = weft_thread_pool(.workers = 2);
}

static void close_pool(void)
{
    kit_assert_code(weft_executor_close(pool), 0);
}

// Plain values ----------------------------------------------------------------

struct tile {
    int x, y;
    double scale;
    char label[40];
};

WEFT_JOB(struct tile, turn, struct tile, t)
{
    struct tile turned = t;

    turned.x = -t.y;
    turned.y = t.x;
    return turned;
}

KIT_BOTH(keyword_arguments)
{
    struct tile out;

    open_pool();
    kit_assert_code(weft_result(weft_submit(pool, turn, .x = 3, .y = 4,
                                            .scale = 0.5, .label = "corner"),
                                &out),
                    0);
    ck_assert_int_eq(out.x, -4);
    ck_assert_int_eq(out.y, 3);
    ck_assert(out.scale == 0.5);
    ck_assert_str_eq(out.label, "corner");
    // What is not named is zero.
    kit_assert_code(weft_result(weft_submit(pool, turn, .y = 1), &out), 0);
    ck_assert_int_eq(out.x, -1);
    ck_assert_int_eq(out.y, 0);
    close_pool();
}

struct large {
    unsigned char bytes[50000];
};

WEFT_JOB(struct large, flip, struct large, in)
{
    for (size_t i = 0; i < sizeof in.bytes; i++)
        in.bytes[i] ^= 0xff;
    return in;
}

KIT_BOTH(large_values_travel_whole)
{
    static struct large in, out;

    for (size_t i = 0; i < sizeof in.bytes; i++)
        in.bytes[i] = (unsigned char)(i * 13);
    open_pool();
    weft_future *f = weft_submit_job(pool, &weft_job_flip, &in);
    memset(&in, 0, sizeof in); // it was copied
    kit_assert_code(weft_result(f, &out), 0);
    for (size_t i = 0; i < sizeof out.bytes; i++)
        ck_assert_uint_eq(out.bytes[i], (unsigned char)~(i * 13));
    close_pool();
}

WEFT_JOB(char, next_char, char, c)
{
    return (char)(c + 1);
}

WEFT_JOB(double, half, double, x)
{
    return x / 2;
}

KIT_BOTH(small_values)
{
    char c = 0;
    double x = 0;

    open_pool();
    kit_assert_code(weft_result(weft_submit(pool, next_char, 'a'), &c), 0);
    ck_assert_int_eq(c, 'b');
    kit_assert_code(weft_result(weft_submit(pool, half, 5), &x), 0);
    ck_assert(x == 2.5);
    close_pool();
}

KIT_BOTH(a_result_of_another_size_is_etype)
{
    int wrong = 7;
    double x = 0;

    open_pool();
    weft_future *f = weft_submit(pool, half, 5);
    kit_assert_code(weft_get(f, &wrong), -WEFT_ETYPE);
    ck_assert_int_eq(wrong, 7);
    kit_assert_code(weft_get(f, &x), 0);
    ck_assert(x == 2.5);
    kit_assert_code(weft_join(f), 0);
    close_pool();
}

KIT_BOTH(a_result_may_be_read_many_times)
{
    double x;

    open_pool();
    weft_future *f = weft_submit(pool, half, 5);
    for (int i = 0; i < 5; i++) {
        x = 0;
        kit_assert_code(weft_get(f, &x), 0);
        ck_assert(x == 2.5);
    }
    weft_future_unref(f);
    close_pool();
}

// Text ------------------------------------------------------------------------

WEFT_JOB(struct weft_text, greet, struct weft_text, name)
{
    return weft_text("hello %s", name.s);
}

KIT_BOTH(text_in_and_out)
{
    struct weft_text out;

    open_pool();
    kit_assert_code(weft_result(weft_submit(pool, greet, .s = "world"), &out),
                    0);
    ck_assert_str_eq(out.s, "hello world");
    close_pool();
}

WEFT_TEST(text_is_cut_but_never_inside_a_character)
{
    char in[400];
    struct weft_text out;

    memset(in, 'x', sizeof in);
    in[399] = '\0';
    out = weft_text("%s", in);
    ck_assert_uint_eq(strlen(out.s), 255);
    for (int shift = 0; shift < 4; shift++) {
        memset(in, 'x', sizeof in);
        for (int i = shift; i + 4 < 396; i += 4)
            memcpy(in + i, "\xf0\x9f\x90\x8b", 4); // U+1F40B
        in[396] = '\0';
        out = weft_text("%s", in);
        size_t n = strlen(out.s);
        ck_assert_uint_le(n, 255);
        ck_assert_uint_ge(n, 252);
        ck_assert_uint_eq((n - (size_t)shift) % 4, 0);
        ck_assert_int_eq(memcmp(out.s, in, n), 0);
    }
}

// Bytes -----------------------------------------------------------------------

WEFT_JOB(struct weft_bytes, reverse, struct weft_bytes, in)
{
    struct weft_bytes out = weft_bytes_copy(in.data, in.len);
    char *p = out.data;

    for (size_t i = 0; i < in.len; i++)
        p[i] = ((char *)in.data)[in.len - 1 - i];
    return out;
}

static void check_reverse(size_t len)
{
    char *data = malloc(len + 1);
    struct weft_bytes out = {NULL, 0};

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 11);
    weft_future *f = weft_submit(pool, reverse, .data = data, .len = len);
    memset(data, 0, len); // they were copied
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_uint_eq(out.len, len);
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(((char *)out.data)[i], (char)((len - 1 - i) * 11));
    weft_bytes_free(&out);
    ck_assert_ptr_null(out.data);
    ck_assert_uint_eq(out.len, 0);
    free(data);
}

KIT_BOTH(bytes_of_any_length)
{
    open_pool();
    check_reverse(0);
    check_reverse(1);
    check_reverse(1000);
    check_reverse(100000);
    close_pool();
}

// The sanitizer's leak check is the judge here.
KIT_BOTH(bytes_that_nobody_takes_are_freed)
{
    open_pool();
    for (int i = 0; i < 20; i++) {
        kit_assert_code(weft_join(weft_submit(pool, reverse, "text", 4)), 0);
        weft_future_unref(weft_submit(pool, reverse, "text", 4));
    }
    close_pool();
}

WEFT_TEST(bytes_copy_and_free)
{
    struct weft_bytes bytes = weft_bytes_copy("abc", 3);

    ck_assert_uint_eq(bytes.len, 3);
    ck_assert_int_eq(memcmp(bytes.data, "abc", 3), 0);
    weft_bytes_free(&bytes);
    weft_bytes_free(&bytes); // empty now
    bytes = weft_bytes_copy("abc", 0);
    ck_assert_ptr_null(bytes.data);
    ck_assert_uint_eq(bytes.len, 0);
}

// Failing ---------------------------------------------------------------------

WEFT_JOB(int, fail_with, int, code)
{
    weft_fail(code, "failed with %d", code);
    weft_fail(-EPIPE, "the second call does not count");
    return 5;
}

static void check_fail(int code, int want)
{
    int out = 77;
    char text[100];

    snprintf(text, sizeof text, "failed with %d", code);
    weft_future *f = weft_submit(pool, fail_with, code);
    kit_assert_code(weft_get(f, &out), want);
    ck_assert_int_eq(out, 77);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), text));
    kit_assert_code(weft_join(f), want);
}

KIT_BOTH(a_job_that_fails_has_code_and_text_and_no_result)
{
    open_pool();
    check_fail(-EIO, -EIO);
    check_fail(EIO, -EIO);
    check_fail(0, -EINVAL);
    check_fail(-WEFT_EPROTO, -WEFT_EPROTO);
    close_pool();
}

WEFT_JOB(int, fail_without_text)
{
    weft_fail(-EIO, NULL);
    return 5;
}

WEFT_JOB(struct weft_bytes, fail_with_bytes)
{
    weft_fail(-EIO, NULL);
    return weft_bytes_copy("ignored", 7); // to be freed by nobody else
}

KIT_BOTH(the_value_returned_after_a_failure_is_ignored)
{
    struct weft_bytes bytes = {NULL, 3};

    open_pool();
    kit_assert_code(weft_join(weft_submit(pool, fail_without_text)), -EIO);
    kit_assert_code(weft_result(weft_submit(pool, fail_with_bytes), &bytes),
                    -EIO);
    ck_assert_uint_eq(bytes.len, 3);
    close_pool();
}

WEFT_JOB(int, fail_after_waits, int, code)
{
    for (int i = 0; i < 3; i++)
        weft_sleep(0.0001);
    weft_fail(code, "after waits");
    weft_yield();
    return 0;
}

KIT_BOTH(jobs_that_fail_side_by_side_do_not_mix)
{
    weft_future *fs[50];

    open_pool();
    for (int i = 0; i < 50; i++)
        fs[i] = weft_submit(pool, fail_after_waits, -1 - i);
    for (int i = 0; i < 50; i++)
        kit_assert_code(weft_join(fs[i]), -1 - i);
    close_pool();
}

static void fail_outside(void)
{
    weft_fail(-EIO, "no job here");
}

WEFT_TEST(to_fail_outside_a_job_aborts)
{
    kit_assert_aborts(fail_outside, "weft_fail");
}

static int fail_in_task(void *arg)
{
    (void)arg;
    fail_outside();
    return 0;
}

static void fail_in_a_task(void)
{
    weft_run(fail_in_task, NULL);
}

WEFT_TEST(a_task_is_no_job)
{
    kit_assert_aborts(fail_in_a_task, "weft_fail");
}

// Names -----------------------------------------------------------------------

WEFT_TEST(a_job_is_found_by_its_name)
{
    ck_assert_ptr_eq(weft_job_find("turn"), &weft_job_turn);
    ck_assert_ptr_eq(weft_job_find("greet"), &weft_job_greet);
    ck_assert_ptr_null(weft_job_find("no such job"));
    ck_assert_ptr_null(weft_job_find(""));
}

WEFT_TEST(the_record_says_what_the_job_is)
{
    ck_assert_uint_eq(weft_job_turn.magic, WEFT_JOB_MAGIC);
    ck_assert_uint_eq(weft_job_turn.arg_size, sizeof(struct tile));
    ck_assert_uint_eq(weft_job_turn.result_size, sizeof(struct tile));
    ck_assert_uint_eq(weft_job_turn.arg_kind, WEFT_PLAIN);
    ck_assert_uint_eq(weft_job_greet.arg_kind, WEFT_TEXT);
    ck_assert_uint_eq(weft_job_reverse.result_kind, WEFT_BYTES);
    ck_assert_uint_eq(weft_job_fail_without_text.arg_kind, WEFT_NONE);
}

KIT_BOTH(a_record_found_by_name_can_be_submitted)
{
    double in = 9, out = 0;

    open_pool();
    weft_future *f = weft_submit_job(pool, weft_job_find("half"), &in);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert(out == 4.5);
    close_pool();
}

WEFT_TEST_MAIN("job")
