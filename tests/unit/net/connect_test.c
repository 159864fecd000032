// SPDX-License-Identifier: MIT
//
// Hosts with several addresses, and a resolver that takes its time. The door to
// the C library's resolver is here: names mean what a case says.
#include "net_test.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "os/resolve.h"

static const char *answers[8]; // addresses of every name; NULL: their end
static int gate[2] = {-1, -1}; // if it is open: an answer waits for a byte
static int asked, answered;

int wi_os_resolve(const char *host, int family, bool passive,
                  struct weft_address **list)
{
    int n = 0;
    char byte;

    (void)host;
    (void)family;
    (void)passive;
    kit_count(&asked);
    if (gate[0] >= 0 && read(gate[0], &byte, 1) != 1)
        return -EIO;
    *list = calloc(8, sizeof(**list));
    for (; n < 8 && answers[n]; n++)
        weft_address_parse(&(*list)[n], answers[n], 0);
    kit_count(&answered);
    return n > 0 ? n : -WEFT_ENOHOST;
}

int wi_os_resolve_name(const struct weft_address *address, char *host,
                       size_t size)
{
    (void)address;
    snprintf(host, size, "name.test");
    return 0;
}

// One that answers on 127.0.0.1, and, on the same port of 127.0.0.2, one that
// does not: its queue is full.
struct hosts {
    weft_listener *good;
    uint16_t port;
    int bad, clients[8];
};

// The port that is free at the one address may be taken at the other.
static bool share_a_port(struct hosts *h, struct weft_address *at)
{
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &h->good), 0);
    kit_assert_code(weft_listener_address(h->good, 0, at), 0);
    h->port = weft_address_port(at);
    kit_assert_code(weft_address_parse(at, "127.0.0.2", h->port), 0);
    h->bad = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(h->bad, (struct sockaddr *)&at->storage, at->len) == 0)
        return true;
    ck_assert_int_eq(errno, EADDRINUSE);
    close(h->bad);
    weft_listener_close(h->good);
    return false;
}

static void open_hosts(struct hosts *h)
{
    struct weft_address at;

    while (!share_a_port(h, &at))
        continue;
    ck_assert_int_eq(listen(h->bad, 0), 0);
    for (int i = 0; i < 8; i++) {
        h->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(h->clients[i], (struct sockaddr *)&at.storage, at.len);
    }
}

static void close_hosts(struct hosts *h)
{
    for (int i = 0; i < 8; i++)
        close(h->clients[i]);
    close(h->bad);
    weft_listener_close(h->good);
}

static void say_answers(const char *a, const char *b, const char *c)
{
    answers[0] = a;
    answers[1] = b;
    answers[2] = c;
    answers[3] = NULL;
}

static void check_connected(struct hosts *h, weft_stream *s)
{
    weft_stream *other;

    kit_assert_code(weft_listener_accept(h->good, &other, NULL), 0);
    say(s, "hello");
    hear(other, "hello");
    for (int i = 0; i < 30; i++) { // it is read ahead on as any other
        struct peer peer = {.stream = other, .text = "x"};
        peer_start(&peer);
        hear(s, "x");
        peer_join(&peer);
    }
    kit_assert_code(weft_stream_close(s), 0);
    kit_assert_code(weft_stream_close(other), 0);
}

KIT_BOTH(one_that_hangs_does_not_hold_up_the_next)
{
    struct hosts h;
    weft_stream *s;

    open_hosts(&h);
    say_answers("127.0.0.2", "127.0.0.1", NULL);
    kit_assert_code(weft_tcp_connect("host.test", h.port, &s, .stagger = 0.01),
                    0);
    check_connected(&h, s);
    // with the usual head start, too
    kit_assert_code(weft_tcp_connect("host.test", h.port, &s), 0);
    check_connected(&h, s);
    close_hosts(&h);
}

KIT_BOTH(one_that_refuses_is_followed_at_once)
{
    struct hosts h;
    weft_stream *s;

    open_hosts(&h);
    say_answers("127.0.0.3", "127.0.0.4", "127.0.0.1");
    // no head start ever ends: only the refusals let the next one begin
    kit_assert_code(
        weft_tcp_connect("host.test", h.port, &s, .stagger = INFINITY), 0);
    check_connected(&h, s);
    say_answers("::1", "127.0.0.1", NULL);
    kit_assert_code(
        weft_tcp_connect("host.test", h.port, &s, .stagger = INFINITY), 0);
    check_connected(&h, s);
    close_hosts(&h);
}

// Of the addresses of one family only the first comes before the other family.
KIT_BOTH(the_families_take_turns)
{
    struct hosts h;
    weft_listener *six;
    weft_stream *a, *b;
    int rc;

    for (;;) { // for a port that is free there, too
        open_hosts(&h);
        rc = weft_tcp_listen("::1", h.port, &six);
        if (rc == 0)
            break;
        close_hosts(&h);
        if (rc != -EADDRINUSE)
            weft_test_skip("there is no IPv6");
    }
    answers[0] = "127.0.0.3"; // refuses; the next two never answer
    answers[1] = answers[2] = "127.0.0.2";
    answers[3] = "::1";
    answers[4] = NULL;
    kit_assert_code(
        weft_tcp_connect("host.test", h.port, &a, .stagger = INFINITY), 0);
    kit_assert_code(weft_listener_accept(six, &b, NULL), 0);
    say(a, "x");
    hear(b, "x");
    stream_close_both((weft_stream *[]){a, b});
    weft_listener_close(six);
    close_hosts(&h);
}

KIT_BOTH(when_all_fail_it_is_the_code_of_the_first)
{
    struct hosts h;
    weft_stream *s = NULL;

    open_hosts(&h);
    // a socket of loopback reaches no address of the outer world
    struct weft_address local;
    kit_assert_code(weft_address_parse(&local, "127.0.0.1", 0), 0);
    say_answers("127.0.0.3", "127.0.0.4", NULL);
    kit_assert_code(weft_tcp_connect("host.test", h.port, &s), -ECONNREFUSED);
    say_answers("192.0.2.1", "127.0.0.4", NULL);
    int rc = weft_tcp_connect("host.test", h.port, &s, .local = &local);
    ck_assert_msg(rc == -EINVAL || rc == -ENETUNREACH, "%s",
                  weft_error_name(rc));
    say_answers(NULL, NULL, NULL);
    kit_assert_code(weft_tcp_connect("host.test", h.port, &s), -WEFT_ENOHOST);
    ck_assert_ptr_null(s);
    close_hosts(&h);
}

// The second address is the socket's own.
KIT_BOTH(nobody_wins_a_race_to_himself)
{
    struct weft_address own;
    weft_listener *l;
    weft_stream *s;
    char host[32];

    snprintf(host, sizeof(host), "127.2.%d.%d", getpid() >> 8 & 127,
             getpid() & 255);
    kit_assert_code(weft_tcp_listen(host, 0, &l), 0);
    kit_assert_code(weft_listener_address(l, 0, &own), 0);
    weft_listener_close(l);
    say_answers("127.0.0.3", host, NULL);
    kit_assert_code(weft_tcp_connect("host.test", weft_address_port(&own), &s,
                                     .local = &own),
                    -ECONNREFUSED);
}

KIT_BOTH(a_race_that_is_given_up_leaves_nothing_open)
{
    struct hosts h;
    weft_stream *s;

    open_hosts(&h);
    // a race that is won first: it opens what a thread or a loop keeps
    say_answers("127.0.0.2", "127.0.0.1", NULL);
    kit_assert_code(weft_tcp_connect("host.test", h.port, &s, .stagger = 0.005),
                    0);
    check_connected(&h, s);
    say_answers("127.0.0.2", "127.0.0.2", "127.0.0.2");
    for (int i = 0; i < 3; i++) {
        int fds = weft_test_count_fds();
        {
            WEFT_TIMEOUT(0.03);
            kit_assert_code(
                weft_tcp_connect("host.test", h.port, &s, .stagger = 0.005),
                -ETIMEDOUT);
        }
        ck_assert_int_eq(weft_test_count_fds(), fds);
    }
    close_hosts(&h);
}

KIT_BOTH(a_name_that_is_nobodys_cannot_be_listened_on)
{
    static const char *const more[] = {"other.test"};
    weft_listener *l = NULL;

    say_answers(NULL, NULL, NULL);
    kit_assert_code(weft_tcp_listen("host.test", 0, &l), -WEFT_ENOHOST);
    kit_assert_code(
        weft_tcp_listen("127.0.0.1", 0, &l, .also = more, .also_count = 1),
        -WEFT_ENOHOST);
    ck_assert_ptr_null(l);
    ck_assert_int_lt(weft_udp_bind("host.test", 0), 0);
}

// The resolver ----------------------------------------------------------------

// Three parts of the greatest length and one that fills up to `size`.
static void long_name(char *name, size_t size)
{
    memset(name, 'x', size);
    for (size_t i = 63; i < 192; i += 64)
        name[i] = '.';
    name[size] = '\0';
}

KIT_BOTH(names_as_long_as_they_may_be)
{
    struct weft_address list[1];
    char name[300];

    say_answers("192.0.2.7", NULL, NULL);
    long_name(name, 253);
    kit_assert_code(weft_resolve(name, 80, list, 1), 1);
    strcat(name, "."); // the root does not count
    kit_assert_code(weft_resolve(name, 80, list, 1), 1);
    long_name(name, 254);
    kit_assert_code(weft_resolve(name, 80, list, 1), -ENAMETOOLONG);
    memset(name, 'x', 64);
    strcpy(name + 64, ".test");
    kit_assert_code(weft_resolve(name, 80, list, 1), -ENAMETOOLONG);
    kit_assert_code(weft_resolve(name + 1, 80, list, 1), 1);
    ck_assert_int_eq(kit_load(&asked), 3);
}

static int look_up(void *arg)
{
    struct weft_address list[4];

    (void)arg;
    return (int)weft_resolve("slow.test", 80, list, 4);
}

KIT_BOTH(a_resolver_that_hangs_holds_up_nobody_else)
{
    struct weft_address list[2];
    char host[100];

    say_answers("192.0.2.7", NULL, NULL);
    ck_assert_int_eq(pipe(gate), 0);
    do { // one that is given up before it has begun never asks
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_resolve("slow.test", 80, list, 2), -ETIMEDOUT);
    } while (kit_load(&asked) == 0);
    // numbers need no resolver
    kit_assert_code(weft_resolve("127.0.0.1", 80, list, 2), 1);
    int before = kit_load(&asked);
    weft_future *f = weft_task_start(look_up, NULL);
    kit_await(&asked, before + 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    before = kit_load(&asked);
    f = weft_task_start(look_up, NULL);
    kit_await(&asked, before + 1);
    // the threads that are left answer
    kit_assert_code(weft_address_parse(&list[0], "192.0.2.7", 0), 0);
    kit_assert_code(weft_resolve_name(&list[0], host, sizeof(host)), 0);
    ck_assert_str_eq(host, "name.test");
    ck_assert_int_eq(write(gate[1], "enough for them all", 19), 19);
    kit_assert_code(weft_join(f), 1);
    // also those that nobody waits for any more
    kit_await(&answered, kit_load(&asked));
}

// More look-ups than threads: all that are given up before they have begun
// never do.
KIT_TASK(those_that_never_began)
{
    enum { MANY = 30 };
    weft_future *tasks[MANY];

    say_answers("192.0.2.7", NULL, NULL);
    ck_assert_int_eq(pipe(gate), 0);
    for (int i = 0; i < MANY; i++)
        tasks[i] = weft_task_start(look_up, NULL);
    kit_await(&asked, 8);
    for (int i = 0; i < MANY; i++)
        weft_cancel(tasks[i]);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_join(tasks[i]), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(write(gate[1], "12345678", 8), 8);
    kit_await(&answered, 8);
    ck_assert_int_eq(kit_load(&asked), 8);
}

WEFT_TEST_MAIN("connect")
