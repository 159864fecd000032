// SPDX-License-Identifier: MIT
//
// far_cycle.h: cycles of waits for locks that processes share.
#ifndef WI_SYNC_FAR_CYCLE_H
#define WI_SYNC_FAR_CYCLE_H

#include <weft/lock.h>

#include "sched/task.h"
#include "shared/lock.h"

// Who self is, to all processes that have the arena. Never 0, but for a chance
// of one in 2^64.
static inline uint64_t wi_far_who(const weft_arena *a,
                                  const struct wi_task *self)
{
    return self->id ^ a->salt;
}

// One wait for a lock, in the waiter's storage: between begin and end, look is
// called now and then.
struct wi_far_watch {
    struct wi_lock_watch base;
    weft_arena *arena;
    struct weft_lock *lock;
    struct wi_task *self;
    bool tell;                // whether the wait may be ended
    struct wi_far_wait *wait; // what the others see of it; NULL: nothing yet
};

void wi_far_watch_begin(struct wi_far_watch *watch, weft_arena *a,
                        struct weft_lock *lock, struct wi_task *self,
                        bool tell);

// After the lock was taken, if it was, and before the call returns.
void wi_far_watch_end(struct wi_far_watch *watch);

#endif
