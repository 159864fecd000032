// SPDX-License-Identifier: MIT
//
// fd.h: what the process knows of each descriptor. One record a number, never
// freed or moved; weft_close makes it blank.
//
// It answers three questions:
//  - Which loops remember something about this descriptor and must forget it
//    before it is closed? (`loops`; a loop that makes a record of its own for a
//    descriptor says so first.)
//  - Which plain threads wait on it and must leave before it is closed?
//  - Who may read ahead? A backend that takes data or connections before
//    somebody has asked for them must be the only one that reads. A loop
//    claims that right at its first read, if the socket was made by
//    weft_accept or weft_connect, and nobody else has read it. Once a second
//    reader appears (another loop, a plain thread, weft_fd_wait) the socket is
//    shared: nobody reads ahead on it any more until it is closed, the loop
//    that did gives up what it has (`left`), and the others read that first.
//    The same rule holds for connections of a listener.
#ifndef WI_LOOP_FD_H
#define WI_LOOP_FD_H

#include "loop/try.h"
#include "os/futex.h"

// What a loop had read ahead when it gave up a descriptor. From malloc.
struct wi_left {
    int32_t end;    // after the bytes: 1 nothing known, <= 0 what ends them
    bool listener;  // it has connections, else bytes
    uint32_t size;  // bytes, or connections
    uint32_t taken; // of them
    union {
        char bytes[1];
        int conns[1];
    } data;
};

// A plain thread that waits on the descriptor.
struct wi_fd_waiter {
    struct wi_task *task;
    struct wi_fd_waiter *next, *prev;
};

struct wi_fd {
    struct wi_mutex lock;
    uint32_t flags;  // any thread, atomically; set under the lock
    uint64_t loops;  // any thread, atomically: bits of struct wi_loop
    uint64_t reader; // under the lock: number of the loop that may read ahead
    uint64_t reader_bit;          // under the lock: its bit
    struct wi_left *left;         // under the lock
    struct wi_fd_waiter *waiters; // under the lock
    struct wi_task *closer;       // under the lock: unpark when waiters leave
    uint32_t generation; // any thread, atomically: how often it was closed
    uint8_t kind;        // any thread, atomically: enum wi_fd_kind
};

enum wi_fd_flags {
    WI_FD_ADOPTED = 1,  // made by weft_accept or weft_connect
    WI_FD_SHARED = 2,   // more than one reader: never read ahead
    WI_FD_LEFT = 4,     // `left` is not NULL
    WI_FD_CLAIMED = 8,  // `reader` is not 0
    WI_FD_CLOSING = 16, // somebody is in wi_fd_retire: nothing begins
};

// The record of fd (>= 0); NULL if there is no memory.
struct wi_fd *wi_fd_get(int fd);

// For calls that go on after a wait: has the number become another file?
static inline uint32_t wi_fd_generation(const struct wi_fd *record)
{
    // relaxed: changes before the end of a wait that the close ends
    return __atomic_load_n(&record->generation, __ATOMIC_RELAXED);
}

// The kind of fd, remembered until it is closed; or a negative code.
int wi_fd_kind(struct wi_fd *record, int fd);

// fd is a new socket of Weft's, of a known kind.
void wi_fd_adopt(int fd, uint8_t kind, struct wi_loop *self);

// fd is going to be connected by Weft.
void wi_fd_adopt_client(struct wi_fd *record);

// `loop` is going to remember something about fd. False: it must not, as fd is
// being closed.
static inline bool wi_fd_note(struct wi_fd *record, struct wi_loop *loop)
{
    wi_loop_use(loop);
    // acq_rel RMW, as in wi_fd_retire: whichever comes second sees what the
    // other one has done before, so either this one sees that fd is being
    // closed, or that one the bit, and that the loop is used
    __atomic_fetch_or(&record->loops, loop->bit, __ATOMIC_ACQ_REL);
    return !(__atomic_load_n(&record->flags, __ATOMIC_RELAXED) & WI_FD_CLOSING);
}

enum wi_fd_claim {
    WI_FD_MINE,     // this loop may read ahead until it gives up
    WI_FD_EVERYONE, // nobody may, until fd is closed
    WI_FD_ELSEWHERE // first take what another loop has: wi_fd_take
};

// The right to read ahead for `loop`. `listener`: fd takes connections.
enum wi_fd_claim wi_fd_claim(struct wi_fd *record, const struct wi_loop *loop,
                             bool listener);

// Somebody will read fd without claiming it. EVERYONE or ELSEWHERE.
enum wi_fd_claim wi_fd_share(struct wi_fd *record, const struct wi_loop *loop);

// The loop that had claimed record gives up; left (may be NULL) is what it had.
// `shared`: because there is another reader.
void wi_fd_give(struct wi_fd *record, struct wi_left *left, bool shared);

// After ELSEWHERE: makes the other loop give up, and serves io (READ, ACCEPT,
// POLL) from what it has left. -EAGAIN: nothing was left; try again. Parks,
// and is not ended by cancel, but only until the other loop's next turn.
ssize_t wi_fd_take(struct wi_fd *record, struct wi_io *io,
                   struct wi_loop *self);

// A plain thread's wait: enter, then wi_fd_closing before each attempt; leave.
void wi_fd_enter(struct wi_fd *record, struct wi_fd_waiter *waiter);
void wi_fd_leave(struct wi_fd *record, struct wi_fd_waiter *waiter);
static inline bool wi_fd_closing(const struct wi_fd *record)
{
    // relaxed: who does not see it yet is unparked later
    return __atomic_load_n(&record->flags, __ATOMIC_RELAXED) & WI_FD_CLOSING;
}

// Whether there is anything to retire.
bool wi_fd_is_known(int fd);

// There is nothing to retire, but fd is about to be closed: somebody may have
// noted its generation before it begins to use it.
void wi_fd_count_close(int fd);

// Makes every loop and thread let go of fd, and the record blank. `self` is
// the caller's own loop, or NULL. Parks. False: somebody else is at it already,
// and the caller must not close fd.
bool wi_fd_retire(int fd, struct wi_loop *self);

#endif
