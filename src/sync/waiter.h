// SPDX-License-Identifier: MIT
//
// waiter.h: who waits at a queue or channel, and what became of that wait. The
// node lies in the waiter's frame and stands in a list under the object's lock.
//
//     OUT -> LISTED          the waiter, under the lock
//     LISTED -> OUT          the waiter, under the lock: it has left
//     LISTED -> WOKEN        a waker, under the lock: look again
//     LISTED -> SERVED       a waker, under the lock: the item has moved
//
// The store of WOKEN or SERVED is the waker's last touch of the node: it has
// read the task before, and unparks that (task records never go away).
#ifndef WI_SYNC_WAITER_H
#define WI_SYNC_WAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/park.h"

enum wi_waiter_state {
    WI_WAITER_OUT = 0,
    WI_WAITER_LISTED,
    WI_WAITER_WOKEN,
    WI_WAITER_SERVED,
};

// A wait for the first of several things. Whoever wants to serve it claims it
// first; there is one claim. 0: free; i + 1: case i has it.
struct wi_choice {
    uint32_t claimed;
};

struct wi_waiter {
    struct wi_waiter *next, *prev;
    struct wi_task *task;
    void *item;               // a rendezvous: to take from, or to fill
    struct wi_choice *choice; // NULL: waits for this alone
    uint32_t index;           // of the case
    uint32_t state;           // enum wi_waiter_state
};

struct wi_waiters {
    struct wi_waiter *first, *last;
};

static inline uint32_t wi_waiter_state(const struct wi_waiter *waiter)
{
    // acquire: pairs with the release in wi_waiter_end; the item is there
    return __atomic_load_n(&waiter->state, __ATOMIC_ACQUIRE);
}

// Parks until somebody has ended the wait (0), or what wi_park says to.
static inline int wi_waiter_sleep(const struct wi_waiter *waiter,
                                  const struct wi_wait *wait)
{
    int rc = 0;
    while (rc == 0 && wi_waiter_state(waiter) == WI_WAITER_LISTED)
        rc = wi_park(wait);
    return rc;
}

static inline bool wi_choice_claim(struct wi_choice *choice, uint32_t index)
{
    uint32_t none = 0;
    // acq_rel: pairs with the acquire of the waiter that finds it claimed
    return __atomic_compare_exchange_n(&choice->claimed, &none, index + 1,
                                       false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static inline void wi_waiters_add(struct wi_waiters *list,
                                  struct wi_waiter *waiter)
{
    waiter->next = NULL;
    waiter->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = waiter;
    list->last = waiter;
    // relaxed: under the lock
    __atomic_store_n(&waiter->state, WI_WAITER_LISTED, __ATOMIC_RELAXED);
}

// For one that was woken for nothing: it keeps its place.
static inline void wi_waiters_add_first(struct wi_waiters *list,
                                        struct wi_waiter *waiter)
{
    waiter->prev = NULL;
    waiter->next = list->first;
    *(list->first != NULL ? &list->first->prev : &list->last) = waiter;
    list->first = waiter;
    // relaxed: under the lock
    __atomic_store_n(&waiter->state, WI_WAITER_LISTED, __ATOMIC_RELAXED);
}

static inline void wi_waiters_unlink(struct wi_waiters *list,
                                     struct wi_waiter *waiter)
{
    *(waiter->prev != NULL ? &waiter->prev->next : &list->first) = waiter->next;
    *(waiter->next != NULL ? &waiter->next->prev : &list->last) = waiter->prev;
}

static inline void wi_waiters_unlink_first(struct wi_waiters *list)
{
    struct wi_waiter *next = list->first->next;
    list->first = next;
    *(next != NULL ? &next->prev : &list->last) = NULL;
}

// The waiter itself leaves; false if somebody has taken it off already.
static inline bool wi_waiters_remove(struct wi_waiters *list,
                                     struct wi_waiter *waiter)
{
    // relaxed: states change under the lock, which is held
    if (__atomic_load_n(&waiter->state, __ATOMIC_RELAXED) != WI_WAITER_LISTED)
        return false;
    wi_waiters_unlink(list, waiter);
    __atomic_store_n(&waiter->state, WI_WAITER_OUT, __ATOMIC_RELAXED);
    return true;
}

// Ends the wait of one that is off the list: the node may be gone after this.
// The caller unparks the task that it returns.
static inline struct wi_task *wi_waiter_end(struct wi_waiter *waiter,
                                            enum wi_waiter_state state)
{
    struct wi_task *task = waiter->task;
    // release: pairs with wi_waiter_state
    __atomic_store_n(&waiter->state, state, __ATOMIC_RELEASE);
    return task;
}

// Takes the first one off and tells it to look again. NULL: nobody is there.
static inline struct wi_task *wi_waiters_wake(struct wi_waiters *list)
{
    struct wi_waiter *waiter = list->first;
    if (waiter == NULL)
        return NULL;
    wi_waiters_unlink_first(list);
    return wi_waiter_end(waiter, WI_WAITER_WOKEN);
}

#endif
