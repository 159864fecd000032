// SPDX-License-Identifier: MIT
//
// A thread pool is a runtime whose workers are all threads of its own. Jobs
// are queued as unstarted records and go to whichever worker is free first.
//
// Closing needs to know when the last job has ended. Submits and ends are
// counted, those of a worker in the worker, others in the pool; only once the
// pool is closing does an end look at the sums.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/executor.h>
#include <weft/task.h>

#include "arch/arch.h"
#include "base/cold.h"
#include "base/fresh.h"
#include "base/options.h"
#include "exec/open_pools.h"
#include "exec/pool.h"
#include "exec/window.h"
#include "future/external.h"
#include "future/future.h"
#include "future/group.h"
#include "future/run.h"
#include "os/cpu.h"
#include "os/report.h"
#include "sched/idle.h"
#include "sched/scope.h"
#include "sched/watchdog.h"

enum closed {
    OPEN = 0,
    BROKEN,  // an initializer has failed
    CLOSING, // somebody waits for the last end
};

struct thread_pool {
    weft_executor base;
    struct wi_runtime *runtime;
    uint32_t born;          // wi_fresh_number
    uint32_t closed;        // atomic: enum closed
    struct wi_task *closer; // who waits for the last end
    struct wi_mutex lock;   // held by an end outside the pool's threads
    struct wi_os_cpus cpus; // where its threads run
    int (*initializer)(void *arg);
    int (*finalizer)(void *arg);
    void *init_arg;
    struct wi_task *starter; // atomic: who waits for the initializers
    bool resizing;           // atomic
    unsigned begun;          // atomic: initializers that have ended
    int init_code;           // atomic: of one that failed
    int end_code;            // atomic: of a finalizer that failed
    bool usable; // atomic: the initializers of the first threads are through
    // atomic: not by workers; of the submits, those that the injector had no
    // room for
    uint64_t submitted, ended;
    struct wi_open_pool open;
};

// The worker of the pool that calls, or NULL.
static inline struct wi_worker *own_worker(const struct thread_pool *pool)
{
    struct wi_worker *worker = wi_here.worker;
    return worker != NULL && worker->runtime == pool->runtime ? worker : NULL;
}

// Whether a job of the pool calls, maybe from a run of its own on its thread.
static bool is_within(const struct thread_pool *pool)
{
    struct wi_worker *worker = wi_here.worker;
    while (worker != NULL && worker->runtime != pool->runtime)
        worker = worker->outer;
    return worker != NULL;
}

static struct wi_worker *worker_at(struct thread_pool *pool, unsigned i)
{
    // seq_cst: after CLOSING; pairs with add_worker in runtime.c
    return i < WI_MAX_LIVE
               ? __atomic_load_n(&pool->runtime->workers[i], __ATOMIC_SEQ_CST)
               : NULL;
}

static uint64_t count_ended(struct thread_pool *pool)
{
    // seq_cst, both: after CLOSING; pairs with job_ended
    uint64_t n = __atomic_load_n(&pool->ended, __ATOMIC_SEQ_CST);
    struct wi_worker *worker;
    for (unsigned i = 0; (worker = worker_at(pool, i)) != NULL; i++)
        n += __atomic_load_n(&worker->ended, __ATOMIC_SEQ_CST);
    return n;
}

static uint64_t count_submitted(struct thread_pool *pool)
{
    // relaxed, all: what was seen to end was counted before it was queued
    uint64_t n = __atomic_load_n(&pool->submitted, __ATOMIC_RELAXED) +
                 __atomic_load_n(&pool->runtime->injected, __ATOMIC_RELAXED);
    struct wi_worker *worker;
    for (unsigned i = 0; (worker = worker_at(pool, i)) != NULL; i++)
        n += __atomic_load_n(&worker->submitted, __ATOMIC_RELAXED);
    return n;
}

// Ends first: a job that is submitted and ends between the two sums makes
// them differ, never equal.
static bool all_ended(void *arg)
{
    struct thread_pool *pool = arg;
    uint64_t ended = count_ended(pool);
    return ended == count_submitted(pool);
}

static size_t jobs_under_way(weft_executor *ex)
{
    struct thread_pool *pool = (struct thread_pool *)ex;
    uint64_t ended = count_ended(pool), submitted = count_submitted(pool);
    if (is_within(pool))
        ended++; // the one that exits
    return submitted > ended ? submitted - ended : 0;
}

// The closer may free the pool once the last end is counted. One of the pool's
// own threads may still look at it after that, since the closer joins those
// first; an end anywhere else (a cancel of an unstarted job) holds the lock,
// which the closer takes once before it goes on.
static void job_ended(struct wi_runtime *runtime)
{
    struct thread_pool *pool = runtime->executor;
    struct wi_worker *own = own_worker(pool);
    if (own == NULL)
        wi_mutex_lock(&pool->lock);
    // seq_cst, both: either we see CLOSING, or the closer sees our count;
    // pairs with the store of CLOSING and the sums after it
    __atomic_fetch_add(own != NULL ? &own->ended : &pool->ended, 1,
                       __ATOMIC_SEQ_CST);
    struct wi_task *closer = NULL;
    if (__atomic_load_n(&pool->closed, __ATOMIC_SEQ_CST) == CLOSING)
        closer = pool->closer;
    if (own == NULL)
        wi_mutex_unlock(&pool->lock);
    if (closer != NULL)
        wi_unpark(closer);
}

// 0, or why nothing more is taken.
static inline int may_submit(struct thread_pool *pool)
{
    uint32_t closed = __atomic_load_n(&pool->closed, __ATOMIC_ACQUIRE);
    if (WI_LIKELY(closed == OPEN))
        return 0;
    if (closed == BROKEN)
        return -WEFT_EBROKEN;
    return is_within(pool) ? 0 : -WEFT_ECLOSED;
}

// Of the calling worker. relaxed: sums are taken after CLOSING, see all_ended
static inline void count_submit(struct wi_worker *own)
{
    __atomic_store_n(&own->submitted, own->submitted + 1, __ATOMIC_RELAXED);
}

// Queues it, and sees that it is counted once, as its end will be: a worker of
// the pool counts by itself before it queues; for others the injector counts
// what comes through it, and here is counted what it had no room for.
static inline int queue_counted(struct thread_pool *pool, struct wi_task *t,
                                unsigned lane)
{
    struct wi_worker *own = own_worker(pool);
    if (own != NULL && lane == WI_LANE_USUAL) {
        count_submit(own);
        return wi_worker_submit(own, t);
    }
    int rc = wi_runtime_submit_lane(pool->runtime, t, lane);
    if (WI_RARELY(rc < 0))
        __atomic_fetch_add(&pool->submitted, 1, __ATOMIC_RELAXED);
    return rc;
}

// No memory for its place in the queue.
static WI_COLD void drop_unqueued(struct wi_task *t, int rc)
{
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    if (wi_task_claim(t, gen, WI_CANCELED))
        wi_future_drop(t, rc);
}

static WI_COLD weft_future *refuse(struct thread_pool *pool, struct wi_task *t,
                                   int code)
{
    // relaxed: written before BROKEN
    return code == -WEFT_EBROKEN
               ? wi_job_broken(
                     t, __atomic_load_n(&pool->init_code, __ATOMIC_RELAXED))
               : wi_job_refused(t, code);
}

// t is a job's record, or a future that has failed.
static WI_MERGED weft_future *queue(struct thread_pool *pool, struct wi_task *t,
                                    const struct weft_submit_options *options)
{
    unsigned lane = WI_LANE_USUAL;
    if (WI_RARELY(t->kind != WI_KIND_JOB))
        return wi_as_future(t);
    int rc = may_submit(pool);
    if (WI_RARELY(rc < 0))
        return refuse(pool, t, rc);
    if (options != NULL) {
        lane = wi_lane_of(options->priority);
        if (options->migrate && WI_ARCH_ROAMS)
            t->flags |= WI_ROAMS;
    }
    t->home = pool->runtime;
    rc = queue_counted(pool, t, lane);
    if (WI_RARELY(rc < 0))
        drop_unqueued(t, rc);
    return wi_as_future(t);
}

static __attribute__((noinline)) weft_future *
submit_any(weft_executor *ex, const struct weft_job *job, const void *arg,
           const struct weft_submit_options *options)
{
    struct thread_pool *pool = (struct thread_pool *)ex;
    if (WI_RARELY(wi_is_parents(pool->born)))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    return queue(pool, wi_job_record(job, arg, options), options);
}

static WI_COLD weft_future *wake_for(struct wi_runtime *runtime, weft_future *f)
{
    wi_runtime_wake_idle(runtime);
    return f;
}

// The usual submit by a job of the pool is done here, as queue_counted does it,
// with nothing that could fail after it has begun. A child by fork() has no
// record at hand.
static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct thread_pool *pool = (struct thread_pool *)ex;
    struct wi_this_thread *here = &wi_here;
    struct wi_worker *own = own_worker(pool);
    if (own == NULL || options != NULL ||
        WI_RARELY(may_submit(pool) < 0 || !wi_job_record_at_hand(here, job) ||
                  !wi_deque_has_room(&own->jobs)))
        return submit_any(ex, job, arg, options);
    struct wi_task *t = wi_job_record_take(here, job, arg);
    t->home = own->runtime;
    count_submit(own);
    wi_deque_put(&own->jobs, wi_hint_of(t));
    return wi_worker_may_wake(own) ? wake_for(own->runtime, wi_as_future(t))
                                   : wi_as_future(t);
}

static weft_future *submit_chunk(weft_executor *ex, const struct weft_job *job,
                                 const void *in, size_t n, void *out,
                                 int *codes,
                                 const struct weft_submit_options *options)
{
    struct thread_pool *pool = (struct thread_pool *)ex;
    if (wi_is_parents(pool->born))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    struct wi_task *t = wi_chunk_record(job, in, n, out, codes, options);
    return queue(pool, t, options);
}

static size_t width(weft_executor *ex)
{
    return wi_runtime_count(((struct thread_pool *)ex)->runtime);
}

// Closing ---------------------------------------------------------------------

// A started job: it has to end by itself.
static void cancel_started(struct wi_task *t, void *arg)
{
    (void)arg;
    wi_future_cancel(t);
}

static void cancel_as_asked(struct thread_pool *pool, enum weft_close_mode mode)
{
    if (mode != WEFT_CLOSE_DRAIN)
        wi_runtime_drop_unstarted(pool->runtime, wi_future_drop,
                                  -WEFT_EJOBCANCELED);
    if (mode != WEFT_CLOSE_CANCEL_ALL)
        return;
    // relaxed: the locks of the lists of jobs order it
    __atomic_store_n(&pool->runtime->cancel_all, 1, __ATOMIC_RELAXED);
    wi_runtime_each_job(pool->runtime, cancel_started, NULL);
}

static void cancel_all(void *pool)
{
    cancel_as_asked(pool, WEFT_CLOSE_CANCEL_ALL);
}

static void name_job(struct wi_task *t, void *laggards)
{
    wi_laggards_add(laggards, t);
}

static void name_jobs(void *arg, double grace)
{
    struct thread_pool *pool = arg;
    struct wi_laggards laggards = {pool->runtime->name, grace, 0};
    wi_runtime_each_job(pool->runtime, name_job, &laggards);
    wi_laggards_end(&laggards);
}

static void free_pool(struct thread_pool *pool)
{
    if (pool->runtime != NULL && pool->runtime->root != NULL)
        wi_group_end(pool->runtime->root);
    if (pool->runtime != NULL)
        wi_runtime_free(pool->runtime);
    free(pool->cpus.list);
    free(pool);
}

// Cancels as the mode says, and waits for the last end. 0 or -ETIMEDOUT.
static int drain(struct thread_pool *pool,
                 const struct weft_close_options *options)
{
    static const struct wi_drain how = {all_ended, cancel_all, name_jobs};
    cancel_as_asked(pool, options->mode);
    return wi_pool_drain(pool, options, &how);
}

// What is left of the time that a close has, after the first of two drains has
// ended with rc.
static struct weft_close_options options_left(struct weft_close_options options,
                                              double began, int rc)
{
    if (rc < 0)
        options.mode = WEFT_CLOSE_CANCEL_ALL;
    if (rc < 0 || options.deadline == 0)
        options.deadline = 0;
    else if ((options.deadline -= weft_now() - began) <= 0)
        options.deadline = -1; // which is at once
    return options;
}

// First the jobs; then the tasks that jobs have left behind, which are canceled
// and may submit more on their way out; then those, which find no group for
// tasks of their own.
static int drain_all(struct thread_pool *pool,
                     const struct weft_close_options *options)
{
    double began = weft_now();
    int rc = drain(pool, options);
    wi_group_finish(pool->runtime->root);
    const struct weft_close_options left = options_left(*options, began, rc);
    int last = drain(pool, &left);
    return rc < 0 ? rc : last;
}

static int close_pool(weft_executor *ex,
                      const struct weft_close_options *options)
{
    struct thread_pool *pool = (struct thread_pool *)ex;
    wi_require_in("weft_executor_close", !is_within(pool), ex,
                  "a pool cannot be closed by one of its own jobs");
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    wi_open_pools_remove(ex);
    pool->closer = wi_self();
    // seq_cst: before the sums; pairs with job_ended
    __atomic_store_n(&pool->closed, CLOSING, __ATOMIC_SEQ_CST);
    int rc = drain_all(pool, options);
    wi_mutex_lock(&pool->lock); // let the last end outside be done with it
    wi_mutex_unlock(&pool->lock);
    wi_runtime_stop(pool->runtime, 0);
    rc = rc < 0 ? rc : pool->end_code;
    free_pool(pool);
    return rc;
}

// What it tells ---------------------------------------------------------------

static const struct weft_executor_ops thread_pool_ops;

static void tell(struct thread_pool *pool, struct weft_thread_pool_stats *stats)
{
    struct wi_runtime *runtime = pool->runtime;
    unsigned live = wi_runtime_live(runtime);
    stats->workers = wi_runtime_count(runtime);
    stats->spares = live > stats->workers ? live - stats->workers : 0;
    // relaxed, all: figures of some moment
    stats->ended = count_ended(pool);
    stats->submitted = count_submitted(pool);
    stats->migrations =
        __atomic_load_n(&runtime->roamers.moves, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < WI_LANES; i++)
        stats->pending += wi_lane_waiting(&runtime->lanes[i]);
    for (unsigned i = 0; i < live; i++) {
        struct wi_deque *jobs = &runtime->workers[i]->jobs;
        stats->pending += wi_deque_has_living(jobs) ? wi_deque_count(jobs) : 0;
    }
    for (unsigned i = 0; i * 64 < live; i++) {
        uint64_t mask = __atomic_load_n(&runtime->idle[i], __ATOMIC_RELAXED);
        for (; mask != 0; mask &= mask - 1)
            stats->idle++;
    }
}

int weft_thread_pool_stats(weft_executor *ex,
                           struct weft_thread_pool_stats *stats)
{
    wi_need(stats);
    struct weft_thread_pool_stats all = {.size = stats->size};
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    ex = wi_window_inner(wi_executor_unbound(ex, NULL));
    if (ex->ops == &thread_pool_ops)
        tell((struct thread_pool *)ex, &all);
    else if (!wi_blocking_pool_tell(ex, &all))
        return -EINVAL;
    memcpy(stats, &all, stats->size < sizeof all ? stats->size : sizeof all);
    return 0;
}

static const struct weft_executor_ops thread_pool_ops = {
    .size = sizeof thread_pool_ops,
    .kind = "thread pool",
    .submit = submit,
    .submit_chunk = submit_chunk,
    .width = width,
    .close = close_pool,
};

// Initializers ----------------------------------------------------------------

// One that was started late has failed: the pool takes no more, and what waits
// fails.
static void break_pool(struct thread_pool *pool, int cause)
{
    uint32_t open = OPEN;
    // acq_rel: pairs with may_submit
    if (__atomic_compare_exchange_n(&pool->closed, &open, BROKEN, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        wi_runtime_drop_unstarted(pool->runtime, wi_job_drop_broken, cause);
}

// In a new thread of the pool.
static int begin_thread(struct wi_runtime *runtime)
{
    struct thread_pool *pool = runtime->executor;
    int code = pool->initializer(pool->init_arg);
    if (code < 0)
        // relaxed: ordered by the count
        __atomic_store_n(&pool->init_code, code, __ATOMIC_RELAXED);
    // acquire: pairs with the store in await_threads
    if (code < 0 && __atomic_load_n(&pool->usable, __ATOMIC_ACQUIRE))
        break_pool(pool, code);
    // seq_cst, both: either we see who waits just now, or that one sees our
    // count; pairs with resize and await_threads. The pool stays until this
    // thread is joined.
    __atomic_fetch_add(&pool->begun, 1, __ATOMIC_SEQ_CST);
    wi_unpark(__atomic_load_n(&pool->starter, __ATOMIC_SEQ_CST));
    return code;
}

// Last in a thread of the pool.
static void end_thread(struct wi_runtime *runtime)
{
    struct thread_pool *pool = runtime->executor;
    int code = pool->finalizer(pool->init_arg);
    if (code < 0)
        // relaxed: read once the threads have ended
        __atomic_store_n(&pool->end_code, code, __ATOMIC_RELAXED);
}

// Waits until the initializers of n threads have ended. 0 or -WEFT_EBROKEN.
static int await_threads(struct thread_pool *pool, unsigned n)
{
    const struct wi_wait wait = {
        .object = pool, .deadline = WI_FOREVER, .kind = WI_WAIT_POOL};
    // seq_cst: after `starter`; pairs with begin_thread
    while (__atomic_load_n(&pool->begun, __ATOMIC_SEQ_CST) < n)
        wi_park(&wait);
    return __atomic_load_n(&pool->init_code, __ATOMIC_RELAXED) == 0
               ? 0
               : -WEFT_EBROKEN;
}

static int start_threads(struct thread_pool *pool, const char *name)
{
    if (pool->initializer == NULL)
        return wi_runtime_start(pool->runtime, 0, name);
    pool->starter = wi_self();
    if (pool->starter == NULL)
        return -ENOMEM;
    pool->runtime->begin = begin_thread;
    int rc = wi_runtime_start(pool->runtime, 0, name);
    if (rc < 0)
        return rc;
    rc = await_threads(pool, pool->runtime->count);
    if (rc < 0)
        wi_runtime_stop(pool->runtime, 0);
    // release: pairs with the load in begin_thread
    __atomic_store_n(&pool->usable, rc == 0, __ATOMIC_RELEASE);
    return rc;
}

static unsigned count_workers(const struct thread_pool *pool,
                              const struct weft_thread_pool_options *options)
{
    size_t cpus = pool->cpus.count, n = options->workers;
    if (n == 0) {
        n = wi_os_cpu_budget();
        n = cpus > 0 && cpus < n ? cpus : n;
    }
    return n < WI_MAX_WORKERS ? (unsigned)n : WI_MAX_WORKERS;
}

static int start_pool(struct thread_pool *pool,
                      const struct weft_thread_pool_options *options)
{
    int rc = wi_pool_cpus(&pool->cpus, options);
    if (rc == 0)
        rc = wi_runtime_new(&pool->runtime, count_workers(pool, options), false,
                            options->stack_size, wi_run_body);
    if (rc < 0) {
        pool->runtime = NULL;
        return rc;
    }
    pool->runtime->root = wi_group_new_detached();
    if (pool->runtime->root == NULL)
        return -ENOMEM;
    pool->runtime->executor = pool;
    pool->runtime->cpus = &pool->cpus;
    pool->runtime->job_ended = job_ended;
    pool->runtime->end = options->finalizer != NULL ? end_thread : NULL;
    pool->initializer = options->initializer;
    pool->finalizer = options->finalizer;
    pool->init_arg = options->init_arg;
    return start_threads(pool, options->name != NULL ? options->name : "pool");
}

// Changing its size -----------------------------------------------------------

static int resize(struct thread_pool *pool, unsigned workers)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    // seq_cst: before the look at the count; a spare's initializer may be
    // ending just now. Pairs with begin_thread
    __atomic_store_n(&pool->starter, self, __ATOMIC_SEQ_CST);
    int rc = wi_watchdog_resize(pool->runtime, workers);
    if (rc < 0 || pool->initializer == NULL)
        return rc;
    return await_threads(pool, wi_runtime_live(pool->runtime));
}

static int resize_alone(struct thread_pool *pool, unsigned workers)
{
    // acq_rel: one after the other
    if (__atomic_exchange_n(&pool->resizing, true, __ATOMIC_ACQ_REL))
        return -EBUSY;
    int rc = resize(pool, workers);
    __atomic_store_n(&pool->resizing, false, __ATOMIC_RELEASE);
    return rc;
}

int weft_thread_pool_resize(weft_executor *ex, unsigned workers)
{
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    ex = wi_window_inner(wi_executor_unbound(ex, NULL));
    if (workers == 0 || workers > WI_MAX_WORKERS)
        return -EINVAL;
    if (wi_forked())
        return -WEFT_EFORKED;
    if (ex->ops != &thread_pool_ops)
        return wi_blocking_pool_resize(ex, workers);
    struct thread_pool *pool = (struct thread_pool *)ex;
    return wi_is_parents(pool->born) ? -WEFT_EFORKED
                                     : resize_alone(pool, workers);
}

static bool is_own(weft_executor *pool)
{
    return is_within((struct thread_pool *)pool);
}

// Says why each submit to it will fail, and gives it back.
static weft_executor *
cannot_start(struct thread_pool *pool,
             const struct weft_thread_pool_options *options, int rc)
{
    char text[WI_POOL_TEXT];
    int cause = pool->init_code;
    free_pool(pool);
    if (rc != -WEFT_EBROKEN)
        return wi_threadless_executor(options, "pool", rc);
    wi_broken_text(text, cause);
    return wi_broken_executor_why(rc, text);
}

weft_executor *
weft_thread_pool_with(const struct weft_thread_pool_options *options)
{
    WI_OPTIONS(options);
    if (wi_forked())
        return wi_broken_executor(-WEFT_EFORKED);
    if (options->blocking)
        return wi_blocking_pool(options);
    struct thread_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return wi_broken_executor(-ENOMEM);
    pool->base.ops = &thread_pool_ops;
    pool->born = wi_fresh_number;
    int rc = start_pool(pool, options);
    if (rc < 0)
        return cannot_start(pool, options, rc);
    wi_open_pools_add(&pool->open, &pool->base,
                      options->name != NULL ? options->name : "pool",
                      jobs_under_way);
    return wi_window(&pool->base, is_own, options);
}
