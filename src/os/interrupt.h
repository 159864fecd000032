// SPDX-License-Identifier: MIT
//
// interrupt.h: the keyboard's signal, SIGINT, once kindly.
#ifndef WI_OS_INTERRUPT_H
#define WI_OS_INTERRUPT_H

// Calls first() at the next SIGINT, in the signal handler; one after that does
// what SIGINT did before. 1; 0: the process ignores SIGINT, and nothing is
// changed; or a negative code. One at a time in a process.
int wi_os_interrupt_begin(void (*first)(void));

// What SIGINT did before is as it was, unless the program has set another
// handler meanwhile.
void wi_os_interrupt_end(void);

#endif
