// SPDX-License-Identifier: MIT
//
// fault.h: the last words of a process that crashes.
#ifndef WI_OS_FAULT_H
#define WI_OS_FAULT_H

#include <stdint.h>

// Written once, by the first thread that crashes, in shared memory.
struct wi_fault {
    uint32_t claimed; // by the thread that writes the rest
    uint32_t written; // release, after the rest
    int32_t sig;
    int32_t code;     // si_code
    uint64_t address; // for SIGSEGV, SIGBUS, SIGILL, SIGFPE
    uint64_t pc;
    int32_t thread;
    int32_t sender; // process that sent the signal, 0: a fault
};

// From now on a fault or an abort writes *fault and rings the bell (-1: none)
// before the process dies as it would have died. Handlers that the program has
// installed are left alone.
void wi_os_fault_install(struct wi_fault *fault, int bell);

#endif
