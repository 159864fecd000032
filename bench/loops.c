// SPDX-License-Identifier: MIT
// loops: parallel loops over arrays, on one worker and on two. The figure is
// the time on the clock in ms (empty: us); beside it the CPU time of the
// process.
//
//  sort     4,194,304 ints: stable, and in place
//  reduce   the sum of 16 million floats; the same for any number of workers
//  scan     the prefix sums of 4 million longs
//  saxpy    16 million floats, y = 2 x + y
//  empty    a loop of as many indices as workers, whose body does nothing
#include <weft.h>
#include <weft/sort.h>

#include "kernels.h"
#include "support/bench.h"

enum { EMPTY_LOOPS = 2000 };

WEFT_SORTABLE(sort_ints, int, a, b, *a < *b)

static int fold_floats(size_t begin, size_t end, void *acc, void *arg)
{
    const float *v = arg;
    // Four sums, as the compilers may not reorder one.
    float s[4] = {0};
    size_t i = begin;
    for (; i + 4 <= end; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += v[i + (size_t)k];
    for (; i < end; i++)
        s[0] += v[i];
    *(float *)acc += (s[0] + s[1]) + (s[2] + s[3]);
    return 0;
}

static void add_floats(void *left, const void *right, void *arg)
{
    (void)arg;
    *(float *)left += *(const float *)right;
}

static int fold_longs(size_t begin, size_t end, void *acc, void *arg)
{
    const long *v = arg;
    long sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += v[i];
    *(long *)acc += sum;
    return 0;
}

static int output_longs(size_t begin, size_t end, void *acc, void *arg)
{
    long *v = arg, sum = *(long *)acc;
    for (size_t i = begin; i < end; i++)
        v[i] = sum += v[i];
    *(long *)acc = sum;
    return 0;
}

static void add_longs(void *left, const void *right, void *arg)
{
    (void)arg;
    *(long *)left += *(const long *)right;
}

struct saxpy {
    const float *x;
    float *y;
};

static int saxpy(size_t begin, size_t end, void *arg)
{
    const struct saxpy *s = arg;
    for (size_t i = begin; i < end; i++)
        s->y[i] = 2 * s->x[i] + s->y[i];
    return 0;
}

static int nothing(size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    (void)arg;
    return 0;
}

static const struct weft_reduction float_sum = {
    sizeof(float), &(const float){0}, fold_floats, add_floats};
static const struct weft_scan long_scan = {
    {sizeof(long), &(const long){0}, fold_longs, add_longs},
    output_longs,
    true};

struct data {
    long n;
    int *ints;
    float *x, *y;
    long *longs;
    float sum;
};

static void fill(struct data *d, long kernel)
{
    size_t n = (size_t)d->n;
    if (kernel == SORT || kernel == SORT_IN_PLACE)
        fill_ints(d->ints = malloc(n * sizeof(int)), d->n);
    if (kernel == REDUCE || kernel == SAXPY)
        fill_floats(d->x = malloc(n * sizeof(float)), d->n);
    if (kernel == SAXPY)
        fill_floats(d->y = malloc(n * sizeof(float)), d->n);
    if (kernel == SCAN)
        fill_longs(d->longs = malloc(n * sizeof(long)), d->n);
}

static int run(weft_executor *ex, long kernel, struct data *d, long workers)
{
    size_t n = (size_t)d->n;
    int rc = 0;
    switch (kernel) {
    case SORT:
        return sort_ints(ex, d->ints, n);
    case SORT_IN_PLACE:
        return sort_ints_in_place(ex, d->ints, n);
    case REDUCE:
        return weft_parallel_reduce(0, n, &float_sum, &d->sum, d->x,
                                    .executor = ex);
    case SCAN:
        return weft_parallel_scan(0, n, &long_scan, NULL, d->longs,
                                  .executor = ex);
    case SAXPY: {
        struct saxpy s = {d->x, d->y};
        return weft_parallel_for(0, n, saxpy, &s, .executor = ex);
    }
    default:
        for (int i = 0; rc == 0 && i < EMPTY_LOOPS; i++)
            rc = weft_parallel_for(0, (size_t)workers, nothing, NULL,
                                   .executor = ex);
        return rc;
    }
}

static uint64_t answer(long kernel, const struct data *d)
{
    switch (kernel) {
    case SORT:
    case SORT_IN_PLACE:
        return check_ints(d->ints, d->n);
    case REDUCE:
        return (uint64_t)d->sum;
    case SCAN:
        return check_longs(d->longs, d->n);
    case SAXPY:
        return check_floats(d->y, d->n);
    default:
        return 0;
    }
}

static double scale(long kernel)
{
    return kernel == EMPTY ? 1e3 * EMPTY_LOOPS : 1e6;
}

// The loops run in a job of the pool, as a program's would: a loop from
// outside pays the way to the pool and back.
struct place {
    const struct bench_ask *ask;
    struct bench_reply *reply;
    weft_executor *ex;
};
WEFT_JOB(int, measure, struct place, p)
{
    long kernel = p.ask->param[0], workers = p.ask->param[1];
    struct data d = {.n = p.ask->param[2]};
    fill(&d, kernel);
    run(p.ex, EMPTY, &d, workers); // warm
    double cpu = bench_cpu(), wall = bench_wall();
    if (run(p.ex, kernel, &d, workers) != 0)
        bench_fail("the loop failed");
    p.reply->value = (bench_wall() - wall) / scale(kernel);
    p.reply->more[0] = (bench_cpu() - cpu) / scale(kernel);
    p.reply->answer = answer(kernel, &d);
    return 0;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_thread_pool(.workers = (unsigned)ask->param[1]);
    int out;
    if (weft_result(weft_submit(ex, measure, ask, reply, ex), &out) != 0)
        bench_fail("the job failed");
    weft_executor_close(ex);
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static void serial_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long kernel = ask->param[0];
    struct data d = {.n = ask->param[2]};
    size_t n = (size_t)d.n;
    long zero = 0;
    fill(&d, kernel);
    double cpu = bench_cpu(), wall = bench_wall();
    switch (kernel) {
    case SORT:
    case SORT_IN_PLACE:
        qsort(d.ints, n, sizeof(int), compare_ints);
        break;
    case REDUCE:
        for (size_t i = 0; i < n; i += 1 << 14)
            fold_floats(i, i + (1 << 14) < n ? i + (1 << 14) : n, &d.sum, d.x);
        break;
    case SCAN:
        output_longs(0, n, &zero, d.longs);
        break;
    case SAXPY:
        saxpy(0, n, &(struct saxpy){d.x, d.y});
        break;
    default:
        for (volatile int i = 0; i < EMPTY_LOOPS; i++)
            nothing(0, 1, NULL);
    }
    reply->value = (bench_wall() - wall) / scale(kernel);
    reply->more[0] = (bench_cpu() - cpu) / scale(kernel);
    reply->answer = answer(kernel, &d);
}

// bar: for one worker and for two; of the empty loop, times pthreadpool's.
static void ask(enum loop_kernel kernel, const char *const name[2],
                const char *what, long n, const double bar[2])
{
    bool is_plain = kernel == SAXPY || kernel == EMPTY;
    bool is_gnu = kernel < REDUCE || kernel == SCAN;
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = weft_side},
        {"serial", BENCH_FLOOR, .fn = serial_side},
        {"oneTBB", BENCH_PEER, .program = "loops_tbb", .package = "libtbb-dev"},
        {"rayon", BENCH_PEER, .program = "loops_rayon",
         .package = "librust-rayon-dev"},
        // OpenMP has neither, but GNU's C++ library has, made with it.
        {is_gnu ? "GNU parallel" : "OpenMP", BENCH_PEER,
         .program = is_gnu ? "loops_gnu" : "loops_openmp",
         .package = is_gnu ? "g++" : "gcc"},
        {is_plain ? "pthreadpool" : NULL, BENCH_PEER,
         .program = "loops_pthreadpool", .package = "libpthreadpool-dev"},
        {0}};
    for (int two = 0; two < 2; two++)
        bench_ask(
            &(struct bench_question){
                .name = name[two],
                .what = what,
                .unit = kernel == EMPTY ? "us" : "ms",
                .ops = 1,
                .slow = true,
                .params = {{"kernel", kernel}, {"workers", two + 1}, {"n", n}},
                .more = {"cpu"},
                .bar = bar[two],
                .bar_against = kernel == EMPTY ? "pthreadpool" : NULL},
            sides);
}

#define NAMES(name)                                                            \
    (const char *const[2])                                                     \
    {                                                                          \
        "loops/" name "/1", "loops/" name "/2"                                 \
    }

int main(int argc, char **argv)
{
    bench_start("loops", argc, argv);
    static const double sort[] = {300, 150}, reduce[] = {16, 8},
                        scan[] = {0, 2.2}, empty[] = {1.1, 1.1},
                        none[] = {0, 0};
    long many = bench_pick(1 << 22, 1 << 22, 10000);
    ask(SORT, NAMES("sort"), "4,194,304 ints, stable", many, sort);
    ask(SORT_IN_PLACE, NAMES("sort_in_place"), "4,194,304 ints", many, sort);
    ask(REDUCE, NAMES("reduce"), "16 Mi floats", 4 * many, reduce);
    ask(SCAN, NAMES("scan"), "4 Mi longs", many, scan);
    ask(SAXPY, NAMES("saxpy"), "16 Mi floats", 4 * many, none);
    ask(EMPTY, NAMES("empty"), "a loop that does nothing", 1, empty);
    return bench_end();
}
