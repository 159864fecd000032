// SPDX-License-Identifier: MIT
//
// What is the same for every executor: the calls of executor.h go through its
// ops, and a bound executor adds options on the way.
#include <weft/executor.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "base/text.h"
#include "exec/pool.h"
#include "future/external.h"
#include "os/report.h"

weft_future *weft_submit_job(weft_executor *ex, const struct weft_job *job,
                             const void *arg)
{
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    wi_require(arg != NULL || job == NULL || job->arg_kind == WEFT_NONE, ex,
               "arg must not be NULL: the job takes an argument");
    return ex->ops->submit(ex, job, arg, NULL);
}

size_t weft_executor_width(weft_executor *ex)
{
    wi_require(ex != NULL, ex, "an executor must not be NULL");
    size_t width = ex->ops->width(ex);
    return width > 0 ? width : 1;
}

int weft_executor_close_with(weft_executor *ex,
                             const struct weft_close_options *options)
{
    WI_OPTIONS(options);
    return ex == NULL ? 0 : ex->ops->close(ex, options);
}

void weft_executor_leave(weft_executor *const *ex)
{
    wi_need(ex);
    weft_executor_close_with(*ex, NULL);
}

// Bound -----------------------------------------------------------------------

static weft_executor *target(weft_executor *ex)
{
    return ((struct weft_bound_executor *)ex)->target;
}

static const struct weft_executor_ops bound_ops;

weft_executor *wi_executor_unbound(weft_executor *ex,
                                   const struct weft_submit_options **options)
{
    const struct weft_submit_options *outer = NULL;
    for (; ex->ops == &bound_ops; ex = target(ex))
        if (outer == NULL)
            outer = &((struct weft_bound_executor *)ex)->options;
    if (options != NULL)
        *options = outer;
    return ex;
}

static weft_future *bound_submit(weft_executor *ex, const struct weft_job *job,
                                 const void *arg,
                                 const struct weft_submit_options *options)
{
    struct weft_bound_executor *bound = (struct weft_bound_executor *)ex;
    if (options == NULL)
        options = &bound->options;
    return bound->target->ops->submit(bound->target, job, arg, options);
}

static size_t bound_width(weft_executor *ex)
{
    return weft_executor_width(target(ex));
}

static int bound_close(weft_executor *ex,
                       const struct weft_close_options *options)
{
    return weft_executor_close_with(target(ex), options);
}

static const struct weft_executor_ops bound_ops = {
    .size = sizeof bound_ops,
    .kind = "bound",
    .submit = bound_submit,
    .width = bound_width,
    .close = bound_close,
};

weft_executor *weft_executor_bind(struct weft_bound_executor *bound)
{
    wi_need(bound);
    wi_require(bound->target != NULL, bound, "an executor must not be NULL");
    bound->base.ops = &bound_ops;
    return &bound->base;
}

// Broken ----------------------------------------------------------------------

struct broken {
    weft_executor base;
    int code;
    char text[WI_POOL_TEXT]; // "": that of the code
};

static weft_future *broken_submit(weft_executor *ex, const struct weft_job *job,
                                  const void *arg,
                                  const struct weft_submit_options *options)
{
    (void)job;
    (void)arg;
    (void)options;
    const struct broken *broken = (struct broken *)ex;
    return wi_future_failed(broken->code, broken->text[0] != '\0'
                                              ? broken->text
                                              : weft_strerror(broken->code));
}

static size_t broken_width(weft_executor *ex)
{
    (void)ex;
    return 1;
}

static int broken_close(weft_executor *ex,
                        const struct weft_close_options *options)
{
    (void)options;
    if (((struct broken *)ex)->code != -ENOMEM)
        free(ex);
    return 0;
}

static const struct weft_executor_ops broken_ops = {
    .size = sizeof broken_ops,
    .kind = "broken",
    .submit = broken_submit,
    .width = broken_width,
    .close = broken_close,
};

weft_executor *wi_broken_executor_why(int code, const char *text)
{
    static struct broken no_memory = {{&broken_ops}, -ENOMEM, ""};
    struct broken *broken = code == -ENOMEM ? NULL : malloc(sizeof *broken);
    if (broken == NULL)
        return &no_memory.base;
    *broken = (struct broken){{&broken_ops}, code, ""};
    wi_text_copy(broken->text, sizeof broken->text, text);
    return &broken->base;
}

weft_executor *wi_broken_executor(int code)
{
    return wi_broken_executor_why(code, "");
}

bool wi_executor_is_broken(const weft_executor *ex)
{
    return ex->ops == &broken_ops;
}
