// SPDX-License-Identifier: MIT
#include "os/local.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int local_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

// The first byte of an abstract name is a NUL.
static socklen_t abstract(struct sockaddr_un *at, const char *name)
{
    size_t n = strnlen(name, sizeof at->sun_path - 1);
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    memcpy(at->sun_path + 1, name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

int wi_os_local_listen(const char *name)
{
    struct sockaddr_un at;
    socklen_t size = abstract(&at, name);
    int fd = local_socket();
    if (fd < 0)
        return fd;
    if (bind(fd, (struct sockaddr *)&at, size) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

int wi_os_local_connect(const char *name)
{
    struct sockaddr_un at;
    socklen_t size = abstract(&at, name);
    int fd = local_socket();
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&at, size) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

int wi_os_local_accept(int fd)
{
    int other = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return other < 0 ? -errno : other;
}

bool wi_os_local_same_user(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.uid == geteuid();
}

union one_fd {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *part, union one_fd *space)
{
    return (struct msghdr){.msg_iov = part,
                           .msg_iovlen = 1,
                           .msg_control = space,
                           .msg_controllen = sizeof *space};
}

int wi_os_local_give(int fd, int sent)
{
    char byte = 'a';
    struct iovec part = {&byte, 1};
    union one_fd space = {.head = {.cmsg_len = CMSG_LEN(sizeof sent),
                                   .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS}};
    struct msghdr m = message(&part, &space);
    memcpy(CMSG_DATA(&space.head), &sent, sizeof sent);
    return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

int wi_os_local_take(int fd)
{
    char byte;
    struct iovec part = {&byte, 1};
    union one_fd space;
    struct msghdr m = message(&part, &space);
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (head == NULL || head->cmsg_level != SOL_SOCKET ||
        head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof fd))
        return -ECONNRESET;
    int taken;
    memcpy(&taken, CMSG_DATA(head), sizeof taken);
    return taken;
}

unsigned wi_os_user(void)
{
    return geteuid();
}
