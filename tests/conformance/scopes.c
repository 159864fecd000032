// SPDX-License-Identifier: MIT
// Deadlines, shields, cancel.
#include "case.h"

static void deadlines(void)
{
    double before = weft_now();
    {
        WEFT_TIMEOUT(0.002);
        CODE(weft_sleep(INFINITY), -ETIMEDOUT);
        CHECK(weft_now() - before >= 0.002 - 1e-6);
        CODE(weft_check(), -ETIMEDOUT);
        CODE(weft_yield(), -ETIMEDOUT);
        CODE(weft_park(INFINITY), -ETIMEDOUT);
    }
    CODE(weft_check(), 0);
}

static void minimum(void)
{
    {
        WEFT_TIMEOUT(1000);
        WEFT_TIMEOUT(0.001);
        WEFT_TIMEOUT(INFINITY);
        CODE(weft_sleep(INFINITY), -ETIMEDOUT);
    }
    CODE(weft_check(), 0);
}

static void shields(void)
{
    WEFT_TIMEOUT(0);
    CODE(weft_check(), -ETIMEDOUT);
    {
        WEFT_SHIELD(1000);
        CODE(weft_sleep(0.0002), 0);
        {
            WEFT_SHIELD(0);
            CODE(weft_check(), -ETIMEDOUT);
        }
        CODE(weft_check(), 0);
    }
    CODE(weft_check(), -ETIMEDOUT);
}

static int see_cancel(void *arg)
{
    count(arg);
    CODE(weft_sleep(INFINITY), -ECANCELED);
    CODE(weft_yield(), -ECANCELED);
    {
        WEFT_SHIELD(1000);
        CODE(weft_sleep(0.0002), 0);
    }
    CODE(weft_check(), -ECANCELED);
    return 6;
}

static void cancels(void)
{
    int started = 0;
    weft_future *task = weft_task_start(see_cancel, &started);
    weft_future *thread = weft_thread_start(see_cancel, &started);

    await(&started, 2);
    CODE(weft_cancel(task), 0);
    CODE(weft_cancel(thread), 0);
    CODE(weft_join(task), 6);
    CODE(weft_join(thread), 6);
}

// It ran, or it was dropped, but not both and not neither.
static void before_start(void)
{
    for (int i = 0; i < 20; i++) {
        int once = 0;
        weft_future *f = weft_task_start(count, &once, .drop = count_drop);
        weft_cancel(f);
        weft_join(f);
        CHECK(load(&once) == 1);
    }
}

static int leave_early(int *n)
{
    for (int i = 0; i < 10; i++) {
        WEFT_TIMEOUT(0);
        ++*n;
        if (i < 3)
            continue;
        if (i == 3)
            break;
    }
    WEFT_TIMEOUT(0);
    if (*n == 4)
        return weft_check();
    return 0;
}

static void left_early(void)
{
    int n = 0;

    CODE(leave_early(&n), -ETIMEDOUT);
    CHECK(n == 4);
    CODE(weft_check(), 0);
}

const struct conformance_case scopes_cases[] = {
    {"deadlines", deadlines},
    {"nested deadlines", minimum},
    {"shields", shields},
    {"cancel", cancels},
    {"cancel before start", before_start},
    {"scopes left early", left_early},
    {NULL, NULL}};
