// SPDX-License-Identifier: MIT
//
// watch.h: waiting for many descriptors at once.
#ifndef WI_OS_WATCH_H
#define WI_OS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

int wi_os_watch_open(void); // a set, or a negative code
int wi_os_watch_add(int set, int fd, void *tag);
// For the set to be readable when fd can be written to.
int wi_os_watch_add_writer(int set, int fd);
void wi_os_watch_remove(int set, int fd);

// Waits until one of the descriptors is readable: its tag. NULL: the deadline
// (monotonic ns, WI_FOREVER for none) has passed, or for no reason.
void *wi_os_watch_wait(int set, int64_t deadline);

#endif
