// SPDX-License-Identifier: MIT
//
// Nothing can ever run again if at one instant
//
// - each worker of each watched runtime sleeps on its futex, which it does only
//   if it waits for no descriptor, and has no timer, no message, and no work;
// - each other thread of the process but ours (the watchdog's) is one that
//   waits for something with an owner and without a deadline: what alone could
//   end its wait is one of those that wait;
// - no signal has a handler that could wake somebody;
//
// for then whatever could wake one of them would have to be done by one of
// them. What a process has beside this, such as a thread that Weft does not
// know, or the threads by which other processes are heard of, is counted by the
// kernel as a thread more than we know, and that is the end of the proof.
//
// To have all of it at one instant the workers and threads are looked at twice,
// with counters that change whenever one of them runs; the kernel is asked in
// between. Who has not changed stood still all the time between the looks.
#include "sched/standstill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/racy.h"
#include "os/blocked.h"
#include "os/environment.h"
#include "os/report.h"
#include "sched/worker.h"

enum { MOST_LINES = 16 };

struct stand {
    bool still;       // all that was seen sleeps
    unsigned threads; // of those
    unsigned tasks;   // that are parked
    uint64_t mark;    // changes when somebody has run
};

static void mix(struct stand *stand, uint64_t value)
{
    stand->mark = (stand->mark ^ value) * 0x100000001b3u;
}

// Workers ---------------------------------------------------------------------

WI_RACY static void look_at_worker(struct wi_worker *worker,
                                   struct stand *stand)
{
    if (worker->watch.here == NULL)
        return;
    if (worker->watch.nested != NULL && worker->runtime->solo)
        return; // its thread is that of the nested one
    // seq_cst: pairs with wi_worker_wake; what it did before is seen
    uint32_t sleep = __atomic_load_n(&worker->sleep, __ATOMIC_SEQ_CST);
    stand->still &= sleep == WI_ASLEEP && WI_GLANCE(worker->wheel.count) == 0 &&
                    __atomic_load_n(&worker->inbox, __ATOMIC_SEQ_CST) == NULL;
    stand->threads++;
    mix(stand, (uintptr_t)worker);
    mix(stand, WI_GLANCE(worker->turns));
}

static void look_at_workers(struct wi_runtime *runtimes, struct stand *stand)
{
    for (struct wi_runtime *r = runtimes; r != NULL; r = r->next_watched) {
        for (unsigned i = 0; i < r->live; i++)
            look_at_worker(r->workers[i], stand);
        // relaxed: a timer set meanwhile was set by somebody who has run
        stand->still &=
            !wi_runtime_has_open_work(r) &&
            __atomic_load_n(&r->roamers.due, __ATOMIC_RELAXED) == WI_FOREVER;
    }
}

// Records ---------------------------------------------------------------------

WI_RACY static bool is_parked_task(const struct wi_task *t)
{
    uint32_t phase =
        __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) & (uint32_t)WI_PHASE;
    uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_RELAXED);
    return phase == WI_RUNNING && (owner & WI_PARKED) && !(owner & WI_THREAD);
}

// A plain thread in a wait that only those can end who wait too: permit 2 is
// the sleep on the futex (park.c), and an edge stands only while no deadline is
// in force.
WI_RACY static bool is_parked_thread(const struct wi_task *t)
{
    uint32_t phase =
        __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) & (uint32_t)WI_PHASE;
    return phase == WI_RUNNING &&
           (__atomic_load_n(&t->owner, __ATOMIC_RELAXED) & WI_THREAD) &&
           __atomic_load_n(&t->permit, __ATOMIC_ACQUIRE) == 2 &&
           __atomic_load_n(&t->edge, __ATOMIC_SEQ_CST) != 0 &&
           WI_GLANCE(t->extra) != NULL;
}

WI_RACY static void look_at_record(struct wi_task *t, void *arg)
{
    struct stand *stand = arg;
    if (is_parked_task(t)) {
        stand->tasks++;
        return;
    }
    if (!is_parked_thread(t))
        return;
    pid_t thread = __atomic_load_n(&t->extra->native, __ATOMIC_RELAXED);
    stand->threads++;
    mix(stand, (uint64_t)thread);
    mix(stand, (uint64_t)wi_os_thread_cpu(thread));
}

static struct stand look(struct wi_runtime *runtimes)
{
    struct stand stand = {.still = true, .mark = 0xcbf29ce484222325u};
    look_at_workers(runtimes, &stand);
    if (stand.still)
        wi_task_each(look_at_record, &stand);
    return stand;
}

bool wi_stands_still(struct wi_runtime *runtimes)
{
    struct stand before = look(runtimes);
    if (!before.still || before.tasks == 0 ||
        wi_os_thread_count() != before.threads + 1 || wi_os_catches_signals())
        return false;
    struct stand after = look(runtimes);
    return after.still && after.threads == before.threads &&
           after.tasks == before.tasks && after.mark == before.mark;
}

// Reports ---------------------------------------------------------------------

enum wi_deadlock_policy wi_deadlock_policy(void)
{
    const char *text = wi_os_environment("WEFT_DEADLOCK");
    if (text == NULL)
        return WI_DEADLOCK_TELL;
    if (strcmp(text, "abort") == 0)
        return WI_DEADLOCK_ABORT;
    return strcmp(text, "0") == 0 ? WI_DEADLOCK_QUIET : WI_DEADLOCK_REPORT;
}

static const char *wait_name(unsigned kind)
{
    static const char *const names[WI_WAIT_KINDS] = {
        [WI_WAIT_PARK] = "an unpark",      [WI_WAIT_FUTURE] = "future",
        [WI_WAIT_SET] = "futures",         [WI_WAIT_GROUP] = "group",
        [WI_WAIT_LOCK] = "lock",           [WI_WAIT_QUEUE] = "queue",
        [WI_WAIT_POOL] = "pool",           [WI_WAIT_CONDITION] = "condition",
        [WI_WAIT_SEMAPHORE] = "semaphore", [WI_WAIT_EVENT] = "event",
        [WI_WAIT_BARRIER] = "barrier",     [WI_WAIT_ONCE] = "once"};
    return kind < WI_WAIT_KINDS && names[kind] != NULL ? names[kind]
                                                       : "something";
}

// As `weft ps` has it: a future by its number, others by where they are.
WI_RACY static void print_object(char text[32], unsigned kind,
                                 const void *object)
{
    text[0] = '\0';
    if (object == NULL)
        return;
    if (kind == WI_WAIT_FUTURE)
        snprintf(text, 32, " %llu",
                 (unsigned long long)WI_GLANCE(((struct wi_task *)object)->id));
    else
        snprintf(text, 32, " %p", object);
}

WI_RACY static void report_record(struct wi_task *t, void *arg)
{
    unsigned *lines = arg;
    if (!is_parked_task(t) && !is_parked_thread(t))
        return;
    if ((*lines)++ >= MOST_LINES)
        return;
    const char *name = wi_task_name(t);
    unsigned kind = WI_GLANCE(t->wait_kind);
    char object[32];
    print_object(object, kind, WI_GLANCE(t->wait_object));
    wi_report("  %s %llu%s%s waits for %s%s", wi_kind_name(t->kind),
              (unsigned long long)t->id, name[0] != '\0' ? " " : "", name,
              wait_name(kind), object);
}

void wi_standstill_report(void)
{
    enum wi_deadlock_policy policy = wi_deadlock_policy();
    unsigned lines = 0;
    if (policy == WI_DEADLOCK_QUIET)
        return;
    wi_report("nothing can run any more: all tasks and threads wait, and there "
              "is no timer, no descriptor, no signal handler and no other "
              "thread that could wake one of them");
    wi_task_each(report_record, &lines);
    if (lines > MOST_LINES)
        wi_report("  and %u more", lines - MOST_LINES);
    if (policy == WI_DEADLOCK_ABORT)
        wi_panic("WEFT_DEADLOCK", NULL, "nothing can run any more");
}
