// SPDX-License-Identifier: MIT
#include <math.h>

#include "link.h"

// Cases -----------------------------------------------------------------------

KIT_BOTH(talk_and_the_clean_end, .timeout = 20)
{
    struct link l;
    struct weft_tls_info info = {.size = sizeof(info)};

    authority_begin();
    authority_issue("server", "DNS:here.test,IP:127.0.0.1", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    connect_in_memory(&l, client, server, "here.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    kit_assert_code(l.server.code, 0);
    ck_assert_str_eq(weft_stream_kind(l.client), "tls");
    kit_assert_code(weft_tls_info(l.client, &info), 0);
    ck_assert_str_eq(info.version, "TLSv1.3");
    ck_assert(info.verified && !info.resumed);
    ck_assert_str_eq(info.protocol, "");
    kit_assert_code(weft_tls_info(l.server.stream, &info), 0);
    ck_assert_str_eq(info.host, "here.test");
    ck_assert(!info.verified);
    say(l.client, "hello\n");
    hear(l.server.stream, "hello\n");
    kit_assert_code(weft_stream_printf(l.server.stream, "line %d\n", 7), 7);
    hear(l.client, "line 7\n");
    // half of it closed, the other half not
    kit_assert_code(weft_stream_shutdown(l.client), 0);
    hear_end(l.server.stream);
    kit_assert_code(weft_stream_write(l.client, "x", 1), -EPIPE);
    say(l.server.stream, "still");
    hear(l.client, "still");
    kit_assert_code(weft_stream_close(l.server.stream), 0);
    hear_end(l.client);
    kit_assert_code(weft_stream_close(l.client), 0);
    weft_tls_unref(client);
    weft_tls_unref(server);
    weft_tls_unref(NULL);
}

// Who waits for the descriptor asks first what has been taken from it.
static void await_descriptor(weft_stream *s)
{
    if (weft_stream_buffered(s) == 0)
        kit_assert_code(weft_fd_wait(weft_stream_fd(s), WEFT_READABLE),
                        WEFT_READABLE);
}

KIT_BOTH(what_tls_has_taken_is_told, .timeout = 20)
{
    struct link l;
    weft_stream *pair[2];

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    stream_socket_pair(pair);
    connect_over(pair, &l, client, server, "here.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    // three records and the end, which come in one read from the socket
    say(l.client, "one, two");
    say(l.client, "three");
    say(l.client, "four");
    kit_assert_code(weft_stream_shutdown(l.client), 0);
    await_descriptor(l.server.stream);
    hear(l.server.stream, "one");
    ck_assert_uint_eq(weft_stream_buffered(l.server.stream), 5);
    hear(l.server.stream, ", two");
    ck_assert_uint_eq(weft_stream_buffered(l.server.stream), 5);
    hear(l.server.stream, "three");
    await_descriptor(l.server.stream);
    hear(l.server.stream, "four");
    ck_assert_uint_eq(weft_stream_buffered(l.server.stream), 1);
    hear_end(l.server.stream);
    // of the other side there are sessions only
    weft_fd_wait(weft_stream_fd(l.client), WEFT_READABLE);
    ck_assert_uint_eq(weft_stream_buffered(l.client), 0);
    close_link(&l);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

static void check_refused(weft_tls *client, const char *certificate,
                          const char *host, int code, const char *why)
{
    struct link l;
    weft_tls *server = server_config(certificate);

    connect_in_memory(&l, client, server, host);
    kit_assert_code(l.code, code);
    ck_assert_msg(strstr(l.why, why), "no \"%s\" in: %s", why, l.why);
    ck_assert_str_eq(weft_stream_kind(l.client), "memory");
    close_link(&l);
    weft_tls_unref(server);
}

// OpenSSL finds the system's own by this too.
KIT_TASK(the_authorities_of_the_system)
{
    struct link l;
    weft_tls *server, *client;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    server = server_config("server");
    setenv("SSL_CERT_FILE", authority_path("ca.pem"), 1);
    kit_assert_code(weft_tls_client(&client), 0);
    connect_in_memory(&l, client, server, "here.test");
    kit_assert_code(l.code, 0);
    close_link(&l);
    weft_tls_unref(client);
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    setenv("SSL_CERT_DIR", "/nowhere", 1);
    kit_assert_code(weft_tls_client(&client), 0);
    connect_in_memory(&l, client, server, "here.test");
    kit_assert_code(l.code, -WEFT_ECERTUNTRUSTED);
    close_link(&l);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

KIT_BOTH(certificates_that_are_refused, .timeout = 20)
{
    struct link l;

    authority_begin();
    authority_issue("old", "DNS:here.test", -20, -10, 0);
    authority_issue("early", "DNS:here.test", 5, 10, 0);
    authority_issue("other", "DNS:elsewhere.test,DNS:*.wide.test", -1, 10, 0);
    authority_issue("alone", "DNS:here.test", -1, 10, 1);
    weft_tls *client = client_config(), *system, *anybody;
    check_refused(client, "old", "here.test", -WEFT_ECERTEXPIRED, "expired");
    check_refused(client, "early", "here.test", -WEFT_ECERTEXPIRED,
                  "not yet valid");
    check_refused(client, "other", "here.test", -WEFT_ECERTHOST,
                  "another host, not of \"");
    check_refused(client, "other", "a.b.wide.test", -WEFT_ECERTHOST,
                  "another host, not of \"");
    check_refused(client, "other", "127.0.0.1", -WEFT_ECERTHOST,
                  "another host, not of \"");
    check_refused(client, "alone", "here.test", -WEFT_ECERTUNTRUSTED,
                  "self-signed");
    // the system does not know this authority
    kit_assert_code(weft_tls_client(&system), 0);
    check_refused(system, "other", "elsewhere.test", -WEFT_ECERTUNTRUSTED,
                  "issuer");
    // one who wants to talk to anybody may
    weft_tls *server = server_config("old");
    kit_assert_code(weft_tls_client(&anybody, .unverified = true), 0);
    connect_in_memory(&l, anybody, server, NULL);
    kit_assert_code(l.code, 0);
    close_link(&l);
    weft_tls_unref(server);
    // to check a certificate one must know whose it should be
    server = server_config("other");
    connect_in_memory(&l, client, server, NULL);
    kit_assert_code(l.code, -EINVAL);
    close_link(&l);
    connect_in_memory(&l, client, server, "a.wide.test");
    kit_assert_code(l.code, 0);
    close_link(&l);
    weft_tls_unref(server);
    weft_tls_unref(client);
    weft_tls_unref(system);
    weft_tls_unref(anybody);
}

KIT_TASK(files_that_are_no_good)
{
    weft_tls *tls;
    char why[300];
    struct weft_tls_options options = {.size = sizeof(options)};

    authority_begin();
    authority_issue("a", "DNS:a", -1, 1, 0);
    authority_issue("b", "DNS:b", -1, 1, 0);
    kit_assert_code(weft_tls_server(&tls), -EINVAL);
    kit_assert_code(weft_tls_client(&tls, .authorities = "/nonexistent"),
                    -ENOENT);
    options.certificate = authority_path("a.pem");
    options.key = authority_path("b.key");
    kit_assert_code(weft_tls_server_with(&tls, &options, why, sizeof(why)),
                    -WEFT_ECERT);
    ck_assert_msg(strstr(why, "b.key: key values mismatch"), "%s", why);
    options.key = "/etc/hostname";
    kit_assert_code(weft_tls_server_with(&tls, &options, why, sizeof(why)),
                    -WEFT_ECERT);
    kit_assert_code(
        weft_tls_client(&tls, .unverified = true, .protocols = "a,,b"),
        -EINVAL);
}

// Protocols and names ---------------------------------------------------------

static weft_tls *for_a, *for_b;

static weft_tls *choose(const char *name, void *arg)
{
    ck_assert_str_eq(arg, "argument");
    return !strcmp(name, "a.test")   ? for_a
           : !strcmp(name, "b.test") ? for_b
                                     : NULL;
}

KIT_TASK(a_server_of_several_hosts)
{
    struct link l;
    weft_tls *server;

    authority_begin();
    authority_issue("a", "DNS:a.test", -1, 1, 0);
    authority_issue("b", "DNS:b.test", -1, 1, 0);
    for_a = server_config("a");
    for_b = server_config("b");
    kit_assert_code(
        weft_tls_server(&server, .choose = choose, .arg = "argument"), 0);
    weft_tls *client = client_config();
    static const char *const hosts[] = {"a.test", "b.test", "a.test"};
    for (int i = 0; i < 3; i++) {
        connect_in_memory(&l, client, server, hosts[i]);
        ck_assert_msg(l.code == 0, "%s: %s", hosts[i], l.why);
        close_link(&l);
    }
    connect_in_memory(&l, client, server, "c.test");
    kit_assert_code(l.code, -WEFT_ETLS);
    ck_assert_msg(strstr(l.why, "unrecognized name"), "%s", l.why);
    kit_assert_code(l.server.code, -WEFT_ETLS);
    close_link(&l);
    weft_tls_unref(server);
    weft_tls_unref(client);
    weft_tls_unref(for_a);
    weft_tls_unref(for_b);
}

// What is chosen is given back before the connection has it, as by another
// thread that has just read new certificates, and its memory is used again.
static weft_tls *choose_and_give_back(const char *name, void *arg)
{
    weft_tls **place = arg, *chosen = *place;
    char *other;

    ck_assert_str_eq(name, "a.test");
    *place = NULL;
    weft_tls_unref(chosen);
    other = malloc(2048);
    ck_assert_ptr_nonnull(other);
    memset(other, 0xee, 2048);
    free(other);
    return chosen;
}

KIT_BOTH(certificates_that_change_while_one_is_chosen, .timeout = 20)
{
    struct link l;
    weft_tls *server, *now;

    authority_begin();
    authority_issue("a", "DNS:a.test", -1, 1, 0);
    kit_assert_code(
        weft_tls_server(&server, .choose = choose_and_give_back, .arg = &now),
        0);
    weft_tls *client = client_config();
    for (int i = 0; i < 3; i++) {
        now = server_config("a");
        connect_in_memory(&l, client, server, "a.test");
        ck_assert_msg(l.code == 0, "%s", l.why);
        ck_assert_ptr_null(now);
        say(l.client, "hello\n");
        hear(l.server.stream, "hello\n");
        close_link(&l);
    }
    weft_tls_unref(server);
    weft_tls_unref(client);
}

// What one of the hosts asks of its clients is asked, whatever the others do;
// and a session of another host, or of the same one when it asked for less, is
// none that begins quicker.
KIT_TASK(a_host_that_asks_for_certificates)
{
    struct weft_tls_info info = {.size = sizeof(info)};
    weft_tls *server, *client, *known, *strict;
    struct link l;
    char byte;

    authority_begin();
    authority_issue("a", "DNS:a.test", -1, 1, 0);
    authority_issue("b", "DNS:b.test", -1, 1, 0);
    authority_issue("client", "email:a@here.test", -1, 10, 0);
    for_a = server_config("a");
    for_b = server_config("b");
    strict = mutual_config(true, "b");
    kit_assert_code(
        weft_tls_server(&server, .choose = choose, .arg = "argument"), 0);
    known = mutual_config(false, "client");
    client = client_config();
    // sessions of both, under one key
    static const char *const hosts[] = {"a.test", "b.test"};
    weft_tls *easy = for_b;
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            for_b = strict;
        connect_in_memory(&l, i < 2 ? client : known, server, hosts[i % 2]);
        ck_assert_msg(l.code == 0, "%s: %s", hosts[i % 2], l.why);
        kit_assert_code(weft_tls_info(l.server.stream, &info), 0);
        ck_assert_int_eq(info.verified, i == 3);
        ck_assert_str_eq(info.host, hosts[i % 2]);
        say(l.server.stream, "x");
        hear(l.client, "x");
        close_link(&l);
    }
    // has none, but a session of b's from when it did not ask
    connect_in_memory(&l, client, server, "b.test");
    ck_assert_int_lt(l.server.code, 0);
    if (l.code == 0)
        ck_assert_int_lt(weft_stream_read(l.client, &byte, 1), 0);
    close_link(&l);
    // whose session is b's own
    connect_in_memory(&l, known, server, "b.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    kit_assert_code(weft_tls_info(l.server.stream, &info), 0);
    ck_assert(info.resumed && info.verified);
    close_link(&l);
    weft_tls_unref(server);
    weft_tls_unref(client);
    weft_tls_unref(known);
    weft_tls_unref(strict);
    weft_tls_unref(easy);
    weft_tls_unref(for_a);
}

static void check_protocol(const char *client_has, const char *server_has,
                           const char *chosen)
{
    struct weft_tls_info info = {.size = sizeof(info)};
    weft_tls *client, *server;
    struct link l;

    kit_assert_code(weft_tls_client(&client, .protocols = client_has,
                                    .authorities = authority_path("ca.pem")),
                    0);
    kit_assert_code(weft_tls_server(&server,
                                    .certificate = authority_path("server.pem"),
                                    .key = authority_path("server.key"),
                                    .protocols = server_has),
                    0);
    connect_in_memory(&l, client, server, "here.test");
    if (chosen == NULL) {
        kit_assert_code(l.code, -WEFT_ETLS);
        ck_assert_msg(strstr(l.why, "protocol"), "%s", l.why);
    } else {
        ck_assert_msg(l.code == 0, "%s", l.why);
        kit_assert_code(weft_tls_info(l.client, &info), 0);
        ck_assert_str_eq(info.protocol, chosen);
        kit_assert_code(weft_tls_info(l.server.stream, &info), 0);
        ck_assert_str_eq(info.protocol, chosen);
    }
    close_link(&l);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

KIT_TASK(protocols_are_agreed_on)
{
    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    check_protocol("http/1.1,h2", "h2,http/1.1", "h2");
    check_protocol("http/1.1", "h2,http/1.1", "http/1.1");
    check_protocol("spdy", "h2,http/1.1", NULL);
    check_protocol(NULL, "h2", "");
    check_protocol("h2", NULL, "");
}

KIT_TASK(certificates_of_clients)
{
    weft_tls *server, *client, *anonymous;
    struct weft_tls_info info = {.size = sizeof(info)};
    struct link l;
    char byte;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    authority_issue("client", "email:a@here.test", -1, 10, 0);
    server = mutual_config(true, "server");
    client = mutual_config(false, "client");
    connect_in_memory(&l, client, server, "here.test");
    ck_assert_msg(l.code == 0, "%s", l.why);
    kit_assert_code(weft_tls_info(l.server.stream, &info), 0);
    ck_assert(info.verified);
    close_link(&l);
    // In TLS 1.3 the client hears of it when it reads.
    anonymous = client_config();
    connect_in_memory(&l, anonymous, server, "here.test");
    kit_assert_code(l.server.code, -WEFT_ETLS);
    if (l.code == 0)
        kit_assert_code(weft_stream_read(l.client, &byte, 1), -WEFT_ETLS);
    close_link(&l);
    weft_tls_unref(server);
    weft_tls_unref(client);
    weft_tls_unref(anonymous);
}

KIT_TASK(sessions_are_resumed)
{
    struct weft_tls_info info = {.size = sizeof(info)};
    struct link l;

    authority_begin();
    authority_issue("server", "DNS:here.test,DNS:other.test", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    for (int i = 0; i < 4; i++) {
        // the last one has another key
        connect_in_memory(&l, client, server,
                          i < 3 ? "here.test" : "other.test");
        ck_assert_msg(l.code == 0, "%s", l.why);
        kit_assert_code(weft_tls_info(l.client, &info), 0);
        ck_assert_int_eq(info.resumed, i == 1 || i == 2);
        ck_assert(info.verified);
        say(l.server.stream, "x"); // the session comes before it
        hear(l.client, "x");
        close_link(&l);
    }
    weft_tls_unref(client);
    weft_tls_unref(server);
}

// Over the network ------------------------------------------------------------

struct server {
    weft_listener *listener;
    weft_tls *tls;
    int failures, failure;
};

static int echo(weft_stream *stream, void *arg)
{
    char buf[3000];
    ssize_t n;

    (void)arg;
    while ((n = weft_stream_read(stream, buf, sizeof(buf))) > 0) {
        n = weft_stream_write(stream, buf, (size_t)n);
        if (n < 0)
            break;
    }
    return (int)n;
}

static void note(int code, const struct weft_address *peer, void *arg)
{
    struct server *s = arg;

    ck_assert_int_eq(peer->storage.ss_family, AF_INET);
    s->failures++;
    s->failure = code;
}

static int serve(void *arg)
{
    struct server *s = arg;

    return weft_tls_serve(s->listener, s->tls, echo, s, .on_failure = note);
}

static uint16_t port_of(weft_listener *l)
{
    struct weft_address address;

    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    return weft_address_port(&address);
}

struct flood {
    weft_stream *stream;
    char *bytes;
    size_t size;
};

static int flood(void *arg)
{
    struct flood *f = arg;
    ssize_t n = weft_stream_write(f->stream, f->bytes, f->size);

    return n < 0 ? (int)n : weft_stream_shutdown(f->stream);
}

// Both directions at once, in tasks or on two threads.
KIT_BOTH(much_both_ways_at_once, .timeout = 30)
{
    enum { SIZE = 2000000 };
    struct server s = {0};
    char *bytes = malloc(SIZE), *got = malloc(SIZE);
    weft_stream *stream;

    authority_begin();
    authority_issue("server", "IP:127.0.0.1", -1, 10, 0);
    weft_tls *client = client_config();
    s.tls = server_config("server");
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s.listener), 0);
    weft_future *serving = weft_task_start(serve, &s);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 17 + i / 1001);
    for (int round = 0; round < 2; round++) {
        kit_assert_code(
            weft_tls_connect(client, "127.0.0.1", port_of(s.listener), &stream),
            0);
        struct flood f = {stream, bytes, SIZE};
        weft_future *writer =
            round ? weft_thread_start(flood, &f) : weft_task_start(flood, &f);
        kit_assert_code(weft_stream_read_exactly(stream, got, SIZE), SIZE);
        ck_assert_int_eq(memcmp(got, bytes, SIZE), 0);
        hear_end(stream);
        kit_assert_code(weft_join(writer), 0);
        kit_assert_code(weft_stream_close(stream), 0);
    }
    weft_listener_stop(s.listener);
    kit_assert_code(weft_join(serving), 0);
    ck_assert_int_eq(s.failures, 0);
    weft_listener_close(s.listener);
    weft_tls_unref(client);
    weft_tls_unref(s.tls);
    free(bytes);
    free(got);
}

KIT_BOTH(peers_that_speak_no_tls, .timeout = 20)
{
    static const char *const lines[] = {"GET / HTTP/1.0\r\n\r\n", "\n", "",
                                        "\x16\x03\x01\xff\xff\x01\x01"};
    struct server s = {0};
    weft_stream *stream;
    char buf[100], why[200];

    authority_begin();
    authority_issue("server", "DNS:localhost", -1, 10, 0);
    weft_tls *client = client_config();
    s.tls = server_config("server");
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s.listener), 0);
    weft_future *serving = weft_task_start(serve, &s);
    for (int i = 0; i < 4; i++) {
        kit_assert_code(
            weft_tcp_connect("127.0.0.1", port_of(s.listener), &stream), 0);
        say(stream, lines[i]);
        kit_assert_code(weft_stream_shutdown(stream), 0);
        while (weft_stream_read(stream, buf, sizeof(buf)) > 0)
            continue;
        kit_assert_code(weft_stream_close(stream), 0);
    }
    kit_assert_code(weft_tls_connect(client, "localhost", port_of(s.listener),
                                     &stream, .why = why,
                                     .why_size = sizeof(why)),
                    0);
    say(stream, "those who do are served");
    hear(stream, "those who do are served");
    kit_assert_code(weft_stream_close(stream), 0);
    weft_listener_stop(s.listener);
    kit_assert_code(weft_join(serving), 0);
    ck_assert_int_eq(s.failures, 4);
    ck_assert_msg(s.failure == -WEFT_ETLS || s.failure == -WEFT_EENDED, "%s",
                  weft_error_name(s.failure));
    kit_assert_code(weft_tls_connect(client, "127.0.0.1", 1, &stream,
                                     .why = why, .why_size = sizeof(why)),
                    -ECONNREFUSED);
    ck_assert_str_ne(why, "");
    weft_listener_close(s.listener);
    weft_tls_unref(client);
    weft_tls_unref(s.tls);
}

// In the middle of a conversation ---------------------------------------------

KIT_BOTH(tls_in_the_middle_of_a_conversation)
{
    weft_stream *pair[2];
    struct half server;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config();
    stream_socket_pair(pair);
    say(pair[0], "STARTTLS\n");
    hear(pair[1], "STARTTLS\n");
    say(pair[1], "OK\n");
    hear(pair[0], "OK\n");
    server = (struct half){server_config("server"), pair[1], 0, NULL};
    server.task = weft_task_start(accept_tls, &server);
    kit_assert_code(weft_tls_start(client, &pair[0], .host = "here.test"), 0);
    kit_assert_code(weft_join(server.task), 0);
    kit_assert_code(server.code, 0);
    say(pair[0], "secret");
    hear(server.stream, "secret");
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(server.stream), 0);
    weft_tls_unref(server.tls);
    // What came before TLS began is nobody's secret: it is refused.
    stream_socket_pair(pair);
    say(pair[0], "OK\nevil\n");
    hear(pair[1], "OK\n");
    // If it has not been read yet it is taken for TLS, which it is not.
    int rc = weft_tls_start(client, &pair[1], .host = "here.test");
    ck_assert_msg(rc == -WEFT_EPROTO || rc == -WEFT_ETLS, "%d", rc);
    stream_close_both(pair);
    weft_tls_unref(client);
}

KIT_BOTH(deadlines_and_cuts, .timeout = 20)
{
    struct link l;
    weft_stream *pair[2];
    char byte;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    // a peer that says nothing
    kit_assert_code(weft_stream_pair(pair), 0);
    kit_assert_code(
        weft_tls_start(client, &pair[0], .host = "here.test", .timeout = 0.02),
        -ETIMEDOUT);
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_tls_start(client, &pair[0], .host = "here.test"),
                        -ETIMEDOUT);
    }
    stream_close_both(pair);
    // a deadline while reading loses nothing
    connect_in_memory(&l, client, server, "here.test");
    kit_assert_code(l.code, 0);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_read(l.client, &byte, 1), -ETIMEDOUT);
    }
    say(l.server.stream, "later");
    hear(l.client, "later");
    // and one while writing leaves the connection whole
    static char much[300000];
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_write(l.client, much, sizeof(much)),
                        -ETIMEDOUT);
    }
    struct peer peer = {.stream = l.client, .text = "after", .end = true};
    peer_start(&peer);
    size_t n = 0;
    char last[6] = "";
    while (weft_stream_read(l.server.stream, &byte, 1) > 0) {
        memmove(last, last + 1, 4);
        last[4] = byte;
        n++;
    }
    peer_join(&peer);
    ck_assert_str_eq(last, "after");
    ck_assert_uint_lt(n, sizeof(much));
    // a connection that is cut is no end
    kit_assert_code(weft_stream_abort(l.server.stream), 0);
    kit_assert_code(weft_stream_read(l.client, &byte, 1), -ECONNRESET);
    kit_assert_code(weft_stream_close(l.client), 0);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

// The stream below ends without TLS's own end.
KIT_TASK(an_end_that_was_not_announced)
{
    weft_stream *pair[2], *raw;
    struct half server;
    char byte;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config();
    kit_assert_code(weft_stream_pair(pair), 0);
    raw = pair[1];
    server = (struct half){server_config("server"), pair[1], 0, NULL};
    server.task = weft_task_start(accept_tls, &server);
    kit_assert_code(weft_tls_start(client, &pair[0], .host = "here.test"), 0);
    kit_assert_code(weft_join(server.task), 0);
    kit_assert_code(weft_stream_shutdown(raw), 0);
    kit_assert_code(weft_stream_read(pair[0], &byte, 1), -WEFT_EENDED);
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(server.stream), 0);
    weft_tls_unref(client);
    weft_tls_unref(server.tls);
}

// Layers ----------------------------------------------------------------------

KIT_TASK(tls_within_tls)
{
    struct link l;
    struct weft_tls_info info = {.size = sizeof(info)};

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config(), *server = server_config("server");
    connect_in_memory(&l, client, server, "here.test");
    kit_assert_code(l.code, 0);
    l.server.task = weft_task_start(accept_tls, &l.server);
    kit_assert_code(weft_tls_start(client, &l.client, .host = "here.test"), 0);
    kit_assert_code(weft_join(l.server.task), 0);
    kit_assert_code(l.server.code, 0);
    kit_assert_code(weft_tls_info(l.client, &info), 0);
    say(l.client, "twice");
    hear(l.server.stream, "twice");
    kit_assert_code(weft_stream_close(l.client), 0);
    hear_end(l.server.stream);
    kit_assert_code(weft_stream_close(l.server.stream), 0);
    weft_tls_unref(client);
    weft_tls_unref(server);
}

// One byte at a time, both ways.
struct torn {
    weft_stream base;
    weft_stream *below;
};

static ssize_t torn_read(weft_stream *s, void *buf, size_t size)
{
    (void)size;
    return weft_stream_read(((struct torn *)s)->below, buf, 1);
}

static ssize_t torn_write(weft_stream *s, const void *buf, size_t size)
{
    (void)size;
    return weft_stream_write(((struct torn *)s)->below, buf, 1);
}

static int torn_close(weft_stream *s)
{
    return weft_stream_close(((struct torn *)s)->below);
}

static const struct weft_stream_ops torn_ops = {
    .size = sizeof(torn_ops),
    .kind = "torn",
    .read = torn_read,
    .write = torn_write,
    .close = torn_close,
};

KIT_TASK(a_peer_that_dribbles, .timeout = 20)
{
    weft_stream *pair[2];
    struct torn torn[2];
    struct half server;
    static char much[40000], got[40000];

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config();
    kit_assert_code(weft_stream_pair(pair), 0);
    for (int i = 0; i < 2; i++) {
        weft_stream_init(&torn[i].base, &torn_ops);
        torn[i].below = pair[i];
        pair[i] = &torn[i].base;
    }
    server = (struct half){server_config("server"), pair[1], 0, NULL};
    server.task = weft_task_start(accept_tls, &server);
    kit_assert_code(weft_tls_start(client, &pair[0], .host = "here.test"), 0);
    kit_assert_code(weft_join(server.task), 0);
    memset(much, 'm', sizeof(much));
    struct peer peer = {.stream = pair[0], .text = much, .size = sizeof(much)};
    peer_start(&peer);
    kit_assert_code(weft_stream_read_exactly(server.stream, got, sizeof(got)),
                    sizeof(got));
    ck_assert_int_eq(memcmp(got, much, sizeof(got)), 0);
    peer_join(&peer);
    kit_assert_code(weft_stream_close(pair[0]), 0);
    hear_end(server.stream);
    kit_assert_code(weft_stream_close(server.stream), 0);
    weft_tls_unref(client);
    weft_tls_unref(server.tls);
}

KIT_TASK(garbage_in_the_middle)
{
    weft_stream *pair[2], *raw;
    struct half server;
    char byte;

    authority_begin();
    authority_issue("server", "DNS:here.test", -1, 10, 0);
    weft_tls *client = client_config();
    kit_assert_code(weft_stream_pair(pair), 0);
    raw = pair[0];
    server = (struct half){server_config("server"), pair[1], 0, NULL};
    server.task = weft_task_start(accept_tls, &server);
    kit_assert_code(weft_tls_start(client, &pair[0], .host = "here.test"), 0);
    kit_assert_code(weft_join(server.task), 0);
    say(raw, "this is no record of TLS");
    kit_assert_code(weft_stream_read(server.stream, &byte, 1), -WEFT_ETLS);
    kit_assert_code(weft_stream_read(server.stream, &byte, 1), -WEFT_ETLS);
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(server.stream), 0);
    weft_tls_unref(client);
    weft_tls_unref(server.tls);
}

WEFT_TEST_MAIN("tls")
