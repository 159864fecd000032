// SPDX-License-Identifier: MIT
//
// turn.c: one turn of the ring.
//
// A turn that waits is one io_uring_enter: it submits what tasks have queued,
// waits for the first completion or the deadline, and runs the kernel's own
// deferred work. A turn that does not wait enters only if something is queued
// or the kernel says that it has work to run.
//
// While completions are gone through, the kernel is not entered: what needs an
// entry then and finds none is delayed to the end of the turn.
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "loop/uring/uring.h"
#include "os/report.h"

#define ROOM 8 // entries that one operation needs at most, and some

static bool is_behind(const struct uring_loop *loop)
{
    return loop->delayed.head || loop->unasked || loop->wake_unarmed;
}

static void count_queued(struct uring_loop *loop)
{
    loop->base.queued =
        io_uring_sq_ready(&loop->ring) + (is_behind(loop) ? 1 : 0);
}

// Entering --------------------------------------------------------------------

static bool kernel_has_work(struct uring_loop *loop)
{
    return IO_URING_READ_ONCE(*loop->ring.sq.kflags) &
           (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

// What the kernel has said to an entry. Most errors (EINTR, EBUSY, EAGAIN,
// ETIME) mean that less was done, and the next turn goes on. These are for
// ever, and leave every task that waits without an answer.
static void check_entry(const struct uring_loop *loop, int rc)
{
    if (rc == -EPERM || rc == -EACCES || rc == -ENOSYS)
        wi_panic("io_uring_enter", loop,
                 "it is refused since a ring was made: a seccomp filter that "
                 "comes later than the first wait must allow it, or set "
                 "WEFT_BACKEND=epoll");
    if (rc == -EBADF || rc == -ENXIO)
        wi_panic("io_uring_enter", loop,
                 "the ring's descriptor was closed by somebody else");
}

static int submit(struct uring_loop *loop)
{
    loop->base.count.turns++;
    return io_uring_submit_and_get_events(&loop->ring);
}

static void enter_now(struct uring_loop *loop)
{
    if (io_uring_sq_ready(&loop->ring) || kernel_has_work(loop))
        check_entry(loop, submit(loop));
}

static void enter_and_wait(struct uring_loop *loop, int64_t deadline)
{
    struct __kernel_timespec timeout;
    struct io_uring_cqe *cqe;
    bool limited = deadline != WI_FOREVER;
    int64_t left;

    loop->base.count.turns++;
    if (limited) {
        left = deadline - wi_os_now();
        if (left < 0)
            left = 0;
        timeout.tv_sec = left / 1000000000;
        timeout.tv_nsec = left % 1000000000;
    }
    check_entry(loop,
                io_uring_submit_and_wait_timeout(
                    &loop->ring, &cqe, 1, limited ? &timeout : NULL, NULL));
}

// Completions -----------------------------------------------------------------

// The completion is taken first, the mark second: a wake that comes later makes
// another completion, and one that was suppressed in between is seen by whoever
// looks for mail after this turn.
static void on_wake(struct uring_loop *loop, const struct io_uring_cqe *cqe)
{
    wi_loop_look(&loop->base);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (cqe->res == -EINVAL)
        loop->wake_single = true;
    loop->wake_unarmed = true;
}

static void dispatch(struct uring_loop *loop, const struct io_uring_cqe *cqe)
{
    void *object = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)URING_TAGS);

    switch (cqe->user_data & URING_TAGS) {
    case URING_SINGLE:
        uring_on_single(loop, object, cqe->res, cqe->flags);
        break;
    case URING_AHEAD:
        uring_on_ahead(loop, object, cqe);
        break;
    case URING_STOP_SINGLE:
        uring_on_stop_single(loop, object, cqe->res);
        break;
    case URING_STOP_AHEAD:
        uring_on_stop_ahead(loop, object, cqe->res);
        break;
    case URING_WAKE:
        on_wake(loop, cqe);
        break;
    default:
        break;
    }
}

static int reap(struct uring_loop *loop)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;

    loop->reaping = true;
    loop->batch = 0;
    io_uring_for_each_cqe(&loop->ring, head, cqe)
    {
        dispatch(loop, cqe);
        n++;
    }
    io_uring_cq_advance(&loop->ring, n);
    loop->reaping = false;
    if (loop->buffers)
        uring_buffers_publish(loop->buffers);
    loop->base.fresh = loop->batch;
    return (int)loop->batch;
}

// What found no room while completions were gone through. To make room may
// end what is delayed, and delay more.
static void catch_up(struct uring_loop *loop)
{
    struct wi_io *io;

    if (loop->wake_unarmed)
        uring_arm_wake(loop);
    uring_stop_unasked(loop);
    while (loop->delayed.head) {
        uring_make_room(loop);
        io = wi_io_queue_pop(&loop->delayed);
        if (io)
            uring_resume(loop, io);
    }
}

int uring_poll(struct wi_loop *base, int64_t deadline)
{
    struct uring_loop *loop = (struct uring_loop *)base;
    int done;

    if (deadline == 0 || io_uring_cq_ready(&loop->ring) ||
        wi_loop_has_mail(base) || is_behind(loop))
        enter_now(loop);
    else
        enter_and_wait(loop, deadline);
    done = reap(loop);
    if (is_behind(loop))
        catch_up(loop);
    if (wi_loop_has_mail(base))
        wi_loop_read_mail(base);
    count_queued(loop);
    return done;
}

// Entries ---------------------------------------------------------------------

int uring_enter_first(struct uring_loop *loop)
{
    int rc;

    do
        rc = submit(loop);
    while (rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
    count_queued(loop);
    return rc < 0 ? rc : 0;
}

void uring_flush(struct uring_loop *loop)
{
    do {
        check_entry(loop, submit(loop));
        reap(loop);
        if (io_uring_sq_ready(&loop->ring))
            sched_yield(); // the kernel has no memory for more right now
    } while (io_uring_sq_ready(&loop->ring));
    count_queued(loop);
}

bool uring_make_room(struct uring_loop *loop)
{
    if (io_uring_sq_space_left(&loop->ring) >= ROOM)
        return true;
    if (loop->reaping)
        return false;
    uring_flush(loop);
    return true;
}

struct io_uring_sqe *uring_entry(struct uring_loop *loop)
{
    loop->base.queued++;
    return io_uring_get_sqe(&loop->ring);
}

void uring_stop(struct uring_loop *loop, uint64_t target, uint64_t answer)
{
    struct io_uring_sqe *sqe = uring_entry(loop);

    io_uring_prep_cancel64(sqe, target, 0);
    io_uring_sqe_set_data64(sqe, answer);
}

// The eventfd is not read while the standing poll lives: each write to it is
// one more completion. Before it is armed again it is emptied.
void uring_arm_wake(struct uring_loop *loop)
{
    struct io_uring_sqe *sqe;
    uint64_t count;
    ssize_t n;

    if (!uring_make_room(loop))
        return;
    n = read(loop->wake_fd, &count, sizeof(count));
    (void)n;
    sqe = uring_entry(loop);
    if (loop->wake_single)
        io_uring_prep_poll_add(sqe, loop->wake_fd, POLLIN);
    else
        io_uring_prep_poll_multishot(sqe, loop->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, URING_WAKE);
    loop->wake_unarmed = false;
}
