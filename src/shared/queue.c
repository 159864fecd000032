// SPDX-License-Identifier: MIT
#include "shared/queue.h"

#include <errno.h>
#include <string.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "os/cpu.h"
#include "os/thread.h"
#include "shared/heap.h"
#include "shared/keeper.h"
#include "shared/lock.h"

#define MAGIC 0x3165756575716677u // "wfqueue1"

enum {
    SPINS = 300,    // looks of a plain thread before it sleeps,
    YIELDS = 4,     // and further looks, each after a yield
    GATHERED = 256, // items that are worth a wait,
    PAUSE = 80,     // from one look for more to the next,
    GLANCE = 16,    // to the first one,
    ALONE = 16,     // and times without one after a vain one
    RECORD = 8,     // bytes before a record: its length
};
#define NOWAIT INT64_MIN

void (*wi_shared_queue_at)(unsigned point);

static inline void at(unsigned point)
{
    if (__builtin_expect(wi_shared_queue_at != NULL, false))
        wi_shared_queue_at(point);
}

static struct wi_shared_side *side_of(struct wi_shared_handle *h, bool put)
{
    return put ? &h->q->put : &h->q->get;
}

// Positions -------------------------------------------------------------------

static inline uint64_t count_of(const struct wi_shared_side *side)
{
    // acquire: pairs with the release in publish
    return __atomic_load_n(&side->word, __ATOMIC_ACQUIRE) >> 1;
}

static inline uint64_t bytes_at(const struct wi_shared_side *side, uint64_t w)
{
    return __atomic_load_n(&side->bytes[w & 1], __ATOMIC_ACQUIRE);
}

// The bytes that go with a count, of the other side, which may move on.
static uint64_t bytes_of(const struct wi_shared_side *side)
{
    uint64_t w, bytes;
    do {
        // acquire: the bytes of this word, not of an older one
        w = __atomic_load_n(&side->word, __ATOMIC_ACQUIRE);
        bytes = bytes_at(side, w);
        // relaxed: ordered by the acquire of the bytes
    } while (__atomic_load_n(&side->word, __ATOMIC_RELAXED) != w);
    return bytes;
}

// n items and so many bytes have passed; under the lock.
static inline void publish(struct wi_shared_side *side, uint64_t n,
                           uint64_t bytes)
{
    // relaxed: it changes under this lock only
    uint64_t w = __atomic_load_n(&side->word, __ATOMIC_RELAXED);
    // release: in their order; whoever sees the word sees the rest
    __atomic_store_n(&side->bytes[~w & 1], bytes_at(side, w) + bytes,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&side->word, (w + 2 * n) ^ 1, __ATOMIC_RELEASE);
}

// Items -----------------------------------------------------------------------

// The ring is passed in two pieces at most.
static void copy(struct wi_shared_handle *h, uint64_t from, char *bytes,
                 size_t size, uint64_t whole, bool in)
{
    uint64_t first = whole - from < size ? whole - from : size;
    if (size == 0)
        return; // bytes may be NULL
    memcpy(in ? h->slots + from : bytes, in ? bytes : h->slots + from, first);
    if (first < size)
        memcpy(in ? h->slots : bytes + first, in ? bytes + first : h->slots,
               size - first);
}

static ssize_t try_items(struct wi_shared_handle *h,
                         struct wi_shared_transfer *t)
{
    struct wi_shared_side *side = side_of(h, t->put);
    uint64_t mine = count_of(side), full = t->put ? h->limit : 0;
    uint64_t room = side->seen + full - mine;
    if (room < t->n) {
        side->seen = count_of(side_of(h, !t->put));
        room = side->seen + full - mine;
    }
    size_t n = t->n < room ? t->n : room;
    if (n == 0)
        return 0;
    if (room > h->limit)
        return -WEFT_EPROTO;
    copy(h, (mine & h->mask) * h->item, t->items, n * h->item,
         (h->mask + 1) * h->item, t->put);
    at(WI_QUEUE_COPIED);
    publish(side, n, 0);
    return (ssize_t)n;
}

// Records ---------------------------------------------------------------------

static uint64_t record_size(size_t size)
{
    return (RECORD + size + 7) & ~(uint64_t)7;
}

static ssize_t put_record(struct wi_shared_handle *h,
                          struct wi_shared_transfer *t)
{
    struct wi_shared_side *put = &h->q->put;
    uint64_t size = record_size(t->size), length = t->size;
    uint64_t tail = bytes_at(put, put->word);
    if (t->size > h->limit || size > h->limit)
        return -WEFT_ETOOBIG;
    if (h->limit - (tail - put->bytes_seen) < size) {
        put->bytes_seen = bytes_of(&h->q->get);
        if (h->limit - (tail - put->bytes_seen) < size)
            return 0;
    }
    copy(h, tail & h->mask, (char *)&length, RECORD, h->mask + 1, true);
    copy(h, (tail + RECORD) & h->mask, t->items, t->size, h->mask + 1, true);
    at(WI_QUEUE_COPIED);
    publish(put, 1, size);
    return 1;
}

// A record of no bytes at all gives 0: so 1 is added.
static ssize_t get_record(struct wi_shared_handle *h,
                          struct wi_shared_transfer *t)
{
    struct wi_shared_side *get = &h->q->get;
    uint64_t head = bytes_at(get, get->word), length;
    if (count_of(&h->q->put) == count_of(get))
        return 0;
    copy(h, head & h->mask, (char *)&length, RECORD, h->mask + 1, false);
    if (length > h->limit)
        return -WEFT_EPROTO;
    if (length > t->size)
        return -WEFT_ETOOBIG;
    copy(h, (head + RECORD) & h->mask, t->items, length, h->mask + 1, false);
    at(WI_QUEUE_COPIED);
    publish(get, 1, record_size(length));
    return (ssize_t)length + 1;
}

// Moving ----------------------------------------------------------------------

static int closed_code(struct wi_shared_queue *q)
{
    // relaxed: with a lock held it is what it is
    int code = __atomic_load_n(&q->closed, __ATOMIC_RELAXED);
    return code > 0 ? -WEFT_EPROTO : code; // no number of items
}

static bool is_cut(struct wi_shared_queue *q)
{
    // relaxed: who acts on it holds the lock of get, under which it changes
    return __atomic_load_n(&q->cut, __ATOMIC_RELAXED) != 0;
}

// With the lock of t's side. How many, 0: it would have to wait, or a code.
static ssize_t try_locked(struct wi_shared_handle *h,
                          struct wi_shared_transfer *t)
{
    int closed = closed_code(h->q);
    if (closed != 0 && (t->put || (is_cut(h->q) && !t->rest)))
        return closed;
    ssize_t moved = h->item != 0 ? try_items(h, t)
                    : t->put     ? put_record(h, t)
                                 : get_record(h, t);
    return moved == 0 ? closed : moved;
}

static void ring(uint32_t *bell)
{
    // seq_cst: after the word, by the full barrier of the unlock
    uint32_t was = __atomic_load_n(bell, __ATOMIC_SEQ_CST);
    if (__builtin_expect((was & 1) == 0, true))
        return;
    // acq_rel: one caller wakes for one mark
    if (__atomic_compare_exchange_n(bell, &was, (was + 2) & ~1u, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        wi_os_futex_wake(bell, 1, true);
        at(WI_QUEUE_WOKEN);
    }
}

static ssize_t try_once(struct wi_shared_handle *h,
                        struct wi_shared_transfer *t)
{
    struct wi_shared_side *side = side_of(h, t->put);
    wi_shared_lock(h->arena, &side->lock);
    at(WI_QUEUE_LOCKED);
    ssize_t moved = try_locked(h, t);
    at(WI_QUEUE_MOVED);
    wi_shared_unlock(&side->lock);
    at(WI_QUEUE_UNLOCKED);
    if (moved > 0)
        ring(&side_of(h, !t->put)->bell);
    return moved;
}

// As far as can be seen from outside.
static uint64_t items_in(struct wi_shared_handle *h)
{
    return count_of(&h->q->put) - count_of(&h->q->get);
}

// Whether this side would find something.
static bool looks_ready(struct wi_shared_handle *h, bool put, uint64_t enough)
{
    uint64_t in = items_in(h);
    if (!put)
        return in != 0;
    return h->item == 0 || h->limit - in >= enough;
}

static bool grows(struct wi_shared_handle *h, uint64_t *in, int pause)
{
    uint64_t was = *in;
    for (int i = 0; i < pause; i++)
        wi_arch_relax();
    *in = items_in(h);
    return *in > was;
}

// There is something to get. Whoever takes each item as it comes has the memory
// of both sides go to and fro for each of them: as long as more come quickly it
// waits for some more, which then take that way together. Where they come one
// by one, as from a peer that waits for an answer, it does not look for a
// while.
static void gather(struct wi_shared_handle *h)
{
    // relaxed: a hint, of all threads of this process
    unsigned alone = __atomic_load_n(&h->alone, __ATOMIC_RELAXED);
    uint64_t in = items_in(h), enough = h->limit / 4 + 1;
    if (alone == 0 && !grows(h, &in, GLANCE))
        alone = ALONE + 1;
    if (alone > 0) {
        __atomic_store_n(&h->alone, alone - 1, __ATOMIC_RELAXED);
        return;
    }
    while (in < enough && in < GATHERED && grows(h, &in, PAUSE))
        continue;
}

// A plain thread looks for a while before it sleeps: a sleep and its wake cost
// more than the other side usually needs.
static void linger(struct wi_shared_handle *h, bool put)
{
    if (wi_here.worker != NULL)
        return;
    int spins = wi_os_cpu_scarce() ? 0 : SPINS;
    uint64_t enough = put ? h->limit / 4 + 1 : 1;
    for (int i = 0; i < spins; i++) {
        if (looks_ready(h, put, enough)) {
            if (!put)
                gather(h);
            return;
        }
        wi_arch_relax();
    }
    for (int i = 0; i < YIELDS && !looks_ready(h, put, 1); i++)
        wi_os_thread_yield();
}

// Announces a sleep on a bell; what it is then.
static uint32_t mark(uint32_t *bell)
{
    // seq_cst: before the look at the word of the other side; pairs with ring
    return __atomic_fetch_or(bell, 1, __ATOMIC_SEQ_CST) | 1;
}

// A sleeper comes to a side.
static void come(struct wi_shared_side *side)
{
    // relaxed: a hint for leave
    __atomic_fetch_add(&side->sleepers, 1, __ATOMIC_RELAXED);
}

// One leaves. One wake may have been for it and for nobody else: the next one
// who sleeps is seen to.
static void leave(struct wi_shared_handle *h, bool put)
{
    struct wi_shared_side *side = side_of(h, put);
    // relaxed: as in come
    if (__atomic_sub_fetch(&side->sleepers, 1, __ATOMIC_RELAXED) == 0)
        return;
    mark(&side->bell);
    if (looks_ready(h, put, 1) || closed_code(h->q) != 0)
        ring(&side->bell);
}

static ssize_t sleep_for(struct wi_shared_handle *h,
                         struct wi_shared_transfer *t, int64_t deadline)
{
    struct wi_shared_side *side = side_of(h, t->put);
    struct wi_nap nap;
    ssize_t moved;
    int rc = 0;
    wi_nap_begin(&nap, h->arena);
    come(side);
    for (;;) {
        uint32_t bell = mark(&side->bell);
        moved = try_once(h, t);
        if (moved != 0 || rc < 0)
            break;
        at(WI_QUEUE_ASLEEP);
        struct wi_wait wait = {.object = h->q,
                               .deadline = deadline,
                               .kind = WI_WAIT_QUEUE,
                               .flags = WI_SCOPED};
        rc = wi_nap(&nap, &side->bell, bell, &wait);
    }
    leave(h, t->put);
    wi_nap_end(&nap);
    return moved != 0 ? moved : rc;
}

void wi_shared_queue_watch(struct wi_shared_handle *h, bool put,
                           struct wi_shared_watch *watch)
{
    struct wi_shared_side *side = side_of(h, put);
    wi_nap_begin(&watch->nap, h->arena);
    come(side);
    wi_nap_arm(&watch->nap, &side->bell, mark(&side->bell));
}

void wi_shared_queue_unwatch(struct wi_shared_handle *h, bool put,
                             struct wi_shared_watch *watch)
{
    leave(h, put);
    wi_nap_end(&watch->nap);
}

ssize_t wi_shared_queue_move(struct wi_shared_handle *h,
                             struct wi_shared_transfer *t, int64_t deadline)
{
    if (deadline != NOWAIT) {
        int rc = wi_check_scopes();
        if (rc < 0)
            return rc;
    }
    ssize_t moved = try_once(h, t);
    if (moved != 0)
        return moved;
    if (deadline == NOWAIT)
        return -EAGAIN;
    linger(h, t->put);
    moved = try_once(h, t);
    return moved != 0 ? moved : sleep_for(h, t, deadline);
}

// Life ------------------------------------------------------------------------

static uint64_t power_of_two(uint64_t n)
{
    return n <= 1 ? 1 : (uint64_t)1 << (64 - __builtin_clzll(n - 1));
}

// What lies before the ring.
static uint64_t head_size(void)
{
    return (sizeof(struct wi_shared_queue) + 127) & ~(uint64_t)127;
}

// The bytes of the ring; false: too many.
static bool ring_size(uint64_t item, uint64_t slots, uint64_t *bytes)
{
    return !__builtin_mul_overflow(slots, item != 0 ? item : 1, bytes);
}

static void bind(struct wi_shared_handle *h, weft_arena *a,
                 struct wi_shared_queue *q)
{
    *h = (struct wi_shared_handle){.arena = a,
                                   .q = q,
                                   .slots = (char *)q + head_size(),
                                   .item = q->item,
                                   .limit = q->limit,
                                   .mask = q->mask};
}

int wi_shared_queue_new(weft_arena *a, size_t item, size_t limit,
                        unsigned producers, struct wi_shared_handle *h)
{
    uint64_t slots = power_of_two(limit), bytes;
    if (limit == 0 || limit >> 46 != 0 || !ring_size(item, slots, &bytes))
        return -EINVAL;
    uint64_t offset =
        bytes < a->limit ? wi_heap_alloc(a, head_size() + bytes, 128, NULL) : 0;
    if (offset == 0)
        return -ENOMEM;
    struct wi_shared_queue *q = wi_segment_at(a, offset);
    q->item = item;
    q->limit = item != 0 ? limit : slots;
    q->mask = slots - 1;
    q->producers = producers;
    q->magic = MAGIC;
    bind(h, a, q);
    return 0;
}

int wi_shared_queue_open(weft_arena *a, void *place, struct wi_shared_handle *h)
{
    struct wi_shared_queue *q = place;
    uint64_t offset = wi_segment_offset(a, place), bytes;
    // relaxed: it only grows
    uint64_t end = __atomic_load_n(&wi_segment_of(a)->end, __ATOMIC_RELAXED);
    if (end > a->limit || offset < WI_HEAP_BEGIN || offset % 128 != 0 ||
        offset > end - head_size() || q->magic != MAGIC)
        return -WEFT_EPROTO;
    bind(h, a, q);
    bool good = (h->mask & (h->mask + 1)) == 0 && h->limit - 1 <= h->mask &&
                ring_size(h->item, h->mask + 1, &bytes) &&
                bytes <= end - head_size() - offset;
    return good ? 0 : -WEFT_EPROTO;
}

void wi_shared_queue_free(struct wi_shared_handle *h)
{
    h->q->magic = 0;
    wi_heap_free(h->arena, wi_segment_offset(h->arena, h->q), NULL);
}

static void ring_all(uint32_t *bell)
{
    // acq_rel: what was changed before is seen by who wakes
    __atomic_fetch_add(bell, 2, __ATOMIC_ACQ_REL);
    wi_os_futex_wake(bell, INT32_MAX, true);
}

// What nobody has got is nobody's. With both locks.
static void cut(struct wi_shared_queue *q)
{
    // seq_cst: before the look at the bell; pairs with the load in all_of
    if (!is_cut(q))
        __atomic_store_n(&q->cut, count_of(&q->get) + 1, __ATOMIC_SEQ_CST);
}

// The one who closes may die after the store: then all sleepers look again.
void wi_shared_queue_close(struct wi_shared_handle *h, bool immediate)
{
    struct wi_shared_queue *q = h->q;
    wi_shared_lock(h->arena, &q->put.lock);
    wi_shared_lock(h->arena, &q->get.lock);
    // relaxed: who acts on it reads it under a lock
    __atomic_store_n(&q->closed, -WEFT_ECLOSED, __ATOMIC_RELAXED);
    if (immediate)
        cut(q);
    wi_shared_unlock(&q->get.lock);
    wi_shared_unlock(&q->put.lock);
    ring_all(&q->put.bell);
    ring_all(&q->get.bell);
    if (immediate)
        ring_all(&q->done_bell);
}

size_t wi_shared_queue_size(struct wi_shared_handle *h)
{
    uint64_t head = count_of(&h->q->get); // first: it never passes the other
    return is_cut(h->q) ? 0 : count_of(&h->q->put) - head;
}

bool wi_shared_queue_full(struct wi_shared_handle *h)
{
    if (h->item != 0)
        return wi_shared_queue_size(h) >= h->limit;
    return h->limit - (bytes_of(&h->q->put) - bytes_of(&h->q->get)) <
           2 * RECORD;
}

// Unfinished items ------------------------------------------------------------

static uint64_t done_of(struct wi_shared_queue *q)
{
    // seq_cst: after the mark of who joins; pairs with the RMW in done
    return __atomic_load_n(&q->done, __ATOMIC_SEQ_CST);
}

// How many items there are to be done with, or were.
static uint64_t all_of(struct wi_shared_queue *q)
{
    // seq_cst: after the mark of who joins; pairs with the store in cut
    uint64_t end = __atomic_load_n(&q->cut, __ATOMIC_SEQ_CST);
    return end != 0 ? end - 1 : count_of(&q->put);
}

size_t wi_shared_queue_unfinished(struct wi_shared_handle *h)
{
    uint64_t done = done_of(h->q); // first: it never passes the other
    uint64_t all = all_of(h->q);
    return all > done ? all - done : 0; // what was dropped may have been told
}

bool wi_shared_queue_done(struct wi_shared_handle *h, uint64_t n)
{
    struct wi_shared_queue *q = h->q;
    // relaxed: the swap checks it
    uint64_t was = __atomic_load_n(&q->done, __ATOMIC_RELAXED);
    do
        if (was + n > all_of(q))
            return false;
    // seq_cst: before the look at the bell; what was worked off is seen
    while (!__atomic_compare_exchange_n(&q->done, &was, was + n, true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    if (was + n == all_of(q) &&
        (__atomic_load_n(&q->done_bell, __ATOMIC_SEQ_CST) & 1))
        ring_all(&q->done_bell);
    return true;
}

int wi_shared_queue_join(struct wi_shared_handle *h)
{
    struct wi_shared_queue *q = h->q;
    int rc = wi_check_scopes();
    if (rc < 0 || wi_shared_queue_unfinished(h) == 0)
        return rc;
    struct wi_nap nap;
    wi_nap_begin(&nap, h->arena);
    while (rc == 0) {
        uint32_t bell = mark(&q->done_bell);
        if (wi_shared_queue_unfinished(h) == 0)
            break;
        struct wi_wait wait = {.object = q,
                               .deadline = WI_FOREVER,
                               .kind = WI_WAIT_QUEUE,
                               .flags = WI_SCOPED};
        rc = wi_nap(&nap, &q->done_bell, bell, &wait);
    }
    wi_nap_end(&nap);
    return rc;
}

void wi_shared_queue_discard(struct wi_shared_handle *h)
{
    struct wi_shared_side *get = &h->q->get;
    wi_shared_lock(h->arena, &get->lock);
    uint64_t n = items_in(h);
    uint64_t bytes = bytes_of(&h->q->put) - bytes_at(get, get->word);
    get->seen = count_of(get) + n; // never less than what has passed this side
    if (n > 0)
        publish(get, n, bytes);
    wi_shared_unlock(&get->lock);
    ring_all(&h->q->put.bell);
}
