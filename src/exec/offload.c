// SPDX-License-Identifier: MIT
//
// offload.c: calls that block their thread. Single ones are jobs of one
// blocking pool of the process, made at the first call; regions stay where they
// are, and the watchdog has a spare stand in for their worker.
#include <weft/executor.h>

#include <errno.h>
#include <string.h>

#include <weft/error.h>

#include "base/options.h"
#include "exec/common_pool.h"
#include "future/future.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/park.h"
#include "sched/watchdog.h"

struct call {
    weft_function *fn;
    void *arg;
};

static struct wi_common_pool pool;
static unsigned limit; // atomic: what the pool is made with; 0: its own limit

static weft_executor *the_pool(void)
{
    // relaxed: who sets it while another one comes first is not told which
    return wi_common_pool_get(
        &pool,
        WEFT_OPTIONS(weft_thread_pool_options, .name = "blocking",
                     .blocking = true,
                     .workers = __atomic_load_n(&limit, __ATOMIC_RELAXED)));
}

int weft_blocking_limit(unsigned threads)
{
    int rc = -EINVAL;

    if (threads == 0)
        return rc;
    wi_mutex_lock(&pool.lock);
    rc = pool.executor != NULL ? -EBUSY : 0;
    if (rc == 0)
        __atomic_store_n(&limit, threads, __ATOMIC_RELAXED);
    wi_mutex_unlock(&pool.lock);
    return rc;
}

WEFT_JOB(int, wi_blocking, struct call, call)
{
    return call.fn(call.arg);
}

// fn has failed as a job, or the wait has ended before it, for the reason
// `why`: the caller's scopes, or a cycle. Of that another one is told, as fn
// has the caller's memory.
static int wait_on(weft_future *f, int why, bool abandon)
{
    bool scopes = wi_future_gave_up(why);
    int code = 0, rc;

    if (scopes)
        weft_cancel(f);
    if (scopes && abandon)
        return why;
    wi_future_await(wi_of_future(f));
    rc = wi_future_take(wi_of_future(f), &code, sizeof code);
    return rc < 0 ? why : code;
}

int weft_blocking_with(weft_function *fn, void *arg,
                       const struct weft_blocking_options *options)
{
    WI_OPTIONS(options);
    wi_require(fn != NULL, NULL, "the function must not be NULL");
    int code = 0, rc = wi_check_scopes();
    weft_future *f;

    if (rc < 0)
        return rc;
    if (wi_here.worker == NULL)
        return fn(arg);
    f = weft_submit(weft_executor_with(the_pool(), .name = options->name),
                    wi_blocking, .fn = fn, .arg = arg);
    rc = weft_get(f, &code);
    if (rc < 0)
        code = wait_on(f, rc, options->abandon);
    weft_future_unref(f);
    return code;
}

void weft_blocking_begin(void)
{
    if (wi_here.worker != NULL)
        wi_watchdog_region_begin(wi_here.worker);
}

void weft_blocking_end(void)
{
    wi_require(wi_here.worker == NULL || wi_watchdog_region_end(wi_here.worker),
               wi_here.worker, "weft_blocking_end without weft_blocking_begin");
}
