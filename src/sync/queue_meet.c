// SPDX-License-Identifier: MIT
//
// The rendezvous. It holds no items: under its one lock, that of the put side,
// an item goes from one caller to another who waits, so that both are served or
// neither is. Who finds nobody waits itself; it is woken for nothing only by
// shutdown.
#include "sync/queue.h"

#include <errno.h>

// Takes off the first who waits on the other side and can still be claimed.
static inline struct wi_waiter *first_of(struct wi_waiters *list,
                                         const struct wi_choice *own)
{
    struct wi_waiter *waiter, *next;
    for (waiter = list->first; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (own != NULL && waiter->choice == own)
            continue;
        wi_waiters_unlink(list, waiter);
        if (waiter->choice == NULL ||
            wi_choice_claim(waiter->choice, waiter->index))
            return waiter;
        // Another case of its select was first; it will see that it is off.
        wi_waiter_end(waiter, WI_WAITER_OUT);
    }
    return NULL;
}

// Moves the item of one who is off the list, and returns whom to unpark.
static inline struct wi_task *serve(weft_queue *q, struct wi_waiter *other,
                                    char *item, bool put)
{
    wi_item_copy(put ? other->item : item, put ? item : other->item, q->item);
    // relaxed: under the lock; others count with them
    __atomic_store_n(&q->put.word, q->put.word + 2, __ATOMIC_RELAXED);
    __atomic_store_n(&q->get.word, q->get.word + 2, __ATOMIC_RELAXED);
    return wi_waiter_end(other, WI_WAITER_SERVED);
}

ssize_t wi_queue_try_meet(weft_queue *q, struct wi_transfer *t)
{
    if (q->closed != 0)
        return q->closed;
    struct wi_waiter *other =
        first_of(&wi_queue_side(q, !t->put)->waiting, t->choice);
    if (other == NULL)
        return 0;
    t->task = serve(q, other, t->items, t->put);
    return 1;
}

// The wait was ended. Whether it was served before.
static bool leave(weft_queue *q, bool put, struct wi_waiter *waiter)
{
    wi_mutex_lock(&q->put.own);
    wi_waiters_remove(&wi_queue_side(q, put)->waiting, waiter);
    wi_mutex_unlock(&q->put.own);
    return wi_waiter_state(waiter) == WI_WAITER_SERVED;
}

// With the lock held, which is given up.
static __attribute__((noinline)) int wait_locked(weft_queue *q, char *item,
                                                 bool put, int64_t deadline)
{
    struct wi_waiter waiter;
    waiter.task = wi_here.self;
    waiter.item = item;
    waiter.choice = NULL;
    wi_waiters_add(&wi_queue_side(q, put)->waiting, &waiter);
    wi_mutex_unlock(&q->put.own);
    const struct wi_wait wait = {.object = q,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_QUEUE,
                                 .flags = WI_SCOPED};
    do {
        int rc = wi_park(&wait);
        if (rc < 0)
            return leave(q, put, &waiter) ? 0 : rc;
    } while (wi_waiter_state(&waiter) == WI_WAITER_LISTED);
    return wi_waiter_state(&waiter) == WI_WAITER_SERVED ? 0 : q->closed;
}

// With the lock held, which is given up.
static __attribute__((noinline)) int meet_locked(weft_queue *q, char *item,
                                                 bool put, int64_t deadline)
{
    int rc = q->closed;
    struct wi_waiter *other = NULL;
    if (rc == 0) {
        other = first_of(&wi_queue_side(q, !put)->waiting, NULL);
        if (other == NULL && deadline != WI_NOWAIT)
            return wait_locked(q, item, put, deadline);
        rc = other != NULL ? 0 : -EAGAIN;
    }
    struct wi_task *task = rc == 0 ? serve(q, other, item, put) : NULL;
    wi_mutex_unlock(&q->put.own);
    if (task != NULL)
        wi_unpark(task);
    return rc;
}

static __attribute__((noinline)) int meet(weft_queue *q, char *item, bool put,
                                          int64_t deadline)
{
    int rc = wi_queue_begin(deadline);
    if (rc < 0)
        return rc;
    wi_mutex_lock(&q->put.own);
    return meet_locked(q, item, put, deadline);
}

// The case of every day, compiled for each side: a word for somebody who waits
// for it and for nothing else. What is different is left to the others at the
// end of this function, so that this one keeps next to nothing on its stack.
static WI_MERGED int meet_fast(weft_queue *q, char *item, bool put,
                               int64_t deadline)
{
    struct wi_task *self = wi_here.self;
    if (self == NULL || !wi_scope_plain(self) || !wi_mutex_try(&q->put.own))
        return meet(q, item, put, deadline);
    struct wi_waiters *list = &wi_queue_side(q, !put)->waiting;
    struct wi_waiter *other = list->first;
    if (other == NULL && q->closed == 0 && deadline != WI_NOWAIT)
        return wait_locked(q, item, put, deadline);
    if (other == NULL || other->choice != NULL || q->closed != 0 ||
        q->item != sizeof(uint64_t))
        return meet_locked(q, item, put, deadline);
    wi_waiters_unlink_first(list);
    struct wi_task *task = serve(q, other, item, put);
    wi_mutex_unlock(&q->put.own);
    wi_unpark(task);
    return 0;
}

int wi_queue_meet(weft_queue *q, char *item, bool put, int64_t deadline)
{
    return put ? meet_fast(q, item, true, deadline)
               : meet_fast(q, item, false, deadline);
}
