// SPDX-License-Identifier: MIT
//
// blocked.h: what a thread of this process does, seen from another one.
#ifndef WI_OS_BLOCKED_H
#define WI_OS_BLOCKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The CPU time of a thread in ns, or -1 if it is not known.
int64_t wi_os_thread_cpu(pid_t thread);

// Whether the thread sleeps in a system call now, so that it waits for
// something: not in a page fault, and not in a call on memory, which waits
// for other threads' calls only. *call is the number of the call, or -1 if
// it is not known.
bool wi_os_thread_blocked(pid_t thread, long *call);

// How many threads the process has; 0: that is not known.
unsigned wi_os_thread_count(void);

// Whether a handler is set for a signal that may come by itself, or that is not
// known: not those that the faults of a thread raise, nor the C library's own.
bool wi_os_catches_signals(void);

// The name of a system call that is known to block, or NULL.
const char *wi_os_call_name(long call);

// Where code lies, as "module+0x1a2b", which addr2line understands.
void wi_os_code_place(uintptr_t code, char *text, size_t size);

#endif
