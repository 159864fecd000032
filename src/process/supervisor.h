// SPDX-License-Identifier: MIT
//
// supervisor.h: the thread that hears of deaths, bells and deadlines. What it
// calls must not block; it may complete futures.
#ifndef WI_PROCESS_SUPERVISOR_H
#define WI_PROCESS_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"

// A descriptor to be watched.
struct wi_watch {
    void (*heard)(struct wi_watch *watch); // it is readable
};

// A call at a time.
struct wi_alarm {
    struct wi_timer timer; // first; the supervisor's, under its lock
    void (*ring)(struct wi_alarm *alarm);
};

// A call as soon as possible.
struct wi_errand {
    struct wi_errand *next; // the supervisor's, under its lock
    bool posted;
    void (*run)(struct wi_errand *errand);
};

// Starts the supervisor if it does not run. 0 or a negative code.
int wi_supervisor_start(void);

// Whether the caller is its thread.
bool wi_supervisor_is_self(void);

int wi_supervisor_watch(int fd, struct wi_watch *watch);
void wi_supervisor_forget(int fd); // on the supervisor's thread only

// Sets an alarm, again if it was set; `when` is monotonic ns. Any thread.
void wi_alarm_set(struct wi_alarm *alarm, int64_t when);

// Whether it was set; if not, it has rung, or is about to. Any thread.
bool wi_alarm_stop(struct wi_alarm *alarm);

// Waits until all that was posted before, or was ringing, has run. Not on the
// supervisor's thread.
void wi_supervisor_settle(void);

// Any thread; once more while it is posted does nothing.
void wi_supervisor_post(struct wi_errand *errand);

#endif
