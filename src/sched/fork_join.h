// SPDX-License-Identifier: MIT
//
// fork_join.h: the children of fork-join runs, and who steals them. The essay
// is in fork_join.c.
#ifndef WI_SCHED_FORK_JOIN_H
#define WI_SCHED_FORK_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/fork.h>

struct wi_forks;
struct wi_runtime;
struct wi_task;
struct wi_worker;

// One run: what weft_fork_run started, in that call's frame.
struct wi_fork_run {
    struct wi_task *task; // whose scopes end it: who runs its root
    struct wi_runtime *runtime;
    int64_t deadline;  // of these scopes, as it began
    uint32_t canceled; // atomic: no child starts any more
};

// Whether a run for an executor (NULL: any) begins where the caller is: on one
// of its workers, or on one that has others beside it.
bool wi_fork_in_place(const void *executor);

// Calls run(w, data) on the caller's worker as the root of a run. The run is
// canceled when the caller's scopes are. 0 or -ENOMEM; whether it was canceled
// stands in *of.
int wi_fork_root(struct wi_fork_run *of, weft_fork_function *run, void *data);

// Whether the worker has children that others may take.
bool wi_fork_shares(weft_worker *w);

// For the scheduler -----------------------------------------------------------

// A record whose body runs a stolen child; claimed. NULL: none was found.
struct wi_task *wi_fork_take(struct wi_worker *worker);

// Whether there is a run: a hint. One that begins now wakes who sleeps, at its
// first publish.
bool wi_fork_is_on(struct wi_runtime *runtime);

// Asks all workers of the runtime, or one, to share children or to look at what
// else has come, at their next fork.
void wi_fork_ask(struct wi_runtime *runtime);
void wi_fork_ask_worker(struct wi_worker *worker);

// The same, where there are runs with a deadline, which otherwise nobody looks
// at while all are busy. Called now and then.
void wi_fork_ask_timed(struct wi_runtime *runtime);

// Looks for work for some microseconds before the worker sleeps; whether there
// may be some.
bool wi_fork_spin(struct wi_worker *worker);

// Gives the worker's ranges back. Nobody runs the runtime any more.
void wi_forks_free(struct wi_worker *worker);

#endif
