// SPDX-License-Identifier: MIT
// Timed calls, and the futex line.
#include "rounds.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 20000 };

void bench_rounds(const struct bench_ask *ask, struct bench_reply *reply,
                  long gap_us, long (*call)(void *arg, long x), void *arg)
{
    static double walls[MOST];
    unsigned n = ask->ops < MOST ? (unsigned)ask->ops : MOST;
    double cpu = 0;
    for (unsigned i = 0; i < n + BENCH_ROUNDS_WARM; i++) {
        double cpu_begin = bench_cpu();
        double begin = bench_wall();
        long got = call(arg, i);
        double wall = bench_wall() - begin;
        if (i >= BENCH_ROUNDS_WARM) {
            walls[i - BENCH_ROUNDS_WARM] = wall;
            cpu += bench_cpu() - cpu_begin;
            reply->answer += (uint64_t)got;
        }
        bench_sleep_us(gap_us);
    }
    reply->value = bench_median(walls, n) / 1000;
    reply->more[0] = walls[0] / 1000;
    reply->more[1] = walls[n * 9 / 10] / 1000;
    reply->more[2] = walls[n * 99 / 100] / 1000;
    reply->more[3] = cpu / n / 1000;
}

static long futex(struct bench_line *line, uint32_t *word, int op, uint32_t n)
{
    int private = line->shared ? 0 : FUTEX_PRIVATE_FLAG;
    return syscall(SYS_futex, word, op | private, n, NULL);
}

static void await(struct bench_line *line, uint32_t *word)
{
    // acquire; partner: the store in post
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
        futex(line, word, FUTEX_WAIT, 0);
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

static void post(struct bench_line *line, uint32_t *word)
{
    // release; partner: the load in await
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    futex(line, word, FUTEX_WAKE, 1);
}

long bench_line_call(void *arg, long x)
{
    struct bench_line *line = arg;
    line->value = x;
    post(line, &line->request);
    await(line, &line->response);
    return line->value;
}

void bench_line_serve(struct bench_line *line, long (*fn)(long x))
{
    for (await(line, &line->request); !line->stop;
         await(line, &line->request)) {
        line->value = fn(line->value);
        post(line, &line->response);
    }
}

void bench_line_stop(struct bench_line *line)
{
    line->stop = true;
    post(line, &line->request);
}
