// SPDX-License-Identifier: MIT
//
// weft_then: a node on the first future; when it fires, the function runs right
// there, or as a job whose own future is watched in turn: if the executor never
// runs the job, the new future ends with what became of it.
#include <weft/combine.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "future/external.h"
#include "future/future.h"
#include "os/futex.h"
#include "os/process.h"
#include "os/report.h"

struct then {
    struct wi_node node; // first: on the future that comes before
    struct wi_node job_node;
    weft_future *f, *before;
    weft_then_function *fn;
    void *arg;
    weft_executor *executor;
    uint32_t refs; // atomic: one until the end, and one of a running cancel
    bool always;
    struct wi_mutex lock; // for what a cancel goes to
    weft_future *waits_for;
    bool canceled;
    bool completed; // f may be gone
    size_t result_size;
    char result[] __attribute__((aligned(16)));
};

static void hold(void *owner)
{
    struct then *then = owner;
    // relaxed: the new future is not done, so there is a reference
    __atomic_fetch_add(&then->refs, 1, __ATOMIC_RELAXED);
}

// At the end both futures are through with it. The job may have ended before
// the submitter came to say that a cancel goes to it.
static void give_back(void *owner)
{
    struct then *then = owner;
    // acq_rel: the last one sees what the other did
    if (__atomic_sub_fetch(&then->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    weft_future_unref(then->waits_for);
    weft_future_unref(then->before);
    free(then);
}

// To be canceled with us from now on; NULL: nothing. Returns what was before,
// which the caller gives back.
static void wait_for(struct then *then, weft_future *f)
{
    wi_mutex_lock(&then->lock);
    weft_future *was = then->waits_for;
    then->waits_for = f != NULL ? weft_future_ref(f) : NULL;
    bool cancel = then->canceled && f != NULL;
    wi_mutex_unlock(&then->lock);
    if (cancel)
        wi_future_cancel(wi_of_future(f));
    if (was != NULL)
        weft_future_unref(was);
}

static void canceled(weft_future *f, void *owner)
{
    struct then *then = owner;
    (void)f;
    wi_mutex_lock(&then->lock);
    then->canceled = true;
    weft_future *target = then->waits_for;
    if (target != NULL)
        weft_future_ref(target);
    wi_mutex_unlock(&then->lock);
    if (target != NULL) {
        wi_future_cancel(wi_of_future(target));
        weft_future_unref(target);
    }
}

static const struct wi_external_ops then_ops = {
    .cancel = canceled, .hold = hold, .let_go = give_back};

static void complete(struct then *then, int code, const char *text)
{
    wait_for(then, NULL);
    if (then->completed)
        return;
    then->completed = true;
    wi_external_complete(then->f, code, then->result, then->result_size, false,
                         text);
}

static void call(struct then *then)
{
    void *result = then->result_size > 0 ? then->result : NULL;
    int code = then->fn(then->before, result, then->arg);
    complete(then, wi_future_own_code(code), NULL);
}

// As a job --------------------------------------------------------------------

struct sent {
    struct then *then;
    pid_t process;
};

static void call_then(const void *arg, void *result)
{
    const struct sent *sent = arg;
    *(char *)result = 0;
    if (sent->process == wi_os_pid())
        call(sent->then);
    else
        weft_fail(-ENOTSUP, "weft_then needs an executor of this process");
}

static const struct weft_job then_job = {
    .magic = WEFT_JOB_MAGIC,
    .name = "weft_then",
    .call = call_then,
    .arg_size = sizeof(struct sent),
    .result_size = 1,
};

// The job has ended; if its body ran, then so has the new future.
static void job_ended(struct wi_node *node, struct wi_task *job)
{
    struct then *then =
        (struct then *)((char *)node - offsetof(struct then, job_node));
    if (job->code < 0)
        complete(then, weft_future_code(wi_as_future(job)),
                 weft_future_text(wi_as_future(job)));
    weft_future_unref(wi_as_future(job));
    give_back(then);
}

static void submit(struct then *then)
{
    const struct sent sent = {then, wi_os_pid()};
    weft_future *job = weft_submit_job(then->executor, &then_job, &sent);
    wait_for(then, job);
    then->job_node.fire = job_ended;
    if (!wi_future_watch(wi_of_future(job), &then->job_node))
        job_ended(&then->job_node, wi_of_future(job));
}

// -----------------------------------------------------------------------------

static void before_ended(struct wi_node *node, struct wi_task *before)
{
    struct then *then = (struct then *)node;
    int code = weft_future_code(wi_as_future(before));
    if (code < 0 && !then->always) {
        complete(then, code, weft_future_text(then->before));
        give_back(then);
    } else if (then->executor != NULL) {
        submit(then);
    } else {
        wait_for(then, NULL);
        call(then);
        give_back(then);
    }
}

weft_future *weft_then_with(weft_future *f, weft_then_function *fn, void *arg,
                            const struct weft_then_options *options)
{
    WI_OPTIONS(options);
    bool made;
    wi_require(f != NULL, f, "a future must not be NULL");
    wi_require(fn != NULL, f, "the function of weft_then must not be NULL");
    struct then *then = calloc(1, sizeof *then + options->result_size);
    if (then == NULL)
        return wi_future_failed(-ENOMEM, NULL);
    then->refs = 1;
    then->before = weft_future_ref(f);
    then->fn = fn;
    then->arg = arg;
    then->executor = options->executor;
    then->always = options->always;
    then->result_size = options->result_size;
    weft_future *next = wi_external_new(WI_KIND_PROMISE, &then_ops, then,
                                        options->name, NULL, &made);
    then->f = next;
    if (!made) {
        give_back(then);
        return next;
    }
    wait_for(then, f);
    then->node.fire = before_ended;
    if (!wi_future_watch(wi_of_future(f), &then->node))
        before_ended(&then->node, wi_of_future(f));
    return next;
}
