// SPDX-License-Identifier: MIT
// submit_result: from submit to result on a pool that is idle, as a plain
// thread sees it. After each round both sleep for the same gap. All threads
// are on one CPU: elsewhere the wake of an idle CPU is all one would measure.
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/rounds.h"

enum { HOGS = 2 };

WEFT_JOB(long, triple, long, x)
{
    return 3 * x;
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
    bench_rounds(ask, reply, ask->param[0], call_pool, ex);
    weft_executor_close(ex);
}

static void *serve(void *line)
{
    bench_line_serve(line, triple);
    return NULL;
}

static void futex_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct bench_line line = {0};
    pthread_t thread;
    bench_pin();
    if (pthread_create(&thread, NULL, serve, &line) != 0)
        bench_fail("pthread_create failed");
    bench_rounds(ask, reply, ask->param[0], bench_line_call, &line);
    bench_line_stop(&line);
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
                                 .more = {BENCH_ROUNDS_MORE},
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
