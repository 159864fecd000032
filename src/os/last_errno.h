// SPDX-License-Identifier: MIT
//
// last_errno.h: errno for functions that wait for anything but a descriptor: a
// job that roams (sched/roam.c) may come out of such a wait on another thread,
// and a compiler keeps the address of errno for all of a function.
#ifndef WI_OS_LAST_ERRNO_H
#define WI_OS_LAST_ERRNO_H

int wi_os_errno(void);
void wi_os_set_errno(int value);

#endif
