// SPDX-License-Identifier: MIT
//
// The end of a group against the last touches of its children.
#include <sched.h>

#include <weft/weft.h>

#include "weft_test.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

// A child on another thread leaves at the moment of the close.
static int close_at_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        weft_group *g = weft_group_open();
        weft_future *f = weft_thread_start(nothing, NULL, .group = g);
        while (!weft_done(f))
            sched_yield();
        weft_future_unref(f);
        ck_assert_int_eq(weft_group_close(g), 0);
    }
    return 0;
}

WEFT_TEST(foreign_child_leaves_last, .timeout = 30)
{
    ck_assert_int_eq(weft_run(close_at_once, NULL), 0);
}

static int start_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        weft_future_unref(weft_task_start(nothing, NULL));
    return 0;
}

static int start_in_own_group(void *arg)
{
    (void)arg;
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(nothing, NULL, .group = g));
    return weft_group_close(g);
}

// A thread whose record was a task's does not start its own in that one's run.
WEFT_TEST(thread_has_no_old_home)
{
    ck_assert_int_eq(weft_run(start_many, NULL, .workers = 2), 0);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(weft_join(weft_thread_start(start_in_own_group, NULL)),
                         0);
}

WEFT_TEST_MAIN("group_end")
