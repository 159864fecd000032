// SPDX-License-Identifier: MIT
//
// epoll.c: the backend for every kernel.
//
// A descriptor is registered when an operation on it first has to wait, edge
// triggered, and stays so until it is forgotten: no epoll_ctl while traffic
// flows. What an edge said is remembered in `ready`; an operation is tried at
// once if its side may be ready, and -EAGAIN clears the bit. On TCP a read or a
// write that came back short clears it as well, which saves the one that would
// say -EAGAIN: new bytes, or new room, make a new edge. That is wrong once the
// peer has hung up (there will be no more edges) or urgent data is about (a
// read stops at the mark), so after one of those events (`wary`) only -EAGAIN
// counts.
//
// The side for writing is registered when a write first has to wait: a socket
// that never blocks in write makes no events for it.
//
// Operations that wait stand in line per side, and are performed when the
// event comes, before their task runs again.
//
// WI_IO_POLL, ACCEPT and CONNECT tell the kernel anew each time they wait, and
// POLL asks poll(2) before it believes an event: these calls are used on
// descriptors that other libraries open and close, and a number may have
// become another file without a word. A listener of Weft's own is nobody
// else's: it is registered once, by level, so that one system call takes a
// connection, and none asks whether that was the last.
//
// The kernel's word on an event is the number of the descriptor and how often
// it was forgotten here, so that an event of what the number once was is known
// as such. That can happen: a connection of Weft's own is not taken out of the
// set before it is closed, since the close does that, unless somebody has
// passed it on to another process, or has a second number for it.
#include "loop/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/fd.h"
#include "loop/queue.h"
#include "loop/table.h"
#include "os/event.h"
#include "os/report.h"

#define EVENTS   256        // taken from the kernel at once
#define PATIENCE 15         // of a listener with one connection at a time
#define WAKE     UINT64_MAX // the data of the wake-up descriptor

enum {
    IN = EPOLLIN,
    OUT = EPOLLOUT,
};

struct epoll_file {
    int fd;
    uint32_t generation; // how often the number was forgotten
    uint32_t registered; // IN, OUT and EPOLLERR, as the kernel knows them
    uint32_t ready;      // IN and OUT, as far as this loop knows
    uint8_t kind;        // enum wi_fd_kind
    uint8_t known;       // the record is in use
    uint8_t wary;        // a short read or write may not be the end
    uint8_t level;       // registered by level: a listener of Weft's own
    uint8_t patience;    // so many events until all connections are asked for
    uint32_t accepted;   // since its last event
    struct wi_io_queue in, out, polls;
};

struct epoll_loop {
    struct wi_loop base;
    int epoll_fd;
    int wake_fd;
    bool no_pwait2; // this kernel has milliseconds only
    bool outlived;  // a registration has outlived its descriptor
    bool careful;   // from now on, each is taken back
    struct wi_table files;
    struct epoll_event events[EVENTS];
};

// Files -----------------------------------------------------------------------

static int learn(struct epoll_loop *loop, struct epoll_file *file, int fd)
{
    struct wi_fd *record = wi_fd_get(fd);
    int kind = record ? wi_fd_kind(record, fd) : -ENOMEM;

    if (kind < 0)
        return kind;
    if (!wi_fd_note(record, &loop->base))
        return -ECANCELED;
    file->fd = fd;
    file->kind = (uint8_t)kind;
    file->ready = IN | OUT; // nobody knows: try
    file->known = kind != WI_FD_DISK;
    return 0;
}

static int find_file(struct epoll_loop *loop, int fd, struct epoll_file **file)
{
    *file = wi_table_find(&loop->files, fd, sizeof(**file));
    if (!*file)
        *file = wi_table_make(&loop->files, fd, sizeof(**file));
    if (!*file)
        return -ENOMEM;
    return (*file)->known ? 0 : learn(loop, *file, fd);
}

static int control(struct epoll_loop *loop, struct epoll_file *file, int how,
                   uint32_t sides)
{
    struct epoll_event event = {
        .events = sides | (file->level ? 0u : EPOLLET | EPOLLRDHUP | EPOLLPRI),
        .data.u64 = (uint64_t)file->generation << 32 | (uint32_t)file->fd,
    };

    return epoll_ctl(loop->epoll_fd, how, file->fd, &event) < 0 ? -errno : 0;
}

// Makes the kernel tell about `sides`, and once now if one is ready.
static int tell_kernel(struct epoll_loop *loop, struct epoll_file *file,
                       uint32_t sides)
{
    int how = file->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int rc;

    // Errors are always told; so `registered` is not 0, who asks for no more.
    sides |= file->registered | EPOLLERR;
    rc = control(loop, file, how, sides);
    if (rc == -ENOENT) // the number has become another file
        rc = control(loop, file, EPOLL_CTL_ADD, sides);
    if (rc == -EEXIST)
        rc = control(loop, file, EPOLL_CTL_MOD, sides);
    if (rc == 0)
        file->registered = sides;
    return rc;
}

// Operations ------------------------------------------------------------------

static uint32_t sides_of(const struct wi_io *io)
{
    if (io->code == WI_IO_POLL || io->code == WI_IO_CALL)
        return (io->events & WEFT_READABLE ? IN : 0) |
               (io->events & WEFT_WRITABLE ? OUT : 0);
    return io->code == WI_IO_READ || io->code == WI_IO_ACCEPT ? IN : OUT;
}

static struct wi_io_queue *line_of(struct epoll_file *file,
                                   const struct wi_io *io)
{
    if (io->code == WI_IO_POLL)
        return &file->polls;
    return sides_of(io) == IN ? &file->in : &file->out;
}

// Whether an attempt that has got so much shows that the next one would have to
// wait: see above.
static bool was_last(const struct epoll_file *file, const struct wi_io *io,
                     ssize_t result)
{
    if (io->code == WI_IO_ACCEPT)
        return result >= 0 && file->patience > 0;
    return (io->code == WI_IO_READ || io->code == WI_IO_WRITE) &&
           file->kind == WI_FD_TCP && !file->wary && result > 0 &&
           (size_t)result < io->size;
}

// One attempt, and what it teaches. False: it has to wait.
static bool attempt(struct epoll_file *file, struct wi_io *io, ssize_t *result)
{
    *result = wi_try(io, file->kind);
    if (io->code == WI_IO_POLL)
        return *result != -EAGAIN;
    if (io->code == WI_IO_ACCEPT && *result >= 0)
        file->accepted++;
    if (*result == -EAGAIN || was_last(file, io, *result))
        file->ready &= ~sides_of(io);
    return *result != -EAGAIN;
}

// Waits in line. A file that epoll does not take is always ready.
static void wait_in_line(struct epoll_loop *loop, struct epoll_file *file,
                         struct wi_io *io)
{
    uint32_t sides = sides_of(io);
    bool anew = io->code == WI_IO_POLL || io->code == WI_IO_CONNECT ||
                (io->code == WI_IO_ACCEPT && !io->own);
    int rc = 0;

    // The kernel may know it by edge still, from before it was Weft's own.
    if (io->own && !file->level) {
        file->level = 1;
        anew = true;
    }
    // Some of those in /proc and /sys the kernel would take, and say that they
    // are ready: never that a read of them would not block.
    if (file->kind == WI_FD_DISK)
        rc = -EPERM;
    else if (anew || (file->registered & sides) != sides)
        rc = tell_kernel(loop, file, sides);
    if (rc == -EPERM) {
        loop->base.count.fallbacks++;
        wi_io_complete(io, wi_try_blocking(io));
    } else if (rc < 0) {
        wi_io_complete(io, rc);
    } else {
        io->slot = file;
        loop->base.active++;
        wi_io_queue_push(line_of(file, io), io);
    }
}

static void epoll_submit(struct wi_loop *base, struct wi_io *io)
{
    struct epoll_loop *loop = (struct epoll_loop *)base;
    struct epoll_file *file;
    int rc = io->code == WI_IO_GIVE ? 0 : find_file(loop, io->fd, &file);
    ssize_t result = rc;
    bool done = true;

    if (rc == 0 && io->code != WI_IO_GIVE) {
        bool first = io->code == WI_IO_POLL || !line_of(file, io)->head;
        bool ready = io->code == WI_IO_POLL || io->code == WI_IO_CONNECT ||
                     (file->ready & sides_of(io));

        io->state = 0;
        done = first && ready && attempt(file, io, &result);
    }
    if (done)
        wi_io_complete(io, result);
    else
        wait_in_line(loop, file, io);
}

static void finish(struct epoll_loop *loop, struct wi_io *io, ssize_t result)
{
    loop->base.active--;
    wi_io_complete(io, result);
}

static void epoll_cancel(struct wi_loop *base, struct wi_io *io)
{
    wi_io_queue_remove(line_of(io->slot, io), io);
    finish((struct epoll_loop *)base, io, -ECANCELED);
}

static void cancel_line(struct epoll_loop *loop, struct wi_io_queue *line)
{
    struct wi_io *io;

    while ((io = wi_io_queue_pop(line)))
        finish(loop, io, -ECANCELED);
}

// Whether the kernel forgets the registration by itself when the descriptor is
// closed: for a connection of Weft's, of which nobody has a second descriptor
// as far as is known.
static bool ends_with_close(const struct epoll_loop *loop,
                            const struct epoll_file *file)
{
    const struct wi_fd *record = wi_fd_get(file->fd);

    // relaxed: who closes it has had it from who has made it
    return file->kind == WI_FD_TCP && !loop->careful &&
           (__atomic_load_n(&record->flags, __ATOMIC_RELAXED) & WI_FD_ADOPTED);
}

static void epoll_forget(struct wi_loop *base, int fd)
{
    struct epoll_loop *loop = (struct epoll_loop *)base;
    struct epoll_file *file = wi_table_find(&loop->files, fd, sizeof(*file));

    if (!file || !file->known)
        return;
    if (file->registered && !ends_with_close(loop, file))
        control(loop, file, EPOLL_CTL_DEL, 0);
    cancel_line(loop, &file->in);
    cancel_line(loop, &file->out);
    cancel_line(loop, &file->polls);
    *file = (struct epoll_file){.fd = fd, .generation = file->generation + 1};
}

// The set ---------------------------------------------------------------------

// The eventfd is never read: each write to it is a new edge.
static int open_set(const struct epoll_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE};
    int fd = wi_os_own_fd(epoll_create1(EPOLL_CLOEXEC)), rc;

    if (fd < 0)
        return fd;
    if (epoll_ctl(fd, EPOLL_CTL_ADD, loop->wake_fd, &event) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

// Puts a file into a new set. One that was closed behind our back is in none.
static int move(struct epoll_loop *loop, struct epoll_file *file)
{
    int rc = control(loop, file, EPOLL_CTL_ADD, file->registered);

    if (rc != -EBADF && rc != -EPERM)
        return rc;
    file->registered = 0;
    return 0;
}

static int move_all(struct epoll_loop *loop)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < loop->files.count; i++) {
        struct epoll_file *files = loop->files.chunks[i];

        for (unsigned k = 0; rc == 0 && files && k < WI_TABLE_CHUNK; k++)
            if (files[k].registered)
                rc = move(loop, &files[k]);
    }
    return rc;
}

// A connection that was closed here lives on in another process, or under
// another number, and so does its registration, which can be taken back only
// together with its set. That is done once: all of it or nothing, as whoever
// waits in the old set shall be told. If there is no room for a second set, the
// next event of such a connection tries again.
static void start_anew(struct epoll_loop *loop)
{
    int old = loop->epoll_fd, fd = open_set(loop);

    loop->outlived = false;
    if (fd < 0)
        return;
    loop->epoll_fd = fd;
    if (move_all(loop) == 0) {
        loop->careful = true;
        close(old);
    } else {
        loop->epoll_fd = old;
        close(fd);
    }
}

// Events ----------------------------------------------------------------------

static int serve_line(struct epoll_loop *loop, struct epoll_file *file,
                      struct wi_io_queue *line, uint32_t side)
{
    ssize_t result;
    int done = 0;

    while (line->head && (file->ready & side) &&
           attempt(file, line->head, &result)) {
        finish(loop, wi_io_queue_pop(line), result);
        done++;
    }
    return done;
}

static int serve_polls(struct epoll_loop *loop, struct epoll_file *file)
{
    struct wi_io *io = file->polls.head;
    ssize_t result;
    int done = 0;

    while (io) {
        struct wi_io *next = io->next;

        if (attempt(file, io, &result)) {
            wi_io_queue_remove(&file->polls, io);
            finish(loop, io, result);
            done++;
        }
        io = next;
    }
    return done;
}

// Before an event of a listener by level. It stands for one connection at
// least: more are asked for now and then, and again if there were any. If
// nobody waits for them, the kernel shall not say it again and again.
static void on_level(struct epoll_loop *loop, struct epoll_file *file)
{
    if (file->accepted > 1)
        file->patience = 0;
    else
        file->patience = file->patience > 0 ? file->patience - 1 : PATIENCE;
    file->accepted = 0;
    if (file->in.head || file->polls.head)
        return;
    control(loop, file, EPOLL_CTL_DEL, 0);
    file->registered = 0;
}

static int on_event(struct epoll_loop *loop, struct epoll_file *file,
                    uint32_t events)
{
    const uint32_t last = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;
    int done = 0;

    if (file->level)
        on_level(loop, file);
    if (events & last)
        file->wary = 1;
    if (events & (EPOLLIN | last)) {
        file->ready |= IN;
        done += serve_line(loop, file, &file->in, IN);
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        file->ready |= OUT;
        done += serve_line(loop, file, &file->out, OUT);
    }
    if (file->polls.head)
        done += serve_polls(loop, file);
    return done;
}

// Waiting ---------------------------------------------------------------------

// nanoseconds < 0: for ever.
static int wait_ms(struct epoll_loop *loop, int64_t nanoseconds)
{
    int64_t ms = nanoseconds < 0 ? -1 : (nanoseconds + 999999) / 1000000;

    return epoll_wait(loop->epoll_fd, loop->events, EVENTS,
                      ms > 86400000 ? 86400000 : (int)ms);
}

#ifdef SYS_epoll_pwait2
// By number: musl and older C libraries have no name for it.
static int wait_ns(struct epoll_loop *loop, int64_t nanoseconds)
{
    const struct {
        int64_t seconds, nanoseconds;
    } timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int n;

    if (nanoseconds <= 0 || loop->no_pwait2)
        return wait_ms(loop, nanoseconds);
    n = (int)syscall(SYS_epoll_pwait2, loop->epoll_fd, loop->events, EVENTS,
                     &timeout, NULL, 0);
    // EPERM: what older container filters say for a call they do not know.
    if (n >= 0 || (errno != ENOSYS && errno != EPERM))
        return n;
    loop->no_pwait2 = true;
    return wait_ms(loop, nanoseconds);
}
#else
static int wait_ns(struct epoll_loop *loop, int64_t nanoseconds)
{
    return wait_ms(loop, nanoseconds);
}
#endif

static int64_t time_left(int64_t deadline)
{
    int64_t left;

    if (deadline == 0)
        return 0;
    if (deadline == WI_FOREVER)
        return -1;
    left = deadline - wi_os_now();
    return left < 0 ? 0 : left;
}

// What an event is of; NULL: the wake-up descriptor, or what is no longer
// there.
static struct epoll_file *find_event(struct epoll_loop *loop, uint64_t data)
{
    struct epoll_file *file;

    if (data == WAKE)
        return NULL;
    file = wi_table_find(&loop->files, (int)(uint32_t)data, sizeof(*file));
    if (file->generation == data >> 32)
        return file;
    loop->outlived = true;
    return NULL;
}

static int epoll_poll(struct wi_loop *base, int64_t deadline)
{
    struct epoll_loop *loop = (struct epoll_loop *)base;
    int n, done = 0;

    if (wi_loop_has_mail(base))
        deadline = 0;
    base->count.turns++;
    n = wait_ns(loop, time_left(deadline));
    if (n < 0 && errno == EBADF)
        wi_panic("epoll_wait", base,
                 "the loop's descriptor was closed by somebody else");
    wi_loop_look(base);
    for (int i = 0; i < n; i++) {
        struct epoll_file *file = find_event(loop, loop->events[i].data.u64);
        if (file)
            done += on_event(loop, file, loop->events[i].events);
    }
    base->fresh = (uint32_t)done;
    if (loop->outlived && !loop->careful)
        start_anew(loop);
    if (wi_loop_has_mail(base))
        wi_loop_read_mail(base);
    return done;
}

static void epoll_wake(struct wi_loop *base)
{
    if (wi_loop_woken(base))
        wi_loop_ring(((struct epoll_loop *)base)->wake_fd);
}

// Opening ---------------------------------------------------------------------

static void give_back(struct epoll_loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    wi_table_free(&loop->files);
    free(loop);
}

static void epoll_close(struct wi_loop *base)
{
    wi_loop_fini(base);
    give_back((struct epoll_loop *)base);
}

static int open_descriptors(struct epoll_loop *loop)
{
    loop->epoll_fd = -1;
    loop->wake_fd = wi_os_event_new();
    if (loop->wake_fd < 0)
        return loop->wake_fd;
    loop->epoll_fd = open_set(loop);
    return loop->epoll_fd < 0 ? loop->epoll_fd : 0;
}

static int epoll_open(struct wi_loop **opened)
{
    struct epoll_loop *loop = calloc(1, sizeof(*loop));
    int rc = loop ? open_descriptors(loop) : -ENOMEM;

    if (rc < 0) {
        if (loop)
            give_back(loop);
        return rc;
    }
    wi_loop_init(&loop->base, &wi_loop_epoll);
    *opened = &loop->base;
    return 0;
}

const struct wi_loop_ops wi_loop_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .wake = epoll_wake,
    .forget = epoll_forget,
};
