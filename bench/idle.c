// SPDX-License-Identifier: MIT
// idle: what does it cost to have nothing to do? CPU time in a second of
// waiting, of a thread pool or a process pool that has done some work, and of a
// loop with a thousand tasks that wait for something that does not come; and
// how often a thread, also of a worker process, came to run in that time.
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { JOBS = 100, TASKS = 1000 };

// What this process and its children have used so far.
struct use {
    double cpu; // ns
    double
        wakes; // how often a thread gave up its CPU to wait, and so came back
};

static void add_children(pid_t pid, const char *thread, struct use *sum);

// schedstat: the time on a CPU and the time spent waiting for one, in ns, and
// how often it got one.
static void add_child_thread(pid_t pid, const char *thread, struct use *sum)
{
    char path[80];
    double cpu, waited, times;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid,
             thread);
    FILE *in = fopen(path, "re");
    if (in != NULL && fscanf(in, "%lf %lf %lf", &cpu, &waited, &times) == 3) {
        sum->cpu += cpu;
        sum->wakes += times;
    }
    if (in != NULL)
        fclose(in);
    add_children(pid, thread, sum);
}

static void each_thread(pid_t pid, struct use *sum,
                        void (*fn)(pid_t pid, const char *thread,
                                   struct use *sum))
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            fn(pid, entry->d_name, sum);
    if (folder != NULL)
        closedir(folder);
}

// children: "PID PID ...", those that the thread has started.
static void add_children(pid_t pid, const char *thread, struct use *sum)
{
    char path[80];
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid,
             thread);
    FILE *in = fopen(path, "re");
    while (in != NULL && fscanf(in, "%d", &child) == 1)
        each_thread(child, sum, add_child_thread);
    if (in != NULL)
        fclose(in);
}

static void add_own(struct use *sum)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    sum->wakes += (double)usage.ru_nvcsw;
    sum->cpu += bench_cpu();
}

static void sleep_ms(long ms)
{
    bench_sleep_us(ms * 1000);
}

// Looking at the children takes time: it is done before own time begins to
// count, and after it has ended.
static struct use use_before(void)
{
    struct use use = {0};
    each_thread(getpid(), &use, add_children);
    add_own(&use);
    return use;
}

static struct use use_after(void)
{
    struct use use = {0};
    add_own(&use);
    each_thread(getpid(), &use, add_children);
    return use;
}

// A while after the work, as some spin for a moment: half the time.
static struct use begin_idle(const struct bench_ask *ask)
{
    sleep_ms(ask->param[0] / 2);
    return use_before();
}

// The one wait of whoever slept to measure does not count.
static void tell(const struct bench_ask *ask, struct bench_reply *reply,
                 struct use begin)
{
    struct use end = use_after();
    double seconds = (double)ask->param[0] / 1000;
    reply->value = (end.cpu - begin.cpu) / 1000 / seconds;
    reply->more[0] = (end.wakes - begin.wakes - 1) / seconds;
}

WEFT_JOB(long, one, long, x)
{
    return x;
}

static void rest(const struct bench_ask *ask, struct bench_reply *reply,
                 weft_executor *ex)
{
    weft_future *futures[JOBS];
    for (long i = 0; i < JOBS; i++)
        futures[i] = weft_submit(ex, one, 1);
    for (long i = 0; i < JOBS; i++) {
        long x = 0;
        if (weft_result(futures[i], &x) != 0)
            bench_fail("weft_result failed");
        reply->answer += (uint64_t)x;
    }
    struct use begin = begin_idle(ask);
    sleep_ms(ask->param[0]);
    tell(ask, reply, begin);
    weft_executor_close(ex);
}

static void pool_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    rest(ask, reply, weft_thread_pool(.workers = 2));
}

static void process_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    rest(ask, reply, weft_process_pool(.workers = 2));
}

// The least: a thread that sleeps and looks at the clock.
static void sleep_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct use begin = begin_idle(ask);
    sleep_ms(ask->param[0]);
    tell(ask, reply, begin);
    reply->answer = (uint64_t)ask->param[1];
}

struct crowd {
    const struct bench_ask *ask;
    struct bench_reply *reply;
};

static int wait_for_nothing(void *arg)
{
    struct crowd *c = arg;
    c->reply->answer++;
    return weft_park(INFINITY);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    weft_group *g = weft_group_open();
    for (long i = 0; i < TASKS; i++)
        weft_future_unref(weft_task_start(wait_for_nothing, c));
    while (c->reply->answer < TASKS)
        weft_yield();
    weft_sleep((double)c->ask->param[0] / 2000);
    struct use begin = use_before();
    weft_sleep((double)c->ask->param[0] / 1000);
    tell(c->ask, c->reply, begin);
    weft_group_cancel(g);
    weft_group_close(g);
    return 0;
}

static void tasks_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct crowd c = {ask, reply};
    if (weft_run(crowd_main, &c) != 0)
        bench_fail("weft_run failed");
}

static const struct bench_side pool_sides[] = {
    {"weft", BENCH_WEFT, .fn = pool_side},
    {"sleep", BENCH_FLOOR, .fn = sleep_side},
    {"GThreadPool", BENCH_PEER, .program = "idle_glib",
     .package = "libglib2.0-dev"},
    {"Boost.Asio", BENCH_PEER, .program = "idle_asio",
     .package = "libboost-dev"},
    {"oneTBB", BENCH_PEER, .program = "idle_tbb", .package = "libtbb-dev"},
    {0}};
static const struct bench_side process_sides[] = {
    {"weft", BENCH_WEFT, .fn = process_side},
    {"sleep", BENCH_FLOOR, .fn = sleep_side},
    {"Python executor", BENCH_PEER, .program = "idle_python",
     .package = "python3"},
    {0}};
static const struct bench_side task_sides[] = {
    {"weft", BENCH_WEFT, .fn = tasks_side},
    {"sleep", BENCH_FLOOR, .fn = sleep_side},
    {"Go", BENCH_PEER, .program = "idle_go", .package = "golang-go"},
    {"asyncio", BENCH_PEER, .program = "idle_asyncio", .package = "python3"},
    {0}};

static void ask(const char *name, const char *what, long things,
                const struct bench_side *sides)
{
    long ms = bench_pick(1000, 200, 20);
    bench_ask(
        &(struct bench_question){.name = name,
                                 .what = what,
                                 .unit = "us/s",
                                 .ops = 1,
                                 .slow = true,
                                 .params = {{"ms", ms}, {"things", things}},
                                 .more = {"wakes_per_second"},
                                 .reps = (unsigned)bench_pick(7, 7, 1)},
        sides);
}

int main(int argc, char **argv)
{
    weft_main_hook();
    bench_start("idle", argc, argv);
    ask("idle/pool", "CPU time of an idle pool of 2 in a second", JOBS,
        pool_sides);
    ask("idle/processes", "CPU time of an idle pool of 2 processes in a second",
        JOBS, process_sides);
    ask("idle/tasks", "CPU time of a loop with 1000 waiting tasks in a second",
        TASKS, task_sides);
    return bench_end();
}
