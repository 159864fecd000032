// SPDX-License-Identifier: MIT
//
// queue.h: the inside of a queue, for the files of this folder, for channels
// and for select.
//
// A queue has two sides, put and get. Each has a lock, a position (how many
// items have passed it) and a list of those who wait on it. In a FIFO the two
// sides have nothing else in common than the slots between the positions, so
// that a producer and a consumer work at once; the other kinds have one lock
// for both. Lock order: put before get.
//
// Nobody is lost between "there is none" and "I sleep": a position lies in one
// word with the bit WATCHED, which says that somebody is listed on the other
// side. Who moves adds to the word and sees the bit; who lists itself sets the
// bit and sees the position. Both are RMWs of one word, so that one of the two
// comes first and is seen by the other. Whoever saw the bit wakes as many of
// those listed as it has moved items; who is woken and cannot use it (cancel,
// timeout) wakes the next one. So, at each moment, items that can be had are no
// more than waiters that are on their way, or nobody is listed.
#ifndef WI_SYNC_QUEUE_H
#define WI_SYNC_QUEUE_H

#include <errno.h>
#include <string.h>

#include <weft/queue.h>

#include "base/cold.h"
#include "os/futex.h"
#include "sched/scope.h"
#include "shared/queue.h"
#include "sync/waiter.h"

#define WI_WATCHED ((uint64_t)1)

struct wi_side {
    struct wi_mutex *lock; // `own`, or that of the put side
    struct wi_mutex own;
    int cpu;       // any: where a thread has lingered last; a hint
    uint64_t seen; // under the lock: the other position when last looked at
    struct wi_waiters waiting; // under the lock
    // Any, atomically: 2 * position + WATCHED. The position moves under the
    // lock of this side, the bit changes under that of the other one.
    uint64_t word __attribute__((aligned(64)));
} __attribute__((aligned(64)));

struct weft_queue {
    // Constant.
    size_t item;    // bytes
    size_t stride;  // bytes of a slot
    uint64_t limit; // items at most
    bool elastic;   // the store grows and shrinks
    enum weft_queue_kind kind;
    void (*drop)(void *item);
    bool shared;                    // it lies in an arena: queue_shared.c
    bool opened;                    // by weft_queue_open
    struct wi_shared_handle handle; // of a shared one
    // Changed with both locks held, read with either.
    char *slots;
    uint64_t capacity; // slots; a power of two
    int closed;        // 0, or the code that calls return
    uint64_t serial;   // of the next item, for priorities

    struct wi_side put, get;

    // Any, atomically: 2 * items told done + "somebody is in joiners".
    uint64_t done __attribute__((aligned(64)));
    struct wi_mutex join_lock;
    struct wi_waiters joiners; // under join_lock
    uint32_t producers;        // any, atomically
};

// What one caller wants to move, and what came of it.
struct wi_transfer {
    char *items; // from or to
    size_t n;
    int64_t priority;
    bool put;
    bool both;                      // the locks of both sides are held
    const struct wi_choice *choice; // never to be met: the caller's own
    bool watched;                   // somebody waits on the other side
    struct wi_task *task;           // a rendezvous: who was served
};

static inline void wi_item_copy(void *to, const void *from, size_t size)
{
    if (__builtin_expect(size == sizeof(uint64_t), true)) // without a call
        memcpy(to, from, sizeof(uint64_t));
    else
        memcpy(to, from, size);
}

// Whether it stands in for one that could not be made or opened: it has no
// slots of any size. `closed` says why.
static inline bool wi_queue_failed(const weft_queue *q)
{
    return q->stride == 0 && !q->shared && q->kind != WEFT_QUEUE_RENDEZVOUS;
}

static inline struct wi_side *wi_queue_side(weft_queue *q, bool put)
{
    return put ? &q->put : &q->get;
}

static inline uint64_t wi_side_position(const struct wi_side *side)
{
    // acquire: pairs with the RMW that published the items or freed the slots
    return __atomic_load_n(&side->word, __ATOMIC_ACQUIRE) >> 1;
}

// With the lock of t's side held: moves what can be moved now. Returns how
// many items, 0 if t would have to wait, or a negative code. After a positive
// answer, and without the lock, comes wi_queue_moved.
ssize_t wi_queue_try(weft_queue *q, struct wi_transfer *t);
void wi_queue_moved(weft_queue *q, struct wi_transfer *t, size_t n);

// With the lock held, after a try that returned 0: lists the waiter. false:
// something has come just now, try again.
bool wi_queue_list(weft_queue *q, bool put, struct wi_waiter *waiter,
                   bool first);

// With the lock held: takes the waiter off. One that was woken for something
// passes that on: the caller unparks the task that this returns (or NULL).
struct wi_task *wi_queue_unlist(weft_queue *q, bool put,
                                struct wi_waiter *waiter);

// Tries, and waits until something could be moved; at most until deadline, or
// not at all. How many items, or a negative code.
#define WI_NOWAIT INT64_MIN
ssize_t wi_queue_transfer(weft_queue *q, struct wi_transfer *t,
                          int64_t deadline);

// What every call does first: 0, or the code of a scope that has ended.
static inline int wi_queue_begin(int64_t deadline)
{
    if (deadline == WI_NOWAIT)
        return 0;
    struct wi_task *self = wi_self();
    return self != NULL ? wi_scope_test(self) : -ENOMEM;
}

// As wi_queue_transfer, for one item and a rendezvous: 0, or a negative code.
// And wi_queue_try for one.
int wi_queue_meet(weft_queue *q, char *item, bool put, int64_t deadline);
ssize_t wi_queue_try_meet(weft_queue *q, struct wi_transfer *t);

// Everybody who waits looks again.
void wi_queue_wake_all(weft_queue *q);

enum { WI_FIRST_SLOTS = 16 };

// The slot of a position in a FIFO's ring.
static inline char *wi_ring_slot(const weft_queue *q, uint64_t position)
{
    return q->slots + (position & (q->capacity - 1)) * q->item;
}

// The store: queue_store.c. All with the locks of both sides, but those of a
// FIFO's put and get, which need the one of their side.
bool wi_store_init(weft_queue *q);
bool wi_store_resize(weft_queue *q, uint64_t capacity, uint64_t head,
                     uint64_t tail);
void wi_store_put(weft_queue *q, uint64_t head, uint64_t tail,
                  const struct wi_transfer *t, size_t n);
void wi_store_get(weft_queue *q, uint64_t head, uint64_t tail, char *items,
                  size_t n);

// Where the item of a position lies (FIFO), or the one with this index.
char *wi_store_at(const weft_queue *q, uint64_t position);

// Makes and ends one in the caller's memory; false: no memory.
bool wi_queue_init(weft_queue *q, const struct weft_queue_options *options);
void wi_queue_fini(weft_queue *q);

// weft_queue_shutdown with another code for those who come later. 0.
int wi_queue_close(weft_queue *q, int code, bool immediate);

// The calls on one in an arena: queue_shared.c.
bool wi_queue_new_shared(weft_queue *q,
                         const struct weft_queue_options *options);
ssize_t wi_queue_move_shared(weft_queue *q, struct wi_transfer *t,
                             int64_t deadline);
int wi_queue_shutdown_shared(weft_queue *q, bool immediate);
int wi_queue_open_shared(weft_arena *a, void *place, weft_queue *q);
void wi_queue_fini_shared(weft_queue *q);

// By when a call must end that has these options.
int64_t wi_queue_limit(bool nowait, double timeout, const char *function);

// What stands in for one that found no memory.
extern weft_queue wi_queue_nomem;

#endif
