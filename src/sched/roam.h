// SPDX-License-Identifier: MIT
//
// roam.h: jobs that may go on on another worker (.migrate). The essay is in
// roam.c.
#ifndef WI_SCHED_ROAM_H
#define WI_SCHED_ROAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/wheel.h"
#include "os/futex.h"

struct wi_runtime;
struct wi_task;
struct wi_wait;
struct wi_worker;

// Of one runtime.
struct wi_roamers {
    struct wi_task *arrived;       // atomic: ready, newest first, by `next`
    struct wi_mutex lock;          // for all below
    struct wi_task *first, **last; // ready, oldest first; `first` is atomic
    struct wi_task *jobs;          // begun and not ended, by `sibling`
    bool timed;                    // the wheel has been made
    struct wi_wheel wheel;         // of their timed waits
    int64_t due;              // atomic: when to look at it. WI_FOREVER: never
    int64_t kept;             // when the keeper will do so by itself
    struct wi_worker *keeper; // atomic; NULL: nobody
    uint64_t moves;           // atomic: how often one has changed its worker
};

void wi_roamers_init(struct wi_roamers *roamers);

// Whether one can go on. A guess, unless there was a barrier before (idle.c).
static inline bool wi_roamers_ready(const struct wi_roamers *roamers)
{
    return __atomic_load_n(&roamers->arrived, __ATOMIC_RELAXED) != NULL ||
           __atomic_load_n(&roamers->first, __ATOMIC_RELAXED) != NULL;
}

// One that can go on, now worker's; NULL: there is none.
struct wi_task *wi_roamer_take(struct wi_worker *worker);

// Around the body of one.
void wi_roamer_begins(struct wi_worker *worker, struct wi_task *t);
void wi_roamer_ends(struct wi_roamers *roamers, struct wi_task *t);

// Calls visit for every one that has begun; visit must not end one.
void wi_roamers_each(struct wi_roamers *roamers,
                     void (*visit)(struct wi_task *t, void *arg), void *arg);

// As park_task for one of them.
int wi_roamer_park(struct wi_worker *worker, struct wi_task *self,
                   const struct wi_wait *wait, int64_t deadline);

// Puts it behind the others that can go on; false: it is tied to its worker.
bool wi_roamer_yield(struct wi_worker *worker, struct wi_task *self);

// On a loop frame: the stack of worker->departing is left now.
void wi_roamer_leaves(struct wi_worker *worker);

// Wakes one; false: t is none at the moment. Any thread, also in a signal
// handler.
bool wi_roamer_wake(struct wi_task *t);

// Wakes those whose time has come. Any thread that the runtime outlives.
void wi_roamers_fire(struct wi_runtime *runtime, int64_t now);

// The caller is about to sleep: until when, if it is to watch the wheel;
// WI_FOREVER if not.
int64_t wi_roamers_keep(struct wi_worker *worker);
void wi_roamers_unkeep(struct wi_worker *worker);

#endif
