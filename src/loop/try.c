// SPDX-License-Identifier: MIT
//
// try.c: attempts that never block.
//
// Sockets have MSG_DONTWAIT for it, other files RWF_NOWAIT, and some neither:
//  - Files without RWF_NOWAIT (terminals; pipes before Linux 6.4): ask poll(2)
//    first. A second reader of the same file could take the data in between;
//    then this thread waits for more, as any program would.
//  - Writes to those when the descriptor blocks: poll's "writable" is a promise
//    for little only, PIPE_BUF bytes for a pipe. A terminal promises nothing,
//    so its slave side is opened again through /proc with O_NONBLOCK, which
//    leaves the flag of the user's descriptor alone. The master side cannot be
//    opened again: it is given one byte at a time.
//  - accept4 on a blocking listener: there may be competitors (the ring, other
//    processes), so that asking poll(2) first is no promise. O_NONBLOCK is set
//    for the length of that system call, and only if there is a connection;
//    a lock keeps the tasks and threads of this process apart.
//  - connect on a blocking socket: O_NONBLOCK is set for the length of that
//    system call.
#include "loop/try.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/futex.h"

#define LOCKS 16

static struct wi_mutex accept_locks[LOCKS]; // by descriptor

static ssize_t outcome(ssize_t n)
{
    return n < 0 ? -errno : n;
}

static bool is_disk(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISBLK(st->st_mode);
}

int wi_try_kind(int fd)
{
    int type = 0, domain = 0, protocol = 0;
    socklen_t size = sizeof(type);
    struct stat st;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
        if (fstat(fd, &st) < 0)
            return -errno;
        return is_disk(&st) ? WI_FD_DISK : WI_FD_PLAIN;
    }
    size = sizeof(domain);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (type != SOCK_STREAM || domain == AF_UNIX)
        return WI_FD_SOCKET;
    size = sizeof(protocol);
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    if ((domain == AF_INET || domain == AF_INET6) && protocol == IPPROTO_TCP)
        return WI_FD_TCP;
    return WI_FD_STREAM;
}

static bool ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) > 0;
}

static bool is_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK);
}

static bool unsupported(void)
{
    return errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL;
}

// By number: musl 1.2.3 has neither the functions nor the flag, which is a
// part of the kernel's ABI. The offset -1, the file's own place, is the same
// in both halves of the two words that the call takes.
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static ssize_t read_now(int fd, struct iovec *part)
{
    return syscall(SYS_preadv2, fd, part, 1, -1L, -1L, RWF_NOWAIT);
}

static ssize_t write_now(int fd, struct iovec *part)
{
    return syscall(SYS_pwritev2, fd, part, 1, -1L, -1L, RWF_NOWAIT);
}

static ssize_t try_read_plain(const struct wi_io *io, uint8_t kind)
{
    struct iovec part = {io->buf, io->size};
    ssize_t n = read_now(io->fd, &part);

    if (n >= 0 || !unsupported())
        return outcome(n);
    if (kind == WI_FD_DISK)
        return -EAGAIN;
    if (!is_nonblocking(io->fd) && !ready(io->fd, POLLIN))
        return -EAGAIN;
    return outcome(read(io->fd, io->buf, io->size));
}

// The slave side of a terminal, opened again; or a negative code.
static int reopen_terminal(int fd)
{
    char path[40];
    unsigned number;

    if (ioctl(fd, TIOCGPTN, &number) == 0)
        return -ENOTTY; // a master: that would make a new terminal
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static ssize_t write_terminal(const struct wi_io *io)
{
    int fd = reopen_terminal(io->fd);
    ssize_t n;

    if (fd < 0)
        return outcome(write(io->fd, io->buf, io->size > 0));
    n = outcome(write(fd, io->buf, io->size));
    close(fd);
    return n;
}

static ssize_t write_blocking_file(const struct wi_io *io)
{
    size_t most = PIPE_BUF;

    if (!ready(io->fd, POLLOUT))
        return -EAGAIN;
    if (isatty(io->fd))
        return write_terminal(io);
    return outcome(write(io->fd, io->buf, io->size < most ? io->size : most));
}

static ssize_t try_write_plain(const struct wi_io *io, uint8_t kind)
{
    struct iovec part = {io->buf, io->size};
    ssize_t n = write_now(io->fd, &part);

    if (n >= 0 || !unsupported())
        return outcome(n);
    if (kind == WI_FD_DISK)
        return -EAGAIN;
    if (is_nonblocking(io->fd))
        return outcome(write(io->fd, io->buf, io->size));
    return write_blocking_file(io);
}

static ssize_t try_read(const struct wi_io *io, uint8_t kind)
{
    if (wi_fd_is_socket(kind)) {
        ssize_t n = recv(io->fd, io->buf, io->size, MSG_DONTWAIT);
        if (n >= 0 || errno != ENOTSOCK)
            return outcome(n);
    }
    return try_read_plain(io, kind);
}

static ssize_t try_write(const struct wi_io *io, uint8_t kind)
{
    if (wi_fd_is_socket(kind)) {
        ssize_t n =
            send(io->fd, io->buf, io->size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0 || errno != ENOTSOCK)
            return outcome(n);
    }
    return try_write_plain(io, kind);
}

static int accept_now(const struct wi_io *io)
{
    return (int)outcome(
        accept4(io->fd, io->addr, io->addr_len, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

// poll(2) would wait for ever for what is no listener: say at once what accept4
// would say.
static int listens(int fd)
{
    int yes = 0;
    socklen_t size = sizeof(yes);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) < 0)
        return -errno;
    return yes ? 0 : -EINVAL;
}

static int accept_from_blocking(const struct wi_io *io, int flags)
{
    int rc = listens(io->fd);

    if (rc < 0)
        return rc;
    if (!ready(io->fd, POLLIN))
        return -EAGAIN;
    fcntl(io->fd, F_SETFL, flags | O_NONBLOCK);
    rc = accept_now(io);
    fcntl(io->fd, F_SETFL, flags);
    return rc;
}

static int try_accept(const struct wi_io *io)
{
    struct wi_mutex *lock = &accept_locks[io->fd % LOCKS];
    int rc, flags;

    if (io->own)
        return accept_now(io);
    wi_mutex_lock(lock);
    flags = fcntl(io->fd, F_GETFL);
    if (flags < 0)
        rc = -errno;
    else
        rc = flags & O_NONBLOCK ? accept_now(io)
                                : accept_from_blocking(io, flags);
    wi_mutex_unlock(lock);
    return rc;
}

static int begin_connect(struct wi_io *io)
{
    int flags = fcntl(io->fd, F_GETFL), rc;

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(io->fd, F_SETFL, flags | O_NONBLOCK);
    rc = (int)outcome(connect(io->fd, io->addr, io->addr_size));
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(io->fd, F_SETFL, flags);
    if (rc != -EINPROGRESS && rc != -EINTR)
        return rc == -EAGAIN ? -EBUSY : rc;
    io->state = 1;
    return -EAGAIN;
}

// -EBUSY stands for the EAGAIN of a Unix socket whose listener's queue is
// full, for which no event comes: io.c tries again later.
static int try_connect(struct wi_io *io)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (io->state == 0)
        return begin_connect(io);
    if (!ready(io->fd, POLLOUT))
        return -EAGAIN;
    if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        return -errno;
    return -code;
}

static int try_poll(const struct wi_io *io, uint8_t kind)
{
    struct pollfd p = {.fd = io->fd, .events = (short)io->events};

    if (kind == WI_FD_DISK)
        return -EPERM;
    if (poll(&p, 1, 0) <= 0)
        return -EAGAIN;
    return p.revents & POLLNVAL ? -EBADF : p.revents;
}

static ssize_t attempt(struct wi_io *io, uint8_t kind)
{
    switch (io->code) {
    case WI_IO_READ:
        return try_read(io, kind);
    case WI_IO_WRITE:
        return try_write(io, kind);
    case WI_IO_ACCEPT:
        return try_accept(io);
    case WI_IO_CONNECT:
        return try_connect(io);
    case WI_IO_POLL:
        return try_poll(io, kind);
    case WI_IO_CALL:
        return io->call(io);
    default:
        return -EINVAL;
    }
}

ssize_t wi_try(struct wi_io *io, uint8_t kind)
{
    ssize_t n;

    do
        n = attempt(io, kind);
    while (n == -EINTR);
    return n;
}

ssize_t wi_try_blocking(const struct wi_io *io)
{
    ssize_t n;

    do {
        if (io->code == WI_IO_READ)
            n = outcome(read(io->fd, io->buf, io->size));
        else if (io->code == WI_IO_WRITE)
            n = outcome(write(io->fd, io->buf, io->size));
        else if (io->code == WI_IO_CALL)
            n = io->call(io);
        else
            return io->code == WI_IO_POLL ? -EPERM : -EINVAL;
    } while (n == -EINTR);
    return n;
}

short wi_try_events(const struct wi_io *io)
{
    switch (io->code) {
    case WI_IO_READ:
    case WI_IO_ACCEPT:
        return POLLIN;
    case WI_IO_WRITE:
    case WI_IO_CONNECT:
        return POLLOUT;
    default:
        return (short)io->events;
    }
}

void wi_try_peer(int fd, struct sockaddr *addr, socklen_t *len)
{
    if (!addr || !len)
        return;
    if (getpeername(fd, addr, len) < 0)
        *len = 0;
}
