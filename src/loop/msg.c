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
#include <limits.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/fd.h"
#include "os/event.h"
#include "os/report.h"
#include "os/sigpipe.h"

enum { PIPE_ROOM = 256 << 10 };

#define NO_EVENT (-8191) // of a call: it has to wait, but not for the loop

struct message {
    struct msghdr *header;
    int flags;
};

struct vector {
    const struct iovec *parts;
    int n;
    bool disk; // which is always ready: nothing tells when to try again
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

// Whether nothing tells when there is room for it: a Unix socket that is not
// connected hears of its own memory only, not of the queue of who is to get it.
static bool makes_no_event(const struct wi_io *io, const struct msghdr *message)
{
    const struct sockaddr *to = message->msg_name;
    struct pollfd one = {.fd = io->fd, .events = POLLOUT};

    return to != NULL && message->msg_namelen >= sizeof(to->sa_family) &&
           to->sa_family == AF_UNIX && poll(&one, 1, 0) > 0;
}

static ssize_t send_call(const struct wi_io *io)
{
    const struct message *m = io->buf;
    ssize_t n = outcome(
        sendmsg(io->fd, m->header, m->flags | MSG_DONTWAIT | MSG_NOSIGNAL));

    return n == -EAGAIN && makes_no_event(io, m->header) ? NO_EVENT : n;
}

static ssize_t receive_call(const struct wi_io *io)
{
    const struct message *m = io->buf;
    ssize_t n = outcome(
        recvmsg(io->fd, m->header, m->flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC));

    // Readable is said of the bytes, not of the errors.
    return n == -EAGAIN && (m->flags & MSG_ERRQUEUE) ? NO_EVENT : n;
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

    return wi_io_insist(&io, NO_EVENT);
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
    ssize_t n;

    if (kind < 0)
        return kind;
    if (kind == WI_FD_TCP || kind == WI_FD_STREAM)
        return receive_bytes(fd, message, flags);
    n = wi_io_perform(&io);
    return n == NO_EVENT ? -EAGAIN : n;
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

    if (n == -EAGAIN && v->disk)
        return -EOPNOTSUPP;
    if (n != -EOPNOTSUPP && n != -ENOSYS && n != -EINVAL)
        return n;
    flags = fcntl(io->fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
        return outcome(writev(io->fd, v->parts, v->n));
    return -EOPNOTSUPP;
}

static ssize_t writev_file(int fd, int kind, const struct iovec *parts, int n)
{
    struct vector v = {parts, n, kind == WI_FD_DISK};
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

static ssize_t writev_quiet_call(const struct wi_io *io)
{
    const struct vector *v = io->buf;
    struct wi_os_sigpipe quiet;
    ssize_t n;

    wi_os_sigpipe_begin(&quiet);
    n = outcome(writev(io->fd, v->parts, v->n));
    wi_os_sigpipe_end(&quiet, n == -EPIPE);
    return n;
}

ssize_t wi_io_writev_quiet(int fd, const struct iovec *parts, int n)
{
    struct vector v = {parts, n < WI_IO_PARTS ? n : WI_IO_PARTS, false};
    struct wi_io io = {
        .code = WI_IO_CALL,
        .fd = fd,
        .buf = &v,
        .events = WEFT_WRITABLE,
        .call = writev_quiet_call,
    };

    return wi_io_perform(&io);
}

ssize_t weft_writev(int fd, const struct iovec *parts, int n)
{
    wi_need_some(parts, n);
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
        return writev_file(fd, kind, parts, n);
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
    struct wi_os_sigpipe quiet;
    ssize_t n;

    wi_os_sigpipe_begin(&quiet);
    n = outcome(sendfile(io->fd, m->from, m->offset, m->size));
    wi_os_sigpipe_end(&quiet, n == -EPIPE);
    return n;
}

ssize_t wi_io_sendfile(int to, int from, off_t *offset, size_t size)
{
    struct move m = {from, offset, size < WI_IO_MOST ? size : WI_IO_MOST};
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

// One attempt; the pipes among the two never block, the others were asked.
static ssize_t try_splice(int from, int to, size_t size)
{
    struct wi_os_sigpipe quiet;
    ssize_t n;

    wi_os_sigpipe_begin(&quiet);
    do
        n = outcome(splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK));
    while (n == -EINTR);
    wi_os_sigpipe_end(&quiet, n == -EPIPE);
    return n;
}

// From now on nobody reads ahead on fd. 0, or a code: -EOPNOTSUPP if there are
// bytes that somebody has read.
static int end_reading_ahead(int fd)
{
    const uint32_t settled = WI_FD_SHARED | WI_FD_LEFT | WI_FD_CLAIMED;
    struct wi_fd *record = wi_fd_get(fd);
    uint32_t flags;
    int rc;

    if (record == NULL)
        return -ENOMEM;
    // relaxed: once it is so, it stays so until fd is closed
    if ((__atomic_load_n(&record->flags, __ATOMIC_RELAXED) & settled) ==
        WI_FD_SHARED)
        return wi_check_scopes();
    rc = weft_fd_wait(fd, WEFT_READABLE);
    flags = __atomic_load_n(&record->flags, __ATOMIC_RELAXED);
    return rc < 0 ? rc : flags & WI_FD_LEFT ? -EOPNOTSUPP : 0;
}

// Changes when one of the numbers becomes another file.
static uint64_t generations(int from, int to)
{
    const struct wi_fd *a = wi_fd_get(from), *b = wi_fd_get(to);

    return (uint64_t)(a ? wi_fd_generation(a) : 0) << 32 |
           (b ? wi_fd_generation(b) : 0);
}

// After -EAGAIN, either may be the one to wait for: both, one after the other.
static int await_both(int from, int to, uint64_t generation)
{
    int rc = weft_fd_wait(from, WEFT_READABLE);

    if (rc >= 0 && generations(from, to) == generation)
        rc = weft_fd_wait(to, WEFT_WRITABLE);
    return rc >= 0 && generations(from, to) != generation ? -ECANCELED : rc;
}

ssize_t wi_io_splice(int from, int to, size_t size)
{
    uint64_t generation = generations(from, to);
    int saved = errno, rc = end_reading_ahead(from);
    ssize_t n;

    if (size > WI_IO_MOST)
        size = WI_IO_MOST;
    if (rc >= 0 && generations(from, to) != generation)
        rc = -ECANCELED; // it has waited
    n = rc;
    while (rc >= 0) {
        n = try_splice(from, to, size);
        if (n != -EAGAIN)
            break;
        n = rc = await_both(from, to, generation);
    }
    errno = saved;
    return n == -EINVAL || n == -ENOSYS ? -EOPNOTSUPP : n;
}

// Whether splice(2) would not block on fd; *pipe: it is one.
static bool can_splice(int fd, bool *pipe)
{
    *pipe = fcntl(fd, F_GETPIPE_SZ) > 0;
    return *pipe || !blocks(fd);
}

bool wi_io_can_splice(int fd)
{
    int saved = errno;
    bool pipe, possible = can_splice(fd, &pipe);

    errno = saved;
    return possible;
}

ssize_t weft_splice(int from, int to, size_t size)
{
    bool from_pipe, to_pipe, possible;
    int saved = errno, rc = wi_check_scopes();

    if (from < 0 || to < 0 || fcntl(from, F_GETFD) < 0 ||
        fcntl(to, F_GETFD) < 0)
        rc = -EBADF;
    possible = can_splice(from, &from_pipe);
    possible &= can_splice(to, &to_pipe);
    errno = saved;
    if (rc < 0 || size == 0)
        return rc;
    if (!possible || !(from_pipe || to_pipe))
        return -EOPNOTSUPP;
    return wi_io_splice(from, to, size);
}

int wi_io_pipe(int ends[2], size_t *room)
{
    int saved = errno;
    int rc = wi_os_own_pair(pipe2(ends, O_CLOEXEC | O_NONBLOCK), ends);
    int size;

    if (rc == 0) {
        (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_ROOM); // or less, as it is
        size = fcntl(ends[1], F_GETPIPE_SZ);
        *room = size > 0 ? (size_t)size : PIPE_BUF;
    }
    errno = saved;
    return rc;
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
