// SPDX-License-Identifier: MIT
//
// far_line.h: those who wait for an object that processes share. The line is
// one of offsets: a place is a block of the arena, with the tag of the process
// that waits. All of it changes under the object's own lock, which passes to
// the next one when a process dies within, and each change that counts is one
// store, so that there is nothing to repair. A place whose process has died is
// taken off by whoever finds it.
//
// To serve a waiter is to store the state of its place, which is its futex, and
// then to take the place off the line. The waiter, once it is awake for
// whatever reason, takes the lock, takes its place off if that still stands
// there, and frees it: under the lock the state is final. If the one who serves
// it dies between the two steps, or before the wake, the waiter is woken by
// that death (shared/keeper.h) and finds itself served.
#ifndef WI_SYNC_FAR_LINE_H
#define WI_SYNC_FAR_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "os/report.h"
#include "sched/park.h"
#include "shared/lock.h"

enum { WI_FAR_WAITING = 0, WI_FAR_SERVED = 1 };

// One waiter, in the arena.
struct wi_far_place {
    uint64_t next;  // offset; 0: the last
    uint32_t tag;   // of the process that waits
    uint32_t state; // its futex
    uint32_t purpose;
    uint32_t round; // these two are the object's own
};

// The line of an object, as this process sees it.
struct wi_far_line {
    weft_arena *arena;
    struct wi_shared_lock *lock;
    uintptr_t *first; // offset
};

// The arena that a shared object lies in; aborts if there is none.
static inline weft_arena *wi_far_arena(const void *object)
{
    weft_arena *a = wi_arena_of(object);
    wi_require(a != NULL && a->tag != 0, object,
               "a shared object lies in an arena that is open for writing");
    return a;
}

struct wi_far_line wi_far_line_of(const void *object, uint32_t *lock,
                                  uintptr_t *first);

void wi_far_take(struct wi_far_line *line);
void wi_far_give(struct wi_far_line *line);

// A new place of this process, not in line yet. NULL: no memory.
struct wi_far_place *wi_far_place_new(struct wi_far_line *line);

static inline struct wi_far_place *wi_far_place_at(struct wi_far_line *line,
                                                   uint64_t offset)
{
    return offset != 0 ? wi_segment_at(line->arena, offset) : NULL;
}

static inline uint32_t wi_far_state(struct wi_far_place *place)
{
    // acquire: pairs with wi_far_tell
    return __atomic_load_n(&place->state, __ATOMIC_ACQUIRE);
}

// Under the lock. Adds a place as the last one; takes off those who have died,
// and says how many those were; takes one off, wherever it stands.
void wi_far_add(struct wi_far_line *line, struct wi_far_place *place);
unsigned wi_far_bury(struct wi_far_line *line);
void wi_far_remove(struct wi_far_line *line, struct wi_far_place *place);

// Under the lock: the first who waits, NULL if nobody does. Those before it are
// taken off.
struct wi_far_place *wi_far_first(struct wi_far_line *line);

// Under the lock: tells a place that it is served, and wakes it.
void wi_far_tell(struct wi_far_place *place);

// Under the lock: serves the first one; false: nobody waits.
bool wi_far_serve(struct wi_far_line *line);

// Sleeps once while *word == value, as wi_nap. 0: look again; a code: the wait
// is over. A -ETIMEDOUT is that of this wait, not of an earlier one's timer.
struct wi_nap;
int wi_far_nap(struct wi_nap *nap, uint32_t *word, uint32_t value,
               const struct wi_wait *how);

// Takes the place off the line, if it still stands there, and frees it; whether
// it was served.
bool wi_far_leave(struct wi_far_line *line, struct wi_far_place *place);

// Waits in line until served, 0, or the wait is ended: a code. The place is
// gone after. `done` (may be NULL): whether the wait is over without a word,
// for whoever had to give it may have died.
int wi_far_stand(struct wi_far_line *line, struct wi_far_place *place,
                 const struct wi_wait *how, bool (*done)(const void *object));

#endif
