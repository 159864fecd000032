// SPDX-License-Identifier: MIT
//
// worker.h: a worker is an OS thread that runs tasks; a runtime is one or
// more workers that steal unstarted tasks from each other. An event loop is a
// runtime of one worker.
//
// Files of the scheduler, from the inside out:
//   records, task   the records           stack, stack_pool  stacks
//   deque, lane     what has not begun    worker             loop and switching
//   park, idle      waiting and waking    scope, deadlock    what ends a wait
//   runtime, roam   workers together      fork_join          children, thieves
//   watchdog, culprit, standstill, overflow: what goes wrong, and by whose
//   doing
#ifndef WI_SCHED_WORKER_H
#define WI_SCHED_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cold.h"
#include "base/racy.h"
#include "base/wheel.h"
#include "os/biased.h"
#include "os/futex.h"
#include "os/spin.h"
#include "os/thread.h"
#include "sched/deque.h"
#include "sched/here.h"
#include "sched/lane.h"
#include "sched/roam.h"
#include "sched/stack.h"
#include "sched/task.h"

struct wi_loop;
struct wi_os_thread_image;

enum {
    WI_FAIR = 61,         // switches between two looks at everything else
    WI_MAX_WORKERS = 256, // of one runtime
    WI_MAX_SPARES = 64,   // beyond them, for those that block: watchdog.c
    WI_MAX_LIVE = WI_MAX_WORKERS + WI_MAX_SPARES,
};

// The sleep word of a worker.
enum wi_sleep {
    WI_AWAKE = 0,
    WI_ASLEEP = 1,  // on the futex of this word
    WI_POLLING = 2, // in the loop's wait
    WI_WAKING = 3,  // somebody is calling the loop's wake
};

// What the watchdog knows of a worker; all under its lock.
struct wi_watched {
    struct wi_this_thread *here; // of its thread; NULL: none
    const uint32_t *mutex;       // and its wi_mutex_sleeps
    pid_t thread;                // the kernel's id
    struct wi_worker *nested;    // a run inside one of its tasks
    uint64_t turns;              // wi_worker_progress, as seen last
    int64_t cpu;
    int64_t since;  // nothing has changed since then
    int64_t turned; // `turns` has not
    int64_t turned_cpu;
    bool blocked, told, told_held; // the last: that a task holds it
    unsigned regions; // that its tasks have announced: wi_watchdog_region_begin
};

struct wi_worker {
    // The owner's alone.
    struct wi_switch_point *point;       // of the stack that it runs on
    struct wi_task *ready, **ready_tail; // parked tasks that can go on
    int *errno_at;             // the thread's errno: a worker has one thread
    unsigned switches;         // since the last look around
    unsigned picks;            // of new records, while priorities are in use
    bool new_turn;             // new tasks are to run before the ready ones
    bool searching;            // it is the one that looks for work: idle.c
    bool in_mask;              // it has set its bit of the idle mask
    bool departs_ready;        // `departing` can go on at once
    struct wi_task *departing; // its stack is being left: roam.c
    struct wi_spin spin;       // what waiting before a sleep is worth
    struct wi_stack *loops;    // suspended loop frames, by `owner`
    struct wi_task *first;     // what a loop frame begins with: start_now
    struct wi_deque jobs;      // unstarted; thieves take from it
    uint64_t submitted, ended; // atomic: jobs, for exec/thread_pool.c
    struct wi_wheel wheel;
    struct wi_loop *loop; // NULL until the first descriptor
    struct wi_runtime *runtime;
    struct wi_stack_cache stacks;
    struct wi_switch_point os_point; // of the thread's own stack
    char *os_low;            // of the thread's own stack; NULL: not asked yet
    struct wi_worker *outer; // the run around a nested one
    struct wi_task *outer_self;
    struct wi_task *base; // the record of the thread itself
    unsigned index;
    uint32_t random;
    size_t parked_stacks; // loop frames kept, for trimming
    int64_t trim_at;
    uint64_t turns; // for the watchdog: any progress changes it
    struct wi_os_thread_image *image; // for roam_check.c
    struct wi_biased jobs_lock;       // the worker's; who cancels takes it too
    struct wi_task *jobs_running;     // started jobs, by `sibling`
    struct wi_os_thread thread;
    struct wi_worker *next_free;
    struct wi_watched watch;
    // Ranges of children (fork_join.c): those in use, which thieves follow, and
    // some that are not.
    struct wi_forks *forks, *forks_free;

    // Written by others, on a line of their own.
    struct wi_task *inbox __attribute__((aligned(64))); // by `mail`
    uint32_t sleep;                                     // enum wi_sleep

    // Of all its ranges, for others; on a line of their own.
    uint32_t fork_runs __attribute__((aligned(64))); // owner: runs begun here
    uint32_t forks_shared; // owner: children made public and not taken back
    uint32_t forks_stolen; // thieves: so many of them
    bool forks_asked;      // any: each has been, and has not taken its request
};

// Whether it has children of fork-join runs that may be stolen. One is counted
// before it can be stolen, and its theft after it: with the thefts read first,
// the counts are never the same while there is one.
static inline bool wi_worker_shares(const struct wi_worker *worker)
{
    // acquire: before the other
    uint32_t stolen = __atomic_load_n(&worker->forks_stolen, __ATOMIC_ACQUIRE);
    // seq_cst: for a sleeper, after its request; pairs with publish in
    // fork_join.c
    return __atomic_load_n(&worker->forks_shared, __ATOMIC_SEQ_CST) != stolen;
}

// The inbox of a worker that runs no more.
#define WI_INBOX_CLOSED ((struct wi_task *)1)

struct wi_runtime {
    void (*run)(struct wi_task *t); // calls the body and completes the record
    unsigned count;     // atomic: written under the lock of the watchdog
    unsigned live;      // atomic, only grows: count, and the spares behind them
    unsigned spares_on; // atomic: so many of the spares may take work now
    uint32_t stop;      // atomic
    size_t stack_size;
    uint32_t cancel_all;  // atomic: jobs begin canceled
    uint32_t forks_timed; // atomic: fork-join runs with a deadline
    uint32_t dropping;    // atomic: so many drop what has not begun
    bool alone;    // atomic: it has one worker; who starts another has the
                   // barrier for it
    bool solo;     // its one worker has no thief, ever: no spare either
    bool watched;  // under the lock of the watchdog's life
    int64_t stall; // ns that a task may hold a worker unreported
                   // (WI_FOREVER: always; 0: as the environment says)
    char name[16]; // of its threads
    const struct wi_os_cpus *cpus;                 // their CPUs; NULL: any
    void (*job_ended)(struct wi_runtime *runtime); // NULL, or told of each
    void *executor;                                // for job_ended
    // NULL, or called first in each thread, and last; < 0: the thread ends now.
    int (*begin)(struct wi_runtime *runtime);
    void (*end)(struct wi_runtime *runtime);
    struct wi_worker *workers[WI_MAX_LIVE]; // atomic
    weft_group *root; // of its run, or where tasks go that jobs start
    void *timers;     // any, atomically: see future/timer.c
    struct wi_runtime *next_free;
    struct wi_runtime *next_watched; // under the watchdog's lock
    uint64_t signals;                // blocked in its threads

    // The injector: jobs from outside, and those of another than the usual
    // priority, taken by any worker.
    struct wi_mutex lock __attribute__((aligned(64)));
    uint64_t injected; // under the lock: records that came through it
    struct wi_lane lanes[WI_LANES];

    // One bit for each worker that sleeps, or is about to. With `searching` 0
    // or 1: whether a worker looks for work, or was woken to: idle.c
    uint64_t idle[WI_MAX_LIVE / 64] __attribute__((aligned(64)));
    uint32_t searching;

    struct wi_roamers roamers __attribute__((aligned(64)));
};

// The worker with this index. NULL if there is none (any more): who has queued
// something may come too late, when the runtime has gone.
static inline struct wi_worker *
wi_runtime_worker(const struct wi_runtime *runtime, unsigned index)
{
    // relaxed: who is counted was stored before; see wi_runtime_live
    return __atomic_load_n(&runtime->workers[index], __ATOMIC_RELAXED);
}

// Whether it has nothing to do. relaxed: a hint.
static inline bool wi_worker_sleeps(const struct wi_worker *worker)
{
    const uint64_t *idle = &worker->runtime->idle[worker->index / 64];
    return __atomic_load_n(idle, __ATOMIC_RELAXED) >> worker->index % 64 & 1;
}

// worker.c --------------------------------------------------------------------

// From now on overflows of stacks are told, and locks that are NULL.
void wi_worker_watch_faults(void);

// The same, and an overflow of the calling thread's stack is told; to be undone
// with wi_overflow_thread_fini.
void wi_worker_watch_stack(void);

// Makes the calling thread the worker of this index; returns that.
struct wi_worker *wi_worker_enter(struct wi_runtime *runtime, unsigned index);

// The reverse; on the thread's own stack, when nothing of it runs any more.
void wi_worker_leave(struct wi_worker *worker);

// A worker for a runtime, before its thread enters it; never freed.
struct wi_worker *wi_worker_new(struct wi_runtime *runtime, unsigned index);
void wi_worker_free(struct wi_worker *worker);

// Suspends the caller, which has set owner to WI_PARKED, until it is ready.
void wi_worker_wait(struct wi_worker *worker, struct wi_task *self);

// Puts the caller behind all ready tasks and runs the others first.
void wi_worker_yield(struct wi_worker *worker, struct wi_task *self);

// The same, when what comes from outside has been looked at: for a task that
// has got much without waiting, and may go on like that.
void wi_worker_give_way(struct wi_worker *worker, struct wi_task *self);

// Runs t, unstarted and claimed, at once, on a stack of its own: the caller
// goes on when t has ended or parks for the first time. False if there is no
// memory for a stack: then nothing was done.
bool wi_worker_start_now(struct wi_worker *worker, struct wi_task *self,
                         struct wi_task *t);

// Suspends the caller, which becomes any worker's when its stack is left
// (wi_roamer_leaves): one that can go on, if `ready`. It returns on the worker
// that goes on with it. False: no memory, nothing was done.
bool wi_worker_depart(struct wi_worker *worker, struct wi_task *self,
                      bool ready);

// The worker of this thread, also for code that may have changed it since it
// last asked.
struct wi_worker *wi_worker_here(void);

// Moves a parked task of this worker to its ready queue.
void wi_worker_ready(struct wi_worker *worker, struct wi_task *t);

// Runs an unstarted record on the current stack, as a call. It must have been
// claimed. The caller's record is current again when it returns.
static inline void wi_worker_call(struct wi_worker *worker, struct wi_task *t)
{
    struct wi_task *outer = wi_here.self;
    // release: pairs with the acquire in wi_mail and in the canceller
    __atomic_store_n(&t->owner, (uintptr_t)worker, __ATOMIC_RELEASE);
    wi_here_set_self(t);
    worker->turns++;
    worker->runtime->run(t);
    wi_here_set_self(outer);
}

// Calls fn(arg) on a fresh stack, as a call: the caller's record runs on. False
// if there is no memory for a stack.
bool wi_worker_call_on_new_stack(struct wi_worker *worker, void (*fn)(void *),
                                 void *arg);

// Whether there are more idle stacks than worth keeping; gives some of them
// back and returns whether there are still more.
bool wi_worker_wants_trim(const struct wi_worker *worker);
bool wi_worker_trim(struct wi_worker *worker);

// Calls visit for every job that has started and not ended, under its worker's
// lock: visit must not end one. Not on one of the workers.
void wi_runtime_each_job(struct wi_runtime *runtime,
                         void (*visit)(struct wi_task *t, void *arg),
                         void *arg);

// Calls drop for each record that has not begun; claimed with WI_CANCELED. Any
// thread. Not of a solo runtime.
void wi_runtime_drop_unstarted(struct wi_runtime *runtime,
                               void (*drop)(struct wi_task *t, int code),
                               int code);

// Keep the list of started jobs; on the worker's thread.
void wi_worker_job_begins(struct wi_worker *worker, struct wi_task *t);
void wi_worker_job_ends(struct wi_worker *worker, struct wi_task *t);

// The lowest address of the thread's own stack.
uintptr_t wi_worker_os_low(struct wi_worker *worker);

// Whether so many bytes of the running stack are left.
static inline bool wi_worker_has_room(struct wi_worker *worker, size_t bytes)
{
    uintptr_t low =
        worker->point != &worker->os_point
            ? (uintptr_t)wi_stack_limit((struct wi_stack *)worker->point)
        : worker->os_low != NULL ? (uintptr_t)worker->os_low
                                 : wi_worker_os_low(worker);
    return wi_arch_sp() - bytes > low && wi_arch_sp() > bytes;
}

// Changes with each switch and each new task, if no 64 come between two looks.
// The owner's plain counters: only whether they change matters.
WI_RACY uint64_t wi_worker_progress(const struct wi_worker *worker);

// runtime.c -------------------------------------------------------------------

// A runtime of `count` workers; solo: one, which never gets a spare. 0 or a
// negative code.
int wi_runtime_new(struct wi_runtime **runtime, unsigned count, bool solo,
                   size_t stack_size, void (*run)(struct wi_task *t));

// Its workers have left. The memory stays for the next runtime: who submits
// wakes a worker after queueing, and what was queued may have ended by then.
void wi_runtime_free(struct wi_runtime *runtime);

// Starts threads for the workers from..count-1, and has the runtime watched
// unless it is solo: that is from its first task on.
int wi_runtime_start(struct wi_runtime *runtime, unsigned from,
                     const char *name);

// Tells the threads to end when they have nothing to do, and joins them.
void wi_runtime_stop(struct wi_runtime *runtime, unsigned from);

// Starts one more worker, a spare, which may take work when `spares_on` says
// so. Under the watchdog's lock. 0 or a negative code.
int wi_runtime_add_spare(struct wi_runtime *runtime);

// See wi_watchdog_resize.
int wi_runtime_resize(struct wi_runtime *runtime, unsigned count);

// Whether there is work for any worker: what has not started, or what may go
// on anywhere. Any thread.
bool wi_runtime_has_open_work(struct wi_runtime *runtime);

// Whether it is a spare that nobody needs just now: it ends what it has begun
// and runs what its own tasks queue, and takes nothing else.
static inline bool wi_worker_rests(const struct wi_worker *worker)
{
    const struct wi_runtime *runtime = worker->runtime;
    // seq_cst, both: after the announcement of sleep; pairs with watchdog.c
    unsigned count = __atomic_load_n(&runtime->count, __ATOMIC_SEQ_CST);
    return worker->index >= count &&
           worker->index - count >=
               __atomic_load_n(&runtime->spares_on, __ATOMIC_SEQ_CST);
}

// How many workers it has, of those that are no spares.
static inline unsigned wi_runtime_count(const struct wi_runtime *runtime)
{
    return __atomic_load_n(&runtime->count, __ATOMIC_RELAXED);
}

// Whether a fork-join run for an executor (NULL: any) may begin on the worker.
static inline bool wi_worker_forks_for(const struct wi_worker *worker,
                                       const void *executor)
{
    // A pool's runtime names its pool; a run's names none.
    const void *pool = worker->runtime->executor;
    return executor != NULL
               ? pool == executor
               : pool != NULL || wi_runtime_count(worker->runtime) > 1;
}

// The calling worker: queues an unstarted record where others look, too. 0 or
// -ENOMEM.
int wi_worker_submit_shared(struct wi_worker *worker, struct wi_task *t);
static WI_MERGED int wi_worker_submit(struct wi_worker *worker,
                                      struct wi_task *t)
{
    return worker->runtime->solo ? wi_deque_push(&worker->jobs, wi_hint_of(t))
                                 : wi_worker_submit_shared(worker, t);
}

// Queues an unstarted record in a lane of the injector. 0 or -ENOMEM.
int wi_runtime_submit_lane(struct wi_runtime *runtime, struct wi_task *t,
                           unsigned lane);

// Queues an unstarted record. 0 or -ENOMEM.
static WI_MERGED int wi_runtime_submit(struct wi_runtime *runtime,
                                       struct wi_task *t)
{
    struct wi_worker *worker = wi_here.worker;
    return worker != NULL && worker->runtime == runtime
               ? wi_worker_submit(worker, t)
               : wi_runtime_submit_lane(runtime, t, WI_LANE_USUAL);
}

// With its spares. acquire: who is counted can be woken; pairs with add_worker
static inline unsigned wi_runtime_live(const struct wi_runtime *runtime)
{
    return __atomic_load_n(&runtime->live, __ATOMIC_ACQUIRE);
}

// The next record for worker: its own, from outside, stolen; claimed, or NULL.
struct wi_task *wi_runtime_next(struct wi_worker *worker);

// Whether wi_runtime_next might find something.
bool wi_runtime_has_work(struct wi_worker *worker);

#endif
