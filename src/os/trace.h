// SPDX-License-Identifier: MIT
//
// trace.h: the stack of another thread of this process, as that thread sees it:
// it is interrupted by a signal and walks its own stack. A system call that it
// sleeps in may end early with EINTR, as by any signal with a handler.
#ifndef WI_OS_TRACE_H
#define WI_OS_TRACE_H

#include <stdint.h>
#include <sys/types.h>

enum { WI_TRACE_MOST = 32 };

struct wi_os_trace {
    // Called in the thread, in the handler, before its stack is walked.
    void (*look)(struct wi_os_trace *trace);
    unsigned count; // of the frames, innermost first
    uintptr_t frames[WI_TRACE_MOST];
};

// Prepares: takes the highest real-time signal that nobody has a handler for.
// Returns 0 or -EAGAIN if there is none. Any number of times, by one thread at
// a time.
int wi_os_trace_init(void);

// Fills in *trace by `thread`, which lives as long as this call. Returns 0 or a
// negative code: -ETIMEDOUT when it has not answered in `wait_ns`, since it
// blocks the signal or cannot be interrupted. One caller at a time.
int wi_os_trace_take(pid_t thread, struct wi_os_trace *trace, int64_t wait_ns);

#endif
