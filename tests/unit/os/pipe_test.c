// SPDX-License-Identifier: MIT
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "weft_test.h"

WEFT_TEST(what_has_room_is_written_and_the_rest_refused)
{
    char bytes[512], got[1024];
    int ends[2], n = 0;
    memset(bytes, 'x', sizeof bytes);
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(wi_os_pipe(false, &ends[0], &ends[1]), 0);
    ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fcntl(ends[1], F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(wi_os_pipe_read(ends[0], got, sizeof got), -EAGAIN);
    ssize_t rc;
    while ((rc = wi_os_pipe_offer(ends[1], bytes, sizeof bytes)) > 0) {
        ck_assert_int_eq(rc, sizeof bytes);
        n++;
    }
    ck_assert_int_eq(rc, -EAGAIN);
    ck_assert_int_gt(n, 1);
    ck_assert_int_eq(wi_os_pipe_read(ends[0], got, sizeof got), sizeof got);
    close(ends[0]);
    ck_assert_int_eq(wi_os_pipe_offer(ends[1], bytes, sizeof bytes), -EPIPE);
    close(ends[1]);
    ck_assert_int_eq(wi_os_pipe_offer(ends[1], bytes, sizeof bytes), -EBADF);
}

WEFT_TEST_MAIN("pipe")
