// SPDX-License-Identifier: MIT
//
// Jobs on threads: a record of kind WI_KIND_JOB carries the job, a copy of its
// argument and, when it is done, the result. Its body runs through
// wi_run_job, whatever thread it is on.
#include "exec/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/cold.h"
#include "base/text.h"
#include "exec/job.h"
#include "future/external.h"
#include "future/future.h"
#include "future/local.h"
#include "future/run.h"
#include "sched/culprit.h"
#include "sched/scope.h"

static void give_back(struct wi_task *t)
{
    if (t != NULL) {
        wi_local_leave(t);
        wi_task_unref(t);
        wi_task_unref(t);
    }
}

WI_COLD weft_future *wi_job_refused(struct wi_task *t, int code)
{
    give_back(t);
    return wi_future_failed(code, weft_strerror(code));
}

void wi_broken_text(char text[WI_BROKEN_TEXT], int cause)
{
    snprintf(text, WI_BROKEN_TEXT,
             "the pool is broken: the initializer failed: "
             "%s (%s)",
             weft_strerror(cause), weft_error_name(cause));
}

WI_COLD weft_future *wi_job_broken(struct wi_task *t, int cause)
{
    char text[WI_BROKEN_TEXT];
    wi_broken_text(text, cause);
    give_back(t);
    return wi_future_failed(-WEFT_EBROKEN, text);
}

WI_COLD void wi_job_drop_broken(struct wi_task *t, int cause)
{
    char text[WI_BROKEN_TEXT];
    wi_broken_text(text, cause);
    if (wi_task_need_extra(t))
        t->extra->text = wi_text_dup(text);
    wi_future_drop(t, -WEFT_EBROKEN);
}

static WI_COLD struct wi_task *fail(struct wi_task *t, int code)
{
    return wi_of_future(wi_job_refused(t, code));
}

static bool set_options(struct wi_task *t,
                        const struct weft_submit_options *options)
{
    if (options == NULL || (options->deadline == 0 && options->name == NULL))
        return true;
    if (!wi_task_need_extra(t) || !wi_task_set_name(t, options->name))
        return false;
    if (options->deadline != 0)
        t->deadline = wi_deadline_in(options->deadline, "weft_submit");
    return true;
}

__attribute__((noinline)) struct wi_task *
wi_job_record_slow(const struct weft_job *job, const void *arg,
                   const struct weft_submit_options *options)
{
    int rc = wi_job_check(job);
    if (rc < 0)
        return fail(NULL, rc);
    struct wi_task *t = wi_task_new(WI_KIND_JOB, WI_QUEUED, 2);
    if (t == NULL || !set_options(t, options) || !wi_local_inherit(t))
        return fail(t, -ENOMEM);
    t->job = job;
    bool heap;
    rc = wi_job_copy_arg(job, arg, &t->arg, &heap);
    if (rc < 0)
        return fail(t, rc);
    if (heap)
        t->flags |= WI_HEAP_ARG;
    return t;
}

// Bodies ----------------------------------------------------------------------

// Where the result is written: in the record if it fits.
static void *result_room(struct wi_task *t)
{
    if (t->job->result_size <= sizeof t->data.bytes)
        return t->data.bytes;
    t->data.heap = malloc(t->job->result_size);
    if (t->data.heap != NULL)
        t->flags |= WI_HEAP_RESULT;
    return t->data.heap;
}

static WI_COLD int fail_with(struct wi_task *t, int code,
                             const struct wi_job_frame *frame)
{
    if (wi_task_need_extra(t))
        t->extra->text = wi_job_text(t->job, frame);
    return code;
}

static int run_job(struct wi_task *t)
{
    struct wi_job_frame frame;
    if (t->deadline != WI_FOREVER && t->deadline <= wi_os_now())
        return fail_with(t, wi_job_late(&frame, false), &frame);
    void *result = result_room(t);
    if (result == NULL)
        return -ENOMEM;
    const void *arg = t->flags & WI_HEAP_ARG ? t->arg : &t->arg;
    int code = wi_job_call(t->job, arg, result, &frame);
    if (t->flags & WI_HEAP_ARG) {
        free(t->arg);
        t->flags &= (uint8_t)~WI_HEAP_ARG;
    }
    code = wi_job_ended(t->job, code, t->deadline, result, &frame);
    if (code < 0)
        return fail_with(t, code, &frame);
    t->result_size = t->job->result_size;
    if (t->job->result_kind == WEFT_BYTES)
        t->flags |= WI_BYTES_RESULT;
    return 0;
}

// Closing ---------------------------------------------------------------------

int wi_pool_drain(void *pool, const struct weft_close_options *options,
                  bool (*over)(void *pool), void (*hurry)(void *pool))
{
    struct wi_wait wait = {
        .object = pool, .deadline = WI_FOREVER, .kind = WI_WAIT_POOL};
    int rc = 0;
    if (options->deadline != 0)
        wait.deadline =
            wi_deadline_in(options->deadline, "weft_executor_close");
    while (!over(pool)) {
        if (wi_park(&wait) != -ETIMEDOUT || wait.deadline == WI_FOREVER)
            continue;
        wait.deadline = WI_FOREVER;
        rc = -ETIMEDOUT;
        hurry(pool);
    }
    return rc;
}

// Chunks ----------------------------------------------------------------------

struct chunk {
    const struct weft_job *job;
    const char *in;
    char *out;
    int *codes;
    size_t count;
};

// One element; whether to go on.
static bool run_element(const struct chunk *chunk, size_t i)
{
    const struct weft_job *job = chunk->job;
    struct wi_job_frame frame;
    int code = wi_check_scopes();
    if (code == 0)
        code = wi_job_call(job, chunk->in + i * job->arg_size,
                           chunk->out + i * job->result_size, &frame);
    else
        frame.text[0] = '\0';
    if (chunk->codes != NULL)
        chunk->codes[i] = wi_future_own_code(code);
    else if (code < 0)
        weft_fail(code, "element %zu: %s", i, frame.text);
    return code == 0 || chunk->codes != NULL;
}

static void run_chunk(const void *arg, void *result)
{
    const struct chunk *chunk = arg;
    (void)result; // stays as wi_chunk_record made it
    for (size_t i = 0; i < chunk->count; i++) {
        if (!run_element(chunk, i))
            return;
    }
}

static const struct weft_job chunk_job = {
    .magic = WEFT_JOB_MAGIC,
    .name = "chunk of a map",
    .call = run_chunk,
    .arg_size = sizeof(struct chunk),
    .result_size = sizeof(struct weft_job *),
};

__attribute__((constructor)) static void set_run_job(void)
{
    wi_run_job = run_job;
    wi_chunk_job = &chunk_job;
}

struct wi_task *wi_chunk_record(const struct weft_job *job, const void *in,
                                size_t count, void *out, int *codes,
                                const struct weft_submit_options *options)
{
    const struct chunk chunk = {job, in, out, codes, count};
    struct wi_task *t = wi_job_record(&chunk_job, &chunk, options);
    if (t->kind == WI_KIND_JOB)
        t->data.heap = (void *)(uintptr_t)job; // for the watchdog
    return t;
}
