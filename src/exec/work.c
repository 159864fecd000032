// SPDX-License-Identifier: MIT
//
// A work has two owners: the executor, which runs or drops it, and its future,
// which a cancel reaches. The state says who may do what:
//
//     WAITING --run--> RUNNING --> ENDED     then the executor completes it
//     WAITING --cancel, drop--> ENDED        whoever came first completes it
//
// A cancel of RUNNING work goes to the group that its body runs in. All under
// the work's lock, except completing: the future may go with its callbacks.
#include <weft/work.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/scope.h>

#include "exec/job.h"
#include "future/external.h"
#include "future/future.h"
#include "future/group.h"
#include "future/local.h"
#include "os/futex.h"
#include "os/report.h"

enum work_state { WAITING, RUNNING, ENDED };

struct weft_work {
    weft_future *f; // valid until the work has ended
    const struct weft_job *job;
    void *arg;                   // of up to 8 bytes, or
    bool heap;                   // a pointer to them
    struct wi_locals *inherited; // from the submitter; NULL once it runs
    int64_t deadline;
    struct wi_mutex lock;
    uint32_t refs; // atomic: the executor's, and a running cancel's
    enum work_state state;
    weft_group *group; // of the body that runs
};

// Whether the caller may bring the work from one state to the next.
static bool advance(weft_work *work, enum work_state from, enum work_state to)
{
    wi_mutex_lock(&work->lock);
    bool mine = work->state == from;
    if (mine)
        work->state = to;
    wi_mutex_unlock(&work->lock);
    return mine;
}

static void cancel_work(weft_future *f, void *owner)
{
    weft_work *work = owner;
    if (advance(work, WAITING, ENDED)) {
        wi_external_complete(f, -WEFT_EJOBCANCELED, NULL, 0, false, NULL);
        return;
    }
    wi_mutex_lock(&work->lock);
    if (work->group != NULL)
        weft_group_cancel(work->group);
    wi_mutex_unlock(&work->lock);
}

static void hold(void *owner)
{
    weft_work *work = owner;
    // relaxed: the future is not done, so the executor has a reference
    __atomic_fetch_add(&work->refs, 1, __ATOMIC_RELAXED);
}

static void give_back(void *owner)
{
    weft_work *work = owner;
    // acq_rel: the last one sees what the other did
    if (__atomic_sub_fetch(&work->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (work->heap)
        free(work->arg);
    wi_local_drop(work->inherited);
    free(work);
}

static const struct wi_external_ops work_ops = {
    .cancel = cancel_work, .hold = hold, .let_go = give_back};

static weft_work *fail(weft_work *work, int code, weft_future **future)
{
    *future = wi_future_failed(code, weft_strerror(code));
    if (work != NULL)
        give_back(work);
    return NULL;
}

weft_work *weft_work_new(const struct weft_job *job, const void *arg,
                         const struct weft_submit_options *options,
                         weft_future **future)
{
    wi_need(future);
    bool made;
    int rc = wi_job_check(job);
    wi_require(rc < 0 || arg != NULL || job->arg_kind == WEFT_NONE, NULL,
               "arg must not be NULL: the job takes an argument");
    weft_work *work = rc < 0 ? NULL : calloc(1, sizeof *work);
    if (work == NULL)
        return fail(NULL, rc < 0 ? rc : -ENOMEM, future);
    work->refs = 1;
    rc = wi_job_copy_arg(job, arg, &work->arg, &work->heap);
    if (rc < 0)
        return fail(work, rc, future);
    work->job = job;
    work->inherited = wi_local_hold();
    work->deadline = options != NULL && options->deadline != 0
                         ? wi_deadline_in(options->deadline, "weft_submit")
                         : WI_FOREVER;
    const char *name =
        options != NULL && options->name != NULL ? options->name : job->name;
    *future =
        wi_external_new(WI_KIND_PROMISE, &work_ops, work, name, NULL, &made);
    work->f = *future;
    if (made)
        return work;
    give_back(work);
    return NULL;
}

// Running ---------------------------------------------------------------------

// The group that a cancel goes to; NULL: there is none (any more).
static void set_group(weft_work *work, weft_group *group)
{
    wi_mutex_lock(&work->lock);
    work->group = group;
    // It may have been canceled while nothing could be told of it.
    if (group != NULL && wi_external_cancel_requested(work->f))
        weft_group_cancel(group);
    wi_mutex_unlock(&work->lock);
}

// The body, in a group of its own.
static int run_in_group(weft_work *work, void *result,
                        struct wi_job_frame *frame)
{
    weft_group *group = wi_group_try_open();
    if (group == NULL)
        return -ENOMEM;
    set_group(work, group);
    int code = wi_job_call(work->job, work->heap ? work->arg : &work->arg,
                           result, frame);
    set_group(work, NULL);
    weft_group_close(group);
    return code;
}

// With what its submitter had, not with what its runner has.
static int run_as_guest(weft_work *work, void *result,
                        struct wi_job_frame *frame)
{
    struct wi_local_guest guest;
    if (!wi_local_enter(&guest, work->inherited))
        return -ENOMEM;
    work->inherited = NULL;
    int code = run_in_group(work, result, frame);
    wi_local_exit(&guest);
    return code;
}

// The body, shielded from the caller's scopes.
static int run_body(weft_work *work, void *result, struct wi_job_frame *frame)
{
    struct weft_scope shield;
    double left = (double)INFINITY;
    if (work->deadline != WI_FOREVER)
        left = (double)(work->deadline - wi_os_now()) / 1e9;
    if (left <= 0)
        return wi_job_late(frame, false);
    weft_shield_enter(&shield, left);
    int code = run_as_guest(work, result, frame);
    weft_scope_leave(&shield);
    return wi_job_ended(work->job, code, work->deadline, result, frame);
}

static void end_run(weft_work *work, int code, const void *result,
                    const char *text)
{
    const struct weft_job *job = work->job;
    advance(work, RUNNING, ENDED);
    wi_external_complete(work->f, code, result, job->result_size,
                         code >= 0 && job->result_kind == WEFT_BYTES, text);
}

static void run_into(weft_work *work, void *result)
{
    struct wi_job_frame frame;
    frame.text[0] = '\0';
    int code = wi_future_own_code(run_body(work, result, &frame));
    char *text = code < 0 ? wi_job_text(work->job, &frame) : NULL;
    end_run(work, code, result, text);
    free(text);
}

void weft_work_run(weft_work *work)
{
    wi_require(work != NULL, work, "a work must not be NULL");
    if (advance(work, WAITING, RUNNING)) {
        void *result = calloc(1, work->job->result_size);
        if (result != NULL)
            run_into(work, result);
        else
            end_run(work, -ENOMEM, NULL, NULL);
        free(result);
    }
}

void weft_work_cancel(weft_work *work)
{
    wi_require(work != NULL, work, "a work must not be NULL");
    wi_mutex_lock(&work->lock);
    // Until then the future has the executor's reference.
    weft_future *f = work->state != ENDED ? weft_future_ref(work->f) : NULL;
    wi_mutex_unlock(&work->lock);
    if (f == NULL)
        return;
    weft_cancel(f);
    weft_future_unref(f);
}

void weft_work_drop(weft_work *work, int code)
{
    wi_require(work != NULL, work, "a work must not be NULL");
    wi_require(code < 0, work,
               "code must be negative: a work is dropped with a failure");
    if (advance(work, WAITING, ENDED))
        wi_external_complete(work->f, code, NULL, 0, false,
                             code == -WEFT_EABANDONED
                                 ? "its executor freed the job before it ran"
                                 : NULL);
}

void weft_work_free(weft_work *work)
{
    if (work == NULL)
        return;
    wi_require(work->state != RUNNING, work,
               "a work that runs must not be freed");
    weft_work_drop(work, -WEFT_EABANDONED);
    give_back(work);
}
