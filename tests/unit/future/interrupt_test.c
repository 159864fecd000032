// SPDX-License-Identifier: MIT
#include "kit.h"
#include "refuse.h"

#include <stdio.h>
#include <sys/syscall.h>

#include "future/interrupt.h"

static int ended;

static int wait_for_the_end(void *arg)
{
    int rc = weft_sleep(INFINITY);

    (void)arg;
    ended++;
    return rc;
}

// Sends itself the signal, as a terminal would.
static int interrupted(void *arg)
{
    weft_future *child = weft_task_start(wait_for_the_end, NULL);

    (void)arg;
    weft_yield();
    kill(getpid(), SIGINT);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    kit_assert_code(weft_check(), -ECANCELED);
    {
        WEFT_SHIELD(5); // time to clean up
        kit_assert_code(weft_join(child), -WEFT_EJOBCANCELED);
    }
    return -ECANCELED;
}

WEFT_TEST(the_first_cancels_the_run)
{
    for (int i = 0; i < 3; i++) { // and again in the next run
        kit_assert_code(weft_run(interrupted, NULL, .interrupt = true),
                        -ECANCELED);
        ck_assert_int_eq(ended, i + 1);
    }
}

static int stubborn(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    WEFT_SHIELD(10);
    while (weft_sleep(0.001) == 0)
        kill(getpid(), SIGINT);
    return 0;
}

static void interrupt_twice(void)
{
    signal(SIGINT, SIG_DFL); // the framework has a handler of its own
    weft_run(stubborn, NULL, .interrupt = true);
}

WEFT_TEST(the_second_ends_the_program)
{
    char text[1000];
    int status = kit_child(interrupt_twice, text, sizeof(text));

    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT,
                  "wait status 0x%x: %s", status, text);
}

static int signals;

static void count_signal(int sig)
{
    (void)sig;
    signals++;
}

static int interrupt_own(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    weft_sleep(INFINITY);
    ck_assert_int_eq(signals, 0);
    kill(getpid(), SIGINT);
    return 5;
}

WEFT_TEST(a_handler_of_the_program_comes_second_and_is_restored)
{
    signal(SIGINT, count_signal);
    kit_assert_code(weft_run(interrupt_own, NULL, .interrupt = true), 5);
    ck_assert_int_eq(signals, 1);
    kill(getpid(), SIGINT);
    ck_assert_int_eq(signals, 2);
    // and without the option it is the program's from the first
    kit_assert_code(weft_run(kit_return, NULL), 0);
    kill(getpid(), SIGINT);
    ck_assert_int_eq(signals, 3);
}

static int signal_and_return(void *arg)
{
    (void)arg;
    kill(getpid(), SIGINT);
    return weft_sleep(0.001);
}

WEFT_TEST(what_is_ignored_stays_ignored)
{
    signal(SIGINT, SIG_IGN);
    kit_assert_code(weft_run(signal_and_return, NULL, .interrupt = true), 0);
    ck_assert_ptr_eq(signal(SIGINT, SIG_DFL), SIG_IGN);
}

static int nested(void *arg)
{
    (void)arg;
    kit_assert_code(weft_run(kit_never, NULL, .interrupt = true), -EBUSY);
    // a run within a run, without it, is fine
    return weft_run(kit_return, kit_number(3));
}

WEFT_TEST(one_run_at_a_time_has_it)
{
    kit_assert_code(weft_run(nested, NULL, .interrupt = true), 3);
    kit_assert_code(weft_run(nested, NULL, .interrupt = true, .workers = 2), 3);
}

static int replace_handler(void *arg)
{
    (void)arg;
    signal(SIGINT, count_signal);
    return 0;
}

WEFT_TEST(a_handler_that_the_program_sets_meanwhile_stays)
{
    signal(SIGINT, SIG_DFL);
    kit_assert_code(weft_run(replace_handler, NULL, .interrupt = true), 0);
    ck_assert(signal(SIGINT, SIG_IGN) == count_signal);
    // nor does a run that left it alone put anything back
    kit_assert_code(weft_run(replace_handler, NULL, .interrupt = true), 0);
    ck_assert(signal(SIGINT, SIG_DFL) == count_signal);
}

WEFT_TEST(what_the_system_refuses_is_told)
{
    signal(SIGINT, SIG_DFL);
    kit_refuse(SYS_rt_sigaction, EPERM);
    kit_assert_code(weft_run(kit_return, NULL, .interrupt = true), -EPERM);
    kit_assert_code(weft_run(kit_return, NULL, .interrupt = true), -EPERM);
}

static int end_of(pid_t child)
{
    int status = 0;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

// Its parent's run is not its own: SIGINT ends it at once.
static int fork_and_interrupt(void *arg)
{
    pid_t child = fork();

    (void)arg;
    if (child == 0) {
        kill(getpid(), SIGINT);
        _exit(1);
    }
    int status = end_of(child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "0x%x",
                  status);
    return 0;
}

WEFT_TEST(a_child_of_fork_is_not_the_run)
{
    if (KIT_TSAN)
        weft_test_skip("TSan keeps signals back in a forked child");
    signal(SIGINT, SIG_DFL);
    kit_assert_code(weft_run(fork_and_interrupt, NULL, .interrupt = true), 0);
}

// Nor is what the parent had installed what it comes back to.
static int fork_and_run(void *arg)
{
    pid_t child = fork();

    (void)arg;
    if (child == 0) {
        weft_fork_child();
        weft_run(stubborn, NULL, .interrupt = true);
        _exit(1);
    }
    int status = end_of(child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "0x%x",
                  status);
    return 0;
}

WEFT_TEST(a_child_of_fork_has_runs_of_its_own)
{
    signal(SIGINT, SIG_DFL);
    kit_assert_code(weft_run(fork_and_run, NULL, .interrupt = true), 0);
}

// The watcher of a run that has ended must not find the next run: it ends
// first, has it begun or not.
static int begin_and_end(void *arg)
{
    for (int yields = 0; yields < 3; yields++) {
        weft_group *g = weft_group_open();
        ck_assert_int_eq(wi_interrupt_begin(g), 0);
        ck_assert_uint_eq(weft_group_size(g), 1);
        for (int i = 0; i < yields; i++)
            weft_yield();
        wi_interrupt_end();
        ck_assert_uint_eq(weft_group_size(g), 0);
        kit_assert_code(weft_group_close(g), 0);
    }
    return arg != NULL;
}

WEFT_TEST(nothing_of_it_is_left_at_its_end)
{
    kit_assert_code(weft_run(begin_and_end, NULL), 0);
}

WEFT_TEST_MAIN("interrupt")
