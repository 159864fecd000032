// SPDX-License-Identifier: MIT
// Descriptors: pipes, sockets, readiness, cancel.
#include "case.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define SIZE 100000

static int send_all(void *arg)
{
    static char data[SIZE];
    int fd = *(int *)arg;

    for (int i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7);
    CODE(weft_write_all(fd, data, SIZE), SIZE);
    return weft_close(fd);
}

static void receive_all(int fd)
{
    char part[3000];
    long have = 0;
    ssize_t n;

    while ((n = weft_read(fd, part, sizeof part)) > 0) {
        int right = 1;
        for (ssize_t i = 0; i < n; i++, have++)
            right &= part[i] == (char)(have * 7);
        CHECK(right);
    }
    CODE(n, 0);
    CHECK(have == SIZE);
    CODE(weft_close(fd), 0);
}

static void pipes(void)
{
    int fds[2];

    for (int threads = 0; threads < 2; threads++) {
        CHECK(pipe(fds) == 0);
        weft_future *f = threads ? weft_thread_start(send_all, &fds[1])
                                 : weft_task_start(send_all, &fds[1]);
        receive_all(fds[0]);
        CODE(weft_join(f), 0);
    }
}

static void sockets(void)
{
    int fds[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    weft_future *f = weft_task_start(send_all, &fds[1]);
    receive_all(fds[0]);
    CODE(weft_join(f), 0);
}

static int listener(struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *addr = (struct sockaddr_in){.sin_family = AF_INET};
    addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)addr, len) == 0);
    CHECK(listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)addr, &len) == 0);
    return fd;
}

static int echo(void *arg)
{
    char c;
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;

    for (int i = 0; i < 5; i++) {
        int fd = weft_accept(*(int *)arg, (struct sockaddr *)&peer, &len);
        CHECK(fd >= 0);
        CHECK(peer.sin_family == AF_INET);
        while (weft_read(fd, &c, 1) == 1)
            CODE(weft_write(fd, &c, 1), 1);
        CODE(weft_close(fd), 0);
    }
    return 0;
}

static void connections(void)
{
    struct sockaddr_in addr;
    int server = listener(&addr);
    weft_future *f = weft_task_start(echo, &server);

    for (int i = 0; i < 5; i++) {
        char c = (char)('a' + i), back = 0;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CODE(weft_connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        CODE(weft_write(fd, &c, 1), 1);
        CODE(weft_read(fd, &back, 1), 1);
        CHECK(c == back);
        CODE(weft_close(fd), 0);
    }
    CODE(weft_join(f), 0);
    CODE(weft_close(server), 0);
}

static void readiness(void)
{
    int fds[2];
    char c;

    CHECK(pipe(fds) == 0);
    CODE(weft_fd_wait(fds[1], WEFT_WRITABLE), WEFT_WRITABLE);
    CODE(weft_write(fds[1], "x", 1), 1);
    CHECK(weft_fd_wait(fds[0], WEFT_READABLE) & WEFT_READABLE);
    CODE(weft_read(fds[0], &c, 1), 1);
    {
        WEFT_TIMEOUT(0.001);
        CODE(weft_fd_wait(fds[0], WEFT_READABLE), -ETIMEDOUT);
        CODE(weft_read(fds[0], &c, 1), -ETIMEDOUT);
    }
    CODE(weft_close(fds[1]), 0);
    CHECK(weft_fd_wait(fds[0], WEFT_READABLE) > 0);
    CODE(weft_read(fds[0], &c, 1), 0);
    CODE(weft_close(fds[0]), 0);
}

static int reading;

static int read_for_ever(void *arg)
{
    char c;

    count(&reading);
    return (int)weft_read(*(int *)arg, &c, 1);
}

static void canceled(void)
{
    int fds[2];
    char c = 0;

    CHECK(pipe(fds) == 0);
    reading = 0;
    weft_future *set[] = {weft_task_start(read_for_ever, &fds[0]),
                          weft_thread_start(read_for_ever, &fds[0])};
    await(&reading, 2);
    CODE(weft_cancel(set[0]), 0);
    CODE(weft_cancel(set[1]), 0);
    CODE(weft_join(set[0]), -WEFT_EJOBCANCELED);
    CODE(weft_join(set[1]), -WEFT_EJOBCANCELED);
    CODE(weft_write(fds[1], "y", 1), 1);
    CODE(weft_read(fds[0], &c, 1), 1);
    CHECK(c == 'y');
    weft_close(fds[0]);
    weft_close(fds[1]);
}

static int wait_until_closed(void *arg)
{
    char c;

    count(&reading);
    ssize_t n = weft_read(*(int *)arg, &c, 1);
    return n == -ECANCELED || n == -EBADF ? 0 : -EIO;
}

// Who reads hears of a close, and the number may be used anew.
static void closed(void)
{
    int fds[2], again[2];

    CHECK(pipe(fds) == 0);
    reading = 0;
    weft_future *f = weft_task_start(wait_until_closed, &fds[0]);
    await(&reading, 1);
    CODE(weft_sleep(0.001), 0);
    CODE(weft_close(fds[0]), 0);
    CODE(weft_join(f), 0);
    CHECK(pipe(again) == 0);
    {
        WEFT_TIMEOUT(0.0005);
        CODE(weft_fd_wait(again[0], WEFT_READABLE), -ETIMEDOUT);
    }
    weft_close(again[0]);
    weft_close(again[1]);
    weft_close(fds[1]);
}

static void bad(void)
{
    char c = 'x';
    int fds[2];

    CODE(weft_read(-1, &c, 1), -EBADF);
    CODE(weft_fd_wait(9999, WEFT_READABLE), -EBADF);
    CODE(weft_close(9999), -EBADF);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CODE(weft_close(fds[0]), 0);
    CODE(weft_write(fds[1], &c, 1), -EPIPE); // and no SIGPIPE
    CODE(weft_close(fds[1]), 0);
}

const struct conformance_case io_cases[] = {{"pipes", pipes},
                                            {"sockets", sockets},
                                            {"connections", connections},
                                            {"readiness", readiness},
                                            {"reads canceled", canceled},
                                            {"reads of what is closed", closed},
                                            {"bad descriptors", bad},
                                            {NULL, NULL}};
