// SPDX-License-Identifier: MIT
//
// All pools that were made are in one list, so that a child after fork can
// forget them: their threads are the parent's.
#include "exec/common_pool.h"

#include <stddef.h>

#include "base/fresh.h"
#include "exec/open_pools.h"
#include "exec/pool.h"

static struct wi_mutex list_lock;
static struct wi_common_pool *made;

static void forget_all(void)
{
    while (made != NULL) {
        struct wi_common_pool *pool = made;
        made = pool->next;
        *pool = (struct wi_common_pool){.next = NULL};
    }
    list_lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void watch_forks(void)
{
    wi_fresh_add(forget_all);
}

static void enlist(struct wi_common_pool *pool)
{
    wi_mutex_lock(&list_lock);
    pool->next = made;
    made = pool;
    wi_mutex_unlock(&list_lock);
}

// Others may have got the first broken one, so that stays.
static void make(struct wi_common_pool *pool,
                 const struct weft_thread_pool_options *options)
{
    if (pool->executor == NULL)
        enlist(pool);
    weft_executor *executor = weft_thread_pool_with(options);
    bool broken = wi_executor_is_broken(executor);
    wi_open_pools_remove(executor); // nobody can close it
    if (broken && pool->broken != NULL) {
        weft_executor_close(executor);
        return;
    }
    if (broken)
        pool->broken = executor;
    pool->executor = executor;
}

weft_executor *
wi_common_pool_get(struct wi_common_pool *pool,
                   const struct weft_thread_pool_options *options)
{
    wi_mutex_lock(&pool->lock);
    if (pool->executor == NULL || pool->executor == pool->broken)
        make(pool, options);
    weft_executor *executor = pool->executor;
    wi_mutex_unlock(&pool->lock);
    return executor;
}
