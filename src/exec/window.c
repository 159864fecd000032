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
#include "sched/park.h"
#include "sync/waiter.h"

struct window {
    weft_executor base;
    weft_executor *pool;
    bool (*is_own)(weft_executor *pool); // whether one of its jobs calls
    uint32_t born;                       // wi_fresh_number
    enum weft_when_full when_full;
    size_t limit;
    struct wi_mutex lock; // for all below
    struct wi_waiters waiting;
    size_t used;   // places
    size_t inside; // submits on their way into the pool
    size_t refs;   // the user's, and one of each place and each waiter
    bool closed;
    struct wi_task *closer;
};

struct place {
    struct wi_node node; // first
    struct window *of;
};

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
    free(place);
    wi_mutex_lock(&w->lock);
    struct wi_task *next = free_place(w);
    let_go(w);
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

// Takes a place: 0, or -EAGAIN, -WEFT_ECLOSED, or what ended the wait.
static int enter(struct window *w)
{
    struct wi_waiter waiter = {.task = wi_self()};
    if (waiter.task == NULL)
        return -ENOMEM;
    wi_mutex_lock(&w->lock);
    bool full = w->used >= w->limit;
    int rc = w->closed ? -WEFT_ECLOSED : full ? -EAGAIN : 0;
    bool wait =
        rc == -EAGAIN && w->when_full == WEFT_FULL_WAIT && wi_here.ending == 0;
    if (rc == 0) {
        w->used++;
        w->refs++;
        w->inside++;
    } else if (wait) {
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

static weft_future *submit_placed(struct place *place,
                                  const struct weft_job *job, const void *arg,
                                  const struct weft_submit_options *options)
{
    struct window *w = place->of; // the place may be gone once it is watched
    weft_future *f = w->pool->ops->submit(w->pool, job, arg, options);
    bool watched = wi_future_watch(wi_of_future(f), &place->node);
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
    int rc = enter(w);
    if (rc == 0)
        return submit_placed(place, job, arg, options);
    free(place);
    if (rc == -EAGAIN && w->when_full == WEFT_FULL_RUN)
        return wi_submit_inline(job, arg, options);
    if (rc == -EAGAIN)
        return wi_future_failed(rc, "the window of the pool is full");
    return wi_job_refused(NULL, wi_future_own_code(rc));
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
    if (wi_is_parents(w->born))
        return -WEFT_EFORKED;
    if (!w->is_own(w->pool)) { // else the pool says what is wrong
        end_waits(w);
        wi_pool_drain(w, &no_limit, nobody_inside, NULL);
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
    return &w->base;
}

weft_executor *wi_window_inner(weft_executor *ex)
{
    return ex->ops == &window_ops ? ((struct window *)ex)->pool : ex;
}
