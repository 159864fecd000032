// SPDX-License-Identifier: MIT
// weft_map: order, chunks, windows, failures.
#include "kit.h"

#include <stdio.h>

#define N 1000

static long in[N], out[N];
static int codes[N];
static int ran;

WEFT_JOB(long, square, long, x)
{
    kit_count(&ran);
    if (x % 7 == 0)
        weft_yield();
    return x * x;
}

WEFT_JOB(long, square_but, long, x)
{
    if (x % 100 == 42)
        weft_fail(-1000 - (int)x, "not %ld", x);
    return x * x;
}

static void fill(void)
{
    ran = 0;
    for (long i = 0; i < N; i++) {
        in[i] = i;
        out[i] = -1;
        codes[i] = 99;
    }
}

static void check_squares(void)
{
    for (long i = 0; i < N; i++)
        ck_assert_int_eq(out[i], i * i);
}

KIT_BOTH(map_gives_the_results_in_order)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);

    fill();
    kit_assert_code(weft_map(ex, square, in, N, out), 0);
    check_squares();
    ck_assert_int_eq(ran, N);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(chunks_and_windows_of_all_sizes, .timeout = 20)
{
    static const size_t sizes[] = {1, 2, 7, 64, 999, 1000, 1001, 100000};
    weft_executor *ex = weft_thread_pool(.workers = 2);

    for (int i = 0; i < 8; i++)
        for (int k = 0; k < 8; k++) {
            fill();
            kit_assert_code(weft_map(ex, square, in, N, out, .chunk = sizes[i],
                                     .window = sizes[k]),
                            0);
            check_squares();
            ck_assert_int_eq(ran, N);
        }
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(map_of_nothing_and_of_one)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);

    fill();
    kit_assert_code(weft_map(ex, square, in, 0, out), 0);
    ck_assert_int_eq(ran, 0);
    ck_assert_int_eq(out[0], -1);
    kit_assert_code(weft_map(ex, square, in + 9, 1, out), 0);
    ck_assert_int_eq(out[0], 81);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(ordered_tells_the_first_failure_of_the_input)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);

    for (size_t chunk = 0; chunk < 200; chunk += 33) {
        fill();
        kit_assert_code(weft_map(ex, square_but, in, N, out, .ordered = true,
                                 .chunk = chunk),
                        -1042);
        for (long i = 0; i < 42; i++)
            ck_assert_int_eq(out[i], i * i);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(unordered_tells_a_failure)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);

    fill();
    int rc = weft_map(ex, square_but, in, N, out);
    ck_assert_int_le(rc, -1042);
    ck_assert_int_eq((-rc - 1000) % 100, 42);
    for (long i = 0; i < N; i++)
        ck_assert(out[i] == -1 || out[i] == i * i);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(with_codes_a_failure_stops_nothing)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);

    for (size_t chunk = 0; chunk < 200; chunk += 33) {
        fill();
        weft_map(ex, square_but, in, N, out, .codes = codes, .chunk = chunk);
        for (long i = 0; i < N; i++) {
            int want = i % 100 == 42 ? -1000 - (int)i : 0;
            kit_assert_code(codes[i], want);
            if (want == 0)
                ck_assert_int_eq(out[i], i * i);
        }
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_JOB(long, block_or_square, long, x)
{
    kit_count(&ran);
    if (x >= 10)
        weft_sleep(INFINITY);
    return x * x;
}

KIT_BOTH(a_deadline_ends_a_map)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);

    fill();
    {
        WEFT_TIMEOUT(0.005);
        kit_assert_code(weft_map(ex, block_or_square, in, N, out, .chunk = 1),
                        -ETIMEDOUT);
    }
    // in and out are this function's again: nothing writes to them any more.
    for (long i = 0; i < N; i++)
        out[i] = -2;
    kit_assert_code(weft_executor_close(ex), 0);
    for (long i = 0; i < N; i++)
        ck_assert_int_eq(out[i], -2);
}

static int map_until_canceled(void *arg)
{
    return weft_map(arg, block_or_square, in, N, out, .chunk = 1) == -ECANCELED
               ? 3
               : -EIO;
}

KIT_BOTH(cancel_ends_a_map)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);

    fill();
    weft_future *f = weft_thread_start(map_until_canceled, ex);
    kit_await(&ran, 11);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), 3);
    kit_assert_code(weft_executor_close(ex), 0);
}

static weft_executor *pool;

WEFT_JOB(long, sum_of_squares, long, n)
{
    long numbers[20] = {0}, squares[20] = {0}, sum = 0;

    for (long i = 0; i < n; i++)
        numbers[i] = i;
    int rc = weft_map(pool, square, numbers, (size_t)n, squares, .chunk = 1);
    for (long i = 0; i < n; i++)
        sum += squares[i];
    return rc < 0 ? rc : sum;
}

KIT_BOTH(a_job_maps_on_its_own_pool_of_one)
{
    long n[20], sums[20];

    pool = weft_thread_pool(.workers = 1);
    for (long i = 0; i < 20; i++)
        n[i] = i + 1;
    kit_assert_code(weft_map(pool, sum_of_squares, n, 20, sums, .chunk = 1), 0);
    for (long i = 1; i <= 20; i++)
        ck_assert_int_eq(sums[i - 1], (i - 1) * i * (2 * i - 1) / 6);
    kit_assert_code(weft_executor_close(pool), 0);
}

static int map_in_task(void *arg)
{
    long numbers[50] = {0}, squares[50] = {0};

    for (long i = 0; i < 50; i++)
        numbers[i] = i;
    kit_assert_code(weft_map(arg, square, numbers, 50, squares), 0);
    for (long i = 0; i < 50; i++)
        ck_assert_int_eq(squares[i], i * i);
    return 0;
}

KIT_BOTH(many_map_at_once, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_future *fs[30];

    for (int i = 0; i < 30; i++)
        fs[i] = i % 5 ? weft_task_start(map_in_task, ex)
                      : weft_thread_start(map_in_task, ex);
    kit_assert_code(weft_gather_into(fs, 30, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(map_on_a_blocking_pool)
{
    weft_executor *ex = weft_thread_pool(.workers = 4, .blocking = true);

    fill();
    kit_assert_code(weft_map(ex, square, in, N, out, .chunk = 100), 0);
    check_squares();
    kit_assert_code(weft_executor_close(ex), 0);
}

// A user's own executor -------------------------------------------------------

struct own {
    weft_executor base; // first
    int submits, closed;
};

// Runs the job at once, here.
static weft_future *own_submit(weft_executor *ex, const struct weft_job *job,
                               const void *arg,
                               const struct weft_submit_options *options)
{
    struct own *own = (struct own *)ex;
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    char result[64];

    (void)options;
    own->submits++;
    job->call(arg, result);
    weft_promise_keep(p, 0, result, job->result_size, NULL);
    return f;
}

static size_t own_width(weft_executor *ex)
{
    (void)ex;
    return 1;
}

static int own_close(weft_executor *ex, const struct weft_close_options *o)
{
    (void)o;
    ((struct own *)ex)->closed++;
    return 0;
}

static const struct weft_executor_ops own_ops = {
    .size = sizeof own_ops,
    .kind = "here",
    .submit = own_submit,
    .width = own_width,
    .close = own_close,
};

WEFT_JOB(long, plus_one, long, x)
{
    return x + 1;
}

KIT_BOTH(an_executor_of_the_users_own)
{
    struct own own = {.base = {&own_ops}};
    long result = 0;

    fill();
    kit_assert_code(weft_result(weft_submit(&own.base, plus_one, 5), &result),
                    0);
    ck_assert_int_eq(result, 6);
    ck_assert_uint_eq(weft_executor_width(&own.base), 1);
    kit_assert_code(weft_map(&own.base, plus_one, in, N, out), 0);
    for (long i = 0; i < N; i++)
        ck_assert_int_eq(out[i], i + 1);
    ck_assert_int_eq(own.submits, N + 1);
    kit_assert_code(weft_executor_close(&own.base), 0);
    ck_assert_int_eq(own.closed, 1);
}

// An executor that notes how its chunks are cut.
struct noting {
    weft_executor base; // first
    int sends;
    size_t largest, sum;
    double delay;                              // of each chunk
    const struct weft_submit_options *options; // of the last chunk
};

static weft_future *note_chunk(weft_executor *ex, const struct weft_job *job,
                               const void *in_, size_t count, void *out_,
                               int *codes_,
                               const struct weft_submit_options *options)
{
    struct noting *noting = (struct noting *)ex;
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    (void)codes_;
    noting->sends++;
    noting->options = options;
    noting->sum += count;
    if (count > noting->largest)
        noting->largest = count;
    for (size_t i = 0; i < count; i++)
        job->call((const char *)in_ + i * job->arg_size,
                  (char *)out_ + i * job->result_size);
    if (noting->delay > 0)
        weft_sleep(noting->delay);
    weft_promise_keep(p, 0, NULL, 0, NULL);
    return f;
}

static const struct weft_executor_ops noting_ops = {
    .size = sizeof noting_ops,
    .kind = "noting",
    .submit = own_submit,
    .submit_chunk = note_chunk,
    .width = own_width,
    .close = own_close,
};

static struct noting map_noting(size_t n, double delay, size_t window)
{
    struct noting noting = {.base = {&noting_ops}, .delay = delay};
    fill();
    kit_assert_code(
        weft_map(&noting.base, plus_one, in, n, out, .window = window), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(out[i], (long)i + 1);
    ck_assert_uint_eq(noting.sum, n);
    return noting;
}

static size_t no_width(weft_executor *ex)
{
    (void)ex;
    return 0;
}

KIT_BOTH(an_executor_that_cannot_tell_its_width)
{
    struct weft_executor_ops ops = noting_ops;
    ops.width = no_width;
    struct noting noting = {.base = {&ops}};
    long sum = 0;
    fill();
    ck_assert_uint_eq(weft_executor_width(&noting.base), 1);
    kit_assert_code(weft_map(&noting.base, plus_one, in, N, out), 0);
    for (long i = 0; i < N; i++)
        sum += out[i] - i;
    ck_assert_int_eq(sum, N);
}

KIT_BOTH(chunks_of_tiny_elements_grow)
{
    struct noting noting = map_noting(N, 0, 0);
    ck_assert_uint_gt(noting.largest, 10);
    ck_assert_int_lt(noting.sends, N / 10);
}

KIT_BOTH(chunks_of_long_elements_do_not)
{
    struct noting noting = map_noting(40, 0.005, 0);
    ck_assert_uint_eq(noting.largest, 1);
    ck_assert_int_eq(noting.sends, 40);
}

KIT_BOTH(a_window_bounds_the_chunks)
{
    struct noting noting = map_noting(N, 0, 20);
    ck_assert_uint_le(noting.largest, 20);
}

KIT_BOTH(bound_options_are_those_of_each_chunk)
{
    struct noting noting = {.base = {&noting_ops}};
    fill();
    weft_executor *named = weft_executor_with(&noting.base, .name = "mine");
    kit_assert_code(weft_map(named, plus_one, in, N, out), 0);
    ck_assert_ptr_nonnull(noting.options);
    ck_assert_str_eq(noting.options->name, "mine");
    ck_assert_uint_gt(noting.largest, 10);
    // The outer ones count.
    weft_executor *outer = weft_executor_with(named, .priority = 1);
    kit_assert_code(weft_map(outer, plus_one, in, N, out), 0);
    ck_assert_int_eq(noting.options->priority, 1);
    ck_assert_ptr_null(noting.options->name);
}

KIT_BOTH(a_limit_is_for_an_element_unless_chunks_are_asked_for)
{
    struct noting noting = {.base = {&noting_ops}};
    fill();
    weft_executor *bound = weft_executor_with(&noting.base, .timeout = 5);
    kit_assert_code(weft_map(bound, plus_one, in, N, out), 0);
    ck_assert_uint_eq(noting.largest, 1);
    ck_assert_int_eq(noting.sends, N);
    kit_assert_code(weft_map(bound, plus_one, in, N, out, .chunk = 8), 0);
    ck_assert_uint_eq(noting.largest, 8);
}

// What is over its deadline before it begins fails, element by element.
KIT_BOTH(a_deadline_of_each_element)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    fill();
    kit_assert_code(weft_map(weft_executor_with(ex, .deadline = 1e-9), plus_one,
                             in, N, out),
                    -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_map(weft_executor_with(ex, .deadline = 1e-9), plus_one,
                             in, N, out, .codes = codes),
                    0);
    for (long i = 0; i < N; i++)
        kit_assert_code(codes[i], -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_executor_close(ex), 0);
}

// From a function to a function -----------------------------------------------

struct flow {
    long next, end; // what is made
    size_t taken, flying, most_flying;
    bool ordered;
    int stop_at; // take ends the map there; -1: nowhere
    unsigned char seen[N];
};

static int make(void *in_place, void *arg)
{
    struct flow *flow = arg;
    if (flow->next == flow->end)
        return 0;
    if (flow->next < 0)
        return -EPROTO;
    *(long *)in_place = flow->next++;
    flow->flying++;
    if (flow->flying > flow->most_flying)
        flow->most_flying = flow->flying;
    return 1;
}

static int take(size_t index, int code, const void *result, void *arg)
{
    struct flow *flow = arg;
    ck_assert_int_lt((long)index, flow->end);
    ck_assert_int_eq(flow->seen[index]++, 0);
    if (flow->ordered)
        ck_assert_uint_eq(index, flow->taken);
    flow->taken++;
    flow->flying--;
    if (code < 0)
        ck_assert_int_eq(code, -1000 - (int)index);
    else
        ck_assert_int_eq(*(const long *)result, (long)(index * index));
    return flow->stop_at == (int)flow->taken ? -EPIPE : 0;
}

KIT_BOTH(a_stream_of_all_sizes, .timeout = 20)
{
    static const size_t sizes[] = {0, 1, 7, 64, 5000};
    weft_executor *ex = weft_thread_pool(.workers = 2);

    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            for (int ordered = 0; ordered < 2; ordered++) {
                struct flow flow = {
                    .end = N, .ordered = ordered, .stop_at = -1};
                kit_assert_code(weft_map_stream(ex, square, make, take, &flow,
                                                .chunk = sizes[i],
                                                .window = sizes[k],
                                                .ordered = ordered),
                                0);
                ck_assert_uint_eq(flow.taken, N);
                if (sizes[k] > 0)
                    ck_assert_uint_le(flow.most_flying, sizes[k]);
            }
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(take_judges_failures)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    struct flow flow = {.end = N, .stop_at = -1};
    kit_assert_code(weft_map_stream(ex, square_but, make, take, &flow), 0);
    ck_assert_uint_eq(flow.taken, N);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(either_end_ends_a_stream)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    struct flow none = {.end = 0, .stop_at = -1};
    struct flow bad = {.next = -1, .end = N, .stop_at = -1};
    struct flow stops = {.end = N, .stop_at = 10};
    kit_assert_code(weft_map_stream(ex, square, make, take, &none), 0);
    kit_assert_code(weft_map_stream(ex, square, make, take, &bad), -EPROTO);
    kit_assert_code(weft_map_stream(ex, square, make, take, &stops), -EPIPE);
    ck_assert_uint_eq(stops.taken, 10);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Only what is negative ends it.
static int take_and_say_more(size_t index, int code, const void *result,
                             void *arg)
{
    int rc = take(index, code, result, arg);
    return rc < 0 ? rc : (int)index;
}

KIT_BOTH(what_take_returns_is_a_code_or_nothing)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    struct flow flow = {.end = N, .stop_at = -1};
    kit_assert_code(weft_map_stream(ex, square, make, take_and_say_more, &flow,
                                    .chunk = 64),
                    0);
    ck_assert_uint_eq(flow.taken, N);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int make_five(void *in, void *arg)
{
    struct flow *flow = arg;
    return flow->next == 5 ? -EPROTO : make(in, arg);
}

KIT_BOTH(a_failure_behind_elements_of_its_chunk_ends_a_stream)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    struct flow bad = {.end = N, .stop_at = -1};
    kit_assert_code(
        weft_map_stream(ex, square, make_five, take, &bad, .chunk = 8),
        -EPROTO);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(a_stream_through_a_user_s_executor)
{
    weft_executor *ex = weft_inline_executor();
    struct flow flow = {.end = N, .ordered = true, .stop_at = -1};
    kit_assert_code(
        weft_map_stream(ex, square, make, take, &flow, .ordered = true), 0);
    struct flow judged = {.end = N, .stop_at = -1};
    kit_assert_code(weft_map_stream(ex, square_but, make, take, &judged), 0);
    ck_assert_uint_eq(judged.taken, N);
    ck_assert_uint_eq(flow.taken, N);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int endless(void *in_place, void *arg)
{
    *(long *)in_place = 3;
    (void)arg;
    return 1;
}

static int ignore(size_t index, int code, const void *result, void *arg)
{
    (void)index;
    (void)code;
    (void)result;
    (void)arg;
    return 0;
}

KIT_BOTH(a_deadline_ends_an_endless_stream)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    {
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_map_stream(ex, square, endless, ignore, NULL),
                        -ETIMEDOUT);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

// Results that are somebody's memory: taken or not, none is left (ASan).
WEFT_JOB(struct weft_bytes, text_of, long, x)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", x);
    return weft_bytes_copy(text, strlen(text) + 1);
}

static int take_bytes(size_t index, int code, const void *result, void *arg)
{
    struct weft_bytes bytes = *(const struct weft_bytes *)result;
    kit_assert_code(code, 0);
    ck_assert_int_eq(atol(bytes.data), (long)index);
    weft_bytes_free(&bytes);
    return ++*(int *)arg == 100 ? -EPIPE : 0;
}

static int count_up(void *in_place, void *arg)
{
    static long next;
    *(long *)in_place = next++;
    (void)arg;
    return 1;
}

WEFT_TEST(bytes_through_a_stream)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    int taken = 0;
    kit_assert_code(weft_map_stream(ex, text_of, count_up, take_bytes, &taken,
                                    .chunk = 8, .ordered = true),
                    -EPIPE);
    ck_assert_int_eq(taken, 100);
    kit_assert_code(weft_executor_close(ex), 0);
}

// A job may write to the bytes that it gets: they are its copy, on threads,
// too.
WEFT_JOB(long, count_and_spoil, struct weft_bytes, b)
{
    char *text = b.data;
    long letters = 0;
    for (size_t i = 0; i < b.len; i++) {
        letters += text[i] == 'a';
        text[i] = 'x';
    }
    return letters;
}

static struct weft_bytes letters = {(char[]){"abcabca"}, 7};

static int make_letters(void *in_place, void *arg)
{
    *(struct weft_bytes *)in_place = letters;
    return --*(int *)arg > 0;
}

static int take_letters(size_t index, int code, const void *result, void *arg)
{
    (void)index;
    (void)arg;
    kit_assert_code(code, 0);
    ck_assert_int_eq(*(const long *)result, 3);
    return 0;
}

static void map_letters(weft_executor *ex)
{
    const struct weft_bytes all[] = {letters, letters, {NULL, 0}, letters};
    long count[4];
    int left = 100;
    kit_assert_code(weft_map(ex, count_and_spoil, all, 4, count, .chunk = 4),
                    0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(count[i], i == 2 ? 0 : 3);
    kit_assert_code(
        weft_map_stream(ex, count_and_spoil, make_letters, take_letters, &left),
        0);
    ck_assert_mem_eq(letters.data, "abcabca", 7);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(each_element_has_its_own_bytes)
{
    map_letters(weft_inline_executor());
    map_letters(weft_thread_pool(.workers = 2));
    map_letters(weft_thread_pool(.workers = 2, .blocking = true));
}

// Every third one fails, after its first results are somebody else's already.
WEFT_JOB(struct weft_bytes, text_or_failure, long, x)
{
    char text[32];
    if (x >= 20 && x % 3 == 0)
        weft_fail(-EBADMSG, NULL);
    snprintf(text, sizeof text, "%ld", x);
    return weft_bytes_copy(text, strlen(text) + 1);
}

static int take_bytes_or_code(size_t index, int code, const void *result,
                              void *arg)
{
    bool fails = index >= 20 && index % 3 == 0;
    kit_assert_code(code, fails ? -EBADMSG : 0);
    ++*(int *)arg;
    if (fails)
        return 0;
    struct weft_bytes bytes = *(const struct weft_bytes *)result;
    ck_assert_int_eq(atol(bytes.data), (long)index);
    weft_bytes_free(&bytes);
    return 0;
}

static int count_to_1000(void *in_place, void *arg)
{
    static long next;
    (void)arg;
    *(long *)in_place = next++;
    return next <= 1000;
}

WEFT_TEST(bytes_and_failures_through_a_stream)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    int taken = 0;
    kit_assert_code(weft_map_stream(ex, text_or_failure, count_to_1000,
                                    take_bytes_or_code, &taken, .chunk = 8,
                                    .ordered = true),
                    0);
    ck_assert_int_eq(taken, 1000);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Places that have become free are filled before the stream waits again: here
// the last of the first four ends only when a fifth has been made.
static int made_by_now, ended_by_now;

WEFT_JOB(long, wait_for_the_fifth, long, x)
{
    if (x == 0) {
        kit_await(&made_by_now, 4);
        kit_await(&ended_by_now, 2); // then three are back at once
    }
    if (x == 3)
        kit_await(&made_by_now, 5);
    kit_count(&ended_by_now);
    return x;
}

static int make_eight(void *in_place, void *arg)
{
    (void)arg;
    *(long *)in_place = kit_load(&made_by_now);
    if (*(long *)in_place == 8)
        return 0;
    kit_count(&made_by_now);
    return 1;
}

WEFT_TEST(a_stream_fills_its_window_before_it_waits)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_map_stream(ex, wait_for_the_fifth, make_eight, ignore,
                                    NULL, .chunk = 1, .window = 4,
                                    .ordered = true),
                    0);
    ck_assert_int_eq(ended_by_now, 8);
    kit_assert_code(weft_executor_close(ex), 0);
}

// What has not begun when a stream ends has no result that could be freed, also
// where one of an earlier element stood.
enum { LAST = 49 };
static int made_so_far;

WEFT_JOB(struct weft_bytes, text_until_the_last, long, x)
{
    if (x == LAST)
        kit_await(&made_so_far, LAST + 3);
    if (x > LAST)
        weft_sleep(INFINITY);
    return weft_bytes_copy(&x, sizeof x);
}

static int make_counted(void *in_place, void *arg)
{
    (void)arg;
    *(long *)in_place = kit_load(&made_so_far);
    kit_count(&made_so_far);
    return 1;
}

static int take_until_the_last(size_t index, int code, const void *result,
                               void *arg)
{
    struct weft_bytes bytes = *(const struct weft_bytes *)result;
    kit_assert_code(code, 0);
    weft_bytes_free(&bytes);
    ++*(int *)arg;
    return index == LAST ? -EPIPE : 0;
}

WEFT_TEST(bytes_of_what_never_began)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int taken = 0;
    kit_assert_code(weft_map_stream(ex, text_until_the_last, make_counted,
                                    take_until_the_last, &taken, .chunk = 1,
                                    .window = 4, .ordered = true),
                    -EPIPE);
    ck_assert_int_eq(taken, LAST + 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

// A window is kept where chunks are asked for, too: those who came first stay
// until as many have come as may.
static int inside, most_inside, came;

WEFT_JOB(long, stay, long, x)
{
    int n = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    int most = kit_load(&most_inside);
    while (n > most &&
           !__atomic_compare_exchange_n(&most_inside, &most, n, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    kit_count(&came);
    kit_await(&came, 3);
    for (int i = 0; i < 20; i++)
        weft_yield();
    __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
    return x;
}

WEFT_TEST(a_window_with_chunks_of_one)
{
    enum { MANY = 40 };
    weft_executor *ex = weft_thread_pool(.workers = 8);
    long numbers[MANY], results[MANY];
    for (long i = 0; i < MANY; i++)
        numbers[i] = i;
    kit_assert_code(
        weft_map(ex, stay, numbers, MANY, results, .chunk = 1, .window = 3), 0);
    ck_assert_mem_eq(numbers, results, sizeof numbers);
    ck_assert_int_eq(most_inside, 3);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("map")
