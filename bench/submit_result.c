// SPDX-License-Identifier: MIT
// submit_result: from submit to result on a pool that is idle, as a plain
// thread sees it. After each round both sleep for the same gap. All threads
// are on one CPU: elsewhere the wake of an idle CPU is all one would measure.
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { MAX_ROUNDS = 20000, WARM = 20, HOGS = 2 };

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
}

static double walls[MAX_ROUNDS];

static void sleep_for(long us)
{
    const struct timespec gap = {.tv_nsec = us * 1000};
    nanosleep(&gap, NULL);
}

// rounds of call(x), with the gap after each: the least and the median time,
// and the CPU time of all threads without the gaps' own.
static void measure(const struct bench_ask *ask, struct bench_reply *reply,
                    long (*call)(void *arg, long x), void *arg)
{
    unsigned n = ask->ops < MAX_ROUNDS ? (unsigned)ask->ops : MAX_ROUNDS;
    double cpu = 0;
    for (unsigned i = 0; i < n + WARM; i++) {
        double cpu_begin = bench_cpu();
        double begin = bench_wall();
        long got = call(arg, i);
        double wall = bench_wall() - begin;
        if (i >= WARM) {
            walls[i - WARM] = wall;
            cpu += bench_cpu() - cpu_begin;
            reply->answer += (uint64_t)got;
        }
        sleep_for(ask->param[0]);
    }
    reply->value = bench_median(walls, n) / 1000;
    reply->more[0] = walls[0] / 1000;
    reply->more[1] = walls[n * 99 / 100] / 1000;
    reply->more[2] = cpu / n / 1000;
}

static long call_pool(void *ex, long x)
{
    long result = 0;
    if (weft_result(weft_submit(ex, triple, x), &result) != 0)
        bench_fail("weft_result failed");
    return result;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    bench_pin();
    weft_executor *ex = weft_thread_pool(.workers = 1);
    measure(ask, reply, call_pool, ex);
    weft_executor_close(ex);
}

struct line {
    uint32_t request, response;
    long value;
    bool stop;
};

static void await(uint32_t *word)
{
    // acquire; partner: the store in post
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL);
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

static void post(uint32_t *word)
{
    // release; partner: the load in await
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}

static void *serve(void *arg)
{
    struct line *line = arg;
    for (await(&line->request); !line->stop; await(&line->request)) {
        line->value = triple(line->value);
        post(&line->response);
    }
    return NULL;
}

static long call_line(void *arg, long x)
{
    struct line *line = arg;
    line->value = x;
    post(&line->request);
    await(&line->response);
    return line->value;
}

static void futex_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct line line = {0};
    pthread_t thread;
    bench_pin();
    if (pthread_create(&thread, NULL, serve, &line) != 0)
        bench_fail("pthread_create failed");
    measure(ask, reply, call_line, &line);
    line.stop = true;
    post(&line.request);
    pthread_join(thread, NULL);
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"futex", BENCH_FLOOR, .fn = futex_side},
    {"GThreadPool", BENCH_PEER, .program = "submit_result_glib",
     .package = "libglib2.0-dev"},
    {"Boost.Asio", BENCH_PEER, .program = "submit_result_asio",
     .package = "libboost-dev"},
    {"oneTBB", BENCH_PEER, .program = "submit_result_tbb",
     .package = "libtbb-dev"},
    {"libuv", BENCH_PEER, .program = "submit_result_libuv",
     .package = "libuv1-dev"},
    {"std::async", BENCH_PEER, .program = "submit_result_std",
     .package = "g++"},
    {"Python", BENCH_PEER, .program = "submit_result_python",
     .package = "python3"},
    {0}};

static void ask(const char *name, const char *what, double bar)
{
    bench_ask(
        &(struct bench_question){.name = name,
                                 .what = what,
                                 .unit = "us",
                                 .ops = (uint64_t)bench_pick(2000, 500, 10),
                                 .warm = 100,
                                 .params = {{"gap_us", 200}},
                                 .more = {"least", "p99", "cpu_us"},
                                 .bar = bar,
                                 .bar_against = "futex"},
        sides);
}

// Processes that compute all the time, as many as `n`, on the CPU where the
// contenders run. They end when this program does, however it ends.
static void start_hogs(pid_t *hogs, int n)
{
    for (int i = 0; i < n; i++) {
        hogs[i] = fork();
        if (hogs[i] < 0)
            bench_fail("fork failed");
        if (hogs[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            bench_pin();
            for (volatile unsigned x = 0;; x++)
                ;
        }
    }
}

static void end_hogs(const pid_t *hogs, int n)
{
    for (int i = 0; i < n; i++) {
        kill(hogs[i], SIGKILL);
        waitpid(hogs[i], NULL, 0);
    }
}

int main(int argc, char **argv)
{
    pid_t hogs[HOGS];
    bench_start("submit_result", argc, argv);
    ask("submit_result/idle", "from submit to result, idle pool, one CPU", 1.1);
    start_hogs(hogs, HOGS);
    ask("submit_result/busy", "the same beside two processes that compute", 0);
    end_hogs(hogs, HOGS);
    return bench_end();
}
