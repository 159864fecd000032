// SPDX-License-Identifier: MIT
//
// uring.c: the io_uring backend: opening, closing, waking, and the front of
// the operations.
//
// The ring is made with the flags that the running kernel knows, best first:
// 6.1 has them all. Below 5.19 there are no provided buffers and no multishot
// accept; the backend works, but Weft prefers epoll unless told otherwise.
#include "loop/uring/modern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/uring/uring.h"
#include "os/event.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096 // many: standing requests complete many times

// How many threads the kernel may make for a ring's blocking work.
#define DISK_THREADS  4
#define OTHER_THREADS 16

bool wi_uring_modern(const struct wi_loop *loop)
{
    return ((const struct uring_loop *)loop)->multishot;
}

// Operations ------------------------------------------------------------------

static int learn(struct uring_loop *loop, struct uring_file *file, int fd)
{
    struct wi_fd *record = wi_fd_get(fd);
    int kind = record ? wi_fd_kind(record, fd) : -ENOMEM;

    if (kind < 0)
        return kind;
    if (!wi_fd_note(record, &loop->base))
        return -ECANCELED;
    file->fd = fd;
    file->kind = (uint8_t)kind;
    file->patience = 2;
    file->full = kind == WI_FD_TCP; // the first request may be there already
    file->end = 1;
    file->known = kind != WI_FD_DISK;
    return 0;
}

int uring_find_file(struct uring_loop *loop, int fd, struct uring_file **file)
{
    *file = wi_table_find(&loop->files, fd, sizeof(**file));
    if (!*file)
        *file = wi_table_make(&loop->files, fd, sizeof(**file));
    if (!*file)
        return -ENOMEM;
    return (*file)->known ? 0 : learn(loop, *file, fd);
}

void uring_finish(struct uring_loop *loop, struct wi_io *io, ssize_t result)
{
    loop->base.active--;
    loop->batch += loop->reaping;
    wi_io_complete(io, result);
}

void uring_start(struct uring_loop *loop, struct uring_file *file,
                 struct wi_io *io)
{
    if (!uring_make_room(loop)) {
        io->state = (io->state & ~(uint32_t)URING_STATES) | URING_DELAYED;
        io->slot = file;
        wi_io_queue_push(&loop->delayed, io);
        return;
    }
    if (!uring_serve_ahead(loop, file, io))
        uring_single(loop, file, io);
}

static void uring_submit(struct wi_loop *base, struct wi_io *io)
{
    struct uring_loop *loop = (struct uring_loop *)base;
    struct uring_file *file;
    int rc = uring_find_file(loop, io->fd, &file);

    io->state = 0;
    base->active++;
    if (rc < 0)
        uring_finish(loop, io, io->code == WI_IO_GIVE ? 0 : rc);
    else if (io->code == WI_IO_GIVE)
        uring_give(loop, file, io, URING_SHARING);
    else
        uring_start(loop, file, io);
}

void uring_resume(struct uring_loop *loop, struct wi_io *io)
{
    struct uring_file *file = io->slot;

    if ((io->state & URING_STATES) == URING_DELAYED) {
        uring_start(loop, file, io);
        return;
    }
    io->state &= ~(uint32_t)URING_AGAIN;
    if (file)
        wi_io_queue_push(&file->flying, io);
    uring_ask(loop, io);
}

void uring_ask(struct uring_loop *loop, struct wi_io *io)
{
    struct uring_file *file = io->slot;

    io->state |= URING_ASKED;
    if (io_uring_sq_space_left(&loop->ring)) {
        io->state |= URING_ANSWER;
        uring_stop(loop, uring_tag(io, URING_SINGLE),
                   uring_tag(io, URING_STOP_SINGLE));
        return;
    }
    if (file)
        wi_io_queue_remove(&file->flying, io);
    io->state |= URING_AGAIN;
    wi_io_queue_push(&loop->delayed, io);
}

static void uring_cancel(struct wi_loop *base, struct wi_io *io)
{
    struct uring_loop *loop = (struct uring_loop *)base;
    struct uring_file *file = io->slot;

    uring_make_room(loop);
    if (io->done) // that may have ended it
        return;
    switch (io->state & (URING_STATES | URING_ASKED)) {
    case URING_WAITING:
        wi_io_queue_remove(&file->waiting, io);
        uring_finish(loop, io, -ECANCELED);
        break;
    case URING_DELAYED:
        wi_io_queue_remove(&loop->delayed, io);
        uring_finish(loop, io, -ECANCELED);
        break;
    case URING_FLYING:
    case URING_POLLING:
        uring_ask(loop, io);
        break;
    default: // asked before
        break;
    }
}

// Forgetting ------------------------------------------------------------------

static void cancel_delayed(struct uring_loop *loop,
                           const struct uring_file *file)
{
    struct wi_io *io = loop->delayed.head;

    while (io) {
        struct wi_io *next = io->next;

        if (io->slot == file && (io->state & URING_AGAIN)) {
            io->slot = NULL;
        } else if (io->slot == file) {
            wi_io_queue_remove(&loop->delayed, io);
            uring_finish(loop, io, -ECANCELED);
        }
        io = next;
    }
}

// Asks the kernel to end all that flies, and cuts the ties of what does not end
// at once, such as a read from a disk.
static void cancel_flying(struct uring_loop *loop, struct uring_file *file)
{
    struct wi_io *io;

    for (io = file->flying.head; io; io = io->next) {
        if (io->state & URING_ASKED)
            continue;
        if (!io_uring_sq_space_left(&loop->ring))
            break; // another round
        uring_ask(loop, io);
    }
    uring_flush(loop);
}

static bool any_unasked(const struct uring_file *file)
{
    for (struct wi_io *io = file->flying.head; io; io = io->next)
        if (!(io->state & URING_ASKED))
            return true;
    return false;
}

static void uring_forget(struct wi_loop *base, int fd)
{
    struct uring_loop *loop = (struct uring_loop *)base;
    struct uring_file *file = wi_table_find(&loop->files, fd, sizeof(*file));
    struct wi_io *io;

    if (!file || file->fd != fd)
        return;
    uring_make_room(loop);
    cancel_delayed(loop, file);
    if (file->ahead || file->flying.head) {
        uring_drop(loop, file);
        do {
            cancel_flying(loop, file);
            cancel_delayed(loop, file); // what was started again meanwhile
        } while (any_unasked(file));
    } else {
        uring_drop(loop, file);
    }
    while ((io = wi_io_queue_pop(&file->flying)))
        io->slot = NULL;
    *file = (struct uring_file){.fd = -1};
}

// Waking ----------------------------------------------------------------------

static void uring_wake(struct wi_loop *base)
{
    if (wi_loop_woken(base))
        wi_loop_ring(((struct uring_loop *)base)->wake_fd);
}

// Opening ---------------------------------------------------------------------

// Above the standard descriptors: see wi_os_own_fd.
static int move_up(struct io_uring *ring)
{
    int fd = ring->ring_fd > STDERR_FILENO ? ring->ring_fd
                                           : wi_os_dup(ring->ring_fd);

    if (fd < 0) {
        io_uring_queue_exit(ring);
        return fd;
    }
    if (fd != ring->ring_fd)
        close(ring->ring_fd);
    ring->ring_fd = ring->enter_ring_fd = fd;
    return 0;
}

static int make_ring(struct uring_loop *loop)
{
    static const unsigned levels[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
            IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL, // 6.1
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
            IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL, // 6.0
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL, // 5.19
        IORING_SETUP_SUBMIT_ALL,     // 5.18
        0,
    };
    int rc = -EINVAL;

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        struct io_uring_params params = {
            .flags = levels[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = CQ_ENTRIES,
        };

        rc = io_uring_queue_init_params(SQ_ENTRIES, &loop->ring, &params);
        if (rc != -EINVAL)
            break;
    }
    return rc < 0 ? rc : move_up(&loop->ring);
}

// What Weft cannot do without; all of it by 5.11.
static bool has_basics(const struct uring_loop *loop)
{
    const unsigned basics = IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS |
                            IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;

    return (loop->ring.features & basics) == basics;
}

// Each of these may be missing, and is not missed much.
static void equip(struct uring_loop *loop)
{
    unsigned threads[2] = {DISK_THREADS, OTHER_THREADS};

    io_uring_ring_dontfork(&loop->ring);
    io_uring_register_ring_fd(&loop->ring);
    io_uring_register_iowq_max_workers(&loop->ring, threads);
    loop->buffers = uring_buffers_open(&loop->ring);
    loop->multishot = loop->buffers != NULL;
    loop->multishot_recv = loop->multishot;
}

static void give_back(struct uring_loop *loop)
{
    io_uring_queue_exit(&loop->ring);
    if (loop->buffers)
        uring_buffers_close(loop->buffers);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    wi_table_free(&loop->files);
    free(loop);
}

static int uring_open(struct wi_loop **opened)
{
    struct uring_loop *loop = calloc(1, sizeof(*loop));
    int rc = loop ? make_ring(loop) : -ENOMEM;

    if (rc < 0) {
        free(loop);
        return rc;
    }
    loop->wake_fd = wi_os_event_new();
    rc = loop->wake_fd < 0 ? loop->wake_fd : has_basics(loop) ? 0 : -ENOSYS;
    if (rc == 0) {
        equip(loop);
        uring_arm_wake(loop);
        rc = uring_enter_first(loop);
    }
    if (rc < 0) {
        give_back(loop);
        return rc;
    }
    wi_loop_init(&loop->base, &wi_loop_uring);
    *opened = &loop->base;
    return 0;
}

// Closing ---------------------------------------------------------------------

// What was read ahead is left to whoever reads next: the files stay open.
static void leave(struct uring_loop *loop, struct uring_file *file)
{
    struct wi_io io = {.code = WI_IO_GIVE, .fd = file->fd};

    if (file->claim == URING_MINE) {
        loop->base.active++;
        uring_make_room(loop);
        uring_give(loop, file, &io, URING_LEAVING);
        while (!io.done)
            uring_poll(&loop->base, WI_FOREVER);
    }
    free(file->conns);
    file->conns = NULL; // others may still ask to forget it
}

static void leave_all(struct uring_loop *loop)
{
    for (unsigned i = 0; i < loop->files.count; i++) {
        struct uring_file *files = loop->files.chunks[i];

        for (unsigned k = 0; files && k < WI_TABLE_CHUNK; k++)
            if (files[k].known)
                leave(loop, &files[k]);
    }
}

static void uring_close(struct wi_loop *base)
{
    struct uring_loop *loop = (struct uring_loop *)base;

    leave_all(loop);
    wi_loop_fini(base);
    while (loop->aheads) {
        struct uring_ahead *ahead = loop->aheads;
        loop->aheads = ahead->made;
        free(ahead);
    }
    give_back(loop);
}

const struct wi_loop_ops wi_loop_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .wake = uring_wake,
    .forget = uring_forget,
};
