// SPDX-License-Identifier: MIT
//
// Executors by number, so that one can travel in a job's argument.
#include <weft/executor.h>

#include <errno.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "exec/pool.h"
#include "os/report.h"
#include "process/handle.h"
#include "process/pool.h"

weft_executor *(*wi_executor_open_remote)(uint64_t id);
uint64_t (*wi_executor_id_remote)(weft_executor *ex);

uint64_t weft_executor_id(weft_executor *ex)
{
    wi_need(ex);
    while (strcmp(ex->ops->kind, "bound") == 0)
        ex = ((struct weft_bound_executor *)ex)->target;
    uint64_t id = wi_pool_id(ex);
    if (id == 0 && wi_executor_id_remote != NULL)
        id = wi_executor_id_remote(ex);
    return id;
}

weft_executor *weft_executor_open(uint64_t id)
{
    if (wi_executor_open_remote != NULL)
        return wi_executor_open_remote(id);
    if (wi_forked())
        return wi_broken_executor(-WEFT_EFORKED);
    weft_executor *ex = NULL;
    wi_mutex_lock(&wi_pools_lock);
    for (struct wi_pool *pool = wi_pools; pool != NULL; pool = pool->next)
        if (pool->id == id)
            ex = &pool->base;
    wi_mutex_unlock(&wi_pools_lock);
    return ex != NULL ? ex : wi_broken_executor(-ESRCH);
}
