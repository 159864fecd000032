// SPDX-License-Identifier: MIT
//
// interrupt.h: the keyboard's signal, SIGINT, once kindly.
#ifndef WI_OS_INTERRUPT_H
#define WI_OS_INTERRUPT_H

#include <stdbool.h>

// Calls first() at the next SIGINT, in the signal handler; one after that does
// what SIGINT did before. False: the process ignores SIGINT, and nothing is
// changed. One at a time in a process.
bool wi_os_interrupt_begin(void (*first)(void));

// What SIGINT did before is as it was.
void wi_os_interrupt_end(void);

#endif
