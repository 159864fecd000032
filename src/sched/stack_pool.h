// SPDX-License-Identifier: MIT
// The process's stacks below the caches: slabs, slots and their guards. Only
// stack.c and its test include this; the essay is in stack.c.
#ifndef WI_SCHED_STACK_POOL_H
#define WI_SCHED_STACK_POOL_H

#include "os/memory.h"
#include "sched/stack.h"

#define WI_STACK_CLASSES 5

// A class is an index into the five sizes.
unsigned wi_stack_class_of(size_t size);
size_t wi_stack_class_size(unsigned cls);

unsigned wi_stack_slab_class(const struct wi_stack_slab *slab);

// Where the head of a slot is, whether the slot has memory or not.
struct wi_stack *wi_stack_slot_head(struct wi_stack_slot slot);
char *wi_stack_slot_low(struct wi_stack_slot slot);
char *wi_stack_slot_limit(struct wi_stack_slot slot);
bool wi_stack_slot_guarded(struct wi_stack_slot slot);

// Take up to n (at most WI_STACK_BATCH) cold stacks, guarded as well as the
// kernel can. The caller owns them then. Returns how many.
unsigned wi_stack_pool_take(unsigned cls, struct wi_stack_slot *slots,
                            unsigned n);

// Give cold stacks back.
void wi_stack_pool_give(const struct wi_stack_slot *slots, unsigned n);

// Stacks that outlived their cache: take one or NULL, leave one unless there
// are enough.
struct wi_stack *wi_stack_pool_take_warm(unsigned cls);
bool wi_stack_pool_leave_warm(unsigned cls, struct wi_stack *stack);

#endif
