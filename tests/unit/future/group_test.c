// SPDX-License-Identifier: MIT
// Groups: who owns what was started, and how a block is left.
#include "kit.h"

KIT_BOTH(close_waits_for_all_children)
{
    int runs = 0;
    struct kit_gate gate = kit_gate_new();
    weft_group *g = weft_group_open(.name = "all");

    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate));
    for (int i = 0; i < 50; i++)
        weft_future_unref(weft_task_start(kit_count, &runs));
    ck_assert_int_gt(weft_group_size(g), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_group_close(g), 0);
    ck_assert_int_eq(runs, 50);
    kit_gate_free(&gate);
}

KIT_BOTH(an_empty_group_closes_with_success)
{
    weft_group *g = weft_group_open();

    ck_assert_uint_eq(weft_group_size(g), 0);
    ck_assert_uint_eq(weft_group_failures(g), 0);
    kit_assert_code(weft_group_failure(g, 0, NULL), -ENOENT);
    kit_assert_code(weft_group_close(g), 0);
}

KIT_BOTH(tasks_belong_to_the_innermost_group)
{
    struct kit_gate gate = kit_gate_new();
    weft_group *outer = weft_group_open(.name = "outer");
    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate));
    weft_group *inner = weft_group_open(.name = "inner");
    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate));
    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate));

    ck_assert_uint_eq(weft_group_size(outer), 1);
    ck_assert_uint_eq(weft_group_size(inner), 2);
    kit_gate_open(&gate);
    kit_assert_code(weft_group_close(inner), 0);
    kit_assert_code(weft_group_close(outer), 0);
    kit_gate_free(&gate);
}

KIT_BOTH(an_option_names_another_group)
{
    struct kit_gate gate = kit_gate_new();
    weft_group *outer = weft_group_open();
    weft_group *inner = weft_group_open();

    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate, .group = outer));
    ck_assert_uint_eq(weft_group_size(outer), 1);
    ck_assert_uint_eq(weft_group_size(inner), 0);
    kit_assert_code(weft_group_close(inner), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_group_close(outer), 0);
    kit_gate_free(&gate);
}

KIT_BOTH(threads_belong_to_a_group_only_if_told)
{
    struct kit_gate gate = kit_gate_new();
    weft_group *g = weft_group_open();
    weft_future *outside = weft_thread_start(kit_wait_at_gate, &gate);

    weft_future_unref(weft_thread_start(kit_wait_at_gate, &gate, .group = g));
    ck_assert_uint_eq(weft_group_size(g), 1);
    kit_gate_open(&gate);
    kit_assert_code(weft_group_close(g), 0);
    kit_assert_code(weft_join(outside), 0);
    kit_gate_free(&gate);
}

KIT_BOTH(threads_and_tasks_are_joined_alike)
{
    int runs = 0;
    weft_group *g = weft_group_open();

    for (int i = 0; i < 5; i++) {
        weft_future_unref(weft_thread_start(kit_count, &runs, .group = g));
        weft_future_unref(weft_task_start(kit_count, &runs));
    }
    kit_assert_code(weft_group_close(g), 0);
    ck_assert_int_eq(runs, 10);
}

// The first failure -----------------------------------------------------------

KIT_BOTH(the_first_failure_cancels_the_other_children)
{
    int started = 0;
    weft_group *g = weft_group_open();
    weft_future *task = weft_task_start(kit_count_and_block, &started);
    weft_future *thread =
        weft_thread_start(kit_count_and_block, &started, .group = g);

    kit_await(&started, 2);
    weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
    kit_assert_code(weft_group_close(g), -EIO);
    kit_assert_code(weft_join(task), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(thread), -WEFT_EJOBCANCELED);
}

KIT_BOTH(the_first_failure_cancels_the_rest_of_the_body)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    kit_assert_code(weft_check(), -ECANCELED);
    kit_assert_code(weft_group_close(g), -EIO);
    kit_assert_code(weft_check(), 0);
    kit_assert_code(weft_sleep(0), 0);
}

KIT_BOTH(a_positive_code_is_no_failure)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(kit_return, kit_number(7)));
    kit_assert_code(weft_yield(), 0);
    kit_assert_code(weft_group_close(g), 0);
}

static int started_children;

static int fail_after_cancel(void *arg)
{
    kit_count(&started_children);
    weft_sleep(INFINITY);
    return (int)(intptr_t)arg;
}

KIT_TASK(failures_are_collected_until_close)
{
    const char *text = NULL;
    weft_group *g = weft_group_open();

    for (int i = 1; i <= 3; i++)
        weft_future_unref(
            weft_task_start(fail_after_cancel, kit_number(-100 - i)));
    kit_await(&started_children, 3);
    weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
    while (weft_group_size(g) > 0) {
        WEFT_SHIELD(INFINITY);
        kit_assert_code(weft_yield(), 0);
    }
    ck_assert_uint_eq(weft_group_failures(g), 4);
    kit_assert_code(weft_group_failure(g, 0, &text), -EIO);
    for (int i = 1; i <= 3; i++)
        ck_assert_int_lt(weft_group_failure(g, (size_t)i, &text), -100);
    kit_assert_code(weft_group_failure(g, 4, &text), -ENOENT);
    kit_assert_code(weft_group_close(g), -EIO);
}

KIT_TASK(the_first_sixteen_failures_are_kept)
{
    weft_group *g = weft_group_open();

    for (int i = 0; i < 20; i++)
        weft_future_unref(weft_task_start(fail_after_cancel, kit_number(-EIO)));
    kit_await(&started_children, 20);
    weft_group_cancel(g);
    while (weft_group_size(g) > 0) {
        WEFT_SHIELD(INFINITY);
        kit_assert_code(weft_yield(), 0);
    }
    ck_assert_uint_ge(weft_group_failures(g), 16);
    kit_assert_code(weft_group_failure(g, 15, NULL), -EIO);
    kit_assert_code(weft_group_failure(g, 16, NULL), -ENOENT);
    kit_assert_code(weft_group_close(g), -EIO);
}

static int unobserved_calls;

static void on_unobserved(int code, const char *text)
{
    (void)code;
    (void)text;
    unobserved_calls++;
}

KIT_BOTH(the_group_hears_of_the_failures_of_its_children)
{
    weft_on_unobserved(on_unobserved);
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
    kit_assert_code(weft_group_close(g), -EIO);
    ck_assert_int_eq(unobserved_calls, 0);
}

// Cancel and fail -------------------------------------------------------------

KIT_BOTH(cancel_reaches_children_and_body)
{
    int started = 0;
    weft_group *g = weft_group_open();
    weft_future *task = weft_task_start(kit_count_and_block, &started);
    weft_future *thread =
        weft_thread_start(kit_count_and_block, &started, .group = g);

    kit_await(&started, 2);
    weft_group_cancel(g);
    weft_group_cancel(g);
    kit_assert_code(weft_check(), -ECANCELED);
    weft_group_close(g);
    kit_assert_code(weft_check(), 0);
    kit_assert_code(weft_join(task), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(thread), -WEFT_EJOBCANCELED);
}

KIT_BOTH(what_starts_in_a_canceled_group_never_runs)
{
    int drops = 0;
    weft_group *g = weft_group_open();

    weft_group_cancel(g);
    weft_future *f = weft_task_start(kit_never, &drops, .drop = kit_count_drop);
    weft_group_close(g);
    ck_assert_int_lt(weft_join(f), 0);
    ck_assert_int_eq(drops, 1);
}

static int cancel_group(void *arg)
{
    weft_group_cancel(arg);
    return 0;
}

KIT_BOTH(any_thread_may_cancel_a_group)
{
    weft_group *g = weft_group_open();
    weft_future *thread = weft_thread_start(cancel_group, g);

    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    weft_group_close(g);
    kit_assert_code(weft_join(thread), 0);
}

KIT_BOTH(fail_records_the_first_code_and_returns_each)
{
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(kit_block, NULL);

    kit_assert_code(weft_group_fail(g, -EIO), -EIO);
    kit_assert_code(weft_group_fail(g, -EPIPE), -EPIPE);
    kit_assert_code(weft_check(), -ECANCELED);
    kit_assert_code(weft_group_close(g), -EIO);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
}

// Close -----------------------------------------------------------------------

static int slow_to_end(void *arg)
{
    kit_count(&started_children);
    weft_sleep(INFINITY);
    WEFT_SHIELD(weft_test_seconds(30));
    for (int i = 0; i < 20; i++)
        kit_assert_code(weft_sleep(0.0005), 0);
    return kit_count(arg);
}

KIT_BOTH(no_deadline_ends_close)
{
    int ended = 0;
    {
        WEFT_TIMEOUT(0.001);
        weft_group *g = weft_group_open();
        weft_future_unref(weft_task_start(slow_to_end, &ended));
        while (weft_yield() == 0)
            continue;
        weft_group_close(g);
        ck_assert_int_eq(kit_load(&ended), 1);
    }
    kit_assert_code(weft_check(), 0);
}

static int ended_children;

static int close_while_canceled(void *arg)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(slow_to_end, &ended_children));
    weft_future_unref(
        weft_thread_start(slow_to_end, &ended_children, .group = g));
    kit_await(&started_children, 2);
    kit_count(arg);
    weft_group_close(g);
    ck_assert_int_eq(kit_load(&ended_children), 2);
    return weft_check();
}

KIT_BOTH(cancel_from_outside_reaches_the_children_of_a_close)
{
    int reached = 0;
    weft_future *f = weft_task_start(close_while_canceled, &reached);

    kit_await(&reached, 1);
    kit_assert_code(weft_cancel(f), 0);
    // Its own weft_check says -ECANCELED; the future says who was canceled.
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(kit_load(&ended_children), 2);
}

static int closes_with;

static int be_lost(void *arg)
{
    (void)arg;
    kit_count(&started_children);
    return weft_sleep(INFINITY);
}

// The child of an inner group, closed before, is canceled by its group alone.
struct canceled_body {
    weft_function *child;
    int reached;
};

static int close_with_a_lost_child(void *arg)
{
    struct canceled_body *body = arg;
    weft_group *g = weft_group_open();
    weft_group *inner = weft_group_open();

    weft_future_unref(weft_task_start(be_lost, NULL));
    weft_group_cancel(inner);
    kit_assert_code(weft_group_close(inner), 0);
    started_children = 0;
    weft_future_unref(weft_task_start(body->child, &ended_children));
    kit_count(&body->reached);
    closes_with = weft_group_close(g);
    return closes_with;
}

static void close_after_cancel(weft_function *child)
{
    struct canceled_body body = {child, 0};
    weft_future *f = weft_task_start(close_with_a_lost_child, &body);

    kit_await(&body.reached, 1);
    kit_await(&started_children, 1);
    weft_cancel(f);
    weft_join(f);
}

KIT_BOTH(children_lost_to_a_cancel_from_outside_are_no_success)
{
    close_after_cancel(be_lost);
    kit_assert_code(closes_with, -ECANCELED);
    close_after_cancel(slow_to_end);
    kit_assert_code(closes_with, 0);
}

static weft_group *shared;
static int late_runs;

static int start_a_sibling(void *arg)
{
    int left = (int)(intptr_t)arg;

    kit_count(&late_runs);
    if (left > 0)
        weft_future_unref(weft_task_start(start_a_sibling, kit_number(left - 1),
                                          .group = shared));
    return 0;
}

KIT_BOTH(children_may_start_siblings_while_the_group_closes)
{
    shared = weft_group_open();
    weft_future_unref(weft_task_start(start_a_sibling, kit_number(30)));
    kit_assert_code(weft_group_close(shared), 0);
    ck_assert_int_eq(late_runs, 31);
}

// A run and a pool may end before a group that was opened outside: what they
// start in it runs where its owner's tasks do.
static int outside_runs;
static struct kit_gate outside_gate;

static int wait_outside(void *arg)
{
    (void)arg;
    int rc = kit_gate_wait(&outside_gate);
    return rc < 0 ? rc : kit_count(&outside_runs);
}

static int start_outside(void *group)
{
    weft_future_unref(
        weft_task_start(kit_count, &outside_runs, .group = group));
    weft_future_unref(weft_task_start(wait_outside, NULL, .group = group));
    return weft_yield();
}

WEFT_JOB(int, start_outside_job)
{
    return start_outside(shared);
}

static void await_outside(int wanted)
{
    double end = weft_now() + weft_test_seconds(5);
    kit_gate_open(&outside_gate);
    while (kit_load(&outside_runs) < wanted && weft_now() < end)
        weft_yield();
    ck_assert_int_eq(kit_load(&outside_runs), wanted);
    kit_gate_free(&outside_gate);
    outside_gate = kit_gate_new();
}

WEFT_TEST(children_that_a_run_or_a_pool_starts_outlive_it, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    outside_gate = kit_gate_new();
    shared = weft_group_open();
    kit_assert_code(weft_run(start_outside, shared), 0);
    await_outside(2);
    kit_assert_code(weft_join(weft_submit(ex, start_outside_job)), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    await_outside(4);
    kit_assert_code(weft_group_close(shared), 0);
    kit_gate_free(&outside_gate);
}

// The declaration -------------------------------------------------------------

static int block_joins(int *runs)
{
    int rc = 1;
    {
        WEFT_GROUP(g, &rc, .name = "block");
        for (int i = 0; i < 10; i++)
            weft_future_unref(weft_task_start(kit_count, runs));
        ck_assert_ptr_nonnull(g);
    }
    ck_assert_int_eq(*runs, 10);
    return rc;
}

KIT_BOTH(leaving_the_block_joins)
{
    int runs = 0;
    kit_assert_code(block_joins(&runs), 0);
}

static int return_early(int *rc, int *runs, int code)
{
    WEFT_GROUP(g, rc);
    weft_future_unref(weft_task_start(kit_count_and_block, runs));
    kit_await(runs, 1);
    if (code < 0)
        return weft_group_fail(g, code);
    weft_group_cancel(g);
    return 5;
}

KIT_BOTH(an_early_return_joins_and_tells_both_codes)
{
    int rc = 1, runs = 0;

    kit_assert_code(return_early(&rc, &runs, -EPROTO), -EPROTO);
    kit_assert_code(rc, -EPROTO);
    runs = 0;
    kit_assert_code(return_early(&rc, &runs, 0), 5);
    kit_assert_code(weft_check(), 0);
}

KIT_BOTH(break_continue_and_goto_leave_the_group)
{
    int rc, runs = 0, i;

    for (i = 0; i < 10; i++) {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(kit_count, &runs));
        if (i < 5)
            continue;
        if (i == 5)
            break;
        weft_group_cancel(g);
    }
    ck_assert_int_eq(i, 5);
    ck_assert_int_eq(runs, 6);
    kit_assert_code(rc, 0);
    {
        WEFT_GROUP(g, &rc);
        weft_future_unref(weft_task_start(kit_count, &runs));
        goto out;
    }
out:
    ck_assert_int_eq(runs, 7);
    kit_assert_code(rc, 0);
}

// Scale -----------------------------------------------------------------------

static int nest(void *arg)
{
    int depth = (int)(intptr_t)arg, rc = 1;

    if (depth > 0) {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 2; i++)
            weft_future_unref(weft_task_start(nest, kit_number(depth - 1)));
        ck_assert_uint_le(weft_group_size(g), 2);
    }
    return depth > 0 ? rc : 0;
}

KIT_BOTH(a_tree_of_groups, .timeout = 20)
{
    kit_assert_code(weft_join(weft_task_start(nest, kit_number(8))), 0);
}

static int fail_at_the_bottom(void *arg)
{
    int depth = (int)(intptr_t)arg, rc = -EIO;

    if (depth > 0) {
        weft_group *g = weft_group_open();
        weft_future_unref(
            weft_task_start(fail_at_the_bottom, kit_number(depth - 1)));
        weft_future_unref(weft_task_start(kit_block, NULL));
        rc = weft_group_close(g);
    }
    return rc;
}

KIT_BOTH(a_failure_travels_up_a_tree)
{
    kit_assert_code(
        weft_join(weft_task_start(fail_at_the_bottom, kit_number(50))), -EIO);
}

WEFT_TEST_MAIN("group")
