// SPDX-License-Identifier: MIT
//
// clock.h: the one clock. Deadlines are absolute monotonic nanoseconds.
#ifndef WI_OS_CLOCK_H
#define WI_OS_CLOCK_H

#include <stdint.h>

#define WI_FOREVER INT64_MAX // the deadline that never comes

int64_t wi_os_now(void);

#endif
