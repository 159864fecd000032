// SPDX-License-Identifier: MIT
// The switch for every other CPU, on getcontext, makecontext and swapcontext.
//
// Correct and slow: each switch costs two system calls, because swapcontext
// keeps the signal mask. That is also the one difference in meaning: here the
// mask belongs to the stack. A suspended stack keeps its context on itself,
// so that a saved "stack pointer" is the address of the context.
//
// musl has no makecontext; there only the CPUs with an assembly file work.

#include "arch/arch.h"

#include <ucontext.h>

struct fresh {
    ucontext_t context;
    void (*entry)(void *);
    void *arg;
};

void wi_arch_switch(void **save, void *load)
{
    ucontext_t here;

    // ASan's interceptor reads the bounds of a context; none are known.
    here.uc_stack.ss_sp = 0;
    here.uc_stack.ss_size = 0;
    here.uc_link = 0;
    *save = &here;
    swapcontext(&here, load);
}

// makecontext passes only ints: the address comes in two halves.
static void enter(unsigned high, unsigned low)
{
    uintptr_t address = ((uintptr_t)high << 16 << 16) | low;
    struct fresh *fresh = (struct fresh *)address;

    fresh->entry(fresh->arg);
    __builtin_trap();
}

void *wi_arch_prepare(void *top, void (*entry)(void *), void *arg)
{
    uintptr_t at = ((uintptr_t)top - sizeof(struct fresh)) & ~(uintptr_t)63;
    struct fresh *fresh = (struct fresh *)at;

    getcontext(&fresh->context);
    fresh->entry = entry;
    fresh->arg = arg;
    // makecontext uses the upper end only; the true size is not known here.
    fresh->context.uc_stack.ss_sp = (void *)(at - 1024);
    fresh->context.uc_stack.ss_size = 1024;
    fresh->context.uc_link = 0;
    makecontext(&fresh->context, (void (*)(void))enter, 2,
                (unsigned)(at >> 16 >> 16), (unsigned)at);
    return fresh;
}
