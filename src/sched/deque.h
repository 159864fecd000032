// SPDX-License-Identifier: MIT
//
// deque.h: the unstarted tasks of one worker, in the order of their spawning.
// The owner puts them at the tail; the owner and thieves take them at the head,
// a thief several at once. The ring that grows is that of Chase and Lev's deque
// (2005). But nobody takes at the tail where there are thieves: so the tail
// only moves on, a slot stays what it is until the head has passed it, and a
// thief whose compare-and-swap finds the head where it was has read nothing
// that was not there. No side needs a fence.
//
// A slot is a hint: the claim on the record's state word is the truth. A
// record that was claimed by somebody else (a join, a cancel) leaves its slot
// behind as a tombstone, and a hint may stand in two places at once. Tombstones
// go where they come to the head, and where the ring is half full of them.
// Until then they must not outlast the generations of a record, or one would
// stand for what has been queued elsewhere: so the owner levels what has been
// pushed, once in a while: the hints of the dead are overwritten with one that
// is to nothing, which is all that a slot may become before the head passes it.
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
    int64_t head __attribute__((aligned(64))); // all: compare-and-swap
    int64_t tail __attribute__((aligned(64))); // owner
    int64_t room;         // owner: where the tail is to look for room again
    int64_t seen;         // owner: where head was when it last had to know
    int64_t leveled;      // owner: up to where
    struct wi_ring *ring; // owner; release
    unsigned buried;      // owner: tombstones it has made since the last sweep
    bool solo;            // no thieves: then nothing here needs an atomic
    void (*first)(struct wi_deque *deque); // NULL, or told of the first push
};

// 0 or -ENOMEM. first: NULL, or called by the owner at its first push.
int wi_deque_init(struct wi_deque *deque, bool solo,
                  void (*first)(struct wi_deque *deque));
void wi_deque_fini(struct wi_deque *deque);

// Owner: gives back the memory of an empty deque that was long. A thief that
// is late reads nothing there, and then fails to take it, as head is past it.
void wi_deque_discard(struct wi_deque *deque);

// Owner: makes room for n more; 0 or -ENOMEM.
int wi_deque_make_room(struct wi_deque *deque, size_t n);

// Owner: whether there is room for one more as it is. One slot stays free, for
// what moves from the head to the tail.
static inline bool wi_deque_has_room(const struct wi_deque *deque)
{
    // Not `head`: its line is the thieves'.
    return deque->tail < deque->room;
}

// Owner, where it has room.
static WI_MERGED void wi_deque_put(struct wi_deque *deque, wi_hint hint)
{
    int64_t tail = deque->tail;
    struct wi_ring *ring = deque->ring;
    // release: a late thief that reads it then sees the head beyond where it
    // began; pairs with wi_deque_steal
    __atomic_store_n(&ring->slots[tail & ring->mask], hint, __ATOMIC_RELEASE);
    // release: a thief that sees the new tail sees the slot and the record
    __atomic_store_n(&deque->tail, tail + 1, __ATOMIC_RELEASE);
}

// Owner. 0 or -ENOMEM.
static WI_MERGED int wi_deque_push(struct wi_deque *deque, wi_hint hint)
{
    if (__builtin_expect(!wi_deque_has_room(deque), false)) {
        int rc = wi_deque_make_room(deque, 1);
        if (rc < 0)
            return rc;
    }
    wi_deque_put(deque, hint);
    return 0;
}

// Owner: all n, or -ENOMEM and none.
int wi_deque_push_all(struct wi_deque *deque, const wi_hint *hints, size_t n);

// Owner: takes the tombstones off the head.
void wi_deque_sweep(struct wi_deque *deque);

// Owner: `hint` is about to be claimed in its place. Without thieves it is
// taken back if it was the last one pushed; else it becomes a tombstone.
static inline void wi_deque_bury(struct wi_deque *deque, wi_hint hint)
{
    enum { MOST = 32 };
    int64_t last = deque->tail - 1;
    if (deque->solo && last >= deque->head &&
        deque->ring->slots[last & deque->ring->mask] == hint) {
        deque->tail = last;
        if (deque->leveled > last)
            deque->leveled = last;
    } else if (WI_RARELY(++deque->buried > MOST)) {
        wi_deque_sweep(deque);
    }
}

// Anybody: the oldest entry, or 0 if it is empty or another thief was faster
// (*busy tells which).
wi_hint wi_deque_take(struct wi_deque *deque, bool *busy);

// Anybody, where there are thieves: takes the tombstones off the head; whether
// something else is left.
bool wi_deque_has_living(struct wi_deque *deque);

// A thief, the owner of `to`: half of the entries, at most 16. The oldest is
// returned; the others stand in `to` before they leave this one, since others
// look there before they sleep. If another thief was faster (0, and *busy) some
// may stand in both.
wi_hint wi_deque_steal(struct wi_deque *deque, struct wi_deque *to, bool *busy);

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
