// SPDX-License-Identifier: MIT
//
// The kind within one machine: packets of a Unix socket.
//
// A packet is received under the connection's lock without waiting, straight
// into the caller's buffer; what does not fit goes on into the connection's
// own. If the message turns out to be longer than the caller's buffer, it stays
// with the connection, and the next receive finds it there first.
#include "process/connection.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>

#include "os/event.h"
#include "os/futex.h"
#include "os/local.h"
#include "os/memfd.h"
#include "os/report.h"
#include "os/segment.h"
#include "sched/park.h"
#include "shared/segment.h"

struct local {
    weft_connection base;
    int fd;
    struct wi_mutex lock; // for what follows, and for each receive
    bool held;            // a message stands here
    struct wi_message_head head;
    struct wi_local_fds fds;
    uint8_t bytes[WI_MESSAGE_INLINE]; // of form HERE
};

// Making ----------------------------------------------------------------------

static const struct weft_connection_ops local_ops;

static struct local *of(weft_connection *c)
{
    return (struct local *)c;
}

static int make(int fd, weft_connection **c)
{
    struct local *made = malloc(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->base.ops = &local_ops;
    made->fd = fd;
    made->lock = (struct wi_mutex){0};
    made->held = false;
    *c = &made->base;
    return 0;
}

int weft_connection_pair(weft_connection *pair[2])
{
    wi_need(pair);
    int fds[2];
    weft_connection *first = NULL, *second;
    int rc = wi_os_local_pair(fds);
    if (rc < 0)
        return rc;
    rc = make(fds[0], &first);
    if (rc == 0)
        rc = make(fds[1], &second);
    if (rc < 0) {
        free(first);
        wi_os_close(fds[0]);
        wi_os_close(fds[1]);
        return rc;
    }
    pair[0] = first;
    pair[1] = second;
    return 0;
}

int weft_connection_adopt(int fd, weft_connection **c)
{
    wi_require(c != NULL, NULL, "a place for the connection is needed");
    int copy = wi_os_dup(fd);
    if (copy < 0)
        return copy;
    wi_os_close(copy);
    return wi_os_local_is_one(fd) ? make(fd, c) : -EPROTOTYPE;
}

int wi_connection_new(int fd, weft_connection **c)
{
    int rc = make(fd, c);
    if (rc < 0)
        wi_os_close(fd);
    return rc;
}

static void close_fds(struct wi_local_fds *fds)
{
    while (fds->n > 0)
        wi_os_close(fds->fd[--fds->n]);
}

static void local_close(weft_connection *base)
{
    struct local *c = of(base);
    if (c->held)
        close_fds(&c->fds);
    weft_close(c->fd);
    free(c);
}

static int local_fd(weft_connection *c)
{
    return of(c)->fd;
}

static int local_peer(weft_connection *c, struct weft_peer *peer)
{
    return wi_os_local_peer(of(c)->fd, &peer->pid, &peer->uid, &peer->gid);
}

// Sending ---------------------------------------------------------------------

static int send_packet(struct local *c, struct iovec *parts, int n,
                       const struct wi_local_fds *fds, bool nowait)
{
    int rc = nowait ? 0 : wi_check_scopes();
    while (rc == 0) {
        rc = wi_os_local_send(c->fd, parts, n, fds);
        if (rc != -EAGAIN || nowait)
            break;
        rc = weft_fd_wait(c->fd, WEFT_WRITABLE);
        rc = rc < 0 ? rc : 0;
    }
    return rc == -ECONNRESET || rc == -ENOTCONN ? -EPIPE : rc;
}

// What stands in a file of its own.
static int send_file(struct local *c, struct wi_message_head *head,
                     const void *data, struct wi_local_fds *fds, bool nowait)
{
    int file = wi_os_sealed_new("weft-message", data, head->size);
    if (file < 0)
        return file == -ENOSPC ? -ENOMEM : file;
    memmove(&fds->fd[1], &fds->fd[0], fds->n * sizeof fds->fd[0]);
    fds->fd[0] = file;
    fds->n++;
    head->form = WI_MESSAGE_FILE;
    struct iovec part = {head, sizeof *head};
    int rc = send_packet(c, &part, 1, fds, nowait);
    wi_os_close(file);
    return rc;
}

static int local_send(weft_connection *base, const void *data, size_t size,
                      const struct weft_send_options *o)
{
    struct local *c = of(base);
    unsigned n = o->fd_count + (o->arena != NULL);
    struct wi_local_fds fds = {.n = n};
    if (o->fd_count > 0)
        memcpy(fds.fd, o->fds, o->fd_count * sizeof fds.fd[0]);
    if (o->arena != NULL)
        fds.fd[n - 1] = o->arena->fd;
    struct wi_message_head head = {
        .magic = WI_MESSAGE_MAGIC, .fds = (uint8_t)n, .size = size};
    if (size > WI_MESSAGE_INLINE)
        return send_file(c, &head, data, &fds, o->nowait);
    struct iovec parts[] = {{&head, sizeof head}, {(void *)data, size}};
    return send_packet(c, parts, size > 0 ? 2 : 1, &fds, o->nowait);
}

// Receiving -------------------------------------------------------------------

int wi_message_check(const struct wi_message_head *head, ssize_t n,
                     unsigned fds)
{
    if (n < WI_MESSAGE_HEAD || head->magic != WI_MESSAGE_MAGIC ||
        head->form >= WI_MESSAGE_FORMS || head->slack != 0 ||
        head->fds > WEFT_MESSAGE_FDS)
        return -WEFT_EPROTO;
    bool file = head->form == WI_MESSAGE_FILE;
    if (fds != head->fds + (unsigned)file)
        return -WEFT_EPROTO;
    uint64_t rest = (uint64_t)n - WI_MESSAGE_HEAD;
    bool good =
        file ? rest == 0 && head->size <= SSIZE_MAX : rest == head->size;
    return good ? 0 : -WEFT_EPROTO;
}

// Receives a packet into the caller's buffer and on into the connection's.
// With the lock held. 0, or a code.
static int receive_packet(struct local *c, char *data, size_t size)
{
    size_t direct = size < WI_MESSAGE_INLINE ? size : WI_MESSAGE_INLINE;
    struct iovec parts[] = {{&c->head, sizeof c->head},
                            {data, direct},
                            {c->bytes + direct, WI_MESSAGE_INLINE - direct}};
    ssize_t n = wi_os_local_receive(c->fd, parts, 3, &c->fds);
    // The peer has gone without receiving all; that is told once, and before
    // what it has sent.
    if (n == -ECONNRESET)
        n = wi_os_local_receive(c->fd, parts, 3, &c->fds);
    if ((n == 0 && c->fds.n == 0) || n == -ECONNRESET)
        return -WEFT_ECLOSED;
    if (n < 0)
        return n == -EMSGSIZE ? -WEFT_EPROTO : (int)n;
    int rc = wi_message_check(&c->head, n, c->fds.n);
    if (rc < 0) {
        close_fds(&c->fds);
        return rc;
    }
    c->held = true;
    if (c->head.form == WI_MESSAGE_HERE && c->head.size > size && size > 0)
        memcpy(c->bytes, data, direct);
    return 0;
}

// The message of the file into the caller's buffer.
static int read_file(struct local *c, void *data)
{
    int file = c->fds.fd[0];
    int rc = -WEFT_EPROTO;
    if (wi_os_sealed_has(file, c->head.size))
        rc = wi_os_memfd_read(file, 0, data, c->head.size);
    wi_os_close(file);
    c->fds.n--;
    memmove(&c->fds.fd[0], &c->fds.fd[1], c->fds.n * sizeof c->fds.fd[0]);
    return rc < 0 ? -WEFT_EPROTO : 0;
}

static void give_fds(struct wi_local_fds *fds,
                     const struct weft_receive_options *o)
{
    while (fds->n > o->fd_room)
        wi_os_close(fds->fd[--fds->n]);
    if (fds->n > 0)
        memcpy(o->fds, fds->fd, fds->n * sizeof fds->fd[0]);
    if (o->fd_count != NULL)
        *o->fd_count = fds->n;
}

// Hands out the message that is held; `here`: its bytes are in data already.
static ssize_t hand_out(struct local *c, void *data, size_t size, bool here,
                        const struct weft_receive_options *o)
{
    if (c->head.size > size)
        return -WEFT_ETOOBIG;
    c->held = false;
    if (c->head.form == WI_MESSAGE_FILE) {
        int rc = read_file(c, data);
        if (rc < 0) {
            close_fds(&c->fds);
            return rc;
        }
    } else if (!here && c->head.size > 0) {
        memcpy(data, c->bytes, c->head.size);
    }
    give_fds(&c->fds, o);
    return (ssize_t)c->head.size;
}

static ssize_t try_receive(struct local *c, void *data, size_t size,
                           const struct weft_receive_options *o)
{
    wi_mutex_lock(&c->lock);
    bool fresh = !c->held;
    ssize_t rc = fresh ? receive_packet(c, data, size) : 0;
    if (rc == 0)
        rc = hand_out(c, data, size, fresh, o);
    wi_mutex_unlock(&c->lock);
    return rc;
}

static ssize_t local_receive(weft_connection *base, void *data, size_t size,
                             const struct weft_receive_options *o)
{
    struct local *c = of(base);
    ssize_t rc = o->nowait ? 0 : wi_check_scopes();
    while (rc >= 0) {
        rc = try_receive(c, data, size, o);
        if (rc != -EAGAIN || o->nowait)
            return rc;
        rc = weft_fd_wait(c->fd, WEFT_READABLE);
    }
    return rc;
}

static ssize_t try_next(struct local *c)
{
    wi_mutex_lock(&c->lock);
    ssize_t rc = c->held ? 0 : receive_packet(c, NULL, 0);
    if (rc == 0)
        rc = (ssize_t)c->head.size;
    wi_mutex_unlock(&c->lock);
    return rc;
}

static ssize_t local_next(weft_connection *base)
{
    struct local *c = of(base);
    ssize_t rc = wi_check_scopes();
    while (rc >= 0) {
        rc = try_next(c);
        if (rc != -EAGAIN)
            return rc;
        rc = weft_fd_wait(c->fd, WEFT_READABLE);
    }
    return rc;
}

static bool is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return wi_os_poll(&one, 1, 0) > 0;
}

static int local_poll(weft_connection *base, double timeout)
{
    struct local *c = of(base);
    int rc = wi_check_scopes();
    wi_mutex_lock(&c->lock);
    bool held = c->held;
    wi_mutex_unlock(&c->lock);
    if (rc < 0 || held || is_readable(c->fd))
        return rc < 0 ? rc : 1;
    {
        WEFT_TIMEOUT(timeout);
        rc = weft_fd_wait(c->fd, WEFT_READABLE);
    }
    if (rc != -ETIMEDOUT)
        return rc < 0 ? rc : 1;
    rc = wi_check_scopes(); // its own time, or that of a scope around it
    return rc < 0 ? rc : is_readable(c->fd);
}

static const struct weft_connection_ops local_ops = {
    .size = sizeof local_ops,
    .kind = "local",
    .send = local_send,
    .receive = local_receive,
    .next = local_next,
    .poll = local_poll,
    .fd = local_fd,
    .peer = local_peer,
    .close = local_close,
};
