// SPDX-License-Identifier: MIT
// Messages whose kernel calls say less than elsewhere, and sizes without limit.
#include "loop_test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>

#include "loop/msg.h"

// "As much as there is": the kernel refuses sizes that are negative to it.
LOOP_TEST(sizes_without_a_limit)
{
    char path[] = "/tmp/weft_msg_XXXXXX", text[8];
    int file = mkstemp(path), pipes[2], pair[2];
    off_t offset = 1;

    unlink(path);
    ck_assert_int_eq(write(file, "file", 4), 4);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    tcp_pair(pair);
    ck_assert_int_eq(wi_io_sendfile(pair[0], file, &offset, SIZE_MAX), 3);
    ck_assert_int_eq(offset, 4);
    ck_assert_int_eq(weft_read(pair[1], text, sizeof(text)), 3);
    ck_assert_mem_eq(text, "ile", 3);
    ck_assert_int_eq(write(pipes[1], "pipe", 4), 4);
    ck_assert_int_eq(weft_splice(pipes[0], pair[0], SIZE_MAX), 4);
    ck_assert_int_eq(weft_read(pair[1], text, sizeof(text)), 4);
    ck_assert_mem_eq(text, "pipe", 4);
    close_both(pair);
    close_both(pipes);
    close(file);
    return 0;
}

WEFT_TEST_MAIN("msg")
