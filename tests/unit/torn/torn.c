// SPDX-License-Identifier: MIT
//
// torn.c: what the library calls the kernel by, where the kernel may do less
// than it is asked for. One call of four is interrupted by a signal (EINTR);
// with WEFT_TORN=short in the environment, half of the others read and write a
// part only, of a single byte mostly. The library's calls alone go this way,
// not those of the test: `symbols` has the names that are changed in it.
//
// The rules of the kernel hold: a datagram is never torn; what never waits,
// such as an eventfd that does not block, is never interrupted; and a short
// read or write of TCP means that there is no more, or no room: it is left
// alone (peers that dribble tear that).
#include "torn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "weft_test.h"

static _Thread_local unsigned torn_calls;
static uint32_t state; // of the generator: relaxed, any order will do

unsigned torn_count(void)
{
    return torn_calls;
}

static uint32_t chance(void)
{
    uint32_t x = __atomic_add_fetch(&state, 0x9e3779b9u, __ATOMIC_RELAXED);

    x ^= (uint32_t)weft_test_seed();
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return x ^ (x >> 16);
}

static bool torn(void)
{
    torn_calls++;
    return true;
}

static bool is_interrupted(void)
{
    if (chance() % 4 > 0)
        return false;
    errno = EINTR;
    return torn();
}

// Of what the kernel may wait for: not an eventfd, nor a file on disk.
static bool file_is_interrupted(int fd)
{
    int saved = errno;
    struct stat st;
    bool waits = fstat(fd, &st) == 0 &&
                 (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(fd));

    errno = saved;
    return waits && is_interrupted();
}

static bool may_be_short(int fd)
{
    static int wanted = -1; // relaxed: all find the same
    int type = 0, protocol = 0;
    socklen_t size = sizeof(type);
    struct stat st;

    if (__atomic_load_n(&wanted, __ATOMIC_RELAXED) < 0) {
        const char *how = getenv("WEFT_TORN");

        __atomic_store_n(&wanted, how != NULL && strcmp(how, "short") == 0,
                         __ATOMIC_RELAXED);
    }
    if (!__atomic_load_n(&wanted, __ATOMIC_RELAXED) || fstat(fd, &st) < 0)
        return false;
    if (S_ISFIFO(st.st_mode))
        return true;
    return S_ISSOCK(st.st_mode) &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
           type == SOCK_STREAM && protocol != IPPROTO_TCP;
}

// How many of so many bytes.
static size_t some_of(int fd, size_t size)
{
    int saved = errno;

    if (size > 1 && chance() % 2 == 0 && may_be_short(fd) && torn())
        size = chance() % 2 == 0 ? 1 : 1 + chance() % (uint32_t)(size - 1);
    errno = saved;
    return size;
}

// The same of several pieces: the first one, or a part of it.
static int some_of_all(int fd, struct iovec *first, const struct iovec *parts,
                       int n)
{
    size_t size = 0;

    for (int i = 0; i < n && size == 0; i++) {
        *first = parts[i];
        size = some_of(fd, first->iov_len);
        if (size > 0 && size < first->iov_len) {
            first->iov_len = size;
            return 1;
        }
    }
    return 0;
}

// The calls -------------------------------------------------------------------

ssize_t torn_recv(int fd, void *buf, size_t size, int flags)
{
    return is_interrupted() ? -1 : recv(fd, buf, some_of(fd, size), flags);
}

ssize_t torn_send(int fd, const void *buf, size_t size, int flags)
{
    return is_interrupted() ? -1 : send(fd, buf, some_of(fd, size), flags);
}

ssize_t torn_read(int fd, void *buf, size_t size)
{
    return file_is_interrupted(fd) ? -1 : read(fd, buf, some_of(fd, size));
}

ssize_t torn_write(int fd, const void *buf, size_t size)
{
    return file_is_interrupted(fd) ? -1 : write(fd, buf, some_of(fd, size));
}

ssize_t torn_writev(int fd, const struct iovec *parts, int n)
{
    struct iovec first;

    if (file_is_interrupted(fd))
        return -1;
    if (some_of_all(fd, &first, parts, n) > 0)
        return writev(fd, &first, 1);
    return writev(fd, parts, n);
}

static struct msghdr some_of_message(int fd, const struct msghdr *message,
                                     struct iovec *first)
{
    struct msghdr some = *message;

    if (some_of_all(fd, first, message->msg_iov, (int)message->msg_iovlen)) {
        some.msg_iov = first;
        some.msg_iovlen = 1;
    }
    return some;
}

ssize_t torn_sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct iovec first;
    struct msghdr some;

    if (is_interrupted())
        return -1;
    some = some_of_message(fd, message, &first);
    return sendmsg(fd, &some, flags);
}

ssize_t torn_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct iovec first, *parts = message->msg_iov;
    size_t count = message->msg_iovlen;
    ssize_t n;

    if (is_interrupted())
        return -1;
    *message = some_of_message(fd, message, &first);
    n = recvmsg(fd, message, flags);
    message->msg_iov = parts;
    message->msg_iovlen = count;
    return n;
}

ssize_t torn_sendfile(int to, int from, off_t *offset, size_t size)
{
    return is_interrupted() ? -1
                            : sendfile(to, from, offset, some_of(to, size));
}

ssize_t torn_splice(int from, off64_t *from_offset, int to, off64_t *to_offset,
                    size_t size, unsigned flags)
{
    if (is_interrupted())
        return -1;
    size = some_of(from, size);
    return splice(from, from_offset, to, to_offset, some_of(to, size), flags);
}

int torn_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
    return is_interrupted() ? -1 : accept4(fd, address, size, flags);
}

int torn_epoll_wait(int set, struct epoll_event *events, int n, int timeout)
{
    return timeout != 0 && is_interrupted()
               ? -1
               : epoll_wait(set, events, n, timeout);
}

int torn_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
               const sigset_t *mask)
{
    return is_interrupted() ? -1 : ppoll(fds, n, timeout, mask);
}

static bool waits_for_futex(long number, long op)
{
    long command = op & FUTEX_CMD_MASK;

    return number == SYS_futex &&
           (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET);
}

static long vector_call(long number, long fd, const struct iovec *parts, long n,
                        const long rest[3])
{
    struct iovec first;

    if (some_of_all((int)fd, &first, parts, (int)n) > 0)
        return syscall(number, fd, &first, 1L, rest[0], rest[1], rest[2]);
    return syscall(number, fd, parts, n, rest[0], rest[1], rest[2]);
}

long torn_syscall(long number, ...)
{
    va_list list;
    long a[6];

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_preadv2 || number == SYS_pwritev2)
        return is_interrupted()
                   ? -1
                   : vector_call(number, a[0], (void *)a[1], a[2], &a[3]);
    if ((number == SYS_epoll_pwait2 || waits_for_futex(number, a[1])) &&
        is_interrupted())
        return -1;
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Of a ring, what is interrupted is only the wait.
struct io_uring;
struct io_uring_cqe;
struct __kernel_timespec;
int io_uring_submit_and_get_events(struct io_uring *ring) __attribute__((weak));
int io_uring_submit_and_wait_timeout(struct io_uring *ring,
                                     struct io_uring_cqe **cqe, unsigned n,
                                     struct __kernel_timespec *timeout,
                                     sigset_t *mask) __attribute__((weak));

int torn_submit_and_get_events(struct io_uring *ring)
{
    return is_interrupted() ? -EINTR : io_uring_submit_and_get_events(ring);
}

int torn_submit_and_wait_timeout(struct io_uring *ring,
                                 struct io_uring_cqe **cqe, unsigned n,
                                 struct __kernel_timespec *timeout,
                                 sigset_t *mask)
{
    return is_interrupted()
               ? -EINTR
               : io_uring_submit_and_wait_timeout(ring, cqe, n, timeout, mask);
}
