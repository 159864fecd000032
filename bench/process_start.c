// SPDX-License-Identifier: MIT
// process_start: a process that does nothing, from start to join, beside
// posix_spawn of this same program; the first result of a pool that was just
// made; and from the death of a worker to the failure of its job's future, and
// to the result of the next job.
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { MOST = 2000 };

static double walls[MOST];

// The memory of a parent that is large.
static void grow(long mib)
{
    size_t size = (size_t)mib << 20;
    char *memory = mib > 0 ? malloc(size) : NULL;
    if (memory != NULL)
        memset(memory, 1, size);
}

static void measure(const struct bench_ask *ask, struct bench_reply *reply,
                    double (*once)(void))
{
    unsigned n = ask->ops < MOST ? (unsigned)ask->ops : MOST;
    grow(ask->param[0]);
    once(); // threads and descriptors of the library
    for (unsigned i = 0; i < n; i++) {
        walls[i] = once();
        reply->answer++;
    }
    reply->value = bench_median(walls, n) / 1000;
    reply->more[0] = walls[0] / 1000;
    reply->more[1] = walls[n * 9 / 10] / 1000;
}

// Start and join --------------------------------------------------------------

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static double start_weft(void)
{
    double begin = bench_wall();
    if (weft_join(weft_process_start(nothing, NULL, 0)) != 0)
        bench_fail("weft_process_start failed");
    return bench_wall() - begin;
}

static double start_zygote(void)
{
    double begin = bench_wall();
    if (weft_join(weft_process_start(nothing, NULL, 0,
                                     .start = WEFT_START_ZYGOTE)) != 0)
        bench_fail("a zygote failed");
    return bench_wall() - begin;
}

// Until its function runs: it says when by the clock that all share.
static int say_when(void *arg)
{
    double now = bench_wall();
    (void)arg;
    return weft_process_return(&now, sizeof now);
}

static double begin_zygote(void)
{
    struct weft_bytes when;
    double begin = bench_wall();
    if (weft_result(
            weft_process_start(say_when, NULL, 0, .start = WEFT_START_ZYGOTE),
            &when) != 0)
        bench_fail("a zygote failed");
    double took = *(double *)when.data - begin;
    weft_bytes_free(&when);
    return took;
}

static double start_spawn(void)
{
    extern char **environ;
    char *argv[] = {"process_start", "--nothing", NULL};
    pid_t pid;
    double begin = bench_wall();
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) != 0)
        bench_fail("posix_spawn failed");
    waitpid(pid, NULL, 0);
    return bench_wall() - begin;
}

// Many at once ----------------------------------------------------------------

static long many;
static int here[2]; // each child that runs says so

static int stay_and_tell(int fd)
{
    if (write(fd, "", 1) != 1)
        return 1;
    for (;;)
        pause();
    return 0;
}

static int stay(void *arg)
{
    (void)arg;
    return stay_and_tell(weft_process_fd(0));
}

static void await_all(void)
{
    char bytes[1000];
    for (long n = 0; n < many;) {
        ssize_t got = read(here[0], bytes, sizeof bytes);
        if (got <= 0)
            bench_fail("a child did not come");
        n += got;
    }
}

// The clock for each of many children: started, alive together, killed, joined.
static double many_weft(void)
{
    weft_future **f = malloc((size_t)many * sizeof *f);
    double begin = bench_wall();
    for (long i = 0; i < many; i++)
        f[i] =
            weft_process_start(stay, NULL, 0, .fds = &here[1], .fd_count = 1);
    await_all();
    for (long i = 0; i < many; i++)
        weft_process_kill(f[i]);
    for (long i = 0; i < many; i++)
        if (weft_join(f[i]) != -WEFT_ECRASHED)
            bench_fail("a child was not killed");
    free(f);
    return (bench_wall() - begin) / (double)many;
}

static double many_spawn(void)
{
    extern char **environ;
    char fd[12], *argv[] = {"process_start", "--stay", fd, NULL};
    snprintf(fd, sizeof fd, "%d", here[1]);
    pid_t *pids = malloc((size_t)many * sizeof *pids);
    double begin = bench_wall();
    for (long i = 0; i < many; i++)
        if (posix_spawn(&pids[i], "/proc/self/exe", NULL, NULL, argv,
                        environ) != 0)
            bench_fail("posix_spawn failed");
    await_all();
    for (long i = 0; i < many; i++)
        kill(pids[i], SIGKILL);
    for (long i = 0; i < many; i++)
        waitpid(pids[i], NULL, 0);
    free(pids);
    return (bench_wall() - begin) / (double)many;
}

static void many_with(const struct bench_ask *ask, struct bench_reply *reply,
                      double (*once)(void))
{
    struct bench_ask small = *ask;
    if (pipe(here) != 0)
        bench_fail("no pipe");
    small.param[0] = 0; // the parent's memory
    many = ask->param[0];
    measure(&small, reply, once);
}

static void many_weft_side(const struct bench_ask *ask,
                           struct bench_reply *reply)
{
    many_with(ask, reply, many_weft);
}

static void many_spawn_side(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    many_with(ask, reply, many_spawn);
}

static void start_weft_side(const struct bench_ask *ask,
                            struct bench_reply *reply)
{
    measure(ask, reply, start_weft);
}

static void start_zygote_side(const struct bench_ask *ask,
                              struct bench_reply *reply)
{
    measure(ask, reply, start_zygote);
}

static void begin_zygote_side(const struct bench_ask *ask,
                              struct bench_reply *reply)
{
    measure(ask, reply, begin_zygote);
}

static void start_spawn_side(const struct bench_ask *ask,
                             struct bench_reply *reply)
{
    measure(ask, reply, start_spawn);
}

// A cold pool -----------------------------------------------------------------

WEFT_JOB(long, one)
{
    return 1;
}

static double cold(void)
{
    long x = 0;
    double begin = bench_wall();
    weft_executor *ex = weft_process_pool(.workers = 2);
    if (weft_result(weft_submit(ex, one), &x) != 0)
        bench_fail("the first job failed");
    double took = bench_wall() - begin;
    weft_executor_close(ex);
    return took;
}

static void cold_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    measure(ask, reply, cold);
}

// A crash ---------------------------------------------------------------------

static weft_executor *pool;

// Makes the worker large, so that its end takes long.
WEFT_JOB(long, fatten, long, mib)
{
    static char *volatile memory;
    size_t size = (size_t)mib << 20;
    if (mib > 0 && (memory = malloc(size)) != NULL)
        memset(memory, 1, size);
    return getpid();
}

// Kills the worker it runs in, and says when by the clock that all share.
WEFT_JOB(long, die, int, pipe_fd)
{
    double now = bench_wall();
    if (write(weft_process_fd((size_t)pipe_fd), &now, sizeof now) != sizeof now)
        return -1;
    raise(SIGKILL);
    return 0;
}

static int ends[2];
static long fat;

// From the death to the failed future, or to the next job's result.
static double crash_until(bool replaced)
{
    double died = 0;
    long x;
    weft_result(weft_submit(pool, fatten, fat), &x);
    weft_future *f = weft_submit(pool, die, 0);
    int rc = weft_get_into(f, NULL, 0);
    if (replaced && weft_result(weft_submit(pool, one), &x) != 0)
        bench_fail("nobody took over");
    double now = bench_wall();
    weft_future_unref(f);
    if (rc != -WEFT_ECRASHED || read(ends[0], &died, sizeof died) < 0)
        bench_fail("the worker did not die");
    return now - died;
}

static double crash(void)
{
    return crash_until(false);
}

static double replace(void)
{
    return crash_until(true);
}

static void crash_with(const struct bench_ask *ask, struct bench_reply *reply,
                       double (*once)(void))
{
    if (pipe(ends) != 0)
        bench_fail("no pipe");
    struct weft_process_options like = {
        .size = sizeof like, .fds = &ends[1], .fd_count = 1};
    struct bench_ask small = *ask;
    small.param[0] = 0;
    fat = ask->param[0];
    pool = weft_process_pool(.workers = 1, .process = &like);
    measure(&small, reply, once);
    weft_executor_close(pool);
}

static void crash_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    crash_with(ask, reply, crash);
}

static void replace_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    crash_with(ask, reply, replace);
}

// -------------------------------------------------------------------------------

static const struct bench_side starts[] = {
    {"weft", BENCH_WEFT, .fn = start_weft_side},
    {"posix_spawn", BENCH_FLOOR, .fn = start_spawn_side},
    {0}};

static const struct bench_side crowds[] = {
    {"weft", BENCH_WEFT, .fn = many_weft_side},
    {"posix_spawn", BENCH_FLOOR, .fn = many_spawn_side},
    {0}};

static const struct bench_side copies[] = {
    {"weft", BENCH_WEFT, .fn = start_zygote_side},
    {"posix_spawn", BENCH_FLOOR, .fn = start_spawn_side},
    {0}};

static const struct bench_side begins[] = {
    {"weft", BENCH_WEFT, .fn = begin_zygote_side}, {0}};

static const struct bench_side colds[] = {{"weft", BENCH_WEFT, .fn = cold_side},
                                          {0}};

static const struct bench_side crashes[] = {
    {"weft", BENCH_WEFT, .fn = crash_side}, {0}};

static const struct bench_side replacements[] = {
    {"weft", BENCH_WEFT, .fn = replace_side}, {0}};

static void ask_start(const char *name, long mib)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "a process, from start to join",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(300, 100, 5),
                                       .warm = 5,
                                       .params = {{"parent_mib", mib}},
                                       .more = {"least", "p90"},
                                       .bar = 1.2,
                                       .bar_against = "posix_spawn"},
              starts);
}

static void ask_crowd(const char *name, long children)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "one of many children that live "
                                               "at once, from start to join",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(1, 2, 1),
                                       .warm = 1,
                                       .params = {{"children", children}},
                                       .more = {"least", "p90"},
                                       .bar = 1.5,
                                       .bar_against = "posix_spawn"},
              crowds);
}

static void ask_copy(const char *name, long mib)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "a copy of a zygote, from start "
                                               "to join",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(300, 100, 5),
                                       .warm = 5,
                                       .params = {{"parent_mib", mib}},
                                       .more = {"least", "p90"},
                                       .bar = 0.5,
                                       .bar_against = "posix_spawn"},
              copies);
}

static void ask_begin(const char *name)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "a copy of a zygote, until its "
                                               "function runs",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(300, 100, 5),
                                       .warm = 5,
                                       .params = {{"parent_mib", 0}},
                                       .more = {"least", "p90"},
                                       .bar = 300},
              begins);
}

// A large worker takes a second to grow.
static void ask_crash(const char *name, long mib, long ops)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "from a kill to the failed "
                                               "future",
                                       .unit = "us",
                                       .ops = (uint64_t)ops,
                                       .warm = 3,
                                       .params = {{"worker_mib", mib}},
                                       .more = {"least", "p90"},
                                       .bar = 1000},
              crashes);
}

static void ask_replace(const char *name, long mib)
{
    bench_ask(&(struct bench_question){.name = name,
                                       .what = "from a kill to the result of "
                                               "the next job",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(1, 10, 3),
                                       .warm = 3,
                                       .params = {{"worker_mib", mib}},
                                       .more = {"least", "p90"},
                                       .bar = 5000},
              replacements);
}

int main(int argc, char **argv)
{
    weft_main_hook();
    if (argc == 2 && strcmp(argv[1], "--nothing") == 0)
        return 0;
    if (argc == 3 && strcmp(argv[1], "--stay") == 0)
        return stay_and_tell(atoi(argv[2]));
    bench_start("process_start", argc, argv);
    ask_start("process_start/small", 0);
    ask_start("process_start/large", bench_pick(1024, 512, 16));
    ask_crowd("process_start/crowd", bench_pick(1000, 1000, 20));
    ask_copy("process_start/zygote", 0);
    ask_copy("process_start/zygote_large", bench_pick(1024, 512, 16));
    ask_begin("process_start/zygote_begin");
    bench_ask(&(struct bench_question){.name = "process_start/cold_pool",
                                       .what = "the first result of a new pool",
                                       .unit = "us",
                                       .ops = (uint64_t)bench_pick(100, 30, 3),
                                       .warm = 3,
                                       .params = {{"parent_mib", 0}},
                                       .more = {"least", "p90"},
                                       .bar = 3000},
              colds);
    ask_crash("process_start/crash", 0, bench_pick(100, 20, 3));
    ask_crash("process_start/crash_large", bench_pick(1024, 128, 16),
              bench_pick(1, 10, 3));
    ask_replace("process_start/replace_large", bench_pick(1024, 128, 16));
    return bench_end();
}
