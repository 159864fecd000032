// SPDX-License-Identifier: MIT
// Slabs, guards, and the table that finds the stack of an address. The essay
// is in stack.c.
//
// A slab's record is never freed or moved, so that a signal handler may walk
// the table while another thread adds to it.

#include "sched/stack_pool.h"

#include <string.h>

#include "os/futex.h"

#ifndef WI_STACK_COLOURS
#define WI_STACK_COLOURS 32
#endif
#define COLOUR_STEP   64
#define WARM_MAX      64    // stacks of a class that outlive their caches
#define OWN_GUARDS    20000 // PROT_NONE guards, one for each stack
#define SHARED_GUARDS 4000  // then one for each SHARED_EVERY stacks
#define SHARED_EVERY  32

_Static_assert((WI_STACK_COLOURS - 1) * COLOUR_STEP + sizeof(struct wi_stack) +
                       1900 <=
                   4096,
               "colours leave room in the top page");

// Written under the pool's lock. wi_stack_find reads `base`, and then what is
// written before it and not changed while it is set.
struct wi_stack_slab {
    char *base; // NULL: a free record
    uint32_t count;
    uint32_t cls;
    uint64_t cold;        // bit i: stack i is free and has no memory
    uint64_t guarded;     // bit i: stack i has a guard
    uint32_t number;      // for the colours
    uint32_t page_guards; // how many of the guards are mappings
    struct wi_stack_slab *next, *prev; // in its class, while cold != 0
};

// Records of slabs, at an address that is a multiple of the size. When none of
// them is in use, the memory of all but the first page goes back.
#define CHUNK_BYTES 65536

struct chunk {
    struct chunk *next; // constant
    uint32_t used;
    uint32_t made; // those behind have no base and no place in a list
    struct wi_stack_slab *free; // of those made; linked by `next`
    struct wi_stack_slab slabs[];
};

#define CHUNK_SLABS                                                            \
    ((CHUNK_BYTES - sizeof(struct chunk)) / sizeof(struct wi_stack_slab))

struct size_class {
    struct wi_stack_slab *first, *last; // slabs with cold stacks
    uint32_t empty;                     // of these, with nothing else
    uint32_t warm_count;
    struct wi_stack *warm; // linked by `older`
};

static const struct {
    size_t size;
    uint32_t count; // stacks in a slab
} class_table[WI_STACK_CLASSES] = {
    {(size_t)16 << 10, 64}, {(size_t)64 << 10, 64}, {(size_t)256 << 10, 64},
    {(size_t)1 << 20, 16},  {(size_t)8 << 20, 4},
};

static struct {
    struct wi_mutex lock; // innermost: no other lock is taken inside it
    struct size_class classes[WI_STACK_CLASSES];
    struct chunk *chunks; // wi_stack_find reads it without the lock
    uint32_t numbers;
    size_t page_guards, own_guards, shared_guards; // used, and two limits
    enum wi_stack_guard guard;
} pool = {
    .own_guards = OWN_GUARDS,
    .shared_guards = SHARED_GUARDS,
};

// LSan reads all readable parts of a slab; it sees PROT_NONE, but would die of
// the other kind of guard.
__attribute__((constructor)) static void choose_guard(void)
{
    if (wi_sanitizer_reads_roots())
        pool.guard = WI_STACK_GUARD_PAGES;
}

static void lock(void)
{
    wi_mutex_lock(&pool.lock);
}

static void unlock(void)
{
    wi_mutex_unlock(&pool.lock);
}

// Sizes -----------------------------------------------------------------------

// A stack is at least four pages, also where a page is 64 KiB.
unsigned wi_stack_class_of(size_t size)
{
    size_t least = 4 * wi_os_page_size();
    unsigned cls = 0;

    if (size == 0)
        size = WI_STACK_DEFAULT;
    if (size < least)
        size = least;
    while (cls < WI_STACK_CLASSES - 1 && class_table[cls].size < size)
        cls++;
    return cls;
}

size_t wi_stack_class_size(unsigned cls)
{
    return class_table[cls].size;
}

unsigned wi_stack_slab_class(const struct wi_stack_slab *slab)
{
    return slab->cls;
}

// A sixteenth of the stack, at most 64 KiB: a large array below the frame
// that overflows should still end in the guard.
static size_t guard_size(unsigned cls)
{
    size_t size = class_table[cls].size / 16, page = wi_os_page_size();

    if (size > ((size_t)64 << 10))
        size = (size_t)64 << 10;
    return size < page ? page : size;
}

char *wi_stack_slot_low(struct wi_stack_slot slot)
{
    return slot.slab->base + slot.index * class_table[slot.slab->cls].size;
}

struct wi_stack *wi_stack_slot_head(struct wi_stack_slot slot)
{
    const struct wi_stack_slab *slab = slot.slab;
    char *high = wi_stack_slot_low(slot) + class_table[slab->cls].size;
    size_t colour = (slab->number * 64u + slot.index) % WI_STACK_COLOURS;

    return (struct wi_stack *)(high - colour * COLOUR_STEP) - 1;
}

bool wi_stack_slot_guarded(struct wi_stack_slot slot)
{
    // Relaxed: the bit of a slot is set once, by the owner of the slot.
    uint64_t guarded = __atomic_load_n(&slot.slab->guarded, __ATOMIC_RELAXED);
    return guarded >> slot.index & 1;
}

// The lowest line of a stack without a guard is its canary.
char *wi_stack_slot_limit(struct wi_stack_slot slot)
{
    size_t guard = guard_size(slot.slab->cls);
    return wi_stack_slot_low(slot) + (wi_stack_slot_guarded(slot) ? guard : 64);
}

// Slabs: all of this under the lock -------------------------------------------

static uint64_t all_bits(uint32_t count)
{
    return count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
}

static void list_remove(struct size_class *class, struct wi_stack_slab *slab)
{
    *(slab->prev ? &slab->prev->next : &class->first) = slab->next;
    *(slab->next ? &slab->next->prev : &class->last) = slab->prev;
}

static void list_push_front(struct size_class *class,
                            struct wi_stack_slab *slab)
{
    slab->prev = NULL;
    slab->next = class->first;
    *(slab->next ? &slab->next->prev : &class->last) = slab;
    class->first = slab;
}

static void list_push_back(struct size_class *class, struct wi_stack_slab *slab)
{
    slab->next = NULL;
    slab->prev = class->last;
    *(slab->prev ? &slab->prev->next : &class->first) = slab;
    class->last = slab;
}

static struct chunk *chunk_new(void)
{
    struct chunk *chunk = wi_os_map_aligned(CHUNK_BYTES);

    if (!chunk)
        return NULL;
    chunk->next = pool.chunks;
    // Release: who sees the chunk sees its link. Partner: acquire in
    // wi_stack_find.
    __atomic_store_n(&pool.chunks, chunk, __ATOMIC_RELEASE);
    return chunk;
}

static struct wi_stack_slab *record_take(void)
{
    struct chunk *chunk = pool.chunks;
    struct wi_stack_slab *slab;

    while (chunk && chunk->used == CHUNK_SLABS)
        chunk = chunk->next;
    if (!chunk && !(chunk = chunk_new()))
        return NULL;
    chunk->used++;
    slab = chunk->free;
    if (slab) {
        chunk->free = slab->next;
        return slab;
    }
    // Relaxed: a walker looks at the base, which is still NULL.
    __atomic_store_n(&chunk->made, chunk->made + 1, __ATOMIC_RELAXED);
    return &chunk->slabs[chunk->made - 1];
}

static void record_give(struct wi_stack_slab *slab)
{
    struct chunk *chunk =
        (struct chunk *)((uintptr_t)slab & ~(uintptr_t)(CHUNK_BYTES - 1));
    size_t page = wi_os_page_size();
    struct wi_os_range rest = {(char *)chunk + page, CHUNK_BYTES - page};

    slab->next = chunk->free;
    chunk->free = slab;
    if (--chunk->used > 0 ||
        &chunk->slabs[chunk->made] < (struct wi_stack_slab *)rest.base)
        return;
    chunk->free = NULL;
    // Relaxed: all that a walker could find there is gone.
    __atomic_store_n(&chunk->made, 0, __ATOMIC_RELAXED);
    if (rest.size)
        wi_os_discard(&rest, 1);
}

// Where address space is short or strictly accounted, fewer stacks at a time.
static char *slab_map(unsigned cls, uint32_t *count)
{
    for (*count = class_table[cls].count; *count; *count /= 4) {
        char *base = wi_os_map(*count * class_table[cls].size);
        if (base)
            return base;
    }
    return NULL;
}

static bool slab_add(unsigned cls)
{
    struct wi_stack_slab *slab;
    uint32_t count;
    char *base;

    base = slab_map(cls, &count);
    if (!base)
        return false;
    slab = record_take();
    if (!slab) {
        wi_os_unmap(base, count * class_table[cls].size);
        return false;
    }
    wi_sanitizer_add_roots(base, count * class_table[cls].size);
    slab->count = count;
    slab->cls = cls;
    slab->cold = all_bits(count);
    slab->guarded = 0;
    slab->page_guards = 0;
    slab->number = pool.numbers++;
    // Release: who finds the base finds the size. Partner: acquire in
    // wi_stack_find.
    __atomic_store_n(&slab->base, base, __ATOMIC_RELEASE);
    list_push_front(&pool.classes[cls], slab);
    pool.classes[cls].empty++;
    return true;
}

// Takes a slab of cold stacks out. Returns what to unmap.
static struct wi_os_range slab_remove(struct wi_stack_slab *slab)
{
    struct size_class *class = &pool.classes[slab->cls];
    struct wi_os_range range = {slab->base,
                                slab->count * class_table[slab->cls].size};

    list_remove(class, slab);
    class->empty--;
    pool.page_guards -= slab->page_guards;
    // Relaxed: a walker that still sees the base reads memory that may be
    // gone, as it would for any order.
    __atomic_store_n(&slab->base, NULL, __ATOMIC_RELAXED);
    record_give(slab);
    return range;
}

static unsigned slab_take(struct size_class *class, struct wi_stack_slab *slab,
                          struct wi_stack_slot *slots, unsigned n)
{
    unsigned got = 0;

    if (slab->cold == all_bits(slab->count))
        class->empty--;
    for (; slab->cold && got < n; slab->cold &= slab->cold - 1) {
        uint32_t index = (uint32_t)__builtin_ctzll(slab->cold);
        slots[got++] = (struct wi_stack_slot){slab, index};
    }
    if (!slab->cold)
        list_remove(class, slab);
    return got;
}

static unsigned slots_take(unsigned cls, struct wi_stack_slot *slots,
                           unsigned n)
{
    struct size_class *class = &pool.classes[cls];
    unsigned got = 0;

    while (got < n && (class->first || (!got && slab_add(cls))))
        got += slab_take(class, class->first, slots + got, n - got);
    return got;
}

// Slabs in use are at the front, so that the others may become empty. Returns
// what to unmap, if anything.
static struct wi_os_range slot_give(struct wi_stack_slot slot)
{
    struct wi_stack_slab *slab = slot.slab;
    struct size_class *class = &pool.classes[slab->cls];

    if (!slab->cold)
        list_push_front(class, slab);
    slab->cold |= (uint64_t)1 << slot.index;
    if (slab->cold != all_bits(slab->count))
        return (struct wi_os_range){NULL, 0};
    class->empty++;
    if (class->empty > 1)
        return slab_remove(slab);
    list_remove(class, slab);
    list_push_back(class, slab);
    return (struct wi_os_range){NULL, 0};
}

// Guards ----------------------------------------------------------------------

static void mark_guarded(struct wi_stack_slot slot)
{
    // Relaxed RMW: slots of one slab may have several owners; each reads its
    // own bit only.
    __atomic_fetch_or(&slot.slab->guarded, (uint64_t)1 << slot.index,
                      __ATOMIC_RELAXED);
}

// Whether the slot may spend a mapping on a guard.
static bool page_guard_allowed(struct wi_stack_slot slot)
{
    size_t limit = pool.own_guards;
    bool allowed;

    if (slot.index % SHARED_EVERY == 0)
        limit += pool.shared_guards;
    lock();
    allowed = pool.page_guards < limit;
    pool.page_guards += allowed;
    slot.slab->page_guards += allowed;
    unlock();
    return allowed;
}

// The kernel had no mapping for it: it is not spent.
static void page_guard_refused(struct wi_stack_slot slot)
{
    lock();
    pool.page_guards--;
    slot.slab->page_guards--;
    unlock();
}

static void guard_pages(const struct wi_stack_slot *slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        size_t size = guard_size(slots[i].slab->cls);
        if (!page_guard_allowed(slots[i]))
            continue;
        if (wi_os_forbid(wi_stack_slot_low(slots[i]), size) == 0)
            mark_guarded(slots[i]);
        else
            page_guard_refused(slots[i]);
    }
}

// False if the kernel does not know this kind of guard.
static bool guard_light(const struct wi_stack_slot *slots, unsigned n)
{
    struct wi_os_range ranges[WI_STACK_BATCH];

    for (unsigned i = 0; i < n; i++) {
        ranges[i].base = wi_stack_slot_low(slots[i]);
        ranges[i].size = guard_size(slots[i].slab->cls);
    }
    if (wi_os_guard(ranges, (int)n) < 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        mark_guarded(slots[i]);
    return true;
}

// Guards those of the slots that have none yet.
static void guard_slots(const struct wi_stack_slot *slots, unsigned n)
{
    struct wi_stack_slot bare[WI_STACK_BATCH];
    unsigned count = 0;
    // Relaxed, as is the store: each thread would find the same.
    enum wi_stack_guard guard = __atomic_load_n(&pool.guard, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < n; i++)
        if (!wi_stack_slot_guarded(slots[i]))
            bare[count++] = slots[i];
    if (count && guard != WI_STACK_GUARD_PAGES) {
        bool can = guard_light(bare, count);
        guard = can ? WI_STACK_GUARD_LIGHT : WI_STACK_GUARD_PAGES;
        __atomic_store_n(&pool.guard, guard, __ATOMIC_RELAXED);
    }
    if (guard == WI_STACK_GUARD_PAGES)
        guard_pages(bare, count);
}

// The pool --------------------------------------------------------------------

unsigned wi_stack_pool_take(unsigned cls, struct wi_stack_slot *slots,
                            unsigned n)
{
    unsigned got;

    lock();
    got = slots_take(cls, slots, n);
    unlock();
    guard_slots(slots, got);
    return got;
}

void wi_stack_pool_give(const struct wi_stack_slot *slots, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct wi_os_range unmap;

        lock();
        unmap = slot_give(slots[i]);
        unlock();
        if (!unmap.base)
            continue;
        wi_sanitizer_remove_roots(unmap.base, unmap.size);
        wi_os_unmap(unmap.base, unmap.size);
    }
}

struct wi_stack *wi_stack_pool_take_warm(unsigned cls)
{
    struct size_class *class = &pool.classes[cls];
    struct wi_stack *stack;

    lock();
    stack = class->warm;
    if (stack) {
        class->warm = stack->older;
        class->warm_count--;
    }
    unlock();
    return stack;
}

bool wi_stack_pool_leave_warm(unsigned cls, struct wi_stack *stack)
{
    struct size_class *class = &pool.classes[cls];
    bool room;

    lock();
    room = class->warm_count < WARM_MAX;
    if (room) {
        stack->older = class->warm;
        class->warm = stack;
        class->warm_count++;
    }
    unlock();
    return room;
}

void wi_stack_pool_forget(void)
{
    pool.lock = (struct wi_mutex){0};
    memset(pool.classes, 0, sizeof(pool.classes));
    // Whoever had the lock may have been inside: what was used stays so.
    for (struct chunk *chunk = pool.chunks; chunk; chunk = chunk->next) {
        chunk->used = CHUNK_SLABS;
        chunk->made = CHUNK_SLABS;
        chunk->free = NULL;
    }
}

void wi_stack_pool_use_guard(enum wi_stack_guard guard, size_t own,
                             size_t shared)
{
    lock();
    // Relaxed: see guard_slots.
    __atomic_store_n(&pool.guard, guard, __ATOMIC_RELAXED);
    pool.own_guards = own;
    pool.shared_guards = shared;
    unlock();
}

static void add_slab_stats(struct wi_stack_pool_stats *stats,
                           const struct wi_stack_slab *slab)
{
    if (!slab->base)
        return;
    stats->slabs++;
    stats->stacks += slab->count;
    stats->reserved += slab->count * class_table[slab->cls].size;
    for (uint64_t cold = slab->cold; cold; cold &= cold - 1)
        stats->cold++;
}

void wi_stack_pool_stats(struct wi_stack_pool_stats *stats)
{
    memset(stats, 0, sizeof(*stats));
    lock();
    // Relaxed: see guard_slots.
    stats->guard = __atomic_load_n(&pool.guard, __ATOMIC_RELAXED);
    stats->page_guards = pool.page_guards;
    for (struct chunk *chunk = pool.chunks; chunk; chunk = chunk->next)
        for (uint32_t i = 0; i < chunk->made; i++)
            add_slab_stats(stats, &chunk->slabs[i]);
    for (int cls = 0; cls < WI_STACK_CLASSES; cls++)
        stats->warm += pool.classes[cls].warm_count;
    unlock();
}

// Looking up ------------------------------------------------------------------

static bool slab_holds(const struct wi_stack_slab *slab, uintptr_t address)
{
    // Acquire: pairs with the release in slab_add.
    uintptr_t base = (uintptr_t)__atomic_load_n(&slab->base, __ATOMIC_ACQUIRE);
    return base && address - base < slab->count * class_table[slab->cls].size;
}

static void place_fill(struct wi_stack_place *place, struct wi_stack_slot slot)
{
    struct wi_stack *head = wi_stack_slot_head(slot);

    place->low = wi_stack_slot_low(slot);
    place->limit = wi_stack_slot_limit(slot);
    place->size = class_table[slot.slab->cls].size;
    // Acquire: pairs with the release in warm_up. A cold head reads as zero.
    if (__atomic_load_n(&head->slab, __ATOMIC_ACQUIRE) != slot.slab)
        head = NULL;
    place->stack = head;
}

bool wi_stack_find(uintptr_t address, struct wi_stack_place *place)
{
    // Acquire: pairs with the release in chunk_new.
    struct chunk *chunk = __atomic_load_n(&pool.chunks, __ATOMIC_ACQUIRE);

    for (; chunk; chunk = chunk->next) {
        // Relaxed: the slab of a stack that exists was made before it.
        uint32_t made = __atomic_load_n(&chunk->made, __ATOMIC_RELAXED);

        for (uint32_t i = 0; i < made; i++) {
            struct wi_stack_slab *slab = &chunk->slabs[i];
            uintptr_t offset = address - (uintptr_t)slab->base;

            if (!slab_holds(slab, address))
                continue;
            offset /= class_table[slab->cls].size;
            place_fill(place, (struct wi_stack_slot){slab, (uint32_t)offset});
            return true;
        }
    }
    return false;
}
