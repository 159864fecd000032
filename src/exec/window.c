// SPDX-License-Identifier: MIT
//
// The window of a thread pool: how many jobs may be under way. It is an
// executor around the pool, so that a pool without a window pays nothing. Each
// job that got a place has a node on its future, which gives the place back:
// to the first submit in the list of those that wait, so places are given in
// the order of the submits.
//
// Jobs of the pool submit past the window: they would wait for themselves. So
// do maps, which have a window of their own. A callback that runs in whoever
// ends something must not wait, and is told that the window is full.
//
// With WEFT_FULL_DROP the places of jobs that may not have begun stand in lines
// by priority. A submit without a place takes the first of them out, cancels
// its job if that has not begun, and tries again; so one that has begun is
// looked at once. The end of the job gives the place back, as ever.
//
// Close ends the waits, and waits itself for the submits that have a place and
// are on their way into the pool. The nodes may fire later: the window goes
// with the last of them.
#include "exec/window.h"

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "exec/pool.h"
#include "future/external.h"
#include "future/future.h"
#include "os/futex.h"
#include "sched/here.h"
#include "sched/lane.h"
#include "sched/park.h"
#include "sched/worker.h"
#include "sync/waiter.h"

// Those that may not have begun, the oldest first; only with WEFT_FULL_DROP.
struct line {
    struct place *first, **end;
};

struct window {
    weft_executor base;
    weft_executor *pool;
    bool (*is_own)(weft_executor *pool); // whether one of its jobs calls
    uint32_t born;                       // wi_fresh_number
    enum weft_when_full when_full;
    size_t limit;
    struct wi_mutex lock; // for all below
    struct wi_waiters waiting;
    struct line lines[WI_LANES]; // by priority
    size_t used;                 // places
    size_t inside;               // submits on their way into the pool
    size_t refs; // the user's, and one of each place and each waiter
    bool closed;
    struct wi_task *closer;
};

struct place {
    struct wi_node node; // first
    struct window *of;
    struct wi_task *job; // while it stands in a line
    struct line *line;   // NULL: in none
    struct place *next, **link;
};

// Lines -----------------------------------------------------------------------

// All under the lock.

static void join_line(struct place *p, struct line *line, struct wi_task *job)
{
    p->job = job;
    p->line = line;
    p->next = NULL;
    p->link = line->end;
    *p->link = p;
    line->end = &p->next;
}

static void leave_line(struct place *p)
{
    if (p->line == NULL)
        return;
    *p->link = p->next;
    *(p->next != NULL ? &p->next->link : &p->line->end) = p->link;
    p->line = NULL;
}

// Places ----------------------------------------------------------------------

// Gives a reference back, under the lock, which is given back.
static void let_go(struct window *w)
{
    bool last = --w->refs == 0;
    wi_mutex_unlock(&w->lock);
    if (last)
        free(w);
}

// Hands the place over, or gives it back. Under the lock.
static struct wi_task *free_place(struct window *w)
{
    struct wi_waiter *next = w->waiting.first;
    if (next == NULL) {
        w->used--;
        return NULL;
    }
    wi_waiters_unlink_first(&w->waiting);
    w->refs++;
    w->inside++;
    return wi_waiter_end(next, WI_WAITER_SERVED);
}

static void give_back(struct place *place)
{
    struct window *w = place->of;
    wi_mutex_lock(&w->lock);
    leave_line(place);
    struct wi_task *next = free_place(w);
    let_go(w);
    free(place);
    if (next != NULL)
        wi_unpark(next);
}

static void fire(struct wi_node *node, struct wi_task *t)
{
    (void)t;
    give_back((struct place *)node);
}

// SERVED has a place; WOKEN: the pool is being closed. The waiter's reference
// keeps the window until it has left.
static int wait_for_place(struct window *w, struct wi_waiter *waiter)
{
    const struct wi_wait wait = {.object = w,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_POOL,
                                 .flags = WI_SCOPED};
    int rc = wi_waiter_sleep(waiter, &wait);
    wi_mutex_lock(&w->lock);
    wi_waiters_remove(&w->waiting, waiter);
    let_go(w);
    uint32_t state = wi_waiter_state(waiter);
    return state == WI_WAITER_SERVED  ? 0
           : state == WI_WAITER_WOKEN ? -WEFT_ECLOSED
                                      : rc;
}

// Takes a place, on the way into the pool already: 0, -EAGAIN or -WEFT_ECLOSED.
// Under the lock.
static int take_place(struct window *w)
{
    if (w->closed)
        return -WEFT_ECLOSED;
    if (w->used >= w->limit)
        return -EAGAIN;
    w->used++;
    w->refs++;
    w->inside++;
    return 0;
}

// The same, or what ended the wait for a place.
static int enter(struct window *w)
{
    struct wi_waiter waiter = {.task = wi_self()};
    if (waiter.task == NULL)
        return -ENOMEM;
    wi_mutex_lock(&w->lock);
    int rc = take_place(w);
    bool wait =
        rc == -EAGAIN && w->when_full == WEFT_FULL_WAIT && wi_here.ending == 0;
    if (wait) {
        w->refs++;
        wi_waiters_add(&w->waiting, &waiter);
    }
    wi_mutex_unlock(&w->lock);
    return wait ? wait_for_place(w, &waiter) : rc;
}

// The submit is over: the pool may go.
static void come_out(struct window *w)
{
    wi_mutex_lock(&w->lock);
    struct wi_task *closer = --w->inside == 0 ? w->closer : NULL;
    wi_mutex_unlock(&w->lock);
    if (closer != NULL)
        wi_unpark(closer);
}

// Dropping --------------------------------------------------------------------

static unsigned lane_of(const struct weft_submit_options *options)
{
    return wi_lane_of(options != NULL ? options->priority : 0);
}

// The oldest job of those of the least priority down to the lane, with a
// reference. Its place is in no line any more: it is about to be dropped, or it
// has begun. NULL: there is none.
static struct wi_task *take_oldest(struct window *w, unsigned lane)
{
    struct wi_task *job = NULL;
    wi_mutex_lock(&w->lock);
    for (unsigned i = WI_LANES; i-- > lane && job == NULL;) {
        struct place *p = w->lines[i].first;
        if (p == NULL)
            continue;
        leave_line(p);
        job = p->job; // its end has not come to the place yet: it lives
        wi_task_ref(job);
    }
    wi_mutex_unlock(&w->lock);
    return job;
}

// Whether a job has been canceled for one of this lane.
static bool drop_oldest(struct window *w, unsigned lane)
{
    struct wi_task *job;
    bool dropped = false;
    while (!dropped && (job = take_oldest(w, lane)) != NULL) {
        uint32_t gen = __atomic_load_n(&job->state, __ATOMIC_RELAXED) >> 16;
        dropped = wi_task_claim(job, gen, WI_CANCELED);
        if (dropped)
            wi_job_drop_why(job, -WEFT_EJOBCANCELED, WI_DROPPED_TEXT);
        wi_task_unref(job);
    }
    return dropped;
}

// As enter, but by the place of an older job instead of a wait.
static int enter_dropping(struct window *w, unsigned lane)
{
    int rc;
    wi_mutex_lock(&w->lock);
    w->inside++; // so that a close waits, even if this comes to nothing
    wi_mutex_unlock(&w->lock);
    do {
        wi_mutex_lock(&w->lock);
        rc = take_place(w);
        wi_mutex_unlock(&w->lock);
    } while (rc == -EAGAIN && drop_oldest(w, lane));
    come_out(w);
    return rc;
}

// Submitting ------------------------------------------------------------------

static weft_future *submit_placed(struct place *place,
                                  const struct weft_job *job, const void *arg,
                                  const struct weft_submit_options *options)
{
    struct window *w = place->of; // the place may be gone once it is watched
    bool drops = w->when_full == WEFT_FULL_DROP;
    weft_future *f = w->pool->ops->submit(w->pool, job, arg, options);
    // One step for whoever drops the job: that gives the place back at once.
    if (drops)
        wi_mutex_lock(&w->lock);
    bool watched = wi_future_watch(wi_of_future(f), &place->node);
    if (drops && watched)
        join_line(place, &w->lines[lane_of(options)], wi_of_future(f));
    if (drops)
        wi_mutex_unlock(&w->lock);
    come_out(w);
    if (!watched)
        give_back(place);
    return f;
}

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct window *w = (struct window *)ex;
    if (wi_is_parents(w->born))
        return wi_future_failed(-WEFT_EFORKED, NULL);
    if (w->is_own(w->pool))
        return w->pool->ops->submit(w->pool, job, arg, options);
    struct place *place = malloc(sizeof *place);
    if (place == NULL)
        return wi_job_refused(NULL, -ENOMEM);
    *place = (struct place){.node = {.fire = fire}, .of = w};
    enum weft_when_full when_full = w->when_full; // w may go, without a place
    int rc = when_full == WEFT_FULL_DROP ? enter_dropping(w, lane_of(options))
                                         : enter(w);
    if (rc == 0)
        return submit_placed(place, job, arg, options);
    free(place);
    if (rc == -EAGAIN && when_full == WEFT_FULL_RUN)
        return wi_submit_inline(job, arg, options);
    if (rc == -EAGAIN)
        return wi_future_failed(rc, "the window of the pool is full");
    return wi_job_refused(NULL, rc);
}

static weft_future *submit_chunk(weft_executor *ex, const struct weft_job *job,
                                 const void *in, size_t n, void *out,
                                 int *codes,
                                 const struct weft_submit_options *options)
{
    weft_executor *pool = ((struct window *)ex)->pool;
    return pool->ops->submit_chunk(pool, job, in, n, out, codes, options);
}

static size_t width(weft_executor *ex)
{
    return weft_executor_width(((struct window *)ex)->pool);
}

static bool nobody_inside(void *window)
{
    struct window *w = window;
    wi_mutex_lock(&w->lock);
    bool nobody = w->inside == 0;
    wi_mutex_unlock(&w->lock);
    return nobody;
}

static void end_waits(struct window *w)
{
    struct wi_task *task;
    wi_mutex_lock(&w->lock);
    w->closed = true;
    w->closer = wi_self();
    while ((task = wi_waiters_wake(&w->waiting)) != NULL)
        wi_unpark(task);
    wi_mutex_unlock(&w->lock);
}

static int close_window(weft_executor *ex,
                        const struct weft_close_options *options)
{
    struct window *w = (struct window *)ex;
    static const struct weft_close_options no_limit = {.size = sizeof no_limit};
    static const struct wi_drain until_nobody_is_inside = {.over =
                                                               nobody_inside};
    if (wi_is_parents(w->born))
        return -WEFT_EFORKED;
    if (!w->is_own(w->pool)) { // else the pool says what is wrong
        end_waits(w);
        wi_pool_drain(w, &no_limit, &until_nobody_is_inside);
    }
    int rc = w->pool->ops->close(w->pool, options);
    wi_mutex_lock(&w->lock);
    let_go(w);
    return rc;
}

static const struct weft_executor_ops window_ops = {
    .size = sizeof window_ops,
    .kind = "thread pool with a window",
    .submit = submit,
    .submit_chunk = submit_chunk,
    .width = width,
    .close = close_window,
};

weft_executor *wi_window(weft_executor *pool, bool (*is_own)(weft_executor *),
                         const struct weft_thread_pool_options *options)
{
    struct window *w = options->window > 0 ? calloc(1, sizeof *w) : NULL;
    if (w == NULL && options->window > 0) {
        weft_executor_close(pool);
        return wi_broken_executor(-ENOMEM);
    }
    if (w == NULL)
        return pool;
    w->base.ops = &window_ops;
    w->pool = pool;
    w->is_own = is_own;
    w->born = wi_fresh_number;
    w->when_full = options->when_full;
    w->limit = options->window;
    w->refs = 1;
    for (unsigned i = 0; i < WI_LANES; i++)
        w->lines[i].end = &w->lines[i].first;
    return &w->base;
}

weft_executor *wi_window_inner(weft_executor *ex)
{
    return ex->ops == &window_ops ? ((struct window *)ex)->pool : ex;
}
