// SPDX-License-Identifier: MIT
//
// latest_first.h: an executor as a user would write it: one thread, which takes
// the job that was submitted last.
#ifndef WEFT_TEST_LATEST_FIRST_H
#define WEFT_TEST_LATEST_FIRST_H

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <weft.h>

struct latest_first {
    weft_executor base; // first
    weft_queue *works;
    weft_future *thread;
    struct weft_lock lock; // for running
    weft_work *running;
};

static void set_running(struct latest_first *l, weft_work *work)
{
    if (weft_lock_acquire(&l->lock) == 0) {
        l->running = work;
        weft_lock_release(&l->lock);
    }
}

static int run_works(void *arg)
{
    struct latest_first *l = arg;
    for (weft_work *work; weft_queue_get(l->works, &work) == 0;) {
        set_running(l, work);
        weft_work_run(work);
        set_running(l, NULL);
        weft_work_free(work);
    }
    return 0;
}

static weft_future *latest_submit(weft_executor *ex, const struct weft_job *job,
                                  const void *arg,
                                  const struct weft_submit_options *options)
{
    weft_future *f;
    weft_work *work = weft_work_new(job, arg, options, &f);
    WEFT_SHIELD(INFINITY); // the job is not ended with its submitter
    int rc =
        work ? weft_queue_put(((struct latest_first *)ex)->works, &work) : 0;
    if (rc < 0) { // closed
        weft_work_drop(work, rc);
        weft_work_free(work);
    }
    return f;
}

static size_t latest_width(weft_executor *ex)
{
    return ex != NULL; // one job at once
}

static void latest_cancel(struct latest_first *l, enum weft_close_mode mode)
{
    weft_work *work;
    while (mode != WEFT_CLOSE_DRAIN &&
           weft_queue_get(l->works, &work, .nowait = true) == 0) {
        weft_work_cancel(work);
        weft_work_free(work);
    }
    if (mode == WEFT_CLOSE_CANCEL_ALL && weft_lock_acquire(&l->lock) == 0) {
        if (l->running != NULL)
            weft_work_cancel(l->running);
        weft_lock_release(&l->lock);
    }
}

static int latest_close(weft_executor *ex,
                        const struct weft_close_options *options)
{
    struct latest_first *l = (struct latest_first *)ex;
    int rc = 0;
    WEFT_SHIELD(INFINITY); // no cancel ends a close
    weft_queue_shutdown(l->works, false);
    latest_cancel(l, options->mode);
    if (options->deadline != 0 && // negative: it has passed
        weft_wait(&l->thread, 1, WEFT_ALL_COMPLETED, options->deadline) == 0) {
        latest_cancel(l, WEFT_CLOSE_CANCEL_ALL);
        rc = -ETIMEDOUT;
    }
    weft_join(l->thread);
    weft_queue_free(l->works);
    free(l);
    return rc;
}

static const struct weft_executor_ops latest_ops = {.size = sizeof latest_ops,
                                                    .kind = "latest first",
                                                    .submit = latest_submit,
                                                    .width = latest_width,
                                                    .close = latest_close};

static weft_executor *latest_first(void)
{
    struct latest_first *l = calloc(1, sizeof *l);
    if (l == NULL)
        return weft_inline_executor();
    l->base.ops = &latest_ops;
    l->works = weft_queue_new(.kind = WEFT_QUEUE_LIFO);
    l->thread = weft_thread_start(run_works, l, .name = "latest first");
    return &l->base;
}

#endif
