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

#endif
