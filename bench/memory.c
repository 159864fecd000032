// SPDX-License-Identifier: MIT
// memory: what does one more of a thing take? Of a lock and its like the bytes
// that the program must have for it; of a job that was submitted and has not
// begun, with its future, what the process has more in memory, for each. Tasks
// and connections are asked for by parked, pending, crowd and connection.
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <threads.h>
#include <weft.h>

#include "support/bench.h"

// Objects ---------------------------------------------------------------------

#define SIZE_SIDE(name, type)                                                  \
    static void name##_size(const struct bench_ask *ask,                       \
                            struct bench_reply *reply)                         \
    {                                                                          \
        reply->value = sizeof(type);                                           \
        reply->answer = ask->ops;                                              \
    }
SIZE_SIDE(lock, struct weft_lock)
SIZE_SIDE(rwlock, struct weft_rwlock)
SIZE_SIDE(condition, struct weft_condition)
SIZE_SIDE(semaphore, struct weft_semaphore)
SIZE_SIDE(barrier, struct weft_barrier)
SIZE_SIDE(pthread_mutex, pthread_mutex_t)
SIZE_SIDE(pthread_rwlock, pthread_rwlock_t)
SIZE_SIDE(pthread_cond, pthread_cond_t)
SIZE_SIDE(posix_semaphore, sem_t)
SIZE_SIDE(pthread_barrier, pthread_barrier_t)
SIZE_SIDE(c11_mutex, mtx_t)

static void ask_object(const char *name, bench_fn *weft, bench_fn *posix,
                       bench_fn *c11, double bar)
{
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = weft},
        {"POSIX", BENCH_PEER, .fn = posix},
        {c11 ? "C11" : NULL, BENCH_PEER, .fn = c11},
        {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "the object",
                                       .unit = "bytes",
                                       .ops = 1,
                                       .slow = true,
                                       .bar = bar,
                                       .reps = 1},
              sides);
}

// Jobs ------------------------------------------------------------------------

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
}

static sem_t gate;

// It holds its worker, whatever that is.
WEFT_JOB(long, hold, long, x)
{
    while (sem_wait(&gate) != 0)
        ;
    return x;
}

WEFT_JOB(long, hold_a_process, double, seconds)
{
    bench_sleep_us((long)(seconds * 1e6));
    return 0;
}

static weft_future **futures;

static void submit_all(weft_executor *ex, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        futures[i] = weft_submit(ex, triple, (long)i);
}

static uint64_t collect_all(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        long x;
        if (weft_result(futures[i], &x) != 0)
            bench_fail("a job failed");
        sum += (uint64_t)x;
    }
    return sum;
}

static void weigh(const struct bench_ask *ask, struct bench_reply *reply,
                  weft_executor *ex)
{
    double rss = bench_rss(), tables = bench_page_tables();
    submit_all(ex, ask->ops);
    bench_tell_memory(reply, bench_rss() - rss, bench_page_tables() - tables,
                      (double)ask->ops);
}

// The array of futures is the program's own, and there before.
static void take_room(uint64_t n)
{
    size_t size = n * sizeof(weft_future *);
    futures = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (futures == MAP_FAILED)
        bench_fail("no memory");
}

static void thread_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    take_room(ask->ops);
    sem_init(&gate, 0, 0);
    weft_executor *ex = weft_thread_pool(.workers = 1);
    long x;
    weft_result(weft_submit(ex, triple, 1), &x);
    weft_future *held = weft_submit(ex, hold, 0);
    weigh(ask, reply, ex);
    sem_post(&gate);
    reply->answer = collect_all(ask->ops);
    weft_result(held, &x);
    weft_executor_close(ex);
}

// The parent's memory. The worker sleeps long enough, and if it did not, the
// figure is too small, not too large.
static void process_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    take_room(ask->ops);
    weft_executor *ex = weft_process_pool(.workers = 1);
    long x;
    weft_result(weft_submit(ex, triple, 1), &x);
    weft_future *held =
        weft_submit(ex, hold_a_process, (double)ask->param[0] / 1000);
    weigh(ask, reply, ex);
    reply->answer = collect_all(ask->ops);
    weft_result(held, &x);
    weft_executor_close(ex);
}

static void ask_job(const char *name, const struct bench_side *sides, long ops)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "a job that waits for its turn, and its future",
            .unit = "bytes",
            .ops = (uint64_t)ops,
            .warm = 200,
            .params = {{"hold_ms", bench_pick(1000, 500, 10)}},
            .more = {"rss", "page_tables"},
            .reps = (unsigned)bench_pick(7, 3, 1)},
        sides);
}

int main(int argc, char **argv)
{
    static const struct bench_side threads[] = {
        {"weft", BENCH_WEFT, .fn = thread_side},
        {"GThreadPool", BENCH_PEER, .program = "memory_job_glib",
         .package = "libglib2.0-dev"},
        {"Python", BENCH_PEER, .program = "memory_job_python",
         .package = "python3", .part = 10},
        {0}};
    static const struct bench_side processes[] = {
        {"weft", BENCH_WEFT, .fn = process_side},
        {"Python executor", BENCH_PEER, .program = "memory_process_python",
         .package = "python3", .part = 10},
        {0}};
    weft_main_hook();
    bench_start("memory", argc, argv);
    ask_object("memory/lock", lock_size, pthread_mutex_size, c11_mutex_size,
               16);
    ask_object("memory/rwlock", rwlock_size, pthread_rwlock_size, NULL, 0);
    ask_object("memory/condition", condition_size, pthread_cond_size, NULL, 0);
    ask_object("memory/semaphore", semaphore_size, posix_semaphore_size, NULL,
               0);
    ask_object("memory/barrier", barrier_size, pthread_barrier_size, NULL, 0);
    ask_job("memory/job", threads, bench_pick(200000, 50000, 1000));
    ask_job("memory/process_job", processes, bench_pick(50000, 10000, 200));
    return bench_end();
}
