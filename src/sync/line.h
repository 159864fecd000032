// SPDX-License-Identifier: MIT
//
// line.h: those who wait for an object, in the order in which they came. The
// line is one word of the object: a small lock, bit 0, and the first of a
// circular list of places, which lie in the waiters' frames.
//
//     WAITING -> CHOSEN        a waker, under the lock: off the line
//     CHOSEN -> WOKEN, GIVEN   that waker, without the lock
//     WAITING -> gone          the waiter, under the lock: it leaves
//
// A waker gives the lock back before the last change of state, so that whoever
// has been served may free the object at once. That change is the last touch
// of the place; the waker has read the task before, whose record never goes
// away.
#ifndef WI_SYNC_LINE_H
#define WI_SYNC_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/park.h"

enum wi_place_state {
    WI_PLACE_WAITING = 0,
    WI_PLACE_CHOSEN, // somebody is about to say which of the two below
    WI_PLACE_WOKEN,  // look again
    WI_PLACE_GIVEN,  // what was waited for is yours
};

struct wi_place {
    struct wi_place *next, *prev;
    struct wi_task *task;
    uint32_t state;   // enum wi_place_state
    uint32_t purpose; // the object's own
};

enum { WI_LINE_LOCKED = 1 };

void wi_line_lock_slow(uintptr_t *line);

// Takes the line's lock; returns the first place. Never held across a park.
static inline struct wi_place *wi_line_lock(uintptr_t *line)
{
    // acquire: pairs with the release in wi_line_unlock
    if (__atomic_fetch_or(line, WI_LINE_LOCKED, __ATOMIC_ACQUIRE) &
        WI_LINE_LOCKED)
        wi_line_lock_slow(line);
    // relaxed: only the holder changes the rest
    return (struct wi_place *)(__atomic_load_n(line, __ATOMIC_RELAXED) &
                               ~(uintptr_t)WI_LINE_LOCKED);
}

static inline void wi_line_unlock(uintptr_t *line, struct wi_place *first)
{
    // release: pairs with the acquire of the next holder
    __atomic_store_n(line, (uintptr_t)first, __ATOMIC_RELEASE);
}

// A fresh place of the caller, not in line yet.
static inline struct wi_place wi_place_of(struct wi_task *self)
{
    return (struct wi_place){.task = self};
}

// The last of the line.
static inline void wi_line_add(struct wi_place **first, struct wi_place *place)
{
    // relaxed: under the lock, or not seen by others yet
    __atomic_store_n(&place->state, WI_PLACE_WAITING, __ATOMIC_RELAXED);
    if (*first == NULL) {
        place->next = place->prev = place;
        *first = place;
        return;
    }
    place->next = *first;
    place->prev = (*first)->prev;
    place->prev->next = place;
    place->next->prev = place;
}

// The first of the line.
static inline void wi_line_add_first(struct wi_place **first,
                                     struct wi_place *place)
{
    wi_line_add(first, place);
    *first = place;
}

static inline void wi_line_remove(struct wi_place **first,
                                  struct wi_place *place)
{
    if (place->next == place) {
        *first = NULL;
        return;
    }
    place->prev->next = place->next;
    place->next->prev = place->prev;
    if (*first == place)
        *first = place->next;
}

// Takes a place off the line for one who will say more; under the lock.
static inline void wi_line_choose(struct wi_place **first,
                                  struct wi_place *place)
{
    wi_line_remove(first, place);
    // relaxed: the waiter looks under the lock
    __atomic_store_n(&place->state, WI_PLACE_CHOSEN, __ATOMIC_RELAXED);
}

// Those who were chosen, in order, by `next`.
struct wi_chosen {
    struct wi_place *first, **last;
};

static inline void wi_chosen_add(struct wi_chosen *chosen,
                                 struct wi_place **first,
                                 struct wi_place *place)
{
    wi_line_choose(first, place);
    place->next = NULL;
    *chosen->last = place;
    chosen->last = &place->next;
}

// The last word to a chosen one: its place is gone after this.
void wi_place_end(struct wi_place *place, enum wi_place_state state);
void wi_chosen_end(struct wi_chosen *chosen, enum wi_place_state state);

static inline enum wi_place_state wi_place_state(const struct wi_place *place)
{
    // acquire: pairs with the release in wi_place_end
    return (enum wi_place_state)__atomic_load_n(&place->state,
                                                __ATOMIC_ACQUIRE);
}

static inline bool wi_place_waits(const struct wi_place *place)
{
    return wi_place_state(place) <= WI_PLACE_CHOSEN;
}

// One park of a wait: 0, or the code that ends it. A -ETIMEDOUT is that of this
// wait, not of an earlier one's timer.
int wi_place_park(const struct wi_wait *wait);

// Waits until the place is woken or given: 0. A code: the wait was ended and
// the caller must leave the line.
int wi_place_wait(struct wi_place *place, const struct wi_wait *wait);

// Once chosen: waits for the last word.
void wi_place_await(struct wi_place *place);

// Leaves the line: true. False: the caller was chosen, and has its last word.
bool wi_line_leave(uintptr_t *line, struct wi_place *place);

// For a caller who stands in line: 0 when it is woken or given, or the code
// that ended the wait; then it has left.
int wi_line_wait(uintptr_t *line, struct wi_place *place,
                 const struct wi_wait *wait);

// Whether a wait that ended with -ETIMEDOUT was ended by its own deadline, and
// not by a scope's.
bool wi_wait_is_over(const struct wi_wait *wait);

#endif
