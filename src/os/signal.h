// SPDX-License-Identifier: MIT
//
// signal.h: seeing faults before whoever else handles them.
#ifndef WI_OS_SIGNAL_H
#define WI_OS_SIGNAL_H

#include <stdint.h>

struct wi_os_fault {
    uintptr_t address; // what was accessed
    uintptr_t sp;      // of the code that did it; 0 if not known
    uintptr_t pc;      // of the instruction; 0 if not known
};

// From now on call look(fault) for each SIGSEGV and SIGBUS, in the signal
// handler, before what the process had installed for it up to now, or the
// default, is done. Once in a process. Returns 0 or a negative code.
int wi_os_fault_watch(void (*look)(const struct wi_os_fault *fault));

// Give the calling thread an alternate stack for its handlers, unless it has
// one; take it away. Returns 0 or a negative code.
int wi_os_signal_stack_init(void);
void wi_os_signal_stack_fini(void);

#endif
