// SPDX-License-Identifier: MIT
//
// ready.h: the readiness of a descriptor as one of several things that a task
// or thread waits for at once. Between begin and end the caller is unparked
// when the descriptor may have become ready; in a plain thread the sleep is
// wi_park_poll with the pollfds of all.
#ifndef WI_LOOP_READY_H
#define WI_LOOP_READY_H

#include "loop/fd.h"

struct pollfd;

struct wi_ready {
    struct wi_io io;
    struct wi_loop *loop; // NULL in a plain thread
    struct wi_fd *record; // of a plain thread
    struct wi_fd_waiter waiter;
};

// Returns the events that hold now, a negative code, or 0: then the caller is
// told, until wi_ready_end.
int wi_ready_begin(struct wi_ready *ready, int fd, unsigned events);

// Parks until the loop has let go. Not ended by cancel. Returns 0, or
// -ECANCELED if the descriptor was closed meanwhile (weft_close).
int wi_ready_end(struct wi_ready *ready);

// For wi_park_poll.
void wi_ready_pollfd(const struct wi_ready *ready, struct pollfd *fd);

#endif
