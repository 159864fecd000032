// SPDX-License-Identifier: MIT
//
// backtrace.h: where a thread was when it crashed, from a signal handler.
#ifndef WI_OS_BACKTRACE_H
#define WI_OS_BACKTRACE_H

#include <stdint.h>

enum { WI_TRACE_FRAMES = 16, WI_TRACE_MODULE = 32 };

struct wi_trace_frame {
    uint64_t pc;
    uint64_t offset; // in the module, as its tools name it; 0: no module
    char module[WI_TRACE_MODULE]; // last part of its name, cut; or ""
};

// Notes which modules are loaded. Those that are loaded later are asked of the
// kernel, and have no name in the frames if it does not tell: without /proc, or
// in a sandbox. Not in a handler, and by one thread at a time.
void wi_os_backtrace_prepare(void);

// In the handler of a fault: frames[0] is pc, then who called it. *count grows
// with every frame that is written (release), in case that this faults itself.
// fp is the frame pointer, for programs without an unwinder. Allocates nothing
// and takes no lock.
void wi_os_backtrace(uint64_t pc, uint64_t fp, struct wi_trace_frame *frames,
                     uint32_t *count);

#endif
