// SPDX-License-Identifier: MIT
//
// connection.c: messages over a TLS stream, for another machine too.
//
// Both sides have shown a certificate of an authority that the other one was
// given; there is no other way to make one. With TLS 1.3 a client is through
// with its handshake before the server has looked at the client's certificate,
// so the server's first word is a greeting: who gets it has been accepted, who
// does not gets the server's reason instead.
//
// A message is a head of 16 bytes and its own bytes:
//
//     0  0x77a6, of which byte comes first is fixed
//     2  what it is: enum kind
//     3  zero, up to byte 8
//     8  how many bytes follow, the most significant first
//
// A head that is anything else ends the connection for reading: nobody can say
// where the next message begins. The bytes of a message gather in memory that
// grows as they come, so a peer that promises much and sends nothing costs
// nothing; a receive keeps what has come when it is ended early.
//
// A send that is ended before its first byte was written has sent nothing. One
// that is ended later has sent a part, so the connection is no good for
// sending any more: what came next would be taken for the rest of it.
#include "tls/connection.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>
#include <weft/semaphore.h>

#include "base/options.h"
#include "os/last_errno.h"
#include "os/report.h"
#include "tls/config.h"

enum {
    HEAD = 16,
    SHORT = 4096,     // a message that is written as one piece with its head
    PIECE = 64 << 10, // that the memory for a message grows by at least
};

enum kind { GREETING = 1, MESSAGE };

struct connection {
    weft_connection base;
    weft_stream *stream;
    struct weft_semaphore writing, reading; // whose turn it is
    int write_code; // the writer's: what every send returns; 0: none
    int read_code;  // the reader's, and so all below
    unsigned char head[HEAD];
    size_t head_have;
    size_t size; // of the message, once the head is whole
    char *bytes; // what has come of it
    size_t have, room;
};

static struct connection *of(weft_connection *c)
{
    return (struct connection *)c;
}

// Heads -----------------------------------------------------------------------

static void write_head(unsigned char *head, enum kind kind, uint64_t size)
{
    memset(head, 0, HEAD);
    head[0] = 0x77;
    head[1] = 0xa6;
    head[2] = (unsigned char)kind;
    for (int i = 0; i < 8; i++)
        head[8 + i] = (unsigned char)(size >> (56 - 8 * i));
}

// The size that it says, or -WEFT_EPROTO.
static ssize_t read_head(const unsigned char *head, enum kind kind)
{
    unsigned char same[HEAD];
    uint64_t size = 0;

    for (int i = 0; i < 8; i++)
        size = size << 8 | head[8 + i];
    if (size > SSIZE_MAX)
        return -WEFT_EPROTO;
    write_head(same, kind, size);
    return memcmp(same, head, HEAD) == 0 ? (ssize_t)size : -WEFT_EPROTO;
}

// Sending ---------------------------------------------------------------------

static int write_message(weft_stream *stream, const void *data, size_t size)
{
    char whole[HEAD + SHORT];
    unsigned char head[HEAD];
    struct iovec parts[] = {{head, HEAD}, {(void *)data, size}};
    ssize_t rc;

    write_head(head, MESSAGE, size);
    if (size > SHORT) {
        rc = weft_stream_writev(stream, parts, 2);
    } else {
        memcpy(whole, head, HEAD);
        if (size > 0)
            memcpy(whole + HEAD, data, size);
        rc = weft_stream_write(stream, whole, HEAD + size);
    }
    return rc < 0 ? (int)rc : 0;
}

static bool is_ready(weft_stream *stream, short what)
{
    struct pollfd one = {.fd = weft_stream_fd(stream), .events = what};

    return poll(&one, 1, 0) > 0;
}

static int send_in_turn(struct connection *c, const void *data, size_t size,
                        bool nowait)
{
    int rc = nowait && !is_ready(c->stream, POLLOUT) ? -EAGAIN : weft_check();

    if (c->write_code < 0 || rc < 0)
        return c->write_code < 0 ? c->write_code : rc;
    rc = write_message(c->stream, data, size);
    if (rc < 0)
        c->write_code = -EPIPE;
    return rc == -ECONNRESET || rc == -WEFT_ETLS ? -EPIPE : rc;
}

static int tls_send(weft_connection *base, const void *data, size_t size,
                    const struct weft_send_options *options)
{
    struct connection *c = of(base);
    int rc;

    if (options->fd_count > 0 || options->arena != NULL)
        return -WEFT_ENOTLOCAL;
    rc = options->nowait ? weft_semaphore_try(&c->writing)
                         : weft_semaphore_acquire(&c->writing);
    if (rc < 0)
        return rc;
    rc = send_in_turn(c, data, size, options->nowait);
    weft_semaphore_release(&c->writing, 1);
    return rc;
}

// Receiving -------------------------------------------------------------------

// More bytes until there are `need`; `wait`: also if they have not come yet.
static int fill(struct connection *c, void *to, size_t *have, size_t need,
                bool wait)
{
    while (*have < need) {
        ssize_t n;

        if (!wait && weft_stream_buffered(c->stream) == 0 &&
            !wi_tls_readable(c->stream))
            return -EAGAIN;
        n = weft_stream_read(c->stream, (char *)to + *have, need - *have);
        if (n == 0 || n == -ECONNRESET)
            return c->read_code = c->head_have == 0 && n == 0 ? -WEFT_ECLOSED
                                                              : -WEFT_EENDED;
        if (n < 0)
            return (int)n;
        *have += (size_t)n;
    }
    return 0;
}

// Until the head of the next message is there.
static int fill_head(struct connection *c, bool wait)
{
    bool fresh = c->head_have < HEAD;
    int rc = c->read_code;
    ssize_t size;

    if (rc == 0)
        rc = fill(c, c->head, &c->head_have, HEAD, wait);
    if (rc < 0 || !fresh)
        return rc;
    size = read_head(c->head, MESSAGE);
    if (size < 0)
        return c->read_code = (int)size;
    c->size = (size_t)size;
    return 0;
}

static int need_room(struct connection *c, size_t room)
{
    char *bytes;

    if (room <= c->room)
        return 0;
    bytes = realloc(c->bytes, room);
    if (bytes == NULL)
        return -ENOMEM;
    c->bytes = bytes;
    c->room = room;
    return 0;
}

// Until `need` bytes of the message are there. The room grows with them.
static int fill_bytes(struct connection *c, size_t need, bool wait)
{
    int rc = 0;

    while (rc == 0 && c->have < need) {
        size_t more = c->have > PIECE ? c->have : PIECE;
        size_t upto = need - c->have < more ? need : c->have + more;

        rc = need_room(c, upto);
        if (rc == 0)
            rc = fill(c, c->bytes, &c->have, upto, wait);
    }
    return rc;
}

static void forget_message(struct connection *c)
{
    c->head_have = c->have = 0;
    if (c->room <= PIECE)
        return;
    free(c->bytes);
    c->bytes = NULL;
    c->room = 0;
}

static ssize_t receive_in_turn(struct connection *c, void *data, size_t size,
                               bool wait)
{
    size_t n;
    int rc = fill_head(c, wait);

    if (rc == 0 && c->size > size)
        rc = -WEFT_ETOOBIG;
    if (rc == 0)
        rc = fill_bytes(c, c->size, wait);
    if (rc < 0)
        return rc;
    n = c->size;
    if (n > 0)
        memcpy(data, c->bytes, n);
    forget_message(c);
    return (ssize_t)n;
}

static int take_turn(struct connection *c, bool wait)
{
    return wait ? weft_semaphore_acquire(&c->reading)
                : weft_semaphore_try(&c->reading);
}

static ssize_t tls_receive(weft_connection *base, void *data, size_t size,
                           const struct weft_receive_options *options)
{
    struct connection *c = of(base);
    ssize_t rc = take_turn(c, !options->nowait);

    if (rc < 0)
        return rc;
    rc = receive_in_turn(c, data, size, !options->nowait);
    weft_semaphore_release(&c->reading, 1);
    if (rc >= 0 && options->fd_count != NULL)
        *options->fd_count = 0;
    return rc;
}

static ssize_t tls_next(weft_connection *base)
{
    struct connection *c = of(base);
    ssize_t rc = take_turn(c, true);

    if (rc < 0)
        return rc;
    rc = fill_head(c, true);
    if (rc == 0)
        rc = (ssize_t)c->size;
    weft_semaphore_release(&c->reading, 1);
    return rc;
}

// Gathers a whole message, or the beginning of a long one: 1, or a code that is
// not the connection's own.
static int gather(struct connection *c, bool wait)
{
    int rc = take_turn(c, wait);

    if (rc < 0)
        return rc;
    rc = fill_head(c, wait);
    if (rc == 0)
        rc = fill_bytes(c, c->size < PIECE ? c->size : PIECE, wait);
    weft_semaphore_release(&c->reading, 1);
    return rc == -EAGAIN || rc == -ECANCELED || rc == -ETIMEDOUT ? rc : 1;
}

static int tls_poll(weft_connection *c, double timeout)
{
    int rc = weft_check();

    if (rc == 0)
        rc = gather(of(c), false);
    if (rc != -EAGAIN)
        return rc;
    if (timeout > 0) {
        WEFT_TIMEOUT(timeout);
        rc = gather(of(c), true);
    }
    if (rc != -EAGAIN && rc != -ETIMEDOUT)
        return rc;
    return weft_check(); // its own time, or that of a scope around it
}

// Making ----------------------------------------------------------------------

static void tls_close(weft_connection *base)
{
    struct connection *c = of(base);

    weft_stream_close(c->stream);
    free(c->bytes);
    free(c);
}

static const struct weft_connection_ops connection_ops = {
    .size = sizeof(connection_ops),
    .kind = "tls",
    .send = tls_send,
    .receive = tls_receive,
    .next = tls_next,
    .poll = tls_poll,
    .close = tls_close,
};

int wi_tls_connection_new(weft_stream *stream, weft_connection **made)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        weft_stream_close(stream);
        return -ENOMEM;
    }
    c->base.ops = &connection_ops;
    c->stream = stream;
    weft_semaphore_init(&c->writing, 1);
    weft_semaphore_init(&c->reading, 1);
    *made = &c->base;
    return 0;
}

int weft_tls_connection_info(weft_connection *c, struct weft_tls_info *info)
{
    wi_need(c);
    wi_need(info);
    return c->ops == &connection_ops ? weft_tls_info(of(c)->stream, info)
                                     : -EINVAL;
}

int wi_tls_mutual(weft_tls **tls, bool server,
                  const struct weft_tls_connection_options *options)
{
    const struct weft_tls_options own = {
        .size = sizeof(own),
        .certificate = options->certificate,
        .key = options->key,
        .password = options->password,
        .authorities = options->authorities,
        .protocols = WI_TLS_PROTOCOL,
    };

    if (options->certificate == NULL || options->authorities == NULL)
        return wi_tls_explain(options->why, options->why_size, -EINVAL,
                              "both sides need a certificate, and the "
                              "authorities that the other's is to be from");
    return server ? weft_tls_server_with(tls, &own, options->why,
                                         options->why_size)
                  : weft_tls_client_with(tls, &own, options->why,
                                         options->why_size);
}

// Such a socket is always ready for one of the two.
int wi_tls_never_ahead(weft_stream *stream)
{
    int rc =
        weft_fd_wait(weft_stream_fd(stream), WEFT_READABLE | WEFT_WRITABLE);

    return rc < 0 ? rc : 0;
}

int wi_tls_check_mutual(weft_stream *stream)
{
    struct weft_tls_info info = {.size = sizeof(info)};
    int rc = weft_tls_info(stream, &info);

    if (rc == 0 && !info.verified)
        rc = -WEFT_ECERT;
    if (rc == 0 && strcmp(info.protocol, WI_TLS_PROTOCOL) != 0)
        rc = -WEFT_EPROTO;
    return rc;
}

int wi_tls_greet(weft_stream *stream)
{
    unsigned char head[HEAD];
    ssize_t rc;

    write_head(head, GREETING, 0);
    rc = weft_stream_write(stream, head, HEAD);
    return rc < 0 ? (int)rc : 0;
}

static int await_greeting(weft_stream *stream,
                          const struct weft_tls_connection_options *options)
{
    unsigned char head[HEAD];
    int rc =
        wi_tls_read_first(stream, head, HEAD, options->why, options->why_size);

    if (rc == 0 && read_head(head, GREETING) != 0)
        rc = -WEFT_EPROTO;
    return rc;
}

static int connect_to(weft_tls *tls, const char *host, uint16_t port,
                      weft_stream **stream,
                      const struct weft_tls_connection_options *options)
{
    double timeout =
        options->timeout > 0 ? options->timeout : WI_TLS_GREETING_TIME;
    const struct weft_tls_start_options start = {
        .size = sizeof(start),
        .host = options->host != NULL ? options->host : host,
        .why = options->why,
        .why_size = options->why_size,
    };
    int rc;
    WEFT_TIMEOUT(timeout);

    rc = weft_tcp_connect_with(host, port, stream, NULL);
    if (rc < 0)
        return rc;
    rc = wi_tls_never_ahead(*stream);
    if (rc == 0)
        rc = weft_tls_start_with(tls, stream, &start);
    if (rc == 0)
        rc = wi_tls_check_mutual(*stream);
    if (rc == 0)
        rc = await_greeting(*stream, options);
    if (rc < 0)
        weft_stream_close(*stream);
    return rc;
}

int weft_tls_connection_open_with(
    const char *host, uint16_t port, weft_connection **c,
    const struct weft_tls_connection_options *options)
{
    wi_need(host);
    wi_need(c);
    WI_OPTIONS(options);
    weft_stream *stream;
    weft_tls *tls;
    int saved = wi_os_errno(), rc;

    wi_tls_no_reason(options->why, options->why_size);
    rc = wi_tls_mutual(&tls, false, options);
    if (rc == 0) {
        rc = connect_to(tls, host, port, &stream, options);
        weft_tls_unref(tls);
        if (rc == 0)
            rc = wi_tls_connection_new(stream, c);
    }
    wi_os_set_errno(saved);
    return rc < 0 ? wi_tls_explain(options->why, options->why_size, rc, NULL)
                  : 0;
}
