// SPDX-License-Identifier: MIT
//
// Streams over descriptors: a thin layer over the calls of io.h.
#include "net/fd_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/io.h>

#include "loop/msg.h"
#include "os/report.h"
#include "os/socket.h"

struct fd_stream {
    weft_stream base;
    int fd; // -EBADF: a pipe whose writing has been shut down
};

static int fd_of(weft_stream *s)
{
    return ((struct fd_stream *)s)->fd;
}

static ssize_t fd_read(weft_stream *s, void *buf, size_t size)
{
    return weft_read(fd_of(s), buf, size);
}

static ssize_t fd_write(weft_stream *s, const void *buf, size_t size)
{
    return weft_write(fd_of(s), buf, size);
}

static ssize_t fd_writev(weft_stream *s, const struct iovec *parts, int n)
{
    return weft_writev(fd_of(s), parts, n);
}

static ssize_t fd_sendfile(weft_stream *s, int fd, off_t *offset, size_t size)
{
    return wi_io_sendfile(fd_of(s), fd, offset, size);
}

static int fd_close(weft_stream *s)
{
    int rc = fd_of(s) < 0 ? 0 : weft_close(fd_of(s));

    free(s);
    return rc;
}

static int socket_shutdown(weft_stream *s)
{
    int saved = errno, rc = wi_os_shutdown_write(fd_of(s));

    errno = saved;
    return rc;
}

static int socket_abort(weft_stream *s)
{
    int saved = errno;

    wi_os_linger_never(fd_of(s));
    errno = saved;
    return fd_close(s);
}

static ssize_t quiet_writev(weft_stream *s, const struct iovec *parts, int n)
{
    return wi_io_writev_quiet(fd_of(s), parts, n);
}

static ssize_t quiet_write(weft_stream *s, const void *buf, size_t size)
{
    struct iovec part = {(void *)buf, size}; // read only

    return quiet_writev(s, &part, 1);
}

// A pipe's reader sees the end when the writing side is closed.
static int pipe_shutdown(weft_stream *s)
{
    struct fd_stream *f = (struct fd_stream *)s;
    int fd = f->fd;

    if (fd < 0)
        return 0;
    if (!wi_os_is_write_only(fd))
        return -EOPNOTSUPP;
    f->fd = -EBADF;
    return weft_close(fd);
}

#define COMMON                                                                 \
    .size = sizeof(struct weft_stream_ops), .read = fd_read,                   \
    .write = fd_write, .writev = fd_writev, .sendfile = fd_sendfile,           \
    .close = fd_close, .fd = fd_of
#define SOCKET COMMON, .shutdown = socket_shutdown, .abort = socket_abort

static const struct weft_stream_ops kinds[] = {
    {SOCKET, .kind = "tcp"},
    {SOCKET, .kind = "unix"},
    {SOCKET, .kind = "udp"},
    {SOCKET, .kind = "ip"},
    {SOCKET, .kind = "socket"},
    {COMMON, .kind = "pipe", .shutdown = pipe_shutdown},
    {COMMON, .kind = "tty"},
    {COMMON, .kind = "file"},
    {COMMON, .kind = "device"},
};

// A pipe of ours.
static const struct weft_stream_ops pipe_of_child = {
    .size = sizeof(struct weft_stream_ops),
    .kind = "pipe",
    .read = fd_read,
    .write = quiet_write,
    .writev = quiet_writev,
    .sendfile = fd_sendfile,
    .shutdown = pipe_shutdown,
    .close = fd_close,
    .fd = fd_of,
};

static int make(int fd, const struct weft_stream_ops *ops, weft_stream **stream)
{
    struct fd_stream *s = malloc(sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    weft_stream_init(&s->base, ops);
    s->fd = fd;
    *stream = &s->base;
    return 0;
}

int weft_stream_open(int fd, weft_stream **stream)
{
    wi_need(stream);
    int saved = errno;
    const char *kind = wi_os_fd_kind(fd);
    const struct weft_stream_ops *ops = kinds;

    errno = saved;
    if (kind == NULL)
        return -EBADF;
    while (strcmp(ops->kind, kind) != 0)
        ops++;
    return make(fd, ops, stream);
}

int wi_stream_of_pipe(int fd, weft_stream **stream)
{
    return make(fd, &pipe_of_child, stream);
}

int wi_stream_bare_fd(weft_stream *s)
{
    return s->ops->read == fd_read ? fd_of(s) : -EOPNOTSUPP;
}

int wi_stream_of_socket(int fd, bool tcp, weft_stream **stream)
{
    int rc = make(fd, &kinds[tcp ? 0 : 1], stream);

    if (rc < 0)
        weft_close(fd);
    return rc;
}
