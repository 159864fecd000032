// SPDX-License-Identifier: MIT
//
// oom.h: whether the kernel has killed for want of memory.
#ifndef WI_OS_OOM_H
#define WI_OS_OOM_H

#include <stdbool.h>
#include <stdint.h>

// How many processes of this process's cgroup the kernel has killed because
// the group had no memory left; -1: that cannot be seen.
int64_t wi_os_oom_kills(void);

// The same from a copy of /proc/self/cgroup and of the cgroup file system.
int64_t wi_os_oom_kills_of(const char *cgroup, const char *root);

// Whether this process has nearly as much private memory as RLIMIT_DATA allows.
// Only system calls.
bool wi_os_memory_used_up(void);

#endif
