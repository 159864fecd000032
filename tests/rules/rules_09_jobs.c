// SPDX-License-Identifier: MIT
// Rule 9: jobs of one argument and of none; results are never void; text and
// bytes; weft_fail. That a pointer is a compile error is checked by the script
// `refused` beside this file.
#include "kit.h"

static weft_executor *ex;

static void on_pool(void (*body)(void))
{
    ex = weft_thread_pool(.workers = 2);
    body();
    kit_assert_code(weft_executor_close(ex), 0);
}

// The design's own examples.
WEFT_JOB(struct weft_text, worker)
{
    return weft_text("Worker executed");
}

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

struct tile {
    int x, y;
};

WEFT_JOB(long, render, struct tile, t)
{
    return 100 * t.x + t.y;
}

static void design_examples(void)
{
    struct weft_text said;
    long n = 0, in[4] = {1, 2, 3, 4}, out[4];

    kit_assert_code(weft_result(weft_submit(ex, worker), &said), 0);
    ck_assert_str_eq(said.s, "Worker executed");
    kit_assert_code(weft_result(weft_submit(ex, square, 7), &n), 0);
    ck_assert_int_eq(n, 49);
    kit_assert_code(weft_result(weft_submit(ex, render, .x = 3, .y = 4), &n),
                    0);
    ck_assert_int_eq(n, 304);
    kit_assert_code(
        weft_result(
            weft_submit(weft_executor_with(ex, .deadline = 20), render, .x = 3),
            &n),
        0);
    ck_assert_int_eq(n, 300);
    kit_assert_code(weft_map(ex, square, in, 4, out, .ordered = true,
                             .chunk = 64, .window = 1024),
                    0);
    ck_assert_int_eq(out[3], 16);
}

KIT_BOTH(the_examples_of_the_design)
{
    on_pool(design_examples);
}

// A job is a function too: called here it is a plain call.
KIT_BOTH(a_job_is_a_plain_function_as_well)
{
    ck_assert_int_eq(square(9), 81);
    ck_assert_str_eq(worker().s, "Worker executed");
}

// Every kind in and out -------------------------------------------------------

WEFT_JOB(struct weft_bytes, repeat, struct weft_bytes, in)
{
    struct weft_bytes out = {malloc(2 * in.len), 2 * in.len};

    memcpy(out.data, in.data, in.len);
    memcpy((char *)out.data + in.len, in.data, in.len);
    return out;
}

WEFT_JOB(struct weft_text, quote, struct weft_text, in)
{
    return weft_text("<%s>", in.s);
}

WEFT_JOB(size_t, length, struct weft_bytes, in)
{
    return in.len;
}

static void texts_and_bytes(void)
{
    char data[] = "ab";
    struct weft_bytes out;
    struct weft_text text;
    size_t n = 0;

    weft_future *f = weft_submit(ex, repeat, .data = data, .len = 2);
    data[0] = data[1] = 'z'; // copied at submit
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_uint_eq(out.len, 4);
    ck_assert_int_eq(memcmp(out.data, "abab", 4), 0);
    weft_bytes_free(&out);
    kit_assert_code(weft_result(weft_submit(ex, quote, .s = "hm"), &text), 0);
    ck_assert_str_eq(text.s, "<hm>");
    kit_assert_code(weft_result(weft_submit_struct(ex, quote, text), &text), 0);
    ck_assert_str_eq(text.s, "<<hm>>");
    kit_assert_code(
        weft_result(weft_submit(ex, length, .data = data, .len = 3), &n), 0);
    ck_assert_uint_eq(n, 3);
}

KIT_BOTH(texts_and_bytes_go_in_and_out)
{
    on_pool(texts_and_bytes);
}

static void first_reader_takes(void)
{
    struct weft_bytes first = {NULL, 0}, second = {NULL, 0};
    weft_future *f = weft_submit(ex, repeat, "ab", 2);

    kit_assert_code(weft_get(f, &first), 0);
    ck_assert_uint_eq(first.len, 4);
    weft_get(f, &second);
    ck_assert_ptr_ne(second.data, first.data);
    weft_bytes_free(&first);
    weft_bytes_free(&second);
    weft_future_unref(f);
}

KIT_BOTH(the_memory_of_bytes_goes_to_the_first_reader)
{
    on_pool(first_reader_takes);
}

// Failing ---------------------------------------------------------------------

WEFT_JOB(long, refuse, int, code)
{
    weft_fail(code, "refused with %d", code);
    return 1234;
}

static void failing(void)
{
    long out = 77;
    weft_future *f = weft_submit(ex, refuse, -ENOSPC);

    kit_assert_code(weft_get(f, &out), -ENOSPC);
    ck_assert_int_eq(out, 77);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), "refused with -28"));
    weft_future_unref(f);
    kit_assert_code(weft_join(weft_submit(ex, refuse, EPERM)), -EPERM);
    kit_assert_code(weft_join(weft_submit(ex, refuse, 0)), -EINVAL);
}

KIT_BOTH(a_job_fails_with_code_and_text)
{
    on_pool(failing);
}

// Identity --------------------------------------------------------------------

WEFT_TEST(two_jobs_are_told_apart_by_their_names)
{
    ck_assert_ptr_eq(weft_job_find("square"), &weft_job_square);
    ck_assert_ptr_eq(weft_job_find("worker"), &weft_job_worker);
    ck_assert_ptr_null(weft_job_find("squar"));
}

static const struct weft_job twin = {.magic = WEFT_JOB_MAGIC, .name = "square"};
static struct weft_job_entry twin_entry = {&twin, NULL};

static void add_twin(void)
{
    weft_job_register(&twin_entry);
}

WEFT_TEST(two_jobs_of_one_name_are_an_error)
{
    kit_assert_aborts(add_twin, "name");
}

WEFT_TEST_MAIN("rule 9")
