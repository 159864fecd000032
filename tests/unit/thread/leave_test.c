// SPDX-License-Identifier: MIT
// What becomes of a thread that is still running when the program exits. A
// thread that exit waited for ends the program with a status of its own.
#include "kit.h"

static int ends[2], reached;

// Called before Weft's own part of exit, which is older: from here on the
// program is on its way out.
static void let_go(void)
{
    if (write(ends[1], "x", 1) != 1)
        _exit(1);
}

// Goes on when exit has begun, and then takes its time: an exit that does not
// wait would be over long before.
static int outlast_main(void *arg)
{
    char c;

    kit_count(&reached);
    if (read(ends[0], &c, 1) != 1)
        _exit(1);
    for (int i = 0; i < 20; i++)
        weft_sleep(0.002);
    _exit((int)(intptr_t)arg);
}

static void prepare(void)
{
    ck_assert_int_eq(pipe(ends), 0);
    kit_assert_code(weft_join(weft_thread_start(kit_return, NULL)), 0);
    atexit(let_go);
}

WEFT_TEST(exit_waits_for_a_thread, .exit_code = 11)
{
    prepare();
    weft_future_unref(weft_thread_start(outlast_main, kit_number(11)));
    kit_await(&reached, 1);
}

WEFT_TEST(exit_waits_for_a_thread_whose_handle_is_held, .exit_code = 11)
{
    prepare();
    weft_future *f = weft_thread_start(outlast_main, kit_number(11));
    kit_await(&reached, 1);
    ck_assert(!weft_done(f));
}

WEFT_TEST(exit_called_by_a_task_waits_too, .exit_code = 11)
{
    prepare();
    weft_future_unref(weft_thread_start(outlast_main, kit_number(11)));
    kit_await(&reached, 1);
    weft_run(kit_return, NULL);
    exit(0);
}

static int end_when_canceled(void *arg)
{
    kit_count(&reached);
    if (weft_sleep(INFINITY) == -ECANCELED)
        _exit((int)(intptr_t)arg);
    _exit(1);
}

WEFT_TEST(exit_cancels_a_thread_that_asks_for_it, .exit_code = 12)
{
    weft_future_unref(weft_thread_start(end_when_canceled, kit_number(12),
                                        .on_exit = WEFT_EXIT_CANCEL));
    kit_await(&reached, 1);
}

static int end_late_when_canceled(void *arg)
{
    (void)arg;
    kit_count(&reached);
    weft_sleep(INFINITY);
    WEFT_SHIELD(weft_test_seconds(10));
    for (int i = 0; i < 10; i++)
        weft_sleep(0.002);
    _exit(13);
}

WEFT_TEST(exit_waits_for_what_it_canceled, .exit_code = 13)
{
    weft_future_unref(weft_thread_start(end_late_when_canceled, NULL,
                                        .on_exit = WEFT_EXIT_CANCEL));
    kit_await(&reached, 1);
}

static int join_and_leave(void *arg)
{
    kit_count(&reached);
    _exit(weft_join(arg) == -WEFT_EJOBCANCELED ? 15 : 1);
}

// One thread waits for another that ends only when it is asked to: all are
// asked before any is waited for.
WEFT_TEST(exit_asks_all_before_it_waits, .exit_code = 15)
{
    weft_future *asked = weft_thread_start(kit_count_and_block, &reached,
                                           .on_exit = WEFT_EXIT_CANCEL);
    weft_future *f = weft_thread_start(join_and_leave, asked);
    kit_await(&reached, 2);
    weft_future_unref(f);
}

static int leave_when_reached(void *arg)
{
    kit_await(&reached, 1);
    for (int i = 0; i < 1000; i++) // most times it waits by then
        sched_yield();
    exit((int)(intptr_t)arg);
}

static int join_until_told(void *arg)
{
    kit_count(&reached);
    _exit(weft_join(arg) == -WEFT_EDEADLOCK ? 17 : 1);
}

// Both cannot wait for each other: who waits for the one that exits is told.
WEFT_TEST(exit_by_a_thread_that_another_one_joins, .exit_code = 17,
          .timeout = 20)
{
    weft_future *leaves = weft_thread_start(leave_when_reached, NULL);
    weft_join(weft_thread_start(join_until_told, leaves));
}

static struct weft_lock held;

static int acquire_until_told(void *arg)
{
    (void)arg;
    kit_count(&reached);
    _exit(weft_lock_acquire(&held) == -WEFT_EDEADLOCK ? 18 : 1);
}

WEFT_TEST(exit_while_another_one_waits_for_a_lock, .exit_code = 18,
          .timeout = 20)
{
    kit_assert_code(weft_lock_acquire(&held), 0);
    weft_future_unref(weft_thread_start(acquire_until_told, NULL));
    leave_when_reached(NULL);
}

// The same with a task of the default loop, which exit waits for as well.
WEFT_TEST(exit_while_a_task_waits_for_a_lock, .exit_code = 18, .timeout = 20)
{
    kit_assert_code(weft_lock_acquire(&held), 0);
    weft_future_unref(weft_task_start(acquire_until_told, NULL));
    leave_when_reached(NULL);
}

static struct kit_gate given;

static int join_given(void *arg)
{
    kit_count(arg);
    kit_gate_wait(&given);
    _exit(16);
}

static int give_when_canceled(void *arg)
{
    kit_count(arg);
    weft_sleep(INFINITY);
    kit_gate_open(&given);
    return 0;
}

WEFT_TEST(exit_asks_all_before_it_waits_in_any_order, .exit_code = 16)
{
    given = kit_gate_new();
    weft_future_unref(weft_thread_start(join_given, &reached));
    weft_future_unref(weft_thread_start(give_when_canceled, &reached,
                                        .on_exit = WEFT_EXIT_CANCEL));
    weft_future_unref(weft_thread_start(join_given, &reached));
    kit_await(&reached, 3);
}

static int never_end(void *arg)
{
    kit_count(arg);
    while (kit_load(arg) >= 0)
        pause();
    return 0;
}

WEFT_TEST(exit_does_not_wait_for_an_abandoned_thread)
{
    weft_future_unref(
        weft_thread_start(never_end, &reached, .on_exit = WEFT_EXIT_ABANDON));
    kit_await(&reached, 1);
}

WEFT_TEST(abandoned_threads_do_not_disturb_the_others, .exit_code = 11)
{
    prepare();
    for (int i = 0; i < 5; i++)
        weft_future_unref(weft_thread_start(never_end, &reached,
                                            .on_exit = WEFT_EXIT_ABANDON));
    weft_future_unref(weft_thread_start(outlast_main, kit_number(11)));
    kit_await(&reached, 6);
}

WEFT_TEST(an_ended_thread_does_not_hold_up_exit)
{
    weft_future_unref(weft_thread_start(kit_count, &reached));
    kit_await(&reached, 1);
}

// A thread that starts another while the program exits: both are waited for.
static int start_another(void *arg)
{
    char c;

    kit_count(&reached);
    if (read(ends[0], &c, 1) != 1)
        _exit(1);
    let_go();
    weft_future_unref(weft_thread_start(outlast_main, arg));
    return 0;
}

WEFT_TEST(exit_waits_for_threads_started_while_it_waits, .exit_code = 14)
{
    prepare();
    weft_future_unref(weft_thread_start(start_another, kit_number(14)));
    kit_await(&reached, 1);
}

WEFT_TEST_MAIN("leave")
