// SPDX-License-Identifier: MIT
// Loops: each index once, the same result for any number of workers, failures,
// cancel, nesting.
#include "held.h"

#include <float.h>

enum { N = 100000 };

// ck_assert writes a note each time, which is too slow for each index.
#define EXPECT(cond)                                                           \
    do {                                                                       \
        if (!(cond))                                                           \
            ck_abort_msg("not true: %s", #cond);                               \
    } while (0)

static unsigned char seen[N];

static int mark(size_t begin, size_t end, void *arg)
{
    (void)arg;
    for (size_t i = begin; i < end; i++)
        seen[i]++;
    return 0;
}

static void check_marks(size_t begin, size_t end)
{
    for (size_t i = 0; i < N; i++)
        EXPECT(seen[i] == (i >= begin && i < end));
    memset(seen, 0, sizeof seen);
}

KIT_BOTH(each_index_runs_once, .timeout = 30)
{
    static const size_t ends[] = {0, 1, 2, 3, 17, 1000, N};
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            kit_assert_code(
                weft_parallel_for(0, ends[i], mark, NULL, .executor = ex), 0);
            check_marks(0, ends[i]);
        }
        kit_assert_code(
            weft_parallel_for(7, N, mark, NULL, .executor = ex, .grain = 1000),
            0);
        check_marks(7, N);
        weft_executor_close(ex);
    }
    kit_assert_code(weft_parallel_for(5, 1000, mark, NULL), 0);
    check_marks(5, 1000);
    kit_assert_code(weft_parallel_for(5, 4, mark, NULL), 0);
    check_marks(0, 0);
}

static int count_workers(size_t begin, size_t end, void *arg)
{
    // Goes on when as many run at once as there are workers.
    for (; begin < end; begin++) {
        kit_count(arg);
        kit_await(arg, 3);
    }
    return 0;
}

WEFT_TEST(long_pieces_run_on_all_workers, .timeout = 30)
{
    int inside = 0;
    weft_executor *ex = weft_thread_pool(.workers = 3);
    kit_assert_code(
        weft_parallel_for(0, 3, count_workers, &inside, .executor = ex), 0);
    weft_executor_close(ex);
}

static int fold_long(size_t begin, size_t end, void *acc, void *arg)
{
    *(int *)acc += (int)(end - begin);
    return count_workers(begin, end, arg);
}

static void add_ints(void *left, const void *right, void *arg)
{
    (void)arg;
    *(int *)left += *(const int *)right;
}

WEFT_TEST(long_blocks_run_on_all_workers, .timeout = 30)
{
    const struct weft_reduction what = {sizeof(int), &(const int){0}, fold_long,
                                        add_ints};
    int inside = 0, sum = 0;
    weft_executor *ex = weft_thread_pool(.workers = 3);
    kit_assert_code(
        weft_parallel_reduce(0, 3, &what, &sum, &inside, .executor = ex), 0);
    ck_assert_int_eq(sum, 3);
    weft_executor_close(ex);
}

static int fail_at_odd(size_t begin, size_t end, void *arg)
{
    (void)arg;
    for (size_t i = begin; i < end; i++)
        if (i >= 500 && i % 2 == 1)
            return -(int)i;
    return 0;
}

KIT_BOTH(the_failure_with_the_lowest_index_is_told)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    kit_assert_code(
        weft_parallel_for(0, 4000, fail_at_odd, NULL, .executor = ex), -501);
    weft_executor_close(ex);
    ex = weft_thread_pool(.workers = 4);
    int rc = weft_parallel_for(0, 4000, fail_at_odd, NULL, .executor = ex);
    ck_assert_int_lt(rc, -500);
    weft_executor_close(ex);
}

static int begun;

static int count_and_sleep(size_t begin, size_t end, void *arg)
{
    (void)arg;
    (void)begin;
    (void)end;
    kit_count(&begun);
    weft_sleep(0.001);
    return 0;
}

KIT_BOTH(a_timeout_ends_a_loop, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    {
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_parallel_for(0, SIZE_MAX, count_and_sleep, NULL,
                                          .executor = ex),
                        -ETIMEDOUT);
        kit_assert_code(weft_parallel_for(0, 1, mark, NULL), -ETIMEDOUT);
    }
    weft_executor_close(ex);
    check_marks(0, 0);
}

// Nesting ---------------------------------------------------------------------

static int inner_sum(size_t begin, size_t end, void *arg)
{
    __atomic_fetch_add((long *)arg, (long)(end - begin), __ATOMIC_RELAXED);
    return 0;
}

static int outer_sum(size_t begin, size_t end, void *arg)
{
    int rc = 0;
    for (size_t i = begin; rc == 0 && i < end; i++)
        rc = weft_parallel_for(0, 100, inner_sum, arg);
    return rc;
}

static int a_body_that_wants(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    return want_what_is_held(arg);
}

// A body cannot have what the caller of its loop holds: the loop does not leave
// it behind.
KIT_BOTH(a_body_that_wants_what_the_caller_has_is_waited_for, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    struct held h = {.began = 0};
    kit_assert_code(weft_lock_acquire(&h.lock), 0);
    for (double limit = 0.02; kit_load(&h.began) == 0; limit *= 2) {
        WEFT_TIMEOUT(limit);
        ck_assert_int_lt(
            weft_parallel_for(0, 1, a_body_that_wants, &h, .executor = ex), 0);
    }
    ck_assert_int_eq(kit_load(&h.ended), kit_load(&h.began));
    kit_assert_code(h.code, -WEFT_EDEADLOCK);
    weft_lock_release(&h.lock);
    weft_executor_close(ex);
}

KIT_BOTH(loops_nest, .timeout = 30)
{
    long sum = 0;
    weft_executor *ex = weft_thread_pool(.workers = 3);
    kit_assert_code(weft_parallel_for(0, 1000, outer_sum, &sum, .executor = ex),
                    0);
    ck_assert_int_eq(sum, 100000);
    weft_executor_close(ex);
}

// Tiles -----------------------------------------------------------------------

struct box {
    size_t extent[3];
    unsigned char seen[30][40][50];
};

static int mark_tile(const struct weft_tile *t, void *arg)
{
    struct box *box = arg;
    for (size_t i = t->begin[0]; i < t->end[0]; i++)
        for (size_t j = t->begin[1]; j < t->end[1]; j++)
            for (size_t k = t->begin[2]; k < t->end[2]; k++)
                box->seen[i][j][k]++;
    return 0;
}

static void check_box(unsigned d, const size_t *extent, const size_t *tile)
{
    struct box *box = calloc(1, sizeof *box);
    size_t n[3] = {1, 1, 1};
    memcpy(n, extent, d * sizeof *n);
    kit_assert_code(weft_parallel_tiles(d, extent, tile, mark_tile, box), 0);
    for (size_t i = 0; i < 30; i++)
        for (size_t j = 0; j < 40; j++)
            for (size_t k = 0; k < 50; k++)
                EXPECT(box->seen[i][j][k] ==
                       (i < n[0] && j < n[1] && k < n[2]));
    free(box);
}

KIT_BOTH(tiles_cover_the_box)
{
    check_box(1, (size_t[]){17}, NULL);
    check_box(1, (size_t[]){17}, (size_t[]){5});
    check_box(2, (size_t[]){17, 31}, NULL);
    check_box(2, (size_t[]){17, 31}, (size_t[]){4, 8});
    check_box(3, (size_t[]){30, 40, 50}, NULL);
    check_box(3, (size_t[]){29, 39, 49}, (size_t[]){7, 0, 16});
    check_box(3, (size_t[]){29, 0, 49}, NULL);
    const size_t huge[2] = {SIZE_MAX, SIZE_MAX}, one[2] = {1, 1};
    kit_assert_code(weft_parallel_tiles(0, huge, NULL, mark_tile, NULL),
                    -EINVAL);
    kit_assert_code(weft_parallel_tiles(4, huge, NULL, mark_tile, NULL),
                    -EINVAL);
    kit_assert_code(weft_parallel_tiles(2, huge, one, mark_tile, NULL),
                    -EOVERFLOW);
}

// Reductions ------------------------------------------------------------------

static float *numbers(size_t n)
{
    float *v = malloc(n * sizeof *v);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        v[i] = (float)x / 1e5f - 20000;
    }
    return v;
}

static int fold_floats(size_t begin, size_t end, void *acc, void *arg)
{
    const float *v = arg;
    for (size_t i = begin; i < end; i++)
        *(float *)acc += v[i];
    return 0;
}

static void add_floats(void *left, const void *right, void *arg)
{
    (void)arg;
    *(float *)left += *(const float *)right;
}

static const struct weft_reduction float_sum = {
    .size = sizeof(float),
    .identity = &(const float){0},
    .fold = fold_floats,
    .combine = add_floats,
};

KIT_BOTH(a_sum_of_floats_is_the_same_for_any_number_of_workers, .timeout = 30)
{
    float *v = numbers(N), want = 0;
    for (unsigned n = 1; n <= 6; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        for (int turn = 0; turn < 5; turn++) {
            float sum;
            kit_assert_code(
                weft_parallel_reduce(0, N, &float_sum, &sum, v, .executor = ex),
                0);
            if (n == 1 && turn == 0)
                want = sum;
            ck_assert_mem_eq(&sum, &want, sizeof sum);
        }
        weft_executor_close(ex);
    }
    free(v);
}

// First and last index, and their number: associative, not commutative.
struct span {
    size_t first, last, count;
};

static int fold_span(size_t begin, size_t end, void *acc, void *arg)
{
    struct span *span = acc;
    (void)arg;
    for (size_t i = begin; i < end; i++) {
        EXPECT(span->count == 0 || span->last + 1 == i);
        if (span->count++ == 0)
            span->first = i;
        span->last = i;
    }
    return 0;
}

static void join_spans(void *left, const void *right, void *arg)
{
    struct span *a = left;
    const struct span *b = right;
    (void)arg;
    EXPECT(a->last + 1 == b->first);
    a->last = b->last;
    a->count += b->count;
}

static const struct weft_reduction spans = {
    .size = sizeof(struct span),
    .identity = &(const struct span){0, 0, 0},
    .fold = fold_span,
    .combine = join_spans,
};

KIT_BOTH(neighbours_are_combined_in_order, .timeout = 30)
{
    static const size_t counts[] = {1, 2, 3, 100, 1023, 1024, 1025, 70001};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t grain = 0; grain < 3000; grain += 997) {
            struct span span;
            kit_assert_code(weft_parallel_reduce(10, 10 + counts[i], &spans,
                                                 &span, NULL, .grain = grain),
                            0);
            ck_assert_uint_eq(span.first, 10);
            ck_assert_uint_eq(span.count, counts[i]);
        }
    }
    struct span none = {1, 1, 1};
    kit_assert_code(weft_parallel_reduce(3, 3, &spans, &none, NULL), 0);
    ck_assert_uint_eq(none.count, 0);
}

static int fold_that_fails(size_t begin, size_t end, void *acc, void *arg)
{
    (void)end;
    (void)acc;
    (void)arg;
    return begin > 100 ? -EDOM : 0;
}

KIT_BOTH(a_failure_ends_a_reduction)
{
    struct weft_reduction what = float_sum;
    float sum = 7;
    what.fold = fold_that_fails;
    kit_assert_code(weft_parallel_reduce(0, 10000, &what, &sum, NULL), -EDOM);
    ck_assert(sum == 7);
}

// Scans -----------------------------------------------------------------------

struct scanned {
    const float *in;
    float *out;
};

static int fold_scanned(size_t begin, size_t end, void *acc, void *arg)
{
    return fold_floats(begin, end, acc, (void *)((struct scanned *)arg)->in);
}

static int output_scanned(size_t begin, size_t end, void *acc, void *arg)
{
    struct scanned *s = arg;
    for (size_t i = begin; i < end; i++)
        s->out[i] = *(float *)acc += s->in[i];
    return 0;
}

static const struct weft_scan float_scan = {
    .sum = {.size = sizeof(float),
            .identity = &(const float){0},
            .fold = fold_scanned,
            .combine = add_floats},
    .output = output_scanned,
};

KIT_BOTH(a_scan_of_floats_is_the_same_for_any_number_of_workers, .timeout = 30)
{
    enum { MORE = 5 * N };
    float *v = numbers(MORE), *want = malloc(MORE * sizeof *want), all = 0;
    float *out = malloc(MORE * sizeof *out), total;
    for (unsigned n = 1; n <= 5; n++) {
        struct scanned s = {v, n == 1 ? want : out};
        weft_executor *ex = weft_thread_pool(.workers = n);
        kit_assert_code(weft_parallel_scan(0, MORE, &float_scan, &total, &s,
                                           .executor = ex),
                        0);
        if (n == 1)
            all = total;
        else
            ck_assert_mem_eq(out, want, MORE * sizeof *out);
        ck_assert_mem_eq(&total, &all, sizeof all);
        weft_executor_close(ex);
    }
    free(v);
    free(out);
    free(want);
}

struct longs {
    long v[N];
};

static int fold_longs(size_t begin, size_t end, void *acc, void *arg)
{
    for (size_t i = begin; i < end; i++)
        *(long *)acc += ((struct longs *)arg)->v[i];
    return 0;
}

static int output_longs(size_t begin, size_t end, void *acc, void *arg)
{
    for (size_t i = begin; i < end; i++) // in place
        *(long *)acc = ((struct longs *)arg)->v[i] += *(long *)acc;
    return 0;
}

static void add_longs(void *left, const void *right, void *arg)
{
    (void)arg;
    *(long *)left += *(const long *)right;
}

static void scan_in_place(bool exact)
{
    static struct longs longs;
    const struct weft_scan scan = {
        .exact = exact,
        .sum = {sizeof(long), &(const long){0}, fold_longs, add_longs},
        .output = output_longs};
    static const size_t counts[] = {0, 1, 2, 63, 64, 65, 5000, N};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        long n = (long)counts[c], total = -1;
        for (long i = 0; i < n; i++)
            longs.v[i] = i;
        kit_assert_code(weft_parallel_scan(0, (size_t)n, &scan, &total, &longs),
                        0);
        for (long i = 0; i < n; i++)
            EXPECT(longs.v[i] == i * (i + 1) / 2);
        ck_assert_int_eq(total, n * (n - 1) / 2);
    }
}

// A scan whose first worker waits in its first output until others have folded
// all that was given away: so they output it, and run ahead, and so on.
enum { AHEAD = 64 * 100 };

struct ahead {
    long in[AHEAD], out[AHEAD];
    int waited, folded;
    double until;
};

static int fold_ahead(size_t begin, size_t end, void *sum, void *arg)
{
    struct ahead *a = arg;
    for (size_t i = begin; i < end; i++)
        *(long *)sum += a->in[i];
    kit_count(&a->folded);
    return 0;
}

static int output_ahead(size_t begin, size_t end, void *sum, void *arg)
{
    struct ahead *a = arg;
    if (begin == 0)
        while (kit_load(&a->folded) < 24 && weft_now() < a->until)
            a->waited++;
    for (size_t i = begin; i < end; i++)
        a->out[i] = *(long *)sum += a->in[i];
    return 0;
}

static void scan_ahead(bool exact)
{
    static struct ahead a;
    const struct weft_scan scan = {.sum = {.size = sizeof(long),
                                           .identity = &(const long){0},
                                           .fold = fold_ahead,
                                           .combine = add_longs},
                                   .output = output_ahead,
                                   .exact = exact};
    weft_executor *ex = weft_thread_pool(.workers = 4);
    long total = 0, sum = 0;
    memset(&a, 0, sizeof a);
    for (long i = 0; i < AHEAD; i++)
        a.in[i] = i % 1000 - 3;
    a.until = weft_now() + weft_test_seconds(1);
    kit_assert_code(
        weft_parallel_scan(0, AHEAD, &scan, &total, &a, .executor = ex), 0);
    for (long i = 0; i < AHEAD; i++) {
        sum += a.in[i];
        ck_assert_msg(a.out[i] == sum, "%ld: %ld, not %ld", i, a.out[i], sum);
    }
    ck_assert_int_eq(total, sum);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(a_scan_runs_ahead, .timeout = 30)
{
    for (int i = 0; i < 5; i++) {
        scan_ahead(false);
        scan_ahead(true);
    }
}

KIT_BOTH(a_scan_may_be_in_place)
{
    scan_in_place(false);
    scan_in_place(true);
}

WEFT_TEST_MAIN("parallel")
