// SPDX-License-Identifier: MIT
//
// The window of a pool: how many jobs may be under way. A submit that finds it
// full waits in a list; who ends a job hands its place to the first in there,
// so places are given in the order of the submits.
//
// The supervisor, which runs callbacks, must not wait: it would wait for
// itself.
#include <errno.h>

#include <weft/error.h>

#include "exec/pool.h"
#include "process/pool.h"
#include "sched/park.h"
#include "sched/task.h"
#include "sync/waiter.h"

// Waits for a place, which SERVED gives; WOKEN: the pool was closed.
static int wait_for_place(struct wi_pool *pool, struct wi_waiter *waiter)
{
    const struct wi_wait wait = {.object = pool,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_POOL,
                                 .flags = WI_SCOPED};
    int rc = wi_waiter_sleep(waiter, &wait);
    wi_mutex_lock(&pool->lock);
    wi_waiters_remove(&pool->gate.waiting, waiter);
    wi_mutex_unlock(&pool->lock);
    if (wi_waiter_state(waiter) == WI_WAITER_SERVED)
        return 0;
    return rc < 0 ? rc : -WEFT_ECLOSED;
}

// The first job that may be dropped for one of this rank: of those that wait
// and have a place, of the least rank. NULL: there is none.
static struct wi_pjob *find_droppable(struct wi_pool *pool, unsigned rank)
{
    for (unsigned r = WI_LANES; r-- > rank;) {
        struct wi_pjob *job = wi_queue_first(pool, r);
        for (; job != NULL && job->rank == r; job = job->next)
            if (job->gated && job->doomed == 0)
                return job;
    }
    return NULL;
}

// Takes the place of a job that is dropped. What workers have not begun comes
// back first: it is older than the queue.
static bool drop_oldest(struct wi_pool *pool, unsigned rank,
                        struct wi_outcomes *out)
{
    for (struct wi_member *m = pool->members; m != NULL; m = m->next)
        wi_recall_all(m);
    struct wi_pjob *job = find_droppable(pool, rank);
    if (job != NULL) {
        wi_pjob_stop(job, -WEFT_EJOBCANCELED, WI_DROPPED_TEXT, out);
        pool->gate.used++;
    }
    wi_dispatch(pool); // may leave the lock: others come for a place
    return job != NULL;
}

int wi_gate_enter(struct wi_pjob *job, unsigned rank)
{
    struct wi_pool *pool = job->pool;
    if (pool->set.window == 0)
        return 0;
    struct wi_waiter waiter = {.task = wi_self()};
    if (waiter.task == NULL)
        return -ENOMEM;
    wi_mutex_lock(&pool->lock);
    if (pool->closing || pool->broken) { // the submit will say so
        wi_mutex_unlock(&pool->lock);
        return 0;
    }
    struct wi_outcomes out;
    out.n = 0;
    bool place = pool->gate.used < pool->set.window;
    if (place)
        pool->gate.used++;
    else if (pool->set.when_full == WEFT_FULL_DROP)
        place = drop_oldest(pool, rank, &out);
    bool wait = !place && pool->set.when_full == WEFT_FULL_WAIT &&
                !wi_supervisor_is_self();
    if (wait)
        wi_waiters_add(&pool->gate.waiting, &waiter);
    wi_mutex_unlock(&pool->lock);
    wi_outcomes_tell(&out);
    int rc = place ? 0 : wait ? wait_for_place(pool, &waiter) : -EAGAIN;
    job->gated = rc == 0;
    return rc;
}

void wi_gate_leave(struct wi_pjob *job)
{
    struct wi_pool *pool = job->pool;
    if (!job->gated)
        return;
    job->gated = false;
    struct wi_waiter *next = pool->gate.waiting.first;
    if (next == NULL) {
        pool->gate.used--;
        return;
    }
    wi_waiters_unlink(&pool->gate.waiting, next);
    wi_unpark(wi_waiter_end(next, WI_WAITER_SERVED));
}

void wi_gate_close(struct wi_pool *pool)
{
    struct wi_task *task;
    while ((task = wi_waiters_wake(&pool->gate.waiting)) != NULL)
        wi_unpark(task);
}
