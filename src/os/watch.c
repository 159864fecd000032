// SPDX-License-Identifier: MIT
#include "os/watch.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/event.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 // since 5.11
#endif

int wi_os_watch_open(void)
{
    return wi_os_own_fd(epoll_create1(EPOLL_CLOEXEC));
}

int wi_os_watch_add(int set, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int wi_os_watch_add_writer(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLOUT};
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void wi_os_watch_remove(int set, int fd)
{
    epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
}

void *wi_os_watch_wait(int set, int64_t deadline)
{
    struct epoll_event event;
    if (deadline == WI_FOREVER)
        return epoll_wait(set, &event, 1, -1) > 0 ? event.data.ptr : NULL;
    int64_t left = deadline - wi_os_now();
    if (left < 0)
        left = 0;
    struct timespec limit = wi_os_timespec(left);
    long n = syscall(SYS_epoll_pwait2, set, &event, 1, &limit, NULL, 0);
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        int64_t ms = (left + 999999) / 1000000;
        n = epoll_wait(set, &event, 1, ms < 60000 ? (int)ms : 60000);
    }
    return n > 0 ? event.data.ptr : NULL;
}
