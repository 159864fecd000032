// SPDX-License-Identifier: MIT
//
// fresh.h: after fork() without exec the child has one thread and a copy of
// locks and runtimes whose threads are gone. Modules with such state say here
// how to make it fresh; until the child asks for that, nothing may start.
#ifndef WI_BASE_FRESH_H
#define WI_BASE_FRESH_H

#include <stdbool.h>
#include <stdint.h>

extern uint32_t wi_forked_flag;

// Whether this is a child of a process that ran Weft, and has not called
// weft_fork_child.
static inline bool wi_forked(void)
{
    // relaxed: written by the child's only thread before it can ask
    return __atomic_load_n(&wi_forked_flag, __ATOMIC_RELAXED) != 0;
}

// How often this process and those before it have begun anew after a fork.
extern uint32_t wi_fresh_number;

// Whether what was made under this number is another process's, a parent's.
static inline bool wi_is_parents(uint32_t number)
{
    return wi_forked() || number != wi_fresh_number;
}

// From a constructor: fn makes one module's state fresh.
void wi_fresh_add(void (*fn)(void));

// Weft is in use from now on: a fork matters.
void wi_fresh_in_use(void);

// In the child, from the fork handler.
void wi_fresh_note_fork(void);

// Runs all that was added, and clears the flag.
void wi_fresh_start(void);

#endif
