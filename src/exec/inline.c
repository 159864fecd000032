// SPDX-License-Identifier: MIT
#include <weft/work.h>

#include <errno.h>
#include <stdlib.h>

#include "exec/pool.h"

weft_future *wi_submit_inline(const struct weft_job *job, const void *arg,
                              const struct weft_submit_options *options)
{
    weft_future *f;
    weft_work *work = weft_work_new(job, arg, options, &f);
    if (work != NULL)
        weft_work_run(work);
    weft_work_free(work);
    return f;
}

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    (void)ex;
    return wi_submit_inline(job, arg, options);
}

static size_t width(weft_executor *ex)
{
    (void)ex;
    return 1;
}

// Everything has run by now.
static int close_inline(weft_executor *ex,
                        const struct weft_close_options *options)
{
    (void)options;
    free(ex);
    return 0;
}

static const struct weft_executor_ops inline_ops = {
    .size = sizeof inline_ops,
    .kind = "inline",
    .submit = submit,
    .width = width,
    .close = close_inline,
};

weft_executor *weft_inline_executor(void)
{
    weft_executor *ex = malloc(sizeof *ex);
    if (ex == NULL)
        return wi_broken_executor(-ENOMEM);
    ex->ops = &inline_ops;
    return ex;
}
