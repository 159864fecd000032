// SPDX-License-Identifier: MIT
//
// Peers that break off, tear or hold back what they say, at any byte of a
// conversation from the handshake to the goodbye: whatever comes of it, both
// sides come to an end, nobody reads what was not written, and a cut is never
// taken for the end.
#include "../net/net_test.h"

#include <math.h>

#include <openssl/ssl.h>

#include <weft/tls.h>

#include "authority.h"

enum {
    STRIDE = 3,   // of the bytes of a handshake at which it happens
    PATIENCE = 10 // seconds; who needs them hangs
};

static weft_tls *server_tls, *client_tls;

static void configure(void)
{
    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    kit_assert_code(weft_tls_server(&server_tls,
                                    .certificate = authority_path("server.pem"),
                                    .key = authority_path("server.key")),
                    0);
    kit_assert_code(
        weft_tls_client(&client_tls, .authorities = authority_path("ca.pem")),
        0);
}

static void give_back(void)
{
    weft_tls_unref(server_tls);
    weft_tls_unref(client_tls);
}

// A stream with a tap: something happens to the byte `at` of what is written.
enum deed { NOTHING, CUT, RESET, FLIP, HOLD };

struct tap {
    weft_stream base;
    weft_stream *below;
    enum deed deed;
    size_t at, written;
    unsigned char mask; // of FLIP
    bool done, closing;
};

static ssize_t tap_read(weft_stream *s, void *buf, size_t size)
{
    struct tap *t = (struct tap *)s;

    return t->below == NULL ? -ECONNRESET
                            : weft_stream_read(t->below, buf, size);
}

static void do_it(struct tap *t)
{
    t->done = true;
    if (t->deed == CUT) {
        weft_stream_shutdown(t->below);
    } else if (t->deed == RESET) {
        weft_stream_abort(t->below);
        t->below = NULL;
    }
}

static ssize_t pass_on(struct tap *t, const void *buf, size_t size)
{
    ssize_t n = weft_stream_write(t->below, buf, size);

    if (n > 0)
        t->written += (size_t)n;
    return n;
}

// A length that has become greater would be waited for: an end follows.
static ssize_t pass_last(struct tap *t, const void *buf, size_t size)
{
    ssize_t n = pass_on(t, buf, size);

    t->deed = CUT;
    weft_stream_shutdown(t->below);
    return n;
}

static ssize_t tap_write(weft_stream *s, const void *buf, size_t size)
{
    struct tap *t = (struct tap *)s;
    bool near = t->written + size > t->at;

    if (t->below == NULL || (t->done && t->deed == CUT))
        return -EPIPE;
    if (t->done && t->deed == FLIP)
        return pass_last(t, buf, size);
    if (t->deed == NOTHING || t->done || !near ||
        (t->deed == HOLD && t->closing)) // a goodbye waits for a second only
        return pass_on(t, buf, size);
    if (t->at > t->written) // first what comes before
        return pass_on(t, buf, t->at - t->written);
    if (t->deed == FLIP) {
        unsigned char byte = *(const unsigned char *)buf ^ t->mask;

        t->done = true;
        return pass_on(t, &byte, 1);
    }
    if (t->deed == HOLD) {
        t->done = true;
        return weft_sleep((double)INFINITY);
    }
    do_it(t);
    return -EPIPE;
}

static int tap_close(weft_stream *s)
{
    struct tap *t = (struct tap *)s;

    return t->below == NULL ? 0 : weft_stream_close(t->below);
}

static const struct weft_stream_ops tap_ops = {
    .size = sizeof(tap_ops),
    .kind = "tap",
    .read = tap_read,
    .write = tap_write,
    .close = tap_close,
};

// The conversation. What each side has come to:
struct side {
    struct tap tap;
    weft_stream *stream;
    int start, talk, end; // codes; what is not come to is 1
};

static int serve(void *arg)
{
    struct side *s = arg;
    char question[8];

    WEFT_TIMEOUT(PATIENCE);
    s->start = weft_tls_start(server_tls, &s->stream);
    if (s->start == 0)
        s->talk = (int)weft_stream_read_exactly(s->stream, question, 8);
    if (s->talk == 8) {
        ck_assert_mem_eq(question, "question", 8);
        s->talk = (int)weft_stream_write(s->stream, "answer", 6);
    }
    s->tap.closing = true;
    weft_stream_close(s->stream);
    return 0;
}

static int ask(void *arg)
{
    struct side *s = arg;
    char answer[6], session[32];
    static int number;

    WEFT_TIMEOUT(PATIENCE);
    // none is resumed: they all have the same to say
    snprintf(session, sizeof(session), "session %d", number++);
    s->start = weft_tls_start(client_tls, &s->stream, .host = "here.test",
                              .session = session);
    if (s->start == 0)
        s->talk = (int)weft_stream_write(s->stream, "question", 8);
    if (s->talk == 8)
        s->talk = (int)weft_stream_read_exactly(s->stream, answer, 6);
    if (s->talk == 6) {
        ck_assert_mem_eq(answer, "answer", 6);
        s->end = (int)weft_stream_read(s->stream, answer, 1);
    }
    s->tap.closing = true;
    weft_stream_close(s->stream);
    return 0;
}

static void begin_side(struct side *s, weft_stream *below)
{
    weft_stream_init(&s->tap.base, &tap_ops);
    s->tap.below = below;
    s->stream = &s->tap.base;
    s->start = s->talk = s->end = 1;
}

// Side 0 is the client. The deed is in the tap of side `who`.
static void converse(struct side sides[2], int who, enum deed deed, size_t at)
{
    weft_stream *pair[2];
    weft_future *tasks[2];

    kit_assert_code(weft_stream_pair(pair), 0);
    memset(sides, 0, 2 * sizeof(*sides));
    begin_side(&sides[0], pair[0]);
    begin_side(&sides[1], pair[1]);
    sides[who].tap.deed = deed;
    sides[who].tap.at = at;
    sides[who].tap.mask = (unsigned char)(1 + weft_test_random() % 255);
    tasks[0] = weft_task_start(ask, &sides[0]);
    tasks[1] = weft_task_start(serve, &sides[1]);
    if (deed == HOLD) { // until it is about to wait for ever
        while (!sides[who].tap.done && !weft_done(tasks[who]))
            weft_yield();
        weft_cancel(tasks[who]);
    }
    for (int i = 0; i < 2; i++)
        weft_join(tasks[i]);
}

static bool is_hung(const struct side *s)
{
    return s->start == -ETIMEDOUT || s->talk == -ETIMEDOUT ||
           s->end == -ETIMEDOUT;
}

static void everywhere(enum deed deed)
{
    struct side sides[2];

    configure();
    for (int who = 0; who < 2; who++) {
        size_t at = weft_test_random() % STRIDE;

        do {
            converse(sides, who, deed, at);
            for (int i = 0; i < 2; i++)
                ck_assert_msg(!is_hung(&sides[i]),
                              "byte %zu of side %d: "
                              "side %d hangs: %d %d %d",
                              at, who, i, sides[i].start, sides[i].talk,
                              sides[i].end);
            // no cut is the end
            if (who == 1 && sides[1].tap.done && (deed == CUT || deed == RESET))
                ck_assert_int_ne(sides[0].end, 0);
            at += sides[0].start == 0 && sides[1].start == 0 ? 1 : STRIDE;
        } while (sides[who].tap.done);
        // nothing has happened to the last one
        ck_assert_int_eq(sides[0].start, 0);
        ck_assert_int_eq(sides[0].talk, 6);
        ck_assert_int_eq(sides[0].end, 0);
        ck_assert_uint_gt(at, 300);
    }
    give_back();
}

KIT_TASK(cut_at_any_byte, .timeout = 60)
{
    everywhere(CUT);
}

KIT_TASK(reset_at_any_byte, .timeout = 60)
{
    everywhere(RESET);
}

KIT_TASK(another_byte_anywhere, .timeout = 60)
{
    everywhere(FLIP);
}

KIT_TASK(canceled_at_any_byte, .timeout = 60)
{
    everywhere(HOLD);
}

// A peer of bare OpenSSL ------------------------------------------------------

struct bare {
    SSL_CTX *context;
    SSL *ssl;
    weft_stream *stream;
    size_t sent; // by flood
};

// What OpenSSL has made goes out; waits while there is no room.
static void push(struct bare *b)
{
    char part[4096];
    int n;

    while ((n = BIO_read(SSL_get_wbio(b->ssl), part, sizeof(part))) > 0)
        kit_assert_code(weft_stream_write(b->stream, part, (size_t)n), n);
}

static void pull(struct bare *b)
{
    char part[4096];
    ssize_t n = weft_stream_read(b->stream, part, sizeof(part));

    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(BIO_write(SSL_get_rbio(b->ssl), part, (int)n), n);
}

static void bare_connect(struct bare *b, weft_stream *stream)
{
    *b = (struct bare){.stream = stream};
    b->context = SSL_CTX_new(TLS_client_method());
    b->ssl = SSL_new(b->context);
    SSL_set_bio(b->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    while (SSL_connect(b->ssl) != 1) {
        push(b);
        pull(b);
    }
    push(b);
}

static void bare_close(struct bare *b)
{
    SSL_free(b->ssl);
    SSL_CTX_free(b->context);
    kit_assert_code(weft_stream_close(b->stream), 0);
}

enum { UPDATES = 20000, MUCH = 1000000 };

// Asks for new keys again and again, with a byte in between, since so many in a
// row are refused by OpenSSL.
static int flood(void *arg)
{
    struct bare *b = arg;

    for (; b->sent < UPDATES; b->sent++) {
        ck_assert_int_eq(SSL_key_update(b->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        ck_assert_int_eq(SSL_write(b->ssl, "u", 1), 1);
        push(b);
    }
    return 0;
}

struct held {
    weft_stream *stream;
    size_t got;
};

static int start_held(void *arg)
{
    struct held *h = arg;

    return weft_tls_start(server_tls, &h->stream);
}

static int read_updates(void *arg)
{
    struct held *h = arg;
    char byte;

    for (; h->got < UPDATES; h->got++)
        kit_assert_code(weft_stream_read(h->stream, &byte, 1), 1);
    return 0;
}

static int write_much(void *arg)
{
    struct held *h = arg;
    char *much = malloc(MUCH);

    memset(much, 'm', MUCH);
    kit_assert_code(weft_stream_write(h->stream, much, MUCH), MUCH);
    free(much);
    return 0;
}

// Everything runs on one worker, and nothing but each other is waited for.
static void until_all_wait(const struct bare *b, const struct held *h)
{
    for (int quiet = 0; quiet < 100; quiet++) {
        size_t before = b->sent + h->got;

        weft_yield();
        if (b->sent + h->got != before)
            quiet = 0;
    }
}

// The answers to key updates stand behind a writer whom the peer does not read:
// the reader waits for room as well, and memory does not grow without limit.
KIT_TASK(key_updates_of_a_peer_that_does_not_read, .timeout = 60)
{
    weft_stream *pair[2];
    struct bare b;
    struct held h = {0};
    char part[4096];
    size_t got = 0;

    configure();
    kit_assert_code(weft_stream_pair(pair), 0);
    h.stream = pair[1];
    weft_future *started = weft_task_start(start_held, &h);
    bare_connect(&b, pair[0]);
    kit_assert_code(weft_join(started), 0);
    weft_future *writer = weft_task_start(write_much, &h);
    until_all_wait(&b, &h);
    weft_future *reader = weft_task_start(read_updates, &h);
    weft_future *flooder = weft_task_start(flood, &b);
    until_all_wait(&b, &h);
    ck_assert_uint_lt(h.got, UPDATES / 2);
    while (got < MUCH) {
        int n = SSL_read(b.ssl, part, sizeof(part));

        if (n <= 0) {
            pull(&b);
            continue;
        }
        got += (size_t)n;
    }
    kit_assert_code(weft_join(writer), 0);
    while (!weft_done(reader))
        pull(&b);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_join(flooder), 0);
    ck_assert_uint_eq(h.got, UPDATES);
    kit_assert_code(weft_stream_abort(h.stream), 0);
    bare_close(&b);
    give_back();
}

WEFT_TEST_MAIN("hostile TLS peers")
