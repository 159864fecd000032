// SPDX-License-Identifier: MIT
//
// How many workers a pool has. An elastic one begins with the least, gets one
// more whenever a job finds no worker free (and none is starting), and at the
// end of each stretch of .idle_timeout keeps as many as were at work at once
// during it. When it is down to the least no timer runs. Under the pool's lock.
#include <errno.h>

#include <weft/error.h>
#include <weft/process_pool.h>

#include "base/fresh.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/report.h"
#include "process/pool.h"

static bool is_elastic(const struct wi_pool *pool)
{
    return pool->set.idle_timeout != 0;
}

static unsigned least(const struct wi_pool *pool)
{
    return pool->set.min_workers < pool->set.workers ? pool->set.min_workers
                                                     : pool->set.workers;
}

void wi_size_begin(struct wi_pool *pool)
{
    pool->size = is_elastic(pool) ? least(pool) : pool->set.workers;
}

void wi_size_grow(struct wi_pool *pool)
{
    if (!is_elastic(pool) || pool->size >= pool->set.workers ||
        pool->starting > 0 || pool->active < pool->size)
        return;
    if (pool->size == least(pool))
        pool->shrink_at = wi_os_now() + pool->set.idle_timeout;
    pool->size++;
    pool->peak = pool->size;
    wi_pool_tend(pool);
}

// Whether a job stands behind another one.
static bool has_crowd(const struct wi_pool *pool)
{
    const struct wi_member *m = pool->members;
    while (m != NULL && (m->state != WI_MEMBER_READY || m->flying < 2))
        m = m->next;
    return m != NULL;
}

void wi_size_look(struct wi_pool *pool)
{
    // The alarms of one that stops have been taken back already, perhaps.
    if (!is_elastic(pool) || pool->stopping)
        return;
    if (has_crowd(pool))
        wi_size_grow(pool);
    if (pool->size <= least(pool))
        return;
    int64_t now = wi_os_now();
    if (now >= pool->shrink_at) {
        pool->size = pool->peak > least(pool) ? pool->peak : least(pool);
        pool->peak = pool->active;
        pool->shrink_at = now + pool->set.idle_timeout;
    }
    if (pool->size > least(pool))
        wi_alarm_set(&pool->shrink, pool->shrink_at);
}

int weft_process_pool_resize(weft_executor *ex, unsigned workers)
{
    wi_need(ex);
    struct wi_pool *pool = wi_pool_of(ex);
    if (pool == NULL)
        return -EINVAL;
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    if (workers == 0)
        workers = wi_os_cpu_budget();
    wi_mutex_lock(&pool->lock);
    if (workers > WI_MOST_WORKERS)
        workers = WI_MOST_WORKERS;
    // relaxed: a number; under the lock but for one that only looks
    __atomic_store_n(&pool->set.workers, workers, __ATOMIC_RELAXED);
    if (!is_elastic(pool))
        pool->size = pool->set.workers;
    else if (pool->size > pool->set.workers)
        pool->size = pool->set.workers;
    wi_dispatch(pool);
    wi_pool_tend(pool);
    wi_mutex_unlock(&pool->lock);
    return 0;
}
