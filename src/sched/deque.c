// SPDX-License-Identifier: MIT
#include "sched/deque.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "os/memory.h"

// Rings of MAPPED slots and more have pages of their own, which go back when
// they are not needed.
enum { FIRST_SIZE = 256, MAPPED = 2048 };

static size_t ring_bytes(int64_t size)
{
    return sizeof(struct wi_ring) + (size_t)size * sizeof(wi_hint);
}

static struct wi_ring *ring_new(int64_t size)
{
    struct wi_ring *ring =
        size >= MAPPED ? wi_os_map(ring_bytes(size)) : malloc(ring_bytes(size));
    if (ring != NULL) {
        ring->mask = size - 1;
        ring->older = NULL;
    }
    return ring;
}

static void ring_free(struct wi_ring *ring)
{
    int64_t size = ring->mask + 1;
    if (size >= MAPPED)
        wi_os_unmap(ring, ring_bytes(size));
    else
        free(ring);
}

int wi_deque_init(struct wi_deque *deque, bool solo,
                  void (*first)(struct wi_deque *deque))
{
    deque->head = 0;
    deque->tail = 0;
    deque->seen = 0;
    deque->solo = solo;
    deque->first = first;
    deque->ring = ring_new(FIRST_SIZE);
    if (deque->ring == NULL)
        return -ENOMEM;
    if (first != NULL)
        deque->ring->mask = -1; // no room, so that the first push comes by
    return 0;
}

void wi_deque_fini(struct wi_deque *deque)
{
    struct wi_ring *ring = deque->ring;
    while (ring != NULL) {
        struct wi_ring *older = ring->older;
        ring_free(ring);
        ring = older;
    }
    deque->ring = NULL;
}

void wi_deque_discard(struct wi_deque *deque)
{
    if (!wi_deque_empty(deque))
        return;
    size_t page = wi_os_page_size(); // the first one has the head
    for (struct wi_ring *ring = deque->ring; ring != NULL; ring = ring->older) {
        size_t bytes = ring_bytes(ring->mask + 1);
        struct wi_os_range rest = {(char *)ring + page, bytes - page};
        if (ring->mask + 1 >= MAPPED && bytes > page)
            wi_os_discard(&rest, 1);
    }
}

static wi_hint slot_read(struct wi_ring *ring, int64_t i)
{
    return __atomic_load_n(&ring->slots[i & ring->mask], __ATOMIC_RELAXED);
}

static void slot_write(struct wi_ring *ring, int64_t i, wi_hint hint)
{
    __atomic_store_n(&ring->slots[i & ring->mask], hint, __ATOMIC_RELAXED);
}

// Doubles the ring. The old one stays until the end: a thief may read it.
static int grow(struct wi_deque *deque, int64_t head)
{
    int64_t tail = deque->tail;
    struct wi_ring *old = deque->ring;
    if (old->mask < 0) {
        old->mask = FIRST_SIZE - 1;
        deque->first(deque);
        return 0;
    }
    struct wi_ring *ring = ring_new((old->mask + 1) * 2);
    if (ring == NULL)
        return -ENOMEM;
    for (int64_t i = head; i < tail; i++)
        slot_write(ring, i, slot_read(old, i));
    if (deque->solo)
        ring_free(old);
    else
        ring->older = old;
    // release: a thief that sees the ring sees its slots; pairs with take
    __atomic_store_n(&deque->ring, ring, __ATOMIC_RELEASE);
    return 0;
}

static int64_t see_head(struct wi_deque *deque)
{
    // acquire: pairs with the thieves' compare-and-swap; their reads of the
    // slots before head are over
    deque->seen = __atomic_load_n(&deque->head, __ATOMIC_ACQUIRE);
    return deque->seen;
}

int wi_deque_make_room(struct wi_deque *deque)
{
    int64_t head = see_head(deque);
    return deque->tail - head > deque->ring->mask ? grow(deque, head) : 0;
}

int wi_deque_push_all(struct wi_deque *deque, const wi_hint *hints, size_t n)
{
    int64_t tail = deque->tail;
    int64_t head = see_head(deque);
    while (tail - head + (int64_t)n > deque->ring->mask + 1) {
        int rc = grow(deque, head);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        slot_write(deque->ring, tail + (int64_t)i, hints[i]);
    // release: as in wi_deque_push
    __atomic_store_n(&deque->tail, tail + (int64_t)n, __ATOMIC_RELEASE);
    return 0;
}

bool wi_deque_pop_contended(struct wi_deque *deque, int64_t last)
{
    __atomic_store_n(&deque->tail, last, __ATOMIC_RELAXED);
    wi_arch_fence(); // the store above before the load below; pairs with the
                     // fence in take
    int64_t head = __atomic_load_n(&deque->head, __ATOMIC_RELAXED);
    if (head < last)
        return true;
    bool won = head == last &&
               __atomic_compare_exchange_n(&deque->head, &head, last + 1, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    __atomic_store_n(&deque->tail, last + 1, __ATOMIC_RELAXED);
    return won;
}

static bool is_dead(wi_hint hint)
{
    // relaxed: nothing is read but the state; a record never comes back to it
    uint32_t state =
        __atomic_load_n(&wi_hint_task(hint)->state, __ATOMIC_RELAXED);
    return state >> 16 != wi_hint_gen(hint) || (state & WI_PHASE) != WI_QUEUED;
}

// The last entry, 0 if there is none.
static wi_hint last_of(struct wi_deque *deque)
{
    int64_t last = deque->tail - 1;
    if (last < __atomic_load_n(&deque->head, __ATOMIC_RELAXED))
        return 0;
    return slot_read(deque->ring, last);
}

void wi_deque_trim(struct wi_deque *deque)
{
    wi_hint last;
    while ((last = last_of(deque)) != 0 && is_dead(last))
        wi_deque_pop_last(deque, last);
}

static wi_hint take_solo(struct wi_deque *deque)
{
    if (deque->head >= deque->tail)
        return 0;
    return slot_read(deque->ring, deque->head++);
}

wi_hint wi_deque_take(struct wi_deque *deque, bool *busy)
{
    *busy = false;
    if (deque->solo)
        return take_solo(deque);
    // acquire: pairs with the winner's compare-and-swap
    int64_t head = __atomic_load_n(&deque->head, __ATOMIC_ACQUIRE);
    wi_arch_fence(); // head before tail; pairs with the fence in pop_last
    // acquire: pairs with the release in push
    int64_t tail = __atomic_load_n(&deque->tail, __ATOMIC_ACQUIRE);
    if (head >= tail)
        return 0;
    // acquire: pairs with the release in grow
    struct wi_ring *ring = __atomic_load_n(&deque->ring, __ATOMIC_ACQUIRE);
    wi_hint hint = slot_read(ring, head);
    if (__atomic_compare_exchange_n(&deque->head, &head, head + 1, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return hint;
    *busy = true;
    return 0;
}
