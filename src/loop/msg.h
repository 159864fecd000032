// SPDX-License-Identifier: MIT
//
// msg.h: bytes from file to socket.
#ifndef WI_LOOP_MSG_H
#define WI_LOOP_MSG_H

#include <sys/types.h>

#include "loop/loop.h"

#define WI_IO_PARTS 1024 // of a vector, at most: the kernel's limit

// Sends up to size bytes of the file `from`, on disk, from *offset on, which
// moves. 0: the file is at its end. -EOPNOTSUPP, -EINVAL: these two files
// cannot do that, or `to` would block; read and write instead.
ssize_t wi_io_sendfile(int to, int from, off_t *offset, size_t size);

// Reads at a place of a file on disk, which may block the thread as the page
// faults of any program do.
ssize_t wi_io_read_file(int fd, void *buf, size_t size, off_t offset);

#endif
