// SPDX-License-Identifier: MIT
//
// Messages over TLS: both sides certified or nothing, hostile peers, cuts, and
// that each message is whole whoever writes and reads.
#include "../net/net_test.h"

#include <limits.h>
#include <stdatomic.h>

#include <weft/tls.h>

#include "authority.h"

#define WHY 200

struct side {
    const char *certificate, *authority;
};

static const struct side good = {"client", "ca"};

// Names as paths of the authority's folder.
static struct weft_tls_connection_options options_of(struct side side)
{
    static char paths[3][300];
    const char *parts[] = {side.certificate, side.certificate, side.authority};
    const char *ends[] = {"pem", "key", "pem"};

    for (int i = 0; i < 3; i++) {
        char file[100];

        snprintf(file, sizeof(file), "%s.%s", parts[i], ends[i]);
        snprintf(paths[i], sizeof(paths[i]), "%s", authority_path(file));
    }
    return (struct weft_tls_connection_options){
        .size = sizeof(struct weft_tls_connection_options),
        .certificate = paths[0],
        .key = paths[1],
        .authorities = paths[2],
        .host = "here.test",
    };
}

// A listener, and what it has refused -----------------------------------------

struct at {
    weft_connection_listener *listener;
    weft_queue *failures;
    uint16_t port;
};

static void note_failure(int code, const struct weft_address *peer, void *arg)
{
    struct at *at = arg;

    ck_assert_int_eq(peer->storage.ss_family, AF_INET);
    weft_queue_put(at->failures, &code);
}

static void listen_with_time(struct at *at, double timeout)
{
    struct weft_tls_connection_options o =
        options_of((struct side){"server", "ca"});
    struct weft_address address;

    at->failures = weft_queue_new(.item = sizeof(int));
    o.on_failure = note_failure;
    o.arg = at;
    o.timeout = timeout;
    kit_assert_code(
        weft_tls_connection_listen_with("127.0.0.1", 0, &at->listener, &o), 0);
    kit_assert_code(weft_tls_connection_address(at->listener, &address), 0);
    at->port = weft_address_port(&address);
}

static void listen_at(struct at *at)
{
    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("client", "DNS:there.test", -1, 10, 0);
    listen_with_time(at, 0);
}

static void assert_failure(struct at *at, int code)
{
    int failure;

    kit_assert_code(weft_queue_get(at->failures, &failure), 0);
    kit_assert_code(failure, code);
}

static void listen_no_more(struct at *at)
{
    weft_connection_listener_close(at->listener);
    weft_queue_free(at->failures);
}

static weft_connection *open_good(const struct at *at)
{
    struct weft_tls_connection_options o = options_of(good);
    weft_connection *c;
    char why[WHY];

    o.timeout = 1000; // the case has its own
    o.why = why;
    o.why_size = sizeof(why);
    int rc = weft_tls_connection_open_with("127.0.0.1", at->port, &c, &o);
    ck_assert_msg(rc == 0, "%s", why);
    return c;
}

static void connect_both(struct at *at, weft_connection *pair[2])
{
    listen_at(at);
    pair[0] = open_good(at);
    kit_assert_code(weft_connection_accept(at->listener, &pair[1]), 0);
}

static void close_both(struct at *at, weft_connection *pair[2])
{
    weft_connection_close(pair[0]);
    weft_connection_close(pair[1]);
    listen_no_more(at);
}

// A peer that knows TLS and has a certificate, but writes what it likes.
static weft_stream *open_raw(const struct at *at, const char *certificate,
                             const char *protocols)
{
    struct weft_tls_connection_options o =
        options_of((struct side){certificate ? certificate : "client", "ca"});
    weft_stream *stream;
    weft_tls *tls;

    kit_assert_code(
        weft_tls_client(&tls, .authorities = o.authorities,
                        .certificate = certificate ? o.certificate : NULL,
                        .key = certificate ? o.key : NULL,
                        .protocols = protocols),
        0);
    kit_assert_code(weft_tls_connect(tls, "127.0.0.1", at->port, &stream,
                                     .host = "here.test"),
                    0);
    weft_tls_unref(tls);
    return stream;
}

// The same, accepted: with the greeting read.
static weft_stream *open_hostile(const struct at *at, weft_connection **c)
{
    weft_stream *stream = open_raw(at, "client", "weft-connection/1");
    char greeting[16];

    kit_assert_code(weft_stream_read_exactly(stream, greeting, 16), 16);
    kit_assert_code(weft_connection_accept(at->listener, c), 0);
    return stream;
}

static void say_bytes(weft_stream *s, const void *bytes, size_t size)
{
    kit_assert_code(weft_stream_write(s, bytes, size), size);
}

// Messages --------------------------------------------------------------------

static char byte_at(size_t seed, size_t i)
{
    return (char)(seed * 31 + i * 7 + i / 251);
}

static char *message_of(size_t seed, size_t size)
{
    char *made = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        made[i] = byte_at(seed, i);
    return made;
}

struct sending {
    weft_connection *c;
    size_t size;
};

static int send_one(void *arg)
{
    const struct sending *s = arg;
    char *message = message_of(s->size, s->size);
    int rc = weft_connection_send(s->c, message, s->size);

    free(message);
    return rc;
}

static void assert_message(weft_connection *c, size_t size)
{
    char *got = malloc(size + 1), *want = message_of(size, size);

    kit_assert_code(weft_connection_receive(c, got, size), size);
    ck_assert(memcmp(got, want, size) == 0);
    free(got);
    free(want);
}

KIT_BOTH(messages_of_every_size_both_ways, .timeout = 30)
{
    static const size_t sizes[] = {0,      1,      15,        4096,
                                   4097,   16384,  16369,     65535,
                                   300000, 100000, 3u << 20u, 5};
    weft_connection *pair[2];
    struct at at;

    connect_both(&at, pair);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int from = 0; from < 2; from++) {
            struct sending s = {pair[from], sizes[i]};
            weft_future *f = weft_task_start(send_one, &s);

            assert_message(pair[1 - from], sizes[i]);
            kit_assert_code(weft_join(f), 0);
        }
    }
    weft_connection_close(pair[0]);
    char byte;
    kit_assert_code(weft_connection_receive(pair[1], &byte, 1), -WEFT_ECLOSED);
    kit_assert_code(weft_connection_receive(pair[1], &byte, 1), -WEFT_ECLOSED);
    kit_assert_code(weft_connection_poll(pair[1], 0), 1);
    weft_connection_close(pair[1]);
    listen_no_more(&at);
}

KIT_BOTH(what_stays_within_a_machine, .timeout = 20)
{
    struct weft_peer peer = {.size = sizeof(peer)};
    weft_connection *pair[2];
    struct at at;
    int fd = 0;

    connect_both(&at, pair);
    weft_arena *arena;
    kit_assert_code(weft_arena_new(1 << 20, &arena), 0);
    kit_assert_code(
        weft_connection_send(pair[0], "x", 1, .fds = &fd, .fd_count = 1),
        -WEFT_ENOTLOCAL);
    kit_assert_code(weft_connection_send(pair[0], "x", 1, .arena = arena),
                    -WEFT_ENOTLOCAL);
    kit_assert_code(weft_connection_fd(pair[0]), -WEFT_ENOTLOCAL);
    kit_assert_code(weft_connection_peer(pair[0], &peer), -WEFT_ENOTLOCAL);
    kit_assert_code(weft_connection_listener_fd(at.listener), -WEFT_ENOTLOCAL);
    // who it is, it has shown by its certificate
    struct weft_tls_info info = {.size = sizeof(info)};
    kit_assert_code(weft_tls_connection_info(pair[1], &info), 0);
    ck_assert(info.verified);
    ck_assert_str_eq(info.peer, "CN=client");
    weft_connection *local[2];
    kit_assert_code(weft_connection_pair(local), 0);
    kit_assert_code(weft_tls_connection_info(local[0], &info), -EINVAL);
    weft_connection_close(local[0]);
    weft_connection_close(local[1]);
    ck_assert_ptr_nonnull(
        strstr(weft_strerror(-WEFT_ENOTLOCAL), "another machine"));
    // nothing of that has disturbed it
    unsigned fds = 7;
    char byte;
    kit_assert_code(weft_connection_send(pair[0], "y", 1), 0);
    kit_assert_code(
        weft_connection_receive(pair[1], &byte, 1, .fd_count = &fds), 1);
    ck_assert(byte == 'y' && fds == 0);
    weft_arena_close(arena);
    close_both(&at, pair);
}

KIT_BOTH(a_message_that_does_not_fit_stays, .timeout = 20)
{
    weft_connection *pair[2];
    struct at at;
    char little[4];

    connect_both(&at, pair);
    kit_assert_code(weft_connection_send(pair[0], "longer", 6), 0);
    kit_assert_code(weft_connection_next(pair[1]), 6);
    kit_assert_code(weft_connection_receive(pair[1], little, 4), -WEFT_ETOOBIG);
    char all[6];
    kit_assert_code(weft_connection_poll(pair[1], 0), 1);
    kit_assert_code(weft_connection_receive(pair[1], all, 6), 6);
    ck_assert_mem_eq(all, "longer", 6);
    close_both(&at, pair);
}

KIT_BOTH(without_waiting, .timeout = 20)
{
    weft_connection *pair[2];
    struct at at;
    char byte;

    connect_both(&at, pair);
    kit_assert_code(weft_connection_poll(pair[1], 0), 0);
    kit_assert_code(weft_connection_poll(pair[1], 0.01), 0);
    kit_assert_code(weft_connection_receive(pair[1], &byte, 1, .nowait = true),
                    -EAGAIN);
    kit_assert_code(weft_connection_send(pair[0], "z", 1, .nowait = true), 0);
    kit_assert_code(weft_connection_poll(pair[1], (double)INFINITY), 1);
    kit_assert_code(weft_connection_receive(pair[1], &byte, 1, .nowait = true),
                    1);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_connection_receive(pair[1], &byte, 1), -ETIMEDOUT);
        kit_assert_code(weft_connection_poll(pair[1], 5), -ETIMEDOUT);
    }
    close_both(&at, pair);
}

// Who never waits sees a message that has come, also one that was read before
// anybody had asked for it.
KIT_BOTH(a_busy_connection_without_waiting, .timeout = 20)
{
    weft_connection *pair[2];
    struct at at;
    char byte;
    int rc;

    connect_both(&at, pair);
    for (int i = 0; i < 20; i++) { // in step, so that each read waits
        struct sending s = {pair[1], 1};
        weft_future *sender = weft_task_start(send_one, &s);

        kit_assert_code(weft_connection_receive(pair[0], &byte, 1), 1);
        kit_assert_code(weft_join(sender), 0);
    }
    for (int i = 0; i < 20; i++) {
        kit_assert_code(weft_connection_send(pair[1], "z", 1), 0);
        weft_sleep(0.0001); // a turn of the loop, which may read ahead
        while ((rc = (int)weft_connection_receive(pair[0], &byte, 1,
                                                  .nowait = true)) == -EAGAIN)
            weft_sleep(0.0001);
        kit_assert_code(rc, 1);
    }
    close_both(&at, pair);
}

// Who is refused --------------------------------------------------------------

static void assert_refused(const struct at *at, struct side side,
                           const char *host, int code, const char *reason)
{
    struct weft_tls_connection_options o = options_of(side);
    weft_connection *c;
    char why[WHY];

    o.host = host;
    o.why = why;
    o.why_size = sizeof(why);
    kit_assert_code(
        weft_tls_connection_open_with("127.0.0.1", at->port, &c, &o), code);
    ck_assert_msg(strstr(why, reason) != NULL, "no \"%s\" in: %s", reason, why);
}

KIT_BOTH(certificates_of_clients_that_are_refused, .timeout = 30)
{
    struct at at;
    weft_stream *raw;
    char byte;

    listen_at(&at);
    authority_issue("alone", "DNS:there.test", -1, 10, 1);
    authority_issue("old", "DNS:there.test", -20, -10, 0);
    authority_issue("early", "DNS:there.test", 5, 10, 0);
    assert_refused(&at, (struct side){"alone", "ca"}, "here.test", -WEFT_ETLS,
                   "alert");
    assert_failure(&at, -WEFT_ECERTUNTRUSTED);
    assert_refused(&at, (struct side){"old", "ca"}, "here.test", -WEFT_ETLS,
                   "expired");
    assert_failure(&at, -WEFT_ECERTEXPIRED);
    assert_refused(&at, (struct side){"early", "ca"}, "here.test", -WEFT_ETLS,
                   "alert");
    assert_failure(&at, -WEFT_ECERTEXPIRED);
    // no certificate at all
    raw = open_raw(&at, NULL, "weft-connection/1");
    kit_assert_code(weft_stream_read(raw, &byte, 1), -WEFT_ETLS);
    assert_failure(&at, -WEFT_ETLS);
    kit_assert_code(weft_stream_abort(raw), 0);
    // a good one that wants something else
    raw = open_raw(&at, "client", NULL);
    kit_assert_code(weft_stream_read(raw, &byte, 1), 0);
    assert_failure(&at, -WEFT_EPROTO);
    kit_assert_code(weft_stream_close(raw), 0);
    // who is welcome gets in
    weft_connection *c = open_good(&at), *other;
    kit_assert_code(weft_connection_accept(at.listener, &other), 0);
    weft_connection_close(c);
    weft_connection_close(other);
    listen_no_more(&at);
}

KIT_BOTH(certificates_of_servers_that_are_refused, .timeout = 30)
{
    struct at at;

    listen_at(&at);
    authority_issue("alone", "DNS:there.test", -1, 10, 1);
    assert_refused(&at, good, "elsewhere.test", -WEFT_ECERTHOST,
                   "another host, not of \"");
    assert_refused(&at, (struct side){"client", "alone"}, "here.test",
                   -WEFT_ECERTUNTRUSTED, "self-signed");
    listen_no_more(&at);
    authority_issue("server", "DNS:here.test", -20, -10, 0);
    listen_with_time(&at, 0);
    assert_refused(&at, good, "here.test", -WEFT_ECERTEXPIRED, "expired");
    listen_no_more(&at);
}

KIT_BOTH(both_sides_must_be_certified, .timeout = 20)
{
    weft_connection_listener *l;
    weft_connection *c;
    char why[WHY];

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    struct weft_tls_connection_options o =
        options_of((struct side){"server", "ca"});
    kit_assert_code(weft_tls_connection_listen(
                        "127.0.0.1", 0, &l, .certificate = o.certificate,
                        .key = o.key, .why = why, .why_size = sizeof(why)),
                    -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "authorities"));
    kit_assert_code(weft_tls_connection_open(
                        "127.0.0.1", 1, &c, .authorities = o.authorities,
                        .why = why, .why_size = sizeof(why)),
                    -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "certificate"));
    o.key = "/nowhere/at.all";
    kit_assert_code(weft_tls_connection_listen_with("127.0.0.1", 0, &l, &o),
                    -ENOENT);
}

// A server of TLS that is none of messages.
static int serve_other(weft_stream *stream, void *arg)
{
    (void)arg;
    return (int)weft_stream_write(stream, "220 hello, who are you?\n", 24);
}

struct other {
    weft_listener *listener;
    weft_tls *tls;
};

static int run_other(void *arg)
{
    const struct other *o = arg;

    return weft_tls_serve(o->listener, o->tls, serve_other, NULL);
}

KIT_BOTH(a_server_of_something_else, .timeout = 20)
{
    struct weft_address address;
    struct other other;
    struct at at;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("client", "DNS:there.test", -1, 10, 0);
    struct weft_tls_connection_options o =
        options_of((struct side){"server", "ca"});
    kit_assert_code(
        weft_tls_server(&other.tls, .certificate = o.certificate, .key = o.key),
        0);
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &other.listener), 0);
    weft_listener_address(other.listener, 0, &address);
    at.port = weft_address_port(&address);
    weft_future *f = weft_task_start(run_other, &other);
    assert_refused(&at, good, "here.test", -WEFT_EPROTO, "protocol");
    weft_listener_stop(other.listener);
    kit_assert_code(weft_join(f), 0);
    weft_listener_close(other.listener);
    weft_tls_unref(other.tls);
}

// Peers that hold nobody up ---------------------------------------------------

KIT_BOTH(peers_that_say_nothing_or_nonsense, .timeout = 30)
{
    weft_stream *silent[5];
    struct at at;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("client", "DNS:there.test", -1, 10, 0);
    listen_with_time(&at, 60);
    for (int i = 0; i < 5; i++)
        kit_assert_code(weft_tcp_connect("127.0.0.1", at.port, &silent[i]), 0);
    say(silent[0], "GET / HTTP/1.0\r\n\r\n");
    assert_failure(&at, -WEFT_ETLS);
    weft_connection *c = open_good(&at), *other;
    kit_assert_code(weft_connection_accept(at.listener, &other), 0);
    kit_assert_code(weft_connection_send(c, "in", 2), 0);
    kit_assert_code(weft_connection_next(other), 2);
    weft_connection_close(c);
    weft_connection_close(other);
    // one waits still, in the middle of its handshake, when it is closed
    listen_no_more(&at);
    for (int i = 0; i < 5; i++)
        kit_assert_code(weft_stream_close(silent[i]), 0);
    listen_with_time(&at, 0.02);
    kit_assert_code(weft_tcp_connect("127.0.0.1", at.port, &silent[0]), 0);
    assert_failure(&at, -ETIMEDOUT);
    kit_assert_code(weft_stream_close(silent[0]), 0);
    listen_no_more(&at);
}

// As many of them as there are places, or more.
enum { PLACES = 256, MANY_SILENT = 300 };

static int connect_from(const char *host, uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct weft_address own, there;

    ck_assert_int_ge(fd, 0);
    kit_assert_code(weft_address_parse(&own, host, 0), 0);
    kit_assert_code(weft_address_parse(&there, "127.0.0.1", port), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own.storage, own.len), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&there.storage, there.len),
                     0);
    return fd;
}

static void assert_gave_way(struct at *at)
{
    int code;

    assert_failure(at, -EBUSY);
    while (weft_queue_get(at->failures, &code, .nowait = true) == 0)
        kit_assert_code(code, -EBUSY);
}

// Some peers from that host say nothing, and may do so for so long. Others get
// in all the same, as some of the silent ones give way.
static void get_in_beside(const char *host, int n, double timeout)
{
    weft_connection *c[3], *other[3];
    int silent[MANY_SILENT];
    struct at at;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("client", "DNS:there.test", -1, 10, 0);
    listen_with_time(&at, timeout);
    for (int i = 0; i < n; i++)
        silent[i] = connect_from(host, at.port);
    for (int i = 0; i < 3; i++) {
        c[i] = open_good(&at);
        kit_assert_code(weft_connection_accept(at.listener, &other[i]), 0);
    }
    assert_gave_way(&at);
    for (int i = 0; i < 3; i++) {
        weft_connection_close(c[i]);
        weft_connection_close(other[i]);
    }
    listen_no_more(&at);
    for (int i = 0; i < n; i++)
        close(silent[i]);
}

// At once: the case would not wait for even a part of their time.
KIT_TASK(silent_peers_of_one_address_hold_up_no_other, .timeout = 60)
{
    get_in_beside("127.0.0.2", PLACES, 1e6);
}

// When those before have had a share of theirs.
KIT_TASK(silent_peers_hold_up_nobody_for_long, .timeout = 60)
{
    get_in_beside("127.0.0.1", MANY_SILENT, 8);
}

struct client {
    const struct at *at;
    weft_connection *c;
};

static int open_one(void *arg)
{
    struct client *client = arg;

    client->c = open_good(client->at);
    return 0;
}

// More honest peers at once than there are places, and all get in.
KIT_TASK(many_honest_peers_at_once, .timeout = 60)
{
    static struct client clients[MANY_SILENT];
    weft_future *tasks[MANY_SILENT];
    weft_connection *c;
    struct at at;

    listen_at(&at);
    listen_no_more(&at);
    listen_with_time(&at, 1000);
    for (int i = 0; i < MANY_SILENT; i++) {
        clients[i].at = &at;
        tasks[i] = weft_task_start(open_one, &clients[i]);
    }
    for (int i = 0; i < MANY_SILENT; i++) {
        kit_assert_code(weft_connection_accept(at.listener, &c), 0);
        weft_connection_close(c);
    }
    for (int i = 0; i < MANY_SILENT; i++) {
        kit_assert_code(weft_join(tasks[i]), 0);
        weft_connection_close(clients[i].c);
    }
    listen_no_more(&at);
}

static int accept_nobody(void *arg)
{
    weft_connection *c;

    return weft_connection_accept(arg, &c);
}

KIT_TASK(an_accept_that_the_close_ends, .timeout = 20)
{
    weft_connection *c;
    struct at at;
    char byte;

    listen_at(&at);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(accept_nobody(at.listener), -ETIMEDOUT);
    }
    weft_future *f = weft_task_start(accept_nobody, at.listener);
    weft_future *second = weft_task_start(accept_nobody, at.listener);
    weft_yield();
    weft_connection_listener_close(at.listener);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(second), -WEFT_EJOBCANCELED);
    weft_queue_free(at.failures);
    // through with the handshake, and accepted by nobody
    listen_with_time(&at, 0);
    c = open_good(&at);
    listen_no_more(&at);
    kit_assert_code(weft_connection_receive(c, &byte, 1), -WEFT_ECLOSED);
    weft_connection_close(c);
    // nobody listens any more
    struct weft_tls_connection_options o = options_of(good);
    kit_assert_code(weft_tls_connection_open_with("127.0.0.1", at.port, &c, &o),
                    -ECONNREFUSED);
}

// Hostile bytes ---------------------------------------------------------------

static void head_of(unsigned char head[16], int kind, uint64_t size)
{
    memset(head, 0, 16);
    head[0] = 0x77;
    head[1] = 0xa6;
    head[2] = (unsigned char)kind;
    for (int i = 0; i < 8; i++)
        head[15 - i] = (unsigned char)(size >> (8 * i));
}

KIT_BOTH(what_is_no_message_ends_the_connection, .timeout = 30)
{
    unsigned char heads[5][16];
    struct at at;
    char byte;

    listen_at(&at);
    for (int i = 0; i < 5; i++)
        head_of(heads[i], i == 0 ? 1 : i == 1 ? 3 : 2, i == 2 ? ~0ULL : 1);
    heads[3][5] = 1;
    heads[4][0] = 'G';
    for (int i = 0; i < 5; i++) {
        weft_connection *c;
        weft_stream *raw = open_hostile(&at, &c);

        say_bytes(raw, heads[i], 16);
        say(raw, "x");
        kit_assert_code(weft_connection_receive(c, &byte, 1), -WEFT_EPROTO);
        kit_assert_code(weft_connection_next(c), -WEFT_EPROTO);
        kit_assert_code(weft_connection_poll(c, 0), 1);
        kit_assert_code(weft_connection_receive(c, &byte, 1, .nowait = true),
                        -WEFT_EPROTO);
        kit_assert_code(weft_stream_close(raw), 0);
        weft_connection_close(c);
    }
    listen_no_more(&at);
}

// A peer that promises much costs nothing until it keeps it.
KIT_BOTH(a_promise_of_much, .timeout = 20)
{
    unsigned char head[16];
    weft_connection *c;
    struct at at;
    char byte;

    listen_at(&at);
    weft_stream *raw = open_hostile(&at, &c);
    head_of(head, 2, (uint64_t)SSIZE_MAX);
    say_bytes(raw, head, 16);
    kit_assert_code(weft_connection_next(c), SSIZE_MAX);
    kit_assert_code(weft_connection_receive(c, &byte, 1), -WEFT_ETOOBIG);
    kit_assert_code(weft_connection_poll(c, 0), 0);
    {
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_connection_receive(c, &byte, SSIZE_MAX),
                        -ETIMEDOUT);
    }
    kit_assert_code(weft_stream_close(raw), 0);
    kit_assert_code(weft_connection_receive(c, &byte, SSIZE_MAX), -WEFT_EENDED);
    weft_connection_close(c);
    listen_no_more(&at);
}

// Ends at every place of a message: between two it is the end, within one it is
// a cut.
KIT_BOTH(cut_in_the_middle, .timeout = 40)
{
    struct at at;
    char buf[8];

    listen_at(&at);
    for (size_t n = 0; n < 20; n++) {
        unsigned char bytes[20];
        weft_connection *c;
        weft_stream *raw = open_hostile(&at, &c);

        head_of(bytes, 2, 4);
        memcpy(bytes + 16, "text", 4);
        say_bytes(raw, bytes, 20);
        if (n > 0)
            say_bytes(raw, bytes, n);
        kit_assert_code(
            n % 2 ? weft_stream_shutdown(raw) : weft_stream_close(raw), 0);
        kit_assert_code(weft_connection_receive(c, buf, 8), 4);
        kit_assert_code(weft_connection_receive(c, buf, 8),
                        n == 0 ? -WEFT_ECLOSED : -WEFT_EENDED);
        kit_assert_code(weft_connection_receive(c, buf, 8),
                        n == 0 ? -WEFT_ECLOSED : -WEFT_EENDED);
        if (n % 2)
            kit_assert_code(weft_stream_close(raw), 0);
        weft_connection_close(c);
    }
    // without TLS's end, also between two
    weft_connection *c;
    weft_stream *raw = open_hostile(&at, &c);
    kit_assert_code(weft_stream_abort(raw), 0);
    kit_assert_code(weft_connection_receive(c, buf, 8), -WEFT_EENDED);
    weft_connection_close(c);
    // and seen by who does not wait
    raw = open_hostile(&at, &c);
    kit_assert_code(weft_stream_abort(raw), 0);
    int rc;
    while ((rc = (int)weft_connection_receive(c, buf, 8, .nowait = true)) ==
           -EAGAIN)
        weft_sleep(0.0001);
    kit_assert_code(rc, -WEFT_EENDED);
    kit_assert_code(weft_connection_receive(c, buf, 8), -WEFT_EENDED);
    weft_connection_close(c);
    listen_no_more(&at);
}

// Byte by byte; a receive that is ended early loses nothing.
KIT_BOTH(a_message_that_dribbles, .timeout = 20)
{
    unsigned char bytes[20];
    weft_connection *c;
    struct at at;
    char buf[8];

    listen_at(&at);
    weft_stream *raw = open_hostile(&at, &c);
    head_of(bytes, 2, 4);
    memcpy(bytes + 16, "text", 4);
    for (size_t n = 0; n < 20; n++) {
        kit_assert_code(weft_connection_receive(c, buf, 8, .nowait = true),
                        -EAGAIN);
        kit_assert_code(weft_connection_poll(c, 0), 0);
        say_bytes(raw, bytes + n, 1);
        WEFT_TIMEOUT(0.002);
        if (n < 19)
            kit_assert_code(weft_connection_receive(c, buf, 8), -ETIMEDOUT);
    }
    kit_assert_code(weft_connection_poll(c, (double)INFINITY), 1);
    kit_assert_code(weft_connection_receive(c, buf, 8, .nowait = true), 4);
    ck_assert_mem_eq(buf, "text", 4);
    kit_assert_code(weft_stream_close(raw), 0);
    weft_connection_close(c);
    listen_no_more(&at);
}

static int close_one(void *c)
{
    weft_connection_close(c);
    return 0;
}

// A send that a deadline has ended: the peer gets what was whole before it, and
// then a cut, never a part of a message.
KIT_BOTH(a_send_that_is_ended_in_its_middle, .timeout = 30)
{
    static char much[300000];
    weft_connection *pair[2];
    struct at at;
    int whole = 0, rc;

    connect_both(&at, pair);
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_connection_send(pair[0], "x", 1), -ETIMEDOUT);
    }
    do {
        WEFT_TIMEOUT(0.05);
        rc = weft_connection_send(pair[0], much, sizeof(much));
        whole += rc == 0;
    } while (rc == 0);
    kit_assert_code(rc, -ETIMEDOUT);
    kit_assert_code(weft_connection_send(pair[0], "x", 1), -EPIPE);
    ssize_t n;
    int got = 0;
    weft_future *f = weft_task_start(close_one, pair[0]);
    while ((n = weft_connection_receive(pair[1], much, sizeof(much))) > 0)
        got++;
    kit_assert_code(n, -WEFT_EENDED);
    ck_assert_int_eq(got, whole);
    kit_assert_code(weft_join(f), 0);
    weft_connection_close(pair[1]);
    listen_no_more(&at);
}

// Many ------------------------------------------------------------------------

enum { WRITERS = 8, EACH = 40, READERS = 3 };

struct crowd {
    weft_connection *from, *to;
    atomic_int seen[WRITERS][EACH];
    atomic_int received;
};

struct writer {
    struct crowd *crowd;
    int index;
};

static size_t size_of(int writer, int i)
{
    return 8 + (size_t)((writer * 977 + i * i * 131) % 9000);
}

static int write_many(void *arg)
{
    const struct writer *w = arg;
    int rc = 0;

    for (int i = 0; rc == 0 && i < EACH; i++) {
        size_t size = size_of(w->index, i);
        char *message = message_of((size_t)w->index, size);

        memcpy(message, &w->index, 4);
        memcpy(message + 4, &i, 4);
        rc = weft_connection_send(w->crowd->from, message, size);
        free(message);
    }
    return rc;
}

static int read_many(void *arg)
{
    struct crowd *crowd = arg;
    char buf[10000];
    ssize_t n;

    while ((n = weft_connection_receive(crowd->to, buf, sizeof(buf))) > 0) {
        int writer, i;

        memcpy(&writer, buf, 4);
        memcpy(&i, buf + 4, 4);
        if (writer < 0 || writer >= WRITERS || i < 0 || i >= EACH ||
            (size_t)n != size_of(writer, i))
            return -EBADMSG;
        for (size_t k = 8; k < (size_t)n; k++)
            if (buf[k] != byte_at((size_t)writer, k))
                return -EBADMSG;
        atomic_fetch_add(&crowd->seen[writer][i], 1);
        atomic_fetch_add(&crowd->received, 1);
    }
    return n == -WEFT_ECLOSED ? 0 : (int)n;
}

// Half of them tasks, half of them threads.
KIT_BOTH(many_writers_and_readers, .timeout = 60)
{
    weft_future *writers[WRITERS], *readers[READERS];
    struct writer w[WRITERS];
    weft_connection *pair[2];
    struct crowd crowd = {0};
    struct at at;

    connect_both(&at, pair);
    crowd.from = pair[0];
    crowd.to = pair[1];
    for (int i = 0; i < READERS; i++)
        readers[i] = i % 2 ? weft_thread_start(read_many, &crowd)
                           : weft_task_start(read_many, &crowd);
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){&crowd, i};
        writers[i] = i % 2 ? weft_thread_start(write_many, &w[i])
                           : weft_task_start(write_many, &w[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        kit_assert_code(weft_join(writers[i]), 0);
    weft_connection_close(pair[0]);
    for (int i = 0; i < READERS; i++)
        kit_assert_code(weft_join(readers[i]), 0);
    ck_assert_int_eq(atomic_load(&crowd.received), WRITERS * EACH);
    for (int i = 0; i < WRITERS; i++)
        for (int k = 0; k < EACH; k++)
            ck_assert_int_eq(atomic_load(&crowd.seen[i][k]), 1);
    weft_connection_close(pair[1]);
    listen_no_more(&at);
}

WEFT_TEST_MAIN("tls_connection")
