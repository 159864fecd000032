// SPDX-License-Identifier: MIT
//
// single.c: operations that are one request, or need none.
//
// Sockets: a receive goes to the kernel as a request, unless the last one left
// something behind: then a plain call is cheaper. A send is a plain call if it
// is alone in this turn, and a request if others are queued or will be, since
// they share the one entry into the kernel.
//
// Files that are no sockets are tried with a plain call that does not block
// (try.c), and the ring tells when to try again: the kernel's own way with such
// files may block this thread, or start a thread for each. Files on disk are
// tried too, in the hope of the page cache; else they do become requests, for
// the kernel's threads.
//
// A send to a socket without room waits for that by a poll as well, not as a
// request. The kernel's polls also end when the peer has shut down its side,
// whatever they ask for, at once and each time: a request would be tried again
// and again, and then block a thread of the kernel's, of which there are few.
// So who is told that, and cannot go on, polls from then on for changes only: a
// standing poll, which the first attempt that is none in vain cancels.
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "loop/uring/uring.h"

#define BATCH 3 // operations a turn from which on requests are cheaper

static void fly(struct uring_file *file, struct wi_io *io,
                struct io_uring_sqe *sqe, uint32_t state)
{
    io_uring_sqe_set_data64(sqe, uring_tag(io, URING_SINGLE));
    io->state = (io->state & (URING_ASKED | URING_EDGES)) | state;
    io->slot = file;
    wi_io_queue_push(&file->flying, io);
}

static void poll_first(struct uring_loop *loop, struct uring_file *file,
                       struct wi_io *io)
{
    struct io_uring_sqe *sqe = uring_entry(loop);
    unsigned events = (unsigned)wi_try_events(io);

    if ((io->state & URING_EDGES) && !loop->wake_single)
        io_uring_prep_poll_multishot(sqe, io->fd, events);
    else
        io_uring_prep_poll_add(sqe, io->fd, events);
    fly(file, io, sqe, URING_POLLING);
}

// What a finished read says about the next one.
static void learn(struct uring_file *file, const struct wi_io *io,
                  ssize_t result, bool more)
{
    if (io->code != WI_IO_READ)
        return;
    file->full = more;
    if (result <= 0 || result >= URING_BUFFER_SIZE)
        file->repeats = 0;
    else if (file->repeats < UINT8_MAX)
        file->repeats++;
}

// A plain call; false if it would have to wait.
static bool plain(struct uring_loop *loop, struct uring_file *file,
                  struct wi_io *io)
{
    ssize_t n = wi_try(io, file->kind);

    if (n == -EAGAIN)
        return false;
    learn(file, io, n, n == (ssize_t)io->size);
    uring_finish(loop, io, n);
    return true;
}

static void receive(struct uring_loop *loop, struct uring_file *file,
                    struct wi_io *io)
{
    struct io_uring_sqe *sqe;

    if (file->full && plain(loop, file, io))
        return;
    sqe = uring_entry(loop);
    io_uring_prep_recv(sqe, io->fd, io->buf, io->size, 0);
    if (loop->multishot && (file->full || file->repeats))
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    file->full = 0;
    fly(file, io, sqe, URING_FLYING);
}

static void transmit(struct uring_loop *loop, struct uring_file *file,
                     struct wi_io *io)
{
    struct io_uring_sqe *sqe;

    if (!loop->base.queued && loop->batch < BATCH) {
        if (!plain(loop, file, io))
            poll_first(loop, file, io);
        return;
    }
    sqe = uring_entry(loop);
    io_uring_prep_send(sqe, io->fd, io->buf, io->size,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
    fly(file, io, sqe, URING_FLYING);
}

static void disk(struct uring_loop *loop, struct uring_file *file,
                 struct wi_io *io)
{
    struct io_uring_sqe *sqe;
    const uint64_t here = (uint64_t)-1; // the file's own position

    if (plain(loop, file, io))
        return;
    sqe = uring_entry(loop);
    if (io->code == WI_IO_READ)
        io_uring_prep_read(sqe, io->fd, io->buf, (unsigned)io->size, here);
    else
        io_uring_prep_write(sqe, io->fd, io->buf, (unsigned)io->size, here);
    fly(file, io, sqe, URING_FLYING | URING_OPAQUE);
}

static void move_bytes(struct uring_loop *loop, struct uring_file *file,
                       struct wi_io *io)
{
    if (file->kind == WI_FD_DISK)
        disk(loop, file, io);
    else if (file->kind == WI_FD_PLAIN)
        plain(loop, file, io) ? (void)0 : poll_first(loop, file, io);
    else if (io->code == WI_IO_READ)
        receive(loop, file, io);
    else
        transmit(loop, file, io);
}

void uring_single(struct uring_loop *loop, struct uring_file *file,
                  struct wi_io *io)
{
    struct io_uring_sqe *sqe;

    if ((io->state & URING_STATES) == URING_POLLING) {
        poll_first(loop, file, io);
        return;
    }
    if (io->code == WI_IO_READ || io->code == WI_IO_WRITE) {
        move_bytes(loop, file, io);
        return;
    }
    if (io->code == WI_IO_CALL) {
        if (!plain(loop, file, io))
            poll_first(loop, file, io);
        return;
    }
    if (io->code == WI_IO_POLL && file->kind == WI_FD_DISK) {
        uring_finish(loop, io, -EPERM);
        return;
    }
    sqe = uring_entry(loop);
    if (io->code == WI_IO_ACCEPT)
        io_uring_prep_accept(sqe, io->fd, io->addr, io->addr_len,
                             SOCK_CLOEXEC | SOCK_NONBLOCK);
    else if (io->code == WI_IO_CONNECT)
        io_uring_prep_connect(sqe, io->fd, io->addr, io->addr_size);
    else
        io_uring_prep_poll_add(sqe, io->fd, io->events);
    fly(file, io, sqe, URING_FLYING);
}

// Completions -----------------------------------------------------------------

// The request is over. The tag is given back with the last word about it.
static void end(struct uring_loop *loop, struct wi_io *io, ssize_t result)
{
    if (!(io->state & URING_ANSWER)) {
        uring_finish(loop, io, result);
        return;
    }
    io->state = URING_ENDED | URING_ASKED | URING_ANSWER;
    io->result = result;
}

void uring_on_stop_single(struct uring_loop *loop, struct wi_io *io, int answer)
{
    io->state &= ~(uint32_t)URING_ANSWER;
    if ((io->state & URING_STATES) == URING_ENDED)
        uring_finish(loop, io, io->result);
    else if (answer == -ENOENT && !(io->state & URING_OPAQUE))
        uring_ask(loop, io);
}

// The number may belong to another file by now: never touch it. -EINTR is what
// ends a thread of the kernel's that has to block.
static void on_forgotten(struct uring_loop *loop, struct wi_io *io, int result)
{
    bool polled = (io->state & URING_STATES) == URING_POLLING;
    bool ended = polled || result == -EAGAIN || result == -EINTR;

    end(loop, io, ended ? -ECANCELED : result);
}

// A poll that stays has told of a change.
static void on_edge(struct uring_loop *loop, struct wi_io *io)
{
    const struct uring_file *file = io->slot;
    ssize_t n = -EAGAIN;

    if (file && !(io->state & URING_ASKED))
        n = wi_try(io, file->kind);
    if (n == -EAGAIN)
        return;
    io->result = n;
    io->state |= URING_GOT;
    uring_ask(loop, io);
}

// What a poll has said, without what nobody asks for.
static int events_of(const struct wi_io *io, int result)
{
    return result & (wi_try_events(io) | POLLERR | POLLHUP | POLLNVAL);
}

// Whether io has to go on: not ready after all, or ended for no reason.
static bool go_on(struct uring_loop *loop, struct uring_file *file,
                  struct wi_io *io, ssize_t result)
{
    if (io->state & URING_ASKED)
        return false;
    if (result == -EAGAIN && io->code != WI_IO_CONNECT)
        io->state = URING_POLLING | (io->state & URING_EDGES);
    else if (result == -EINTR || result == -ECANCELED)
        io->state = 0;
    else
        return false;
    uring_start(loop, file, io);
    return true;
}

// The codes that would not be understood above. -EBUSY: see try.c.
static ssize_t final(const struct wi_io *io, ssize_t result)
{
    if (result == -EAGAIN && io->code == WI_IO_CONNECT)
        return -EBUSY;
    if (result == -EAGAIN || result == -EINTR)
        return -ECANCELED;
    return result;
}

void uring_on_single(struct uring_loop *loop, struct wi_io *io, int result,
                     unsigned flags)
{
    struct uring_file *file = io->slot;
    ssize_t n = result;
    bool more = n == (ssize_t)io->size;

    if (flags & IORING_CQE_F_MORE) {
        on_edge(loop, io);
        return;
    }
    if (io->state & URING_AGAIN)
        wi_io_queue_remove(&loop->delayed, io);
    else if (file)
        wi_io_queue_remove(&file->flying, io);
    if (io->state & URING_GOT) {
        end(loop, io, io->result);
        return;
    }
    if (!file) {
        on_forgotten(loop, io, result);
        return;
    }
    if ((io->state & URING_STATES) == URING_POLLING && result >= 0) {
        n = wi_try(io, file->kind);
        more = n == (ssize_t)io->size;
        if ((result & wi_try_events(io)) == 0)
            io->state |= URING_EDGES;
    } else if (io->code == WI_IO_POLL && result >= 0) {
        n = events_of(io, result);
        if (n == 0) {
            n = -EAGAIN;
            io->state |= URING_EDGES;
        }
    } else if (loop->multishot && wi_fd_is_socket(file->kind)) {
        more = flags & IORING_CQE_F_SOCK_NONEMPTY;
    }
    if (go_on(loop, file, io, n))
        return;
    learn(file, io, n, more);
    end(loop, io, final(io, n));
}
