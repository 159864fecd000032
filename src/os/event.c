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
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
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
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
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
        if (ns < 0)
            ns = 0;
        left.tv_sec = ns / 1000000000;
        left.tv_nsec = ns % 1000000000;
        limit = &left;
    }
    int saved = errno;
    int rc = ppoll(fds, n, limit, NULL);
    if (rc < 0)
        rc = errno == EINTR ? 0 : -errno;
    errno = saved;
    return rc;
}
