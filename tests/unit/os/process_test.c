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

WEFT_TEST_MAIN("process")
