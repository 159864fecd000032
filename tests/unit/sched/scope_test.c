// SPDX-License-Identifier: MIT
// Scopes: deadlines, shields and cancel requests, how they nest, whom they
// reach, and how they end.
#include "kit.h"

// Deadlines -------------------------------------------------------------------

KIT_BOTH(a_deadline_ends_a_wait_and_not_too_early)
{
    double before = weft_now();
    {
        WEFT_TIMEOUT(0.005);
        kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
        ck_assert(weft_now() - before >= 0.005 - 1e-6);
    }
    kit_assert_code(weft_check(), 0);
}

KIT_BOTH(a_passed_deadline_stays_passed)
{
    struct kit_gate gate = kit_gate_new();
    {
        WEFT_TIMEOUT(0);
        for (int i = 0; i < 3; i++) {
            kit_assert_code(weft_check(), -ETIMEDOUT);
            kit_assert_code(weft_yield(), -ETIMEDOUT);
            kit_assert_code(weft_sleep(0), -ETIMEDOUT);
            kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
            kit_assert_code(weft_park(INFINITY), -ETIMEDOUT);
            kit_assert_code(kit_gate_wait(&gate), -ETIMEDOUT);
        }
    }
    kit_assert_code(weft_sleep(0), 0);
    kit_gate_free(&gate);
}

KIT_BOTH(no_limit_is_no_deadline)
{
    WEFT_TIMEOUT(INFINITY);
    kit_assert_code(weft_check(), 0);
    kit_assert_code(weft_sleep(0.0001), 0);
}

static void check_nested(double outer, double inner, double least)
{
    double before = weft_now();
    {
        WEFT_TIMEOUT(outer);
        {
            WEFT_TIMEOUT(inner);
            kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
            ck_assert(weft_now() - before >= least - 1e-6);
        }
        kit_assert_code(weft_check(), outer > inner ? 0 : -ETIMEDOUT);
    }
    kit_assert_code(weft_check(), 0);
}

KIT_BOTH(nested_deadlines_take_the_minimum)
{
    check_nested(30, 0.002, 0.002);
    check_nested(0.002, 30, 0.002);
    check_nested(0.002, INFINITY, 0.002);
    check_nested(INFINITY, 0.002, 0.002);
}

KIT_BOTH(a_hundred_nested_scopes)
{
    struct weft_scope scopes[100];

    for (int i = 0; i < 100; i++)
        weft_timeout_enter(&scopes[i], i == 50 ? 0 : 60);
    kit_assert_code(weft_check(), -ETIMEDOUT);
    for (int i = 99; i > 50; i--) {
        kit_assert_code(weft_check(), -ETIMEDOUT);
        weft_scope_leave(&scopes[i]);
    }
    weft_scope_leave(&scopes[50]);
    for (int i = 49; i >= 0; i--) {
        kit_assert_code(weft_check(), 0);
        weft_scope_leave(&scopes[i]);
    }
}

KIT_BOTH(what_is_done_in_time_is_no_timeout)
{
    WEFT_TIMEOUT(60);
    kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(1))), 1);
    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(1))), 1);
    kit_assert_code(weft_sleep(0.0001), 0);
}

// Shields ---------------------------------------------------------------------

KIT_BOTH(a_shield_keeps_a_passed_deadline_out)
{
    WEFT_TIMEOUT(0);
    kit_assert_code(weft_check(), -ETIMEDOUT);
    {
        WEFT_SHIELD(60);
        kit_assert_code(weft_check(), 0);
        kit_assert_code(weft_sleep(0.0005), 0);
        kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(2))),
                        2);
    }
    kit_assert_code(weft_check(), -ETIMEDOUT);
}

KIT_BOTH(a_shield_has_a_deadline_of_its_own)
{
    WEFT_TIMEOUT(0);
    {
        WEFT_SHIELD(0.002);
        double before = weft_now();
        kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
        ck_assert(weft_now() - before >= 0.002 - 1e-6);
        kit_assert_code(weft_check(), -ETIMEDOUT);
    }
}

KIT_BOTH(deadlines_inside_a_shield_hold)
{
    WEFT_SHIELD(60);
    {
        WEFT_TIMEOUT(0.001);
        kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
    }
    kit_assert_code(weft_sleep(0), 0);
}

static struct kit_gate canceled_now;

static int clean_up_when_canceled(void *arg)
{
    kit_count(arg);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    {
        WEFT_SHIELD(weft_test_seconds(30));
        kit_assert_code(weft_check(), 0);
        kit_assert_code(weft_sleep(0.0005), 0);
        kit_assert_code(kit_gate_wait(&canceled_now), 0);
    }
    kit_assert_code(weft_check(), -ECANCELED);
    return 5;
}

KIT_BOTH(a_shield_keeps_a_cancel_request_out)
{
    int started = 0;

    canceled_now = kit_gate_new();
    weft_future *fs[] = {weft_task_start(clean_up_when_canceled, &started),
                         weft_thread_start(clean_up_when_canceled, &started)};
    kit_await(&started, 2);
    kit_assert_code(weft_cancel(fs[0]), 0);
    kit_assert_code(weft_cancel(fs[1]), 0);
    kit_gate_open(&canceled_now);
    kit_assert_code(weft_join(fs[0]), 5);
    kit_assert_code(weft_join(fs[1]), 5);
    kit_gate_free(&canceled_now);
}

static int shielded_from_the_start(void *arg)
{
    {
        WEFT_SHIELD(weft_test_seconds(30));
        kit_count(arg);
        kit_assert_code(kit_gate_wait(&canceled_now), 0);
    }
    return weft_check() == -ECANCELED ? 6 : -EIO;
}

KIT_BOTH(a_request_that_comes_in_a_shield_holds_after_it)
{
    int started = 0;

    canceled_now = kit_gate_new();
    weft_future *f = weft_task_start(shielded_from_the_start, &started);
    kit_await(&started, 1);
    kit_assert_code(weft_cancel(f), 0);
    kit_gate_open(&canceled_now);
    kit_assert_code(weft_join(f), 6);
    kit_gate_free(&canceled_now);
}

KIT_BOTH(a_group_inside_a_shield_can_be_canceled)
{
    WEFT_SHIELD(60);
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    kit_assert_code(weft_check(), -ECANCELED);
    weft_group_close(g);
    kit_assert_code(weft_check(), 0);
}

// Cancel ----------------------------------------------------------------------

static int see_it_every_time(void *arg)
{
    kit_count(arg);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    for (int i = 0; i < 5; i++) {
        kit_assert_code(weft_check(), -ECANCELED);
        kit_assert_code(weft_yield(), -ECANCELED);
        kit_assert_code(weft_sleep(0), -ECANCELED);
        kit_assert_code(weft_sleep(1), -ECANCELED);
        kit_assert_code(weft_park(INFINITY), -ECANCELED);
    }
    return 7;
}

KIT_BOTH(a_cancel_request_is_seen_every_time)
{
    int started = 0;
    weft_future *fs[] = {weft_task_start(see_it_every_time, &started),
                         weft_thread_start(see_it_every_time, &started)};

    kit_await(&started, 2);
    kit_assert_code(weft_cancel(fs[0]), 0);
    kit_assert_code(weft_cancel(fs[1]), 0);
    kit_assert_code(weft_join(fs[0]), 7);
    kit_assert_code(weft_join(fs[1]), 7);
}

KIT_BOTH(cancel_wins_over_timeout)
{
    weft_group *g = weft_group_open();
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_check(), -ETIMEDOUT);
        weft_group_cancel(g);
        kit_assert_code(weft_check(), -ECANCELED);
        kit_assert_code(weft_sleep(1), -ECANCELED);
    }
    weft_group_close(g);
}

KIT_BOTH(an_inner_group_can_be_canceled_alone)
{
    weft_group *outer = weft_group_open(), *inner = weft_group_open();

    weft_group_cancel(inner);
    kit_assert_code(weft_check(), -ECANCELED);
    weft_group_close(inner);
    kit_assert_code(weft_check(), 0);
    weft_group_close(outer);
}

KIT_BOTH(an_outer_request_reaches_the_inner_scopes)
{
    weft_group *outer = weft_group_open(), *inner = weft_group_open();

    weft_group_cancel(outer);
    kit_assert_code(weft_check(), -ECANCELED);
    weft_group_close(inner);
    kit_assert_code(weft_check(), -ECANCELED);
    weft_group_close(outer);
    kit_assert_code(weft_check(), 0);
}

// Children --------------------------------------------------------------------

static int tell_check(void *arg)
{
    (void)arg;
    int rc = weft_check();
    return rc == 0 ? 1 : rc == -ETIMEDOUT ? 2 : 3;
}

KIT_BOTH(children_inherit_the_scopes_their_group_was_opened_in)
{
    WEFT_TIMEOUT(0);
    weft_group *g = weft_group_open();
    weft_future *f = weft_task_start(tell_check, NULL);

    weft_group_close(g);
    kit_assert_code(weft_future_code(f), 2);
    weft_future_unref(f);
}

KIT_BOTH(children_do_not_inherit_what_was_entered_later)
{
    weft_future *f;
    weft_group *g = weft_group_open();
    {
        WEFT_TIMEOUT(0);
        f = weft_task_start(tell_check, NULL);
    }
    kit_assert_code(weft_group_close(g), 0);
    kit_assert_code(weft_join(f), 1);
}

KIT_BOTH(tasks_of_no_group_inherit_nothing)
{
    weft_future *f;
    {
        WEFT_TIMEOUT(0);
        f = weft_task_start(tell_check, NULL);
    }
    kit_assert_code(weft_join(f), 1);
}

KIT_BOTH(a_thread_of_a_group_inherits_too)
{
    WEFT_TIMEOUT(0);
    weft_group *g = weft_group_open();
    weft_future *f = weft_thread_start(tell_check, NULL, .group = g);

    weft_group_close(g);
    kit_assert_code(weft_future_code(f), 2);
    weft_future_unref(f);
}

KIT_BOTH(a_shield_around_a_group_shields_its_children)
{
    WEFT_TIMEOUT(0);
    {
        WEFT_SHIELD(60);
        weft_group *g = weft_group_open();
        weft_future *f = weft_task_start(tell_check, NULL);
        kit_assert_code(weft_group_close(g), 0);
        kit_assert_code(weft_join(f), 1);
    }
}

WEFT_JOB(int, job_check)
{
    return tell_check(NULL);
}

KIT_BOTH(jobs_inherit_no_scope)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f;
    int seen = 0;
    {
        WEFT_TIMEOUT(0);
        f = weft_submit(ex, job_check);
    }
    kit_assert_code(weft_result(f, &seen), 0);
    ck_assert_int_eq(seen, 1);
    kit_assert_code(weft_executor_close(ex), 0);
}

// The waiter's limit and the job's --------------------------------------------

static void promised(struct kit_gate *gate, int *cancels)
{
    gate->promise =
        weft_promise_new(.on_cancel = kit_count_drop, .arg = cancels);
    gate->future = weft_promise_future(gate->promise);
}

KIT_BOTH(a_join_that_gave_up_asks_to_cancel)
{
    struct kit_gate gate;
    int cancels = 0;

    promised(&gate, &cancels);
    weft_future *kept = weft_future_ref(gate.future);
    {
        WEFT_TIMEOUT(0.001);
        kit_assert_code(weft_join(gate.future), -ETIMEDOUT);
    }
    ck_assert_int_eq(cancels, 1);
    kit_assert_code(weft_promise_keep(gate.promise, 0, NULL, 0, NULL),
                    -EALREADY);
    kit_assert_code(weft_join(kept), -WEFT_EJOBCANCELED);
}

KIT_BOTH(a_get_that_gave_up_does_not)
{
    struct kit_gate gate;
    int cancels = 0;

    promised(&gate, &cancels);
    {
        WEFT_TIMEOUT(0.001);
        kit_assert_code(weft_get_into(gate.future, NULL, 0), -ETIMEDOUT);
    }
    ck_assert_int_eq(cancels, 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(gate.future), 0);
}

static int canceled_joiner(void *arg)
{
    struct kit_gate *gate = arg;

    return weft_join(gate->future) == -ECANCELED ? 1 : 2;
}

KIT_BOTH(a_canceled_joiner_gets_its_own_code)
{
    struct kit_gate gate;
    int cancels = 0;

    promised(&gate, &cancels);
    weft_future *kept = weft_future_ref(gate.future);
    weft_future *f = weft_thread_start(canceled_joiner, &gate);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), 1);
    ck_assert_int_eq(cancels, 1);
    weft_promise_drop(gate.promise);
    kit_assert_code(weft_join(kept), -WEFT_EJOBCANCELED);
}

KIT_BOTH(the_two_codes_of_cancel_are_never_confused)
{
    int started = 0;
    weft_future *task = weft_task_start(kit_count_and_block, &started);
    weft_future *thread = weft_thread_start(kit_count_and_block, &started);

    kit_await(&started, 2);
    weft_cancel(task);
    weft_cancel(thread);
    kit_assert_code(weft_join(task), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(thread), -WEFT_EJOBCANCELED);
}

KIT_BOTH(the_two_codes_of_timeout_are_never_confused)
{
    weft_future *f;
    {
        WEFT_TIMEOUT(0.001);
        weft_group *g = weft_group_open();
        f = weft_task_start(kit_block, NULL); // inherits the deadline
        weft_group_close(g);
    }
    kit_assert_code(weft_join(f), -WEFT_EJOBTIMEOUT);
}

WEFT_TEST_MAIN("scope")
