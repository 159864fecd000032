// SPDX-License-Identifier: MIT
//
// A task's descriptor is a POLL operation on its worker's loop, which the end
// cancels. A plain thread's is a line in its pollfds; from begin to end
// weft_close waits for the thread. In both cases bytes that another loop has
// read ahead come first (fd.h).
#include "loop/ready.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sched/idle.h"

// What another loop has read ahead is given up, and looked at here: the
// events, a code, or -EAGAIN: try again.
static ssize_t take(struct wi_ready *ready)
{
    struct wi_fd *record = wi_fd_get(ready->io.fd);

    return record ? wi_fd_take(record, &ready->io, ready->loop) : -ENOMEM;
}

static int begin_in_task(struct wi_ready *ready)
{
    struct wi_io *io = &ready->io;
    ssize_t n;

    do {
        io->done = 0;
        io->waiter = NULL;
        ready->loop->ops->submit(ready->loop, io);
        if (!io->done) {
            io->waiter = wi_self();
            return 0;
        }
        n = io->result;
        if (n == WI_IO_ELSEWHERE)
            n = take(ready);
    } while (n == -EAGAIN);
    return (int)n;
}

static int begin_in_thread(struct wi_ready *ready)
{
    struct wi_io *io = &ready->io;
    ssize_t n = -EAGAIN;

    wi_fd_enter(ready->record, &ready->waiter);
    if ((io->events & WEFT_READABLE) &&
        wi_fd_share(ready->record, NULL) == WI_FD_ELSEWHERE)
        n = take(ready);
    if (n == -EAGAIN && wi_fd_closing(ready->record))
        n = -ECANCELED;
    if (n == -EAGAIN)
        return 0;
    wi_fd_leave(ready->record, &ready->waiter);
    return (int)n;
}

int wi_ready_begin(struct wi_ready *ready, int fd, unsigned events)
{
    int rc = 0, kind;

    *ready = (struct wi_ready){.io = {.code = WI_IO_POLL, .fd = fd}};
    ready->io.events = events & (WEFT_READABLE | WEFT_WRITABLE);
    ready->waiter.task = wi_self();
    ready->loop = wi_loop_here(&rc);
    ready->record = fd < 0 ? NULL : wi_fd_get(fd);
    if (fd < 0 || rc < 0 || ready->record == NULL)
        return fd < 0 ? -EBADF : rc < 0 ? rc : -ENOMEM;
    kind = wi_fd_kind(ready->record, fd);
    if (kind < 0)
        return kind;
    rc = ready->loop ? begin_in_task(ready) : begin_in_thread(ready);
    if (rc != 0)
        return rc;
    // The loop may tell only later what is so now.
    rc = (int)wi_try(&ready->io, (uint8_t)kind);
    if (rc == -EAGAIN)
        return 0;
    (void)wi_ready_end(ready);
    return rc;
}

static int end_in_task(struct wi_ready *ready)
{
    struct wi_io *io = &ready->io;

    // acquire: pairs with the release in wi_io_complete
    if (__atomic_load_n(&io->done, __ATOMIC_ACQUIRE))
        return io->result == -ECANCELED ? -ECANCELED : 0;
    ready->loop->ops->cancel(ready->loop, io);
    wi_io_await(io);
    return 0;
}

int wi_ready_end(struct wi_ready *ready)
{
    int rc;

    if (ready->loop)
        return end_in_task(ready);
    rc = wi_fd_closing(ready->record) ? -ECANCELED : 0;
    wi_fd_leave(ready->record, &ready->waiter);
    return rc;
}

void wi_ready_pollfd(const struct wi_ready *ready, struct pollfd *fd)
{
    *fd = (struct pollfd){.fd = ready->io.fd,
                          .events = wi_try_events(&ready->io)};
}
