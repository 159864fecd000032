// SPDX-License-Identifier: MIT
//
// try.h: one attempt at an operation that never blocks the thread, whatever
// O_NONBLOCK says on the descriptor, and never changes that flag for longer
// than a connect. -EAGAIN: it would have to wait. EINTR is tried again.
#ifndef WI_LOOP_TRY_H
#define WI_LOOP_TRY_H

#include <stdint.h>

#include "loop/loop.h"

// What kind of file a descriptor is, as far as the calls differ.
enum wi_fd_kind {
    WI_FD_UNKNOWN = 0,
    WI_FD_SOCKET, // any socket that is none of the next two; Unix sockets are
                  // here, since descriptors that come with bytes which were
                  // read ahead would be lost
    WI_FD_STREAM, // a stream socket
    WI_FD_TCP,    // one where a short read means that the buffer is empty
    WI_FD_PLAIN,  // not a socket: a pipe, a terminal, a timer, ...
    WI_FD_DISK,   // always ready: a regular file, a directory, a block device
};

// Asks the kernel. Returns a kind or -EBADF.
int wi_try_kind(int fd);

static inline bool wi_fd_is_socket(uint8_t kind)
{
    return kind >= WI_FD_SOCKET && kind <= WI_FD_TCP;
}

// One attempt at io, on a file of that kind; on disk it is -EAGAIN unless the
// page cache has it all: then wi_try_blocking. CONNECT: io->state is 0 at the
// first attempt and 1 when the connection is under way.
ssize_t wi_try(struct wi_io *io, uint8_t kind);

// The same without the promise not to block, for what is always ready.
ssize_t wi_try_blocking(const struct wi_io *io);

// The events of poll(2) that end io's wait.
short wi_try_events(const struct wi_io *io);

// The peer's address of an accepted connection into addr and *len, if addr is
// not NULL; an address of length 0 if the peer has already gone.
void wi_try_peer(int fd, struct sockaddr *addr, socklen_t *len);

#endif
