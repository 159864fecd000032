// SPDX-License-Identifier: MIT
//
// Descriptors in messages over Unix sockets.
#include <weft/net.h>

#include <errno.h>
#include <string.h>

#include <weft/error.h>
#include <weft/io.h>

#include "os/event.h"
#include "os/report.h"

enum { MOST = 253 }; // in one message: the kernel's limit

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST * sizeof(int))];
};

ssize_t weft_send_fds(int socket, const void *buf, size_t size, const int *fds,
                      size_t n)
{
    wi_need_some(fds, n);
    union control control;
    struct iovec part = {(void *)buf, size}; // read only
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *head;

    if (size == 0 || n > MOST)
        return -EINVAL;
    if (n == 0)
        return weft_sendmsg(socket, &message, 0);
    memset(&control, 0, sizeof(control));
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(n * sizeof(int));
    head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    return weft_sendmsg(socket, &message, 0);
}

// Takes the descriptors out of a message: how many there are in all, of which
// up to `room` are stored, and the others closed.
static size_t take_fds(struct msghdr *message, int *fds, size_t room)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    size_t n = 0;

    for (; head != NULL; head = CMSG_NXTHDR(message, head)) {
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++, n++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(fd));
            if (n < room)
                fds[n] = fd;
            else
                wi_os_close(fd);
        }
    }
    return n;
}

ssize_t weft_receive_fds(int socket, void *buf, size_t size, int *fds,
                         size_t *n)
{
    wi_need(n);
    union control control;
    struct iovec part = {buf, size};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    size_t room = *n, count;
    ssize_t got = weft_recvmsg(socket, &message, 0);

    *n = 0;
    if (got < 0)
        return got;
    count = take_fds(&message, fds, room);
    if (count <= room && !(message.msg_flags & MSG_CTRUNC)) {
        *n = count;
        return got;
    }
    for (size_t i = 0; i < count && i < room; i++)
        wi_os_close(fds[i]);
    // Cut, though there was room for all that a message can have: the kernel
    // found no number for one.
    return count > room ? -WEFT_ETOOBIG : -EMFILE;
}
