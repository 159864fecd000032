// SPDX-License-Identifier: MIT
//
// watch.h: waiting for many descriptors at once, and bells: descriptors that
// one side rings and the other waits for.
#ifndef WI_OS_WATCH_H
#define WI_OS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

int wi_os_watch_open(void); // a set, or a negative code
int wi_os_watch_add(int set, int fd, void *tag);
void wi_os_watch_remove(int set, int fd);

// Waits until one of the descriptors is readable: its tag. NULL: the deadline
// (monotonic ns, WI_FOREVER for none) has passed, or for no reason.
void *wi_os_watch_wait(int set, int64_t deadline);

int wi_os_bell_new(void); // close-on-exec, or a negative code
void wi_os_bell_ring(int bell);
void wi_os_bell_silence(int bell); // after it was heard

#endif
