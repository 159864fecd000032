// SPDX-License-Identifier: MIT
//
// keeper.h: the one thread of a process that is there for its arenas. It holds
// the life words, by which other processes see that this one has died; watches
// those of the others; and sleeps on shared words for tasks, whose worker must
// not sleep.
//
// Who waits for something that another process does:
//
//     struct wi_nap nap;
//     wi_nap_begin(&nap, a);
//     while (!atomically(condition)) {
//         announce in shared memory that somebody sleeps; look once more
//         rc = wi_nap(&nap, &word, value, &wait);
//         if (rc < 0) break;
//     }
//     wi_nap_end(&nap);
//
// From the begin on, the death of any participant wakes it: whether one that
// held something, or one that died between a change and its wake. So the
// condition must look at owners as well (wi_member_lives), and no wake is owed
// by a process that can die.
#ifndef WI_SHARED_KEEPER_H
#define WI_SHARED_KEEPER_H

#include "sched/park.h"
#include "shared/segment.h"

struct wi_nap {
    struct wi_nap *next, **link; // the keeper's, under its lock
    weft_arena *arena;
    struct wi_task *who;
    uint32_t *word; // the keeper sleeps on it for `who`; NULL: nothing
    uint32_t value;
};

// The arena gets a place for this process, and is kept. 0 or a negative code.
int wi_keeper_add(weft_arena *a);
void wi_keeper_remove(weft_arena *a);

void wi_nap_begin(struct wi_nap *nap, weft_arena *a);
void wi_nap_end(struct wi_nap *nap);

// Once *word is not value, wakes whoever naps, also a plain thread; once.
void wi_nap_arm(struct wi_nap *nap, uint32_t *word, uint32_t value);

// Sleeps while *word == value; may wake for no reason. As wi_park.
int wi_nap(struct wi_nap *nap, uint32_t *word, uint32_t value,
           struct wi_wait *wait);

#endif
