// SPDX-License-Identifier: MIT
//
// event.h: how a plain thread waits for file descriptors and for Weft at once:
// ppoll on them and on an eventfd that an unpark writes to.
#ifndef WI_OS_EVENT_H
#define WI_OS_EVENT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int wi_os_event_new(void); // a descriptor or a negative code
void wi_os_event_set(int fd);
void wi_os_event_take(int fd); // waits until it is set, and clears it

// What a call that opens a descriptor for Weft itself has returned, moved above
// the standard descriptors' numbers, which are free in a program that was
// started without them: it would read and write ours, and hand it to children.
// Close-on-exec. A negative code if fd is -1 (errno) or there is no other
// number: then it is closed. For sockets and files of the program's own, the
// lowest number is as good as for open(2).
int wi_os_own_fd(int fd);

// The same for both of a pair. 0, or a negative code: then both are closed.
int wi_os_own_pair(int rc, int fds[2]);

int wi_os_dup(int fd); // the same: a copy, or a negative code
void wi_os_close(int fd);
bool wi_os_fd_is_open(int fd);
size_t wi_os_fd_limit(void); // how many may be open

// Waits for one of fds until deadline. The number that are ready, 0 after the
// deadline or a signal, or a negative code.
int wi_os_poll(struct pollfd *fds, unsigned n, int64_t deadline);

#endif
