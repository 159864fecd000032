// SPDX-License-Identifier: MIT
//
// run.h: what it means to run a record, and where tasks go that are started
// outside any run.
#ifndef WI_FUTURE_RUN_H
#define WI_FUTURE_RUN_H

#include "sched/worker.h"

// The `run` of every runtime: calls the body of a task or a job, and finishes
// the record.
void wi_run_body(struct wi_task *t);

// Set by the executors: runs the body of a record of kind WI_KIND_JOB and
// returns its code, with the result in place.
extern int (*wi_run_job)(struct wi_task *t);

// weft_task_start with a given place. `options` is whole.
weft_future *wi_task_start_at(struct wi_runtime *runtime, weft_group *group,
                              weft_function *fn, void *arg,
                              const struct weft_task_options *options);

// The process-wide loop of one thread for tasks that plain threads start, made
// at the first call; NULL: no memory or no thread, *rc says which.
struct wi_runtime *wi_default_runtime(int *rc);

// To be called before another exit hook is set that waits for code which may
// use the default loop: then the loop ends after that.
void wi_default_hook_exit(void);

#endif
