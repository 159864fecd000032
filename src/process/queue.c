// SPDX-License-Identifier: MIT
//
// The jobs that wait for a worker: one list in three ranks, those of a higher
// priority first. Where a rank ends is known, so every move is short. Under the
// pool's lock.
#include "process/pool.h"

// The last job of the rank or of those before it; NULL: there is none.
static struct wi_pjob *last_up_to(struct wi_pool *pool, int rank)
{
    while (rank >= 0 && pool->last_of[rank] == NULL)
        rank--;
    return rank >= 0 ? pool->last_of[rank] : NULL;
}

struct wi_pjob *wi_queue_first(struct wi_pool *pool, unsigned rank)
{
    struct wi_pjob *before = last_up_to(pool, (int)rank - 1);
    return pool->last_of[rank] == NULL ? NULL
           : before != NULL            ? before->next
                                       : pool->first;
}

void wi_queue_push(struct wi_pjob *job, bool front)
{
    struct wi_pool *pool = job->pool;
    unsigned rank = job->rank;
    struct wi_pjob *before =
        last_up_to(pool, front ? (int)rank - 1 : (int)rank);
    job->state = WI_JOB_PENDING;
    job->prev = before;
    job->next = before != NULL ? before->next : pool->first;
    *(before != NULL ? &before->next : &pool->first) = job;
    if (job->next != NULL)
        job->next->prev = job;
    if (!front || pool->last_of[rank] == NULL)
        pool->last_of[rank] = job;
    pool->pending++;
}

void wi_queue_remove(struct wi_pjob *job)
{
    struct wi_pool *pool = job->pool;
    struct wi_pjob *before = job->prev;
    *(before != NULL ? &before->next : &pool->first) = job->next;
    if (job->next != NULL)
        job->next->prev = before;
    if (pool->last_of[job->rank] == job)
        pool->last_of[job->rank] =
            before != NULL && before->rank == job->rank ? before : NULL;
    pool->pending--;
    job->state = WI_JOB_HELD;
}
