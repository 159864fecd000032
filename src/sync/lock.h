// SPDX-License-Identifier: MIT
//
// lock.h: what a condition does with a lock, and what else is owned.
#ifndef WI_SYNC_LOCK_H
#define WI_SYNC_LOCK_H

#include <weft/lock.h>

#include "sched/deadlock.h"
#include "sched/task.h"
#include "sync/line.h"

// An owned word: the hint of the owner's record, whose low 6 bits are flags,
// since records begin at a cache line.
#define WI_OWNER_FLAGS ((uint64_t)63)

static inline wi_hint wi_owner_of(uint64_t word)
{
    return word & ~WI_OWNER_FLAGS;
}

// Whether the word names an owner that has ended without giving it back.
static inline bool wi_owner_gone(uint64_t word)
{
    wi_hint owner = wi_owner_of(word);
    return owner != 0 && !wi_hint_blocks(owner);
}

// Whether the owner runs at this moment, on another CPU: worth spinning for.
bool wi_owner_runs(wi_hint owner);

// The calling record; aborts if there is no memory for it.
struct wi_task *wi_sync_self(const void *object);

// The holder of a struct weft_lock, for edges.
wi_hint wi_lock_holder(const void *lock);

static inline bool wi_lock_is_mine(const struct weft_lock *lock,
                                   struct wi_task *self)
{
    // relaxed: nobody else makes it ours or not ours
    return self != NULL &&
           wi_owner_of(__atomic_load_n(&lock->word, __ATOMIC_RELAXED)) ==
               wi_hint_of(self);
}

// Whether acquires say -EOWNERDEAD.
bool wi_lock_orphaned(const struct weft_lock *lock);

// The wait of a condition's waiter for its lock, begun by whoever notifies it:
// place joins the line of a lock that the caller holds.
void wi_lock_line_up(struct weft_lock *lock, struct wi_chosen *chosen);

// And what the waiter does then: returns holding the lock, 0 or -EOWNERDEAD;
// or -WEFT_EFORKED without it. `place` is in the lock's line, or was woken
// from it; its edge is set.
int wi_lock_come_back(struct weft_lock *lock, struct wi_task *self,
                      struct wi_place *place);

// The same for one that is in no line.
int wi_lock_take_back(struct weft_lock *lock, struct wi_task *self);

#endif
