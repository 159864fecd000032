// SPDX-License-Identifier: MIT
//
// fault.h: the last words of a process that crashes.
#ifndef WI_OS_FAULT_H
#define WI_OS_FAULT_H

#include <stdint.h>

#include "os/backtrace.h"

// Written once, by the first thread that crashes, in shared memory.
struct wi_fault {
    uint32_t claimed; // by the thread that writes the rest
    uint32_t known;   // release, after all but the frames
    uint32_t written; // release, after the rest
    int32_t sig;
    int32_t code;     // si_code
    uint64_t address; // for SIGSEGV, SIGBUS, SIGILL, SIGFPE
    uint64_t pc;
    int32_t thread;
    int32_t sender;   // process that sent the signal, 0: a fault
    uint64_t stack;   // bytes, if it went over the end of its thread's stack
    uint32_t used_up; // it had nearly all memory that RLIMIT_DATA allows
    uint32_t frame_count; // release, after each
    struct wi_trace_frame frames[WI_TRACE_FRAMES];
};

// From now on a fault or an abort writes *fault and rings the bell (-1: none)
// before the process dies as it would have died. Handlers that the program has
// installed are left alone. Once more: for another page. Which module a frame
// lies in is known of those that wi_os_backtrace_prepare has noted.
void wi_os_fault_install(struct wi_fault *fault, int bell);

#endif
