// SPDX-License-Identifier: MIT
// payload: how does the cost of a job in another process grow with what it is
// given? The caller has so many bytes, the worker looks at each page of them
// and returns a number; one job after another.
//
//  weft_bytes   copied on the way, as any argument is
//  weft_buffer  handed over where they lie, the same buffer each time
//  pipe         what two processes need that have a pipe, and another for the
//               answer, and copy as often
//  memcpy       one copy in one process
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { PAGE = 4096, WARM = 2 };

static long look_at(const unsigned char *p, size_t n)
{
    long sum = 0;
    for (size_t i = 0; i < n; i += PAGE)
        sum += p[i];
    return sum;
}

WEFT_JOB(long, copied, struct weft_bytes, bytes)
{
    return look_at(bytes.data, bytes.len);
}

WEFT_JOB(long, handed_over, struct weft_buffer, buffer)
{
    return look_at(weft_buffer_data(buffer), buffer.len);
}

static void *full_of_ones(size_t n)
{
    void *p = malloc(n);
    if (p == NULL)
        bench_fail("no memory");
    return memset(p, 1, n);
}

// The mean of ask->ops calls, in us of the clock.
static void measure(const struct bench_ask *ask, struct bench_reply *reply,
                    long (*call)(void *arg), void *arg)
{
    for (int i = 0; i < WARM; i++)
        call(arg);
    double begin = bench_wall();
    for (uint64_t i = 0; i < ask->ops; i++)
        reply->answer += (uint64_t)call(arg);
    reply->value = (bench_wall() - begin) / (double)ask->ops / 1000;
    reply->more[0] = (double)ask->param[0] / reply->value;
}

struct sender {
    weft_executor *ex;
    const struct weft_job *job;
    const void *arg;
};

static long submit(void *arg)
{
    const struct sender *s = arg;
    long sum;
    int rc = weft_result(weft_submit_job(s->ex, s->job, s->arg), &sum);
    if (rc != 0)
        bench_fail("a job failed: %s", weft_strerror(rc));
    return sum;
}

static void bytes_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct weft_bytes bytes = {full_of_ones((size_t)ask->param[0]),
                               (size_t)ask->param[0]};
    struct sender s = {weft_process_pool(.workers = 1), &weft_job_copied,
                       &bytes};
    measure(ask, reply, submit, &s);
    weft_executor_close(s.ex);
    free(bytes.data);
}

static void buffer_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct weft_buffer buffer = weft_buffer_new((size_t)ask->param[0]);
    struct sender s = {weft_process_pool(.workers = 1), &weft_job_handed_over,
                       &buffer};
    if (weft_buffer_data(buffer) == NULL)
        bench_fail("no buffer");
    memset(weft_buffer_data(buffer), 1, buffer.len);
    measure(ask, reply, submit, &s);
    weft_executor_close(s.ex);
    weft_buffer_free(buffer);
}

// Floors ----------------------------------------------------------------------

struct block {
    size_t size;
    unsigned char *from, *to;
    int there[2], back[2]; // pipes
};

static struct block new_block(const struct bench_ask *ask)
{
    size_t n = (size_t)ask->param[0];
    return (struct block){
        .size = n, .from = full_of_ones(n), .to = full_of_ones(n)};
}

static long copy(void *arg)
{
    struct block *b = arg;
    memcpy(b->to, b->from, b->size);
    return look_at(b->to, b->size);
}

static void memcpy_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct block b = new_block(ask);
    measure(ask, reply, copy, &b);
}

static bool read_all(int fd, void *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, (char *)to + done, n - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static long send_through(void *arg)
{
    struct block *b = arg;
    long sum;
    for (size_t done = 0; done < b->size;) {
        ssize_t n = write(b->there[1], b->from + done, b->size - done);
        if (n <= 0)
            bench_fail("write failed");
        done += (size_t)n;
    }
    if (!read_all(b->back[0], &sum, sizeof sum))
        bench_fail("no answer");
    return sum;
}

static void serve(struct block *b)
{
    while (read_all(b->there[0], b->to, b->size)) {
        long sum = look_at(b->to, b->size);
        if (write(b->back[1], &sum, sizeof sum) != sizeof sum)
            break;
    }
    _exit(0);
}

static void pipe_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct block b = new_block(ask);
    if (pipe(b.there) != 0 || pipe(b.back) != 0)
        bench_fail("no pipes");
    pid_t pid = fork();
    if (pid == 0)
        serve(&b);
    if (pid < 0)
        bench_fail("fork failed");
    measure(ask, reply, send_through, &b);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// The questions ---------------------------------------------------------------

static const struct bench_side sides[] = {
    {"weft_bytes", BENCH_WEFT, .fn = bytes_side},
    {"weft_buffer", BENCH_WEFT, .fn = buffer_side},
    {"pipe", BENCH_FLOOR, .fn = pipe_side},
    {"memcpy", BENCH_FLOOR, .fn = memcpy_side},
    {"Python executor", BENCH_PEER, .program = "payload_python",
     .package = "python3", .part = 4},
    {0}};

// Fewer calls, the larger they are.
static uint64_t calls(long size)
{
    long most = bench_pick(5000, 1000, 2);
    long n = bench_pick(256, 64, 1) * (1 << 20) / size;
    return (uint64_t)(n > most ? most : n < 2 ? 2 : n);
}

static void ask(const char *name, long size)
{
    bench_ask(
        &(struct bench_question){.name = name,
                                 .what = "a job that is given so many bytes",
                                 .unit = "us",
                                 .ops = calls(size),
                                 .warm = 2,
                                 .params = {{"bytes", size}},
                                 .more = {"mb_per_s"}},
        sides);
}

int main(int argc, char **argv)
{
    weft_main_hook();
    bench_start("payload", argc, argv);
    ask("payload/64", 64);
    ask("payload/4KiB", 4 << 10);
    ask("payload/64KiB", 64 << 10);
    ask("payload/1MiB", 1 << 20);
    ask("payload/16MiB", 16 << 20);
    ask("payload/64MiB", 64 << 20);
    return bench_end();
}
