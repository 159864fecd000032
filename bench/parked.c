// SPDX-License-Identifier: MIT
// parked: how much memory does a task take that has started and waits?
// Resident memory and page tables, after and before, for each task.
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <weft.h>

#include "support/bench.h"

struct crowd {
    long tasks, arrived, left;
    bool open;
    weft_waiter **waiters;
    double rss, tables; // before, then the difference
    double begin, end;  // CPU time of starting and parking all
};

static int wait_inside(void *arg)
{
    struct crowd *c = arg;
    c->waiters[c->arrived++] = weft_self();
    while (!c->open)
        if (weft_park(INFINITY) != 0)
            bench_fail("weft_park failed");
    c->left++;
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return weft_yield();
}

static void gather_and_weigh(struct crowd *c)
{
    c->rss = bench_rss();
    c->tables = bench_page_tables();
    c->begin = bench_cpu();
    for (long i = 0; i < c->tasks; i++)
        weft_future_unref(weft_task_start(wait_inside, c));
    while (c->arrived < c->tasks)
        weft_yield();
    c->end = bench_cpu();
    c->rss = bench_rss() - c->rss;
    c->tables = bench_page_tables() - c->tables;
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    int rc = 0;
    {
        WEFT_GROUP(g, &rc);
        weft_join(weft_task_start(nothing, NULL));
        gather_and_weigh(c);
        c->open = true;
        for (long i = 0; i < c->tasks; i++)
            weft_unpark(c->waiters[i]);
    }
    return rc;
}

// Memory that is resident before the first reading.
static void *touched(size_t size)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        bench_fail("no memory");
    return p;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct crowd c = {.tasks = (long)ask->ops};
    c.waiters = touched(ask->ops * sizeof *c.waiters);
    if (weft_run(crowd_main, &c, .stack_size = (size_t)ask->param[0]) != 0)
        bench_fail("weft_run failed");
    bench_tell_memory(reply, c.rss, c.tables, (double)c.tasks);
    reply->more[2] = (c.end - c.begin) / (double)c.tasks;
    reply->answer = (uint64_t)c.left;
}

// The least: one page touched at the top of each stack.
static void page_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    size_t stack = (size_t)ask->param[0];
    double rss = bench_rss(), tables = bench_page_tables();
    double begin = bench_cpu();
    char *all = mmap(NULL, ask->ops * stack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        bench_fail("no room for %lu stacks", (unsigned long)ask->ops);
    madvise(all, ask->ops * stack, MADV_NOHUGEPAGE);
    for (uint64_t i = 0; i < ask->ops; i++) {
        all[(i + 1) * stack - 64] = 1;
        reply->answer++;
    }
    reply->more[2] = (bench_cpu() - begin) / (double)ask->ops;
    bench_tell_memory(reply, bench_rss() - rss, bench_page_tables() - tables,
                      (double)ask->ops);
}

static sem_t arrive, leave;

static void *thread_body(void *arg)
{
    sem_post(&arrive);
    while (sem_wait(&leave) != 0)
        ;
    return arg;
}

// Threads, a hundredth of the number. Their kernel stacks are not counted.
static void thread_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    uint64_t n = ask->ops / 100 + 1;
    pthread_t *threads = touched(n * sizeof *threads);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)ask->param[0]);
    double rss = bench_rss(), tables = bench_page_tables();
    double begin = bench_cpu();
    for (uint64_t i = 0; i < n; i++)
        if (pthread_create(&threads[i], &attr, thread_body, NULL) != 0)
            bench_fail("pthread_create failed");
    for (uint64_t i = 0; i < n; i++)
        sem_wait(&arrive);
    reply->more[2] = (bench_cpu() - begin) / (double)n;
    bench_tell_memory(reply, bench_rss() - rss, bench_page_tables() - tables,
                      (double)n);
    for (uint64_t i = 0; i < n; i++)
        sem_post(&leave);
    for (uint64_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    reply->answer = ask->ops;
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"one page a stack", BENCH_FLOOR, .fn = page_side},
    {"Boost.Fiber", BENCH_PEER, .program = "parked_boost_fiber",
     .package = "libboost-fiber-dev"},
    {"Go", BENCH_PEER, .program = "parked_go", .package = "golang-go"},
    {"asyncio", BENCH_PEER, .program = "parked_asyncio", .package = "python3"},
    {"pthread", BENCH_PEER, .fn = thread_side},
    {0}};

static void ask(const char *name, long stack, double bar)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "memory of a parked task",
            .unit = "bytes",
            .ops = (uint64_t)bench_pick(100000, 50000, 300),
            .warm = 1000,
            .params = {{"stack", stack}},
            .more = {"rss", "page_tables", "cpu_ns_to_park"},
            .bar = bar,
            .reps = (unsigned)bench_pick(7, 3, 1)},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("parked", argc, argv);
    ask("parked/256KiB", 256 * 1024, 4850);
    ask("parked/64KiB", 64 * 1024, 4450);
    return bench_end();
}
