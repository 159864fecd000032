// SPDX-License-Identifier: MIT
//
// deque.h: the unstarted tasks of one worker. The owner pushes at the tail;
// the owner and thieves take from the head, so tasks start in the order of
// their spawning; the owner alone may take back what it pushed last, for a
// join that runs its child inline. This is the deque of Chase and Lev (2005)
// with the memory orders of Le, Pop, Cohen and Zappa Nardelli (2013), with
// the ring pointer published by release and read by acquire, and with all
// owner's takes at the head being steals.
//
// A slot is a hint: the claim on the record's state word is the truth. A
// record that was claimed by somebody else (a join, a cancel) leaves its slot
// behind as a tombstone.
#ifndef WI_SCHED_DEQUE_H
#define WI_SCHED_DEQUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cold.h"
#include "sched/task.h"

struct wi_ring {
    int64_t mask;
    struct wi_ring *older; // rings that thieves may still read
    wi_hint slots[];
};

struct wi_deque {
    int64_t head __attribute__((aligned(64))); // thieves: compare-and-swap
    int64_t tail __attribute__((aligned(64))); // owner
    int64_t seen;         // owner: where head was when it last had to know
    struct wi_ring *ring; // owner; release
    bool solo;            // no thieves: then nothing here needs a fence
    void (*first)(struct wi_deque *deque); // NULL, or told of the first push
};

// 0 or -ENOMEM. first: NULL, or called by the owner at its first push.
int wi_deque_init(struct wi_deque *deque, bool solo,
                  void (*first)(struct wi_deque *deque));
void wi_deque_fini(struct wi_deque *deque);

// Owner: gives back the memory of an empty deque that was long. A thief that
// is late reads nothing there, and then fails to take it, as head is past it.
void wi_deque_discard(struct wi_deque *deque);

// Owner: makes room for one more; 0 or -ENOMEM.
int wi_deque_make_room(struct wi_deque *deque);

// Owner: whether there is room for one more as it is.
static inline bool wi_deque_has_room(const struct wi_deque *deque)
{
    // Not `head`: its line is the thieves'.
    return deque->tail - deque->seen <= deque->ring->mask;
}

// Owner, where it has room.
static WI_MERGED void wi_deque_put(struct wi_deque *deque, wi_hint hint)
{
    int64_t tail = deque->tail;
    struct wi_ring *ring = deque->ring;
    // relaxed: the slot is published by tail
    __atomic_store_n(&ring->slots[tail & ring->mask], hint, __ATOMIC_RELAXED);
    // release: a thief that sees the new tail sees the slot and the record
    __atomic_store_n(&deque->tail, tail + 1, __ATOMIC_RELEASE);
}

// Owner. 0 or -ENOMEM.
static WI_MERGED int wi_deque_push(struct wi_deque *deque, wi_hint hint)
{
    if (__builtin_expect(!wi_deque_has_room(deque), false)) {
        int rc = wi_deque_make_room(deque);
        if (rc < 0)
            return rc;
    }
    wi_deque_put(deque, hint);
    return 0;
}

// Owner: all n, or -ENOMEM and none.
int wi_deque_push_all(struct wi_deque *deque, const wi_hint *hints, size_t n);

// Owner: takes back the last one pushed, which lies at `last`, unless a thief
// is faster.
bool wi_deque_pop_contended(struct wi_deque *deque, int64_t last);

// Owner: takes `hint` back if it is the last one pushed.
static inline bool wi_deque_pop_last(struct wi_deque *deque, wi_hint hint)
{
    int64_t last = deque->tail - 1;
    // relaxed: only the owner writes slots
    if (last < __atomic_load_n(&deque->head, __ATOMIC_RELAXED) ||
        deque->ring->slots[last & deque->ring->mask] != hint)
        return false;
    if (!deque->solo)
        return wi_deque_pop_contended(deque, last);
    deque->tail = last;
    return true;
}

// Owner: takes the tombstones off the tail. A program that joins all that it
// starts, inline, takes nothing from the head, where they would go else.
void wi_deque_trim(struct wi_deque *deque);

static inline bool wi_deque_is_long(const struct wi_deque *deque)
{
    return deque->tail - __atomic_load_n(&deque->head, __ATOMIC_RELAXED) > 64;
}

// Anybody: the oldest entry, or 0 if it is empty or another thief was faster
// (*busy tells which).
wi_hint wi_deque_take(struct wi_deque *deque, bool *busy);

static inline bool wi_deque_empty(const struct wi_deque *deque)
{
    // relaxed: a guess; who must be sure has a barrier before (idle.c)
    return __atomic_load_n(&deque->head, __ATOMIC_RELAXED) >=
           __atomic_load_n(&deque->tail, __ATOMIC_RELAXED);
}

// How many entries there are, tombstones too: a guess.
static inline size_t wi_deque_count(const struct wi_deque *deque)
{
    int64_t head = __atomic_load_n(&deque->head, __ATOMIC_RELAXED);
    int64_t tail = __atomic_load_n(&deque->tail, __ATOMIC_RELAXED);
    return tail > head ? (size_t)(tail - head) : 0;
}

#endif
