// SPDX-License-Identifier: MIT
//
// timer.h: the timer that a parked task has on its stack.
#ifndef WI_SCHED_TIMER_H
#define WI_SCHED_TIMER_H

#include <stdbool.h>

#include "base/wheel.h"

struct wi_task;
struct wi_worker;

struct wi_wake_timer {
    struct wi_timer timer; // first: the wheel hands this out
    struct wi_task *task;
    bool due;
};

// The timer's time has come: its task becomes ready.
void wi_wake_timer_fire(struct wi_worker *worker, struct wi_timer *timer);

// Makes t the record of the calling plain thread, which takes a reference.
void wi_thread_adopt(struct wi_task *t);

// Called when a plain thread with a record ends, before its record goes.
extern void (*wi_thread_left)(struct wi_task *t);

// Called when any thread with values of its own may end.
extern void (*wi_thread_values_left)(void);

// Wakes the plain thread of this record (park.c). Signal-safe.
void wi_thread_unpark(struct wi_task *t);

#endif
