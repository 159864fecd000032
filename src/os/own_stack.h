// SPDX-License-Identifier: MIT
//
// own_stack.h: the stack that the system has given a thread, and whether a
// fault is the overflow of it.
#ifndef WI_OS_OWN_STACK_H
#define WI_OS_OWN_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What one frame may reach over the end of a stack.
#define WI_LARGEST_FRAME ((uintptr_t)1 << 20)

// Notes where the caller's stack ends, unless that is known. Does nothing on
// the main thread.
void wi_os_own_stack_note(void);

// In a thread that begins: its stack has so many bytes, with what libc has of
// it, of which `told` are what its maker knows of. Cheaper.
void wi_os_own_stack_has(size_t size, size_t told);

// In the handler of a fault: the size in bytes of the stack of the thread, if
// the access to `address`, by code with this stack pointer, went over its end;
// else 0, also in a thread that has not noted it.
size_t wi_os_own_stack_used_up(uintptr_t address, uintptr_t sp);

// Whether the caller is the thread that the process began with.
bool wi_os_on_main_thread(void);

#endif
