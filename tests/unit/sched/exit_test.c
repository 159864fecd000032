// SPDX-License-Identifier: MIT
// exit() and pthread_exit() from wherever Weft runs the program's code, and
// what is left open when main returns.
#include "kit.h"

#include <pthread.h>
#include <stdlib.h>

static int leave(void *arg)
{
    exit((int)(intptr_t)arg);
}

static int yield_and_leave(void *arg)
{
    weft_sleep(0.0001);
    exit((int)(intptr_t)arg);
}

static int start_and_join(void *arg)
{
    return weft_join(weft_task_start(yield_and_leave, arg));
}

WEFT_TEST(exit_from_the_main_task, .exit_code = 3)
{
    weft_run(leave, kit_number(3));
}

WEFT_TEST(exit_from_a_task_that_has_parked, .exit_code = 4)
{
    weft_run(start_and_join, kit_number(4));
}

WEFT_TEST(exit_from_a_task_on_several_workers, .exit_code = 4)
{
    weft_run(start_and_join, kit_number(4), .workers = 4);
}

WEFT_TEST(exit_from_a_task_of_the_default_loop, .exit_code = 5)
{
    weft_join(weft_task_start(yield_and_leave, kit_number(5)));
}

WEFT_TEST(exit_from_a_thread, .exit_code = 6)
{
    weft_join(weft_thread_start(leave, kit_number(6)));
}

WEFT_TEST(exit_from_a_thread_that_nobody_joins, .exit_code = 6)
{
    weft_future_unref(weft_thread_start(leave, kit_number(6)));
    for (;;)
        pause();
}

WEFT_JOB(int, leave_job, int, status)
{
    weft_sleep(0.0001);
    exit(status);
    return 0;
}

static void exit_from_job(weft_executor *ex)
{
    int out;
    weft_result(weft_submit(ex, leave_job, 7), &out);
}

WEFT_TEST(exit_from_a_job, .exit_code = 7)
{
    exit_from_job(weft_thread_pool(.workers = 2));
}

WEFT_TEST(exit_from_a_blocking_job, .exit_code = 7)
{
    exit_from_job(weft_thread_pool(.workers = 2, .blocking = true));
}

static int exit_among_others(void *arg)
{
    for (int i = 0; i < 20; i++)
        weft_future_unref(weft_task_start(kit_block, NULL));
    return start_and_join(arg);
}

static void leave_when_done(weft_future *f, void *arg)
{
    (void)f;
    exit((int)(intptr_t)arg);
}

static void leave_when_dropped(void *arg)
{
    exit((int)(intptr_t)arg);
}

static int hold_loop(void *arg)
{
    kit_count(arg);
    while (weft_check() == 0)
        sched_yield();
    return 0;
}

// A task of the default loop that has not begun, as the loop is busy: who
// cancels it ends it.
static weft_future *unbegun_task(void (*drop)(void *arg))
{
    static int held;
    weft_future_unref(weft_task_start(hold_loop, &held));
    kit_await(&held, 1);
    return weft_task_start(kit_never, kit_number(7), .drop = drop);
}

WEFT_TEST(exit_from_a_callback, .exit_code = 7)
{
    weft_future *f = unbegun_task(NULL);
    weft_future_on_done(f, leave_when_done, kit_number(7));
    weft_cancel(f);
}

WEFT_TEST(exit_from_a_drop, .exit_code = 7)
{
    weft_cancel(unbegun_task(leave_when_dropped));
}

WEFT_TEST(exit_among_tasks_that_wait, .exit_code = 8)
{
    weft_run(exit_among_others, kit_number(8), .workers = 2);
}

// atexit functions may still use Weft.
static int after;

static void use_weft_at_exit(void)
{
    if (weft_run(kit_return, kit_number(2)) == 2 &&
        weft_join(weft_thread_start(kit_return, kit_number(3))) == 3)
        after = 1;
    _exit(after ? 9 : 1);
}

WEFT_TEST(functions_called_at_exit_may_use_weft, .exit_code = 9)
{
    kit_assert_code(weft_join(weft_task_start(kit_return, NULL)), 0);
    atexit(use_weft_at_exit);
}

// The default loop has ended by then, also for who has a group of his own.
static void start_in_group_at_exit(void)
{
    weft_group *g = weft_group_open();
    int rc = weft_join(weft_task_start(kit_return, NULL, .group = g));
    rc = rc == -WEFT_ECLOSED ? weft_group_close(g) : 1;
    _exit(rc == 0 ? 9 : 1);
}

WEFT_TEST(functions_called_at_exit_start_no_task_in_the_default_loop,
          .exit_code = 9, .timeout = 20)
{
    atexit(start_in_group_at_exit);
    kit_assert_code(weft_join(weft_task_start(kit_return, NULL)), 0);
}

// What main leaves behind -----------------------------------------------------

WEFT_TEST(an_open_idle_pool_does_not_hold_up_exit)
{
    ck_assert_ptr_nonnull(weft_thread_pool(.workers = 3));
}

WEFT_JOB(long, twice, long, x)
{
    return 2 * x;
}

WEFT_TEST(an_open_used_pool_does_not_hold_up_exit)
{
    long out = 0;
    weft_executor *ex = weft_thread_pool(.workers = 3);

    kit_assert_code(weft_result(weft_submit(ex, twice, 4), &out), 0);
    ck_assert_int_eq(out, 8);
}

WEFT_TEST(unkept_promises_do_not_hold_up_exit)
{
    struct kit_gate gate = kit_gate_new();
    weft_future_unref(weft_task_start(kit_wait_at_gate, &gate));
    weft_yield();
    // The gate lies on this stack, which lives until exit has ended the task.
    exit(0);
}

// pthread_exit ----------------------------------------------------------------

static int end_thread(void *arg)
{
    kit_count(arg);
    pthread_exit(NULL);
}

// The thread ends, its future is done, nobody waits for ever.
WEFT_TEST(pthread_exit_ends_a_thread_and_its_future)
{
    int runs = 0;
    weft_future *f = weft_thread_start(end_thread, &runs);

    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(3)),
                     1);
    ck_assert_int_eq(runs, 1);
    weft_join(f);
}

WEFT_TEST(pthread_exit_of_a_thread_in_a_group)
{
    int runs = 0;
    weft_group *g = weft_group_open();

    weft_future_unref(weft_thread_start(end_thread, &runs, .group = g));
    weft_group_close(g);
    ck_assert_int_eq(runs, 1);
}

static void *use_weft_and_end(void *arg)
{
    kit_assert_code(weft_sleep(0.0001), 0);
    kit_assert_code(weft_join(weft_task_start(kit_count, arg)), 0);
    pthread_exit(NULL);
}

WEFT_TEST(a_foreign_thread_that_used_weft_may_pthread_exit)
{
    pthread_t thread;
    int runs = 0;

    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, use_weft_and_end, &runs),
                         0);
        pthread_join(thread, NULL);
    }
    ck_assert_int_eq(runs, 50);
}

static struct weft_lock lock;

static int run_some_tasks(void *arg)
{
    for (int i = 0; i < 8; i++)
        kit_assert_code(weft_join(weft_task_start(kit_count, arg)), 0);
    return 0;
}

// Its record was a task's before, whose function is no name of a job.
static void *run_and_end_with_a_lock(void *arg)
{
    kit_assert_code(weft_run(run_some_tasks, arg), 0);
    kit_assert_code(weft_lock_acquire(&lock), 0);
    return NULL;
}

static void end_with_a_lock(void)
{
    pthread_t thread;
    int runs = 0;

    pthread_create(&thread, NULL, run_and_end_with_a_lock, &runs);
    pthread_join(thread, NULL);
}

WEFT_TEST(a_foreign_thread_that_ends_with_a_lock_is_told)
{
    char said[4096];
    int status = kit_child(end_with_a_lock, said, sizeof said);

    ck_assert_msg(status == 0 && strstr(said, "while it held 1 lock"),
                  "status 0x%x, said: %s", status, said);
}

// In a task it would end the worker under all the others: it is refused.
static int end_worker(void *arg)
{
    (void)arg;
    weft_yield();
    pthread_exit(NULL);
}

static int join_end_worker(void *arg)
{
    return weft_join(weft_task_start(end_worker, arg));
}

static void exit_from_main_task(void)
{
    weft_run(end_worker, NULL);
}

static void exit_from_task(void)
{
    weft_run(join_end_worker, NULL, .workers = 2);
}

WEFT_JOB(int, end_pool_worker)
{
    return end_worker(NULL);
}

static void exit_from_pool(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_join(weft_submit(ex, end_pool_worker));
}

static void exit_from_blocking_pool(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2, .blocking = true);
    weft_join(weft_submit(ex, end_pool_worker));
}

static void need_pthread_exit_in_a_task(void)
{
    if (KIT_TSAN)
        weft_test_skip("TSan's own pthread_exit fails on a stack of a task");
}

WEFT_TEST(pthread_exit_in_a_main_task_aborts)
{
    kit_assert_aborts(exit_from_main_task, "pthread_exit");
}

WEFT_TEST(pthread_exit_in_a_task_aborts)
{
    need_pthread_exit_in_a_task();
    kit_assert_aborts(exit_from_task, "pthread_exit");
}

WEFT_TEST(pthread_exit_in_a_job_aborts)
{
    need_pthread_exit_in_a_task();
    kit_assert_aborts(exit_from_pool, "pthread_exit");
}

WEFT_TEST(pthread_exit_in_a_blocking_job_aborts, .timeout = 20)
{
    kit_assert_aborts(exit_from_blocking_pool, "pthread_exit");
}

WEFT_TEST_MAIN("exit")
