// SPDX-License-Identifier: MIT
// Stacks for tasks.
//
// A slab is one reservation of up to 64 stacks of one size. From low to high
// each of its slots is
//
//     guard | usable, touched from the top down | head | colour
//
// all of head, colour, the scheduler's own block and a shallow call depth in
// the top page, so that a parked task costs one page. The colour is a shift
// of 0 to 31 cache lines that differs between neighbours; without it the same
// call depth on every stack falls into the same few sets of the L1 cache. It
// moves the head too, for the same reason.
//
// A stack is warm (it has memory, and so a head) or cold (it is one bit in
// its slab, nothing else: a million parked stacks have no side table). A
// worker's cache is a list of warm stacks, last in first out, because a first
// touch costs as much as twenty spawns; trimming takes from the other end.
// Cold stacks come from the pool in batches that grow with use. Slabs that
// are cold as a whole are unmapped but for one, which frees their page tables
// too: at 256 KiB these are 513 bytes a stack.
//
// Guards: MADV_GUARD_INSTALL (Linux 6.13) puts a marker into the page table
// and needs no mapping, so all stacks of the process are a handful of
// mappings. On older kernels PROT_NONE costs two mappings a guard of the
// 65,530 that vm.max_map_count allows by default: the first 20,000 stacks get
// one each, later ones every 32nd, then none. A stack without a guard has a
// canary in its lowest line. The canary is zero, the value that untouched
// memory has, so that to check it does not cost a page: the kernel maps its
// shared zero page for the read.
//
// Rejected: a mapping for each stack (32,753 guarded ones, then ENOMEM);
// growing stacks in a SIGSEGV handler (demand paging does it); segmented or
// copied stacks (the kernel writes into parked ones).

#include "sched/stack.h"

#include <string.h>

#include "os/memory.h"
#include "sched/stack_pool.h"

#define TRIM_BATCH 32

size_t wi_stack_round(size_t size)
{
    if (size > WI_STACK_MAX)
        return 0;
    return wi_stack_class_size(wi_stack_class_of(size));
}

size_t wi_stack_size(const struct wi_stack *stack)
{
    return wi_stack_class_size(wi_stack_slab_class(stack->slab));
}

bool wi_stack_canary_lives(const struct wi_stack *stack)
{
    uint64_t any = 0;

    for (int i = 0; i < 8; i++)
        any |= stack->canary[i];
    return any == 0 && wi_arch_sp() >= (uintptr_t)stack->limit;
}

// Warm and cold ---------------------------------------------------------------

// Writes the head, which is the first touch of the stack's memory.
static struct wi_stack *warm_up(struct wi_stack_slot slot)
{
    struct wi_stack *stack = wi_stack_slot_head(slot);
    char *limit = wi_stack_slot_limit(slot);

    memset(stack, 0, sizeof(*stack));
    stack->limit = limit;
    if (!wi_stack_slot_guarded(slot))
        stack->canary = (uint64_t *)wi_stack_slot_low(slot);
    stack->index = slot.index;
    wi_switch_point_init(&stack->point, limit, (size_t)((char *)stack - limit));
    stack->valgrind_id = wi_valgrind_add_stack(limit, stack);
    // Release: the head is complete. Partner: acquire in wi_stack_find.
    __atomic_store_n(&stack->slab, slot.slab, __ATOMIC_RELEASE);
    return stack;
}

// Ends a head. Its memory is still there; *range is what to discard.
static struct wi_stack_slot cool_down(struct wi_stack *stack,
                                      struct wi_os_range *range)
{
    struct wi_stack_slot slot = {stack->slab, stack->index};
    char *low = wi_stack_slot_low(slot);
    char *from = stack->canary ? low : stack->limit;

    wi_switch_point_fini(&stack->point);
    wi_valgrind_remove_stack(stack->valgrind_id);
    // Relaxed: a fault handler that sees the old value finds an idle stack.
    __atomic_store_n(&stack->slab, NULL, __ATOMIC_RELAXED);
    range->base = from;
    range->size =
        wi_stack_class_size(wi_stack_slab_class(slot.slab)) - (from - low);
    return slot;
}

static void discard(struct wi_stack *const *stacks, unsigned n)
{
    struct wi_os_range ranges[TRIM_BATCH];
    struct wi_stack_slot slots[TRIM_BATCH];

    for (unsigned i = 0; i < n; i++)
        slots[i] = cool_down(stacks[i], &ranges[i]);
    wi_os_discard(ranges, (int)n);
    wi_stack_pool_give(slots, n);
}

// The cache -------------------------------------------------------------------

static void push(struct wi_stack_cache *cache, struct wi_stack *stack)
{
    stack->older = cache->newest;
    stack->newer = NULL;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = stack;
    cache->newest = stack;
    cache->warm++;
}

static struct wi_stack *pop_newest(struct wi_stack_cache *cache)
{
    struct wi_stack *stack = cache->newest;

    cache->newest = stack->older;
    *(stack->older ? &stack->older->newer : &cache->oldest) = NULL;
    cache->warm--;
    return stack;
}

static struct wi_stack *pop_oldest(struct wi_stack_cache *cache)
{
    struct wi_stack *stack = cache->oldest;

    cache->oldest = stack->newer;
    *(stack->newer ? &stack->newer->older : &cache->newest) = NULL;
    cache->warm--;
    return stack;
}

void wi_stack_cache_init(struct wi_stack_cache *cache, size_t size)
{
    memset(cache, 0, sizeof(*cache));
    cache->cls = wi_stack_class_of(size);
    cache->batch = 1;
}

// The cache is empty. Returns a stack that outlived its cache, or a cold one
// from a batch that doubles each time.
static struct wi_stack *refill(struct wi_stack_cache *cache)
{
    struct wi_stack *stack = wi_stack_pool_take_warm(cache->cls);

    if (stack)
        return stack;
    cache->cold = wi_stack_pool_take(cache->cls, cache->slots, cache->batch);
    if (cache->batch < WI_STACK_BATCH)
        cache->batch *= 2;
    return cache->cold ? warm_up(cache->slots[--cache->cold]) : NULL;
}

struct wi_stack *wi_stack_new(struct wi_stack_cache *cache)
{
    struct wi_stack *stack;

    if (cache->warm)
        stack = pop_newest(cache);
    else if (cache->cold)
        stack = warm_up(cache->slots[--cache->cold]);
    else
        stack = refill(cache);
    if (stack)
        stack->owner = NULL;
    return stack;
}

void wi_stack_put(struct wi_stack_cache *cache, struct wi_stack *stack)
{
    wi_switch_point_renew(&stack->point);
    push(cache, stack);
}

size_t wi_stack_trim(struct wi_stack_cache *cache, size_t keep)
{
    struct wi_stack *stacks[TRIM_BATCH];
    unsigned n = 0;

    while (n < TRIM_BATCH && cache->warm > keep)
        stacks[n++] = pop_oldest(cache);
    if (n)
        discard(stacks, n);
    return cache->warm > keep ? cache->warm - keep : 0;
}

// The warmest stay warm for the next cache of the process.
void wi_stack_cache_fini(struct wi_stack_cache *cache)
{
    while (cache->warm) {
        struct wi_stack *stack = pop_newest(cache);
        if (!wi_stack_pool_leave_warm(cache->cls, stack)) {
            push(cache, stack);
            break;
        }
    }
    while (wi_stack_trim(cache, 0))
        ;
    if (cache->cold)
        wi_stack_pool_give(cache->slots, cache->cold);
    cache->cold = 0;
}

static void trim_class(unsigned cls)
{
    struct wi_stack *stacks[TRIM_BATCH];
    unsigned n;

    do {
        for (n = 0; n < TRIM_BATCH; n++)
            if (!(stacks[n] = wi_stack_pool_take_warm(cls)))
                break;
        if (n)
            discard(stacks, n);
    } while (n == TRIM_BATCH);
}

void wi_stack_pool_trim(void)
{
    for (unsigned cls = 0; cls < WI_STACK_CLASSES; cls++)
        trim_class(cls);
}
