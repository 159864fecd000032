// SPDX-License-Identifier: MIT
// Rule 11: a group owns its children of every kind; a normal leave joins, an
// early leave that says so cancels; the first failure cancels the rest and the
// body; errors are collected until close; a task outside any group belongs to
// the root group of its run, canceled and joined at the end.
#include "kit.h"

static int ended;

static int count_end(void *arg)
{
    kit_assert_code(weft_sleep(0.0002), 0);
    return kit_count(arg);
}

KIT_BOTH(a_normal_leave_joins_children_of_every_kind)
{
    int rc = 1;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 5; i++) {
            weft_future_unref(weft_task_start(count_end, &ended));
            weft_future_unref(weft_thread_start(count_end, &ended, .group = g));
        }
    }
    kit_assert_code(rc, 0);
    ck_assert_int_eq(kit_load(&ended), 10);
}

static int started;

static int see_cancel(void *arg)
{
    kit_count(&started);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    return kit_count(arg);
}

static int leave_with(weft_group *g, int code)
{
    return weft_group_fail(g, code);
}

static int leave_early(int how, int *rc)
{
    for (;;) {
        WEFT_GROUP(g, rc);
        weft_future_unref(weft_task_start(see_cancel, &ended));
        weft_future_unref(weft_thread_start(see_cancel, &ended, .group = g));
        kit_await(&started, 2);
        if (how == 0)
            return leave_with(g, -EIO);
        leave_with(g, -EPIPE);
        if (how == 1)
            break;
        goto out;
    }
    return 1;
out:
    return 2;
}

KIT_BOTH(an_early_leave_cancels_and_joins)
{
    static const int codes[] = {-EIO, -EPIPE, -EPIPE};
    static const int results[] = {-EIO, 1, 2};

    for (int how = 0; how < 3; how++) {
        int rc = 0;
        started = ended = 0;
        kit_assert_code(leave_early(how, &rc), results[how]);
        kit_assert_code(rc, codes[how]);
        ck_assert_int_eq(kit_load(&ended), 2);
        kit_assert_code(weft_check(), 0);
    }
}

KIT_BOTH(the_first_failure_cancels_the_rest_and_the_body)
{
    int rc = 0;
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(see_cancel, &ended));
        weft_future_unref(weft_thread_start(see_cancel, &ended, .group = g));
        kit_await(&started, 2);
        weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
        kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    }
    kit_assert_code(rc, -EIO);
    ck_assert_int_eq(kit_load(&ended), 2);
    kit_assert_code(weft_check(), 0);
}

WEFT_JOB(int, refuse)
{
    weft_fail(-EXDEV, "no");
    return 0;
}

// A job belongs to a group through what waits for it.
static int wait_for_job(void *arg)
{
    return weft_join(weft_submit(arg, refuse));
}

KIT_BOTH(a_job_that_fails_its_waiter_fails_the_group)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int rc = 0;
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(wait_for_job, ex));
        kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    }
    kit_assert_code(rc, -EXDEV);
    kit_assert_code(weft_executor_close(ex), 0);
}

static int fail_when_canceled(void *arg)
{
    kit_count(&started);
    weft_sleep(INFINITY);
    return (int)(intptr_t)arg;
}

KIT_BOTH(errors_are_collected_until_close)
{
    weft_group *g = weft_group_open();
    int seen = 0;

    weft_future_unref(weft_task_start(fail_when_canceled, kit_number(-EIO)));
    weft_future_unref(
        weft_thread_start(fail_when_canceled, kit_number(-EPIPE), .group = g));
    kit_await(&started, 2);
    kit_assert_code(weft_group_fail(g, -EXDEV), -EXDEV);
    while (weft_group_size(g) > 0) {
        WEFT_SHIELD(INFINITY);
        weft_yield();
    }
    ck_assert_uint_eq(weft_group_failures(g), 3);
    kit_assert_code(weft_group_failure(g, 0, NULL), -EXDEV);
    for (size_t i = 1; i < 3; i++) {
        const char *text = NULL;
        seen += weft_group_failure(g, i, &text);
        ck_assert_ptr_nonnull(text);
    }
    ck_assert_int_eq(seen, -EIO - EPIPE);
    kit_assert_code(weft_group_failure(g, 3, NULL), -ENOENT);
    kit_assert_code(weft_group_close(g), -EXDEV);
}

// The root group --------------------------------------------------------------

static int root_code;

static int tell_cancel(void *arg)
{
    kit_count(&started);
    root_code = weft_sleep(INFINITY);
    return kit_count(arg);
}

static int leave_a_task(void *arg)
{
    (void)arg;
    weft_future_unref(weft_task_start(tell_cancel, &ended));
    kit_await(&started, 1);
    return 5;
}

WEFT_TEST(the_root_group_of_a_run_is_canceled_and_joined_at_its_end)
{
    kit_assert_code(weft_run(leave_a_task, NULL), 5);
    kit_assert_code(root_code, -ECANCELED);
    ck_assert_int_eq(ended, 1);
    started = ended = 0;
    kit_assert_code(weft_run(leave_a_task, NULL, .workers = 3), 5);
    ck_assert_int_eq(kit_load(&ended), 1);
}

static int exit_when_canceled(void *arg)
{
    kit_count(arg);
    if (weft_sleep(INFINITY) == -ECANCELED)
        _exit(44);
    return 0;
}

WEFT_TEST(that_of_the_default_loop_at_the_end_of_the_program, .exit_code = 44)
{
    weft_future_unref(weft_task_start(exit_when_canceled, &started));
    kit_await(&started, 1);
}

// Nested ----------------------------------------------------------------------

static int group_of_two(void *arg)
{
    int depth = (int)(intptr_t)arg, rc;

    if (depth == 0)
        return kit_count(&ended);
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(group_of_two, kit_number(depth - 1)));
        weft_future_unref(weft_task_start(group_of_two, kit_number(depth - 1)));
        ck_assert_ptr_nonnull(g);
    }
    return rc;
}

KIT_BOTH(a_group_that_is_left_has_no_children)
{
    kit_assert_code(group_of_two(kit_number(6)), 0);
    ck_assert_int_eq(kit_load(&ended), 64);
}

WEFT_TEST_MAIN("rule 11")
