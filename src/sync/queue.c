// SPDX-License-Identifier: MIT
//
// Putting and getting; queue.h tells how nobody is lost. The kinds that hold
// items differ in their store only; the one that holds none is queue_meet.c.
#include "sync/queue.h"

#include <errno.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "base/options.h"
#include "os/cpu.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/task.h"

enum {
    WAKES = 16,  // under one hold of the lock
    SPINS = 128, // pauses of a plain thread before it sleeps,
    YIELDS = 2,  // and further looks, each after a yield
    SHRINK = 8,  // a store this many times too large is halved
};

// Moving ----------------------------------------------------------------------

// The capacity for so many items; a ring that is far too large is halved.
static uint64_t fitting(const weft_queue *q, uint64_t count)
{
    uint64_t capacity = q->capacity;
    while (capacity < count)
        capacity *= 2;
    if (capacity / SHRINK > count && capacity > WI_FIRST_SLOTS)
        capacity /= 2;
    return capacity;
}

// Finds slots for n more items; how many there are.
static size_t find_slots(weft_queue *q, uint64_t tail, size_t n, bool both)
{
    struct wi_side *put = &q->put, *get = &q->get;
    put->seen = wi_side_position(get);
    if (fitting(q, tail - put->seen + n) == q->capacity)
        return n;
    both = both || get->lock == put->lock;
    if (!both)
        wi_mutex_lock(get->lock);
    put->seen = wi_side_position(get);
    uint64_t count = tail - put->seen;
    if (!wi_store_resize(q, fitting(q, count + n), put->seen, tail) &&
        q->capacity - count < n)
        n = q->capacity - count;
    if (!both)
        wi_mutex_unlock(get->lock);
    return n;
}

// Whether to look at the size of the store: it is too small, or a ring has
// gone round once.
static bool wants_slots(const weft_queue *q, uint64_t tail, size_t n)
{
    return q->elastic && (tail - q->put.seen + n > q->capacity ||
                          (tail & (q->capacity - 1)) == 0);
}

// With the lock of the side held: n items more have passed it. Whether somebody
// waits for that.
static inline bool passed(struct wi_side *side, size_t n)
{
    // acq_rel: the items are there, or the slots are free; pairs with
    // wi_side_position, and for the bit with the RMW in wi_queue_list
    return __atomic_fetch_add(&side->word, 2 * n, __ATOMIC_ACQ_REL) &
           WI_WATCHED;
}

static ssize_t put_some(weft_queue *q, struct wi_transfer *t, uint64_t tail)
{
    struct wi_side *put = &q->put;
    put->seen = wi_side_position(&q->get);
    uint64_t room = q->limit - (tail - put->seen);
    size_t n = t->n < room ? t->n : room;
    if (n == 0)
        return 0;
    if (wants_slots(q, tail, n) && (n = find_slots(q, tail, n, t->both)) == 0)
        return -ENOMEM;
    wi_store_put(q, put->seen, tail, t, n);
    t->watched = passed(put, n);
    return (ssize_t)n;
}

// One item into a FIFO that has a slot for it as it is; false: look closer.
static inline bool put_one(weft_queue *q, const char *item, bool *watched)
{
    struct wi_side *put = &q->put;
    // relaxed: it moves under this lock; others change the bit only
    uint64_t tail = __atomic_load_n(&put->word, __ATOMIC_RELAXED) >> 1;
    if (wants_slots(q, tail, 1) ||
        (tail - put->seen == q->limit &&
         tail - (put->seen = wi_side_position(&q->get)) == q->limit))
        return false;
    wi_item_copy(wi_ring_slot(q, tail), item, q->item);
    *watched = passed(put, 1);
    return true;
}

static inline ssize_t try_put(weft_queue *q, struct wi_transfer *t)
{
    if (q->kind == WEFT_QUEUE_FIFO && t->n == 1 &&
        put_one(q, t->items, &t->watched))
        return 1;
    // relaxed: as in put_one
    return put_some(q, t, __atomic_load_n(&q->put.word, __ATOMIC_RELAXED) >> 1);
}

static ssize_t get_some(weft_queue *q, struct wi_transfer *t, uint64_t head)
{
    struct wi_side *get = &q->get;
    get->seen = wi_side_position(&q->put);
    size_t n = get->seen - head;
    if (n > t->n)
        n = t->n;
    if (n == 0)
        return q->closed;
    wi_store_get(q, head, get->seen, t->items, n);
    t->watched = passed(get, n);
    return (ssize_t)n;
}

static inline bool get_one(weft_queue *q, char *item, bool *watched)
{
    struct wi_side *get = &q->get;
    // relaxed: as in put_one
    uint64_t head = __atomic_load_n(&get->word, __ATOMIC_RELAXED) >> 1;
    if (get->seen == head && (get->seen = wi_side_position(&q->put)) == head)
        return false;
    wi_item_copy(item, wi_ring_slot(q, head), q->item);
    *watched = passed(get, 1);
    return true;
}

static inline ssize_t try_get(weft_queue *q, struct wi_transfer *t)
{
    if (q->kind == WEFT_QUEUE_FIFO && t->n == 1 &&
        get_one(q, t->items, &t->watched))
        return 1;
    // relaxed: as in put_one
    return get_some(q, t, __atomic_load_n(&q->get.word, __ATOMIC_RELAXED) >> 1);
}

// Of the kinds that hold items.
static inline ssize_t try_move(weft_queue *q, struct wi_transfer *t)
{
    t->watched = false;
    if (!t->put)
        return try_get(q, t);
    return __builtin_expect(q->closed != 0, false) ? q->closed : try_put(q, t);
}

ssize_t wi_queue_try(weft_queue *q, struct wi_transfer *t)
{
    t->task = NULL;
    return q->kind == WEFT_QUEUE_RENDEZVOUS ? wi_queue_try_meet(q, t)
                                            : try_move(q, t);
}

// Waking ----------------------------------------------------------------------

// With the side's lock held. The bit is in the other side's word.
static void unwatch_if_empty(weft_queue *q, bool put)
{
    if (wi_queue_side(q, put)->waiting.first == NULL)
        // relaxed: who lists itself later sets the bit again under this lock
        __atomic_fetch_and(&wi_queue_side(q, !put)->word, ~WI_WATCHED,
                           __ATOMIC_RELAXED);
}

static void wake(weft_queue *q, bool put, size_t n)
{
    struct wi_side *side = wi_queue_side(q, put);
    struct wi_task *task[WAKES];
    unsigned count;
    do {
        count = 0;
        wi_mutex_lock(side->lock);
        while (n > 0 && count < WAKES &&
               (task[count] = wi_waiters_wake(&side->waiting)) != NULL)
            n--, count++;
        unwatch_if_empty(q, put);
        wi_mutex_unlock(side->lock);
        for (unsigned i = 0; i < count; i++)
            wi_unpark(task[i]);
    } while (count == WAKES);
}

void wi_queue_moved(weft_queue *q, struct wi_transfer *t, size_t n)
{
    if (t->task != NULL)
        wi_unpark(t->task);
    else if (t->watched)
        wake(q, !t->put, n);
}

void wi_queue_wake_all(weft_queue *q)
{
    wake(q, true, SIZE_MAX);
    wake(q, false, SIZE_MAX);
}

// Waiting ---------------------------------------------------------------------

// How many items or free slots somebody on this side would find, given the
// position of the other side.
static uint64_t found(const weft_queue *q, bool put, uint64_t other)
{
    // relaxed: it moves under this side's lock, or this is a hint
    uint64_t mine =
        __atomic_load_n(&(put ? &q->put : &q->get)->word, __ATOMIC_RELAXED) >>
        1;
    return put ? q->limit - (mine - other) : other - mine;
}

bool wi_queue_list(weft_queue *q, bool put, struct wi_waiter *waiter,
                   bool first)
{
    struct wi_side *side = wi_queue_side(q, put);
    if (first)
        wi_waiters_add_first(&side->waiting, waiter);
    else
        wi_waiters_add(&side->waiting, waiter);
    if (q->kind == WEFT_QUEUE_RENDEZVOUS)
        return true;
    // acq_rel: pairs with the RMW of who moves (passed)
    uint64_t other = __atomic_fetch_or(&wi_queue_side(q, !put)->word,
                                       WI_WATCHED, __ATOMIC_ACQ_REL);
    if (found(q, put, other >> 1) == 0)
        return true;
    wi_waiters_remove(&side->waiting, waiter);
    unwatch_if_empty(q, put);
    return false;
}

struct wi_task *wi_queue_unlist(weft_queue *q, bool put,
                                struct wi_waiter *waiter)
{
    struct wi_side *side = wi_queue_side(q, put);
    struct wi_task *next = NULL;
    if (!wi_waiters_remove(&side->waiting, waiter) &&
        wi_waiter_state(waiter) == WI_WAITER_WOKEN &&
        found(q, put, wi_side_position(wi_queue_side(q, !put))) != 0)
        next = wi_waiters_wake(&side->waiting);
    if (q->kind != WEFT_QUEUE_RENDEZVOUS)
        unwatch_if_empty(q, put);
    return next;
}

// A plain thread looks for a while before it sleeps: a sleep and its wake cost
// more than the other side usually needs. Spinning serves an other side that
// runs on another CPU, yielding one that waits for this CPU: where a thread of
// that side has lingered last says which it is likely to be. Looks get rarer,
// for each takes the line of the position away from the one who moves it.
static void linger(weft_queue *q, bool put)
{
    struct wi_side *other = wi_queue_side(q, !put);
    int cpu = wi_os_cpu_here();
    // relaxed, both: hints
    __atomic_store_n(&wi_queue_side(q, put)->cpu, cpu, __ATOMIC_RELAXED);
    bool beside = __atomic_load_n(&other->cpu, __ATOMIC_RELAXED) == cpu;
    int spins = beside || wi_os_cpu_scarce() ? 0 : SPINS, pause = 1;
    uint64_t enough = put ? q->limit / 4 + 1 : 1;
    for (int spun = 0; spun < spins; spun += pause) {
        if (found(q, put, wi_side_position(other)) >= enough)
            return;
        pause = wi_arch_back_off(pause);
    }
    for (int i = 0; i < YIELDS && found(q, put, wi_side_position(other)) == 0;
         i++)
        wi_os_thread_yield();
}

// The wait ended early, or is over.
static ssize_t leave(weft_queue *q, struct wi_transfer *t,
                     struct wi_waiter *waiter, int rc)
{
    struct wi_side *side = wi_queue_side(q, t->put);
    wi_mutex_lock(side->lock);
    struct wi_task *next = wi_queue_unlist(q, t->put, waiter);
    wi_mutex_unlock(side->lock);
    if (next != NULL)
        wi_unpark(next);
    return wi_waiter_state(waiter) == WI_WAITER_SERVED ? 1 : rc;
}

// With the lock held, which is given up. 0: the waiter is listed.
static ssize_t try_or_list(weft_queue *q, struct wi_transfer *t,
                           struct wi_waiter *waiter)
{
    struct wi_side *side = wi_queue_side(q, t->put);
    bool again = wi_waiter_state(waiter) == WI_WAITER_WOKEN;
    ssize_t moved;
    while ((moved = try_move(q, t)) == 0 &&
           !wi_queue_list(q, t->put, waiter, again))
        continue;
    wi_mutex_unlock(side->lock);
    if (moved > 0 && t->watched)
        wake(q, !t->put, (size_t)moved);
    return moved;
}

// With the lock held, under which nothing could be moved; it is given up.
static __attribute__((noinline)) ssize_t
wait_locked(weft_queue *q, struct wi_transfer *t, int64_t deadline)
{
    const struct wi_wait wait = {.object = q,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_QUEUE,
                                 .flags = WI_SCOPED};
    struct wi_mutex *lock = wi_queue_side(q, t->put)->lock;
    struct wi_waiter waiter = {.task = wi_self(), .item = t->items};
    ssize_t moved;
    if (wi_here.worker == NULL) {
        wi_mutex_unlock(lock);
        linger(q, t->put);
        wi_mutex_lock(lock);
    }
    while ((moved = try_or_list(q, t, &waiter)) == 0) {
        int rc = wi_waiter_sleep(&waiter, &wait);
        if (rc < 0)
            return leave(q, t, &waiter, rc);
        wi_mutex_lock(lock);
    }
    return moved;
}

ssize_t wi_queue_transfer(weft_queue *q, struct wi_transfer *t,
                          int64_t deadline)
{
    if (__builtin_expect(q->shared, false))
        return wi_queue_move_shared(q, t, deadline);
    if (q->kind == WEFT_QUEUE_RENDEZVOUS) {
        int rc = wi_queue_meet(q, t->items, t->put, deadline);
        return rc == 0 ? 1 : rc;
    }
    int rc = wi_queue_begin(deadline);
    if (rc < 0)
        return rc;
    struct wi_mutex *lock = wi_queue_side(q, t->put)->lock;
    wi_mutex_lock(lock);
    ssize_t moved = try_move(q, t);
    if (moved == 0 && deadline != WI_NOWAIT)
        return wait_locked(q, t, deadline);
    wi_mutex_unlock(lock);
    if (moved > 0 && t->watched)
        wake(q, !t->put, (size_t)moved);
    return moved != 0 ? moved : -EAGAIN;
}

// The calls -------------------------------------------------------------------

int64_t wi_queue_limit(bool nowait, double timeout, const char *function)
{
    if (nowait)
        return WI_NOWAIT;
    return timeout == 0 ? WI_FOREVER : wi_deadline_in(timeout, function);
}

// The case of every day: one item through a FIFO that has it, or room for it,
// while nobody else is at this side; compiled for each side. False: nothing was
// done.
static WI_MERGED bool move_fast(weft_queue *q, char *item, bool put)
{
    struct wi_task *self = wi_here.self;
    struct wi_mutex *lock = wi_queue_side(q, put)->lock;
    bool watched = false;
    if (q->kind != WEFT_QUEUE_FIFO || q->shared || self == NULL ||
        !wi_scope_plain(self) || !wi_mutex_try(lock))
        return false;
    bool moved = put ? q->closed == 0 && put_one(q, item, &watched)
                     : get_one(q, item, &watched);
    wi_mutex_unlock(lock);
    if (watched)
        wake(q, !put, 1);
    return moved;
}

static __attribute__((noinline)) int
put_slowly(weft_queue *q, const void *item,
           const struct weft_queue_put_options *options)
{
    WI_OPTIONS(options);
    struct wi_transfer t = {.items = (char *)item,
                            .n = 1,
                            .priority = options->priority,
                            .put = true};
    ssize_t moved =
        wi_queue_transfer(q, &t,
                          wi_queue_limit(options->nowait, options->timeout,
                                         "weft_queue_put_with"));
    return moved > 0 ? 0 : (int)moved;
}

int weft_queue_put_with(weft_queue *q, const void *item,
                        const struct weft_queue_put_options *options)
{
    wi_need(q);
    wi_need(item);
    bool no_limit = options == NULL ||
                    (options->size >= sizeof *options && options->timeout == 0);
    if (no_limit && move_fast(q, (char *)item, true))
        return 0;
    return put_slowly(q, item, options);
}

static __attribute__((noinline)) int
get_slowly(weft_queue *q, void *item,
           const struct weft_queue_get_options *options)
{
    WI_OPTIONS(options);
    struct wi_transfer t = {.items = item, .n = 1};
    ssize_t moved =
        wi_queue_transfer(q, &t,
                          wi_queue_limit(options->nowait, options->timeout,
                                         "weft_queue_get_with"));
    return moved > 0 ? 0 : (int)moved;
}

int weft_queue_get_with(weft_queue *q, void *item,
                        const struct weft_queue_get_options *options)
{
    wi_need(q);
    wi_need(item);
    bool no_limit = options == NULL ||
                    (options->size >= sizeof *options && options->timeout == 0);
    if (no_limit && move_fast(q, item, false))
        return 0;
    return get_slowly(q, item, options);
}

ssize_t weft_queue_put_n_with(weft_queue *q, const void *items, size_t n,
                              const struct weft_queue_put_options *options)
{
    wi_need(q);
    wi_need_some(items, n);
    WI_OPTIONS(options);
    int64_t deadline =
        wi_queue_limit(options->nowait, options->timeout, __func__);
    struct wi_transfer t = {
        .items = (char *)items, .priority = options->priority, .put = true};
    size_t put = 0;
    while (put < n) {
        t.n = n - put;
        ssize_t moved = wi_queue_transfer(q, &t, deadline);
        if (moved < 0)
            return put > 0 ? (ssize_t)put : moved;
        put += (size_t)moved;
        t.items += (size_t)moved * q->item;
    }
    return (ssize_t)put;
}

ssize_t weft_queue_get_n_with(weft_queue *q, void *items, size_t n,
                              const struct weft_queue_get_options *options)
{
    wi_need(q);
    wi_need_some(items, n);
    WI_OPTIONS(options);
    struct wi_transfer t = {.items = items, .n = n};
    if (n == 0)
        return 0;
    return wi_queue_transfer(
        q, &t, wi_queue_limit(options->nowait, options->timeout, __func__));
}

size_t weft_queue_size(weft_queue *q)
{
    wi_need(q);
    if (q->shared)
        return wi_shared_queue_size(&q->handle);
    uint64_t head = wi_side_position(&q->get);
    uint64_t size = wi_side_position(&q->put) - head;
    return size < q->limit ? size : q->limit;
}

bool weft_queue_empty(weft_queue *q)
{
    wi_need(q);
    return weft_queue_size(q) == 0;
}

bool weft_queue_full(weft_queue *q)
{
    wi_need(q);
    return q->shared ? wi_shared_queue_full(&q->handle)
                     : weft_queue_size(q) >= q->limit;
}
