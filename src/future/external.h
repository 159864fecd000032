// SPDX-License-Identifier: MIT
//
// external.h: futures that something outside the scheduler completes: a
// promise, a thread, a process, a job in a worker process.
#ifndef WI_FUTURE_EXTERNAL_H
#define WI_FUTURE_EXTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/future.h>
#include <weft/task.h>

#include "sched/task.h"

// What the producer of an external future does for it. Static, one a kind.
struct wi_external_ops {
    // weft_cancel was called, for the first time, and f was not done: inline
    // in the caller, with no lock held; must not block. owner as given below.
    // May call wi_external_complete.
    void (*cancel)(weft_future *f, void *owner);
    // NULL, or both: a reference to owner, for as long as a cancel runs. With
    // them nobody waits for a cancel that runs, so that cancels which complete
    // each other's futures cannot wait in a ring. hold must not block.
    void (*hold)(void *owner);
    void (*let_go)(void *owner);
    // The kernel's id, 0 if it has none now.
    pid_t (*native_id)(weft_future *f, void *owner);
    // The last handle of a future that was done, and whose id had been asked
    // for, has gone.
    void (*gone)(void *owner);
};

// A new external future, running from the start. It has two references: the
// handle for the user, and the producer's, which wi_external_complete gives
// back. name (may be NULL) is copied. group (may be NULL) will join it: with
// -WEFT_ECLOSED or -ENOMEM the result is a failed future and *made is false.
// In a group that is canceled already the future is marked so: who passes a
// group asks wi_external_cancel_requested once it can be canceled.
// owner must stay valid until wi_external_complete has returned: see the essay
// of the .c file.
weft_future *wi_external_new(enum wi_kind kind,
                             const struct wi_external_ops *ops, void *owner,
                             const char *name, weft_group *group, bool *made);

// Completes f: the first call wins and returns true; then the code (as
// wi_future_own_code makes it), result (size bytes,
// copied, if code >= 0) and text (copied; may be NULL) are set, callbacks run
// and waiters wake. The producer's reference is given back by the winner's
// call; a loser's call leaves everything as it is. A `WEFT_BYTES` result is
// handed over as struct weft_bytes whose data comes from malloc: pass
// bytes = true, and f frees it if nobody takes it.
bool wi_external_complete(weft_future *f, int code, const void *result,
                          size_t size, bool bytes, const char *text);

// Calls the producer's cancel function unless t is done.
void wi_external_cancel(struct wi_task *t);

// The kernel's id of what the producer of t runs, 0 if it has none. Under the
// lock of the cancel: the owner lives as long as the call.
pid_t wi_external_native_id(struct wi_task *t);

// The owner given at new; NULL once f is done.
void *wi_external_owner(weft_future *f);

// Whether weft_cancel has been called on f.
bool wi_external_cancel_requested(weft_future *f);

// f waits for `target` from now on, or for nothing any more (NULL): the edge
// of a job in a worker process whose WAIT frame came in. Returns 0, or
// -WEFT_EDEADLOCK if the edge closes a cycle (then it is not set).
int wi_external_waits_for(weft_future *f, weft_future *target);

// A failed future; never NULL. text is copied and may be NULL. With no memory
// the one immortal future for -ENOMEM.
weft_future *wi_future_failed(int code, const char *text);

// Tells of a failure that no future carries, as of one that nobody asked for.
void wi_future_unobserved(int code, const char *what, const char *text);

// A handle on the live future with this id in this process, or NULL.
weft_future *wi_future_find(uint64_t id);

#endif
