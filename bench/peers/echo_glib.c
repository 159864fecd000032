// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c. The main loop with a
// source for each descriptor.
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean received(gint fd, GIOCondition condition, gpointer data)
{
    char buffer[4096];
    (void)condition, (void)data;
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0)
        n = send(fd, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        return G_SOURCE_CONTINUE;
    close(fd);
    return G_SOURCE_REMOVE;
}

static gboolean connected(gint fd, GIOCondition condition, gpointer data)
{
    int with = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)condition, (void)data;
    if (with >= 0)
        g_unix_fd_add(with, G_IO_IN, received, NULL);
    return G_SOURCE_CONTINUE;
}

int main(void)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    g_unix_fd_add(3, G_IO_IN, connected, NULL);
    g_main_loop_run(loop);
    return 1;
}
