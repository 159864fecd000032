// SPDX-License-Identifier: MIT
//
// owner.h: what belongs to one record at a time: objects that begin with an
// owned word (sched/deadlock.h).
#ifndef WI_SYNC_OWNER_H
#define WI_SYNC_OWNER_H

#include "sched/deadlock.h"
#include "sched/task.h"
#include "sync/line.h"

#define WI_OWNER_FLAGS ((uint64_t)WI_OWNED_FLAGS)

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

// The owner of an object, 0 if there is none: a single load, seq_cst.
typedef wi_hint wi_owner_function(const void *object);

// Announces that self is going to wait for whoever owns an object: before it
// can be seen in the line.
static inline void wi_owner_edge(struct wi_task *self,
                                 const struct wi_edge_set *holder)
{
    wi_edge_set(self, (uintptr_t)holder | WI_EDGE_ALL | WI_EDGE_FIRM);
}

// For a caller in line: waits until it is woken or given, 0, or the wait is
// ended: a code, and it is still in line unless it was chosen just then.
// -EOWNERDEAD: the owner has ended. `edge`: cycles are to be told.
int wi_owner_wait(struct wi_task *self, struct wi_place *place,
                  const struct wi_wait *wait, wi_owner_function *owner,
                  bool edge);

#endif
