// SPDX-License-Identifier: MIT
//
// torn.h: the kernel's calls as torn.c has them: the library is linked with
// these under other names.
#ifndef TORN_H
#define TORN_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

// How many calls of this thread were interrupted or made short.
unsigned torn_count(void);

ssize_t torn_recv(int fd, void *buf, size_t size, int flags);
ssize_t torn_send(int fd, const void *buf, size_t size, int flags);
ssize_t torn_read(int fd, void *buf, size_t size);
ssize_t torn_write(int fd, const void *buf, size_t size);
ssize_t torn_writev(int fd, const struct iovec *parts, int n);
ssize_t torn_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t torn_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t torn_sendfile(int to, int from, off_t *offset, size_t size);
ssize_t torn_splice(int from, off64_t *from_offset, int to, off64_t *to_offset,
                    size_t size, unsigned flags);
int torn_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int torn_epoll_wait(int set, struct epoll_event *events, int n, int timeout);
int torn_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
               const sigset_t *mask);
long torn_syscall(long number, ...);

struct io_uring;
struct io_uring_cqe;
struct __kernel_timespec;
int torn_submit_and_get_events(struct io_uring *ring);
int torn_submit_and_wait_timeout(struct io_uring *ring,
                                 struct io_uring_cqe **cqe, unsigned n,
                                 struct __kernel_timespec *timeout,
                                 sigset_t *mask);

#endif
