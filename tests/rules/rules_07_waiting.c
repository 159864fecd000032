// SPDX-License-Identifier: MIT
// Rule 7: wait, as_completed and gather take any mixture; callbacks run inline;
// a failure nobody asked for is reported; a thread that nobody joined is
// joined at exit, unless .on_exit says else.
#include "kit.h"

#include <pthread.h>
#include <stdio.h>

static struct kit_gate gate;

WEFT_JOB(long, job_at_gate_now, long, x)
{
    kit_gate_wait(&gate);
    return x;
}

#define MIXED 8

static weft_executor *pool, *blocking;

static void start_mixed(weft_future **set)
{
    gate = kit_gate_new();
    pool = weft_thread_pool(.workers = 1);
    blocking = weft_thread_pool(.workers = 2, .blocking = true);
    for (int i = 0; i < MIXED; i += 4) {
        set[i] = weft_task_start(kit_wait_at_gate, &gate);
        set[i + 1] = weft_thread_start(kit_wait_at_gate, &gate);
        set[i + 2] = weft_submit(i ? pool : blocking, job_at_gate_now, i);
        set[i + 3] = weft_future_ref(gate.future);
    }
}

static void end_mixed(void)
{
    kit_assert_code(weft_executor_close(pool), 0);
    kit_assert_code(weft_executor_close(blocking), 0);
    kit_gate_free(&gate);
}

KIT_BOTH(wait_takes_any_mixture)
{
    weft_future *set[MIXED];

    start_mixed(set);
    ck_assert_int_eq(weft_wait(set, MIXED, WEFT_ALL_COMPLETED, 0.001), 0);
    kit_gate_open(&gate);
    ck_assert_int_ge(weft_wait(set, MIXED, WEFT_FIRST_COMPLETED, INFINITY), 1);
    ck_assert_int_eq(weft_wait(set, MIXED, WEFT_FIRST_FAILED, INFINITY), MIXED);
    ck_assert_int_eq(weft_wait(set, MIXED, WEFT_ALL_COMPLETED, INFINITY),
                     MIXED);
    for (int i = 0; i < MIXED; i++)
        kit_assert_code(weft_join(set[i]), 0);
    end_mixed();
}

KIT_BOTH(as_completed_takes_any_mixture)
{
    weft_future *set[MIXED];
    int seen[MIXED] = {0};
    ssize_t k;

    start_mixed(set);
    weft_as_completed *it = weft_as_completed_open(set, MIXED);
    kit_gate_open(&gate);
    while ((k = weft_as_completed_next(it)) >= 0)
        ck_assert_int_eq(seen[k]++, 0);
    kit_assert_code(k, -ENOENT);
    weft_as_completed_close(it);
    for (int i = 0; i < MIXED; i++) {
        ck_assert_int_eq(seen[i], 1);
        kit_assert_code(weft_join(set[i]), 0);
    }
    end_mixed();
}

KIT_BOTH(gather_takes_any_mixture)
{
    weft_future *set[MIXED];

    start_mixed(set);
    kit_gate_open(&gate);
    kit_assert_code(weft_gather_into(set, MIXED, NULL, 0, NULL), 0);
    end_mixed();
}

// Callbacks -------------------------------------------------------------------

static pthread_t called_in;
static int calls;

static void note_thread(weft_future *f, void *arg)
{
    (void)f;
    called_in = pthread_self();
    kit_count(arg);
}

KIT_BOTH(callbacks_run_inline_in_the_completer)
{
    gate = kit_gate_new();
    kit_assert_code(weft_future_on_done(gate.future, note_thread, &calls), 0);
    kit_gate_open(&gate);
    ck_assert_int_eq(calls, 1);
    ck_assert(pthread_equal(called_in, pthread_self()));
    kit_gate_free(&gate);
}

// Failures --------------------------------------------------------------------

static int reported, reported_code;

static void report(int code, const char *text)
{
    ck_assert_ptr_nonnull(text);
    reported_code = code;
    kit_count(&reported);
}

KIT_BOTH(a_failure_nobody_asked_for_is_reported)
{
    weft_on_unobserved(report);
    weft_future_unref(weft_task_start(kit_return, kit_number(-EIO)));
    kit_await(&reported, 1);
    kit_assert_code(reported_code, -EIO);
    weft_future_unref(weft_thread_start(kit_return, kit_number(-EPIPE)));
    kit_await(&reported, 2);
    kit_assert_code(reported_code, -EPIPE);
    kit_assert_code(weft_join(weft_task_start(kit_return, kit_number(-EIO))),
                    -EIO);
    ck_assert_int_eq(kit_load(&reported), 2);
}

// Threads at exit -------------------------------------------------------------

static int ends[2], reached;

static void let_go(void)
{
    if (write(ends[1], "x", 1) != 1)
        _exit(1);
}

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

WEFT_TEST(a_thread_that_nobody_joined_is_joined_at_exit, .exit_code = 33)
{
    ck_assert_int_eq(pipe(ends), 0);
    weft_future_unref(weft_thread_start(outlast_main, kit_number(33)));
    kit_await(&reached, 1);
    atexit(let_go);
}

static int never_end(void *arg)
{
    kit_count(arg);
    while (kit_load(arg) > 0)
        pause();
    return 0;
}

WEFT_TEST(unless_its_option_says_else)
{
    weft_future_unref(
        weft_thread_start(never_end, &reached, .on_exit = WEFT_EXIT_ABANDON));
    kit_await(&reached, 1);
}

WEFT_TEST_MAIN("rule 7")
