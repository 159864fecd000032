// SPDX-License-Identifier: MIT
//
// future.h: completing and waiting, for the files of this folder and above.
#ifndef WI_FUTURE_FUTURE_H
#define WI_FUTURE_FUTURE_H

#include <errno.h>

#include <weft/error.h>
#include <weft/future.h>

#include "os/report.h"
#include "sched/task.h"

// Ends t, which the caller alone may end: code, waiters, callbacks, group,
// and the runner's reference. A result must be in place. t is gone after.
void wi_future_finish(struct wi_task *t, int code);

// What a body returned, as the code of its future: -ECANCELED and -ETIMEDOUT
// become the job's own kinds, so that they are never taken for the waiter's.
static inline int wi_future_own_code(int code)
{
    if (__builtin_expect(code < 0, false)) {
        if (code == -ECANCELED)
            return -WEFT_EJOBCANCELED;
        if (code == -ETIMEDOUT)
            return -WEFT_EJOBTIMEOUT;
    }
    return code;
}

// Ends a claimed record whose body never runs: calls .drop, then finishes.
void wi_future_drop(struct wi_task *t, int code);

static inline bool wi_future_done(struct wi_task *t)
{
    // acquire: pairs with the release of completion; the result is visible
    return (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) & WI_PHASE) == WI_DONE;
}

// The record of a handle that was given to a public call.
static inline struct wi_task *wi_future_given(const char *function,
                                              weft_future *f)
{
    wi_require_in(function, f != NULL, f, "a future handle must not be NULL");
    wi_require_in(function, !wi_task_gone(wi_of_future(f)), f, WI_TASK_GONE);
    return wi_of_future(f);
}

// Puts a waiter's node on t; false if t is done, and nothing was done then.
bool wi_future_watch(struct wi_task *t, struct wi_node *node);

// Takes it off; false if t is done: then the completer has the node, and the
// caller must wait until it is granted.
bool wi_future_unwatch(struct wi_task *t, struct wi_node *node);
void wi_node_await(struct wi_node *node);

// Whether a wait ended because the waiter's scopes wanted it to.
static inline bool wi_future_gave_up(int rc)
{
    return rc == -ECANCELED || rc == -ETIMEDOUT;
}

// Waits until t is done. 0, -ETIMEDOUT, -ECANCELED, -WEFT_EDEADLOCK.
int wi_future_wait(struct wi_task *t);

// The same whatever the caller's scopes say, for a caller whose memory t works
// on: should the wait close a cycle, another one of that is told. 0; -ENOMEM or
// -WEFT_EFORKED: t does not run here.
int wi_future_await(struct wi_task *t);

// Copies t's result out and returns its code, or -WEFT_ETYPE.
int wi_future_take(struct wi_task *t, void *out, size_t size);

// Stores a result of size bytes; false: no memory.
bool wi_future_put(struct wi_task *t, const void *result, size_t size);

// Whether something outside the scheduler completes t (external.h). By the
// kind: the extra part of others may come while they run.
static inline bool wi_future_is_external(const struct wi_task *t)
{
    return t->kind == WI_KIND_PROCESS || t->kind == WI_KIND_PROCESS_JOB ||
           t->kind == WI_KIND_PROMISE;
}

// Asks t to cancel; see weft_cancel.
int wi_future_cancel(struct wi_task *t);

// Cancels all of them, and waits until they have ended, as wi_future_await.
// Needs no memory.
void wi_futures_end(weft_future *const *set, size_t n);

// Tells a running record, which has WI_CANCELED already, to look at it.
void wi_future_nudge(struct wi_task *t);

// The record of one failed start; see external.h.
struct wi_task *wi_future_nomem(void);

// What is said of a record when its last reference goes: id.c.
void wi_future_last_words(struct wi_task *t);

#endif
