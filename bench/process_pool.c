// SPDX-License-Identifier: MIT
// process_pool: jobs of size one, each with a future and a place in the ring of
// its own, distinct arguments, the sum checked; and from submit to result of
// one job. Against what two processes can do that share a ring, or two words
// to sleep on, and nothing else.
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/rounds.h"

enum { WINDOW = 2000, SLOTS = 256 };

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
}

// Throughput ------------------------------------------------------------------

static weft_future *window[WINDOW];

static uint64_t take(weft_future *f)
{
    long x;
    if (weft_result(f, &x) != 0)
        bench_fail("weft_result failed");
    return (uint64_t)x;
}

// n jobs, at most WINDOW of them under way.
static uint64_t stream(weft_executor *ex, uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (i >= WINDOW)
            sum += take(window[i % WINDOW]);
        window[i % WINDOW] = weft_submit(ex, triple, (long)i);
    }
    for (uint64_t i = n < WINDOW ? 0 : n - WINDOW; i < n; i++)
        sum += take(window[i % WINDOW]);
    return sum;
}

static void stream_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    weft_executor *ex = weft_process_pool(.workers = (unsigned)ask->param[0]);
    stream(ex, WINDOW);
    double cpu = bench_cpu(), begin = bench_wall();
    reply->answer = stream(ex, ask->ops);
    double wall = bench_wall() - begin;
    reply->value = wall / (double)ask->ops;
    reply->more[0] = 1e9 / reply->value;
    reply->more[1] = (bench_cpu() - cpu) / (double)ask->ops;
    weft_executor_close(ex);
}

// Two rings of cache lines between two processes.
struct slot {
    long value;
    uint32_t full; // release by who fills it, acquire by who empties it
} __attribute__((aligned(64)));

struct rings {
    struct slot to[SLOTS], from[SLOTS];
};

static void put(struct slot *slot, long value)
{
    // acquire; partner: the release in get
    while (__atomic_load_n(&slot->full, __ATOMIC_ACQUIRE))
        sched_yield();
    slot->value = value;
    __atomic_store_n(&slot->full, 1, __ATOMIC_RELEASE);
}

static bool get(struct slot *slot, long *value)
{
    // acquire; partner: the release in put
    if (!__atomic_load_n(&slot->full, __ATOMIC_ACQUIRE))
        return false;
    *value = slot->value;
    __atomic_store_n(&slot->full, 0, __ATOMIC_RELEASE);
    return true;
}

static void *shared(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        bench_fail("no shared memory");
    return map;
}

static pid_t child(void (*fn)(void *arg), void *arg)
{
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork failed");
    if (pid == 0) {
        fn(arg);
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void serve_rings(void *arg)
{
    struct rings *rings = arg;
    long x;
    for (unsigned i = 0;; i++) {
        while (!get(&rings->to[i % SLOTS], &x))
            sched_yield();
        put(&rings->from[i % SLOTS], triple(x));
    }
}

static void rings_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct rings *rings = shared(sizeof *rings);
    pid_t pid = child(serve_rings, rings);
    double begin = bench_wall();
    uint64_t taken = 0;
    long x;
    for (uint64_t i = 0; i < ask->ops; i++) {
        while (i - taken >= SLOTS || // it is full: take first
               __atomic_load_n(&rings->to[i % SLOTS].full, __ATOMIC_ACQUIRE)) {
            if (get(&rings->from[taken % SLOTS], &x)) {
                reply->answer += (uint64_t)x;
                taken++;
            }
        }
        put(&rings->to[i % SLOTS], (long)i);
    }
    while (taken < ask->ops) {
        if (get(&rings->from[taken % SLOTS], &x)) {
            reply->answer += (uint64_t)x;
            taken++;
        }
    }
    reply->value = (bench_wall() - begin) / (double)ask->ops;
    reply->more[0] = 1e9 / reply->value;
    end(pid);
}

// Round trips -----------------------------------------------------------------

static long call_pool(void *ex, long x)
{
    return (long)take(weft_submit(ex, triple, x));
}

static void pool_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    if (ask->param[1])
        bench_pin();
    weft_executor *ex = weft_process_pool(.workers = 1);
    bench_rounds(ask, reply, ask->param[0], call_pool, ex);
    weft_executor_close(ex);
}

static void serve_line(void *line)
{
    bench_line_serve(line, triple);
}

static void futex_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct bench_line *line = shared(sizeof *line);
    line->shared = true;
    if (ask->param[1])
        bench_pin();
    pid_t pid = child(serve_line, line);
    bench_rounds(ask, reply, ask->param[0], bench_line_call, line);
    end(pid);
}

// The questions ---------------------------------------------------------------

static const struct bench_side streams[] = {
    {"weft", BENCH_WEFT, .fn = stream_side},
    {"two rings", BENCH_FLOOR, .fn = rings_side},
    {"Python executor", BENCH_PEER, .program = "process_pool_python",
     .package = "python3", .part = 10},
    {0}};

static const struct bench_side trips[] = {
    {"weft", BENCH_WEFT, .fn = pool_side},
    {"futex", BENCH_FLOOR, .fn = futex_side},
    {"Python executor", BENCH_PEER, .program = "process_trip_python",
     .package = "python3", .part = 5},
    {0}};

static void ask_stream(const char *name, long workers)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = "a job of size one in a worker process",
            .unit = "ns",
            .ops = (uint64_t)bench_pick(100000, 20000, 2500),
            .warm = 2500,
            .params = {{"workers", workers}},
            .more = {"jobs_per_s", "cpu_ns"},
            .bar = 1000},
        streams);
}

static void ask_trip(const char *name, const char *what, long gap, long pinned,
                     double bar, const char *against)
{
    bench_ask(
        &(struct bench_question){
            .name = name,
            .what = what,
            .unit = "us",
            .ops = (uint64_t)bench_pick(gap > 0 ? 2000 : 20000, 500, 20),
            .warm = 100,
            .params = {{"gap_us", gap}, {"pinned", pinned}},
            .more = {BENCH_ROUNDS_MORE},
            .bar = bar,
            .bar_against = against},
        trips);
}

int main(int argc, char **argv)
{
    bench_start("process_pool", argc, argv);
    ask_stream("process_pool/jobs/1", 1);
    ask_stream("process_pool/jobs/2", 2);
    ask_trip("process_pool/round_trip/hot",
             "from submit to result, one after another, median", 0, 0, 1, NULL);
    ask_trip("process_pool/round_trip/parked",
             "from submit to result, both asleep, one CPU, median", 200, 1, 1.2,
             "futex");
    return bench_end();
}
