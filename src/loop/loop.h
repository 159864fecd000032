// SPDX-License-Identifier: MIT
//
// loop.h: the seam between the scheduler and the kernel's two ways of waiting
// for file descriptors. A loop belongs to one worker; only that worker's
// thread calls its functions, except wake. A backend lives in one folder
// (uring/, epoll/) and fills in struct wi_loop_ops.
//
// An operation (struct wi_io) lies on the stack of the task that waits for it.
// submit starts it; when it is done the backend stores `result`, then `done`
// (release), then unparks the waiter, and never touches it again. Between
// submit and done the buffer belongs to the kernel: who wants to leave early
// calls cancel and goes on waiting for done. A submit that needs no wait leaves
// `done` set, with no unpark; else the caller sets `waiter`, before it parks.
#ifndef WI_LOOP_LOOP_H
#define WI_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <weft/io.h>

#include "sched/park.h"

struct wi_loop;

enum wi_io_code {
    WI_IO_POLL,    // result: the events that hold
    WI_IO_READ,    // result: bytes
    WI_IO_WRITE,   // result: bytes
    WI_IO_ACCEPT,  // result: the new descriptor
    WI_IO_CONNECT, // result: 0
    WI_IO_CALL,    // call(io), again each time one of `events` holds
    WI_IO_GIVE,    // fd.h: stop reading ahead on fd, hand over what was read
    WI_IO_FORGET,  // fd.h: ops->forget from another thread
};

// The result of an operation on a descriptor that another loop reads ahead on,
// or whose data a loop has left behind: see wi_fd_take in fd.h.
#define WI_IO_ELSEWHERE (-8190)

// The most that one call moves, as in the kernel, which refuses a size that has
// no sign of its own.
#define WI_IO_MOST 0x7ffff000u

struct wi_io {
    enum wi_io_code code;
    int fd;
    void *buf;                               // READ, WRITE
    size_t size;                             // READ, WRITE
    unsigned events;                         // POLL, CALL: enum weft_fd_event
    struct sockaddr *addr;                   // ACCEPT (or NULL), CONNECT
    socklen_t *addr_len;                     // ACCEPT (or NULL)
    socklen_t addr_size;                     // CONNECT
    ssize_t (*call)(const struct wi_io *io); // CALL: never blocks; -EAGAIN
    bool own;                                // ACCEPT: from a socket of Weft's,
                                             // which never blocks, and which
                                             // only weft_close closes
    struct wi_task *waiter;
    ssize_t result;            // >= 0 or -errno
    uint32_t done;             // release by the backend, acquire by the waiter
    uint32_t state;            // the backend's own
    struct wi_io *next, *prev; // the backend's own
    void *slot;                // the backend's own
};

struct wi_loop_ops {
    const char *name; // "uring", "epoll"
    // Makes a loop; -EPERM, -ENOSYS, ... when this machine refuses it.
    int (*open)(struct wi_loop **loop);
    void (*close)(struct wi_loop *loop);
    // Starts io; it may be done when this returns.
    void (*submit)(struct wi_loop *loop, struct wi_io *io);
    // Asks for an early end of a submitted io that is not done: it will be
    // done soon, with -ECANCELED or with what it had got.
    void (*cancel)(struct wi_loop *loop, struct wi_io *io);
    // One turn: submits what is queued, waits until something has happened,
    // wake was called or deadline (0: not at all), and completes what is done.
    // Returns the number of completed operations.
    int (*poll)(struct wi_loop *loop, int64_t deadline);
    // Makes a poll that waits, or the next one, return. Any thread, also in a
    // signal handler.
    void (*wake)(struct wi_loop *loop);
    // fd is about to be closed: completes everything on it with -ECANCELED and
    // drops what is remembered of it.
    void (*forget)(struct wi_loop *loop, int fd);
};

struct wi_loop {
    const struct wi_loop_ops *ops;
    uint32_t active; // operations submitted and not done, plus one from the
                     // first on: mail may come, and finds a loop in its poll
    uint32_t queued; // entries not yet given to the kernel: poll soon
    uint32_t fresh;  // operations of the last turn whose tasks have not had
                     // theirs yet, about: see wi_loop_is_due
    struct weft_backend_counters count;
    const void *thread;   // stands for the owner; compared only
    uint64_t number;      // of this loop, never used again
    uint64_t bit;         // stands for it in struct wi_fd
    struct wi_loop *peer; // under the registry's lock
    struct wi_io *mail;   // any thread: operations posted to this loop
    uint32_t woken;       // any thread: a wake is under way
    uint32_t used;        // owner writes: `active` counts the one
    uint32_t unwaited;    // public calls in a row for which no task had to wait
};

// The bit that all loops beyond the 63rd share.
#define WI_LOOP_MANY ((uint64_t)1 << 63)

extern const struct wi_loop_ops wi_loop_uring, wi_loop_epoll;

// Opens the backend that WEFT_BACKEND names, or the best that this machine
// allows. A forced backend that cannot be had is an error, not a fallback:
// then wi_loop_error has a sentence that says what and why, which also goes to
// standard error once. The caller becomes the loop's only thread.
int wi_loop_open(struct wi_loop **loop);
const char *wi_loop_error(void); // for tests

// For backends: every open loop stands in a registry, so that others can find
// the loops that know a descriptor.
void wi_loop_init(struct wi_loop *loop, const struct wi_loop_ops *ops);
// Leaves the registry and answers the mail that is still there.
void wi_loop_fini(struct wi_loop *loop);

// Posts io to every loop that `bits` stands for, one after another, but not to
// `self`, and waits for the answers. Not ended by cancel. io's code is GIVE or
// FORGET. Any thread.
void wi_loop_tell(uint64_t bits, struct wi_loop *self, enum wi_io_code code,
                  int fd);

// Takes what others have posted and performs it.
void wi_loop_read_mail(struct wi_loop *loop);

static inline bool wi_loop_has_mail(struct wi_loop *loop)
{
    // relaxed: a hint; wi_loop_read_mail takes the list with acquire
    return __atomic_load_n(&loop->mail, __ATOMIC_RELAXED) != NULL;
}

// From the first operation on a loop can get mail, and must be found in poll.
static inline void wi_loop_use(struct wi_loop *loop)
{
    if (!loop->used) {
        // relaxed: published by the release in wi_fd_note
        __atomic_store_n(&loop->used, 1, __ATOMIC_RELAXED);
        loop->active++;
    }
}

// Whether a turn between `switches` of tasks is worth its call: not before
// those that the last turn has made ready have run. Many connections then share
// a turn, and none waits longer than it would in a loop of callbacks.
static inline bool wi_loop_is_due(struct wi_loop *loop, uint32_t switches)
{
    if (loop->fresh <= switches)
        return true;
    loop->fresh -= switches;
    return false;
}

// Wakes are written to an eventfd, but only the first one before the loop has
// looked. wi_loop_woken is for the waker: true if it has to write.
static inline bool wi_loop_woken(struct wi_loop *loop)
{
    // seq_cst RMW: what the waker published before is seen by a loop whose
    // wi_loop_look comes later in the order of this word
    return __atomic_exchange_n(&loop->woken, 1, __ATOMIC_SEQ_CST) == 0;
}

static inline void wi_loop_look(struct wi_loop *loop)
{
    // relaxed peek, then a seq_cst RMW: the partner of wi_loop_woken. What is
    // read after it includes what was published before a suppressed wake.
    if (__atomic_load_n(&loop->woken, __ATOMIC_RELAXED))
        __atomic_exchange_n(&loop->woken, 0, __ATOMIC_SEQ_CST);
}

// Writes to an eventfd, keeping errno: for ops->wake.
void wi_loop_ring(int event_fd);

// Performs io for the calling task or thread, whose scopes end it: what every
// public call on a descriptor comes down to (io.c). Returns its result.
// CALL must not read from a stream socket that may be read ahead on.
ssize_t wi_io_perform(struct wi_io *io);

// weft_accept from a socket of Weft's own, as .own says above.
int wi_io_accept_own(int fd, struct sockaddr *addr, socklen_t *len);

// The same for what no event tells of: Unix sockets do not tell everybody when
// there is room in somebody's queue. While the result is `full` it is tried
// again, after a pause that grows.
ssize_t wi_io_insist(struct wi_io *io, ssize_t full);

// Parks until io, whose waiter is the caller, is done: for one that waits for
// the kernel's last word, or for another loop's turn. Not ended by cancel.
void wi_io_await(const struct wi_io *io);

static inline void wi_io_complete(struct wi_io *io, ssize_t result)
{
    struct wi_task *waiter = io->waiter;

    io->result = result;
    // release: pairs with the acquire in io.c; *io may be gone after it
    __atomic_store_n(&io->done, 1, __ATOMIC_RELEASE);
    if (waiter)
        wi_unpark(waiter);
}

#endif
