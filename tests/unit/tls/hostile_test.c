// SPDX-License-Identifier: MIT
//
// Peers that break off, tear or hold back what they say, at any byte of a
// conversation from the handshake to the goodbye: whatever comes of it, both
// sides come to an end, nobody reads what was not written, and a cut is never
// taken for the end.
#include "../net/net_test.h"

#include <malloc.h>
#include <math.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
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
static int try_to_push(struct bare *b)
{
    char part[4096];
    int n, written = 0;

    while (written >= 0 &&
           (n = BIO_read(SSL_get_wbio(b->ssl), part, sizeof(part))) > 0)
        written = (int)weft_stream_write(b->stream, part, (size_t)n);
    return written < 0 ? written : 0;
}

static void push(struct bare *b)
{
    kit_assert_code(try_to_push(b), 0);
}

static void pull(struct bare *b)
{
    char part[4096];
    ssize_t n = weft_stream_read(b->stream, part, sizeof(part));

    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(BIO_write(SSL_get_rbio(b->ssl), part, (int)n), n);
}

// A client of at most that version.
static void bare_client(struct bare *b, weft_stream *stream, int version)
{
    *b = (struct bare){.stream = stream};
    b->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(b->context, version);
}

static void bare_connect(struct bare *b)
{
    b->ssl = SSL_new(b->context);
    SSL_set_bio(b->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    while (SSL_connect(b->ssl) != 1) {
        push(b);
        pull(b);
    }
    push(b);
}

// A server of bare OpenSSL, of that version.
static void bare_server(struct bare *b, weft_stream *stream, int version)
{
    *b = (struct bare){.stream = stream};
    b->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(b->context, version);
    ck_assert_int_eq(SSL_CTX_use_certificate_file(b->context,
                                                  authority_path("server.pem"),
                                                  SSL_FILETYPE_PEM),
                     1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(b->context,
                                                 authority_path("server.key"),
                                                 SSL_FILETYPE_PEM),
                     1);
}

static void bare_accept(struct bare *b)
{
    b->ssl = SSL_new(b->context);
    SSL_set_bio(b->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    while (SSL_accept(b->ssl) != 1) {
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
    bare_client(&b, pair[0], TLS1_3_VERSION);
    bare_connect(&b);
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

// A server that asks for a handshake anew -------------------------------------

static int start_client(void *arg)
{
    struct held *h = arg;

    return weft_tls_start(client_tls, &h->stream, .host = "here.test");
}

static int read_bytes(void *arg)
{
    struct held *h = arg;
    char byte;
    ssize_t n;

    while ((n = weft_stream_read(h->stream, &byte, 1)) == 1)
        h->got++;
    return (int)n;
}

// A client of ours, in `h`, has agreed with the bare server.
static void bare_serve(struct bare *b, struct held *h, int version)
{
    weft_stream *pair[2];

    configure();
    kit_assert_code(weft_stream_pair(pair), 0);
    h->stream = pair[1];
    weft_future *started = weft_task_start(start_client, h);
    bare_server(b, pair[0], version);
    bare_accept(b);
    kit_assert_code(weft_join(started), 0);
}

static int ask_anew(void *arg)
{
    struct bare *b = arg;
    int rc = 0;

    for (; rc == 0 && b->sent < UPDATES; b->sent++) {
        ck_assert_int_eq(SSL_renegotiate(b->ssl), 1);
        ck_assert_int_eq(SSL_do_handshake(b->ssl), 1); // says so, no more
        SSL_write(b->ssl, "r", 1);
        rc = try_to_push(b);
    }
    return rc;
}

// Each is refused with an alert. A peer that reads none of them comes to wait,
// as with key updates; nothing is agreed on anew.
KIT_TASK(handshakes_anew_of_a_server_that_does_not_read, .timeout = 60)
{
    struct bare b;
    struct held h = {0};

    bare_serve(&b, &h, TLS1_2_VERSION);
    weft_future *reader = weft_task_start(read_bytes, &h);
    weft_future *asker = weft_task_start(ask_anew, &b);
    until_all_wait(&b, &h);
    ck_assert_uint_gt(h.got, 0);
    ck_assert_uint_lt(h.got, UPDATES / 2);
    weft_cancel(asker);
    kit_assert_code(weft_join(asker), -WEFT_EJOBCANCELED);
    ck_assert_uint_lt(b.sent, UPDATES);
    weft_cancel(reader);
    kit_assert_code(weft_join(reader), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_stream_abort(h.stream), 0);
    bare_close(&b);
    give_back();
}

// The same by a client: it is refused once, and knows.
KIT_TASK(a_handshake_anew_of_a_client, .timeout = 20)
{
    weft_stream *pair[2];
    struct bare b;
    struct held h = {0};
    int result;

    configure();
    kit_assert_code(weft_stream_pair(pair), 0);
    h.stream = pair[1];
    weft_future *started = weft_task_start(start_held, &h);
    bare_client(&b, pair[0], TLS1_2_VERSION);
    bare_connect(&b);
    kit_assert_code(weft_join(started), 0);
    weft_future *reader = weft_task_start(read_bytes, &h);
    ck_assert_int_eq(SSL_renegotiate(b.ssl), 1);
    while ((result = SSL_do_handshake(b.ssl)) != 1 &&
           SSL_get_error(b.ssl, result) == SSL_ERROR_WANT_READ) {
        push(&b);
        pull(&b);
    }
    ck_assert_int_ne(result, 1);
    ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    push(&b);
    weft_stream_shutdown(b.stream);
    ck_assert_int_lt(weft_join(reader), 0);
    kit_assert_code(weft_stream_abort(h.stream), 0);
    bare_close(&b);
    give_back();
}

// A client that does not care that it is refused: what it says is made by hand,
// since OpenSSL's own would listen.

enum { HELLOS = 60000, KEY = 16, SALT = 4, NONCE = 8, TAG = 16 };

struct maker {
    struct bare bare;
    unsigned char key[KEY], iv[SALT + NONCE];
    uint64_t number; // of the next record
};

static void write_number(unsigned char *to, uint64_t number, int size)
{
    for (int i = 0; i < size; i++)
        to[i] = (unsigned char)(number >> (8 * (size - 1 - i)));
}

// The keys of TLS 1.2 with AES-128-GCM, from what the two have agreed on.
static void make_keys(struct maker *m)
{
    unsigned char seed[64], secret[48], block[2 * KEY + 2 * SALT];
    char digest[] = "SHA256", label[] = "key expansion";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    size_t size = SSL_SESSION_get_master_key(SSL_get0_session(m->bare.ssl),
                                             secret, sizeof(secret));

    SSL_get_server_random(m->bare.ssl, seed, 32);
    SSL_get_client_random(m->bare.ssl, seed + 32, 32);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label,
                                          strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed,
                                          sizeof(seed)),
        OSSL_PARAM_construct_end(),
    };
    ck_assert_int_eq(EVP_KDF_derive(context, block, sizeof(block), params), 1);
    memcpy(m->key, block, KEY);
    memcpy(m->iv, block + 2 * KEY, SALT);
    m->number = 1; // after the client's last word of the handshake
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

// A record of that type, sent.
static int say_record(struct maker *m, char type, const void *text, int size)
{
    unsigned char record[200] = {(unsigned char)type, 3, 3};
    unsigned char around[8 + 5];
    unsigned char *body = record + 5 + NONCE;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n;

    write_number(around, m->number, 8);
    memcpy(around + 8, record, 3);
    write_number(around + 11, (uint64_t)size, 2);
    write_number(m->iv + SALT, m->number++, NONCE);
    write_number(record + 3, (uint64_t)(NONCE + size + TAG), 2);
    memcpy(record + 5, m->iv + SALT, NONCE);
    EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, m->key, m->iv);
    EVP_EncryptUpdate(context, NULL, &n, around, sizeof(around));
    EVP_EncryptUpdate(context, body, &n, text, size);
    EVP_EncryptFinal_ex(context, body + n, &n);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG, body + size);
    EVP_CIPHER_CTX_free(context);
    return (int)weft_stream_write(m->bare.stream, record,
                                  (size_t)(5 + NONCE + size + TAG));
}

static int say_hellos(void *arg)
{
    unsigned char hello[4 + 2 + 32 + 1 + 4 + 2] = {1, 0, 0, 41, 3, 3};
    struct maker *m = arg;
    int rc = 0;

    memcpy(hello + 4 + 2 + 32 + 1, "\0\2\xc0\x2b\1\0", 6);
    for (; rc >= 0 && m->bare.sent < HELLOS; m->bare.sent++)
        rc = say_record(m, 22, hello, sizeof(hello));
    return rc < 0 ? rc : say_record(m, 23, "x", 1);
}

static int discard_all(void *arg)
{
    char part[4096];
    ssize_t n;

    while ((n = weft_stream_read(arg, part, sizeof(part))) > 0)
        continue;
    return (int)n;
}

// Each is refused, and no more: who does not read the refusals comes to wait,
// and who does gets what it sends besides through.
KIT_TASK(many_handshakes_anew_of_a_client, .timeout = 60)
{
    struct maker m = {.number = 0};
    weft_stream *pair[2];
    struct held h = {0};

    configure();
    kit_assert_code(weft_stream_pair(pair), 0);
    h.stream = pair[1];
    weft_future *started = weft_task_start(start_held, &h);
    bare_client(&m.bare, pair[0], TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(m.bare.context, "ECDHE-ECDSA-AES128-GCM-SHA256");
    bare_connect(&m.bare);
    kit_assert_code(weft_join(started), 0);
    make_keys(&m);
    weft_future *reader = weft_task_start(read_bytes, &h);
    weft_future *asker = weft_task_start(say_hellos, &m);
    until_all_wait(&m.bare, &h);
    ck_assert_uint_gt(m.bare.sent, 1000);
    ck_assert_uint_lt(m.bare.sent, HELLOS / 2);
    weft_future *listener = weft_task_start(discard_all, m.bare.stream);
    ck_assert_int_gt(weft_join(asker), 0);
    kit_assert_code(weft_stream_shutdown(m.bare.stream), 0);
    kit_assert_code(weft_join(reader), -WEFT_EENDED);
    ck_assert_uint_eq(h.got, 1);
    kit_assert_code(weft_stream_abort(h.stream), 0);
    weft_join(listener);
    bare_close(&m.bare);
    give_back();
}

// A flood of sessions to remember ---------------------------------------------

static int hand_out_tickets(void *arg)
{
    struct bare *b = arg;

    for (; b->sent < 2000; b->sent++) {
        ck_assert_int_eq(SSL_new_session_ticket(b->ssl), 1);
        ck_assert_int_eq(SSL_write(b->ssl, "t", 1), 1);
        push(b);
    }
    SSL_shutdown(b->ssl);
    push(b);
    return 0;
}

// Bytes of memory, where the C library tells.
static size_t in_use(void)
{
#if defined(__GLIBC__)
    return KIT_SANITIZED ? 0 : mallinfo2().uordblks;
#else
    return 0;
#endif
}

// The client keeps the last one.
KIT_TASK(a_flood_of_tickets, .timeout = 60)
{
    struct bare b;
    struct held h = {0};

    bare_serve(&b, &h, TLS1_3_VERSION);
    size_t before = in_use();
    weft_future *giver = weft_task_start(hand_out_tickets, &b);
    weft_future *reader = weft_task_start(read_bytes, &h);
    kit_assert_code(weft_join(giver), 0);
    kit_assert_code(weft_join(reader), 0);
    ck_assert_uint_eq(h.got, 2000);
    ck_assert_uint_lt(in_use(), before + 500000);
    kit_assert_code(weft_stream_close(h.stream), 0);
    bare_close(&b);
    give_back();
}

// A server of messages that has the more tickets the more one reads.
enum { TICKETS = 20000, MANY_BYTES = 4 << 20, BYTES_AT_ONCE = 300000 };

static int choose_messages(SSL *ssl, const unsigned char **chosen,
                           unsigned char *size, const unsigned char *offered,
                           unsigned offered_size, void *arg)
{
    (void)ssl;
    (void)arg;
    *size = offered[0]; // the first one
    *chosen = offered + 1;
    return *size < offered_size ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static void write_head(struct bare *b, char kind, char size)
{
    const char head[16] = {0x77, (char)0xa6, kind, [15] = size};

    ck_assert_int_eq(SSL_write(b->ssl, head, sizeof(head)), sizeof(head));
}

// All of it is made first, and sent as fast as it can be.
static int flood_with_tickets(void *listener)
{
    weft_stream *stream;
    struct bare b;
    char *flood;

    kit_assert_code(weft_listener_accept(listener, &stream, NULL), 0);
    bare_server(&b, stream, TLS1_3_VERSION);
    SSL_CTX_set_alpn_select_cb(b.context, choose_messages, NULL);
    bare_accept(&b);
    write_head(&b, 1, 0);
    for (int i = 0; i < TICKETS; i++) {
        ck_assert_int_eq(SSL_new_session_ticket(b.ssl), 1);
        ck_assert_int_eq(SSL_do_handshake(b.ssl), 1);
    }
    write_head(&b, 2, 1);
    ck_assert_int_eq(SSL_write(b.ssl, "m", 1), 1);
    long size = BIO_get_mem_data(SSL_get_wbio(b.ssl), &flood);
    ck_assert_int_gt(size, MANY_BYTES);
    kit_assert_code(weft_stream_write(stream, flood, (size_t)size), size);
    bare_close(&b);
    return 0;
}

// Who does not wait is not kept busy by it: it comes back now and then, until
// the message behind them all is there.
KIT_TASK(a_flood_of_tickets_for_who_does_not_wait, .timeout = 60)
{
    struct weft_tls_connection_options o = {.size = sizeof(o)};
    struct weft_address address;
    weft_listener *listener;
    weft_connection *c;
    unsigned again = 0;
    char byte;
    int rc;

    configure();
    authority_issue("client", "DNS:there.test", -1, 10, 0);
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &listener), 0);
    kit_assert_code(weft_listener_address(listener, 0, &address), 0);
    weft_future *server = weft_thread_start(flood_with_tickets, listener);
    char certificate[300], key[300];
    snprintf(certificate, sizeof(certificate), "%s",
             authority_path("client.pem"));
    snprintf(key, sizeof(key), "%s", authority_path("client.key"));
    o.certificate = certificate;
    o.key = key;
    o.authorities = authority_path("ca.pem");
    o.host = "here.test";
    kit_assert_code(weft_tls_connection_open_with(
                        "127.0.0.1", weft_address_port(&address), &c, &o),
                    0);
    while ((rc = (int)weft_connection_receive(c, &byte, 1, .nowait = true)) ==
           -EAGAIN) {
        again++;
        weft_sleep(0.0001);
    }
    kit_assert_code(rc, 1);
    ck_assert_uint_gt(again, MANY_BYTES / BYTES_AT_ONCE);
    kit_assert_code(weft_join(server), 0);
    weft_connection_close(c);
    weft_listener_close(listener);
    give_back();
}

// First words -----------------------------------------------------------------

static weft_tls *choose_none(const char *name, void *arg)
{
    ck_assert_str_eq(name, arg); // else it was not understood
    return NULL;
}

// What a server of several hosts comes to when these are a client's first bytes
// and its last.
static int first_bytes(const void *bytes, size_t size, const char *name)
{
    weft_tls *tls;
    weft_stream *pair[2];

    kit_assert_code(
        weft_tls_server(&tls, .choose = choose_none, .arg = (void *)name), 0);
    kit_assert_code(weft_stream_pair(pair), 0);
    struct held h = {.stream = pair[1]};
    weft_tls *kept = server_tls;
    server_tls = tls;
    weft_future *started = weft_task_start(start_held, &h);
    kit_assert_code(weft_stream_write(pair[0], bytes, size), size);
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    int code = weft_join(started);
    server_tls = kept;
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(h.stream), 0);
    weft_tls_unref(tls);
    return code;
}

// The name in a client's first word with any byte changed of what is around it
// and in it: it is the name that stands there, or none is asked for.
KIT_TASK(names_that_are_malformed, .timeout = 30)
{
    static const char host[] = "host.that.is.asked.for.test";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    unsigned char bytes[4096];
    int size;

    configure();
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    ck_assert_int_eq(SSL_set_tlsext_host_name(ssl, host), 1);
    SSL_connect(ssl);
    size = BIO_read(SSL_get_wbio(ssl), bytes, sizeof(bytes));
    ck_assert_int_gt(size, 0);
    unsigned char *name = memmem(bytes, (size_t)size, host, strlen(host));
    ck_assert_ptr_nonnull(name);
    kit_assert_code(first_bytes(bytes, (size_t)size, host), -WEFT_ETLS);
    for (int at = -5; at < (int)strlen(host); at++) {
        for (int bit = 0; bit < 8; bit++) {
            char asked[sizeof(host)];
            unsigned char was = name[at];

            name[at] ^= (unsigned char)(1 << bit);
            if (at >= 0 && bit == 7) // and the end of a text in its middle
                name[at] = 0;
            memcpy(asked, name, sizeof(host) - 1);
            asked[sizeof(host) - 1] = '\0';
            kit_assert_code(first_bytes(bytes, (size_t)size, asked),
                            -WEFT_ETLS);
            name[at] = was;
        }
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    give_back();
}

// The hello of SSL 2.0, which could also ask for later versions.
KIT_TASK(hellos_of_another_age, .timeout = 20)
{
    static const unsigned char versions[][2] = {
        {0, 2}, {3, 0}, {3, 1}, {3, 3}, {3, 4}};

    configure();
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        unsigned char hello[2 + 9 + 6 + 16] = {0x80, 9 + 6 + 16, 1};

        memcpy(hello + 3, versions[i], 2);
        hello[6] = 6;   // bytes of ciphers
        hello[10] = 16; // of the challenge
        memcpy(hello + 11, "\x00\x00\x2f\x00\xc0\x2f", 6);
        kit_assert_code(first_bytes(hello, sizeof(hello), ""), -WEFT_ETLS);
    }
    give_back();
}

KIT_TASK(names_and_protocols_that_are_too_long)
{
    char name[300], list[600];
    weft_stream *pair[2];
    weft_tls *tls;

    configure();
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(list, 'p', sizeof(list) - 1);
    list[sizeof(list) - 1] = '\0';
    kit_assert_code(weft_stream_pair(pair), 0);
    kit_assert_code(weft_tls_start(client_tls, &pair[0], .host = name),
                    -EINVAL);
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(pair[1]), 0);
    kit_assert_code(weft_tls_client(&tls, .protocols = list), -EINVAL);
    list[200] = list[400] = ','; // each is short enough, but not together
    kit_assert_code(weft_tls_client(&tls, .protocols = list), -EINVAL);
    give_back();
}

// Long chains of certificates -------------------------------------------------

static int far_code(int links)
{
    struct held h = {0};
    weft_stream *pair[2];
    weft_tls *near = server_tls;
    char why[200] = "";
    int code;

    authority_issue_far("far", "DNS:here.test", links);
    kit_assert_code(weft_tls_server(&server_tls,
                                    .certificate = authority_path("far.pem"),
                                    .key = authority_path("far.key")),
                    0);
    kit_assert_code(weft_stream_pair(pair), 0);
    h.stream = pair[1];
    weft_future *started = weft_task_start(start_held, &h);
    code = weft_tls_start(client_tls, &pair[0], .host = "here.test", .why = why,
                          .why_size = sizeof(why));
    ck_assert_int_eq(code == 0, why[0] == '\0');
    if (code < 0) // it may have more to say than there is room for
        kit_assert_code(weft_stream_abort(pair[0]), 0);
    weft_join(started);
    if (code == 0)
        kit_assert_code(weft_stream_abort(pair[0]), 0);
    kit_assert_code(weft_stream_abort(h.stream), 0);
    weft_tls_unref(server_tls);
    server_tls = near;
    return code;
}

KIT_TASK(certificates_from_far_away, .timeout = 60)
{
    configure();
    kit_assert_code(far_code(0), 0);
    kit_assert_code(far_code(10), 0);
    kit_assert_code(far_code(120), -WEFT_ECERT); // too long a chain
    kit_assert_code(far_code(600), -WEFT_ETLS);  // too much to listen to
    give_back();
}

WEFT_TEST_MAIN("hostile TLS peers")
