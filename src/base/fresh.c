// SPDX-License-Identifier: MIT
//
// Modules are added by constructors only. The two flags are read and written by
// threads that are otherwise ordered, or by the one thread of a fork's child:
// so relaxed is enough for all of their accesses.
#include "base/fresh.h"

#include <stddef.h>

enum { MODULES = 64 };

uint32_t wi_forked_flag;
uint32_t wi_fresh_number;
static uint32_t in_use;
static void (*modules[MODULES])(void);
static size_t count;

void wi_fresh_add(void (*fn)(void))
{
    if (count == MODULES)
        __builtin_trap(); // a state that stays as it was would be worse
    modules[count++] = fn;
}

void wi_fresh_in_use(void)
{
    __atomic_store_n(&in_use, 1, __ATOMIC_RELAXED);
}

void wi_fresh_note_fork(void)
{
    if (__atomic_load_n(&in_use, __ATOMIC_RELAXED))
        __atomic_store_n(&wi_forked_flag, 1, __ATOMIC_RELAXED);
}

void wi_fresh_start(void)
{
    for (size_t i = 0; i < count; i++)
        modules[i]();
    in_use = 0;
    wi_fresh_number++;
    __atomic_store_n(&wi_forked_flag, 0, __ATOMIC_RELAXED);
}
