// SPDX-License-Identifier: MIT
//
// signal_watch.h: signals that are remembered instead of acted upon.
#ifndef WI_OS_SIGNAL_WATCH_H
#define WI_OS_SIGNAL_WATCH_H

#include <stdint.h>

struct wi_os_signal_watch {
    uint64_t mask;    // bit n-1 for signal n; constant
    uint64_t pending; // any, atomically, also in a handler
    int fd;           // an eventfd, readable when something came
};

// Takes the signals of watch->mask from now on; opens watch->fd. 0 or a
// negative code.
int wi_os_signal_watch(struct wi_os_signal_watch *watch);

// Ends that. No handler knows of the watch when it returns; the fd stays open.
void wi_os_signal_unwatch(struct wi_os_signal_watch *watch);

// The lowest signal that has come, which is no more pending; 0: none.
int wi_os_signal_take(struct wi_os_signal_watch *watch);

// The fd was readable: makes it so only if something is pending.
void wi_os_signal_seen(struct wi_os_signal_watch *watch);

#endif
