// SPDX-License-Identifier: MIT
//
// queue.h: the storage of a queue in an arena: a ring of items of one size, or
// of records of any length. What src/sync/queue.h is between threads, this is
// between processes.
//
// The two sides, put and get, have a lock each, so that a producer and a
// consumer work at once. Under its lock a side copies items first and then
// publishes them all by one store of its `word`; that is the only change that
// counts. So when a process dies in the middle, the next owner of the lock has
// nothing to repair: an item that was not published was not put, one that was
// not taken off is still there.
//
//     word    how many items have passed this side, shifted by 1; the low bit
//             says which of the two `bytes` goes with it
//     bytes   records: how many bytes of the ring have passed
//     bell    who sleeps on this side sleeps on this: a number, and in the low
//             bit that somebody may sleep
//
// Nobody is lost between "there is none" and "I sleep": who wants to sleep sets
// the low bit of its bell and then looks at the other side's word; who moves
// stores its word, gives its lock back (a full barrier) and then looks at the
// other side's bell. It wakes one; who has slept and leaves sees to the next.
#ifndef WI_SHARED_QUEUE_H
#define WI_SHARED_QUEUE_H

#include <sys/types.h>

#include "shared/keeper.h"
#include "shared/segment.h"

struct wi_shared_side {
    // Under the lock, but for the word.
    _Alignas(128) struct wi_shared_lock lock;
    uint64_t seen; // items that have passed the other side, when last looked at
    uint64_t bytes_seen;
    // Read by the other side.
    _Alignas(128) uint64_t word;
    uint64_t bytes[2];
    _Alignas(128) uint32_t bell;
    uint32_t sleepers; // those that died included
};

struct wi_shared_queue {
    // Constant.
    uint64_t magic;
    uint64_t item;  // bytes; 0: records
    uint64_t limit; // items; of records: bytes
    uint64_t mask;  // of positions, or of bytes; the ring lies behind
    // Any, atomically.
    int32_t closed; // 0, or the code; changes with both locks held
    uint32_t producers;
    uint64_t done;
    uint32_t done_bell; // as a side's, for those who join
    uint64_t cut; // 1 + how many items count, the rest was dropped; 0: all
    struct wi_shared_side put, get;
};

// A queue of this process on one in an arena. It believes nothing later that
// could lead out of the ring: what is constant is checked and copied.
struct wi_shared_handle {
    weft_arena *arena;
    struct wi_shared_queue *q;
    char *slots;
    uint64_t item, limit, mask;
    unsigned alone; // atomic: how often gather does not look
};

// What one call moves.
struct wi_shared_transfer {
    char *items; // from or to
    size_t n;    // items; for records 1
    size_t size; // of a record; of the room for one
    bool put;
    bool rest; // get what was dropped
};

// A new one: item > 0 bytes an item and limit of them, or item 0 and records
// of `limit` bytes together. 0, -ENOMEM, -EINVAL.
int wi_shared_queue_new(weft_arena *a, size_t item, size_t limit,
                        unsigned producers, struct wi_shared_handle *h);
int wi_shared_queue_open(weft_arena *a, void *place,
                         struct wi_shared_handle *h); // 0 or -WEFT_EPROTO
void wi_shared_queue_free(struct wi_shared_handle *h);

// Moves as many as it can of at least one; waits until deadline (WI_NOWAIT:
// -EAGAIN instead). How many items; of a record that was got its size.
ssize_t wi_shared_queue_move(struct wi_shared_handle *h,
                             struct wi_shared_transfer *t, int64_t deadline);

// For who waits for several things: from the begin on the caller's record is
// unparked when there may be something for that side. Who has begun looks once
// more before it parks. The end sees to it that a wake which was not used goes
// on to the next one.
struct wi_shared_watch {
    struct wi_nap nap;
};
void wi_shared_queue_watch(struct wi_shared_handle *h, bool put,
                           struct wi_shared_watch *watch);
void wi_shared_queue_unwatch(struct wi_shared_handle *h, bool put,
                             struct wi_shared_watch *watch);

size_t wi_shared_queue_size(struct wi_shared_handle *h); // items in it
bool wi_shared_queue_full(struct wi_shared_handle *h);

size_t wi_shared_queue_unfinished(struct wi_shared_handle *h);
bool wi_shared_queue_done(struct wi_shared_handle *h, uint64_t n);
int wi_shared_queue_join(struct wi_shared_handle *h);

// immediate: from then on what is in it is nobody's, and not unfinished. That
// is one step: who dies on the way has done it, or has closed the queue only.
void wi_shared_queue_close(struct wi_shared_handle *h, bool immediate);

// Takes out what was dropped.
void wi_shared_queue_discard(struct wi_shared_handle *h);

// Tests: called at each boundary of an operation, with its number.
enum {
    WI_QUEUE_LOCKED,
    WI_QUEUE_COPIED,
    WI_QUEUE_MOVED,
    WI_QUEUE_UNLOCKED,
    WI_QUEUE_WOKEN,
    WI_QUEUE_ASLEEP,
    WI_QUEUE_POINTS
};
extern void (*wi_shared_queue_at)(unsigned point);

#endif
