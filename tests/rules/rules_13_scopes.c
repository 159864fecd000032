// SPDX-License-Identifier: MIT
// Rule 13: WEFT_TIMEOUT and WEFT_SHIELD hold to the end of their block, however
// it is left; nested deadlines take the minimum; children of a group inherit
// the scopes it was opened in, jobs none; a stuck child is reported after
// .grace and waited for.
#include "kit.h"

// However the block is left ---------------------------------------------------

static int leave_by_return(void)
{
    WEFT_TIMEOUT(0);
    WEFT_SHIELD(60);
    WEFT_TIMEOUT(0);
    if (weft_check() == -ETIMEDOUT)
        return 1;
    return 0;
}

static int leave_by_goto(void)
{
    {
        WEFT_TIMEOUT(0);
        if (weft_check() == -ETIMEDOUT)
            goto out;
    }
    return 0;
out:
    return 1;
}

static int leave_by_break_and_continue(void)
{
    int n = 0;

    for (int i = 0; i < 10; i++) {
        if (weft_check() != 0)
            return 0;
        WEFT_TIMEOUT(0);
        if (weft_check() != -ETIMEDOUT)
            return 0;
        n++;
        if (i < 5)
            continue;
        break;
    }
    return n == 6;
}

static int leave_by_switch(int n)
{
    switch (n) {
    case 1: {
        WEFT_TIMEOUT(0);
        if (weft_check() != -ETIMEDOUT)
            return 0;
        break;
    }
    default:
        return weft_check() == 0;
    }
    return weft_check() == 0;
}

static int leave_by_loop_condition(void)
{
    int n = 0;

    do {
        WEFT_TIMEOUT(0);
        n += weft_check() == -ETIMEDOUT;
    } while (n < 3 && weft_check() == 0);
    return n == 3;
}

KIT_BOTH(the_declarations_hold_to_the_end_of_their_block)
{
    ck_assert(leave_by_return());
    kit_assert_code(weft_check(), 0);
    ck_assert(leave_by_goto());
    kit_assert_code(weft_check(), 0);
    ck_assert(leave_by_break_and_continue());
    kit_assert_code(weft_check(), 0);
    ck_assert(leave_by_switch(1) && leave_by_switch(2));
    kit_assert_code(weft_check(), 0);
    ck_assert(leave_by_loop_condition());
    kit_assert_code(weft_check(), 0);
}

// Nesting ---------------------------------------------------------------------

static double sleep_in(double outer, double middle, double inner)
{
    double before = weft_now();
    WEFT_TIMEOUT(outer);
    WEFT_TIMEOUT(middle);
    WEFT_TIMEOUT(inner);

    kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
    return weft_now() - before;
}

// Not too early; too late by far would run into the time limit of the case.
KIT_BOTH(nested_deadlines_take_the_minimum)
{
    ck_assert(sleep_in(0.002, 1000, 1000) >= 0.002 - 1e-6);
    ck_assert(sleep_in(1000, 0.002, 1000) >= 0.002 - 1e-6);
    ck_assert(sleep_in(1000, 1000, 0.002) >= 0.002 - 1e-6);
    ck_assert(sleep_in(INFINITY, 0.002, 1000) >= 0.002 - 1e-6);
}

KIT_BOTH(a_shield_starts_anew)
{
    WEFT_TIMEOUT(0);
    {
        WEFT_SHIELD(1000);
        kit_assert_code(weft_check(), 0);
        {
            WEFT_TIMEOUT(0.001);
            kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
        }
        kit_assert_code(weft_sleep(0.0001), 0);
        {
            WEFT_SHIELD(0);
            kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
        }
        kit_assert_code(weft_sleep(0.0001), 0);
    }
    kit_assert_code(weft_check(), -ETIMEDOUT);
}

// Who inherits ----------------------------------------------------------------

static int tell_check(void *arg)
{
    int rc = weft_check();

    *(int *)arg = rc;
    return 0;
}

static int grandchild(void *arg)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(tell_check, arg));
    return weft_group_close(g);
}

static struct {
    int task, thread, deep, later, other;
} seen;

static void start_children(void)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(tell_check, &seen.task));
    weft_future_unref(weft_thread_start(tell_check, &seen.thread, .group = g));
    weft_future_unref(weft_task_start(grandchild, &seen.deep));
    weft_future_unref(weft_thread_start(tell_check, &seen.other));
    weft_group_close(g);
}

KIT_BOTH(children_inherit_the_scopes_of_their_group)
{
    {
        WEFT_TIMEOUT(0);
        start_children();
    }
    kit_assert_code(seen.task, -ETIMEDOUT);
    kit_assert_code(seen.thread, -ETIMEDOUT);
    kit_assert_code(seen.deep, -ETIMEDOUT);
}

KIT_BOTH(children_do_not_inherit_what_was_entered_in_the_group)
{
    weft_group *g = weft_group_open();
    {
        WEFT_TIMEOUT(0);
        weft_future_unref(weft_task_start(tell_check, &seen.later));
    }
    kit_assert_code(weft_group_close(g), 0);
    kit_assert_code(seen.later, 0);
}

static int block_and_tell(void *arg)
{
    *(int *)arg = weft_sleep(INFINITY);
    return 0;
}

// The deadline passes while the children wait.
KIT_BOTH(an_inherited_deadline_ends_the_waits_of_the_children)
{
    int task = 0, thread = 0;
    {
        WEFT_TIMEOUT(weft_test_seconds(0.05));
        weft_group *g = weft_group_open();
        weft_future_unref(weft_task_start(block_and_tell, &task));
        weft_future_unref(
            weft_thread_start(block_and_tell, &thread, .group = g));
        weft_sleep(INFINITY);
        weft_group_close(g);
    }
    kit_assert_code(task, -ETIMEDOUT);
    kit_assert_code(thread, -ETIMEDOUT);
}

WEFT_JOB(int, job_check)
{
    return weft_check();
}

KIT_BOTH(jobs_inherit_nothing_and_have_their_deadline)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f;
    int rc = 99;
    {
        WEFT_TIMEOUT(0);
        weft_group *g = weft_group_open();
        f = weft_submit(ex, job_check);
        weft_group_cancel(g);
        weft_group_close(g);
    }
    kit_assert_code(weft_result(f, &rc), 0);
    kit_assert_code(rc, 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Grace -----------------------------------------------------------------------

static int deaf_child(void *arg)
{
    char c;

    // Foreign code: it does not hear of the cancel.
    return read(*(int *)arg, &c, 1) == 1 ? 0 : -EIO;
}

static int tell_tale[2];

static void close_over_a_deaf_child(void)
{
    weft_group *g = weft_group_open(.name = "patient", .grace = 0.01);

    weft_future_unref(weft_thread_start(deaf_child, &tell_tale[0], .group = g,
                                        .name = "deaf"));
    weft_group_cancel(g);
    weft_group_close(g);
    _exit(0);
}

// The child is let go only after it has been reported.
WEFT_TEST(a_stuck_child_is_reported_after_grace_and_waited_for, .timeout = 10)
{
    char text[4096] = "";
    size_t have = 0;
    ssize_t n = 1;
    int out[2], status;

    ck_assert_int_eq(pipe(out), 0);
    ck_assert_int_eq(pipe(tell_tale), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDERR_FILENO);
        close_over_a_deaf_child();
    }
    close(out[1]);
    while (n > 0 && !strstr(text, "deaf")) {
        n = read(out[0], text + have, sizeof text - 1 - have);
        have += n > 0 ? (size_t)n : 0;
        text[have] = '\0';
    }
    ck_assert_msg(strstr(text, "deaf"), "not named in: %s", text);
    ck_assert_int_eq(write(tell_tale[1], "x", 1), 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

WEFT_TEST_MAIN("rule 13")
