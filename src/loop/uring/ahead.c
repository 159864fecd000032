// SPDX-License-Identifier: MIT
//
// ahead.c: standing requests, which the kernel serves again and again.
//
// A listener gets a multishot accept at the first weft_accept. A stream socket
// made by weft_accept or weft_connect gets a multishot receive when it has
// been read a few times in a row, in portions that fit a provided buffer: such
// a connection waits most of its time, and now does so without a buffer and
// without a new request for each read. One that moves bulk data goes back to
// requests with the reader's own buffer, which need no copy; each change of
// mind doubles the patience until the next.
//
// What comes when nobody waits is kept in order, bytes in the buffers they
// came in and connections in a list. If much has gathered, the standing request
// is canceled, so that the kernel's own queues fill and the peer is slowed.
//
// A standing request lives until its last completion, the one without F_MORE.
// Then those who still wait in line start anew, whatever the reason of the end
// was: another standing request, or one of their own. Only this loop may read
// the socket while it reads ahead (fd.h); to give that up means to cancel, wait
// for the last completion, and leave to others what has come.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/uring/uring.h"

#define STASH_LIMIT 16  // buffers of one socket that nobody reads
#define CONN_LIMIT  128 // connections of one listener that nobody claims
#define BULK_LIMIT  8   // full buffers in a row
#define MOST_TRIES  250 // to cancel a standing request
#define NO_END      1   // of uring_file.end: nothing has ended it

// The stash -------------------------------------------------------------------

static void stash_push(struct uring_loop *loop, struct uring_file *file,
                       unsigned number, unsigned size)
{
    struct uring_stash *stash = &file->stash;

    loop->buffers->info[number].next = URING_NO_BUFFER;
    loop->buffers->info[number].size = (uint16_t)size;
    loop->buffers->info[number].offset = 0;
    if (stash->count++)
        loop->buffers->info[stash->tail].next = (uint16_t)number;
    else
        stash->head = (uint16_t)number;
    stash->tail = (uint16_t)number;
}

static void stash_pop(struct uring_loop *loop, struct uring_file *file)
{
    unsigned number = file->stash.head;

    file->stash.head = loop->buffers->info[number].next;
    file->stash.count--;
    uring_buffers_return(loop->buffers, number);
}

// Copies out as much as there is and fits.
static size_t stash_read(struct uring_loop *loop, struct uring_file *file,
                         char *to, size_t size)
{
    size_t done = 0;

    while (done < size && file->stash.count) {
        unsigned number = file->stash.head;
        unsigned offset = loop->buffers->info[number].offset;
        unsigned n = loop->buffers->info[number].size - offset;

        if (n > size - done)
            n = (unsigned)(size - done);
        memcpy(to + done, uring_buffer(loop->buffers, number) + offset, n);
        done += n;
        loop->buffers->info[number].offset = (uint16_t)(offset + n);
        if (offset + n == loop->buffers->info[number].size)
            stash_pop(loop, file);
    }
    if (!loop->reaping)
        uring_buffers_publish(loop->buffers);
    return done;
}

static size_t stash_size(const struct uring_loop *loop,
                         const struct uring_file *file)
{
    unsigned number = file->stash.head;
    size_t size = 0;

    for (unsigned i = 0; i < file->stash.count; i++) {
        size += loop->buffers->info[number].size -
                loop->buffers->info[number].offset;
        number = loop->buffers->info[number].next;
    }
    return size;
}

static bool conns_push(struct uring_file *file, int fd)
{
    struct uring_conns *conns = file->conns;
    unsigned room = conns ? conns->room : 0;

    if (!conns || conns->first + conns->count == room) {
        room = room ? room * 2 : 16;
        conns = realloc(conns, sizeof(*conns) + room * sizeof(conns->fds[0]));
        if (!conns)
            return false;
        if (!file->conns)
            conns->first = conns->count = 0;
        conns->room = room;
        file->conns = conns;
    }
    conns->fds[conns->first + conns->count++] = fd;
    return true;
}

static int conns_pop(struct uring_conns *conns)
{
    int fd = conns->fds[conns->first++];

    if (--conns->count == 0)
        conns->first = 0;
    return fd;
}

static unsigned conns_count(const struct uring_file *file)
{
    return file->conns ? file->conns->count : 0;
}

// Serving ---------------------------------------------------------------------

static bool take_conn(struct uring_loop *loop, struct uring_file *file,
                      struct wi_io *io)
{
    int fd;

    if (!conns_count(file))
        return false;
    fd = conns_pop(file->conns);
    wi_try_peer(fd, io->addr, io->addr_len);
    uring_finish(loop, io, fd);
    return true;
}

// Serves io from what has come; false if nothing has.
static bool serve(struct uring_loop *loop, struct uring_file *file,
                  struct wi_io *io)
{
    int32_t end = file->end;

    if (io->code == WI_IO_POLL) {
        if (!file->stash.count && !conns_count(file) && end > 0)
            return false;
        uring_finish(loop, io, WEFT_READABLE);
        return true;
    }
    if (io->code == WI_IO_ACCEPT && take_conn(loop, file, io))
        return true;
    if (io->code == WI_IO_READ && file->stash.count) {
        uring_finish(loop, io,
                     (ssize_t)stash_read(loop, file, io->buf, io->size));
        return true;
    }
    if (io->code == WI_IO_GIVE || end > 0)
        return false;
    file->end = NO_END;
    uring_finish(loop, io, end);
    return true;
}

static void serve_line(struct uring_loop *loop, struct uring_file *file)
{
    struct wi_io *io = file->waiting.head;

    while (io) {
        struct wi_io *next = io->next;

        // Taken out first: to finish it is to let go of it.
        wi_io_queue_remove(&file->waiting, io);
        if (!serve(loop, file, io)) {
            // Back to its place, which is the head: what stands before it
            // was served, as it asks for the same.
            io->next = file->waiting.head;
            io->prev = NULL;
            if (io->next)
                io->next->prev = io;
            else
                file->waiting.tail = io;
            file->waiting.head = io;
            return;
        }
        io = next;
    }
}

static void line_up(struct uring_file *file, struct wi_io *io)
{
    io->state = URING_WAITING;
    io->slot = file;
    wi_io_queue_push(&file->waiting, io);
}

// Standing requests -----------------------------------------------------------

static struct uring_ahead *new_ahead(struct uring_loop *loop,
                                     struct uring_file *file)
{
    struct uring_ahead *ahead = loop->free_aheads;

    if (ahead) {
        loop->free_aheads = ahead->next;
    } else {
        ahead = malloc(sizeof(*ahead));
        if (!ahead)
            return NULL;
        ahead->made = loop->aheads;
        loop->aheads = ahead;
    }
    *ahead = (struct uring_ahead){
        .file = file,
        .made = ahead->made,
        .requests = 1,
    };
    return ahead;
}

static void put_ahead(struct uring_loop *loop, struct uring_ahead *ahead)
{
    if (--ahead->requests)
        return;
    ahead->next = loop->free_aheads;
    loop->free_aheads = ahead;
}

static bool worth_while(const struct uring_loop *loop,
                        const struct uring_file *file, const struct wi_io *io)
{
    if (file->claim != URING_MINE || file->giving)
        return false;
    if (io->code == WI_IO_ACCEPT)
        return loop->multishot;
    return io->code == WI_IO_READ && loop->multishot_recv &&
           (file->kind == WI_FD_STREAM || file->kind == WI_FD_TCP) &&
           file->repeats >= file->patience;
}

static bool arm(struct uring_loop *loop, struct uring_file *file, bool accepts)
{
    struct uring_ahead *ahead = new_ahead(loop, file);
    struct io_uring_sqe *sqe;

    if (!ahead)
        return false;
    ahead->accepts = accepts;
    file->ahead = ahead;
    file->bulk = 0;
    sqe = uring_entry(loop);
    if (accepts) {
        io_uring_prep_multishot_accept(sqe, file->fd, NULL, NULL,
                                       SOCK_CLOEXEC | SOCK_NONBLOCK);
    } else {
        io_uring_prep_recv_multishot(sqe, file->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_GROUP;
    }
    io_uring_sqe_set_data64(sqe, uring_tag(ahead, URING_AHEAD));
    return true;
}

// Asks the kernel to end it: by its tag, and if that has not helped by its
// descriptor, in turn. Linux 6.11 did not find a multishot receive by its tag
// (liburing issue 1375). Other requests on the descriptor, if there are any,
// end as well and are started again.
static void stop(struct uring_loop *loop, struct uring_ahead *ahead)
{
    uint64_t answer = uring_tag(ahead, URING_STOP_AHEAD);
    struct io_uring_sqe *sqe;

    if (!uring_make_room(loop)) {
        ahead->next = loop->unasked;
        loop->unasked = ahead;
        return;
    }
    ahead->by_fd = ahead->file && ahead->tries % 2 == 1;
    ahead->tries++;
    if (!ahead->by_fd) {
        uring_stop(loop, uring_tag(ahead, URING_AHEAD), answer);
        return;
    }
    sqe = uring_entry(loop);
    io_uring_prep_cancel_fd(sqe, ahead->file->fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, answer);
}

static void disarm(struct uring_loop *loop, struct uring_ahead *ahead)
{
    if (ahead->requests > 1)
        return; // that was done
    ahead->requests++;
    stop(loop, ahead);
}

void uring_stop_unasked(struct uring_loop *loop)
{
    struct uring_ahead *ahead = loop->unasked;

    loop->unasked = NULL;
    while (ahead) {
        struct uring_ahead *next = ahead->next;

        stop(loop, ahead);
        ahead = next;
    }
}

// It is asked for until it is over, unless the kernel has found it: see
// uring.h. After an answer for its descriptor nothing is known of it.
void uring_on_stop_ahead(struct uring_loop *loop, struct uring_ahead *ahead,
                         int answer)
{
    if (ahead->requests > 1 && ahead->tries < MOST_TRIES &&
        (ahead->by_fd || answer == -ENOENT))
        stop(loop, ahead);
    else
        put_ahead(loop, ahead);
}

// Giving ----------------------------------------------------------------------

static struct wi_left *pack(struct uring_loop *loop, struct uring_file *file)
{
    size_t bytes = stash_size(loop, file), conns = conns_count(file);
    struct wi_left *left =
        malloc(sizeof(*left) + bytes + conns * sizeof(left->data.conns[0]));

    if (!left)
        return NULL;
    left->end = file->end;
    left->listener = file->accepts;
    left->taken = 0;
    left->size = (uint32_t)(bytes + conns);
    stash_read(loop, file, left->data.bytes, bytes);
    for (size_t i = 0; i < conns; i++)
        left->data.conns[i] = conns_pop(file->conns);
    file->end = NO_END;
    return left;
}

// 0, or -ENOMEM: then nothing was given.
static int hand_over(struct uring_loop *loop, struct uring_file *file)
{
    struct wi_left *left = NULL;

    if (file->stash.count || conns_count(file) || file->end <= 0) {
        left = pack(loop, file);
        if (!left)
            return -ENOMEM;
    }
    wi_fd_give(wi_fd_get(file->fd), left, file->giving != URING_LEAVING);
    file->claim = URING_UNASKED;
    return 0;
}

void uring_give(struct uring_loop *loop, struct uring_file *file,
                struct wi_io *io, enum uring_giving why)
{
    if (file->claim != URING_MINE) {
        uring_finish(loop, io, 0);
        return;
    }
    file->giving = why;
    if (file->ahead) {
        line_up(file, io); // first: disarm may see the end of it
        disarm(loop, file->ahead);
    } else {
        uring_finish(loop, io, hand_over(loop, file));
        file->giving = URING_KEEPING;
    }
}

// Those who stand in line start anew.
static void restart_line(struct uring_loop *loop, struct uring_file *file,
                         int given)
{
    struct wi_io_queue line = file->waiting;
    struct wi_io *io;

    file->waiting = (struct wi_io_queue){0};
    while ((io = wi_io_queue_pop(&line))) {
        io->state = 0;
        if (io->code == WI_IO_GIVE)
            uring_finish(loop, io, given);
        else
            uring_start(loop, file, io);
    }
}

// The last completion of file's standing request has come.
static void on_end(struct uring_loop *loop, struct uring_file *file)
{
    int given = 0;

    file->ahead = NULL;
    if (file->giving) {
        given = hand_over(loop, file);
        file->giving = URING_KEEPING;
    }
    restart_line(loop, file, given);
}

void uring_drop(struct uring_loop *loop, struct uring_file *file)
{
    struct wi_io *io;

    while (file->stash.count)
        stash_pop(loop, file);
    if (loop->buffers)
        uring_buffers_publish(loop->buffers);
    while (conns_count(file))
        close(conns_pop(file->conns));
    free(file->conns);
    file->conns = NULL;
    if (file->ahead) {
        disarm(loop, file->ahead);
        file->ahead->file = NULL;
        file->ahead = NULL;
    }
    while ((io = wi_io_queue_pop(&file->waiting)))
        uring_finish(loop, io, io->code == WI_IO_GIVE ? 0 : -ECANCELED);
}

// Asking ----------------------------------------------------------------------

// Who may read file? False: io is done, with WI_IO_ELSEWHERE.
static bool ask(struct uring_loop *loop, struct uring_file *file,
                struct wi_io *io)
{
    struct wi_fd *record = wi_fd_get(file->fd);
    enum wi_fd_claim claim =
        io->code == WI_IO_POLL || io->code == WI_IO_CALL
            ? wi_fd_share(record, &loop->base)
            : wi_fd_claim(record, &loop->base, io->code == WI_IO_ACCEPT);

    if (claim == WI_FD_ELSEWHERE) {
        uring_finish(loop, io, WI_IO_ELSEWHERE);
        return false;
    }
    file->claim = claim == WI_FD_MINE ? URING_MINE : URING_EVERYONE;
    file->accepts = io->code == WI_IO_ACCEPT;
    return true;
}

// Somebody wants to know when file is readable, perhaps to read it by other
// means: no more reading ahead.
static bool stop_for_poll(struct uring_loop *loop, struct uring_file *file,
                          struct wi_io *io)
{
    wi_fd_share(wi_fd_get(file->fd), &loop->base);
    file->giving = URING_SHARING;
    if (file->ahead) {
        line_up(file, io); // first: disarm may see the end of it
        disarm(loop, file->ahead);
        return true;
    }
    hand_over(loop, file); // nothing is left: it cannot fail
    file->giving = URING_KEEPING;
    return false;
}

bool uring_serve_ahead(struct uring_loop *loop, struct uring_file *file,
                       struct wi_io *io)
{
    if (io->code == WI_IO_WRITE || io->code == WI_IO_CONNECT ||
        ((io->code == WI_IO_POLL || io->code == WI_IO_CALL) &&
         !(io->events & WEFT_READABLE)) ||
        file->kind == WI_FD_DISK)
        return false;
    if (file->claim == URING_UNASKED && !ask(loop, file, io))
        return true;
    if (file->claim == URING_EVERYONE)
        return false;
    // To read from a listener, to accept from a stream: the kernel will say it.
    if (io->code != WI_IO_POLL &&
        (io->code == WI_IO_ACCEPT) != (bool)file->accepts)
        return false;
    if (!file->waiting.head && serve(loop, file, io))
        return true;
    if (io->code == WI_IO_POLL)
        return stop_for_poll(loop, file, io);
    if (!file->ahead && (!worth_while(loop, file, io) ||
                         !arm(loop, file, io->code == WI_IO_ACCEPT)))
        return false;
    line_up(file, io);
    return true;
}

// Completions -----------------------------------------------------------------

static void came_conn(struct uring_loop *loop, struct uring_ahead *ahead,
                      int fd)
{
    struct uring_file *file = ahead->file;

    loop->base.count.multishot_accept++;
    if (!file || !conns_push(file, fd)) {
        close(fd);
        return;
    }
    serve_line(loop, file);
    if (conns_count(file) >= CONN_LIMIT)
        disarm(loop, ahead);
}

// Bulk data is better read without the copy: see the essay.
static void judge_size(struct uring_loop *loop, struct uring_file *file,
                       int size)
{
    file->bulk = size == URING_BUFFER_SIZE ? file->bulk + 1 : 0;
    if (file->bulk < BULK_LIMIT)
        return;
    file->bulk = 0;
    file->repeats = 0;
    if (file->patience < 128)
        file->patience *= 2;
    disarm(loop, file->ahead);
}

static void came_bytes(struct uring_loop *loop, struct uring_ahead *ahead,
                       const struct io_uring_cqe *cqe)
{
    struct uring_file *file = ahead->file;
    unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

    loop->base.count.multishot_recv++;
    if (cqe->flags & IORING_CQE_F_BUFFER)
        loop->base.count.provided_buffers++;
    if (!file || cqe->res == 0) {
        if (cqe->flags & IORING_CQE_F_BUFFER)
            uring_buffers_return(loop->buffers, number);
        if (file)
            file->end = 0;
        return;
    }
    stash_push(loop, file, number, (unsigned)cqe->res);
    serve_line(loop, file);
    judge_size(loop, file, cqe->res);
    if (file->stash.count >= STASH_LIMIT)
        disarm(loop, ahead);
}

static void failed(struct uring_loop *loop, struct uring_ahead *ahead, int code)
{
    struct uring_file *file = ahead->file;

    if (code == -ECANCELED || !file)
        return;
    if (!ahead->accepts && code == -EINVAL) {
        loop->base.count.fallbacks++;
        loop->multishot_recv = false; // older than 6.0
    } else if (!ahead->accepts && code == -ENOBUFS) {
        if (uring_buffers_grow(loop->buffers))
            return;
        loop->base.count.fallbacks++;
        file->repeats = 0;
    } else {
        file->end = code;
    }
}

void uring_on_ahead(struct uring_loop *loop, struct uring_ahead *ahead,
                    const struct io_uring_cqe *cqe)
{
    struct uring_file *file = ahead->file;

    if (cqe->res < 0)
        failed(loop, ahead, cqe->res);
    else if (ahead->accepts)
        came_conn(loop, ahead, cqe->res);
    else
        came_bytes(loop, ahead, cqe);
    if (cqe->flags & IORING_CQE_F_MORE)
        return;
    if (file)
        on_end(loop, file);
    put_ahead(loop, ahead);
}
