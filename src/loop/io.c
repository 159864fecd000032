// SPDX-License-Identifier: MIT
//
// io.c: the public calls on descriptors. Each fills in one struct wi_io and
// goes one of two ways:
//  - A task hands it to its worker's loop, and parks until it is done. Cancel
//    and deadline do not end the wait: they ask the backend to end the
//    operation, and the task goes on waiting, now for the kernel's last word.
//    If that word is a result, the result is what the caller gets.
//  - A plain thread tries, and sleeps in ppoll until it is worth trying again.
// Both leave errno as it was.
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "loop/fd.h"
#include "os/report.h"
#include "sched/idle.h"

// So many calls in a row that did not have to wait, and others get their turn.
// Else whose peer is quick enough would keep a worker for itself.
#define UNWAITED 128

// Nanoseconds: of wi_io_insist.
enum { FIRST_PAUSE = 500000, LAST_PAUSE = 16000000 };

static const uint16_t wait_kinds[] = {
    [WI_IO_POLL] = WI_WAIT_FD,         [WI_IO_READ] = WI_WAIT_READ,
    [WI_IO_WRITE] = WI_WAIT_WRITE,     [WI_IO_ACCEPT] = WI_WAIT_ACCEPT,
    [WI_IO_CONNECT] = WI_WAIT_CONNECT,
};

static uint16_t wait_kind(const struct wi_io *io)
{
    if (io->code == WI_IO_CALL)
        return io->events & WEFT_READABLE ? WI_WAIT_READ : WI_WAIT_WRITE;
    return wait_kinds[io->code];
}

static struct wi_wait wait_for(const struct wi_io *io)
{
    return (struct wi_wait){
        .object = (void *)(intptr_t)io->fd, // NOLINT: a number, for show
        .deadline = WI_FOREVER,
        .kind = wait_kind(io),
        .flags = WI_SCOPED,
    };
}

// Parks until io is done. `why`: the code that made the caller give up, or 0.
static int wait_done(struct wi_loop *loop, struct wi_io *io)
{
    struct wi_wait wait = wait_for(io);
    int why = 0;

    io->waiter = wi_self();
    // acquire: pairs with the release in wi_io_complete
    while (!__atomic_load_n(&io->done, __ATOMIC_ACQUIRE)) {
        int rc = wi_park(&wait);

        if (rc < 0 && !__atomic_load_n(&io->done, __ATOMIC_ACQUIRE)) {
            why = rc;
            wait.flags = 0;
            loop->ops->cancel(loop, io);
        }
    }
    return why;
}

static ssize_t in_task_once(struct wi_loop *loop, struct wi_io *io)
{
    int why = 0;

    io->done = 0;
    io->waiter = NULL;
    loop->ops->submit(loop, io);
    if (io->done) {
        loop->unwaited++;
    } else {
        loop->unwaited = 0;
        why = wait_done(loop, io);
    }
    return io->result == -ECANCELED && why ? why : io->result;
}

// wi_fd_take for an operation that goes on with -EAGAIN. record is not NULL:
// who said ELSEWHERE has seen to that.
static ssize_t take(struct wi_fd *record, struct wi_io *io,
                    struct wi_loop *self)
{
    uint32_t generation = wi_fd_generation(record);
    ssize_t n = wi_fd_take(record, io, self);

    if (n == -EAGAIN && generation != wi_fd_generation(record))
        return -ECANCELED;
    return n;
}

static ssize_t in_task(struct wi_loop *loop, struct wi_io *io)
{
    ssize_t n = in_task_once(loop, io);

    while (n == WI_IO_ELSEWHERE) {
        n = take(wi_fd_get(io->fd), io, loop);
        if (n == -EAGAIN)
            n = in_task_once(loop, io);
    }
    return n;
}

static ssize_t try_in_thread(struct wi_io *io, int kind)
{
    ssize_t n = wi_try(io, (uint8_t)kind);

    if (n == -EAGAIN && kind == WI_FD_DISK)
        n = wi_try_blocking(io);
    return n;
}

static bool reads(const struct wi_io *io)
{
    return io->code == WI_IO_READ || io->code == WI_IO_ACCEPT ||
           ((io->code == WI_IO_POLL || io->code == WI_IO_CALL) &&
            (io->events & WEFT_READABLE));
}

// Tries and sleeps in turn. wi_park_poll needs a free place in the array.
static ssize_t wait_in_thread(const struct wi_fd *record, struct wi_io *io,
                              int kind)
{
    struct wi_wait wait = wait_for(io);
    struct pollfd fds[2] = {{.fd = io->fd, .events = wi_try_events(io)}};
    ssize_t n;

    do {
        if (wi_fd_closing(record))
            return -ECANCELED;
        n = try_in_thread(io, kind);
        if (n != -EAGAIN)
            return n;
        n = wi_park_poll(&wait, fds, 1);
    } while (n >= 0);
    return n;
}

// From enter to leave, weft_close waits for this thread.
static ssize_t in_thread(struct wi_io *io)
{
    struct wi_fd_waiter waiter = {.task = wi_self()};
    struct wi_fd *record = wi_fd_get(io->fd);
    ssize_t n = record && waiter.task ? wi_fd_kind(record, io->fd) : -ENOMEM;
    int kind = (int)n;

    if (n < 0)
        return n;
    wi_fd_enter(record, &waiter);
    n = wi_fd_closing(record) ? -ECANCELED : -EAGAIN;
    if (n == -EAGAIN && reads(io) &&
        wi_fd_share(record, NULL) == WI_FD_ELSEWHERE)
        n = take(record, io, NULL);
    if (n == -EAGAIN)
        n = wait_in_thread(record, io, kind);
    wi_fd_leave(record, &waiter);
    return n;
}

// Not in the middle of a callback, which others do not expect to be left.
static void give_way(struct wi_loop *loop)
{
    loop->unwaited = 0;
    if (wi_here.ending == 0 && wi_here.canceling == NULL)
        wi_worker_give_way(wi_here.worker, wi_self());
}

ssize_t wi_io_perform(struct wi_io *io)
{
    // A loop of the parent's would wait for ever, and io_uring's hand it what
    // is asked for here.
    int saved = errno, rc = wi_forked() ? -WEFT_EFORKED : wi_check_scopes();
    struct wi_loop *loop = NULL;
    ssize_t n = rc;

    if (io->fd < 0)
        return -EBADF;
    if (rc == 0) {
        loop = wi_loop_here(&rc);
        n = loop ? in_task(loop, io) : rc < 0 ? rc : in_thread(io);
    }
    errno = saved;
    if (loop && !io->waiter && loop->unwaited >= UNWAITED)
        give_way(loop);
    return n;
}

int weft_fd_wait(int fd, unsigned events)
{
    struct wi_io io = {
        .code = WI_IO_POLL,
        .fd = fd,
        .events = events & (WEFT_READABLE | WEFT_WRITABLE),
    };

    return (int)wi_io_perform(&io);
}

// Nothing is asked for; only whether it might have been.
static ssize_t no_bytes(int fd)
{
    int saved = errno, rc = wi_check_scopes();

    if (rc == 0 && fcntl(fd, F_GETFD) < 0)
        rc = -EBADF;
    errno = saved;
    return rc;
}

ssize_t weft_read(int fd, void *buf, size_t size)
{
    struct wi_io io = {
        .code = WI_IO_READ,
        .fd = fd,
        .buf = buf,
        .size = size < WI_IO_MOST ? size : WI_IO_MOST,
    };

    return size ? wi_io_perform(&io) : no_bytes(fd);
}

ssize_t weft_write(int fd, const void *buf, size_t size)
{
    struct wi_io io = {
        .code = WI_IO_WRITE,
        .fd = fd,
        .buf = (void *)buf, // read only
        .size = size < WI_IO_MOST ? size : WI_IO_MOST,
    };

    return wi_io_perform(&io);
}

ssize_t weft_write_all(int fd, const void *buf, size_t size)
{
    const struct wi_fd *record = fd >= 0 ? wi_fd_get(fd) : NULL;
    uint32_t generation = record ? wi_fd_generation(record) : 0;
    size_t done = 0;

    while (done < size) {
        ssize_t n = weft_write(fd, (const char *)buf + done, size - done);

        if (n < 0)
            return n;
        done += (size_t)n;
        if (done < size && record && generation != wi_fd_generation(record))
            return -ECANCELED;
    }
    return (ssize_t)done;
}

// The kind of a listener's connections. To be asked before the wait: after it
// the number may be another file.
static uint8_t kind_of_connections(int listener)
{
    int saved = errno;
    struct wi_fd *record = listener >= 0 ? wi_fd_get(listener) : NULL;
    int kind = record ? wi_fd_kind(record, listener) : WI_FD_UNKNOWN;

    errno = saved;
    return kind > 0 && wi_fd_is_socket((uint8_t)kind) ? (uint8_t)kind
                                                      : WI_FD_SOCKET;
}

static void adopt_accepted(int fd, uint8_t kind)
{
    int rc, saved = errno;

    wi_fd_adopt(fd, kind, wi_loop_here(&rc));
    errno = saved;
}

static int accept_from(int fd, struct sockaddr *addr, socklen_t *len, bool own)
{
    struct wi_io io = {
        .code = WI_IO_ACCEPT,
        .fd = fd,
        .addr = addr,
        .addr_len = addr ? len : NULL,
        .own = own,
    };
    uint8_t kind = kind_of_connections(fd);
    ssize_t n = wi_io_perform(&io);

    if (n >= 0)
        adopt_accepted((int)n, kind);
    return (int)n;
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    return accept_from(fd, addr, len, false);
}

int wi_io_accept_own(int fd, struct sockaddr *addr, socklen_t *len)
{
    return accept_from(fd, addr, len, true);
}

static int pause_for(const struct wi_io *io, int64_t pause)
{
    struct wi_wait wait = wait_for(io);
    int64_t until = wi_os_now() + pause;
    int rc;

    wait.deadline = until;
    do
        rc = wi_park(&wait);
    while (rc == 0);
    return rc == -ETIMEDOUT && wi_os_now() >= until ? wi_check_scopes() : rc;
}

ssize_t wi_io_insist(struct wi_io *io, ssize_t full)
{
    const struct wi_fd *record = io->fd >= 0 ? wi_fd_get(io->fd) : NULL;
    uint32_t generation = record ? wi_fd_generation(record) : 0;
    int64_t pause = FIRST_PAUSE;
    ssize_t n;

    while ((n = wi_io_perform(io)) == full) {
        int rc = pause_for(io, pause);

        if (rc < 0)
            return rc;
        if (record && generation != wi_fd_generation(record))
            return -ECANCELED;
        pause = pause < LAST_PAUSE ? pause * 2 : pause;
    }
    return n;
}

int weft_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct wi_io io = {
        .code = WI_IO_CONNECT,
        .fd = fd,
        .addr = (struct sockaddr *)addr, // read only
        .addr_size = len,
    };
    struct wi_fd *record = fd >= 0 ? wi_fd_get(fd) : NULL;

    if (fd < 0 || !record)
        return fd < 0 ? -EBADF : -ENOMEM;
    wi_fd_adopt_client(record);
    return (int)wi_io_insist(&io, -EBUSY);
}

int weft_close(int fd)
{
    int saved = errno, rc;

    if (fd < 0)
        return -EBADF;
    if (wi_forked())
        return -WEFT_EFORKED;
    if (!wi_fd_is_known(fd))
        wi_fd_count_close(fd);
    else if (!wi_fd_retire(fd, wi_loop_here(&rc)))
        fd = -1; // the other one closes it
    // EINTR: Linux has closed it all the same.
    rc = close(fd) < 0 && errno == EBADF ? -EBADF : 0;
    errno = saved;
    return rc;
}

const char *weft_backend(void)
{
    int rc;
    struct wi_loop *loop = wi_loop_here(&rc);

    return loop ? loop->ops->name : "poll";
}

int weft_backend_count(struct weft_backend_counters *counters)
{
    wi_need(counters);
    struct weft_backend_counters now;
    int rc;
    struct wi_loop *loop = wi_loop_here(&rc);
    size_t size = counters->size;

    if (!loop)
        return rc < 0 ? rc : -ENOENT;
    now = loop->count;
    now.size = size;
    memcpy(counters, &now, size < sizeof(now) ? size : sizeof(now));
    return 0;
}
