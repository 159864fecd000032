// SPDX-License-Identifier: MIT
#include "os/event.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

int wi_os_event_new(void)
{
    return wi_os_own_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void wi_os_event_set(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    // A full counter is as good as a set one; nothing else can fail.
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

void wi_os_event_take(int fd)
{
    int saved = errno;
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (errno != EINTR)
            poll(&wait, 1, -1);
    }
    errno = saved;
}

int wi_os_dup(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return copy < 0 ? -errno : copy;
}

int wi_os_own_fd(int fd)
{
    if (fd > STDERR_FILENO)
        return fd;
    if (fd < 0)
        return -errno;
    int higher = wi_os_dup(fd);
    close(fd);
    return higher;
}

int wi_os_own_pair(int rc, int fds[2])
{
    if (rc != 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        fds[i] = wi_os_own_fd(fds[i]);
    if (fds[0] >= 0 && fds[1] >= 0)
        return 0;
    rc = fds[0] < 0 ? fds[0] : fds[1];
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return rc;
}

bool wi_os_fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

size_t wi_os_fd_limit(void)
{
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void wi_os_close(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

int wi_os_poll(struct pollfd *fds, unsigned n, int64_t deadline)
{
    struct timespec left, *limit = NULL;
    if (deadline != WI_FOREVER) {
        int64_t ns = deadline - wi_os_now();
        left = wi_os_timespec(ns > 0 ? ns : 0);
        limit = &left;
    }
    int saved = errno;
    int rc = ppoll(fds, n, limit, NULL);
    if (rc < 0)
        rc = errno == EINTR ? 0 : -errno;
    errno = saved;
    return rc;
}
