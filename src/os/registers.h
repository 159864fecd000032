// SPDX-License-Identifier: MIT
//
// registers.h: what a handler of signals is told of the code that it has
// interrupted: where it was, its stack and its frame; 0 on CPUs that Weft does
// not know.
#ifndef WI_OS_REGISTERS_H
#define WI_OS_REGISTERS_H

#include <stdint.h>
#include <ucontext.h>

struct wi_os_registers {
    uintptr_t pc, sp, fp;
};

// context: the handler's third argument.
static inline struct wi_os_registers wi_os_registers(const void *context)
{
    const ucontext_t *uc = context;
#if defined(__x86_64__)
    const greg_t *at = uc->uc_mcontext.gregs;
    return (struct wi_os_registers){
        (uintptr_t)at[REG_RIP], (uintptr_t)at[REG_RSP], (uintptr_t)at[REG_RBP]};
#elif defined(__aarch64__)
    const mcontext_t *at = &uc->uc_mcontext;
    return (struct wi_os_registers){(uintptr_t)at->pc, (uintptr_t)at->sp,
                                    (uintptr_t)at->regs[29]};
#else
    (void)uc;
    return (struct wi_os_registers){0};
#endif
}

#endif
