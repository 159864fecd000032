// SPDX-License-Identifier: MIT
//
// Where the items of a queue lie: a ring (FIFO), an array (LIFO), or a binary
// heap whose keys are (priority, serial number), so that equal priorities leave
// in the order in which they came, and the items themselves are never compared.
// The heap has one slot more than its capacity, to hold the item that moves.
#include <stdlib.h>
#include <string.h>

#include "sync/queue.h"

enum { RESERVED = 65536 }; // a bound up to this has all slots from the start

struct key {
    int64_t priority;
    uint64_t serial;
};

static uint64_t power_of_two(uint64_t n)
{
    return n <= 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll(n - 1));
}

static char *slot(const weft_queue *q, uint64_t index)
{
    return q->slots + index * q->stride;
}

static char *slots_new(const weft_queue *q, uint64_t capacity)
{
    bool heap = q->kind == WEFT_QUEUE_PRIORITY;
    size_t bytes;
    if (__builtin_mul_overflow(capacity + heap, q->stride, &bytes))
        return NULL;
    return malloc(bytes);
}

bool wi_store_init(weft_queue *q)
{
    q->stride = q->item;
    if (q->kind == WEFT_QUEUE_PRIORITY)
        q->stride = sizeof(struct key) + ((q->item + 7) & ~(size_t)7);
    q->elastic = q->limit > RESERVED;
    q->capacity = q->elastic ? WI_FIRST_SLOTS : power_of_two(q->limit);
    q->slots = slots_new(q, q->capacity);
    return q->slots != NULL;
}

// Copies a ring's slots, which lie in two pieces at most.
static void ring_copy_out(const weft_queue *q, uint64_t head, char *items,
                          size_t n)
{
    uint64_t at = head & (q->capacity - 1);
    size_t whole = n < q->capacity - at ? n : q->capacity - at;
    memcpy(items, slot(q, at), whole * q->item);
    memcpy(items + whole * q->item, q->slots, (n - whole) * q->item);
}

static void ring_copy_in(weft_queue *q, uint64_t tail, const char *items,
                         size_t n)
{
    uint64_t at = tail & (q->capacity - 1);
    size_t whole = n < q->capacity - at ? n : q->capacity - at;
    memcpy(slot(q, at), items, whole * q->item);
    memcpy(q->slots, items + whole * q->item, (n - whole) * q->item);
}

bool wi_store_resize(weft_queue *q, uint64_t capacity, uint64_t head,
                     uint64_t tail)
{
    char *slots = slots_new(q, capacity), *old = q->slots;
    if (slots == NULL)
        return false;
    size_t n = tail - head;
    if (q->kind == WEFT_QUEUE_FIFO) {
        // Straight, then turned so that positions fit the new mask.
        weft_queue wider = {.item = q->item,
                            .stride = q->stride,
                            .slots = slots,
                            .capacity = capacity};
        for (uint64_t at = head; n > 0;) {
            uint64_t from = at & (q->capacity - 1);
            size_t piece = n < q->capacity - from ? n : q->capacity - from;
            ring_copy_in(&wider, at, slot(q, from), piece);
            at += piece;
            n -= piece;
        }
    } else {
        memcpy(slots, old, n * q->stride);
    }
    q->slots = slots;
    q->capacity = capacity;
    free(old);
    return true;
}

// The heap --------------------------------------------------------------------

// A key comes first in its slot.
static bool before(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    return x->priority != y->priority ? x->priority < y->priority
                                      : x->serial < y->serial;
}

static void move(weft_queue *q, uint64_t to, uint64_t from)
{
    memcpy(slot(q, to), slot(q, from), q->stride);
}

// Puts the item of the spare slot where it belongs, from a hole upwards.
static void sift_up(weft_queue *q, uint64_t hole)
{
    uint64_t spare = q->capacity;
    while (hole > 0 && before(slot(q, spare), slot(q, (hole - 1) / 2))) {
        move(q, hole, (hole - 1) / 2);
        hole = (hole - 1) / 2;
    }
    move(q, hole, spare);
}

// The same downwards, in a heap of n.
static void sift_down(weft_queue *q, uint64_t n)
{
    uint64_t hole = 0, spare = q->capacity, child;
    while ((child = 2 * hole + 1) < n) {
        if (child + 1 < n && before(slot(q, child + 1), slot(q, child)))
            child++;
        if (!before(slot(q, child), slot(q, spare)))
            break;
        move(q, hole, child);
        hole = child;
    }
    move(q, hole, spare);
}

static void heap_put(weft_queue *q, uint64_t count, const char *item,
                     int64_t priority)
{
    struct key *spare = (struct key *)slot(q, q->capacity);
    *spare = (struct key){priority, q->serial++};
    memcpy(spare + 1, item, q->item);
    sift_up(q, count);
}

static void heap_get(weft_queue *q, uint64_t count, char *item)
{
    memcpy(item, (struct key *)q->slots + 1, q->item);
    if (count == 1)
        return;
    move(q, q->capacity, count - 1);
    sift_down(q, count - 1);
}

// All kinds -------------------------------------------------------------------

void wi_store_put(weft_queue *q, uint64_t head, uint64_t tail,
                  const struct wi_transfer *t, size_t n)
{
    if (q->kind == WEFT_QUEUE_FIFO)
        ring_copy_in(q, tail, t->items, n);
    else if (q->kind == WEFT_QUEUE_LIFO)
        memcpy(slot(q, tail - head), t->items, n * q->item);
    else
        for (size_t i = 0; i < n; i++)
            heap_put(q, tail - head + i, t->items + i * q->item, t->priority);
}

void wi_store_get(weft_queue *q, uint64_t head, uint64_t tail, char *items,
                  size_t n)
{
    if (q->kind == WEFT_QUEUE_FIFO) {
        ring_copy_out(q, head, items, n);
        return;
    }
    for (uint64_t count = tail - head; n > 0; n--, count--) {
        if (q->kind == WEFT_QUEUE_LIFO)
            memcpy(items, slot(q, count - 1), q->item);
        else
            heap_get(q, count, items);
        items += q->item;
    }
}

char *wi_store_at(const weft_queue *q, uint64_t position)
{
    if (q->kind == WEFT_QUEUE_FIFO)
        return wi_ring_slot(q, position);
    return slot(q, position) +
           (q->kind == WEFT_QUEUE_PRIORITY ? sizeof(struct key) : 0);
}
