// SPDX-License-Identifier: MIT
//
// culprit.h: what a worker that is blocked in the kernel, or that one task
// holds for long, was running.
#ifndef WI_SCHED_CULPRIT_H
#define WI_SCHED_CULPRIT_H

#include <stdbool.h>
#include <stdint.h>

#include "os/trace.h"

struct weft_job;
struct wi_worker;

// The job that runs another one on many elements: then the first word of the
// record's result is that other one. Set by the executors.
extern const struct weft_job *wi_chunk_job;

struct wi_culprit {
    uint64_t id;
    uintptr_t site; // the body's function, or the job
    bool job;
    char name[64]; // the job's or the task's; "" if it has none
    char worker[32];
};

// Which task the worker is in, and its stack (no frames: its thread does not
// answer). false: it is in a job or in no body, in a run within a task, or has
// made a turn since the watchdog looked. Under the watchdog's lock.
bool wi_culprit_catch(struct wi_worker *worker, struct wi_culprit *culprit,
                      struct wi_os_trace *trace);

// Which body the worker is in; false if it is in none. Under the watchdog's
// lock, which keeps the worker's thread alive.
bool wi_culprit_find(struct wi_worker *worker, struct wi_culprit *culprit);

// Says who is blocked in which system call (-1: not known) and for how long,
// unless its site has been named before. One thread at a time.
void wi_culprit_report(const struct wi_culprit *culprit, long call, int64_t ns);

// The same of a task that has not let others run for so long, with its stack.
void wi_culprit_report_held(const struct wi_culprit *culprit,
                            const struct wi_os_trace *trace, int64_t ns);

// In a fork's child: nobody has been named yet.
void wi_culprit_forget(void);

#endif
