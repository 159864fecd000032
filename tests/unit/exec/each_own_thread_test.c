// SPDX-License-Identifier: MIT
//
// A blocking pool gives each job a thread of its own, up to its limit.
#include <unistd.h>

#include <weft/weft.h>

#include "weft_test.h"

static int pipe_ends[2];

WEFT_JOB(long, read_one, long, x)
{
    char c = 0;
    return read(pipe_ends[0], &c, 1) == 1 ? c + x : -1;
}

WEFT_JOB(long, write_one, long, x)
{
    char c = (char)x;
    return write(pipe_ends[1], &c, 1);
}

// One thread is idle; both jobs are there before it has woken up.
WEFT_TEST(two_jobs_are_not_left_to_one_idle_thread, .timeout = 10)
{
    ck_assert_int_eq(pipe(pipe_ends), 0);
    for (int i = 0; i < 20; i++) {
        weft_executor *ex = weft_thread_pool(.blocking = true, .workers = 4);
        weft_join(weft_submit(ex, write_one, 1));
        weft_join(weft_submit(ex, read_one, 1));
        weft_sleep(0.001); // its thread becomes idle, or not: both are fine
        weft_future *reader = weft_submit(ex, read_one, 1);
        weft_future *writer = weft_submit(ex, write_one, 1);
        ck_assert_int_eq(weft_join(writer), 0);
        ck_assert_int_eq(weft_join(reader), 0);
        weft_executor_close(ex);
    }
}

WEFT_TEST_MAIN("each_own_thread")
