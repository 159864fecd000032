// SPDX-License-Identifier: MIT
// overflow: is every one of many parked stacks guarded, and does the report
// of an overflow name the task? The figure is how many reports did not.
//
// Random ones of the parked tasks are woken, one after another. Each forks; in
// the child it recurses without end, and what the child says before it dies is
// read by the parent through a pipe.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

enum { MAX_TASKS = 200000, TEXT = 8192 };

struct task {
    weft_waiter *waiter;
    long index;
};

static struct {
    long tasks, victims, arrived;
    long chosen; // whose turn it is to overflow, -1: nobody
    bool open;
    long named, died;
    struct task all[MAX_TASKS];
    weft_waiter *chooser;
    double cpu; // of all victims
} crowd;

// Not a tail call, and each frame is smaller than a page. The pointer keeps the
// compiler from seeing that there is no end.
static int recurse(int depth);
static int (*volatile deeper)(int depth) = recurse;

static int recurse(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    frame[sizeof frame - 1] = (char)depth;
    return deeper(depth + 1) + frame[0] + frame[sizeof frame - 1];
}

static void overflow(int report)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    dup2(report, STDERR_FILENO);
    _exit(recurse(0) == 1);
}

static void read_all(int fd, char *text)
{
    size_t used = 0;
    ssize_t n;
    while ((n = read(fd, text + used, TEXT - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
}

static void be_the_victim(const struct task *me)
{
    char text[TEXT], name[32];
    int fd[2], status = 0;
    snprintf(name, sizeof name, "parked-%06ld", me->index);
    if (pipe(fd) != 0)
        bench_fail("pipe failed");
    pid_t pid = fork();
    if (pid == 0)
        overflow(fd[1]);
    if (pid < 0)
        bench_fail("fork failed");
    close(fd[1]);
    read_all(fd[0], text);
    close(fd[0]);
    waitpid(pid, &status, 0);
    crowd.died += WIFSIGNALED(status);
    crowd.named += strstr(text, name) != NULL;
    if (strstr(text, name) == NULL)
        fprintf(stderr, "overflow of %s: status %#x, report: %s\n", name,
                (unsigned)status, text[0] ? text : "none");
}

static int wait_inside(void *arg)
{
    struct task *me = arg;
    me->waiter = weft_self();
    crowd.arrived++;
    while (!crowd.open) {
        if (crowd.chosen == me->index) {
            be_the_victim(me);
            crowd.chosen = -1;
            weft_unpark(crowd.chooser);
        }
        if (weft_park(INFINITY) != 0)
            bench_fail("weft_park failed");
    }
    return 0;
}

static void start(long index)
{
    char name[32];
    snprintf(name, sizeof name, "parked-%06ld", index);
    crowd.all[index].index = index;
    weft_future_unref(
        weft_task_start(wait_inside, &crowd.all[index], .name = name));
}

static void choose_victims(void)
{
    uint64_t seed = 1;
    for (long i = 0; i < crowd.victims; i++) {
        crowd.chosen = (long)(bench_random(&seed) % (uint64_t)crowd.tasks);
        weft_unpark(crowd.all[crowd.chosen].waiter);
        while (crowd.chosen >= 0)
            if (weft_park(INFINITY) != 0)
                bench_fail("weft_park failed");
    }
}

static int crowd_main(void *arg)
{
    weft_group *g = weft_group_open();
    (void)arg;
    crowd.chooser = weft_self();
    for (long i = 0; i < crowd.tasks; i++)
        start(i);
    while (crowd.arrived < crowd.tasks)
        weft_yield();
    double begin = bench_cpu();
    choose_victims();
    crowd.cpu = bench_cpu() - begin;
    crowd.open = true;
    for (long i = 0; i < crowd.tasks; i++)
        weft_unpark(crowd.all[i].waiter);
    return weft_group_close(g);
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    crowd.tasks = ask->param[0];
    crowd.victims = (long)ask->ops;
    crowd.chosen = -1;
    if (weft_run(crowd_main, NULL) != 0)
        bench_fail("weft_run failed");
    reply->value = (double)(crowd.victims - crowd.named);
    reply->answer = (uint64_t)crowd.victims;
    reply->more[0] = (double)crowd.named;
    reply->more[1] = (double)crowd.died;
    reply->more[2] = crowd.cpu / 1e6 / (double)crowd.victims;
}

static const struct bench_side sides[] = {{"weft", BENCH_WEFT, .fn = weft_side},
                                          {0}};

int main(int argc, char **argv)
{
    bench_start("overflow", argc, argv);
#ifdef SANITIZED
    bench_skip("overflow", "weft", "built with a sanitizer");
    return bench_end();
#endif
    bench_ask(
        &(struct bench_question){
            .name = "overflow",
            .what = "overflows of a parked task whose report did not "
                    "name it",
            .unit = "reports",
            .ops = (uint64_t)bench_pick(100, 20, 3),
            .slow = true,
            .params = {{"tasks", bench_pick(MAX_TASKS, 50000, 300)}},
            .more = {"named", "died", "cpu_ms_a_victim"},
            .bar = 0.5,
            .reps = 1},
        sides);
    return bench_end();
}
