// SPDX-License-Identifier: MIT
// Stacks for tasks: a cache for each worker above a pool for the process.
// The essay is in stack.c.
#ifndef WI_SCHED_STACK_H
#define WI_SCHED_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/sanitizer.h"

struct wi_stack_slab;

// The head of a stack, in its top page, directly above its first frame.
// Written by the worker that holds the stack.
struct wi_stack {
    struct wi_switch_point point;   // where it is suspended: the scheduler's
    void *owner;                    // the scheduler's; NULL in a new stack
    char *limit;                    // the lowest usable address
    const uint64_t *canary;         // its low line, if it has no guard
    struct wi_stack *older, *newer; // in the cache
    struct wi_stack_slab *slab;
    uint32_t index; // in the slab
    uint32_t valgrind_id;
} __attribute__((aligned(64)));

// A stack without memory, so without a head.
struct wi_stack_slot {
    struct wi_stack_slab *slab;
    uint32_t index;
};

#define WI_STACK_BATCH 16

// Used by one thread at a time.
struct wi_stack_cache {
    struct wi_stack *newest, *oldest; // those with memory
    size_t warm;                      // how many
    unsigned cls;
    unsigned cold;  // entries of `slots`
    unsigned batch; // how many to ask the pool for, next time
    struct wi_stack_slot slots[WI_STACK_BATCH];
};

#define WI_STACK_DEFAULT ((size_t)256 << 10)
#define WI_STACK_MAX     ((size_t)8 << 20)

// The size that a stack of at least `size` bytes really has: one of 16 KiB,
// 64 KiB, 256 KiB, 1 MiB and 8 MiB. 0 stands for the default. Guard, head
// and colouring come off it. Returns 0 if it is more than WI_STACK_MAX.
size_t wi_stack_round(size_t size);

// `size` is rounded; more than WI_STACK_MAX counts as that.
void wi_stack_cache_init(struct wi_stack_cache *cache, size_t size);

// Gives all stacks of the cache to the pool.
void wi_stack_cache_fini(struct wi_stack_cache *cache);

// A stack that nothing lives on: the one that was put last if there is one.
// NULL if the kernel gives no more.
struct wi_stack *wi_stack_new(struct wi_stack_cache *cache);

// Take back a stack of the cache's size that nothing lives on any more, from
// whatever cache it came. Keeps its memory; never calls the kernel.
void wi_stack_put(struct wi_stack_cache *cache, struct wi_stack *stack);

// Give the memory of the stacks that were used least recently back to the
// kernel, one batch of those beyond the `keep` warmest. Returns how many are
// still beyond `keep`.
size_t wi_stack_trim(struct wi_stack_cache *cache, size_t keep);

// What was reserved for the stack, as in wi_stack_round.
size_t wi_stack_size(const struct wi_stack *stack);

// Where the first frame begins: aligned to 64 bytes, and different from stack
// to stack so that they do not all meet in the same cache lines. At least
// 1900 bytes of the top page are below it.
static inline void *wi_stack_top(struct wi_stack *stack)
{
    return stack;
}

static inline void *wi_stack_limit(const struct wi_stack *stack)
{
    return stack->limit;
}

// Ready the stack to call entry(arg) at its first switch-in. `top` is
// wi_stack_top() or, aligned to 16, somewhat lower. entry begins with
// wi_stack_arrived(&stack->point) and never returns.
static inline void wi_stack_prepare(struct wi_stack *stack, void *top,
                                    void (*entry)(void *), void *arg)
{
    stack->point.sp = wi_arch_prepare(top, entry, arg);
}

bool wi_stack_canary_lives(const struct wi_stack *stack);

// To be called on the stack itself before it is left: false if it has
// overflown. Does nothing where a guard does it, which is everywhere but on old
// kernels with tens of thousands of stacks.
static inline bool wi_stack_check(const struct wi_stack *stack)
{
    return __builtin_expect(!stack->canary, 1) || wi_stack_canary_lives(stack);
}

// Where an address lies.
struct wi_stack_place {
    char *low;              // of the whole reservation, guard included
    char *limit;            // the lowest usable address
    size_t size;            // as wi_stack_size
    struct wi_stack *stack; // NULL if it has no memory
};

// Async-signal-safe. False if the address is in no stack of the pool.
bool wi_stack_find(uintptr_t address, struct wi_stack_place *place);

// The pool --------------------------------------------------------------------

// How the low end of a stack is protected.
enum wi_stack_guard {
    WI_STACK_GUARD_UNKNOWN,
    WI_STACK_GUARD_LIGHT, // MADV_GUARD_INSTALL: no mapping of its own
    WI_STACK_GUARD_PAGES, // PROT_NONE while mappings last, then canaries
};

struct wi_stack_pool_stats {
    enum wi_stack_guard guard;
    size_t slabs;       // mapped
    size_t reserved;    // bytes mapped
    size_t stacks;      // that fit in the slabs
    size_t cold;        // of these free and without memory
    size_t warm;        // free and with memory, in the pool itself
    size_t page_guards; // mappings spent on guards
};

void wi_stack_pool_stats(struct wi_stack_pool_stats *stats);

// For tests: give back the memory of all stacks that the pool keeps warm.
void wi_stack_pool_trim(void);

// In the child of a fork that starts anew: forget all stacks, which belong to
// threads that do not exist here.
void wi_stack_pool_forget(void);

// For tests: protect stacks from now on in this way, with so many guards of
// their own and so many shared ones at most.
void wi_stack_pool_use_guard(enum wi_stack_guard guard, size_t own,
                             size_t shared);

#endif
