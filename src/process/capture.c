// SPDX-License-Identifier: MIT
//
// A pipe, which the supervisor empties into memory that grows up to its limit
// and is a ring from then on: the last bytes count, for the last words of a
// process that dies are there. A pipe is read where a file could not be
// bounded: a child that writes for ever costs its own time and ours, not
// memory. The child is stopped by a full pipe only while the supervisor is.
#include "process/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/event.h"
#include "os/pipe.h"

enum {
    PIECE = 16 << 10, // taken in at a time
    LAST = 1 << 20,   // at the end at most, for others may write on
};

int wi_capture_open(struct wi_capture *c, size_t limit, int *end)
{
    *c = (struct wi_capture){.fd = -1, .limit = limit};
    return wi_os_pipe(false, &c->fd, end);
}

// Makes room, doubling. Without memory the ring stays as small as it is.
static void grow(struct wi_capture *c, size_t more)
{
    size_t size = c->size > 0 ? c->size : 512;
    size_t want = (size_t)c->total + more;
    if (c->total > c->size || c->size == c->limit || want <= c->size)
        return;
    while (size < want && size < c->limit)
        size *= 2;
    if (size > c->limit)
        size = c->limit;
    char *ring = realloc(c->ring, size);
    if (ring == NULL)
        return;
    c->ring = ring;
    c->size = size;
}

static void keep(struct wi_capture *c, const char *bytes, size_t n)
{
    wi_mutex_lock(&c->lock);
    grow(c, n);
    for (size_t i = 0; i < n && c->size > 0;) {
        size_t at = (size_t)(c->total % c->size), part = c->size - at;
        if (part > n - i)
            part = n - i;
        memcpy(c->ring + at, bytes + i, part);
        i += part;
        c->total += part;
    }
    wi_mutex_unlock(&c->lock);
}

// Takes in a piece: how much, 0: the end, -EAGAIN: no more now.
static ssize_t take(struct wi_capture *c)
{
    char piece[PIECE];
    ssize_t n = wi_os_pipe_read(c->fd, piece, sizeof piece);
    if (n > 0)
        keep(c, piece, (size_t)n);
    if (n > 0 && c->echo != NULL)
        wi_echo_put(c->echo, piece, (size_t)n);
    return n;
}

static void heard(struct wi_watch *watch)
{
    struct wi_capture *c = (struct wi_capture *)watch;
    ssize_t n = take(c);
    if (n <= 0 && n != -EAGAIN)
        wi_supervisor_forget(c->fd); // nobody can write any more
}

int wi_capture_echo(struct wi_capture *c, int to, const char *name, pid_t pid)
{
    if (c->fd >= 0)
        c->echo = wi_echo_new(to, name, pid);
    return c->fd >= 0 && c->echo == NULL ? -ENOMEM : 0;
}

int wi_capture_watch(struct wi_capture *c)
{
    c->watch.heard = heard;
    return wi_supervisor_watch(c->fd, &c->watch);
}

void wi_capture_take(struct wi_capture *c)
{
    ssize_t n = 0;
    for (size_t all = 0; c->fd >= 0 && all < LAST && (n = take(c)) > 0;)
        all += (size_t)n;
}

void wi_capture_close(struct wi_capture *c)
{
    if (c->fd < 0)
        return;
    wi_capture_take(c);
    wi_supervisor_forget(c->fd);
    wi_os_close(c->fd);
    c->fd = -1;
    wi_echo_free(c->echo);
    c->echo = NULL;
}

void wi_capture_free(struct wi_capture *c)
{
    wi_capture_close(c);
    free(c->ring);
    c->ring = NULL;
    c->size = 0;
    c->total = 0;
}

// Under the lock.
static size_t kept(const struct wi_capture *c)
{
    return c->total < c->size ? (size_t)c->total : c->size;
}

size_t wi_capture_kept(struct wi_capture *c)
{
    wi_mutex_lock(&c->lock);
    size_t n = kept(c);
    wi_mutex_unlock(&c->lock);
    return n;
}

// The last n bytes, n <= kept. Under the lock.
static void copy_last(const struct wi_capture *c, char *to, size_t n)
{
    for (uint64_t i = c->total - n; i < c->total; i++)
        *to++ = c->ring[i % c->size];
}

size_t wi_capture_copy(struct wi_capture *c, char *to, size_t size,
                       uint64_t *lost)
{
    wi_mutex_lock(&c->lock);
    size_t n = kept(c);
    if (n > size)
        n = size;
    copy_last(c, to, n);
    *lost = c->total - n;
    wi_mutex_unlock(&c->lock);
    return n;
}

void wi_capture_line(struct wi_capture *c, char line[WI_CAPTURE_LINE])
{
    enum { LOOK = 512 };
    char last[LOOK];
    uint64_t lost;
    size_t n = wi_capture_copy(c, last, sizeof last, &lost), begin, k = 0;
    while (n > 0 && (unsigned char)last[n - 1] <= ' ')
        n--;
    for (begin = n; begin > 0 && last[begin - 1] != '\n';)
        begin--;
    for (; begin < n && k < WI_CAPTURE_LINE - 1; begin++) {
        unsigned char byte = (unsigned char)last[begin];
        line[k++] = byte < ' ' || byte == 127 ? '?' : (char)byte;
    }
    line[k] = '\0';
}
