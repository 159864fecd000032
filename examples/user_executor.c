// SPDX-License-Identifier: MIT
//
// An executor of one's own: it gives its jobs in turn to two others, one of
// threads and one of processes. Whatever works with an executor works with it.
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

struct turns {
    weft_executor base; // first
    weft_executor *target[2];
    unsigned next;
};

static weft_future *submit(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options)
{
    struct turns *t = (struct turns *)ex;
    unsigned turn = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) % 2;
    weft_executor *target = t->target[turn];

    return target->ops->submit(target, job, arg, options);
}

static size_t width(weft_executor *ex)
{
    struct turns *t = (struct turns *)ex;

    return weft_executor_width(t->target[0]) +
           weft_executor_width(t->target[1]);
}

static int close_both(weft_executor *ex, const struct weft_close_options *how)
{
    struct turns *t = (struct turns *)ex;
    int first = weft_executor_close_with(t->target[0], how);
    int second = weft_executor_close_with(t->target[1], how);

    free(t);
    return first < 0 ? first : second;
}

static const struct weft_executor_ops ops = {.size = sizeof ops,
                                             .kind = "turns",
                                             .submit = submit,
                                             .width = width,
                                             .close = close_both};

static weft_executor *turns(void)
{
    struct turns *t = calloc(1, sizeof *t);

    if (t == NULL)
        return weft_inline_executor();
    t->base.ops = &ops;
    t->target[0] = weft_thread_pool(.workers = 2);
    t->target[1] = weft_process_pool(.workers = 2);
    return &t->base;
}

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

int main(void)
{
    weft_main_hook(); // worker processes begin, and end, here
    weft_executor *ex = turns();
    long in[] = {1, 2, 3, 4}, out[4];
    int rc = weft_map(ex, square, in, 4, out);

    if (rc == 0)
        printf("%ld %ld %ld %ld\n", out[0], out[1], out[2], out[3]);
    else
        fprintf(stderr, "user_executor: %s\n", weft_strerror(rc));
    weft_executor_close(ex);
    return rc;
}
