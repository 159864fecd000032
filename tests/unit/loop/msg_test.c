// SPDX-License-Identifier: MIT
// Messages whose kernel calls say less than elsewhere, and sizes without limit.
#include "loop_test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>

#include "loop/msg.h"

// A Unix socket that everybody may send to, and whose queue somebody else has
// filled.
struct box {
    int owner, stranger;
    struct sockaddr_un name;
    socklen_t size;
    int full; // messages in the queue
};

static void fill_box(struct box *b)
{
    while (sendto(b->stranger, "full", 4, MSG_DONTWAIT,
                  (const struct sockaddr *)&b->name, b->size) == 4)
        b->full++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_gt(b->full, 0);
}

static void open_box(struct box *b)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};

    *b = (struct box){.size = sizeof(b->name)};
    b->owner = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    b->stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // a name is found for it
    ck_assert_int_eq(
        bind(b->owner, (const struct sockaddr *)&any, sizeof(any.sun_family)),
        0);
    ck_assert_int_eq(
        getsockname(b->owner, (struct sockaddr *)&b->name, &b->size), 0);
    fill_box(b);
}

static void empty_box(struct box *b)
{
    char text[8];

    for (; b->full > 0; b->full--)
        ck_assert_int_eq(recv(b->owner, text, sizeof(text), MSG_DONTWAIT), 4);
}

static void close_box(struct box *b)
{
    close(b->owner);
    close(b->stranger);
}

static struct box box;

static int call_send(void *arg)
{
    struct call *c = arg;
    struct iovec part = {"late", 4};
    const struct msghdr message = {.msg_name = &box.name,
                                   .msg_namelen = box.size,
                                   .msg_iov = &part,
                                   .msg_iovlen = 1};

    c->started = true;
    c->result = weft_sendmsg(c->fd, &message, 0);
    c->done = true;
    return 0;
}

// The kernel says all the time that such a socket can be written to, and wakes
// nobody when the other one's queue has room again.
LOOP_TEST(a_datagram_for_a_full_queue_of_others, .timeout = 20)
{
    char text[8];

    for (int thread = 0; thread < 2; thread++) {
        struct call c = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};

        open_box(&box);
        if (thread)
            c.task = weft_thread_start(call_send, &c);
        else
            call_start(&c, call_send);
        assert_asleep(&c);
        // who closes something else is not held up by it
        close_something_else();
        empty_box(&box);
        ck_assert_int_eq(call_join(&c), 4);
        ck_assert_int_eq(recv(box.owner, text, sizeof(text), MSG_DONTWAIT), 4);
        ck_assert_mem_eq(text, "late", 4);
        ck_assert_int_eq(weft_close(c.fd), 0);
        close_box(&box);
    }
    return 0;
}

LOOP_TEST(what_ends_a_datagram_for_a_full_queue_of_others, .timeout = 20)
{
    struct call c = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};

    open_box(&box);
    call_start(&c, call_send);
    ck_assert_int_eq(weft_cancel(c.task), 0);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    {
        WEFT_TIMEOUT(0.01);
        call_send(&c);
    }
    ck_assert_int_eq(c.result, -ETIMEDOUT);
    call_start(&c, call_send);
    ck_assert_int_eq(weft_close(c.fd), 0);
    // the number is one that could send
    ck_assert_int_eq(dup2(box.owner, c.fd), c.fd);
    empty_box(&box);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    ck_assert_int_eq(weft_close(c.fd), 0);
    close_box(&box);
    return 0;
}

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
