// SPDX-License-Identifier: MIT
// shared_queue: messages of 64 bytes from processes to processes, through a
// queue in an arena; the numbers in them are added up by who gets them.
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { BATCH = 32, SLOTS = 1024, MOST = 8 };

struct message {
    uint64_t value, rest[7];
};

struct work {
    struct weft_arena_ref queue, sum;
    uint64_t from, to, batch;
};

static int produce(void *arg)
{
    const struct work *work = arg;
    weft_queue *q = weft_queue_open(work->queue);
    struct message m[BATCH] = {{0}};
    for (uint64_t i = work->from; i < work->to;) {
        uint64_t n = work->to - i < work->batch ? work->to - i : work->batch;
        for (uint64_t k = 0; k < n; k++)
            m[k].value = i++;
        if ((n == 1 ? weft_queue_put(q, m)
                    : weft_queue_put_n(q, m, n) - (ssize_t)n) != 0)
            return 1;
    }
    return weft_queue_producer_done(q);
}

static uint64_t consume(weft_queue *q, uint64_t batch)
{
    struct message m[BATCH];
    uint64_t sum = 0;
    ssize_t n;
    if (batch == 1) {
        while (weft_queue_get(q, m) == 0)
            sum += m[0].value;
        return sum;
    }
    while ((n = weft_queue_get_n(q, m, batch)) > 0)
        for (ssize_t i = 0; i < n; i++)
            sum += m[i].value;
    return sum;
}

static int consume_elsewhere(void *arg)
{
    const struct work *work = arg;
    weft_arena *a;
    struct weft_counter *sum = weft_arena_open(work->sum, &a);
    weft_counter_add(
        sum, (int64_t)consume(weft_queue_open(work->queue), work->batch));
    return 0;
}

// CPU time of this process and of those that have ended.
static double cpu_of_all(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return bench_cpu() +
           1e3 * ((double)usage.ru_utime.tv_usec +
                  (double)usage.ru_stime.tv_usec) +
           1e9 *
               ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec);
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    unsigned producers = (unsigned)ask->param[0];
    unsigned consumers = (unsigned)ask->param[1], n = 0;
    weft_future *f[2 * MOST];
    weft_arena *a;
    if (weft_arena_new(16 << 20, &a) < 0)
        bench_fail("no arena");
    weft_queue *q = weft_queue_new(.arena = a, .item = sizeof(struct message),
                                   .maxsize = SLOTS, .producers = producers);
    struct weft_counter *sum = weft_arena_value(a, struct weft_counter);
    struct work work = {weft_queue_ref(q), weft_arena_ref(a, sum), 0, 0,
                        (uint64_t)ask->param[2]};
    for (unsigned i = 1; i < consumers; i++)
        f[n++] = weft_process_start(consume_elsewhere, &work, sizeof work);
    double cpu = cpu_of_all(), begin = bench_wall();
    for (unsigned i = 0; i < producers; i++) {
        work.from = ask->ops * i / producers;
        work.to = ask->ops * (i + 1) / producers;
        f[n++] = weft_process_start(produce, &work, sizeof work);
    }
    uint64_t here = consume(q, work.batch);
    while (n > 0)
        if (weft_join(f[--n]) != 0)
            bench_fail("a process failed");
    reply->value = (bench_wall() - begin) / (double)ask->ops;
    reply->answer = here + (uint64_t)weft_counter_get(sum);
    reply->more[0] = 1e9 / reply->value;
    reply->more[1] = (cpu_of_all() - cpu) / (double)ask->ops;
}

// The least: one writer, one reader, no sleep, no recovery.
struct slot {
    struct message m;
    uint32_t full; // release by who fills it, acquire by who empties it
} __attribute__((aligned(64)));

static void fill(struct slot *slots, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct slot *slot = &slots[i % SLOTS];
        // acquire; partner: the release in ring_side
        while (__atomic_load_n(&slot->full, __ATOMIC_ACQUIRE))
            sched_yield();
        slot->m.value = i;
        __atomic_store_n(&slot->full, 1, __ATOMIC_RELEASE);
    }
}

static void ring_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct slot *slots =
        mmap(NULL, SLOTS * sizeof *slots, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    double cpu = cpu_of_all(), begin = bench_wall();
    pid_t pid = fork();
    if (slots == MAP_FAILED || pid < 0)
        bench_fail("no ring");
    if (pid == 0) {
        fill(slots, ask->ops);
        _exit(0);
    }
    for (uint64_t i = 0; i < ask->ops; i++) {
        struct slot *slot = &slots[i % SLOTS];
        // acquire; partner: the release in fill
        while (!__atomic_load_n(&slot->full, __ATOMIC_ACQUIRE))
            sched_yield();
        struct message m = slot->m;
        reply->answer += m.value;
        __atomic_store_n(&slot->full, 0, __ATOMIC_RELEASE);
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops;
    waitpid(pid, NULL, 0);
    reply->more[0] = 1e9 / reply->value;
    reply->more[1] = (cpu_of_all() - cpu) / (double)ask->ops;
}

static void pipe_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    int ends[2];
    struct message m = {0};
    if (pipe(ends) != 0)
        bench_fail("no pipe");
    double cpu = cpu_of_all(), begin = bench_wall();
    pid_t pid = fork();
    if (pid == 0) {
        for (uint64_t i = 0; i < ask->ops; i++) {
            m.value = i;
            if (write(ends[1], &m, sizeof m) != sizeof m)
                _exit(1);
        }
        _exit(0);
    }
    for (uint64_t i = 0; i < ask->ops; i++) {
        if (read(ends[0], &m, sizeof m) != sizeof m)
            bench_fail("read failed");
        reply->answer += m.value;
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops;
    waitpid(pid, NULL, 0);
    reply->more[0] = 1e9 / reply->value;
    reply->more[1] = (cpu_of_all() - cpu) / (double)ask->ops;
}

static const struct bench_side one_to_one[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"ring of one writer", BENCH_FLOOR, .fn = ring_side},
    {"pipe", BENCH_FLOOR, .fn = pipe_side},
    {"Python mp.Queue", BENCH_PEER, .program = "shared_queue_python",
     .package = "python3"},
    {0}};

static const struct bench_side many[] = {{"weft", BENCH_WEFT, .fn = weft_side},
                                         {"Python mp.Queue", BENCH_PEER,
                                          .program = "shared_queue_python",
                                          .package = "python3"},
                                         {0}};

static void ask(const char *name, long producers, long consumers, long batch,
                double bar, const struct bench_side *sides)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "one message of 64 bytes from process to process",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(2000000, 300000, 2000),
            .warm = 20000,
            .params = {{"producers", producers},
                       {"consumers", consumers},
                       {"batch", batch}},
            .more = {"messages_a_second", "cpu_ns_of_all_processes"},
            .bar = bar},
        sides);
}

int main(int argc, char **argv)
{
    bench_start("shared_queue", argc, argv);
    ask("shared_queue/1x1", 1, 1, 1, 200, one_to_one);
    ask("shared_queue/2x2", 2, 2, 1, 333, many);
    ask("shared_queue/1x1 by 32", 1, 1, BATCH, 0, one_to_one);
    return bench_end();
}
