// SPDX-License-Identifier: MIT
//
// pipe.h: a pipe from a child. Both ends are close-on-exec.
#ifndef WI_OS_PIPE_H
#define WI_OS_PIPE_H

#include <stddef.h>
#include <sys/types.h>

// ends[0], which does not block, is for reading. 0 or a negative code.
int wi_os_pipe(int ends[2]);

// How many bytes came; 0: the end, -EAGAIN: none now, or a negative code.
ssize_t wi_os_pipe_read(int fd, void *bytes, size_t size);

// Writes to a descriptor of any kind, whole if size is at most PIPE_BUF; does
// not wait for a reader: -EAGAIN. SIGPIPE must be blocked.
ssize_t wi_os_pipe_offer(int fd, const void *bytes, size_t size);

#endif
