// SPDX-License-Identifier: MIT
//
// msg.c: the calls with more than one buffer or with more than bytes: vectors,
// datagrams, descriptors in messages, and bytes that the kernel moves by
// itself. Each is one attempt that never blocks (WI_IO_CALL), made again when
// the descriptor is ready.
//
// A stream socket may be read ahead on (fd.h), so only weft_read can read it:
// weft_recvmsg on one is weft_read into the first buffer. Nothing is lost by
// that, since TCP has neither addresses nor descriptors in its messages.
#include "loop/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/fd.h"

struct message {
    struct msghdr *header;
    int flags;
};

struct vector {
    const struct iovec *parts;
    int n;
};

struct move {
    int from;
    off_t *offset; // sendfile only
    size_t size;
};

static ssize_t outcome(ssize_t n)
{
    return n < 0 ? -errno : n;
}

static int kind_of(int fd)
{
    int saved = errno;
    struct wi_fd *record = fd >= 0 ? wi_fd_get(fd) : NULL;
    int kind = fd < 0 ? -EBADF : record ? wi_fd_kind(record, fd) : -ENOMEM;

    errno = saved;
    return kind;
}

// Messages --------------------------------------------------------------------

static ssize_t send_call(const struct wi_io *io)
{
    const struct message *m = io->buf;
    return outcome(
        sendmsg(io->fd, m->header, m->flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

static ssize_t receive_call(const struct wi_io *io)
{
    const struct message *m = io->buf;
    return outcome(
        recvmsg(io->fd, m->header, m->flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
}

ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct message m = {(struct msghdr *)message, flags}; // read only
    struct wi_io io = {
        .code = WI_IO_CALL,
        .fd = fd,
        .buf = &m,
        .events = WEFT_WRITABLE,
        .call = send_call,
    };

    return wi_io_perform(&io);
}

static ssize_t receive_bytes(int fd, struct msghdr *message, int flags)
{
    const struct iovec *part = message->msg_iov;

    if (flags != 0 || message->msg_iovlen == 0)
        return -EINVAL;
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
    return weft_read(fd, part->iov_base, part->iov_len);
}

ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct message m = {message, flags};
    struct wi_io io = {
        .code = WI_IO_CALL,
        .fd = fd,
        .buf = &m,
        .events = WEFT_READABLE,
        .call = receive_call,
    };
    int kind = kind_of(fd);

    if (kind < 0)
        return kind;
    if (kind == WI_FD_TCP || kind == WI_FD_STREAM)
        return receive_bytes(fd, message, flags);
    return wi_io_perform(&io);
}

// Vectors ---------------------------------------------------------------------

// By number, as in try.c.
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static ssize_t writev_call(const struct wi_io *io)
{
    const struct vector *v = io->buf;
    int flags;
    ssize_t n = outcome(syscall(SYS_pwritev2, io->fd, v->parts, (long)v->n, -1L,
                                -1L, RWF_NOWAIT));

    if (n != -EOPNOTSUPP && n != -ENOSYS && n != -EINVAL)
        return n;
    flags = fcntl(io->fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
        return outcome(writev(io->fd, v->parts, v->n));
    return -EOPNOTSUPP;
}

static ssize_t writev_file(int fd, const struct iovec *parts, int n)
{
    struct vector v = {parts, n};
    struct wi_io io = {
        .code = WI_IO_CALL,
        .fd = fd,
        .buf = &v,
        .events = WEFT_WRITABLE,
        .call = writev_call,
    };
    ssize_t written = wi_io_perform(&io);

    if (written != -EOPNOTSUPP)
        return written;
    // It blocks and cannot be asked not to: weft_write knows what to do.
    return weft_write(fd, parts->iov_base, parts->iov_len);
}

ssize_t weft_writev(int fd, const struct iovec *parts, int n)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts}; // read only
    int kind = kind_of(fd);

    if (kind < 0)
        return kind;
    while (n > 0 && parts->iov_len == 0) {
        parts++;
        n--;
    }
    if (n <= 0)
        return n < 0 ? -EINVAL : weft_write(fd, "", 0);
    if (n > WI_IO_PARTS)
        n = WI_IO_PARTS;
    if (!wi_fd_is_socket((uint8_t)kind))
        return writev_file(fd, parts, n);
    message.msg_iov = (struct iovec *)parts;
    message.msg_iovlen = (size_t)n;
    return weft_sendmsg(fd, &message, 0);
}

// Moving ----------------------------------------------------------------------

static bool blocks(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || !(flags & O_NONBLOCK);
}

static ssize_t sendfile_call(const struct wi_io *io)
{
    const struct move *m = io->buf;
    return outcome(sendfile(io->fd, m->from, m->offset, m->size));
}

ssize_t wi_io_sendfile(int to, int from, off_t *offset, size_t size)
{
    struct move m = {from, offset, size};
    struct wi_io io = {
        .code = WI_IO_CALL,
        .fd = to,
        .buf = &m,
        .events = WEFT_WRITABLE,
        .call = sendfile_call,
    };

    if (kind_of(from) != WI_FD_DISK || blocks(to))
        return -EOPNOTSUPP;
    return wi_io_perform(&io);
}

ssize_t wi_io_read_file(int fd, void *buf, size_t size, off_t offset)
{
    int saved = errno;
    ssize_t n;

    do
        n = outcome(pread(fd, buf, size, offset));
    while (n == -EINTR);
    errno = saved;
    return n;
}
