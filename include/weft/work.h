// SPDX-License-Identifier: MIT
//
// work.h: for those who write an executor of their own. A weft_work is one
// submitted job: the job, a copy of its argument, and its future. An executor's
// submit makes one and keeps it until it has run it or given it up:
//
//     static weft_future *submit(weft_executor *ex, const struct weft_job *job,
//                                const void *arg,
//                                const struct weft_submit_options *options)
//     {
//         weft_future *f;
//         weft_work *work = weft_work_new(job, arg, options, &f);
//         if (work != NULL)
//             put_into_my_queue(ex, work);      // somebody calls weft_work_run
//         return f;
//     }
//
// tests/support/latest_first.h is a whole one.
#ifndef WEFT_WORK_H
#define WEFT_WORK_H

#include <weft/base.h>
#include <weft/executor.h>

typedef struct weft_work weft_work;

WEFT_BEGIN

// A work: job with a copy of arg. *future gets the caller's handle on its
// future; if NULL is returned, one that has failed. options may be NULL; of
// them .deadline and .name hold. What the caller has under inherited keys
// (local.h) the job will have, whoever runs it. Canceling the future ends work
// that has not begun, and from then on blocking calls in work that runs fail
// with -ECANCELED. Threads: any. Blocks: no. Since 0.1.
WEFT_API weft_work *weft_work_new(const struct weft_job *job, const void *arg,
                                  const struct weft_submit_options *options,
                                  weft_future **future);

// Runs the job in the caller and completes its future, unless that is done
// already. The caller's cancels and deadlines do not reach the job. Blocks: if
// the job does. Threads: any. Since 0.1.
WEFT_API void weft_work_run(weft_work *work);

// Cancels it as its future's weft_cancel does; for an executor that is
// closed. Threads: any. Blocks: no. Since 0.1.
WEFT_API void weft_work_cancel(weft_work *work);

// Fails the future with code (negative), unless it is done or the job runs.
// Threads: any. Blocks: no. Since 0.1.
WEFT_API void weft_work_drop(weft_work *work, int code);

// Frees work that does not run. If its future is not done, it fails with
// -WEFT_EABANDONED. NULL is allowed. Since 0.1.
WEFT_API void weft_work_free(weft_work *work);

// An executor that runs each job inside its submit: for tests, and for programs
// that choose their executor by an option. Jobs of one thread nest. Never NULL.
// Since 0.1.
WEFT_API weft_executor *weft_inline_executor(void);

// An executor whose jobs are tasks of the run that the caller is in, in the
// order of submits: other threads hand work to an event loop by it. Must be
// closed before the run ends. Outside a run, the process-wide default loop
// (see task.h) takes them. Never NULL. Since 0.1.
WEFT_API weft_executor *weft_loop_executor(void);

WEFT_END

#endif
