// SPDX-License-Identifier: MIT
#include "os/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weft_test.h"

static void begin_child(struct wi_os_child *child, bool dumpable)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, dumpable);
        kill(getpid(), SIGKILL);
    }
    *child = (struct wi_os_child){pid, -1};
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

// Root sees all; others are told 0 of a process that they may not trace.
static void give_up_root(void)
{
    enum { NOBODY = 65534 };
    if (getuid() == 0)
        ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
    prctl(PR_SET_DUMPABLE, 1);
}

WEFT_TEST(how_a_child_ends_can_be_seen_before_it_is_reaped)
{
    struct wi_os_child child;
    struct wi_os_end end;
    begin_child(&child, true);
    ck_assert(wi_os_child_peek(&child, &end));
    ck_assert_int_eq(end.how, WI_END_SIGNAL);
    ck_assert_int_eq(end.status, SIGKILL);
    ck_assert(wi_os_child_reap(&child, &end, true));
    ck_assert_int_eq(end.status, SIGKILL);
    ck_assert(!wi_os_child_peek(&child, &end));
}

WEFT_TEST(what_may_not_be_seen_is_no_exit)
{
    struct wi_os_child child;
    struct wi_os_end end;
    give_up_root();
    begin_child(&child, false);
    ck_assert(!wi_os_child_peek(&child, &end) || end.how == WI_END_SIGNAL);
    ck_assert(wi_os_child_reap(&child, &end, true));
    ck_assert_int_eq(end.how, WI_END_SIGNAL);
    ck_assert_int_eq(end.status, SIGKILL);
}

static void await(pid_t pid, int what)
{
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, (int)(what | WNOWAIT)), 0);
}

WEFT_TEST(a_child_that_is_stopped_is_seen)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    while (pid == 0)
        pause();
    struct wi_os_child child = {pid, -1};
    struct wi_os_end end;
    ck_assert(!wi_os_child_stopped(&child));
    kill(pid, SIGSTOP);
    await(pid, WSTOPPED);
    ck_assert(wi_os_child_stopped(&child));
    kill(pid, SIGCONT);
    await(pid, WCONTINUED);
    ck_assert(!wi_os_child_stopped(&child));
    ck_assert(!wi_os_child_reap(&child, &end, false));
    kill(pid, SIGKILL);
    ck_assert(wi_os_child_reap(&child, &end, true));
    ck_assert(!wi_os_child_stopped(&child));
}

WEFT_TEST(when_a_process_started)
{
    uint64_t mine = wi_os_start_time(getpid());
    ck_assert_uint_gt(mine, 0);
    ck_assert_uint_ge(mine, wi_os_start_time(getppid()));
    prctl(PR_SET_NAME, ") x 1 2 (");
    ck_assert_uint_eq(wi_os_start_time(getpid()), mine);
    ck_assert_uint_eq(wi_os_start_time(0x3fffffff), 0);
}

WEFT_TEST_MAIN("process")
