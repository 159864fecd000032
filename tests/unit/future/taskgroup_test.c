// SPDX-License-Identifier: MIT
//
// What groups, deadlines and joins do when several things happen at once: the
// cases of asyncio's task groups, timeouts and wait_for that the other programs
// of this folder do not have.
#include "kit.h"

static int begun;    // bodies
static int canceled; // bodies that were told to stop

static int note_cancel(void *arg)
{
    (void)arg;
    kit_count(&begun);
    int rc = weft_sleep(INFINITY);
    if (rc == -ECANCELED)
        kit_count(&canceled);
    return rc;
}

// Fails with its own code when it is told to stop.
static int fail_when_canceled(void *arg)
{
    kit_count(&begun);
    weft_sleep(INFINITY);
    return (int)(intptr_t)arg;
}

static weft_future *start_runner(weft_function *fn)
{
    begun = canceled = 0;
    return weft_task_start(fn, NULL);
}

// Results ---------------------------------------------------------------------

KIT_BOTH(children_give_their_results)
{
    weft_group *group = weft_group_open();
    weft_future *a = weft_task_start(kit_return, kit_number(42));
    weft_yield();
    weft_future *b = weft_task_start(kit_return, kit_number(11));

    kit_assert_code(weft_group_close(group), 0);
    kit_assert_code(weft_join(a), 42);
    kit_assert_code(weft_join(b), 11);
}

KIT_BOTH(a_child_that_is_canceled_alone_is_no_failure)
{
    weft_group *group = weft_group_open();
    weft_future *a = weft_task_start(note_cancel, NULL, .group = group);
    weft_future *b;

    weft_yield();
    weft_cancel(a);
    b = weft_task_start(kit_return, kit_number(11), .group = group);
    kit_assert_code(weft_join(b), 11);
    kit_assert_code(weft_group_close(group), 0);
    kit_assert_code(weft_join(a), -WEFT_EJOBCANCELED);
}

KIT_BOTH(those_that_have_ended_do_not_gather)
{
    weft_group *group = weft_group_open();

    for (int i = 0; i < 100; i++)
        weft_join(weft_task_start(kit_return, NULL, .group = group));
    while (weft_group_size(group) > 0) // the last one is on its way out
        weft_yield();
    kit_assert_code(weft_group_close(group), 0);
}

static int say_name(void *arg)
{
    weft_current_name(arg, 32);
    return 0;
}

KIT_BOTH(a_task_has_the_name_it_was_given)
{
    char name[32];

    kit_assert_code(weft_join(weft_task_start(say_name, name, .name = "yolo")),
                    0);
    ck_assert_str_eq(name, "yolo");
}

// Cancel from outside ---------------------------------------------------------

static int group_of_five(void *arg)
{
    weft_group *group = weft_group_open();

    for (int i = 0; i < 5; i++)
        weft_future_unref(weft_task_start(note_cancel, arg, .group = group));
    int rc = weft_group_close(group);
    return rc < 0 ? rc : weft_check(); // it was to end, and knows it
}

static int group_of_five_and_a_body(void *arg)
{
    weft_group *group = weft_group_open();

    for (int i = 0; i < 5; i++)
        weft_future_unref(weft_task_start(note_cancel, arg, .group = group));
    int rc = note_cancel(NULL);
    weft_group_fail(group, rc);
    weft_group_close(group);
    return rc;
}

KIT_BOTH(a_cancel_from_outside_reaches_body_and_children)
{
    weft_future *runner = start_runner(group_of_five);
    kit_await(&begun, 5);
    weft_cancel(runner);
    kit_assert_code(weft_join(runner), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(canceled, 5);

    runner = start_runner(group_of_five_and_a_body);
    kit_await(&begun, 6);
    weft_cancel(runner);
    kit_assert_code(weft_join(runner), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(canceled, 6);
}

static int fail_while_canceled(void *arg)
{
    weft_group *group = weft_group_open();

    (void)arg;
    for (int i = 0; i < 3; i++)
        weft_future_unref(weft_task_start(fail_when_canceled, kit_number(-EDOM),
                                          .group = group));
    weft_sleep(INFINITY);
    return weft_group_close(group);
}

// The group within another: its code goes up as the body's.
static int fail_while_canceled_inside(void *arg)
{
    weft_group *group = weft_group_open();
    int rc;

    weft_future_unref(weft_task_start(note_cancel, NULL, .group = group));
    rc = fail_while_canceled(arg);
    if (rc < 0)
        weft_group_fail(group, rc);
    return weft_group_close(group);
}

KIT_BOTH(a_child_that_fails_while_it_is_canceled_is_heard)
{
    static weft_function *const runners[] = {fail_while_canceled,
                                             fail_while_canceled_inside};
    for (int i = 0; i < 2; i++) {
        weft_future *runner = start_runner(runners[i]);

        kit_await(&begun, 3 + i);
        weft_cancel(runner);
        kit_assert_code(weft_join(runner), -EDOM);
    }
}

// The body takes its time to clean up; a child fails meanwhile.
static int clean_up_slowly(void *arg)
{
    struct kit_gate *gate = arg;
    weft_group *group = weft_group_open();
    weft_future *child =
        weft_task_start(fail_when_canceled, kit_number(-EDOM), .group = group);

    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    weft_group_cancel(group);
    {
        WEFT_SHIELD(5);
        kit_assert_code(kit_gate_wait(gate), 0);
        kit_assert_code(weft_join(child), -EDOM);
    }
    return weft_group_close(group);
}

KIT_BOTH(a_failure_while_the_body_cleans_up_is_heard)
{
    struct kit_gate gate = kit_gate_new();

    begun = 0;
    weft_future *runner = weft_task_start(clean_up_slowly, &gate);
    kit_await(&begun, 1);
    weft_cancel(runner);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(runner), -EDOM);
    kit_gate_free(&gate);
}

// Failures of the body --------------------------------------------------------

KIT_BOTH(a_body_that_fails_cancels_its_children)
{
    for (int started = 0; started < 2; started++) {
        weft_group *group = weft_group_open();
        weft_future *a = weft_task_start(kit_block, NULL, .group = group);
        weft_future *b = weft_task_start(kit_block, NULL, .group = group);

        if (started)
            weft_yield();
        kit_assert_code(weft_group_fail(group, -EDOM), -EDOM);
        kit_assert_code(weft_group_close(group), -EDOM);
        kit_assert_code(weft_join(a), -WEFT_EJOBCANCELED);
        kit_assert_code(weft_join(b), -WEFT_EJOBCANCELED);
    }
}

KIT_BOTH(the_failures_of_a_child_and_then_of_the_body_are_both_kept)
{
    weft_group *group = weft_group_open();
    const char *text;

    weft_future_unref(
        weft_task_start(kit_return, kit_number(-EDOM), .group = group));
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    weft_group_fail(group, -ERANGE);
    ck_assert_uint_eq(weft_group_failures(group), 2);
    kit_assert_code(weft_group_failure(group, 0, &text), -EDOM);
    kit_assert_code(weft_group_failure(group, 1, &text), -ERANGE);
    kit_assert_code(weft_group_close(group), -EDOM);
}

// Groups in groups ------------------------------------------------------------

KIT_BOTH(a_failure_in_the_outer_group_ends_the_inner_one)
{
    weft_group *outer = weft_group_open(), *inner;
    weft_future *child;

    inner = weft_group_open();
    child = weft_task_start(kit_block, NULL, .group = inner);
    weft_future_unref(
        weft_task_start(kit_return, kit_number(-EDOM), .group = outer));
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    weft_group_close(inner);
    kit_assert_code(weft_group_close(outer), -EDOM);
    kit_assert_code(weft_join(child), -WEFT_EJOBCANCELED);
}

static weft_group *hydras;
static int heads;

static int hydra(void *arg)
{
    (void)arg;
    kit_count(&heads);
    int rc = weft_sleep(0.001); // or there would be too many in no time
    if (rc < 0)
        return rc;
    for (int i = 0; i < 2; i++)
        weft_future_unref(weft_task_start(hydra, NULL, .group = hydras));
    return 0;
}

static int hercules(void *arg)
{
    (void)arg;
    kit_await(&heads, 10);
    return -EDOM;
}

KIT_BOTH(children_that_start_children_for_ever_are_ended, .timeout = 20)
{
    heads = 0;
    hydras = weft_group_open();
    weft_future_unref(weft_task_start(hydra, NULL, .group = hydras));
    weft_future_unref(weft_task_start(hercules, NULL, .group = hydras));
    kit_assert_code(weft_group_close(hydras), -EDOM);
    ck_assert_int_ge(heads, 10);
}

// Deadlines -------------------------------------------------------------------

static int cancel_in_a_timeout(void *arg)
{
    WEFT_TIMEOUT(weft_test_seconds(60));
    kit_count(arg);
    return weft_sleep(INFINITY);
}

KIT_BOTH(a_cancel_in_a_timeout_is_a_cancel)
{
    int begun = 0;
    weft_future *f = weft_task_start(cancel_in_a_timeout, &begun);

    kit_await(&begun, 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
}

static int fail_after_the_deadline(void *arg)
{
    (void)arg;
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_sleep(1), -ETIMEDOUT);
    return -EDOM;
}

KIT_BOTH(a_code_of_ones_own_passes_through_a_timeout)
{
    kit_assert_code(weft_join(weft_task_start(fail_after_the_deadline, NULL)),
                    -EDOM);
    kit_assert_code(fail_after_the_deadline(NULL), -EDOM);
    kit_assert_code(weft_check(), 0); // the outer code is as before
}

KIT_BOTH(no_time_and_less)
{
    static const double none[] = {0, -1, -1e9};

    for (int i = 0; i < 3; i++) {
        WEFT_TIMEOUT(none[i]);
        kit_assert_code(weft_sleep(0), -ETIMEDOUT);
        kit_assert_code(weft_yield(), -ETIMEDOUT);
        kit_assert_code(weft_sleep(10), -ETIMEDOUT);
    }
    kit_assert_code(weft_sleep(0), 0);
}

// Nothing looks at the clock until both have passed.
KIT_BOTH(both_deadlines_pass_while_the_thread_is_busy)
{
    double end;
    WEFT_TIMEOUT(0.001);
    {
        WEFT_TIMEOUT(0.002);
        for (end = weft_now() + 0.01; weft_now() < end;)
            continue;
        kit_assert_code(weft_sleep(10), -ETIMEDOUT);
    }
    kit_assert_code(weft_sleep(10), -ETIMEDOUT);
}

KIT_BOTH(a_deadline_around_a_group_ends_its_children)
{
    int rc;
    weft_future *child;
    {
        WEFT_TIMEOUT(0.005);
        weft_group *group = weft_group_open();
        child = weft_task_start(kit_block, NULL, .group = group);
        rc = weft_group_close(group);
    }
    kit_assert_code(rc, -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(child), -WEFT_EJOBTIMEOUT);
}

// Joins with a deadline -------------------------------------------------------

KIT_TASK(a_join_without_time_never_starts_it)
{
    weft_future *f = weft_task_start(kit_never, NULL);
    WEFT_TIMEOUT(0);

    kit_assert_code(weft_join(f), -ETIMEDOUT);
}

// Who gives up a join asks its task to end; the group waits until it has.
static int ended;

static int end_slowly(void *arg)
{
    (void)arg;
    kit_count(&begun);
    weft_sleep(INFINITY);
    for (int i = 0; i < 20; i++)
        sched_yield();
    ended++;
    return 0;
}

KIT_BOTH(the_group_waits_for_what_a_join_has_given_up)
{
    ended = begun = 0;
    weft_group *group = weft_group_open();
    weft_future *f = weft_task_start(end_slowly, NULL, .group = group);
    kit_await(&begun, 1);
    {
        WEFT_TIMEOUT(0.005);
        kit_assert_code(weft_join(f), -ETIMEDOUT);
    }
    kit_assert_code(weft_group_close(group), 0);
    ck_assert_int_eq(ended, 1);
}

static int sleep_a_little(void *arg)
{
    int rc = weft_sleep(1e-6 * (double)(intptr_t)arg);

    return rc < 0 ? rc : 7;
}

// Result and deadline at the same time: one of them is told, and the result is
// not lost.
KIT_BOTH(a_result_that_comes_with_the_deadline_is_not_lost, .timeout = 20)
{
    for (int i = 0; i < 300; i++) {
        long time = (long)(weft_test_random() % 200);
        weft_future *f = weft_task_start(sleep_a_little, kit_number(time));
        int rc;
        {
            WEFT_TIMEOUT(1e-6 * (double)(weft_test_random() % 200));
            rc = weft_get_into(f, NULL, 0);
        }
        ck_assert_msg(rc == 7 || rc == -ETIMEDOUT, "%s", weft_error_name(rc));
        kit_assert_code(weft_join(f), 7);
    }
}

WEFT_TEST_MAIN("taskgroup")
