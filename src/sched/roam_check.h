// SPDX-License-Identifier: MIT
//
// roam_check.h: a check for developers: does a job that may change its thread
// write thread-local variables between two waits? Off unless WEFT_MIGRATE is
// "check".
#ifndef WI_SCHED_ROAM_CHECK_H
#define WI_SCHED_ROAM_CHECK_H

#include <stdbool.h>

struct wi_task;
struct wi_worker;

bool wi_roam_check_wanted(void);

// The job begins, or goes on after a wait, here.
void wi_roam_check_goes_on(struct wi_worker *worker);

// It is about to wait; says so once for each job if it wrote any.
void wi_roam_check_waits(struct wi_worker *worker, const struct wi_task *t);

#endif
