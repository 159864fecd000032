// SPDX-License-Identifier: MIT
// features: what do the things cost that are there for the day something goes
// wrong? The same work as installed; with none of those that can be switched
// off; without each of them; and with each of those that are off by default.
// The variables are those of weft(7).
//
//  features/tasks  start a task, let it run, join it
//  features/locks  two locks, one inside the other, acquired and released
//  features/waits  a hand-off between two tasks by an event
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weft.h>

#include "support/bench.h"

struct job {
    uint64_t ops, sum;
    double begin, end;
    void (*loop)(struct job *job, uint64_t n);
};

static int child(void *arg)
{
    return (int)((uintptr_t)arg & 255);
}

static void tasks(struct job *job, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        weft_future *f = weft_task_start(child, (void *)(uintptr_t)i);
        weft_yield();
        job->sum += (uint64_t)weft_join(f);
    }
}

static void locks(struct job *job, uint64_t n)
{
    static struct weft_lock outer, inner;
    for (uint64_t i = 0; i < n; i++) {
        if (weft_lock_acquire(&outer) != 0 || weft_lock_acquire(&inner) != 0)
            bench_fail("weft_lock_acquire failed");
        job->sum += i;
        weft_lock_release(&inner);
        weft_lock_release(&outer);
    }
}

static struct weft_event turn[2];
static uint64_t turns;

static void take_turns(int me)
{
    for (uint64_t i = 0; i < turns; i++) {
        if (weft_event_wait(&turn[me]) != 0)
            bench_fail("weft_event_wait failed");
        weft_event_clear(&turn[me]);
        weft_event_set(&turn[!me]);
    }
}

static int second_player(void *arg)
{
    (void)arg;
    take_turns(1);
    return 0;
}

static void waits(struct job *job, uint64_t n)
{
    turns = n / 2;
    weft_future *second = weft_task_start(second_player, NULL);
    weft_event_set(&turn[0]);
    take_turns(0);
    job->sum += (uint64_t)weft_join(second) + 2 * turns;
    weft_event_clear(&turn[0]);
}

static int run_job(void *arg)
{
    struct job *job = arg;
    job->loop(job, 2000);
    job->sum = 0;
    job->begin = bench_cpu();
    job->loop(job, job->ops);
    job->end = bench_cpu();
    return 0;
}

enum { TASKS, LOCKS, WAITS };

static void as_installed(const struct bench_ask *ask, struct bench_reply *reply)
{
    static void (*const loops[])(struct job *, uint64_t) = {tasks, locks,
                                                            waits};
    struct job job = {.ops = ask->ops, .loop = loops[ask->param[0]]};
    if (weft_run(run_job, &job) != 0)
        bench_fail("weft_run failed");
    reply->value = (job.end - job.begin) / (double)ask->ops;
    reply->answer = job.sum;
}

// Some are read when the program is loaded: it is, anew, with the variables
// that the name of the contender says.
static void with(const char *variables, const struct bench_ask *ask,
                 struct bench_reply *reply)
{
    char path[4096], command[4400];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    snprintf(command, sizeof command, "exec env %s '%s' --sample %lu %ld",
             variables, path, (unsigned long)ask->ops, ask->param[0]);
    FILE *in = popen(command, "re");
    unsigned long answer;
    if (in == NULL || fscanf(in, "%lf %lu", &reply->value, &answer) != 2 ||
        pclose(in) != 0)
        bench_fail("failed: %s", command);
    reply->answer = answer;
}

// What `with` runs: --sample OPERATIONS WORK.
static int sample(char **argv)
{
    struct bench_ask ask = {.ops = strtoul(argv[2], NULL, 10)};
    struct bench_reply reply = {0};
    ask.param[0] = atol(argv[3]);
    as_installed(&ask, &reply);
    printf("%.17g %lu\n", reply.value, (unsigned long)reply.answer);
    return 0;
}

#define WITH(name, variables)                                                  \
    static void name(const struct bench_ask *ask, struct bench_reply *reply)   \
    {                                                                          \
        with(variables, ask, reply);                                           \
    }
WITH(no_watchdog, "WEFT_WATCHDOG=0")
WITH(no_overflow, "WEFT_SEGV=0")
WITH(no_deadlock, "WEFT_DEADLOCK=0")
WITH(all_off, "WEFT_WATCHDOG=0 WEFT_SEGV=0 WEFT_DEADLOCK=0")
WITH(stall, "WEFT_STALL=1")
WITH(lock_order, "WEFT_LOCKORDER=1")

static void ask(const char *name, const char *what, long work, long ops)
{
    static const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = as_installed},
        {"all off", BENCH_FLOOR, .fn = all_off},
        {"WEFT_WATCHDOG=0", BENCH_FLOOR, .fn = no_watchdog},
        {"WEFT_SEGV=0", BENCH_FLOOR, .fn = no_overflow},
        {"WEFT_DEADLOCK=0", BENCH_FLOOR, .fn = no_deadlock},
        {"weft WEFT_STALL=1", BENCH_WEFT, .fn = stall},
        {"weft WEFT_LOCKORDER=1", BENCH_WEFT, .fn = lock_order},
        {0}};
    bench_ask(&(struct bench_question){.name = name,
                                       .what = what,
                                       .unit = "ns",
                                       .ops = (uint64_t)ops,
                                       .warm = 2000,
                                       .params = {{"work", work}}},
              sides);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--sample") == 0)
        return sample(argv);
    bench_start("features", argc, argv);
    long n = bench_pick(1000000, 300000, 2000);
    ask("features/tasks", "start, yield, join", TASKS, n);
    ask("features/locks", "two locks and their release", LOCKS, n);
    ask("features/waits", "one hand-off between two tasks", WAITS, n);
    return bench_end();
}
