// SPDX-License-Identifier: MIT
// hand_over: 16 MiB to a job in a worker process: by reference in a buffer
// that is used again, untouched and with every page read: what that takes
// longer than a job with nothing to look at; and copied as struct weft_bytes,
// beside a plain copy, into a job and out of it.
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "support/bench.h"

enum { SIZE = 16 << 20, PAGE = 4096, MOST = 20000 };

struct order {
    struct weft_buffer buffer;
    long read; // every page
};

static unsigned long pages(const unsigned char *p, size_t n)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < n; i += PAGE)
        sum += p[i];
    return sum;
}

WEFT_JOB(unsigned long, look_at, struct order, order)
{
    const unsigned char *p = weft_buffer_data(order.buffer);
    return order.read ? pages(p, order.buffer.len) : p != NULL;
}

WEFT_JOB(unsigned long, nothing, struct order, order)
{
    return order.read ? pages((unsigned char *)&order, 1) : 1;
}

WEFT_JOB(unsigned long, look_at_copy, struct weft_bytes, bytes)
{
    return pages(bytes.data, bytes.len);
}

static unsigned long take(weft_future *f)
{
    unsigned long x;
    if (weft_result(f, &x) != 0)
        bench_fail("a job failed");
    return x;
}

// Submits a job to a buffer that was just made, and takes its result. How long
// that took, in us of the clock.
static double one_job(weft_executor *ex, const struct weft_job *job,
                      struct order *order, uint64_t *answer)
{
    double begin = bench_wall();
    weft_buffer_free(order->buffer);
    order->buffer = weft_buffer_new(SIZE);
    *answer += take(weft_submit_job(ex, job, order)) > 0;
    return (bench_wall() - begin) / 1e3;
}

// Jobs that look and jobs that do not in turn; what the median of the first is
// above that of the others.
static void buffer_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    static double with[MOST], without[MOST];
    unsigned n = ask->ops < MOST ? (unsigned)ask->ops : MOST;
    weft_executor *ex = weft_process_pool(.workers = 1);
    struct order order = {weft_buffer_new(SIZE), ask->param[0]};
    uint64_t ignored = 0;
    memset(weft_buffer_data(order.buffer), 1, SIZE);
    for (int i = 0; i < 20; i++)
        one_job(ex, &weft_job_look_at, &order, &ignored);
    for (unsigned i = 0; i < n; i++) {
        with[i] = one_job(ex, &weft_job_look_at, &order, &reply->answer);
        without[i] = one_job(ex, &weft_job_nothing, &order, &ignored);
    }
    reply->more[0] = bench_median(with, n);
    reply->more[1] = bench_median(without, n);
    reply->value = reply->more[0] - reply->more[1];
    weft_buffer_free(order.buffer);
    weft_executor_close(ex);
}

static void bytes_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    struct weft_bytes bytes = {malloc(SIZE), SIZE};
    memset(bytes.data, 1, SIZE);
    for (int i = 0; i < 5; i++)
        take(weft_submit_job(ex, &weft_job_look_at_copy, &bytes));
    double begin = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++)
        reply->answer +=
            take(weft_submit_job(ex, &weft_job_look_at_copy, &bytes)) > 0;
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1e3;
    weft_executor_close(ex);
}

static void copy_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    char *from = malloc(SIZE), *to = malloc(SIZE);
    memset(from, 1, SIZE);
    memset(to, 1, SIZE);
    double begin = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++) {
        from[i % SIZE]++;
        memcpy(to, from, SIZE);
        reply->answer += pages((unsigned char *)to, SIZE) > 0;
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1e3;
}

WEFT_JOB(struct weft_bytes, make, int, value)
{
    struct weft_bytes bytes = weft_bytes_new(SIZE);
    memset(bytes.data, value, SIZE);
    return bytes;
}

static void result_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    double begin = 0;
    for (uint64_t i = 0; i < ask->ops + 5; i++) {
        struct weft_bytes bytes;
        if (i == 5)
            begin = bench_wall();
        if (weft_result(weft_submit(ex, make, 1), &bytes) != 0)
            bench_fail("a job failed");
        if (i >= 5)
            reply->answer += pages(bytes.data, bytes.len) / (SIZE / PAGE);
        weft_bytes_free(&bytes);
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1e3;
    weft_executor_close(ex);
}

static void fill_and_copy_side(const struct bench_ask *ask,
                               struct bench_reply *reply)
{
    char *from = malloc(SIZE), *to = malloc(SIZE);
    memset(from, 1, SIZE);
    memset(to, 1, SIZE);
    double begin = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++) {
        memset(from, 1, SIZE);
        __asm__ volatile("" ::"r"(from) : "memory"); // it was needed
        memcpy(to, from, SIZE);
        reply->answer += pages((unsigned char *)to, SIZE) / (SIZE / PAGE);
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1e3;
}

static const struct bench_side by_reference[] = {
    {"weft_buffer", BENCH_WEFT, .fn = buffer_side}, {0}};

static const struct bench_side by_copy[] = {
    {"struct weft_bytes", BENCH_WEFT, .fn = bytes_side},
    {"memcpy", BENCH_FLOOR, .fn = copy_side},
    {0}};

static const struct bench_side returned[] = {
    {"weft_bytes_new", BENCH_WEFT, .fn = result_side},
    {"memset, memcpy", BENCH_FLOOR, .fn = fill_and_copy_side},
    {0}};

static void ask_reference(const char *name, const char *what, long read,
                          long ops, double bar)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = what,
                                       .unit = "us",
                                       .ops = (uint64_t)ops,
                                       .warm = 10,
                                       .params = {{"pages_read", read}},
                                       .more = {"with_it", "without"},
                                       .bar = bar},
              by_reference);
}

int main(int argc, char **argv)
{
    bench_start("hand_over", argc, argv);
    long ops = bench_pick(20000, 5000, 50);
    ask_reference("hand_over/untouched", "16 MiB to a job, above a job", 0, ops,
                  2);
    ask_reference("hand_over/read", "the same, with every page read", 1,
                  ops / 5, 150);
    // Once in and once out.
    bench_ask(&(struct bench_question){.name = "hand_over/copied",
                                       .what = "16 MiB to a job, by copy",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(100, 20, 2),
                                       .warm = 2,
                                       .params = {{"pages_read", 1}},
                                       .bar = 2,
                                       .bar_against = "memcpy"},
              by_copy);
    bench_ask(&(struct bench_question){.name = "hand_over/returned",
                                       .what = "16 MiB that a job fills and "
                                               "returns",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(100, 20, 2),
                                       .warm = 2,
                                       .bar = 2,
                                       .bar_against = "memset, memcpy"},
              returned);
    return bench_end();
}
