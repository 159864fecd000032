// SPDX-License-Identifier: MIT
//
// fd.c: the process-wide table of descriptors.
//
// Two levels: the first is static, the second made when needed and never
// freed, so that a record is found without a lock. Descriptors above the
// table's end are an error; Linux gives none of those unless fs.nr_open is
// raised sixteenfold.
//
// Why weft_close waits for the loops: a loop that has queued, but not yet
// submitted, an operation on fd would otherwise hand it to the kernel after
// the number belongs to another file. And a request that the kernel holds
// keeps the file open: the peer would see no end. While it waits nothing new
// begins on fd: nobody would end that.
#include "loop/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fresh.h"

#define CHUNK  1024
#define CHUNKS (16 * 1024)

static struct wi_fd *chunks[CHUNKS];
static unsigned used; // atomic: no chunk from here on was ever made

// A child after fork: the loops and waiters of its parent are none of its own.
// The rest of the table is not looked at: its pages are not there yet.
static void make_fresh(void)
{
    for (unsigned i = 0; i < used; i++)
        if (chunks[i])
            memset(chunks[i], 0, CHUNK * sizeof(*chunks[i]));
}

__attribute__((constructor)) static void watch_forks(void)
{
    wi_fresh_add(make_fresh);
}

static struct wi_fd *find(int fd)
{
    unsigned chunk = (unsigned)fd / CHUNK;
    struct wi_fd *records;

    if (chunk >= CHUNKS)
        return NULL;
    // acquire: pairs with the release in wi_fd_get
    records = __atomic_load_n(&chunks[chunk], __ATOMIC_ACQUIRE);
    return records ? &records[(unsigned)fd % CHUNK] : NULL;
}

// Before the chunk is put into the table: a fork may come at any time.
static void note_used(unsigned chunk)
{
    // relaxed: read by the only thread of a child
    unsigned seen = __atomic_load_n(&used, __ATOMIC_RELAXED);
    while (seen <= chunk &&
           !__atomic_compare_exchange_n(&used, &seen, chunk + 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

struct wi_fd *wi_fd_get(int fd)
{
    unsigned chunk = (unsigned)fd / CHUNK;
    struct wi_fd *record = find(fd), *none = NULL, *made;

    if (record || chunk >= CHUNKS)
        return record;
    made = calloc(CHUNK, sizeof(*made));
    if (!made)
        return NULL;
    note_used(chunk);
    // release: pairs with the acquire in find
    if (!__atomic_compare_exchange_n(&chunks[chunk], &none, made, false,
                                     __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        free(made);
    return find(fd);
}

int wi_fd_kind(struct wi_fd *record, int fd)
{
    // relaxed, as the store: each thread would find the same
    int kind = __atomic_load_n(&record->kind, __ATOMIC_RELAXED);

    if (kind != WI_FD_UNKNOWN)
        return kind;
    kind = wi_try_kind(fd);
    // Not for files on disk: people close those with close(2), and nothing
    // that waits may be taken for one.
    if (kind > 0 && kind != WI_FD_DISK)
        __atomic_store_n(&record->kind, (uint8_t)kind, __ATOMIC_RELAXED);
    return kind;
}

// Under the lock. Relaxed is enough everywhere: who reads without the lock
// takes it before acting on what it saw, or is ordered by a wake.
static void set_flags(struct wi_fd *record, uint32_t on, uint32_t off)
{
    uint32_t flags = __atomic_load_n(&record->flags, __ATOMIC_RELAXED);
    __atomic_store_n(&record->flags, (flags | on) & ~off, __ATOMIC_RELAXED);
}

void wi_fd_adopt(int fd, uint8_t kind, struct wi_loop *self)
{
    struct wi_fd *record = wi_fd_get(fd);

    if (!record)
        return;
    // The number is new, so its last file was closed; if that was not done
    // with weft_close, there are loops that do not know.
    if (__atomic_load_n(&record->loops, __ATOMIC_RELAXED) ||
        __atomic_load_n(&record->flags, __ATOMIC_RELAXED))
        wi_fd_retire(fd, self);
    wi_mutex_lock(&record->lock);
    set_flags(record, WI_FD_ADOPTED, 0);
    __atomic_store_n(&record->kind, kind, __ATOMIC_RELAXED);
    wi_mutex_unlock(&record->lock);
}

void wi_fd_adopt_client(struct wi_fd *record)
{
    wi_mutex_lock(&record->lock);
    set_flags(record, WI_FD_ADOPTED, 0);
    wi_mutex_unlock(&record->lock);
}

enum wi_fd_claim wi_fd_claim(struct wi_fd *record, const struct wi_loop *loop,
                             bool listener)
{
    enum wi_fd_claim claim = WI_FD_MINE;

    wi_mutex_lock(&record->lock);
    if (record->left || (record->reader && record->reader != loop->number)) {
        claim = WI_FD_ELSEWHERE;
    } else if ((record->flags & WI_FD_SHARED) ||
               !(listener || (record->flags & WI_FD_ADOPTED))) {
        set_flags(record, WI_FD_SHARED, 0);
        claim = WI_FD_EVERYONE;
    } else {
        record->reader = loop->number;
        record->reader_bit = loop->bit;
        set_flags(record, WI_FD_CLAIMED, 0);
    }
    wi_mutex_unlock(&record->lock);
    return claim;
}

enum wi_fd_claim wi_fd_share(struct wi_fd *record, const struct wi_loop *loop)
{
    const uint32_t settled = WI_FD_SHARED | WI_FD_LEFT | WI_FD_CLAIMED;
    enum wi_fd_claim claim = WI_FD_EVERYONE;

    // relaxed: once it is so, it stays so until fd is closed
    if ((__atomic_load_n(&record->flags, __ATOMIC_RELAXED) & settled) ==
        WI_FD_SHARED)
        return claim;
    wi_mutex_lock(&record->lock);
    if (record->left ||
        (record->reader && !(loop && record->reader == loop->number)))
        claim = WI_FD_ELSEWHERE;
    set_flags(record, WI_FD_SHARED, 0);
    wi_mutex_unlock(&record->lock);
    return claim;
}

void wi_fd_give(struct wi_fd *record, struct wi_left *left, bool shared)
{
    wi_mutex_lock(&record->lock);
    record->reader = 0;
    record->reader_bit = 0;
    record->left = left;
    set_flags(record, (left ? WI_FD_LEFT : 0) | (shared ? WI_FD_SHARED : 0),
              WI_FD_CLAIMED);
    wi_mutex_unlock(&record->lock);
}

static ssize_t take_bytes(struct wi_left *left, struct wi_io *io)
{
    size_t n = left->size - left->taken;
    ssize_t end = left->end;

    if (n == 0) {
        left->end = 1;
        return end;
    }
    if (n > io->size)
        n = io->size;
    memcpy(io->buf, left->data.bytes + left->taken, n);
    left->taken += (uint32_t)n;
    return (ssize_t)n;
}

static ssize_t take_left(struct wi_left *left, struct wi_io *io)
{
    if (io->code == WI_IO_POLL)
        return WEFT_READABLE;
    if (io->code == WI_IO_READ && !left->listener)
        return take_bytes(left, io);
    if (io->code != WI_IO_ACCEPT || !left->listener)
        return left->listener ? -ENOTCONN : -EINVAL; // as the kernel would say
    if (left->taken == left->size) {
        ssize_t end = left->end;
        left->end = 1;
        return end;
    }
    return left->data.conns[left->taken++];
}

// Serves io from what was left; -EAGAIN if nothing was.
static ssize_t serve_left(struct wi_fd *record, struct wi_io *io)
{
    struct wi_left *empty = NULL;
    ssize_t n = -EAGAIN;

    wi_mutex_lock(&record->lock);
    if (record->left) {
        n = take_left(record->left, io);
        if (record->left->taken == record->left->size &&
            record->left->end == 1) {
            empty = record->left;
            record->left = NULL;
            set_flags(record, 0, WI_FD_LEFT);
        }
    }
    wi_mutex_unlock(&record->lock);
    free(empty);
    return n;
}

ssize_t wi_fd_take(struct wi_fd *record, struct wi_io *io, struct wi_loop *self)
{
    ssize_t n = serve_left(record, io);
    uint64_t bit;

    if (n != -EAGAIN)
        return n;
    wi_mutex_lock(&record->lock);
    bit = record->reader_bit;
    wi_mutex_unlock(&record->lock);
    if (bit)
        wi_loop_tell(bit, self, WI_IO_GIVE, io->fd);
    return serve_left(record, io);
}

void wi_fd_enter(struct wi_fd *record, struct wi_fd_waiter *waiter)
{
    wi_mutex_lock(&record->lock);
    waiter->prev = NULL;
    waiter->next = record->waiters;
    if (waiter->next)
        waiter->next->prev = waiter;
    record->waiters = waiter;
    wi_mutex_unlock(&record->lock);
}

void wi_fd_leave(struct wi_fd *record, struct wi_fd_waiter *waiter)
{
    struct wi_task *closer = NULL;

    wi_mutex_lock(&record->lock);
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        record->waiters = waiter->next;
    if (!record->waiters)
        closer = record->closer;
    wi_mutex_unlock(&record->lock);
    if (closer)
        wi_unpark(closer);
}

// Tells the waiting threads that fd closes, and waits until they have left.
static void evict(struct wi_fd *record, int fd)
{
    const struct wi_wait wait = {
        .object = (void *)(intptr_t)fd, // NOLINT: a number, for show
        .deadline = WI_FOREVER,
        .kind = WI_WAIT_FD,
    };
    bool left = false;

    for (;;) {
        wi_mutex_lock(&record->lock);
        left = !record->waiters;
        if (!left) {
            record->closer = wi_self();
            for (struct wi_fd_waiter *w = record->waiters; w; w = w->next)
                wi_unpark(w->task);
        }
        wi_mutex_unlock(&record->lock);
        if (left)
            return;
        wi_park(&wait);
    }
}

static void drop_left(struct wi_left *left)
{
    for (uint32_t i = left->taken; left->listener && i < left->size; i++)
        close(left->data.conns[i]);
    free(left);
}

static void clear(struct wi_fd *record)
{
    struct wi_left *left;

    wi_mutex_lock(&record->lock);
    left = record->left;
    record->left = NULL;
    record->closer = NULL;
    record->reader = 0;
    record->reader_bit = 0;
    set_flags(record, 0, ~0u);
    __atomic_fetch_add(&record->generation, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&record->kind, WI_FD_UNKNOWN, __ATOMIC_RELAXED);
    __atomic_store_n(&record->loops, 0, __ATOMIC_RELAXED);
    wi_mutex_unlock(&record->lock);
    if (left)
        drop_left(left);
}

bool wi_fd_is_known(int fd)
{
    struct wi_fd *record = find(fd);

    // relaxed, both: what the caller knows of, happened before this call
    return record && (__atomic_load_n(&record->flags, __ATOMIC_RELAXED) ||
                      __atomic_load_n(&record->kind, __ATOMIC_RELAXED) ||
                      __atomic_load_n(&record->loops, __ATOMIC_RELAXED));
}

void wi_fd_count_close(int fd)
{
    struct wi_fd *record = find(fd);

    if (record)
        // relaxed: see wi_fd_generation
        __atomic_fetch_add(&record->generation, 1, __ATOMIC_RELAXED);
}

// From now on nothing begins on fd. False: somebody has said so before.
static bool begin_closing(struct wi_fd *record)
{
    bool first;

    wi_mutex_lock(&record->lock);
    first = !wi_fd_closing(record);
    set_flags(record, WI_FD_CLOSING, 0);
    wi_mutex_unlock(&record->lock);
    return first;
}

bool wi_fd_retire(int fd, struct wi_loop *self)
{
    struct wi_fd *record = find(fd);
    uint64_t loops;

    if (!record)
        return true;
    if (!begin_closing(record))
        return false;
    // acq_rel RMW: see wi_fd_note
    loops = __atomic_fetch_or(&record->loops, 0, __ATOMIC_ACQ_REL);
    if (self && (loops & self->bit)) {
        self->ops->forget(self, fd);
        if (!(self->bit & WI_LOOP_MANY))
            loops &= ~self->bit;
    }
    if (loops)
        wi_loop_tell(loops, self, WI_IO_FORGET, fd);
    evict(record, fd);
    clear(record);
    return true;
}
