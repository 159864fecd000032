// SPDX-License-Identifier: MIT
//
// Jobs on threads: a record of kind WI_KIND_JOB carries the job, a copy of its
// argument and, when it is done, the result. Its body runs through
// wi_run_job, whatever thread it is on.
#include "exec/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/cold.h"
#include "base/text.h"
#include "exec/job.h"
#include "future/external.h"
#include "future/future.h"
#include "future/group.h"
#include "future/local.h"
#include "future/run.h"
#include "os/report.h"
#include "sched/culprit.h"

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

void wi_broken_text(char text[WI_POOL_TEXT], int cause)
{
    snprintf(text, WI_POOL_TEXT,
             "the pool is broken: the initializer failed: "
             "%s (%s)",
             weft_strerror(cause), weft_error_name(cause));
}

WI_COLD weft_future *wi_job_broken(struct wi_task *t, int cause)
{
    char text[WI_POOL_TEXT];
    wi_broken_text(text, cause);
    give_back(t);
    return wi_future_failed(-WEFT_EBROKEN, text);
}

WI_COLD void wi_job_drop_why(struct wi_task *t, int code, const char *text)
{
    if (wi_task_need_extra(t))
        t->extra->text = wi_text_dup(text);
    wi_future_drop(t, code);
}

WI_COLD void wi_job_drop_broken(struct wi_task *t, int cause)
{
    char text[WI_POOL_TEXT];
    wi_broken_text(text, cause);
    wi_job_drop_why(t, -WEFT_EBROKEN, text);
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

// Threads ---------------------------------------------------------------------

void wi_threadless_text(char text[WI_POOL_TEXT], const char *pool, int code,
                        bool placed)
{
    const char *hint =
        code == -EAGAIN
            ? ": too many threads (ulimit -u), or no memory for a stack"
        : code == -EINVAL && placed
            ? ": .cpus must name .cpu_count CPUs, some of which this program "
              "may use, or each with .pin"
            : "";
    snprintf(text, WI_POOL_TEXT,
             "pool \"%.31s\": its threads could not be started: %s (%s)%s",
             pool, weft_strerror(code), weft_error_name(code), hint);
}

weft_executor *
wi_threadless_executor(const struct weft_thread_pool_options *options,
                       const char *usual_name, int code)
{
    char text[WI_POOL_TEXT];
    wi_threadless_text(text, options->name != NULL ? options->name : usual_name,
                       code, wi_pool_is_placed(options));
    return wi_broken_executor_why(code, text);
}

int wi_pool_cpus(struct wi_os_cpus *cpus,
                 const struct weft_thread_pool_options *options)
{
    size_t n = options->cpu_count;
    if ((options->cpus == NULL) != (n == 0) || (options->pin && n == 0))
        return -EINVAL;
    *cpus = (struct wi_os_cpus){.count = n, .one_each = options->pin};
    if (n == 0)
        return 0;
    cpus->list = calloc(n, sizeof *cpus->list);
    if (cpus->list == NULL)
        return -ENOMEM;
    memcpy(cpus->list, options->cpus, n * sizeof *cpus->list);
    return 0;
}

// Closing ---------------------------------------------------------------------

enum { LAGGARDS = 8 };

static int64_t close_deadline(double seconds)
{
    return wi_deadline_in(seconds, "weft_executor_close");
}

int wi_pool_drain(void *pool, const struct weft_close_options *options,
                  const struct wi_drain *drain)
{
    struct wi_wait wait = {
        .object = pool, .deadline = WI_FOREVER, .kind = WI_WAIT_POOL};
    double grace = options->grace != 0 ? options->grace : WI_DEFAULT_GRACE;
    bool hurried = options->deadline == 0;
    if (!hurried)
        wait.deadline = close_deadline(options->deadline);
    else if (options->mode == WEFT_CLOSE_CANCEL_ALL)
        wait.deadline = close_deadline(grace);
    int rc = 0;
    while (!drain->over(pool)) {
        if (wi_park(&wait) != -ETIMEDOUT || wait.deadline == WI_FOREVER)
            continue;
        if (!hurried) {
            rc = -ETIMEDOUT;
            drain->hurry(pool);
            wait.deadline = close_deadline(grace);
        } else {
            if (drain->tell != NULL)
                drain->tell(pool, grace);
            wait.deadline = WI_FOREVER;
        }
        hurried = true;
    }
    return rc;
}

void wi_laggards_add(struct wi_laggards *laggards, const struct wi_task *t)
{
    char who[128];
    if (laggards->n++ >= LAGGARDS)
        return;
    wi_task_describe(t, who, sizeof who);
    wi_report("pool \"%s\": %s has not ended %g s after it was canceled; its "
              "close still waits for it",
              laggards->pool, who, laggards->grace);
}

void wi_laggards_end(const struct wi_laggards *laggards)
{
    if (laggards->n > LAGGARDS)
        wi_report("pool \"%s\": and %zu more", laggards->pool,
                  laggards->n - LAGGARDS);
}

// Chunks ----------------------------------------------------------------------

struct chunk {
    const struct weft_job *job;
    const char *in;
    char *out;
    int *codes;
    size_t count;
};

// With a copy of the bytes, as every job has one: those are the caller's.
static WI_COLD int call_with_bytes(const struct weft_job *job,
                                   const struct weft_bytes *arg, void *result,
                                   struct wi_job_frame *frame)
{
    wi_job_need_bytes(job, arg);
    struct weft_bytes copy = weft_bytes_copy(arg->data, arg->len);
    frame->text[0] = '\0';
    if (copy.len < arg->len)
        return -ENOMEM;
    int code = wi_job_call(job, &copy, result, frame);
    weft_bytes_free(&copy);
    return code;
}

// One element, in its place.
static int call_element(const struct chunk *chunk, size_t i,
                        struct wi_job_frame *frame)
{
    const struct weft_job *job = chunk->job;
    const void *arg = chunk->in + i * job->arg_size;
    void *result = chunk->out + i * job->result_size;
    if (WI_RARELY(job->arg_kind == WEFT_BYTES))
        return call_with_bytes(job, arg, result, frame);
    return wi_job_call(job, arg, result, frame);
}

// One element; whether to go on.
static bool run_element(const struct chunk *chunk, size_t i)
{
    struct wi_job_frame frame;
    int code = wi_check_scopes();
    if (code == 0)
        code = call_element(chunk, i, &frame);
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
