// SPDX-License-Identifier: MIT
// The door to the CPU: switching stacks, the spin hint, the full fence.
//
// What a switch keeps is what a function call keeps: the callee-saved
// registers and the stack pointer. The signal mask, errno and the floating
// point control words belong to the thread, not to the stack.
#ifndef WI_ARCH_H
#define WI_ARCH_H

#include <stdint.h>

#include "base/sanitizer_detect.h"

// Leave the running stack and continue on `load`. The callee-saved state goes
// onto the running stack, its stack pointer to *save. Returns when something
// switches back to *save. Symmetric: both sides are this one call, so that
// the processor's return predictor meets one kind of return only.
void wi_arch_switch(void **save, void *load);

// Prepare a fresh stack whose first switch-in calls entry(arg), which must
// never return. `top` is aligned to 16 bytes and becomes the first stack
// pointer. Returns what to load. The chain of frames ends at the entry.
void *wi_arch_prepare(void *top, void (*entry)(void *), void *arg);

// Hint that the caller spins.
static inline void wi_arch_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    // yield is a no-op on most cores; isb stalls for some 10 ns like pause.
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

// Between two looks at a word that another CPU writes: pauses, and returns for
// how long to pause the next time. Looks get rarer, as each takes the word's
// cache line away from its writer. Begins with 1.
static inline int wi_arch_back_off(int pause)
{
    enum { LONGEST = 32 };
    pause = pause < LONGEST ? 2 * pause : LONGEST;
    for (int i = 0; i < pause; i++)
        wi_arch_relax();
    return pause;
}

#if WI_TSAN
// One word for the whole program, because TSan orders what meets in one place.
__attribute__((weak)) int wi_arch_fence_word;
#endif

// Full barrier: no later load passes an earlier store. Pairs with the same
// call on the other side of a store-then-look protocol.
static inline void wi_arch_fence(void)
{
#if WI_TSAN
    // seq_cst RMW: TSan ignores fences. Partner: every other call.
    __atomic_fetch_add(&wi_arch_fence_word, 1, __ATOMIC_SEQ_CST);
#elif defined(__x86_64__)
    // A locked RMW of zero on the own stack: a third of the cost of mfence,
    // to which clang lowers the C11 fence. The word below the stack pointer
    // (in the red zone, and left as it is) does not delay the next return.
    __asm__ volatile("lock orl $0, -4(%%rsp)" ::: "memory", "cc");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// The same, for a caller that has just done an atomic read-modify-write of any
// word: on x86-64 that is a full barrier.
static inline void wi_arch_fence_after_rmw(void)
{
#if defined(__x86_64__) && !WI_TSAN
    __asm__ volatile("" ::: "memory");
#else
    wi_arch_fence();
#endif
}

// A pointer to a thread-local variable of the initial-exec model, as the thread
// that runs now has it. A compiler takes the thread pointer for a constant of
// the function, but a function that calls may return on another thread. gcc
// keeps nothing on x86-64, where each access names the segment register.
// WI_ARCH_ROAMS: whether a job may change its thread, since that can be had.
#if defined(__x86_64__) && !defined(__clang__) && !WI_ASAN && !WI_TSAN
#define WI_ARCH_ROAMS           1
#define WI_ARCH_LOCAL(variable) (&(variable))
#elif defined(__x86_64__)
#define WI_ARCH_ROAMS 1
#define WI_ARCH_LOCAL(variable)                                                \
    __extension__({                                                            \
        uintptr_t wi_at;                                                       \
        __asm__ volatile("movq " #variable "@gottpoff(%%rip), %0\n\t"          \
                         "addq %%fs:0, %0"                                     \
                         : "=r"(wi_at)                                         \
                         :                                                     \
                         : "cc");                                              \
        (__typeof__(variable) *)wi_at;                                         \
    })
#elif defined(__aarch64__)
#define WI_ARCH_ROAMS 1
#define WI_ARCH_LOCAL(variable)                                                \
    __extension__({                                                            \
        uintptr_t wi_at, wi_thread;                                            \
        __asm__ volatile("adrp %0, :gottprel:" #variable "\n\t"                \
                         "ldr %0, [%0, #:gottprel_lo12:" #variable "]\n\t"     \
                         "mrs %1, tpidr_el0"                                   \
                         : "=&r"(wi_at), "=&r"(wi_thread));                    \
        (__typeof__(variable) *)(wi_at + wi_thread);                           \
    })
#else
#define WI_ARCH_ROAMS           0
#define WI_ARCH_LOCAL(variable) (&(variable))
#endif

// The current stack pointer, or an address of the same frame.
static inline uintptr_t wi_arch_sp(void)
{
#if defined(__x86_64__)
    uintptr_t sp;
    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    return sp;
#elif defined(__aarch64__)
    uintptr_t sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
#else
    return (uintptr_t)__builtin_frame_address(0);
#endif
}

#endif
