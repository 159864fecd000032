// SPDX-License-Identifier: MIT
// Groups.
#include "case.h"

static void joins(void)
{
    int runs = 0, rc = 1;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 10; i++) {
            weft_future_unref(weft_task_start(count, &runs));
            weft_future_unref(weft_thread_start(count, &runs, .group = g));
        }
    }
    CODE(rc, 0);
    CHECK(load(&runs) == 20);
}

static void first_failure(void)
{
    int started = 0;
    weft_group *g = weft_group_open(.name = "failing");
    weft_future *task = weft_task_start(count_and_block, &started);
    weft_future *thread =
        weft_thread_start(count_and_block, &started, .group = g);

    await(&started, 2);
    weft_future_unref(weft_task_start(give, number(-EIO)));
    CODE(weft_sleep(INFINITY), -ECANCELED);
    CHECK(weft_group_failures(g) >= 1);
    CODE(weft_group_failure(g, 0, NULL), -EIO);
    CODE(weft_group_close(g), -EIO);
    CODE(weft_check(), 0);
    CODE(weft_join(task), -WEFT_EJOBCANCELED);
    CODE(weft_join(thread), -WEFT_EJOBCANCELED);
}

static int leave(int *rc, int *started, int code)
{
    WEFT_GROUP(g, rc);
    weft_future_unref(weft_task_start(count_and_block, started));
    await(started, 1);
    return weft_group_fail(g, code);
}

static void early(void)
{
    int rc = 0, started = 0;

    CODE(leave(&rc, &started, -EPIPE), -EPIPE);
    CODE(rc, -EPIPE);
    CODE(weft_check(), 0);
}

static void canceled(void)
{
    int started = 0;
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(count_and_block, &started);

    await(&started, 1);
    CHECK(weft_group_size(g) == 1);
    weft_group_cancel(g);
    CODE(weft_check(), -ECANCELED);
    weft_group_close(g);
    CODE(weft_check(), 0);
    CODE(weft_join(f), -WEFT_EJOBCANCELED);
}

static int nest(void *arg)
{
    long depth = (intptr_t)arg;
    int rc = 0;

    if (depth > 0) {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 3; i++)
            weft_future_unref(weft_task_start(nest, number(depth - 1)));
        CHECK(weft_group_size(g) <= 3);
    }
    return rc;
}

static void nested(void)
{
    CODE(weft_join(weft_task_start(nest, number(4))), 0);
}

static int told;

static int tell(void *arg)
{
    (void)arg;
    told = weft_sleep(INFINITY);
    return 0;
}

static int leave_behind(void *arg)
{
    weft_future_unref(weft_task_start(count_and_block, arg));
    weft_future_unref(weft_task_start(tell, NULL));
    await(arg, 1);
    weft_sleep(0.0005);
    return 4;
}

static void root(void)
{
    int started = 0;

    told = 0;
    CODE(weft_run(leave_behind, &started), 4);
    CODE(told, -ECANCELED);
}

const struct conformance_case groups_cases[] = {
    {"group joins", joins},
    {"first failure", first_failure},
    {"group left early", early},
    {"group canceled", canceled},
    {"nested groups", nested},
    {"root group", root},
    {NULL, NULL}};
