// SPDX-License-Identifier: MIT
// ps: what does `weft ps` cost, and how long does it take, on a program with
// very many tasks that wait? The floor reads as many bytes of the same program.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { RECORD = 192, PASSES = 2 };

static char *tool; // the path of weft

// The program -----------------------------------------------------------------

struct crowd {
    long tasks, arrived;
    int ready; // a pipe
};

static int wait_for_nothing(void *arg)
{
    struct crowd *c = arg;
    c->arrived++;
    return weft_park(INFINITY);
}

static int crowd_main(void *arg)
{
    struct crowd *c = arg;
    for (long i = 0; i < c->tasks; i++)
        weft_future_unref(weft_task_start(wait_for_nothing, c));
    while (c->arrived < c->tasks)
        weft_yield();
    if (write(c->ready, "x", 1) != 1)
        return 1;
    return weft_park(INFINITY);
}

static pid_t start_crowd(long tasks)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        bench_fail("pipe failed");
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork failed");
    if (pid == 0) {
        struct crowd c = {.tasks = tasks, .ready = ends[1]};
        // That all of them wait for ever is the point here.
        setenv("WEFT_DEADLOCK", "0", 1);
        weft_run(crowd_main, &c, .stack_size = 64 * 1024);
        _exit(1);
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        bench_fail("the program has ended");
    close(ends[0]);
    return pid;
}

static void end_crowd(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// The tool --------------------------------------------------------------------

// Counts the lines and what it took.
static uint64_t run_tool(pid_t pid, struct rusage *usage)
{
    char text[24], buffer[65536];
    uint64_t lines = 0;
    int ends[2], status;
    ssize_t n;
    snprintf(text, sizeof text, "%d", (int)pid);
    if (pipe(ends) != 0)
        bench_fail("pipe failed");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl(tool, "weft", "ps", text, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[i] == '\n';
    close(ends[0]);
    if (wait4(child, &status, 0, usage) != child || status != 0)
        bench_fail("weft ps: status %d", status);
    return lines;
}

static double ms_of(const struct timeval *t)
{
    return (double)t->tv_sec * 1e3 + (double)t->tv_usec / 1e3;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    struct rusage usage;
    pid_t pid = start_crowd(ask->param[0]);
    double begin = bench_wall();
    uint64_t lines = run_tool(pid, &usage);
    reply->more[0] = (bench_wall() - begin) / 1e6;
    reply->value = ms_of(&usage.ru_utime) + ms_of(&usage.ru_stime);
    // The tasks, and few lines more.
    reply->answer = lines / 50 * 50;
    end_crowd(pid);
}

// As many bytes of a child's memory, a chunk of 64 KiB at a time.
static void read_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    enum { CHUNK = 65536 };
    size_t size = (size_t)ask->param[0] * RECORD / CHUNK * CHUNK + CHUNK;
    char *memory = malloc(size), *copy = malloc(size);
    if (memory == NULL || copy == NULL)
        bench_fail("no memory");
    memset(memory, 1, size);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    double begin = bench_cpu(), wall = bench_wall();
    for (int pass = 0; pass < PASSES; pass++)
        for (size_t at = 0; at < size; at += CHUNK) {
            struct iovec to = {copy + at, CHUNK}, from = {memory + at, CHUNK};
            if (process_vm_readv(pid, &to, 1, &from, 1, 0) != CHUNK)
                bench_fail("process_vm_readv failed");
        }
    reply->value = (bench_cpu() - begin) / 1e6;
    reply->more[0] = (bench_wall() - wall) / 1e6;
    reply->answer = (uint64_t)ask->param[0] / 50 * 50;
    end_crowd(pid);
}

static const struct bench_side sides[] = {
    {"weft", BENCH_WEFT, .fn = weft_side},
    {"process_vm_readv", BENCH_FLOOR, .fn = read_side},
    {0}};

// Beside the folder of the programs: in a build, or in what was installed.
static char *find_tool(void)
{
    static char path[4096];
    static const char *const places[] = {"../../prefix/bin/weft", "../weft"};
    ssize_t n = readlink("/proc/self/exe", path, sizeof path / 2);
    char *slash = n > 0 ? strrchr(path, '/') : NULL;
    for (int i = 0; slash != NULL && i < 2; i++) {
        strcpy(slash + 1, places[i]);
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

static void ask(const char *name, long tasks, double bar)
{
    if (tool == NULL)
        bench_skip(name, "weft", "the weft command is not there");
    else
        bench_ask(
            &(struct bench_question){.name = name,
                                     .what = "CPU time of weft ps",
                                     .unit = "ms",
                                     .ops = 1,
                                     .slow = true,
                                     .params = {{"tasks", tasks}},
                                     .more = {"wall_ms"},
                                     .bar = bar,
                                     .reps = (unsigned)bench_pick(7, 7, 1)},
            sides);
}

int main(int argc, char **argv)
{
    bench_start("ps", argc, argv);
    tool = find_tool();
    ask("ps/1000", bench_pick(1000, 1000, 200), 0);
    ask("ps/10000", bench_pick(10000, 10000, 500), 0);
    ask("ps/100000", bench_pick(100000, 100000, 1000), 50);
    return bench_end();
}
