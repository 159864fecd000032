// SPDX-License-Identifier: MIT
// Messages whose kernel calls say less than elsewhere, and sizes without limit.
#include "loop_test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>

#include "loop/msg.h"

static ssize_t ask_for_errors(int fd)
{
    char text[8], control[512];
    struct iovec part = {text, sizeof(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};

    return weft_recvmsg(fd, &message, MSG_ERRQUEUE);
}

// The queue of errors is another than that of the messages.
static int errors(void *unused)
{
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t size = sizeof(here);
    int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int gone = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in there = here;

    (void)unused;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    ck_assert_int_eq(bind(gone, (struct sockaddr *)&there, sizeof(there)), 0);
    ck_assert_int_eq(getsockname(gone, (struct sockaddr *)&there, &size), 0);
    close(gone);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)),
                     0);
    ck_assert_int_eq(ask_for_errors(fd), -EAGAIN);
    ck_assert_int_eq(
        sendto(fd, "x", 1, 0, (struct sockaddr *)&here, sizeof(here)), 1);
    ck_assert_int_eq(weft_fd_wait(fd, WEFT_READABLE), WEFT_READABLE);
    ck_assert_int_eq(ask_for_errors(fd), -EAGAIN);
    ck_assert_int_eq(
        sendto(fd, "x", 1, 0, (struct sockaddr *)&there, sizeof(there)), 1);
    while (!(weft_fd_wait(fd, WEFT_READABLE) & WEFT_FAULT))
        sched_yield();
    ck_assert_int_eq(ask_for_errors(fd), 1);
    ck_assert_int_eq(weft_close(fd), 0);
    return 0;
}

LOOP_TEST(errors_are_not_waited_for)
{
    return errors(NULL);
}

WEFT_TEST(errors_are_not_waited_for_in_a_thread)
{
    errors(NULL);
}

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
