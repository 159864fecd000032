// SPDX-License-Identifier: MIT
// The handle: code, result, text, references, callbacks, cancel.
#include "kit.h"

#include <pthread.h>
#include <stdio.h>

// Join ------------------------------------------------------------------------

KIT_BOTH(join_gives_what_the_function_returned)
{
    kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(7))), 7);
    kit_assert_code(weft_join(weft_task_start(kit_return, NULL)), 0);
    kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(-EINVAL))),
                    -EINVAL);
    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(8))), 8);
    kit_assert_code(weft_join(weft_thread_start(kit_return, kit_number(-EIO))),
                    -EIO);
}

KIT_BOTH(join_of_what_is_done_already)
{
    weft_future *f = weft_task_start(kit_return, kit_number(9));

    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, INFINITY), 1);
    ck_assert(weft_done(f));
    kit_assert_code(weft_join(f), 9);
}

KIT_BOTH(get_keeps_the_handle)
{
    weft_future *f = weft_task_start(kit_return, kit_number(3));

    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_get_into(f, NULL, 0), 3);
    kit_assert_code(weft_join(f), 3);
}

KIT_BOTH(each_reference_is_a_handle)
{
    weft_future *f = weft_task_start(kit_return, kit_number(4));

    for (int i = 0; i < 100; i++)
        ck_assert_ptr_eq(weft_future_ref(f), f);
    for (int i = 0; i < 100; i++)
        kit_assert_code(weft_join(f), 4);
    kit_assert_code(weft_join(f), 4);
}

WEFT_TEST(unref_of_null_is_allowed)
{
    weft_future_unref(NULL);
}

KIT_BOTH(a_dropped_handle_does_not_end_the_task)
{
    int runs = 0;

    for (int i = 0; i < 10; i++)
        weft_future_unref(weft_task_start(kit_count, &runs));
    kit_await(&runs, 10);
}

// State -----------------------------------------------------------------------

KIT_BOTH(code_and_done_never_block)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = weft_task_start(kit_wait_at_gate, &gate);

    ck_assert(!weft_done(f));
    kit_assert_code(weft_future_code(f), -EAGAIN);
    ck_assert_str_eq(weft_future_text(f), "");
    kit_gate_open(&gate);
    kit_assert_code(weft_get_into(f, NULL, 0), 0);
    ck_assert(weft_done(f));
    kit_assert_code(weft_future_code(f), 0);
    ck_assert_str_eq(weft_future_text(f), "");
    weft_future_unref(f);
    kit_gate_free(&gate);
}

static int same_id(void *arg)
{
    uint64_t *id = arg;
    *id = weft_current_id();
    return 0;
}

static void check_id(weft_future *f, const uint64_t *seen)
{
    uint64_t id = weft_future_id(f);

    ck_assert_uint_ne(id, 0);
    kit_assert_code(weft_join(f), 0);
    ck_assert_uint_eq(id, *seen);
}

KIT_BOTH(the_id_is_the_one_the_body_sees)
{
    uint64_t seen = 0;

    check_id(weft_task_start(same_id, &seen), &seen);
    check_id(weft_thread_start(same_id, &seen), &seen);
    ck_assert_uint_ne(weft_current_id(), 0);
    ck_assert_uint_ne(weft_current_id(), seen);
}

KIT_BOTH(ids_are_never_used_again)
{
    uint64_t ids[200];

    for (int i = 0; i < 200; i++) {
        weft_future *f = weft_task_start(kit_return, NULL);
        ids[i] = weft_future_id(f);
        kit_assert_code(weft_join(f), 0);
        for (int k = 0; k < i; k++)
            ck_assert_uint_ne(ids[i], ids[k]);
    }
}

KIT_BOTH(open_of_an_own_id_is_one_more_handle)
{
    weft_future *f = weft_task_start(kit_return, kit_number(5));
    weft_future *again = weft_future_open(weft_future_id(f));

    ck_assert_ptr_nonnull(again);
    ck_assert_uint_eq(weft_future_id(again), weft_future_id(f));
    kit_assert_code(weft_join(again), 5);
    kit_assert_code(weft_join(f), 5);
}

KIT_BOTH(open_of_an_unknown_id_is_a_failed_future)
{
    weft_future *f = weft_future_open(UINT64_MAX - 1);

    ck_assert_ptr_nonnull(f);
    kit_assert_code(weft_join(f), -ESRCH);
}

// Callbacks -------------------------------------------------------------------

static struct {
    int calls;
    weft_future *future;
    pthread_t thread;
} heard;

static void hear(weft_future *f, void *arg)
{
    ck_assert_ptr_eq(arg, &heard);
    ck_assert(weft_done(f));
    heard.future = f;
    heard.thread = pthread_self();
    kit_count(&heard.calls);
}

KIT_BOTH(a_callback_runs_inline_in_the_completer)
{
    struct kit_gate gate = kit_gate_new();

    kit_assert_code(weft_future_on_done(gate.future, hear, &heard), 0);
    ck_assert_int_eq(heard.calls, 0);
    kit_gate_open(&gate);
    ck_assert_int_eq(heard.calls, 1);
    ck_assert_ptr_eq(heard.future, gate.future);
    ck_assert(pthread_equal(heard.thread, pthread_self()));
    kit_gate_free(&gate);
}

KIT_BOTH(a_callback_on_what_is_done_runs_at_once)
{
    struct kit_gate gate = kit_gate_new();

    kit_gate_open(&gate);
    kit_assert_code(weft_future_on_done(gate.future, hear, &heard), 0);
    ck_assert_int_eq(heard.calls, 1);
    kit_gate_free(&gate);
}

static pthread_t thread_of_body;

static int tell_thread(void *arg)
{
    thread_of_body = pthread_self();
    return kit_gate_wait(arg);
}

WEFT_TEST(a_callback_on_a_thread_runs_in_that_thread)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = weft_thread_start(tell_thread, &gate);

    kit_assert_code(weft_future_on_done(f, hear, &heard), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(f), 0);
    kit_await(&heard.calls, 1); // a join may see the end before it
    ck_assert(pthread_equal(heard.thread, thread_of_body));
    kit_gate_free(&gate);
}

static void count_call(weft_future *f, void *arg)
{
    (void)f;
    kit_count(arg);
}

KIT_BOTH(all_callbacks_run_once)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *f = weft_task_start(kit_wait_at_gate, &gate);
    int calls = 0;

    for (int i = 0; i < 100; i++)
        kit_assert_code(weft_future_on_done(f, count_call, &calls), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_get_into(f, NULL, 0), 0);
    kit_await(&calls, 100);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(kit_load(&calls), 100);
    kit_gate_free(&gate);
}

static struct {
    weft_future *victim, *child;
    int runs;
} chained;

static void start_and_cancel(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
    chained.child = weft_task_start(kit_count, &chained.runs);
    weft_cancel(chained.victim);
}

KIT_BOTH(a_callback_may_start_and_cancel)
{
    struct kit_gate gate = kit_gate_new();

    chained.victim = weft_task_start(kit_block, NULL);
    kit_assert_code(weft_future_on_done(gate.future, start_and_cancel, NULL),
                    0);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(chained.child), 0);
    ck_assert_int_eq(chained.runs, 1);
    kit_assert_code(weft_join(chained.victim), -WEFT_EJOBCANCELED);
    kit_gate_free(&gate);
}

// Failures that nobody asked for ----------------------------------------------

static struct {
    int calls, code;
    char text[100];
} unobserved;

static void on_unobserved(int code, const char *text)
{
    unobserved.calls++;
    unobserved.code = code;
    snprintf(unobserved.text, sizeof unobserved.text, "%s", text ? text : "");
}

static weft_future *failed_promise(int code, const char *text)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);

    kit_assert_code(weft_promise_keep(p, code, NULL, 0, text), 0);
    return f;
}

KIT_BOTH(a_failure_nobody_asked_for_is_reported)
{
    weft_on_unobserved(on_unobserved);
    weft_future_unref(failed_promise(-EIO, "the disk is gone"));
    ck_assert_int_eq(unobserved.calls, 1);
    kit_assert_code(unobserved.code, -EIO);
    ck_assert_ptr_nonnull(strstr(unobserved.text, "the disk is gone"));
}

KIT_BOTH(a_failure_after_the_last_handle_is_reported)
{
    weft_promise *p = weft_promise_new();

    weft_on_unobserved(on_unobserved);
    weft_future_unref(weft_promise_future(p));
    ck_assert_int_eq(unobserved.calls, 0);
    kit_assert_code(weft_promise_keep(p, -EPIPE, NULL, 0, NULL), 0);
    ck_assert_int_eq(unobserved.calls, 1);
    kit_assert_code(unobserved.code, -EPIPE);
}

KIT_BOTH(who_asks_for_the_code_has_seen_the_failure)
{
    weft_on_unobserved(on_unobserved);
    kit_assert_code(weft_join(failed_promise(-EIO, "joined")), -EIO);
    weft_future *f = failed_promise(-EIO, "asked");
    kit_assert_code(weft_future_code(f), -EIO);
    weft_future_unref(f);
    f = failed_promise(-EIO, "got");
    kit_assert_code(weft_get_into(f, NULL, 0), -EIO);
    weft_future_unref(f);
    f = failed_promise(-EIO, "gathered");
    kit_assert_code(weft_gather_into(&f, 1, NULL, 0, NULL), -EIO);
    ck_assert_int_eq(unobserved.calls, 0);
}

KIT_BOTH(a_success_is_never_reported)
{
    weft_on_unobserved(on_unobserved);
    weft_future_unref(failed_promise(0, NULL));
    weft_future_unref(failed_promise(7, NULL));
    ck_assert_int_eq(unobserved.calls, 0);
}

static void drop_a_failure(void)
{
    weft_on_unobserved(on_unobserved);
    weft_on_unobserved(NULL);
    weft_future_unref(failed_promise(-EIO, "the disk is gone"));
}

WEFT_TEST(without_a_listener_it_is_one_line_on_standard_error)
{
    char text[4096];
    int status = kit_child(drop_a_failure, text, sizeof text);
    char *end = strchr(text, '\n');

    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(strstr(text, "the disk is gone"));
    ck_assert_ptr_nonnull(end);
    ck_assert_str_eq(end + 1, "");
}

// Cancel ----------------------------------------------------------------------

KIT_BOTH(cancel_asks_and_keeps_the_handle)
{
    weft_future *f = weft_task_start(kit_block, NULL);

    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_get_into(f, NULL, 0), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_cancel(f), -EALREADY);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
}

KIT_BOTH(cancel_of_what_is_done_changes_nothing)
{
    weft_future *f = weft_task_start(kit_return, kit_number(6));

    kit_assert_code(weft_get_into(f, NULL, 0), 6);
    kit_assert_code(weft_cancel(f), -EALREADY);
    kit_assert_code(weft_future_code(f), 6);
    kit_assert_code(weft_join(f), 6);
}

static int end_well_when_canceled(void *arg)
{
    kit_count(arg);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    return 12;
}

KIT_BOTH(a_canceled_task_may_still_end_well)
{
    int started = 0;
    weft_future *f = weft_task_start(end_well_when_canceled, &started);

    kit_await(&started, 1);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), 12);
}

KIT_BOTH(a_canceled_thread_gets_it_from_its_blocking_calls)
{
    int started = 0;
    weft_future *f = weft_thread_start(end_well_when_canceled, &started);

    kit_await(&started, 1);
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(f), 12);
}

// Many waiters ----------------------------------------------------------------

KIT_BOTH(every_waiter_of_a_future_wakes)
{
    struct kit_gate gate = kit_gate_new();
    weft_future *waiters[60];

    for (int i = 0; i < 60; i++)
        waiters[i] = i % 6 ? weft_task_start(kit_wait_at_gate, &gate)
                           : weft_thread_start(kit_wait_at_gate, &gate);
    kit_assert_code(weft_yield(), 0);
    kit_gate_open(&gate);
    kit_assert_code(weft_gather_into(waiters, 60, NULL, 0, NULL), 0);
    kit_gate_free(&gate);
}

// One handle, looked at from several sides while its owner keeps it: the task
// that gets it may run the child inside that call, just when a thread begins
// or ends to watch it.
static struct {
    weft_future *future;
    int turn, seen;
} shared;

static int watch_shared(void *arg)
{
    int rounds = (int)(intptr_t)arg;

    for (int i = 1; i <= rounds; i++) {
        while (kit_load(&shared.turn) < i)
            sched_yield();
        for (int spin = i % 64; spin > 0; spin--)
            __asm__ volatile("");
        kit_assert_code(weft_get_into(shared.future, NULL, 0), 5);
        kit_count(&shared.seen);
    }
    return 0;
}

static int end_after_spinning(void *arg)
{
    for (intptr_t spin = (intptr_t)arg; spin > 0; spin--)
        __asm__ volatile("");
    return 5;
}

KIT_BOTH(a_handle_may_be_used_from_several_sides, .timeout = 30)
{
    int rounds = KIT_SANITIZED ? 2000 : 20000;
    weft_future *watcher = weft_thread_start(watch_shared, kit_number(rounds));

    for (int i = 1; i <= rounds; i++) {
        shared.future = weft_task_start(
            end_after_spinning, kit_number((long)weft_test_random() % 4000));
        kit_count(&shared.turn);
        kit_assert_code(weft_get_into(shared.future, NULL, 0), 5);
        while (kit_load(&shared.seen) < i)
            sched_yield();
        weft_future_unref(shared.future);
    }
    kit_assert_code(weft_join(watcher), 0);
}

static int join_it(void *arg)
{
    return weft_join(arg);
}

KIT_BOTH(a_thread_joins_a_task_and_a_task_a_thread)
{
    weft_future *task = weft_task_start(kit_return, kit_number(21));
    weft_future *thread = weft_thread_start(join_it, task);

    kit_assert_code(weft_join(weft_task_start(join_it, thread)), 21);
}

WEFT_TEST_MAIN("future")
