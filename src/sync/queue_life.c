// SPDX-License-Identifier: MIT
//
// The life of a queue: made, worked off, shut down, freed.
//
// Unfinished items are those put minus those told done; the first number is the
// position of the put side, so that put itself counts nothing. A joiner lists
// itself and sets the low bit of `done`, in the word that count_done adds to:
// as with the sides, one of the two sees the other.
#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"
#include "sched/task.h"
#include "sync/queue.h"

#define JOINED   ((uint64_t)1)
#define NO_LIMIT (UINT64_MAX / 4)

weft_queue wi_queue_nomem = {
    .item = 1,
    .closed = -ENOMEM,
    .put = {.lock = &wi_queue_nomem.put.own},
    .get = {.lock = &wi_queue_nomem.put.own},
};

bool wi_queue_init(weft_queue *q, const struct weft_queue_options *options)
{
    wi_require_in("weft_queue_new_with", options->kind <= WEFT_QUEUE_RENDEZVOUS,
                  NULL, "there is no such kind of queue");
    bool meets = options->kind == WEFT_QUEUE_RENDEZVOUS;
    *q = (weft_queue){.item = options->item ? options->item : sizeof(void *),
                      .limit = meets ? 0 : NO_LIMIT,
                      .kind = options->kind,
                      .drop = options->drop,
                      .producers = options->producers};
    if (!meets && options->maxsize != 0 && options->maxsize < NO_LIMIT)
        q->limit = options->maxsize;
    q->put.lock = &q->put.own;
    q->get.lock = q->kind == WEFT_QUEUE_FIFO ? &q->get.own : q->put.lock;
    return meets || wi_store_init(q);
}

weft_queue *weft_queue_new_with(const struct weft_queue_options *options)
{
    WI_OPTIONS(options);
    weft_queue *q = aligned_alloc(64, sizeof *q);
    if (q != NULL && (options->arena != NULL ? wi_queue_new_shared(q, options)
                                             : wi_queue_init(q, options)))
        return q;
    free(q);
    return &wi_queue_nomem;
}

// Unfinished items ------------------------------------------------------------

static uint64_t done_count(weft_queue *q)
{
    // acquire: pairs with the RMW of count_done
    return __atomic_load_n(&q->done, __ATOMIC_ACQUIRE) >> 1;
}

size_t weft_queue_unfinished(weft_queue *q)
{
    wi_need(q);
    if (q->shared)
        return wi_shared_queue_unfinished(&q->handle);
    uint64_t done = done_count(q); // first: it never passes the other
    return wi_side_position(&q->put) - done;
}

static void wake_joiners(weft_queue *q)
{
    struct wi_task *task;
    do {
        wi_mutex_lock(&q->join_lock);
        task = wi_waiters_wake(&q->joiners);
        if (q->joiners.first == NULL)
            // relaxed: set again under this lock
            __atomic_fetch_and(&q->done, ~JOINED, __ATOMIC_RELAXED);
        wi_mutex_unlock(&q->join_lock);
        if (task != NULL)
            wi_unpark(task);
    } while (task != NULL);
}

static const char too_many_done[] =
    "it was called more often than items were put";

// Counts n items as done.
static void count_done(weft_queue *q, uint64_t n)
{
    // relaxed: the CAS checks it
    uint64_t was = __atomic_load_n(&q->done, __ATOMIC_RELAXED);
    do
        wi_require_in("weft_queue_task_done",
                      was / 2 + n <= wi_side_position(&q->put), q,
                      too_many_done);
    // acq_rel: what the worker did is seen after the join; pairs with the RMW
    // of list_joiner, also for the bit
    while (!__atomic_compare_exchange_n(&q->done, &was, was + 2 * n, true,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    if ((was & JOINED) && weft_queue_unfinished(q) == 0)
        wake_joiners(q);
}

int weft_queue_task_done(weft_queue *q)
{
    wi_need(q);
    if (q->shared)
        wi_require(wi_shared_queue_done(&q->handle, 1), q, too_many_done);
    else
        count_done(q, 1);
    return 0;
}

// Whether the joiner has to sleep.
static bool list_joiner(weft_queue *q, struct wi_waiter *joiner)
{
    wi_mutex_lock(&q->join_lock);
    wi_waiters_add(&q->joiners, joiner);
    // acq_rel: pairs with the CAS of count_done
    uint64_t done = __atomic_fetch_or(&q->done, JOINED, __ATOMIC_ACQ_REL) >> 1;
    bool must = done != wi_side_position(&q->put);
    if (!must)
        wi_waiters_remove(&q->joiners, joiner);
    wi_mutex_unlock(&q->join_lock);
    return must;
}

int weft_queue_join(weft_queue *q)
{
    wi_need(q);
    if (q->shared)
        return wi_shared_queue_join(&q->handle);
    const struct wi_wait wait = {.object = q,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_QUEUE,
                                 .flags = WI_SCOPED};
    struct wi_waiter joiner = {.task = wi_self()};
    int rc = wi_check_scopes();
    while (rc == 0 && weft_queue_unfinished(q) != 0 && list_joiner(q, &joiner))
        rc = wi_waiter_sleep(&joiner, &wait);
    if (rc < 0) {
        wi_mutex_lock(&q->join_lock);
        wi_waiters_remove(&q->joiners, &joiner);
        wi_mutex_unlock(&q->join_lock);
    }
    return rc;
}

// Shutdown --------------------------------------------------------------------

static void lock_both(weft_queue *q)
{
    wi_mutex_lock(q->put.lock);
    if (q->get.lock != q->put.lock)
        wi_mutex_lock(q->get.lock);
}

static void unlock_both(weft_queue *q)
{
    if (q->get.lock != q->put.lock)
        wi_mutex_unlock(q->get.lock);
    wi_mutex_unlock(q->put.lock);
}

// What was in the queue when it was shut down at once.
struct rest {
    weft_queue store; // a copy, with the slots
    uint64_t head, tail;
};

// With both locks held and q closed: nothing is put any more, so that the slots
// can go. Users' functions are called later, without locks.
static void take_rest(weft_queue *q, struct rest *rest)
{
    rest->head = wi_side_position(&q->get);
    rest->tail = wi_side_position(&q->put);
    rest->store.slots = q->slots;
    rest->store.item = q->item;
    rest->store.stride = q->stride;
    rest->store.capacity = q->capacity;
    rest->store.kind = q->kind;
    rest->store.drop = q->drop;
    q->slots = NULL;
    q->get.seen = rest->tail;
    // release: pairs with wi_side_position
    __atomic_fetch_add(&q->get.word, 2 * (rest->tail - rest->head),
                       __ATOMIC_RELEASE);
}

// In the order of a FIFO; the others' in any.
static void drop_rest(struct rest *rest)
{
    weft_queue *store = &rest->store;
    uint64_t first = store->kind == WEFT_QUEUE_FIFO ? rest->head : 0;
    if (store->drop != NULL)
        for (uint64_t i = 0; i < rest->tail - rest->head; i++)
            store->drop(wi_store_at(store, first + i));
    free(store->slots);
}

int wi_queue_close(weft_queue *q, int code, bool immediate)
{
    if (q->shared)
        return wi_queue_shutdown_shared(q, immediate);
    struct rest rest = {.head = 0};
    lock_both(q);
    if (q->closed == 0)
        // relaxed: those who act on it read it under a lock
        __atomic_store_n(&q->closed, code, __ATOMIC_RELAXED);
    if (immediate)
        take_rest(q, &rest);
    unlock_both(q);
    if (rest.head != rest.tail)
        count_done(q, rest.tail - rest.head);
    drop_rest(&rest);
    wi_queue_wake_all(q);
    return 0;
}

int weft_queue_shutdown(weft_queue *q, bool immediate)
{
    wi_need(q);
    return wi_queue_close(q, -WEFT_ECLOSED, immediate);
}

static int *closed_of(weft_queue *q)
{
    return q->shared ? &q->handle.q->closed : &q->closed;
}

bool weft_queue_is_shutdown(weft_queue *q)
{
    wi_need(q);
    // relaxed: a snapshot
    return __atomic_load_n(closed_of(q), __ATOMIC_RELAXED) == -WEFT_ECLOSED;
}

void wi_queue_fini(weft_queue *q)
{
    if (q->shared) {
        wi_queue_fini_shared(q);
        return;
    }
    struct rest rest = {.head = 0};
    wi_require_in("weft_queue_free",
                  q->put.waiting.first == NULL &&
                      q->get.waiting.first == NULL && q->joiners.first == NULL,
                  q, "somebody waits at it while it is freed");
    take_rest(q, &rest);
    drop_rest(&rest);
}

void weft_queue_free(weft_queue *q)
{
    if (q == NULL || q == &wi_queue_nomem)
        return;
    wi_queue_fini(q);
    free(q);
}

static uint32_t *producers_of(weft_queue *q)
{
    return q->shared ? &q->handle.q->producers : &q->producers;
}

// Producers -------------------------------------------------------------------

int weft_queue_producer_add(weft_queue *q)
{
    wi_need(q);
    // relaxed: who comes at the same time as shutdown may be before or after
    int closed = __atomic_load_n(closed_of(q), __ATOMIC_RELAXED);
    if (closed != 0)
        return closed;
    // relaxed: a count; the last one done shuts down
    __atomic_fetch_add(producers_of(q), 1, __ATOMIC_RELAXED);
    return 0;
}

int weft_queue_producer_done(weft_queue *q)
{
    wi_need(q);
    if (wi_queue_failed(q))
        return q->closed;
    // acq_rel: the last one comes after all others
    uint32_t was = __atomic_fetch_sub(producers_of(q), 1, __ATOMIC_ACQ_REL);
    wi_require(was != 0, q, "more producers are done than there were");
    return was == 1 ? weft_queue_shutdown(q, false) : 0;
}
