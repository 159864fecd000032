// SPDX-License-Identifier: MIT
//
// overflow.h: says which task has used up its stack, before the process dies
// of it; and which call was given a NULL, where it could not look itself.
#ifndef WI_SCHED_OVERFLOW_H
#define WI_SCHED_OVERFLOW_H

#include <stddef.h>

struct wi_stack;

// Start watching for overflows; nothing if it is done already or the
// environment has WEFT_SEGV=0. describe() writes what runs on a stack (NULL:
// that of the calling thread), such as `task "parse" (id 12)`, cut at n bytes
// with its final zero; running() is the stack of the pool that the calling
// thread runs on, NULL if it is none. Both run in a signal handler, on any
// thread. Handlers installed before this call are still called; one that is
// installed later replaces ours.
void wi_overflow_init(void (*describe)(struct wi_stack *stack, char *text,
                                       size_t n),
                      struct wi_stack *(*running)(void));

// For each thread that runs tasks or is one of Weft's: room for the handler to
// run in, since the stack has none, and where its own stack ends. Without it an
// overflow kills silently.
void wi_overflow_thread_init(void);
void wi_overflow_thread_fini(void);

// The end of the program when wi_stack_check has failed.
_Noreturn void wi_overflow_panic(struct wi_stack *stack);

#endif
