// SPDX-License-Identifier: MIT
//
// echo_server [PORT]: sends back what it is sent. Each connection is a task,
// written as if it had the program for itself; all of them share one thread.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

static int fd_of(void *arg)
{
    return (int)(intptr_t)arg;
}

static int serve(void *arg)
{
    char buf[4096];
    ssize_t n;

    while ((n = weft_read(fd_of(arg), buf, sizeof(buf))) > 0)
        if (weft_write_all(fd_of(arg), buf, (size_t)n) < 0)
            break;
    weft_close(fd_of(arg));
    return 0; // a peer that goes away is no failure of the server
}

static void hang_up(void *arg) // instead of serve, if it never runs
{
    weft_close(fd_of(arg));
}

static int accept_all(void *arg)
{
    for (;;) {
        int fd = weft_accept(fd_of(arg), NULL, NULL);
        if (fd == -EMFILE || fd == -ENFILE || fd == -ECONNABORTED)
            weft_sleep(0.05); // too many at once: let some end
        else if (fd < 0)
            return fd;
        else
            weft_future_unref(weft_task_start(serve, (void *)(intptr_t)fd,
                                              .name = "echo", .drop = hang_up));
    }
}

static int listen_on(struct sockaddr_in *addr)
{
    socklen_t len = sizeof(*addr);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)addr, len) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)addr, &len))
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 7777));
    int fd = listen_on(&addr);
    if (fd < 0) {
        perror("echo_server");
        return 1;
    }
    printf("listening on 127.0.0.1 port %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    int rc = weft_run(accept_all, (void *)(intptr_t)fd);
    fprintf(stderr, "echo_server: %s\n", weft_strerror(rc));
    return 1;
}
