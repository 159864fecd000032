// SPDX-License-Identifier: MIT
//
// A thread a job, for jobs that call plain blocking functions. Threads start
// when a job finds none idle, up to the limit, and leave after a while without
// work. A job whose thread sleeps in a Weft wait lends its place: another
// thread may start meanwhile, so that jobs which wait for each other cannot
// use the limit up.
//
// Who closes a pool may unload the code that its jobs ran, so close waits for
// the threads' own end as well, destructors of thread-locals included: a thread
// that leaves joins the one that left before it, and close the last.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/text.h"
#include "base/fresh.h"
#include "exec/open_pools.h"
#include "exec/pool.h"
#include "exec/window.h"
#include "future/external.h"
#include "future/future.h"
#include "future/local.h"
#include "future/run.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/here.h"
#include "sched/overflow.h"
#include "sched/scope.h"
#include "sched/timer.h"
#include "sched/worker.h"

// UNTIDY: so many jobs come before the entries of those that were canceled are
// taken out: few beside the 65,536 generations of a record (lane.h).
// MOST_THREADS: more the kernel has no numbers for; so a limit that stands for
// none can be added to.
enum { DEFAULT_LIMIT = 64, MOST_THREADS = 1 << 22, UNTIDY = 4096 };
#define DEFAULT_IDLE 10.0

// A queued record: a hint, since a cancel may end it first.
struct entry {
    struct entry *next;
    wi_hint hint;
};

struct line {
    struct entry *first, **last;
    struct entry **untidy; // from where on what is dead has not been taken out
    unsigned fresh;        // entries since that was done
    uint64_t cancels;      // wi_task_cancels then
};

struct blocking_pool {
    weft_executor base;
    uint32_t born;          // wi_fresh_number
    struct wi_runtime mark; // what `home` of its jobs points to; runs nothing
    struct wi_mutex lock;   // for all below
    struct line lines[WI_LANES];
    unsigned picks;          // of an entry
    struct wi_task *running; // started jobs, by `sibling`
    unsigned limit;          // atomic
    unsigned threads, idle, lent, number;
    unsigned leaving;         // threads that run jobs no more
    unsigned least;           // threads that stay although they are idle
    double idle_timeout;      // seconds, of the others
    struct wi_os_cpus cpus;   // where they run
    int start_code;           // of the last start, below 0 if it failed
    struct wi_os_thread left; // the last one that did, if any_left
    bool any_left;
    size_t queued;      // entries
    size_t jobs;        // not ended
    uint64_t submitted; // of all times
    int (*initializer)(void *arg);
    int (*finalizer)(void *arg);
    void *init_arg;
    int broken;               // of the first initializer that has failed
    int end_code;             // of a finalizer that has
    bool closing, cancel_all; // cancel_all: jobs begin canceled
    struct wi_task *closer;
    uint32_t bell; // futex: rung for each job and for the end
    char name[16];
    size_t stack_size;
    struct wi_open_pool open;
};

static struct blocking_pool *pool_of_mark(struct wi_runtime *mark)
{
    return (struct blocking_pool *)((char *)mark -
                                    offsetof(struct blocking_pool, mark));
}

// Under the lock.
static bool has_no_threads(const struct blocking_pool *pool)
{
    return pool->threads + pool->leaving == 0;
}

static void ring(struct blocking_pool *pool, int sleepers)
{
    // relaxed: under the lock; the futex compares the number
    __atomic_fetch_add(&pool->bell, 1, __ATOMIC_RELAXED);
    wi_os_futex_wake(&pool->bell, sleepers, false);
}

// Threads ---------------------------------------------------------------------

// The line whose turn it is, of those that are not empty; NULL: all are.
static struct line *next_line(struct blocking_pool *pool)
{
    const uint8_t *order = wi_lane_order(++pool->picks);
    for (unsigned i = 0; i < WI_LANES; i++)
        if (pool->lines[order[i]].first != NULL)
            return &pool->lines[order[i]];
    return NULL;
}

// The next job to run, claimed; NULL: none waits. Under the lock.
static struct wi_task *pop(struct blocking_pool *pool)
{
    struct line *line;
    while ((line = next_line(pool)) != NULL) {
        struct entry *entry = line->first;
        wi_hint hint = entry->hint;
        line->first = entry->next;
        if (line->first == NULL)
            line->last = &line->first;
        if (line->untidy == &entry->next)
            line->untidy = &line->first;
        pool->queued--;
        free(entry);
        if (wi_task_claim(wi_hint_task(hint), wi_hint_gen(hint), 0))
            return wi_hint_task(hint);
    }
    return NULL;
}

// Takes out what has been canceled since the last time. Under the lock.
static void tidy(struct blocking_pool *pool, struct line *line)
{
    // relaxed: one that is missed is of this moment
    uint64_t cancels = __atomic_load_n(&wi_task_cancels, __ATOMIC_RELAXED);
    struct entry **link = line->untidy, *entry;
    if (cancels == line->cancels)
        link = line->last;
    line->cancels = cancels;
    while ((entry = *link) != NULL) {
        if (!wi_hint_is_dead(entry->hint)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        pool->queued--;
        free(entry);
    }
    line->last = line->untidy = link;
    line->fresh = 0;
}

// The last of its line. Under the lock.
static void append(struct blocking_pool *pool, struct line *line,
                   struct entry *entry)
{
    if (++line->fresh > UNTIDY)
        tidy(pool, line);
    *line->last = entry;
    line->last = &entry->next;
    pool->queued++;
}

// Sleeps until there may be a job; false: this thread has idled long enough.
static bool wait_for_bell(struct blocking_pool *pool, int64_t deadline)
{
    uint32_t bell = __atomic_load_n(&pool->bell, __ATOMIC_RELAXED);
    pool->idle++;
    wi_mutex_unlock(&pool->lock);
    int rc = wi_os_futex_wait(&pool->bell, bell, deadline, false);
    wi_mutex_lock(&pool->lock);
    pool->idle--;
    return rc == 0 || pool->queued > 0;
}

// Whether there are more threads than may be, so that the caller's has to
// leave. It may have been rung for a job: then another one is. Under the lock.
static bool is_too_many(struct blocking_pool *pool)
{
    if (pool->threads <= pool->limit + pool->lent)
        return false;
    if (pool->queued > 0)
        ring(pool, 1);
    return true;
}

// The next job for a thread, NULL if it should leave. Under the lock.
static struct wi_task *next_job(struct blocking_pool *pool)
{
    int64_t deadline = wi_deadline_in(pool->idle_timeout, __func__);
    for (;;) {
        if (is_too_many(pool))
            return NULL;
        struct wi_task *t = pop(pool);
        if (t != NULL)
            return t;
        if (pool->closing && pool->jobs == 0)
            return NULL;
        if (wait_for_bell(pool, deadline))
            continue;
        if (pool->threads > pool->least)
            return NULL;
        deadline = WI_FOREVER; // if there are ever too many, others leave
    }
}

static void run_one(struct blocking_pool *pool, struct wi_task *t)
{
    t->sibling = pool->running;
    t->sibling_link = &pool->running;
    if (t->sibling != NULL)
        t->sibling->sibling_link = &t->sibling;
    pool->running = t;
    if (pool->cancel_all)
        __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_RELAXED);
    wi_mutex_unlock(&pool->lock);
    // seq_cst: before the first look at a cancel mark; pairs with wi_mail
    __atomic_store_n(&t->owner, (uintptr_t)&wi_here | WI_THREAD,
                     __ATOMIC_SEQ_CST);
    wi_here.self = t;
    int code = wi_run_job(t);
    if (t->scope != NULL)
        wi_task_panic(t, t->scope, WI_SCOPES_OPEN);
    wi_local_leave(t);
    wi_mutex_lock(&pool->lock);
    *t->sibling_link = t->sibling;
    if (t->sibling != NULL)
        t->sibling->sibling_link = t->sibling_link;
    t->sibling = NULL;
    wi_mutex_unlock(&pool->lock);
    wi_here.self = wi_here.thread;
    wi_future_finish(t, wi_future_own_code(code));
    wi_mutex_lock(&pool->lock);
}

static void start_if_needed(struct blocking_pool *pool);

// Around each sleep of a job in Weft.
static void lend(bool begins)
{
    struct blocking_pool *pool = wi_here.pool;
    wi_mutex_lock(&pool->lock);
    pool->lent += begins ? 1 : -1u;
    if (begins)
        start_if_needed(pool);
    wi_mutex_unlock(&pool->lock);
}

// The same around each sleep of a job's own run, as far as its tasks wait for
// each other or for other jobs: what waits for descriptors keeps its place.
static void lend_idle(bool begins, bool polls)
{
    if (!polls)
        lend(begins);
}

// The next job, to be ended by the caller; NULL: there is none.
static struct wi_task *take(struct blocking_pool *pool)
{
    wi_mutex_lock(&pool->lock);
    struct wi_task *t = pop(pool);
    wi_mutex_unlock(&pool->lock);
    return t;
}

// Whether this thread may run jobs. If not, then nobody may.
static bool initialize(struct blocking_pool *pool)
{
    struct wi_task *t;
    int code =
        pool->initializer != NULL ? pool->initializer(pool->init_arg) : 0;
    if (code >= 0)
        return true;
    wi_mutex_lock(&pool->lock);
    if (pool->broken == 0)
        pool->broken = code;
    wi_mutex_unlock(&pool->lock);
    while ((t = take(pool)) != NULL)
        wi_job_drop_broken(t, code);
    return false;
}

// Under the lock, which it leaves meanwhile: a job that comes now gets another
// thread, since this one has parted with what its jobs need.
static void finalize(struct blocking_pool *pool)
{
    wi_mutex_unlock(&pool->lock);
    int code = pool->finalizer(pool->init_arg);
    wi_mutex_lock(&pool->lock);
    if (code < 0)
        pool->end_code = code;
}

// Waits for the end of the thread that left last, if there is one; the caller,
// which leaves, takes its place. Under the lock, which is given back.
static void leave(struct blocking_pool *pool, bool takes_its_place)
{
    struct wi_os_thread before = pool->left;
    bool any = pool->any_left;
    pool->any_left = takes_its_place;
    if (takes_its_place)
        pool->left = wi_os_thread_self();
    wi_mutex_unlock(&pool->lock);
    if (any)
        wi_os_thread_join(&before);
}

static void pool_thread(void *arg)
{
    struct blocking_pool *pool = arg;
    wi_self(); // the thread's own record, between jobs
    wi_worker_watch_stack();
    bool usable = initialize(pool);
    wi_here.pool = pool;
    wi_here.sleeping = lend;
    wi_here.idling = lend_idle;
    wi_mutex_lock(&pool->lock);
    struct wi_task *t;
    while (usable && (t = next_job(pool)) != NULL)
        run_one(pool, t);
    wi_here.sleeping = NULL;
    wi_here.idling = NULL;
    // What its finalizer and the destructors of its values submit comes from no
    // job, for which a pool that is being closed would stay.
    wi_here.pool = NULL;
    pool->threads--;
    pool->leaving++;
    if (usable && pool->finalizer != NULL)
        finalize(pool);
    pool->leaving--;
    bool last = pool->closing && has_no_threads(pool);
    struct wi_task *closer = pool->closer;
    wi_overflow_thread_fini();
    leave(pool, true); // the closer may free the pool
    if (last)
        wi_unpark(closer);
}

// Under the lock: one more thread if a job waits and nobody is free for it.
// Idle ones that were rung for other jobs count until they have come.
static void start_if_needed(struct blocking_pool *pool)
{
    if (pool->queued <= pool->idle || pool->threads >= pool->limit + pool->lent)
        return;
    char name[32];
    unsigned number = pool->number++;
    snprintf(name, sizeof name, "%s-%u", pool->name, number);
    struct wi_os_thread_options options = {.name = name,
                                           .stack_size = pool->stack_size};
    wi_os_thread_place(&options, &pool->cpus, number);
    struct wi_os_thread thread;
    pool->threads++;
    pool->start_code = wi_os_thread_start(&thread, pool_thread, pool, &options);
    if (pool->start_code < 0)
        pool->threads--; // those that run will come to it
}

// Submitting ------------------------------------------------------------------

static void job_ended(struct wi_runtime *mark)
{
    struct blocking_pool *pool = pool_of_mark(mark);
    wi_mutex_lock(&pool->lock);
    bool last = --pool->jobs == 0 && pool->closing;
    if (last)
        ring(pool, INT32_MAX);
    // Else the last thread tells it.
    struct wi_task *closer = last && has_no_threads(pool) ? pool->closer : NULL;
    wi_mutex_unlock(&pool->lock);
    if (closer != NULL)
        wi_unpark(closer); // frees the pool
}

// 0, or why not; or, once it is queued, why there is no thread for it.
static int enqueue(struct blocking_pool *pool, struct wi_task *t,
                   struct line *line, bool *queued)
{
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return -ENOMEM;
    *entry = (struct entry){NULL, wi_hint_of(t)};
    wi_mutex_lock(&pool->lock);
    int rc = pool->closing && wi_here.pool != pool ? -WEFT_ECLOSED
             : pool->broken < 0                    ? -WEFT_EBROKEN
                                                   : 0;
    if (rc == 0) {
        pool->submitted++;
        t->home = &pool->mark;
        append(pool, line, entry);
        pool->jobs++;
        start_if_needed(pool);
        *queued = true;
        rc = pool->threads == 0 ? pool->start_code : 0;
        ring(pool, 1);
    } else {
        free(entry);
    }
    wi_mutex_unlock(&pool->lock);
    return rc;
}

static void drop_threadless(const struct blocking_pool *pool, struct wi_task *t,
                            int code)
{
    char text[WI_POOL_TEXT];
    wi_threadless_text(text, pool->name, code, pool->cpus.list != NULL);
    wi_job_drop_why(t, code, text);
}

// t is a job's record, or a future that has failed.
static weft_future *queue(struct blocking_pool *pool, struct wi_task *t,
                          const struct weft_submit_options *options)
{
    if (t->kind != WI_KIND_JOB)
        return wi_as_future(t);
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    int priority = options != NULL ? options->priority : 0;
    bool queued = false;
    int rc = enqueue(pool, t, &pool->lines[wi_lane_of(priority)], &queued);
    if (rc < 0 && queued) {
        if (wi_task_claim(t, gen, WI_CANCELED))
            drop_threadless(pool, t, rc);
    } else if (rc == -WEFT_EBROKEN) {
        return wi_job_broken(t, pool->broken); // as it is from then on
    } else if (rc < 0) {
        return wi_job_refused(t, rc);
    }
    return wi_as_future(t);
}

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    if (wi_is_parents(pool->born))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    return queue(pool, wi_job_record(job, arg, options), options);
}

static weft_future *submit_chunk(weft_executor *ex, const struct weft_job *job,
                                 const void *in, size_t n, void *out,
                                 int *codes,
                                 const struct weft_submit_options *options)
{
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    if (wi_is_parents(pool->born))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    struct wi_task *t = wi_chunk_record(job, in, n, out, codes, options);
    return queue(pool, t, options);
}

static size_t width(weft_executor *ex)
{
    return __atomic_load_n(&((struct blocking_pool *)ex)->limit,
                           __ATOMIC_RELAXED);
}

// Closing ---------------------------------------------------------------------

static void cancel_pending(struct blocking_pool *pool)
{
    struct wi_task *t;
    while ((t = take(pool)) != NULL)
        wi_future_drop(t, -WEFT_EJOBCANCELED);
}

static void cancel_running(struct blocking_pool *pool)
{
    wi_mutex_lock(&pool->lock);
    pool->cancel_all = true;
    for (struct wi_task *t = pool->running; t != NULL; t = t->sibling) {
        __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_SEQ_CST);
        wi_unpark(t);
    }
    wi_mutex_unlock(&pool->lock);
}

static bool finished(void *arg)
{
    struct blocking_pool *pool = arg;
    wi_mutex_lock(&pool->lock);
    bool done = pool->jobs == 0 && has_no_threads(pool);
    wi_mutex_unlock(&pool->lock);
    return done;
}

static void name_jobs(void *arg, double grace)
{
    struct blocking_pool *pool = arg;
    struct wi_laggards laggards = {pool->name, grace, 0};
    wi_mutex_lock(&pool->lock);
    for (struct wi_task *t = pool->running; t != NULL; t = t->sibling)
        wi_laggards_add(&laggards, t);
    wi_mutex_unlock(&pool->lock);
    wi_laggards_end(&laggards);
}

static void cancel_all(void *pool)
{
    cancel_pending(pool);
    cancel_running(pool);
}

static int close_pool(weft_executor *ex,
                      const struct weft_close_options *options)
{
    static const struct wi_drain how = {finished, cancel_all, name_jobs};
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    wi_require_in("weft_executor_close", wi_here.pool != pool, ex,
                  "a pool cannot be closed by one of its own jobs");
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    wi_open_pools_remove(ex);
    wi_mutex_lock(&pool->lock);
    pool->closer = wi_self();
    pool->closing = true;
    ring(pool, INT32_MAX);
    wi_mutex_unlock(&pool->lock);
    if (options->mode != WEFT_CLOSE_DRAIN)
        cancel_pending(pool);
    if (options->mode == WEFT_CLOSE_CANCEL_ALL)
        cancel_running(pool);
    int rc = wi_pool_drain(pool, options, &how);
    cancel_pending(pool); // entries of jobs that ended before any thread came
    wi_mutex_lock(&pool->lock);
    leave(pool, false);
    rc = rc < 0 ? rc : pool->end_code;
    free(pool->cpus.list);
    free(pool);
    return rc;
}

static size_t jobs_under_way(weft_executor *ex)
{
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    size_t jobs = wi_open_pools_read(&pool->lock, &pool->jobs);
    return jobs > 0 && wi_here.pool == pool ? jobs - 1 : jobs;
}

static const struct weft_executor_ops blocking_ops = {
    .size = sizeof blocking_ops,
    .kind = "blocking thread pool",
    .submit = submit,
    .submit_chunk = submit_chunk,
    .width = width,
    .close = close_pool,
};

static bool is_own(weft_executor *pool)
{
    return wi_here.pool == (struct blocking_pool *)pool;
}

static unsigned limit_of(unsigned workers)
{
    if (workers == 0)
        return DEFAULT_LIMIT;
    return workers < MOST_THREADS ? workers : MOST_THREADS;
}

weft_executor *wi_blocking_pool(const struct weft_thread_pool_options *options)
{
    wi_fresh_in_use();
    struct blocking_pool *pool =
        aligned_alloc(64, (sizeof *pool + 63) & ~(size_t)63);
    if (pool == NULL)
        return wi_broken_executor(-ENOMEM);
    memset(pool, 0, sizeof *pool);
    int rc = wi_pool_cpus(&pool->cpus, options);
    if (rc < 0) {
        free(pool);
        return wi_threadless_executor(options, "blocking", rc);
    }
    pool->base.ops = &blocking_ops;
    pool->born = wi_fresh_number;
    pool->mark.job_ended = job_ended;
    for (unsigned i = 0; i < WI_LANES; i++)
        pool->lines[i].last = pool->lines[i].untidy = &pool->lines[i].first;
    pool->limit = limit_of(options->workers);
    pool->least = options->min_workers;
    pool->idle_timeout =
        options->idle_timeout != 0 ? options->idle_timeout : DEFAULT_IDLE;
    pool->stack_size = options->stack_size;
    pool->initializer = options->initializer;
    pool->finalizer = options->finalizer;
    pool->init_arg = options->init_arg;
    wi_text_copy(pool->name, sizeof pool->name,
                 options->name != NULL ? options->name : "blocking");
    wi_open_pools_add(&pool->open, &pool->base, pool->name, jobs_under_way);
    return wi_window(&pool->base, is_own, options);
}

int wi_blocking_pool_resize(weft_executor *ex, unsigned workers)
{
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    if (ex->ops != &blocking_ops)
        return -EINVAL;
    if (wi_is_parents(pool->born))
        return -WEFT_EFORKED;
    wi_mutex_lock(&pool->lock);
    // relaxed: read without the lock by width alone
    __atomic_store_n(&pool->limit, workers, __ATOMIC_RELAXED);
    // More may begin now; those that are too many leave.
    for (size_t i = 0; i < pool->queued && i < workers; i++)
        start_if_needed(pool);
    ring(pool, INT32_MAX);
    wi_mutex_unlock(&pool->lock);
    return 0;
}

bool wi_blocking_pool_tell(weft_executor *ex,
                           struct weft_thread_pool_stats *stats)
{
    struct blocking_pool *pool = (struct blocking_pool *)ex;
    if (ex->ops != &blocking_ops)
        return false;
    wi_mutex_lock(&pool->lock);
    stats->workers = pool->threads;
    stats->idle = pool->idle;
    stats->pending = pool->queued;
    stats->submitted = pool->submitted;
    stats->ended = pool->submitted - pool->jobs;
    wi_mutex_unlock(&pool->lock);
    return true;
}
