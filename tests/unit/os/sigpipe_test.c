// SPDX-License-Identifier: MIT
#include "os/sigpipe.h"

#include <errno.h>
#include <unistd.h>

#include "weft_test.h"

static volatile sig_atomic_t came;

static void count(int sig)
{
    (void)sig;
    came++;
}

static bool is_pending(void)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
}

static void block(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(how, &set, NULL);
}

static void write_to_nobody(void)
{
    struct wi_os_sigpipe quiet;
    sigset_t now, inside;
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    wi_os_sigpipe_begin(&quiet);
    ck_assert_int_eq(write(ends[1], "x", 1), -1);
    ck_assert_int_eq(errno, EPIPE);
    pthread_sigmask(SIG_BLOCK, NULL, &inside);
    wi_os_sigpipe_end(&quiet, true);
    ck_assert_int_eq(errno, EPIPE);
    close(ends[1]);
    // No other signal was touched, within or after.
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    for (int sig = 1; sig < 32; sig++) {
        ck_assert_int_eq(sigismember(&now, sig),
                         sigismember(&quiet.before, sig));
        ck_assert_int_eq(sigismember(&inside, sig),
                         sig == SIGPIPE || sigismember(&quiet.before, sig));
    }
}

WEFT_TEST(no_signal_comes_of_it)
{
    signal(SIGPIPE, count);
    write_to_nobody();
    ck_assert_int_eq(came, 0);
    ck_assert(!is_pending());
    raise(SIGPIPE); // others do
    ck_assert_int_eq(came, 1);
}

WEFT_TEST(nor_where_it_was_blocked)
{
    signal(SIGPIPE, count);
    block(SIG_BLOCK);
    write_to_nobody();
    ck_assert(!is_pending());
    block(SIG_UNBLOCK);
    ck_assert_int_eq(came, 0);
}

WEFT_TEST(one_that_was_pending_stays)
{
    signal(SIGPIPE, count);
    block(SIG_BLOCK);
    raise(SIGPIPE);
    write_to_nobody();
    ck_assert(is_pending());
    block(SIG_UNBLOCK);
    ck_assert_int_eq(came, 1);
}

WEFT_TEST_MAIN("sigpipe")
