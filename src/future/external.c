// SPDX-License-Identifier: MIT
//
// Futures that something outside the scheduler completes. Their record begins
// RUNNING, so that a cancel always goes to the producer's function, and the
// first call of wi_external_complete wins.
//
// The producer's object must outlive a cancel function that runs. Where it has
// a count of references, the cancel holds one, taken under the future's own
// lock. Where it has none, the cancel runs under that lock. Complete takes the
// lock once after DONE before it returns: afterwards no cancel will begin, and
// none is running but those that hold a reference.
//
// A cancel function may itself complete the future, straight or through the
// cancel and the callbacks of another one; the thread then holds the lock
// already, which the chain from wi_here.canceling tells. Two promises whose
// cancel functions complete each other must not wait for each other: what is
// completed inside a cancel function does not wait if it is a promise, whose
// object is the record itself.
#include "future/external.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "base/text.h"
#include "sched/deadlock.h"
#include "future/future.h"
#include "future/group.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/worker.h"

static struct wi_mutex *cancel_lock(struct wi_task *t)
{
    return (struct wi_mutex *)&t->extra->external_lock;
}

// The cancel functions that run on this thread, from the innermost outwards.
struct wi_canceling {
    struct wi_canceling *outer;
    struct wi_task *task;
};

static bool canceling_here(const struct wi_task *t)
{
    for (struct wi_canceling *c = wi_here.canceling; c != NULL; c = c->outer) {
        if (c->task == t)
            return true;
    }
    return false;
}

static void cancel_under_lock(struct wi_task *t)
{
    struct wi_canceling here = {wi_here.canceling, t};
    wi_here.canceling = &here;
    t->extra->ops->cancel(wi_as_future(t), t->extra->external);
    wi_here.canceling = here.outer;
}

void wi_external_cancel(struct wi_task *t)
{
    const struct wi_external_ops *ops = t->extra->ops;
    void *owner = t->extra->external;
    wi_mutex_lock(cancel_lock(t));
    bool wanted = !wi_future_done(t) && ops->cancel != NULL;
    bool held = wanted && ops->hold != NULL;
    if (held)
        ops->hold(owner);
    else if (wanted)
        cancel_under_lock(t);
    wi_mutex_unlock(cancel_lock(t));
    if (held) {
        ops->cancel(wi_as_future(t), owner);
        ops->let_go(owner);
    }
}

pid_t wi_external_native_id(struct wi_task *t)
{
    pid_t id = 0;
    bool held = canceling_here(t);
    if (!held)
        wi_mutex_lock(cancel_lock(t));
    if (!wi_future_done(t) && t->extra->ops->native_id != NULL)
        id = t->extra->ops->native_id(wi_as_future(t), t->extra->external);
    if (!held)
        wi_mutex_unlock(cancel_lock(t));
    return id;
}

static struct wi_task *new_record(enum wi_kind kind, const char *name)
{
    // Two references: the user's handle, and the producer's.
    struct wi_task *t = wi_task_new(kind, WI_RUNNING, 2);
    if (t == NULL)
        return NULL;
    if (wi_task_need_extra(t) && wi_task_set_name(t, name))
        return t;
    wi_task_unref(t);
    wi_task_unref(t);
    return NULL;
}

weft_future *wi_external_new(enum wi_kind kind,
                             const struct wi_external_ops *ops, void *owner,
                             const char *name, weft_group *group, bool *made)
{
    *made = false;
    struct wi_task *t = new_record(kind, name);
    if (t == NULL)
        return wi_future_failed(-ENOMEM, NULL);
    t->extra->ops = ops;
    t->extra->external = owner;
    bool canceled = false;
    if (group != NULL) {
        int rc = wi_group_add(group, t, &canceled);
        if (rc < 0) {
            wi_task_unref(t);
            wi_task_unref(t);
            return wi_future_failed(rc, "the group is closed");
        }
        // relaxed: the producer asks on this thread
        if (canceled)
            __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_RELAXED);
    }
    *made = true;
    return wi_as_future(t);
}

static bool set_text(struct wi_task *t, const char *text)
{
    if (text == NULL || *text == '\0')
        return true;
    if (!wi_task_need_extra(t))
        return false;
    t->extra->text = wi_text_dup(text);
    return t->extra->text != NULL;
}

// Claims the right to complete: the first one gets it.
static bool win(struct wi_task *t)
{
    // acq_rel: one winner, who sees what the record holds
    return !(__atomic_fetch_or(&t->state, WI_CLOSING, __ATOMIC_ACQ_REL) &
             WI_CLOSING);
}

static const struct wi_external_ops promise_ops;

// Whether a cancel function of t that runs on another thread has to return
// before t's producer may go on.
static bool waits_for_cancel(const struct wi_task *t)
{
    if (t->extra->ops == &promise_ops)
        return wi_here.canceling == NULL;
    return !canceling_here(t);
}

bool wi_external_complete(weft_future *f, int code, const void *result,
                          size_t size, bool bytes, const char *text)
{
    struct wi_task *t = wi_of_future(f);
    if (!win(t))
        return false;
    code = wi_future_own_code(code);
    set_text(t, text);
    if (code >= 0 && !wi_future_put(t, result, size))
        code = -ENOMEM;
    if (code >= 0 && bytes)
        t->flags |= WI_BYTES_RESULT;
    struct wi_mutex *lock = cancel_lock(t);
    wi_task_ref(t); // finish gives the producer's away
    wi_future_finish(t, code);
    if (waits_for_cancel(t)) {
        wi_mutex_lock(lock);
        wi_mutex_unlock(lock);
    }
    wi_task_unref(t);
    return true;
}

void *wi_external_owner(weft_future *f)
{
    struct wi_task *t = wi_of_future(f);
    return wi_future_done(t) ? NULL : t->extra->external;
}

bool wi_external_cancel_requested(weft_future *f)
{
    return __atomic_load_n(&wi_of_future(f)->state, __ATOMIC_ACQUIRE) &
           WI_CANCELED;
}

int wi_external_waits_for(weft_future *f, weft_future *target)
{
    struct wi_task *t = wi_of_future(f);
    if (target == NULL) {
        wi_edge_clear(t);
        return 0;
    }
    if (t == wi_of_future(target))
        return -WEFT_EDEADLOCK;
    wi_edge_set(t, wi_hint_of(wi_of_future(target)));
    return wi_edge_check(t);
}

// Failed starts ---------------------------------------------------------------

static struct wi_extra nomem_extra = {.text = (char *)"no memory"};

static struct wi_task nomem = {
    .state = WI_DONE | WI_OBSERVED,
    .refs = 1,
    .kind = WI_KIND_FAILED,
    .flags = WI_IMMORTAL,
    .code = -ENOMEM,
    .extra = &nomem_extra,
};

struct wi_task *wi_future_nomem(void)
{
    return &nomem;
}

weft_future *wi_future_failed(int code, const char *text)
{
    struct wi_task *t =
        code == -ENOMEM ? NULL : wi_task_new(WI_KIND_FAILED, WI_DONE, 1);
    if (t == NULL)
        return wi_as_future(&nomem);
    t->code = code;
    set_text(t, text);
    return wi_as_future(t);
}

// Promises --------------------------------------------------------------------

// A promise is its future's record; what it needs for itself is in `extra`:
// the callback in `drop`, its argument in `arg`.
static void promise_cancel(weft_future *f, void *owner)
{
    struct wi_task *t = owner;
    (void)f;
    if (t->extra->drop != NULL)
        t->extra->drop(t->arg);
    wi_external_complete(f, -WEFT_EJOBCANCELED, NULL, 0, false, NULL);
}

static const struct wi_external_ops promise_ops = {.cancel = promise_cancel};

weft_promise *weft_promise_new_with(const struct weft_promise_options *options)
{
    WI_OPTIONS(options);
    struct wi_task *t = new_record(WI_KIND_PROMISE, options->name);
    if (t == NULL)
        return (weft_promise *)&nomem;
    t->extra->ops = &promise_ops;
    t->extra->external = t;
    t->extra->drop = options->on_cancel;
    t->arg = options->arg;
    return (weft_promise *)t;
}

weft_future *weft_promise_future(weft_promise *p)
{
    struct wi_task *t = (struct wi_task *)p;
    wi_require(p != NULL, p, "a promise must not be NULL");
    wi_task_ref(t);
    return wi_as_future(t);
}

#define PROMISE_GONE "a promise is kept or dropped once, and gone then"

// Gives both references back: the promise's own, and, if nobody completed the
// record before, the producer's (which complete has given back otherwise).
static int settle(const char *function, struct wi_task *t, int code,
                  const void *result, size_t size, const char *text)
{
    if (t == &nomem)
        return -ENOMEM;
    wi_require_in(function, !wi_task_gone(t), t, PROMISE_GONE);
    bool kept =
        wi_external_complete(wi_as_future(t), code, result, size, false, text);
    // Only a cancel may have come first.
    wi_require_in(function,
                  kept || !wi_future_done(t) || t->code == -WEFT_EJOBCANCELED,
                  t, PROMISE_GONE);
    int rc = kept ? (code >= 0 && t->code < 0 ? t->code : 0) : -EALREADY;
    wi_task_unref(t);
    return rc;
}

int weft_promise_keep(weft_promise *p, int code, const void *result,
                      size_t size, const char *text)
{
    wi_require(p != NULL, p, "a promise must not be NULL");
    wi_need_some(result, size);
    return settle(__func__, (struct wi_task *)p, code, result, size, text);
}

void weft_promise_drop(weft_promise *p)
{
    if (p == NULL)
        return;
    struct wi_task *t = (struct wi_task *)p;
    char who[128], text[160];
    wi_require(!wi_task_gone(t), t, PROMISE_GONE);
    wi_task_describe(t, who, sizeof who);
    snprintf(text, sizeof text, "%s was dropped before it was kept", who);
    // Nobody can ask for a future that has no handle but this.
    settle(__func__, t, -WEFT_EABANDONED, NULL, 0, text);
}
