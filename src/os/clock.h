// SPDX-License-Identifier: MIT
//
// clock.h: the one clock. Deadlines are absolute monotonic nanoseconds.
#ifndef WI_OS_CLOCK_H
#define WI_OS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define WI_FOREVER INT64_MAX // the deadline that never comes

int64_t wi_os_now(void);

// A time of so many ns, as system calls take it.
static inline struct timespec wi_os_timespec(int64_t ns)
{
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

#endif
