// SPDX-License-Identifier: MIT
// lock: an uncontended lock and its release, one that processes share, and four
// threads that want one lock on two CPUs; beside the C library's mutexes.
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <threads.h>
#include <weft.h>

#include "support/bench.h"

enum { THREADS = 4 };

static struct weft_lock weft;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static mtx_t c11;

static void uncontended_weft(const struct bench_ask *ask,
                             struct bench_reply *reply)
{
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        if (weft_lock_acquire(&weft) != 0)
            bench_fail("weft_lock_acquire failed");
        reply->answer++;
        weft_lock_release(&weft);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
}

static void uncontended_mutex(const struct bench_ask *ask,
                              struct bench_reply *reply)
{
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        pthread_mutex_lock(&mutex);
        reply->answer++;
        pthread_mutex_unlock(&mutex);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
}

static void uncontended_c11(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    mtx_init(&c11, mtx_plain);
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        mtx_lock(&c11);
        reply->answer++;
        mtx_unlock(&c11);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
}

// In memory that processes share: held by one that dies, the next one is told.
static void uncontended_shared(const struct bench_ask *ask,
                               struct bench_reply *reply)
{
    weft_arena *arena;
    if (weft_arena_new(1 << 20, &arena) != 0)
        bench_fail("weft_arena_new failed");
    struct weft_lock *shared = weft_arena_value(arena, struct weft_lock);
    weft_lock_init(shared, .arena = arena);
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        if (weft_lock_acquire(shared) != 0)
            bench_fail("weft_lock_acquire failed");
        reply->answer++;
        weft_lock_release(shared);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
    weft_arena_close(arena);
}

static void uncontended_robust(const struct bench_ask *ask,
                               struct bench_reply *reply)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t *robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (robust == MAP_FAILED || pthread_mutex_init(robust, &attr) != 0)
        bench_fail("no mutex");
    double begin = bench_cpu();
    for (uint64_t i = 0; i < ask->ops; i++) {
        pthread_mutex_lock(robust);
        reply->answer++;
        pthread_mutex_unlock(robust);
    }
    reply->value = (bench_cpu() - begin) / (double)ask->ops;
}

static void ask_shared(void)
{
    static const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = uncontended_shared},
        {"robust pthread mutex", BENCH_PEER, .fn = uncontended_robust},
        {0}};
    bench_ask(&(struct bench_question){.name = "lock/shared",
                                       .what = "one acquire and release of a "
                                               "lock that processes share",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           50000000, 10000000, 2000),
                                       .warm = 2000,
                                       .bar = 1.0,
                                       .bar_against = "robust pthread mutex"},
              sides);
}

// Contended: each thread takes the lock `share` times; inside and outside it
// works for so many steps.
static uint64_t counter, share;
static long inside, outside;
static pthread_barrier_t start;

// One piece of code for all: inlined, this loop takes twice as long where it
// happens to cross the end of a cache line.
static __attribute__((noinline, aligned(64))) void work(long steps)
{
    for (long i = 0; i < steps; i++)
        __asm__ volatile("" ::: "memory");
}

static void *want_weft(void *arg)
{
    pthread_barrier_wait(&start);
    for (uint64_t i = 0; i < share; i++) {
        if (weft_lock_acquire(&weft) != 0)
            bench_fail("weft_lock_acquire failed");
        counter++;
        work(inside);
        weft_lock_release(&weft);
        work(outside);
    }
    return arg;
}

static void *want_mutex(void *arg)
{
    pthread_barrier_wait(&start);
    for (uint64_t i = 0; i < share; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        work(inside);
        pthread_mutex_unlock(&mutex);
        work(outside);
    }
    return arg;
}

// The first two CPUs that are allowed.
static void two_cpus(void)
{
    cpu_set_t all, two;
    CPU_ZERO(&two);
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&two) < 2; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &two);
    sched_setaffinity(0, sizeof two, &two);
}

static void contend(const struct bench_ask *ask, struct bench_reply *reply,
                    void *(*want)(void *))
{
    pthread_t threads[THREADS];
    share = ask->ops / THREADS;
    inside = ask->param[1];
    outside = ask->param[2];
    two_cpus();
    pthread_barrier_init(&start, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, want, NULL) != 0)
            bench_fail("pthread_create failed");
    pthread_barrier_wait(&start);
    double begin = bench_wall(), cpu = bench_cpu();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    double ops = (double)(share * THREADS);
    reply->value = (bench_wall() - begin) / ops;
    reply->more[0] = (bench_cpu() - cpu) / ops;
    reply->answer = counter + (ask->ops - share * THREADS);
}

static void contended_weft(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    contend(ask, reply, want_weft);
}

static void contended_mutex(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    contend(ask, reply, want_mutex);
}

static void ask_contended(const char *name, long in, long out, long ops)
{
    static const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = contended_weft},
        {"pthread mutex", BENCH_PEER, .fn = contended_mutex},
        {0}};
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "one acquire and release by one of four threads, by the "
                    "clock",
            .unit = "ns",
            .ops = (uint64_t)ops,
            .warm = 4000,
            .params = {{"threads", THREADS}, {"inside", in}, {"outside", out}},
            .more = {"cpu"},
            .bar = 1.0,
            .bar_against = "pthread mutex"},
        sides);
}

int main(int argc, char **argv)
{
    static const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = uncontended_weft},
        {"pthread mutex", BENCH_PEER, .fn = uncontended_mutex},
        {"C11 mtx_t", BENCH_PEER, .fn = uncontended_c11},
        {0}};
    bench_start("lock", argc, argv);
    bench_ask(&(struct bench_question){.name = "lock",
                                       .what = "one acquire and release",
                                       .unit = "ns",
                                       .ops = (uint64_t)bench_pick(
                                           50000000, 10000000, 2000),
                                       .warm = 2000,
                                       .bar = 1.0,
                                       .bar_against = "pthread mutex"},
              sides);
    ask_shared();
    ask_contended("lock/contended", 20, 20, bench_pick(8000000, 2000000, 4000));
    ask_contended("lock/contended/long", 500, 500,
                  bench_pick(2000000, 400000, 4000));
    return bench_end();
}
