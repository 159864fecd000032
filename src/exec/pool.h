// SPDX-License-Identifier: MIT
//
// pool.h: what pools share: records of kind WI_KIND_JOB, and how they end.
#ifndef WI_EXEC_POOL_H
#define WI_EXEC_POOL_H

#include <weft/executor.h>

#include "base/cold.h"
#include "exec/job.h"
#include "future/local.h"
#include "os/thread.h"
#include "sched/task.h"

// Whether the record of a job can be made at once, without a call, and that.
static inline bool wi_job_record_at_hand(const struct wi_this_thread *here,
                                         const struct weft_job *job)
{
    return wi_job_check(job) == 0 && wi_job_arg_is_word(job) &&
           !wi_local_inherits() && wi_task_at_hand(here);
}

static inline struct wi_task *wi_job_record_take(struct wi_this_thread *here,
                                                 const struct weft_job *job,
                                                 const void *arg)
{
    struct wi_task *t = wi_task_at_hand_new(here, WI_KIND_JOB, WI_QUEUED, 2);
    t->job = job;
    t->arg = wi_job_arg_word(job, arg);
    return t;
}

// A record for one job with a copy of its argument, unstarted, two references;
// or, if it cannot be made, a future that has failed (WI_KIND_FAILED).
struct wi_task *wi_job_record_slow(const struct weft_job *job, const void *arg,
                                   const struct weft_submit_options *options);
static inline struct wi_task *
wi_job_record(const struct weft_job *job, const void *arg,
              const struct weft_submit_options *options)
{
    if (WI_RARELY(options != NULL || !wi_job_record_at_hand(&wi_here, job)))
        return wi_job_record_slow(job, arg, options);
    return wi_job_record_take(&wi_here, job, arg);
}

// Gives back such a record (or NULL) that will not be queued: what the submit
// returns.
weft_future *wi_job_refused(struct wi_task *t, int code);

// What a pool says whose initializer has failed with cause, and one that has no
// thread; placed: they were to run on certain CPUs.
enum { WI_POOL_TEXT = 256 };
void wi_broken_text(char text[WI_POOL_TEXT], int cause);
void wi_threadless_text(char text[WI_POOL_TEXT], const char *pool, int code,
                        bool placed);

// The same as wi_job_refused of such a pool, and the end of a record that was
// queued in it and is claimed.
weft_future *wi_job_broken(struct wi_task *t, int cause);
void wi_job_drop_broken(struct wi_task *t, int cause);
void wi_job_drop_why(struct wi_task *t, int code, const char *text);

// A record that runs job on count elements; see submit_chunk.
struct wi_task *wi_chunk_record(const struct weft_job *job, const void *in,
                                size_t count, void *out, int *codes,
                                const struct weft_submit_options *options);

// An executor that fails every submit with one code: for a pool that could not
// start. Never NULL.
weft_executor *wi_broken_executor(int code);

// The same with a text for people that each of its futures has.
weft_executor *wi_broken_executor_why(int code, const char *text);

// Whether it is one of these.
bool wi_executor_is_broken(const weft_executor *ex);

// The executor itself beneath those that weft_executor_with has bound to it;
// *options (may be NULL) are those that a submit to ex would have, or NULL.
weft_executor *wi_executor_unbound(weft_executor *ex,
                                   const struct weft_submit_options **options);

// Of a job that a full window has canceled.
#define WI_DROPPED_TEXT                                                        \
    "canceled: the window was full, and a later job has its place"

// Whether a map must send its elements one by one, unless it is asked for
// chunks: the limits are for a job.
static inline bool wi_submit_is_limited(const struct weft_submit_options *o)
{
    return o != NULL && (o->deadline != 0 || o->timeout != 0 || o->retries);
}

// What a wait for the end of a pool's jobs asks and does.
struct wi_drain {
    bool (*over)(void *pool);  // whether nothing of it is left to run
    void (*hurry)(void *pool); // the deadline has passed: cancels all
    // Names what still runs, so many seconds after it was canceled. NULL: what
    // such a pool cancels does end.
    void (*tell)(void *pool, double grace);
};

// Waits until it is over; not ended by the caller's scopes. pool is what wakes
// the caller. 0, or -ETIMEDOUT if the options' deadline came first.
int wi_pool_drain(void *pool, const struct weft_close_options *options,
                  const struct wi_drain *drain);

// Jobs that a close waits for although they were canceled: the first are named,
// the others counted.
struct wi_laggards {
    const char *pool; // its name
    double grace;     // seconds since they were canceled
    size_t n;
};
void wi_laggards_add(struct wi_laggards *laggards, const struct wi_task *t);
void wi_laggards_end(const struct wi_laggards *laggards);

// What a submit to the inline executor does.
weft_future *wi_submit_inline(const struct weft_job *job, const void *arg,
                              const struct weft_submit_options *options);

// For a pool that has no thread: fails every submit, and says so.
weft_executor *
wi_threadless_executor(const struct weft_thread_pool_options *options,
                       const char *usual_name, int code);

// Whether they say where its threads shall run.
static inline bool wi_pool_is_placed(const struct weft_thread_pool_options *o)
{
    return o->cpus != NULL || o->cpu_count != 0 || o->pin;
}

// Copies the CPUs that the options name, for the threads of a pool; freed by
// free(cpus->list). 0, -ENOMEM, or -EINVAL: these options contradict.
int wi_pool_cpus(struct wi_os_cpus *cpus,
                 const struct weft_thread_pool_options *options);

weft_executor *wi_blocking_pool(const struct weft_thread_pool_options *options);

// Sets the limit of a blocking pool. 0, -EINVAL (ex is none) or -WEFT_EFORKED.
int wi_blocking_pool_resize(weft_executor *ex, unsigned workers);

// Fills in what a blocking pool knows; false: ex is none.
bool wi_blocking_pool_tell(weft_executor *ex,
                           struct weft_thread_pool_stats *stats);

#endif
