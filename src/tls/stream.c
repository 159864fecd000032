// SPDX-License-Identifier: MIT
//
// stream.c: a TLS connection as a stream over a stream.
//
// OpenSSL keeps its list of errors per thread, and tasks share their thread. So
// nothing may park inside OpenSSL: it reads and writes through a BIO of our
// own, which takes from one buffer in memory and puts into another, and never
// waits. The waiting is done outside, between its calls:
//
//   incoming   what the stream below has given and OpenSSL has not taken; the
//              one reader fills it
//   outgoing   what OpenSSL has made and the stream below has not taken; a
//              reader makes some too (answers to key updates), so whoever has
//              made some and finds nobody else at it sends, and goes on until
//              nothing is left
//
// A lock is held around each call of OpenSSL, as reader and writer may be on
// different threads; never while something waits. Bytes leave `outgoing` only
// when the stream below has taken them, so a write that is canceled leaves the
// connection whole: the next one goes on where it stopped. A reader does not:
// the peer may have gone on to something else, and want to be heard first.
//
// An end of the stream below without TLS's own end is an error: somebody may
// have cut the connection.
#include "tls/config.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <weft/error.h>
#include <weft/scope.h>
#include <weft/task.h>

#include "base/options.h"
#include "os/last_errno.h"
#include "os/report.h"
#include "tls/peer.h"

enum {
    PART = 4096,            // read at once from a connection that says little
    RECORD = 17 << 10,      // a record of TLS with all around it
    MOST_PENDING = 1 << 16, // of outgoing bytes, before who makes more waits
    MOST_AT_ONCE = 16,      // reads of who only asks whether it can read
    HANDSHAKE = 60,         // seconds
};
#define GOODBYE 1.0 // seconds that a close may wait to tell the peer

struct bytes {
    char *data;
    size_t start, end, room;
};

struct tls_stream {
    weft_stream base;
    weft_stream *below;
    bool owns_below, ended; // ended: the stream below has
    weft_tls *tls;
    SSL *ssl;
    pthread_mutex_t lock; // for all below, and around OpenSSL
    struct bytes incoming, outgoing;
    bool receiving;     // the reader fills `incoming`, not under the lock
    bool bulk;          // the reader's own: much comes at once
    bool sending;       // the reader or the writer empties `outgoing`
    weft_waiter *waits; // the other one, for that
    bool answers;       // the reader has made some of `outgoing`
    bool no_memory;
    int failed;         // what every read returns from now on; 0: nothing
    char protocol[256]; // what ALPN has chosen
    struct wi_tls_peer peer;
};

static struct tls_stream *of(weft_stream *s)
{
    return (struct tls_stream *)s;
}

// Buffers ---------------------------------------------------------------------

static size_t have(const struct bytes *b)
{
    return b->end - b->start;
}

static void took(struct bytes *b, size_t n)
{
    b->start += n;
    if (b->start < b->end)
        return;
    free(b->data); // an idle connection keeps nothing
    *b = (struct bytes){0};
}

static bool need_room(struct bytes *b, size_t n)
{
    size_t room = have(b) + n;
    char *data;

    if (b->room - b->end >= n)
        return true;
    if (room < b->room)
        room = b->room;
    data = malloc(room);
    if (data == NULL)
        return false;
    if (have(b) > 0)
        memcpy(data, b->data + b->start, have(b));
    free(b->data);
    *b = (struct bytes){data, 0, have(b), room};
    return true;
}

// The BIO ---------------------------------------------------------------------

static int bio_read(BIO *bio, char *buf, int size)
{
    struct tls_stream *t = BIO_get_data(bio);
    size_t n = have(&t->incoming);

    BIO_clear_retry_flags(bio);
    if (n == 0 || t->receiving) {
        if (t->ended)
            return 0;
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > (size_t)size)
        n = (size_t)size;
    memcpy(buf, t->incoming.data + t->incoming.start, n);
    took(&t->incoming, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *buf, int size)
{
    struct tls_stream *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (!need_room(&t->outgoing, (size_t)size)) {
        t->no_memory = true;
        return -1;
    }
    memcpy(t->outgoing.data + t->outgoing.end, buf, (size_t)size);
    t->outgoing.end += (size_t)size;
    return size;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    const struct tls_stream *t = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (what == BIO_CTRL_FLUSH)
        return 1;
    if (what == BIO_CTRL_EOF)
        return t->ended && have(&t->incoming) == 0;
    return 0;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void make_bio_method(void)
{
    BIO_METHOD *method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft_stream");

    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    bio_method = method;
}

static bool attach_bio(struct tls_stream *t)
{
    BIO *bio;

    pthread_once(&bio_once, make_bio_method);
    bio = bio_method != NULL ? BIO_new(bio_method) : NULL;
    if (bio == NULL)
        return false;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return true;
}

// The stream below ------------------------------------------------------------

// Sends until nothing is outgoing; under the lock, which it leaves meanwhile.
static int send_all(struct tls_stream *t)
{
    ssize_t n = 0;

    while (n >= 0 && have(&t->outgoing) > 0) {
        // Others only append, perhaps to a new piece of memory: send from one
        // that is ours.
        struct bytes mine = t->outgoing;

        t->outgoing = (struct bytes){0};
        pthread_mutex_unlock(&t->lock);
        n = t->below->ops->write(t->below, mine.data + mine.start, have(&mine));
        pthread_mutex_lock(&t->lock);
        if (n > 0)
            mine.start += (size_t)n;
        if (have(&mine) == 0) {
            free(mine.data);
            continue;
        }
        // What is left comes before what has been made since.
        if (have(&t->outgoing) > 0) {
            struct bytes later = t->outgoing;

            if (!need_room(&mine, have(&later))) {
                t->no_memory = true;
                free(mine.data);
                return -ENOMEM;
            }
            memcpy(mine.data + mine.end, later.data + later.start,
                   have(&later));
            mine.end += have(&later);
            free(later.data);
        }
        t->outgoing = mine;
    }
    if (have(&t->outgoing) == 0)
        t->answers = false;
    return n < 0 ? (int)n : 0;
}

// Waits until nobody else sends; under the lock, which it leaves meanwhile.
static int await_sender(struct tls_stream *t)
{
    int rc = 0;

    while (rc == 0 && t->sending) {
        t->waits = weft_self();
        pthread_mutex_unlock(&t->lock);
        rc = weft_park((double)INFINITY);
        pthread_mutex_lock(&t->lock);
        t->waits = NULL;
    }
    return rc;
}

// Under the lock. A reader leaves it to a writer that is at it already, unless
// its answers pile up: a peer that never reads may go on asking for them.
static int flush(struct tls_stream *t, bool reader)
{
    int rc = 0;

    if (t->sending && reader && have(&t->outgoing) < MOST_PENDING)
        return 0;
    rc = await_sender(t);
    if (rc < 0)
        return rc;
    t->sending = true;
    rc = send_all(t);
    t->sending = false;
    if (t->waits != NULL)
        weft_unpark(t->waits);
    return rc;
}

// One read from below into `incoming`, past the stack. Under the lock, which
// it leaves meanwhile.
static ssize_t receive_much(struct tls_stream *t)
{
    struct bytes *in = &t->incoming;
    ssize_t n;

    if (!need_room(in, RECORD))
        return -ENOMEM;
    t->receiving = true;
    pthread_mutex_unlock(&t->lock);
    n = weft_stream_read(t->below, in->data + in->end, RECORD);
    pthread_mutex_lock(&t->lock);
    t->receiving = false;
    if (n > 0)
        in->end += (size_t)n;
    return n;
}

// The same by way of the stack, so that a connection that waits here for most
// of its time has no buffer.
static ssize_t receive_little(struct tls_stream *t)
{
    char part[PART];
    ssize_t n;

    pthread_mutex_unlock(&t->lock);
    n = weft_stream_read(t->below, part, sizeof(part));
    pthread_mutex_lock(&t->lock);
    if (n <= 0)
        return n;
    if (!need_room(&t->incoming, (size_t)n))
        return -ENOMEM;
    memcpy(t->incoming.data + t->incoming.end, part, (size_t)n);
    t->incoming.end += (size_t)n;
    return n;
}

// Reads once from below; the reader alone.
static int receive(struct tls_stream *t)
{
    ssize_t n;

    pthread_mutex_lock(&t->lock);
    n = t->bulk ? receive_much(t) : receive_little(t);
    t->bulk = n >= PART;
    if (n == 0)
        t->ended = true;
    pthread_mutex_unlock(&t->lock);
    return n < 0 ? (int)n : 0;
}

// Calls -----------------------------------------------------------------------

enum what { HANDSHAKING, READING, PEEKING };

// One call of OpenSSL by the reader, with what it says. Under the lock.
static int call(struct tls_stream *t, enum what what, void *buf, size_t size,
                size_t *done)
{
    size_t before = have(&t->outgoing);
    int ok;

    ERR_clear_error();
    ok = what == READING   ? SSL_read_ex(t->ssl, buf, size, done)
         : what == PEEKING ? SSL_peek_ex(t->ssl, buf, size, done)
                           : SSL_do_handshake(t->ssl);
    t->answers |= have(&t->outgoing) > before;
    return ok == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, ok);
}

// What OpenSSL has failed with. It says so once; later it only refuses.
static int fail(struct tls_stream *t, char *why, size_t why_size)
{
    int code = wi_tls_error(t->ssl, why, why_size);

    if (t->failed == 0)
        t->failed = code;
    return t->failed;
}

// Does it until it is done: 0, 1 for the end, or a negative code.
static int perform(struct tls_stream *t, enum what what, void *buf, size_t size,
                   size_t *done, char *why, size_t why_size)
{
    for (;;) {
        int rc, sent, result;

        pthread_mutex_lock(&t->lock);
        result = call(t, what, buf, size, done);
        rc = result == SSL_ERROR_NONE          ? 0
             : result == SSL_ERROR_WANT_READ   ? -EAGAIN
             : result == SSL_ERROR_ZERO_RETURN ? 1
             : t->no_memory                    ? -ENOMEM
                                               : fail(t, why, why_size);
        // Alerts go out also when it has failed.
        sent = t->answers ? flush(t, what == READING) : 0;
        pthread_mutex_unlock(&t->lock);
        if (rc == -EAGAIN && sent == 0) {
            sent = receive(t);
            if (sent == 0)
                continue;
        }
        // What was read is given out, whatever became of the sending.
        return rc == -EAGAIN || (rc == 0 && what == HANDSHAKING && sent < 0)
                   ? sent
                   : rc;
    }
}

static ssize_t tls_read(weft_stream *s, void *buf, size_t size)
{
    size_t done = 0;
    int saved = wi_os_errno();
    int rc = perform(of(s), READING, buf, size, &done, NULL, 0);

    wi_os_set_errno(saved); // OpenSSL clears it
    return rc < 0 ? rc : (ssize_t)done;
}

int wi_tls_read_first(weft_stream *s, void *buf, size_t size, char *why,
                      size_t why_size)
{
    size_t have = 0;
    int rc = 0;

    while (rc == 0 && have < size) {
        size_t done = 0;

        rc = perform(of(s), READING, (char *)buf + have, size - have, &done,
                     why, why_size);
        have += done;
    }
    return rc > 0 ? -WEFT_EENDED : rc;
}

// How many bytes can be taken from OpenSSL, with what is in `incoming`; 1 for
// an end or a failure.
static size_t at_hand(struct tls_stream *t)
{
    size_t done, n;
    char byte;
    int result;

    pthread_mutex_lock(&t->lock);
    result = call(t, PEEKING, &byte, 1, &done);
    if (result == SSL_ERROR_SSL && !t->no_memory)
        fail(t, NULL, 0);
    ERR_clear_error();
    n = result == SSL_ERROR_NONE        ? (size_t)SSL_pending(t->ssl)
        : result == SSL_ERROR_WANT_READ ? 0
                                        : 1;
    pthread_mutex_unlock(&t->lock);
    return n;
}

static size_t tls_buffered(weft_stream *s)
{
    struct tls_stream *t = of(s);
    int saved = wi_os_errno();
    size_t n = at_hand(t);

    // What has come may be no bytes for the reader, such as a new session.
    while (n == 0 && weft_stream_buffered(t->below) > 0)
        n = receive(t) < 0 ? 1 : at_hand(t);
    wi_os_set_errno(saved);
    return n;
}

static bool has_come(weft_stream *below)
{
    struct pollfd one = {.fd = weft_stream_fd(below), .events = POLLIN};

    return poll(&one, 1, 0) > 0;
}

// A peer may have more to say that is not for the reader than can be heard, so
// some is left for the next time.
bool wi_tls_readable(weft_stream *s)
{
    struct tls_stream *t = of(s);

    for (int i = 0; i < MOST_AT_ONCE; i++) {
        if (tls_buffered(s) > 0)
            return true;
        if (!has_come(t->below))
            return false;
        if (receive(t) < 0)
            return true;
    }
    return false;
}

// What the last write left behind goes first.
static ssize_t tls_write(weft_stream *s, const void *buf, size_t size)
{
    struct tls_stream *t = of(s);
    size_t done = 0;
    int saved = wi_os_errno(), rc = 0, ok;

    pthread_mutex_lock(&t->lock);
    if (t->no_memory) // and what was lost would be missed
        rc = -ENOMEM;
    else if (have(&t->outgoing) >= MOST_PENDING)
        rc = flush(t, false);
    if (rc == 0) {
        ERR_clear_error();
        ok = SSL_write_ex(t->ssl, buf, size, &done);
        if (ok != 1)
            rc = SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN ? -EPIPE
                 : t->no_memory                               ? -ENOMEM
                                : wi_tls_error(t->ssl, NULL, 0);
        ERR_clear_error();
    }
    if (rc == 0)
        rc = flush(t, false);
    pthread_mutex_unlock(&t->lock);
    wi_os_set_errno(saved);
    return rc < 0 ? rc : (ssize_t)done;
}

static int tls_shutdown(weft_stream *s)
{
    struct tls_stream *t = of(s);
    int saved = wi_os_errno(), rc;

    pthread_mutex_lock(&t->lock);
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    rc = flush(t, false);
    pthread_mutex_unlock(&t->lock);
    wi_os_set_errno(saved);
    return rc;
}

static void free_stream(struct tls_stream *t)
{
    SSL_free(t->ssl);
    wi_tls_peer_free(&t->peer);
    free(t->incoming.data);
    free(t->outgoing.data);
    weft_tls_unref(t->tls);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static int end(struct tls_stream *t, int (*end_below)(weft_stream *below))
{
    int rc = t->owns_below ? end_below(t->below) : 0;

    free_stream(t);
    return rc;
}

static int tls_close(weft_stream *s)
{
    struct tls_stream *t = of(s);

    if (!(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)) {
        WEFT_SHIELD(GOODBYE);
        tls_shutdown(s);
    }
    return end(t, weft_stream_close);
}

static int tls_abort(weft_stream *s)
{
    return end(of(s), weft_stream_abort);
}

static int tls_fd(weft_stream *s)
{
    return weft_stream_fd(of(s)->below);
}

static const struct weft_stream_ops tls_ops = {
    .size = sizeof(tls_ops),
    .kind = "tls",
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .abort = tls_abort,
    .fd = tls_fd,
    .buffered = tls_buffered,
};

// Starting --------------------------------------------------------------------

static bool is_number(const char *host)
{
    struct weft_address unused;

    return weft_address_parse(&unused, host, 0) == 0;
}

// The name to ask for and to check.
static bool set_host(struct tls_stream *t, const char *host)
{
    if (is_number(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host) == 1;
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, host) == 1 &&
           SSL_set1_host(t->ssl, host) == 1;
}

static struct tls_stream *new_stream(weft_tls *tls, weft_stream *below)
{
    struct tls_stream *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    weft_stream_init(&t->base, &tls_ops);
    pthread_mutex_init(&t->lock, NULL);
    t->below = below;
    t->tls = tls;
    wi_tls_ref(tls);
    ERR_clear_error();
    t->ssl = SSL_new(tls->context);
    if (t->ssl != NULL && attach_bio(t))
        return t;
    free_stream(t);
    ERR_clear_error();
    return NULL;
}

static int set_up(struct tls_stream *t,
                  const struct weft_tls_start_options *options)
{
    const char *key = options->session ? options->session : options->host;

    if (t->tls->server) {
        SSL_set_accept_state(t->ssl);
        return 0;
    }
    SSL_set_connect_state(t->ssl);
    if (options->host != NULL && !set_host(t, options->host))
        return -EINVAL;
    if (key != NULL)
        wi_tls_sessions_use(t->tls, t->ssl, key);
    return 0;
}

static int handshake(struct tls_stream *t,
                     const struct weft_tls_start_options *options)
{
    int rc = set_up(t, options);
    WEFT_TIMEOUT(options->timeout > 0 ? options->timeout : HANDSHAKE);

    if (rc == 0)
        rc = perform(t, HANDSHAKING, NULL, 0, NULL, options->why,
                     options->why_size);
    if (rc > 0)
        rc = -WEFT_EENDED;
    return rc;
}

static void note_protocol(struct tls_stream *t)
{
    const unsigned char *name = NULL;
    unsigned size = 0;

    SSL_get0_alpn_selected(t->ssl, &name, &size);
    if (size > 0)
        memcpy(t->protocol, name, size); // at most 255 bytes
}

static int start(weft_tls *tls, weft_stream **stream,
                 const struct weft_tls_start_options *options)
{
    struct tls_stream *t;
    int rc;

    if (weft_stream_buffered(*stream) > 0)
        return wi_tls_explain(options->why, options->why_size, -WEFT_EPROTO,
                              "bytes came before TLS was to begin");
    if (!tls->server && !tls->unverified && options->host == NULL)
        return wi_tls_explain(options->why, options->why_size, -EINVAL,
                              "a client needs .host, the name that the "
                              "server's certificate is to have");
    t = new_stream(tls, *stream);
    if (t == NULL)
        return wi_tls_explain(options->why, options->why_size, -ENOMEM, NULL);
    rc = handshake(t, options);
    if (rc == -WEFT_ECERTHOST && options->why != NULL && options->why_size > 0)
        snprintf(options->why, options->why_size,
                 "the certificate is that of another host, not of \"%s\"",
                 options->host);
    if (rc < 0) {
        free_stream(t);
        return wi_tls_explain(options->why, options->why_size, rc, NULL);
    }
    note_protocol(t);
    t->owns_below = !options->borrow;
    *stream = &t->base;
    return 0;
}

int weft_tls_start_with(weft_tls *tls, weft_stream **stream,
                        const struct weft_tls_start_options *options)
{
    wi_need(tls);
    wi_need(stream);
    wi_require(*stream != NULL, NULL, "*stream must not be NULL");
    WI_OPTIONS(options);
    int saved = wi_os_errno(), rc = weft_check();

    wi_tls_no_reason(options->why, options->why_size);
    if (rc == 0)
        rc = start(tls, stream, options);
    else
        wi_tls_explain(options->why, options->why_size, rc, NULL);
    wi_os_set_errno(saved);
    return rc;
}

int weft_tls_connect_with(weft_tls *tls, const char *host, uint16_t port,
                          weft_stream **stream,
                          const struct weft_tls_start_options *options,
                          const struct weft_connect_options *connect)
{
    wi_need(tls);
    wi_need(host);
    wi_need(stream);
    WI_OPTIONS(options);
    struct weft_tls_start_options own = *options;
    char session[300];
    weft_stream *made;
    int rc = weft_tcp_connect_with(host, port, &made, connect);

    wi_tls_no_reason(options->why, options->why_size);
    if (rc < 0)
        return wi_tls_explain(options->why, options->why_size, rc, NULL);
    if (own.host == NULL)
        own.host = host;
    if (own.session == NULL) {
        snprintf(session, sizeof(session), "%s:%u", own.host, port);
        own.session = session;
    }
    own.borrow = false;
    rc = weft_tls_start_with(tls, &made, &own);
    if (rc < 0)
        weft_stream_close(made);
    else
        *stream = made;
    return rc;
}

int weft_tls_info(weft_stream *s, struct weft_tls_info *info)
{
    wi_require(s != NULL, NULL, "stream must not be NULL");
    wi_need(info);
    struct weft_tls_info now = {.size = info->size};
    struct tls_stream *t = of(s);
    int saved = wi_os_errno(), rc = 0;
    const char *host;

    if (s->ops != &tls_ops)
        return -EINVAL;
    pthread_mutex_lock(&t->lock);
    if (info->size > offsetof(struct weft_tls_info, peer))
        rc = wi_tls_peer_look(&t->peer, t->ssl);
    host = t->tls->server
               ? SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)
               : NULL;
    now.version = SSL_get_version(t->ssl);
    now.cipher = SSL_get_cipher_name(t->ssl);
    now.protocol = t->protocol;
    now.host = host != NULL ? host : "";
    now.resumed = SSL_session_reused(t->ssl);
    now.verified = SSL_get0_peer_certificate(t->ssl) != NULL &&
                   SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE &&
                   SSL_get_verify_result(t->ssl) == X509_V_OK;
    now.peer = t->peer.name;
    now.certificate = t->peer.certificate;
    now.certificate_size = t->peer.size;
    pthread_mutex_unlock(&t->lock);
    wi_os_set_errno(saved);
    if (rc < 0)
        return rc;
    memcpy(info, &now, info->size < sizeof(now) ? info->size : sizeof(now));
    return 0;
}

// Serving ---------------------------------------------------------------------

struct service {
    weft_tls *tls;
    weft_handler *handler;
    void *arg;
    const struct weft_serve_options *options;
};

static int serve_one(weft_stream *stream, void *arg)
{
    const struct service *service = arg;
    int rc = weft_tls_start(service->tls, &stream, .borrow = true);

    if (rc < 0)
        return service->options->on_failure != NULL ? rc : 0;
    rc = service->handler(stream, service->arg);
    weft_stream_close(stream);
    return rc;
}

static void failed(int code, const struct weft_address *peer, void *arg)
{
    const struct service *service = arg;

    service->options->on_failure(code, peer, service->arg);
}

int weft_tls_serve_with(weft_listener *listener, weft_tls *tls,
                        weft_handler *handler, void *arg,
                        const struct weft_serve_options *options)
{
    wi_need(listener);
    wi_need(tls);
    wi_need(handler);
    WI_OPTIONS(options);
    struct service service = {tls, handler, arg, options};
    struct weft_serve_options own = *options;

    if (own.on_failure != NULL)
        own.on_failure = failed;
    return weft_serve_with(listener, serve_one, &service, &own);
}
