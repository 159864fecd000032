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

int wi_os_dup(int fd); // close-on-exec, or a negative code
void wi_os_close(int fd);
bool wi_os_fd_is_open(int fd);
size_t wi_os_fd_limit(void); // how many may be open

// Waits for one of fds until deadline. The number that are ready, 0 after the
// deadline or a signal, or a negative code.
int wi_os_poll(struct pollfd *fds, unsigned n, int64_t deadline);

#endif
