// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c.
#include <ev.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void received(struct ev_loop *loop, ev_io *io, int events)
{
    char buffer[4096];
    (void)events;
    ssize_t n = recv(io->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0)
        n = send(io->fd, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) {
        ev_io_stop(loop, io);
        close(io->fd);
        free(io);
    }
}

static void connected(struct ev_loop *loop, ev_io *server, int events)
{
    int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)events;
    if (fd < 0)
        return;
    ev_io *io = malloc(sizeof *io);
    ev_io_init(io, received, fd, EV_READ);
    ev_io_start(loop, io);
}

int main(void)
{
    struct ev_loop *loop = ev_default_loop(0);
    ev_io server;
    ev_io_init(&server, connected, 3, EV_READ);
    ev_io_start(loop, &server);
    return !ev_run(loop, 0);
}
