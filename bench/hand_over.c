// SPDX-License-Identifier: MIT
// hand_over: 16 MiB to a job in a worker process: by reference in a buffer
// that is used again, untouched and with every page read, beside a job with an
// empty argument; and copied as struct weft_bytes, beside a plain copy.
#include <stdlib.h>
#include <string.h>
#include <weft.h>

#include "support/bench.h"

enum { SIZE = 16 << 20, PAGE = 4096 };

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

static void run(const struct bench_ask *ask, struct bench_reply *reply,
                const struct weft_job *job)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    struct order order = {weft_buffer_new(SIZE), ask->param[0]};
    memset(weft_buffer_data(order.buffer), 1, SIZE);
    for (int i = 0; i < 20; i++)
        take(weft_submit_job(ex, job, &order));
    double begin = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++) {
        weft_buffer_free(order.buffer); // a new one each time
        order.buffer = weft_buffer_new(SIZE);
        reply->answer += take(weft_submit_job(ex, job, &order)) > 0;
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1e3;
    weft_executor_close(ex);
}

static void buffer_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    run(ask, reply, &weft_job_look_at);
}

static void empty_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    run(ask, reply, &weft_job_nothing);
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

static const struct bench_side by_reference[] = {
    {"weft_buffer", BENCH_WEFT, .fn = buffer_side},
    {"a job with nothing", BENCH_FLOOR, .fn = empty_side},
    {0}};

static const struct bench_side by_copy[] = {
    {"struct weft_bytes", BENCH_WEFT, .fn = bytes_side},
    {"memcpy", BENCH_FLOOR, .fn = copy_side},
    {0}};

static void ask(const char *name, long read, uint64_t ops,
                const struct bench_side *sides)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "16 MiB to a job",
                                       .unit = "us",
                                       .ops = ops,
                                       .warm = 10,
                                       .params = {{"pages_read", read}}},
              sides);
}

int main(int argc, char **argv)
{
    bench_start("hand_over", argc, argv);
    uint64_t ops = (uint64_t)bench_pick(20000, 5000, 50);
    ask("hand_over/untouched", 0, ops, by_reference);
    ask("hand_over/read", 1, ops / 5, by_reference);
    ask("hand_over/copied", 1, ops / 100 + 1, by_copy);
    return bench_end();
}
