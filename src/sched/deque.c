// SPDX-License-Identifier: MIT
#include "sched/deque.h"

#include <errno.h>
#include <stdlib.h>

#include "os/memory.h"

// Rings of MAPPED slots and more have pages of their own, which go back when
// they are not needed.
enum { FIRST_SIZE = 256, MAPPED = 2048 };

// The most that a thief takes.
enum { LOOT = 16 };

// So many are pushed before they are leveled: few beside the 65,536
// generations.
enum { UNEVEN = 4096 };

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
    deque->room = 0; // so that the first push comes by
    deque->seen = 0;
    deque->leveled = 0;
    deque->buried = 0;
    deque->solo = solo;
    deque->first = first;
    deque->ring = ring_new(FIRST_SIZE);
    if (deque->ring == NULL)
        return -ENOMEM;
    if (first != NULL)
        deque->ring->mask = -1; // even more so: no room
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
    // release: as in wi_deque_put
    __atomic_store_n(&ring->slots[i & ring->mask], hint, __ATOMIC_RELEASE);
}

static int64_t see_head(struct wi_deque *deque)
{
    // acquire: pairs with the thieves' compare-and-swap; their reads of the
    // slots before head are over
    deque->seen = __atomic_load_n(&deque->head, __ATOMIC_ACQUIRE);
    return deque->seen;
}

// Whether a swap took the head from where it was to `to`.
static bool move_head(struct wi_deque *deque, int64_t head, int64_t to)
{
    if (deque->solo) {
        deque->head = to;
        return true;
    }
    // release: our reads of the slots are over; pairs with see_head. acquire:
    // what was read of the ring is not older than the head
    return __atomic_compare_exchange_n(&deque->head, &head, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// Tombstones ------------------------------------------------------------------

void wi_deque_sweep(struct wi_deque *deque)
{
    int64_t head, to;
    deque->buried = 0;
    do {
        head = to = see_head(deque);
        while (to < deque->tail && wi_hint_is_dead(slot_read(deque->ring, to)))
            to++;
    } while (to > head && !move_head(deque, head, to));
}

// Dead for ever.
static struct wi_task grave;

// A thief that has read the hint before takes the same: nothing.
static void level(struct wi_deque *deque)
{
    int64_t i = deque->leveled;
    if (deque->tail - i < UNEVEN)
        return;
    for (i = i > deque->seen ? i : deque->seen; i < deque->tail; i++)
        if (wi_hint_is_dead(slot_read(deque->ring, i)))
            slot_write(deque->ring, i, wi_hint_of(&grave));
    deque->leveled = deque->tail;
}

// Whether half of the ring or more is tombstones. Gives up when too much lives.
static bool is_half_dead(const struct wi_deque *deque)
{
    int64_t dead = deque->tail - deque->seen, half = deque->ring->mask / 2;
    for (int64_t i = deque->seen; i < deque->tail && dead > half; i++)
        if (!wi_hint_is_dead(slot_read(deque->ring, i)))
            dead--;
    return dead > half;
}

// Moves what is alive to the tail, in its order. What moves is in both places
// for a moment, never in none; one that a thief takes meanwhile is alive in
// one of them at most.
static void compact(struct wi_deque *deque)
{
    int64_t end = deque->tail, head;
    while ((head = see_head(deque)) < end) {
        wi_hint hint = slot_read(deque->ring, head);
        if (!wi_hint_is_dead(hint))
            wi_deque_put(deque, hint);
        move_head(deque, head, head + 1); // else a thief has
    }
}

// Room ------------------------------------------------------------------------

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
    // release: a thief that sees the ring sees its slots; pairs with look
    __atomic_store_n(&deque->ring, ring, __ATOMIC_RELEASE);
    return 0;
}

int wi_deque_make_room(struct wi_deque *deque, size_t n)
{
    while (deque->tail - see_head(deque) + (int64_t)n > deque->ring->mask) {
        int rc = 0;
        if (is_half_dead(deque))
            compact(deque);
        else
            rc = grow(deque, deque->seen);
        if (rc < 0)
            return rc;
    }
    int64_t end = deque->seen + deque->ring->mask;
    int64_t uneven = deque->tail + (int64_t)n + UNEVEN;
    level(deque);
    deque->room = end < uneven ? end : uneven;
    return 0;
}

int wi_deque_push_all(struct wi_deque *deque, const wi_hint *hints, size_t n)
{
    int rc = wi_deque_make_room(deque, n);
    if (rc < 0)
        return rc;
    int64_t tail = deque->tail;
    for (size_t i = 0; i < n; i++)
        slot_write(deque->ring, tail + (int64_t)i, hints[i]);
    // release: as in wi_deque_put
    __atomic_store_n(&deque->tail, tail + (int64_t)n, __ATOMIC_RELEASE);
    return 0;
}

// Taking ----------------------------------------------------------------------

// The entries that can be taken: from *head, as many as are returned, in *ring.
static int64_t look(struct wi_deque *deque, int64_t *head,
                    struct wi_ring **ring)
{
    // acquire: before the tail
    *head = __atomic_load_n(&deque->head, __ATOMIC_ACQUIRE);
    // acquire: pairs with the release in wi_deque_put
    int64_t tail = __atomic_load_n(&deque->tail, __ATOMIC_ACQUIRE);
    // acquire: pairs with the release in grow
    *ring = __atomic_load_n(&deque->ring, __ATOMIC_ACQUIRE);
    return tail - *head;
}

bool wi_deque_has_living(struct wi_deque *deque)
{
    int64_t head;
    struct wi_ring *ring;
    while (look(deque, &head, &ring) > 0) {
        // acquire, and relaxed: as in wi_deque_steal
        wi_hint hint =
            __atomic_load_n(&ring->slots[head & ring->mask], __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&deque->head, __ATOMIC_RELAXED) != head)
            continue;
        if (!wi_hint_is_dead(hint))
            return true;
        move_head(deque, head, head + 1);
    }
    return false;
}

wi_hint wi_deque_take(struct wi_deque *deque, bool *busy)
{
    int64_t head;
    struct wi_ring *ring;
    *busy = false;
    if (look(deque, &head, &ring) <= 0)
        return 0;
    wi_hint hint = slot_read(ring, head);
    if (move_head(deque, head, head + 1))
        return hint;
    *busy = true;
    return 0;
}

wi_hint wi_deque_steal(struct wi_deque *deque, struct wi_deque *to, bool *busy)
{
    int64_t head;
    struct wi_ring *ring;
    wi_hint hints[LOOT];
    int64_t n = (look(deque, &head, &ring) + 1) / 2;
    *busy = false;
    if (n <= 0)
        return 0;
    if (n > LOOT)
        n = LOOT;
    for (int64_t i = 0; i < n; i++)
        // acquire: before the second look at the head; pairs with wi_deque_put
        hints[i] = __atomic_load_n(&ring->slots[(head + i) & ring->mask],
                                   __ATOMIC_ACQUIRE);
    // relaxed: a ring whose head has moved on may have anything in these slots
    *busy = __atomic_load_n(&deque->head, __ATOMIC_RELAXED) != head;
    if (*busy)
        return 0;
    if (wi_deque_push_all(to, hints + 1, (size_t)n - 1) < 0)
        n = 1;
    *busy = !move_head(deque, head, head + n);
    return *busy ? 0 : hints[0];
}
