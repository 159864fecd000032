// SPDX-License-Identifier: MIT
//
// What a pool tells about itself.
#include <errno.h>
#include <string.h>

#include <weft/error.h>
#include <weft/process_pool.h>

#include "base/fresh.h"
#include "os/clock.h"
#include "os/report.h"
#include "process/pool.h"

void wi_stats_end(struct wi_pool *pool, int code)
{
    struct wi_counts *counts = &pool->counts;
    switch (code) {
    case -WEFT_ECRASHED:
        counts->crashed++;
        break;
    case -WEFT_EJOBCANCELED:
        counts->canceled++;
        break;
    case -WEFT_EJOBTIMEOUT:
        counts->overran++;
        break;
    default:
        if (code < 0)
            counts->failed++;
        else
            counts->done++;
    }
}

static void fill(struct wi_pool *pool, struct weft_process_pool_stats *stats)
{
    const struct wi_counts *counts = &pool->counts;
    *stats = (struct weft_process_pool_stats){
        .workers = pool->alive,
        .starting = pool->starting,
        .waiting = pool->blocked,
        .pending = pool->pending,
        .running = pool->jobs - pool->pending,
        .submitted = counts->submitted,
        .done = counts->done,
        .failed = counts->failed,
        .crashed = counts->crashed,
        .canceled = counts->canceled,
        .overran = counts->overran,
        .retried = counts->retried,
        .started = counts->started,
        .died = counts->died,
    };
    for (struct wi_member *m = pool->idle; m != NULL; m = m->idle_next)
        stats->idle++;
}

int weft_process_pool_stats(weft_executor *ex,
                            struct weft_process_pool_stats *stats)
{
    wi_need(ex);
    wi_need(stats);
    struct wi_pool *pool = wi_pool_of(ex);
    struct weft_process_pool_stats now;
    size_t size = stats->size;
    if (pool == NULL)
        return -EINVAL;
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    wi_mutex_lock(&pool->lock);
    fill(pool, &now);
    wi_mutex_unlock(&pool->lock);
    memcpy(stats, &now, size < sizeof now ? size : sizeof now);
    stats->size = size;
    return 0;
}

static enum weft_worker_state state_of(const struct wi_member *m)
{
    if (m->state == WI_MEMBER_LOST)
        return WEFT_WORKER_DEAD;
    if (m->retiring)
        return WEFT_WORKER_LEAVING;
    if (m->state == WI_MEMBER_STARTING)
        return WEFT_WORKER_STARTING;
    if (m->blocked)
        return WEFT_WORKER_WAITING;
    return m->flying > 0 ? WEFT_WORKER_BUSY : WEFT_WORKER_IDLE;
}

static struct weft_worker_stats stats_of(const struct wi_member *m)
{
    struct weft_worker_stats stats = {.pid = m->child.pid,
                                      .state = state_of(m),
                                      .jobs = m->served,
                                      .queued = m->flying,
                                      .mean = m->mean * 1e-9};
    if (m->born != 0)
        stats.age = (double)(wi_os_now() - m->born) * 1e-9;
    // It may have ended, but while it is not reaped its number is its own.
    if (m->child.pid != 0 && !m->reaped) {
        stats.rss = wi_os_child_rss(&m->child);
        stats.cpu = wi_os_child_cpu(&m->child);
    }
    return stats;
}

ssize_t weft_process_pool_workers(weft_executor *ex,
                                  struct weft_worker_stats *workers, size_t n)
{
    wi_need(ex);
    wi_need_some(workers, n);
    struct wi_pool *pool = wi_pool_of(ex);
    size_t count = 0;
    if (pool == NULL)
        return -EINVAL;
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    wi_mutex_lock(&pool->lock);
    for (struct wi_member *m = pool->members; m != NULL; m = m->next) {
        if (count < n)
            workers[count] = stats_of(m);
        count++;
    }
    wi_mutex_unlock(&pool->lock);
    return (ssize_t)count;
}
