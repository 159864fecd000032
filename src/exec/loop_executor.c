// SPDX-License-Identifier: MIT
//
// Jobs as tasks of an event loop. The loop's own queue keeps their order; the
// executor only remembers what has not ended, so that close can cancel it and
// wait for it: in lists by how far each is, as close may find very many of
// which it wants none, or none any more.
#include <weft/work.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/future.h>

#include "base/fresh.h"
#include "exec/pool.h"
#include "future/external.h"
#include "future/run.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/worker.h"

struct loop_executor;

// One job that has not ended.
struct entry {
    struct entry *next, **link; // under the executor's lock
    struct loop_executor *of;
    weft_work *work;
    weft_future *f;
    struct wi_task *runner; // NULL: it has not begun
    bool asked;             // to cancel
};

enum { WAITING, BEGUN, ASKED, LISTS };

struct loop_executor {
    weft_executor base;
    struct wi_runtime *runtime;
    uint32_t born;        // wi_fresh_number
    struct wi_mutex lock; // for all below
    struct entry *lists[LISTS];
    size_t count; // of entries
    bool closing;
    bool cancel_all; // what comes is canceled
    struct wi_task *closer;
};

static void enlist(struct entry *e, struct entry **list)
{
    e->next = *list;
    e->link = list;
    if (e->next != NULL)
        e->next->link = &e->next;
    *list = e;
}

static void unlist(struct entry *e)
{
    *e->link = e->next;
    if (e->next != NULL)
        e->next->link = e->link;
}

// Whether it is to be canceled.
static bool add(struct loop_executor *ex, struct entry *e)
{
    wi_mutex_lock(&ex->lock);
    e->asked = ex->cancel_all;
    enlist(e, &ex->lists[e->asked ? ASKED : WAITING]);
    ex->count++;
    wi_mutex_unlock(&ex->lock);
    return e->asked;
}

static void begin(struct entry *e)
{
    struct loop_executor *ex = e->of;
    wi_mutex_lock(&ex->lock);
    e->runner = wi_self();
    if (!e->asked) {
        unlist(e);
        enlist(e, &ex->lists[BEGUN]);
    }
    wi_mutex_unlock(&ex->lock);
}

// The last touch of the executor by an entry: close may free it then.
static void take_out(struct entry *e)
{
    struct loop_executor *ex = e->of;
    wi_mutex_lock(&ex->lock);
    unlist(e);
    struct wi_task *closer = --ex->count == 0 ? ex->closer : NULL;
    wi_mutex_unlock(&ex->lock);
    if (closer != NULL)
        wi_unpark(closer);
}

// The body of the task.
static int run_entry(void *arg)
{
    struct entry *e = arg;
    begin(e);
    weft_work_run(e->work);
    weft_work_free(e->work);
    take_out(e);
    weft_future_unref(e->f);
    free(e);
    return 0;
}

// Queues a task for the entry. 0 or -ENOMEM.
static int start(struct entry *e)
{
    struct wi_task *t = wi_task_new(WI_KIND_TASK, WI_QUEUED, 1);
    if (t == NULL)
        return -ENOMEM;
    t->fn = run_entry;
    t->arg = e;
    t->home = e->of->runtime;
    int rc = wi_runtime_submit(e->of->runtime, t);
    if (rc < 0)
        wi_task_unref(t);
    return rc;
}

static weft_future *submit(weft_executor *base, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct loop_executor *ex = (struct loop_executor *)base;
    weft_future *f;
    if (wi_is_parents(ex->born))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    // relaxed: who submits during the close must be in the loop, as its jobs
    // and their tasks are; who is beyond it knows of the close, or it is misuse
    if (__atomic_load_n(&ex->closing, __ATOMIC_RELAXED) &&
        (wi_here.worker == NULL || wi_here.worker->runtime != ex->runtime))
        return wi_future_failed(-WEFT_ECLOSED, NULL);
    struct entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        return wi_future_failed(-ENOMEM, NULL);
    e->work = weft_work_new(job, arg, options, &f);
    if (e->work == NULL) {
        free(e);
        return f;
    }
    e->of = ex;
    e->f = weft_future_ref(f);
    bool canceled = add(ex, e);
    int rc = start(e);
    if (rc < 0) {
        weft_work_drop(e->work, rc);
        weft_work_free(e->work);
        take_out(e);
        weft_future_unref(e->f);
        free(e);
    } else if (canceled) { // e may be gone
        weft_cancel(f);
    }
    return f;
}

static size_t width(weft_executor *ex)
{
    return ((struct loop_executor *)ex)->runtime->count;
}

// A handle on some future that the mode wants canceled, and was not yet.
static weft_future *find_to_cancel(struct loop_executor *ex, bool begun_too)
{
    weft_future *found = NULL;
    wi_mutex_lock(&ex->lock);
    struct entry *e = ex->lists[WAITING];
    if (e == NULL && begun_too)
        e = ex->lists[BEGUN];
    if (e != NULL) {
        found = weft_future_ref(e->f);
        e->asked = true;
        unlist(e);
        enlist(e, &ex->lists[ASKED]);
    }
    wi_mutex_unlock(&ex->lock);
    return found;
}

// What is canceled ends with its callbacks: outside the lock.
static void cancel_as_asked(struct loop_executor *ex, enum weft_close_mode mode)
{
    weft_future *f;
    wi_mutex_lock(&ex->lock);
    ex->cancel_all |= mode == WEFT_CLOSE_CANCEL_ALL; // what they submit, too
    wi_mutex_unlock(&ex->lock);
    while (mode != WEFT_CLOSE_DRAIN &&
           (f = find_to_cancel(ex, mode == WEFT_CLOSE_CANCEL_ALL)) != NULL) {
        weft_cancel(f);
        weft_future_unref(f);
    }
}

static void cancel_all(void *ex)
{
    cancel_as_asked(ex, WEFT_CLOSE_CANCEL_ALL);
}

static void name_jobs(void *arg, double grace)
{
    struct loop_executor *ex = arg;
    struct wi_laggards laggards = {"loop", grace, 0};
    wi_mutex_lock(&ex->lock);
    for (struct entry *e = ex->lists[ASKED]; e != NULL; e = e->next)
        if (e->runner != NULL)
            wi_laggards_add(&laggards, e->runner);
    wi_mutex_unlock(&ex->lock);
    wi_laggards_end(&laggards);
}

static bool is_empty(void *arg)
{
    struct loop_executor *ex = arg;
    wi_mutex_lock(&ex->lock);
    bool empty = ex->count == 0;
    wi_mutex_unlock(&ex->lock);
    return empty;
}

// Whether the caller is one of its jobs. Under the lock.
static bool is_within(const struct loop_executor *ex)
{
    const struct wi_task *self = wi_here.self;
    for (int i = BEGUN; self != NULL && i < LISTS; i++) {
        for (const struct entry *e = ex->lists[i]; e != NULL; e = e->next)
            if (e->runner == self)
                return true;
    }
    return false;
}

static int close_loop(weft_executor *base,
                      const struct weft_close_options *options)
{
    static const struct wi_drain how = {is_empty, cancel_all, name_jobs};
    struct loop_executor *ex = (struct loop_executor *)base;
    if (wi_is_parents(ex->born))
        return -WEFT_EFORKED;
    wi_mutex_lock(&ex->lock);
    wi_require_in("weft_executor_close", !is_within(ex), base,
                  "an executor cannot be closed by one of its own jobs");
    ex->closer = wi_self();
    __atomic_store_n(&ex->closing, true, __ATOMIC_RELAXED);
    wi_mutex_unlock(&ex->lock);
    cancel_as_asked(ex, options->mode);
    int rc = wi_pool_drain(ex, options, &how);
    free(ex);
    return rc;
}

static const struct weft_executor_ops loop_ops = {
    .size = sizeof loop_ops,
    .kind = "loop",
    .submit = submit,
    .width = width,
    .close = close_loop,
};

weft_executor *weft_loop_executor(void)
{
    int rc = 0;
    struct wi_worker *worker = wi_here.worker;
    struct wi_runtime *runtime =
        worker != NULL ? worker->runtime : wi_default_runtime(&rc);
    struct loop_executor *ex = runtime != NULL ? calloc(1, sizeof *ex) : NULL;
    if (ex == NULL)
        return wi_broken_executor(rc < 0 ? rc : -ENOMEM);
    ex->base.ops = &loop_ops;
    ex->runtime = runtime;
    ex->born = wi_fresh_number;
    return &ex->base;
}
