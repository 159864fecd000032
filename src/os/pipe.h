// SPDX-License-Identifier: MIT
//
// pipe.h: a pipe from a child or to one. Both ends are close-on-exec, and none
// has a number that is a standard descriptor's.
#ifndef WI_OS_PIPE_H
#define WI_OS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// The child reads it (to_child) or writes to it. Our end does not block, the
// child's does. 0 or a negative code.
int wi_os_pipe(bool to_child, int *ours, int *theirs);

// How many bytes came; 0: the end, -EAGAIN: none now, or a negative code.
ssize_t wi_os_pipe_read(int fd, void *bytes, size_t size);

// How many bytes went; -EAGAIN: no room now, or a negative code. Raises no
// SIGPIPE.
ssize_t wi_os_pipe_write(int fd, const void *bytes, size_t size);

// Writes to a descriptor of any kind, whole if size is at most PIPE_BUF; does
// not wait for a reader: -EAGAIN. SIGPIPE must be blocked.
ssize_t wi_os_pipe_offer(int fd, const void *bytes, size_t size);

#endif
