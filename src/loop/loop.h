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
// calls cancel and goes on waiting for done.
#ifndef WI_LOOP_LOOP_H
#define WI_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <weft/io.h>

struct wi_task;
struct wi_loop;

enum wi_io_code {
    WI_IO_POLL,    // result: the events that hold
    WI_IO_READ,    // result: bytes
    WI_IO_WRITE,   // result: bytes
    WI_IO_ACCEPT,  // result: the new descriptor
    WI_IO_CONNECT, // result: 0
};

struct wi_io {
    enum wi_io_code code;
    int fd;
    void *buf;             // READ, WRITE
    size_t size;           // READ, WRITE
    unsigned events;       // POLL: enum weft_fd_event
    struct sockaddr *addr; // ACCEPT (or NULL), CONNECT
    socklen_t *addr_len;   // ACCEPT (or NULL)
    socklen_t addr_size;   // CONNECT
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
    uint32_t active; // operations submitted and not done, plus standing ones
                     // (a multishot accept) that can complete
    uint32_t queued; // entries not yet given to the kernel: poll soon
    struct weft_backend_counters count;
};

extern const struct wi_loop_ops wi_loop_uring, wi_loop_epoll;

// Opens the backend that WEFT_BACKEND names, or the best that this machine
// allows. A forced backend that cannot be had is an error, not a fallback.
int wi_loop_open(struct wi_loop **loop);

#endif
