// SPDX-License-Identifier: MIT
// submit_result: from submit to result on a pool that is idle, as a plain
// thread sees it. After each round both sleep for the same gap. All threads
// are on one CPU: elsewhere the wake of an idle CPU is all one would measure.
//
//  idle    nothing else runs there
//  busy    two processes compute there all the time
//  quota   the process may use a fifth of a CPU, as in a container: who spins
//          while there is nothing to do has none left when there is
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"
#include "support/hogs.h"
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
                                 .ops = (uint64_t)bench_pick(700, 500, 10),
                                 .warm = 100,
                                 .params = {{"gap_us", 200}},
                                 .more = {BENCH_ROUNDS_MORE},
                                 .bar = bar,
                                 .bar_against = "futex"},
        sides);
}

static bool write_line(const char *folder, const char *file, const char *text)
{
    char path[120];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return false;
    bool written = fputs(text, out) >= 0;
    return fclose(out) == 0 && written;
}

// Puts this process into a new control group that may use a fifth of one CPU.
// NULL: what keeps it from that.
static const char *enter_quota(const char *folder)
{
    if (mkdir(folder, 0755) != 0)
        return "no right to make a control group";
    // Version 2, or the older one, each with its files.
    if (!write_line(folder, "cpu.max", "20000 100000") &&
        !(write_line(folder, "cpu.cfs_period_us", "100000") &&
          write_line(folder, "cpu.cfs_quota_us", "20000")))
        return "the control group takes no limit of CPU time";
    return write_line(folder, "cgroup.procs", "0")
               ? NULL
               : "no way into the control group";
}

static void ask_in_quota(const char *folder)
{
    static const char name[] = "submit_result/quota";
    const char *why = folder ? enter_quota(folder) : NULL;
    if (why != NULL)
        bench_skip(name, "weft", why);
    else
        ask(name, "the same with a fifth of one CPU to use", 0);
}

// In a child, so that nothing has to be left again. Its status.
static int ask_with_quota(void)
{
    char folder[80];
    int status = 0;
    if (bench_lists()) {
        ask_in_quota(NULL);
        return 0;
    }
    snprintf(folder, sizeof folder, "/sys/fs/cgroup%s/weft-bench-%d",
             access("/sys/fs/cgroup/cpu", F_OK) == 0 ? "/cpu" : "",
             (int)getpid());
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork failed");
    if (pid == 0) {
        ask_in_quota(folder);
        fflush(stdout);
        _exit(bench_end());
    }
    waitpid(pid, &status, 0);
    rmdir(folder);
    return status != 0;
}

int main(int argc, char **argv)
{
    pid_t hogs[HOGS];
    bench_start("submit_result", argc, argv);
    ask("submit_result/idle", "from submit to result, idle pool, one CPU", 1.1);
    bench_hogs_start(hogs, HOGS, true);
    ask("submit_result/busy", "the same beside two processes that compute", 0);
    bench_hogs_end(hogs, HOGS);
    int failed = ask_with_quota();
    return failed ? failed : bench_end();
}
