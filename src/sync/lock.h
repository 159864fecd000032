// SPDX-License-Identifier: MIT
//
// lock.h: what a condition does with a lock.
#ifndef WI_SYNC_LOCK_H
#define WI_SYNC_LOCK_H

#include <weft/lock.h>

#include "sync/far.h"
#include "sync/owner.h"

// weft_lock_acquire in the name of its caller, for reports.
int wi_lock_acquire_at(struct weft_lock *lock, const void *site);

// The holder of a struct weft_lock, for edges.
wi_hint wi_lock_holder(const void *lock);

static inline bool wi_lock_is_mine(const struct weft_lock *lock,
                                   struct wi_task *self)
{
    if (wi_lock_is_far(lock))
        return wi_far_lock_is_mine(lock, self);
    // relaxed: nobody else makes it ours or not ours
    return self != NULL &&
           wi_owner_of(__atomic_load_n(&lock->word, __ATOMIC_RELAXED)) ==
               wi_hint_of(self);
}

// Whether acquires say -EOWNERDEAD.
bool wi_lock_orphaned(const struct weft_lock *lock);

// The wait of a condition's waiter for its lock, begun by whoever notifies it
// and holds the lock: the place joins the line of the lock.
void wi_lock_line_up(struct weft_lock *lock, struct wi_place *place);

// And what the waiter does then: returns holding the lock, 0 or -EOWNERDEAD;
// or -WEFT_EFORKED without it. `place` is in the lock's line, or about to be
// put there by its holder, or was woken from it; its edge is set.
int wi_lock_come_back(struct weft_lock *lock, struct wi_task *self,
                      struct wi_place *place);

// The same for one that is in no line.
int wi_lock_take_back(struct weft_lock *lock, struct wi_task *self);

#endif
