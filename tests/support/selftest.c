// SPDX-License-Identifier: MIT
// Proves that a failure is reported wherever it happens, and that the cases
// after it run: four of these seven cases fail, on purpose.
#include "weft_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

WEFT_TEST(passes)
{
    ck_assert_int_gt(weft_test_count_fds(), 2);
    ck_assert_int_eq(weft_test_count_threads(), 1);
    ck_assert_int_gt(weft_test_count_mappings(), 5);
}

WEFT_TEST(fails)
{
    ck_assert_int_eq(1, 2);
}

static void *fail_here(void *arg)
{
    ck_assert_ptr_nonnull(arg);
    return NULL;
}

WEFT_TEST(fails_on_a_thread)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, fail_here, NULL), 0);
    pthread_join(thread, NULL);
}

WEFT_TEST(crashes)
{
    raise(SIGSEGV);
}

WEFT_TEST(hangs, .timeout = 0.2)
{
    for (;;)
        pause();
}

WEFT_TEST(must_abort, .signal = SIGABRT)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

WEFT_TEST(must_exit, .exit_code = 3)
{
    exit(3);
}

WEFT_TEST_MAIN("selftest")
