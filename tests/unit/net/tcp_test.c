// SPDX-License-Identifier: MIT
#include "net_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

static uint16_t port_of(weft_listener *l)
{
    struct weft_address address;

    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    return weft_address_port(&address);
}

static weft_listener *listen_loopback(uint16_t *port)
{
    weft_listener *l;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l), 0);
    *port = port_of(l);
    return l;
}

static void tcp_pair(weft_stream *pair[2])
{
    uint16_t port;
    weft_listener *l = listen_loopback(&port);

    kit_assert_code(weft_tcp_connect("127.0.0.1", port, &pair[0]), 0);
    kit_assert_code(weft_listener_accept(l, &pair[1], NULL), 0);
    weft_listener_close(l);
}

static int option(weft_stream *s, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    ck_assert_int_eq(getsockopt(weft_stream_fd(s), level, name, &value, &size),
                     0);
    return value;
}

// Addresses -------------------------------------------------------------------

static void check_text(const char *host, uint16_t port, const char *want)
{
    struct weft_address address;
    char text[100];

    kit_assert_code(weft_address_parse(&address, host, port), 0);
    ck_assert_uint_eq(weft_address_text(&address, text, sizeof(text)),
                      strlen(want));
    ck_assert_str_eq(text, want);
    ck_assert_uint_eq(weft_address_port(&address), port);
}

WEFT_TEST(addresses)
{
    struct weft_address address = {0};
    char text[100];

    check_text("127.0.0.1", 80, "127.0.0.1:80");
    check_text("::1", 65535, "[::1]:65535");
    check_text("::ffff:10.1.2.3", 1, "10.1.2.3:1");
    check_text("fe80::1%lo", 2, "[fe80::1]:2");
    static const char *const bad[] = {"",           "localhost", "1.2.3",
                                      "1.2.3.4.5",  "::g",       "127.0.0.1 ",
                                      "::1%nosuch", "[::1]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        kit_assert_code(weft_address_parse(&address, bad[i], 1), -EINVAL);
    address.len = 0;
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, "none");
    kit_assert_code(weft_address_unix(&address, "/run/x", false), 0);
    ck_assert_uint_eq(weft_address_text(&address, text, 4), 6);
    ck_assert_str_eq(text, "/ru");
    kit_assert_code(weft_address_unix(&address, "@x", false), -EINVAL);
    kit_assert_code(weft_address_unix(&address, "", false), -EINVAL);
    kit_assert_code(weft_address_unix(&address, "@x", true), 0);
    ck_assert_uint_eq(address.len, sizeof(sa_family_t) + 2);
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, "@x");
    address.len = sizeof(sa_family_t); // of a socket that has no name
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, "unix:");
    address.storage.ss_family = 77;
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, "family 77");
}

KIT_BOTH(errno_is_left_alone)
{
    static const char *const more[] = {"127.0.0.2"};
    struct weft_address address;
    weft_stream *pair[2];
    weft_listener *l;

    errno = 99;
    kit_assert_code(weft_address_parse(&address, "::1%nosuch", 1), -EINVAL);
    ck_assert_int_eq(errno, 99);
    kit_assert_code(
        weft_tcp_listen("127.0.0.1", 0, &l, .also = more, .also_count = 1), 0);
    kit_assert_code(weft_listener_address(l, 1, &address), 0);
    kit_assert_code(weft_address_connect(&address, &pair[0]), 0);
    // the first one of the two sockets has no connection
    kit_assert_code(weft_listener_accept(l, &pair[1], NULL), 0);
    ck_assert_int_eq(errno, 99);
    stream_close_both(pair);
    weft_listener_close(l);
    ck_assert_int_eq(errno, 99);
}

// Connecting ------------------------------------------------------------------

KIT_BOTH(connect_and_talk)
{
    weft_stream *pair[2];
    struct weft_address local, peer;

    tcp_pair(pair);
    ck_assert_str_eq(weft_stream_kind(pair[0]), "tcp");
    ck_assert_str_eq(weft_stream_kind(pair[1]), "tcp");
    kit_assert_code(weft_stream_local(pair[0], &local), 0);
    kit_assert_code(weft_stream_peer(pair[1], &peer), 0);
    ck_assert_uint_eq(weft_address_port(&local), weft_address_port(&peer));
    // small writes are not held back
    ck_assert_int_ne(option(pair[0], IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_ne(option(pair[1], IPPROTO_TCP, TCP_NODELAY), 0);
    for (int i = 0; i < 20; i++) {
        say(pair[0], "ping");
        hear(pair[1], "ping");
        say(pair[1], "pong");
        hear(pair[0], "pong");
    }
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    hear_end(pair[1]);
    say(pair[1], "still");
    hear(pair[0], "still");
    stream_close_both(pair);
}

KIT_BOTH(socket_options)
{
    weft_listener *l;
    weft_stream *a, *b;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l,
                                    .socket = {.nagle = true, .keepalive = 30}),
                    0);
    kit_assert_code(weft_tcp_connect("127.0.0.1", port_of(l), &a,
                                     .socket = {.send_buffer = 20000,
                                                .receive_buffer = 30000,
                                                .keepalive = 60}),
                    0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    ck_assert_int_eq(option(a, SOL_SOCKET, SO_SNDBUF), 40000);
    ck_assert_int_eq(option(a, SOL_SOCKET, SO_RCVBUF), 60000);
    ck_assert_int_eq(option(a, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    ck_assert_int_eq(option(b, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(option(b, SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(option(b, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    ck_assert_int_eq(option(b, IPPROTO_TCP, TCP_KEEPINTVL), 10);
    ck_assert_int_eq(option(b, IPPROTO_TCP, TCP_KEEPCNT), 3);
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
}

// A port of loopback that nobody listens on.
static uint16_t dead_port(void)
{
    uint16_t port;

    weft_listener_close(listen_loopback(&port));
    return port;
}

KIT_BOTH(connecting_to_nobody)
{
    weft_stream *s = NULL;

    kit_assert_code(weft_tcp_connect("127.0.0.1", dead_port(), &s),
                    -ECONNREFUSED);
    ck_assert_ptr_null(s);
    int fds = weft_test_count_fds();
    kit_assert_code(weft_tcp_connect("127.0.0.1", dead_port(), &s),
                    -ECONNREFUSED);
    kit_assert_code(weft_tcp_connect("127.0.0.1", 1, &s, .family = AF_INET6),
                    -WEFT_ENOHOST);
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_tcp_connect("127.0.0.1", 1, &s), -ETIMEDOUT);
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

// "localhost" is ::1 and 127.0.0.1 where there is IPv6.
KIT_BOTH(a_name_with_several_addresses)
{
    weft_stream *a, *b;
    uint16_t port;
    weft_listener *l = listen_loopback(&port);

    kit_assert_code(weft_tcp_connect("localhost", port, &a), 0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    say(a, "found");
    hear(b, "found");
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
    kit_assert_code(weft_tcp_connect("localhost", port, &a), -ECONNREFUSED);
}

KIT_BOTH(connecting_from_an_address)
{
    weft_stream *a, *b;
    struct weft_address local, peer;
    uint16_t port;
    weft_listener *l = listen_loopback(&port);

    kit_assert_code(weft_address_parse(&local, "127.0.0.9", 0), 0);
    kit_assert_code(weft_tcp_connect("127.0.0.1", port, &a, .local = &local),
                    0);
    kit_assert_code(weft_listener_accept(l, &b, &peer), 0);
    char text[64];
    weft_address_text(&peer, text, sizeof(text));
    ck_assert_msg(strstr(text, "127.0.0.9:") == text, "%s", text);
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
}

KIT_BOTH(a_stream_without_addresses)
{
    struct weft_address address;
    weft_stream *pair[2];
    char text[16];

    kit_assert_code(weft_stream_pair(pair), 0);
    kit_assert_code(weft_stream_peer(pair[0], &address), -EBADF);
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, "none");
    kit_assert_code(weft_stream_local(pair[0], &address), -EBADF);
    ck_assert_uint_eq(address.len, 0);
    stream_close_both(pair);
    kit_assert_code(weft_stream_open(socket(AF_INET, SOCK_STREAM, 0), &pair[0]),
                    0);
    kit_assert_code(weft_stream_peer(pair[0], &address), -ENOTCONN);
    ck_assert_uint_eq(address.len, 0);
    kit_assert_code(weft_stream_local(pair[0], &address), 0);
    kit_assert_code(weft_stream_shutdown(pair[0]), -ENOTCONN);
    kit_assert_code(weft_stream_close(pair[0]), 0);
}

KIT_BOTH(an_address_to_connect_from_that_is_not_here)
{
    weft_stream *a;
    struct weft_address local;
    uint16_t port;
    weft_listener *l = listen_loopback(&port);
    int fds = weft_test_count_fds();

    kit_assert_code(weft_address_parse(&local, "192.0.2.1", 0), 0);
    kit_assert_code(weft_tcp_connect("127.0.0.1", port, &a, .local = &local),
                    -EADDRNOTAVAIL);
    ck_assert_int_eq(weft_test_count_fds(), fds);
    weft_listener_close(l);
}

// Nobody listens there: a socket that connects to its own address would reach
// itself.
static void connect_to_itself(const char *host)
{
    struct weft_address address;
    weft_listener *l;
    weft_stream *s;

    if (weft_tcp_listen(host, 0, &l) < 0)
        return; // without IPv6
    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    weft_listener_close(l);
    kit_assert_code(weft_address_connect(&address, &s), -ECONNREFUSED);
    int fds = weft_test_count_fds(); // the loop has opened its own
    kit_assert_code(weft_address_connect(&address, &s, .local = &address),
                    -ECONNREFUSED);
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

KIT_BOTH(nobody_connects_to_himself)
{
    struct weft_address address;
    weft_listener *l;
    weft_stream *a, *b;
    char own[32], other[32];

    // addresses where no other test looks for a port
    snprintf(own, sizeof(own), "127.1.%d.%d", getpid() >> 8 & 127,
             getpid() & 255);
    snprintf(other, sizeof(other), "127.3%s", own + strlen("127.1"));
    connect_to_itself(own);
    connect_to_itself("::1");
    // the same port of another address is somebody else
    kit_assert_code(weft_tcp_listen(own, 0, &l), 0);
    kit_assert_code(weft_address_parse(&address, other, port_of(l)), 0);
    kit_assert_code(weft_tcp_connect(own, port_of(l), &a, .local = &address),
                    0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    say(a, "x");
    hear(b, "x");
    stream_close_both((weft_stream *[]){a, b});
    weft_listener_close(l);
}

// A listener that answers nobody: its queue of one is full.
static int full_listener(struct sockaddr_in *addr, int fds[8])
{
    socklen_t len = sizeof(*addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *addr = (struct sockaddr_in){.sin_family = AF_INET};
    addr->sin_addr.s_addr = htonl(0x7f000002);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, len), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    for (int i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)addr, len);
    }
    return fd;
}

KIT_BOTH(a_deadline_ends_a_connect)
{
    struct sockaddr_in addr;
    int fds[8], listener = full_listener(&addr, fds);
    weft_stream *s;
    double start = weft_now();

    {
        WEFT_TIMEOUT(0.05);
        kit_assert_code(weft_tcp_connect("127.0.0.2", ntohs(addr.sin_port), &s),
                        -ETIMEDOUT);
    }
    ck_assert_double_lt(weft_now() - start, weft_test_seconds(2));
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    close(listener);
}

// Listening -------------------------------------------------------------------

KIT_BOTH(several_addresses_share_a_port)
{
    static const char *const more[] = {"127.0.0.3", "127.0.0.1"};
    weft_listener *l;
    weft_stream *a, *b;
    struct weft_address address, peer;

    kit_assert_code(
        weft_tcp_listen("127.0.0.1", 0, &l, .also = more, .also_count = 2), 0);
    kit_assert_code(weft_listener_address(l, 1, &address), 0);
    ck_assert_uint_eq(weft_address_port(&address), port_of(l));
    kit_assert_code(weft_listener_address(l, 2, &address), -ENOENT);
    for (int i = 0; i < 4; i++) {
        kit_assert_code(
            weft_tcp_connect(i % 2 ? "127.0.0.1" : "127.0.0.3", port_of(l), &a),
            0);
        kit_assert_code(weft_listener_accept(l, &b, &peer), 0);
        say(a, "x");
        hear(b, "x");
        kit_assert_code(weft_stream_local(b, &address), 0);
        kit_assert_code(weft_stream_close(a), 0);
        kit_assert_code(weft_stream_close(b), 0);
    }
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_listener_accept(l, &b, NULL), -ETIMEDOUT);
    }
    int fds = weft_test_count_fds();
    weft_listener_close(l);
    ck_assert_int_eq(weft_test_count_fds(), fds - 3); // two, and their set
}

KIT_BOTH(if_one_address_cannot_be_had_none_is)
{
    static const char *const more[] = {"192.0.2.1"};
    weft_listener *l = NULL;
    int fds = weft_test_count_fds();

    kit_assert_code(
        weft_tcp_listen("127.0.0.1", 0, &l, .also = more, .also_count = 1),
        -EADDRNOTAVAIL);
    ck_assert_ptr_null(l);
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

// Not even IPv4 alone: who asks for every address wants both.
KIT_BOTH(every_address_but_one_that_is_taken)
{
    struct weft_address any;
    int yes = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    weft_listener *l;

    if (fd < 0)
        weft_test_skip("there is no IPv6");
    kit_assert_code(weft_address_parse(&any, "::", 0), 0);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&any.storage, any.len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any.storage, &any.len),
                     0);
    kit_assert_code(weft_tcp_listen(NULL, weft_address_port(&any), &l),
                    -EADDRINUSE);
    close(fd);
}

KIT_BOTH(every_address)
{
    weft_listener *l;
    weft_stream *a, *b;
    struct weft_address peer;
    char text[64];

    kit_assert_code(weft_tcp_listen(NULL, 0, &l), 0);
    kit_assert_code(weft_tcp_connect("127.0.0.1", port_of(l), &a), 0);
    kit_assert_code(weft_listener_accept(l, &b, &peer), 0);
    weft_address_text(&peer, text, sizeof(text));
    ck_assert_msg(strstr(text, "127.0.0.1:") == text, "%s", text);
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
}

KIT_BOTH(ports_that_are_taken_and_shared)
{
    weft_listener *l, *other;
    uint16_t port;

    l = listen_loopback(&port);
    kit_assert_code(weft_tcp_listen("127.0.0.1", port, &other), -EADDRINUSE);
    kit_assert_code(
        weft_tcp_listen("127.0.0.1", port, &other, .reuse_port = true),
        -EADDRINUSE);
    weft_listener_close(l);
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l, .reuse_port = true), 0);
    kit_assert_code(
        weft_tcp_listen("127.0.0.1", port_of(l), &other, .reuse_port = true),
        0);
    weft_listener_close(l);
    weft_listener_close(other);
    weft_listener_close(NULL);
    kit_assert_code(weft_tcp_listen("192.0.2.1", 0, &l), -EADDRNOTAVAIL);
}

// How many of five connections nobody needs to accept.
static int connections_ahead(weft_listener *l)
{
    weft_stream *streams[5];
    struct weft_address address;
    int n = 0, rc = 0;

    kit_assert_code(weft_address_parse(&address, "127.0.0.1", port_of(l)), 0);
    while (n < 5 && rc == 0) {
        WEFT_TIMEOUT(0.1);
        rc = weft_address_connect(&address, &streams[n]);
        n += rc == 0;
    }
    ck_assert(n == 5 || rc == -ETIMEDOUT);
    for (int i = 0; i < n; i++)
        kit_assert_code(weft_stream_close(streams[i]), 0);
    return n;
}

KIT_BOTH(as_many_wait_as_the_backlog_says)
{
    weft_listener *l;
    int n;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l, .backlog = 1), 0);
    n = connections_ahead(l);
    ck_assert(n == 1 || n == 2); // the kernel has one more than told
    weft_listener_close(l);
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l), 0);
    ck_assert_int_eq(connections_ahead(l), 5);
    weft_listener_close(l);
}

KIT_BOTH(a_listener_from_a_descriptor)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    weft_listener *l;
    socklen_t size = sizeof(addr);
    weft_stream *a[2], *b;

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    kit_assert_code(weft_listener_open(fd, &l), -EINVAL);
    kit_assert_code(weft_listener_open(9999, &l), -EBADF);
    ck_assert_int_eq(listen(fd, 5), 0);
    getsockname(fd, (struct sockaddr *)&addr, &size);
    // one comes before the listener is Weft's, as where a service manager
    // starts the program for it
    kit_assert_code(weft_tcp_connect("127.0.0.1", ntohs(addr.sin_port), &a[0]),
                    0);
    kit_assert_code(weft_listener_open(fd, &l), 0);
    kit_assert_code(weft_tcp_connect("127.0.0.1", port_of(l), &a[1]), 0);
    for (int i = 0; i < 2; i++) {
        kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
        // as from a listener that Weft has made
        ck_assert_int_ne(option(b, IPPROTO_TCP, TCP_NODELAY), 0);
        kit_assert_code(weft_stream_close(a[i]), 0);
        kit_assert_code(weft_stream_close(b), 0);
    }
    weft_listener_close(l);
}

// Faults ----------------------------------------------------------------------

KIT_BOTH(a_reset_is_an_error_and_an_end_is_none)
{
    weft_stream *pair[2];
    char byte;

    tcp_pair(pair);
    say(pair[0], "lost");
    kit_assert_code(weft_stream_abort(pair[0]), 0);
    kit_assert_code(weft_stream_read_exactly(pair[1], (char[8]){0}, 8),
                    -ECONNRESET);
    kit_assert_code(weft_stream_close(pair[1]), 0);

    tcp_pair(pair);
    say(pair[0], "half a mess");
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_read_exactly(pair[1], (char[50]){0}, 50),
                    -WEFT_EENDED);
    hear(pair[1], "half a mess");
    kit_assert_code(weft_stream_read(pair[1], &byte, 1), 0);
    kit_assert_code(weft_stream_close(pair[1]), 0);
}

KIT_BOTH(writing_to_who_has_gone_is_no_signal)
{
    weft_stream *pair[2];
    static char bytes[100000];
    ssize_t n;

    tcp_pair(pair);
    kit_assert_code(weft_stream_close(pair[1]), 0);
    do
        n = weft_stream_write(pair[0], bytes, sizeof(bytes));
    while (n > 0);
    ck_assert_msg(n == -EPIPE || n == -ECONNRESET, "%s",
                  weft_error_name((int)n));
    kit_assert_code(weft_stream_close(pair[0]), 0);
}

static int send_file(void *arg)
{
    ssize_t n =
        weft_stream_sendfile(((weft_stream **)arg)[0],
                             *(int *)((weft_stream **)arg)[2], 0, SIZE_MAX);
    return n < 0 ? (int)n : 0;
}

KIT_BOTH(a_file_goes_through_the_kernel)
{
    enum { SIZE = 3000000 };
    weft_stream *pair[3];
    char *bytes = malloc(SIZE), *got = malloc(SIZE);
    FILE *file = tmpfile();
    int fd = fileno(file);

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 + i / 9999);
    ck_assert_int_eq(fwrite(bytes, 1, SIZE, file), SIZE);
    fflush(file);
    tcp_pair(pair);
    pair[2] = (weft_stream *)&fd;
    weft_future *sender = weft_task_start(send_file, pair);
    kit_assert_code(weft_stream_read_exactly(pair[1], got, SIZE), SIZE);
    ck_assert_int_eq(memcmp(got, bytes, SIZE), 0);
    kit_assert_code(weft_join(sender), 0);
    stream_close_both(pair);
    fclose(file);
    free(bytes);
    free(got);
}

// Messages in pieces of every kind, and in a hurry.
KIT_BOTH(much_in_odd_pieces, .timeout = 20)
{
    enum { SIZE = 1 << 20 };
    weft_stream *pair[2];
    char *bytes = malloc(SIZE), *got = malloc(SIZE);

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 131 + i / 777);
    tcp_pair(pair);
    struct peer peer = {pair[0], bytes, SIZE, .piece = 7777, .end = true};
    peer_start(&peer);
    for (size_t done = 0; done < SIZE;) {
        size_t size = weft_test_random() % 5000 + 1;

        if (size > SIZE - done)
            size = SIZE - done;
        kit_assert_code(weft_stream_read_exactly(pair[1], got + done, size),
                        size);
        done += size;
    }
    ck_assert_int_eq(memcmp(got, bytes, SIZE), 0);
    hear_end(pair[1]);
    peer_join(&peer);
    stream_close_both(pair);
    free(bytes);
    free(got);
}

WEFT_TEST_MAIN("tcp")
