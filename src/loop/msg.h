// SPDX-License-Identifier: MIT
//
// msg.h: bytes that the kernel moves.
#ifndef WI_LOOP_MSG_H
#define WI_LOOP_MSG_H

#include <sys/types.h>
#include <sys/uio.h>

#include "loop/loop.h"

#define WI_IO_PARTS 1024 // of a vector, at most: the kernel's limit

// Sends up to size bytes of the file `from`, on disk, from *offset on, which
// moves. 0: the file is at its end. -EOPNOTSUPP, -EINVAL: these two files
// cannot do that, or `to` would block; read and write instead.
ssize_t wi_io_sendfile(int to, int from, off_t *offset, size_t size);

// As weft_writev, to an end of a pipe that does not block; raises no SIGPIPE.
ssize_t wi_io_writev_quiet(int fd, const struct iovec *parts, int n);

// Whether wi_io_splice would not block the thread on fd.
bool wi_io_can_splice(int fd);

// As weft_splice, for two descriptors that can be spliced, one of them a pipe.
ssize_t wi_io_splice(int from, int to, size_t size);

// A pipe for wi_io_splice that never blocks: ends[0] to read. *room: bytes that
// it takes. To be closed with weft_close. 0 or a negative code.
int wi_io_pipe(int ends[2], size_t *room);

// Reads at a place of a file on disk, which may block the thread as the page
// faults of any program do.
ssize_t wi_io_read_file(int fd, void *buf, size_t size, off_t offset);

#endif
