// SPDX-License-Identifier: MIT
//
// loop.c: which backend, which loops there are, and their mail.
//
// The choice is made once, by the first loop that opens: what WEFT_BACKEND
// names, else io_uring if this machine has what makes it worth while, else
// epoll. All loops of a process are of one kind, because a socket that one
// loop reads ahead on (fd.h) must be known as such to all others.
//
// Mail is how one thread asks another one's loop for something: an operation
// pushed onto a list that the owner takes as a whole in its poll. It is rare
// (a descriptor closed by a task of another worker), so a list and a lock
// around the registry are enough.
#include "loop/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft/error.h>

#include "base/sanitizer_detect.h"
#include "base/fresh.h"
#include "loop/uring/modern.h"
#include "os/futex.h"
#include "os/report.h"

static struct {
    struct wi_mutex lock;
    struct wi_loop *first; // in the order of their numbers
    uint64_t next_number;
    uint64_t bits; // those that are taken; the last one never is
} registry;

static __thread char this_thread; // its address stands for the thread

static struct {
    struct wi_mutex lock;
    const struct wi_loop_ops *ops; // release/acquire: NULL until chosen
    int refused;                   // under the lock
    char text[400];                // under the lock
} choice;

// A child after fork has none of its parent's loops. Their descriptors stay
// open in it, since the child must not touch what they share with the parent.
static void make_fresh(void)
{
    memset(&registry, 0, sizeof(registry));
    memset(&choice, 0, sizeof(choice));
}

__attribute__((constructor)) static void watch_forks(void)
{
    wi_fresh_add(make_fresh);
}

const char *wi_loop_error(void)
{
    return choice.text;
}

// What is scarce now may be there the next time.
static bool is_passing(int code)
{
    return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

static int refuse(int code, const char *text)
{
    if (!is_passing(code))
        choice.refused = code;
    if (strncmp(choice.text, text, sizeof(choice.text) - 1) != 0) {
        snprintf(choice.text, sizeof(choice.text), "%s", text);
        wi_report("%s", choice.text);
    }
    return code;
}

static const char *why(int code)
{
    switch (-code) {
    case EPERM:
    case EACCES:
        return "a seccomp filter (as containers have) or "
               "kernel.io_uring_disabled forbids it";
    case ENOSYS:
        return "this kernel has no io_uring that Weft can use (5.11 or newer), "
               "or a filter hides it";
    case EMFILE:
    case ENFILE:
        return "there are too many open files";
    case ENOMEM:
        return "no memory, or RLIMIT_MEMLOCK is too small";
    default:
        return "the kernel refused to make a ring";
    }
}

static int refuse_uring(int code)
{
    char text[400];

    snprintf(text, sizeof(text),
             "WEFT_BACKEND=uring cannot be had: %s (%s). Unset WEFT_BACKEND "
             "or set it to epoll",
             why(code), weft_error_name(code));
    return refuse(code, text);
}

#if defined(WEFT_HAVE_URING)
static int open_uring(struct wi_loop **loop)
{
    int rc = wi_loop_uring.open(loop);

    return rc < 0 ? refuse_uring(rc) : rc;
}

// False: epoll is the better choice here.
static bool open_modern_uring(struct wi_loop **loop)
{
    if (wi_loop_uring.open(loop) < 0)
        return false;
    if (wi_uring_modern(*loop))
        return true;
    wi_loop_uring.close(*loop);
    *loop = NULL; // should epoll not be had either
    return false;
}
#else
static int open_uring(struct wi_loop **loop)
{
    (void)loop;
    return refuse(-ENOSYS, "WEFT_BACKEND=uring cannot be had: this Weft was "
                           "built without liburing. Unset WEFT_BACKEND or set "
                           "it to epoll");
}

static bool open_modern_uring(struct wi_loop **loop)
{
    (void)loop;
    return false;
}
#endif

static int open_first(struct wi_loop **loop)
{
    const char *wanted = secure_getenv("WEFT_BACKEND");
    char text[400];

    // Valgrind does not see what the kernel writes on its own.
    if (!wanted || !*wanted)
        return !WI_ON_VALGRIND && open_modern_uring(loop)
                   ? 0
                   : wi_loop_epoll.open(loop);
    if (!strcmp(wanted, "uring") || !strcmp(wanted, "io_uring"))
        return open_uring(loop);
    if (!strcmp(wanted, "epoll"))
        return wi_loop_epoll.open(loop);
    snprintf(text, sizeof(text),
             "WEFT_BACKEND=%.40s: there is no such backend; it is uring or "
             "epoll",
             wanted);
    return refuse(-EINVAL, text);
}

int wi_loop_open(struct wi_loop **loop)
{
    // acquire: pairs with the release below
    const struct wi_loop_ops *ops =
        __atomic_load_n(&choice.ops, __ATOMIC_ACQUIRE);
    int rc;

    if (ops)
        return ops->open(loop);
    wi_mutex_lock(&choice.lock);
    rc = choice.refused;
    if (rc == 0) {
        rc = choice.ops ? choice.ops->open(loop) : open_first(loop);
        if (rc == 0)
            // release: pairs with the acquire above
            __atomic_store_n(&choice.ops, (*loop)->ops, __ATOMIC_RELEASE);
    }
    wi_mutex_unlock(&choice.lock);
    return rc;
}

// The lowest free bit; under the registry's lock.
static uint64_t take_bit(void)
{
    uint64_t bit = ~registry.bits & (registry.bits + 1);

    if (bit != WI_LOOP_MANY)
        registry.bits |= bit;
    return bit;
}

void wi_loop_init(struct wi_loop *loop, const struct wi_loop_ops *ops)
{
    struct wi_loop **at = &registry.first;

    loop->ops = ops;
    loop->thread = &this_thread;
    wi_mutex_lock(&registry.lock);
    loop->number = ++registry.next_number;
    loop->bit = take_bit();
    while (*at)
        at = &(*at)->peer;
    *at = loop;
    wi_mutex_unlock(&registry.lock);
}

void wi_loop_fini(struct wi_loop *loop)
{
    struct wi_loop **at = &registry.first;

    wi_mutex_lock(&registry.lock);
    while (*at != loop)
        at = &(*at)->peer;
    *at = loop->peer;
    if (loop->bit != WI_LOOP_MANY)
        registry.bits &= ~loop->bit;
    wi_mutex_unlock(&registry.lock);
    wi_loop_read_mail(loop);
}

// The next loop after `number` that bits stand for; under the registry's lock.
// A loop that was never used knows nothing, and is not found in its poll.
static struct wi_loop *next_loop(uint64_t number, uint64_t bits,
                                 const struct wi_loop *self)
{
    struct wi_loop *loop = registry.first;

    // `used` relaxed: published by wi_fd_note
    while (loop &&
           (loop->number <= number || !(loop->bit & bits) || loop == self ||
            !__atomic_load_n(&loop->used, __ATOMIC_RELAXED)))
        loop = loop->peer;
    return loop;
}

// Under the registry's lock, so that the loop is not closed meanwhile.
static void post(struct wi_loop *loop, struct wi_io *io)
{
    // relaxed first look; release on success: pairs with the acquire in
    // wi_loop_read_mail
    io->next = __atomic_load_n(&loop->mail, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&loop->mail, &io->next, io, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
    loop->ops->wake(loop);
}

// In a nested run the loop of the outer run is this thread's too, and nobody
// else will take its turns now.
static void await_own(struct wi_loop *loop, const struct wi_io *io)
{
    while (!io->done)
        loop->ops->poll(loop, WI_FOREVER);
}

void wi_io_await(const struct wi_io *io)
{
    const struct wi_wait wait = {
        .object = (void *)(intptr_t)io->fd, // NOLINT: a number, for show
        .deadline = WI_FOREVER,
        .kind = WI_WAIT_FD,
    };

    // acquire: pairs with the release in wi_io_complete
    while (!__atomic_load_n(&io->done, __ATOMIC_ACQUIRE))
        wi_park(&wait);
}

void wi_loop_tell(uint64_t bits, struct wi_loop *self, enum wi_io_code code,
                  int fd)
{
    uint64_t number = 0;

    for (;;) {
        struct wi_io io = {.code = code, .fd = fd, .waiter = wi_self()};
        struct wi_loop *loop;

        wi_mutex_lock(&registry.lock);
        loop = next_loop(number, bits, self);
        if (loop) {
            number = loop->number;
            post(loop, &io);
        }
        wi_mutex_unlock(&registry.lock);
        if (!loop)
            return;
        if (loop->thread == &this_thread)
            await_own(loop, &io);
        else
            wi_io_await(&io);
    }
}

static struct wi_io *take_mail(struct wi_loop *loop)
{
    // acquire: pairs with the release in post
    struct wi_io *io = __atomic_exchange_n(&loop->mail, NULL, __ATOMIC_ACQUIRE);
    struct wi_io *in_order = NULL;

    while (io) {
        struct wi_io *next = io->next;

        io->next = in_order;
        in_order = io;
        io = next;
    }
    return in_order;
}

void wi_loop_read_mail(struct wi_loop *loop)
{
    struct wi_io *io = take_mail(loop);

    while (io) {
        struct wi_io *next = io->next; // submit may link it elsewhere

        if (io->code == WI_IO_FORGET) {
            loop->ops->forget(loop, io->fd);
            wi_io_complete(io, 0);
        } else {
            loop->ops->submit(loop, io);
        }
        io = next;
    }
}

void wi_loop_ring(int event_fd)
{
    const uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(event_fd, &one, sizeof(one));

    (void)n; // EAGAIN: the counter is full, so it is readable
    errno = saved;
}
