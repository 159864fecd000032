// SPDX-License-Identifier: MIT
#include "net_test.h"
#include "refuse.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

// A server in a task (or thread) of its own, and what it has seen.
struct server {
    weft_listener *listener;
    uint16_t port;
    weft_handler *handler;
    size_t limit;
    double grace;
    int served, now, most; // connections: ended, at present, at most at once
    int failures, failure;
    uint16_t failed; // the port of the peer
    weft_future *task;
};

static void note_failure(int code, const struct weft_address *peer, void *arg)
{
    struct server *s = arg;

    s->failures++;
    s->failure = code;
    s->failed = weft_address_port(peer);
}

static int server_body(void *arg)
{
    struct server *s = arg;

    return weft_serve(s->listener, s->handler, s, .limit = s->limit,
                      .grace = s->grace, .on_failure = note_failure,
                      .name = "test");
}

static void server_start(struct server *s)
{
    struct weft_address address;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s->listener), 0);
    kit_assert_code(weft_listener_address(s->listener, 0, &address), 0);
    s->port = weft_address_port(&address);
    s->task = weft_task_start(server_body, s);
}

static void server_end(struct server *s, int code)
{
    kit_assert_code(weft_join(s->task), code);
    weft_listener_close(s->listener);
}

static weft_stream *client(struct server *s)
{
    weft_stream *stream;

    kit_assert_code(weft_tcp_connect("127.0.0.1", s->port, &stream), 0);
    return stream;
}

// Sends each line back.
static int echo(weft_stream *stream, void *arg)
{
    struct server *s = arg;
    char line[100];
    ssize_t n;
    int now = __atomic_add_fetch(&s->now, 1, __ATOMIC_SEQ_CST);

    if (now > s->most)
        s->most = now;
    while ((n = weft_stream_read_line(stream, line, sizeof(line))) > 0) {
        n = weft_stream_write(stream, line, (size_t)n);
        if (n < 0)
            break;
    }
    __atomic_sub_fetch(&s->now, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&s->served, 1, __ATOMIC_SEQ_CST);
    return (int)n;
}

static void exchange(weft_stream *stream)
{
    say(stream, "hello\n");
    hear(stream, "hello\n");
}

KIT_BOTH(serve_and_stop)
{
    struct server s = {.handler = echo};
    weft_stream *clients[10];

    server_start(&s);
    for (int i = 0; i < 10; i++)
        clients[i] = client(&s);
    for (int i = 9; i >= 0; i--)
        exchange(clients[i]);
    weft_listener_stop(s.listener);
    weft_listener_stop(s.listener);
    // those who are served go on
    for (int i = 0; i < 10; i++) {
        exchange(clients[i]);
        kit_assert_code(weft_stream_close(clients[i]), 0);
    }
    kit_assert_code(weft_join(s.task), 0);
    ck_assert_int_eq(s.served, 10);
    weft_stream *late;
    kit_assert_code(weft_tcp_connect("127.0.0.1", s.port, &late),
                    -ECONNREFUSED);
    kit_assert_code(weft_serve(s.listener, echo, &s), -WEFT_ECLOSED);
    kit_assert_code(weft_listener_accept(s.listener, &late, NULL),
                    -WEFT_ECLOSED);
    weft_listener_close(s.listener);
}

KIT_BOTH(a_cancel_ends_the_server_and_its_handlers)
{
    struct server s = {.handler = echo};

    server_start(&s);
    weft_stream *stream = client(&s);
    exchange(stream);
    weft_cancel(s.task);
    kit_assert_code(weft_join(s.task), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(s.served, 1);
    hear_end(stream);
    kit_assert_code(weft_stream_close(stream), 0);
    // the listener itself is as before, and can be served again
    s.task = weft_task_start(server_body, &s);
    stream = client(&s);
    exchange(stream);
    kit_assert_code(weft_stream_close(stream), 0);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
}

KIT_BOTH(a_deadline_ends_the_server)
{
    struct server s = {.handler = echo};

    weft_listener *l;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l), 0);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_serve(l, echo, &s), -ETIMEDOUT);
    }
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_serve(l, echo, &s), -ETIMEDOUT);
    }
    weft_listener_close(l);
}

KIT_BOTH(patience_after_a_stop_has_an_end)
{
    struct server s = {.handler = echo, .grace = 0.01};

    server_start(&s);
    weft_stream *stream = client(&s);
    exchange(stream);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    hear_end(stream);
    kit_assert_code(weft_stream_close(stream), 0);
}

// Sends each line back, and hears of a stop between two of them.
static int echo_until_the_stop(weft_stream *stream, void *arg)
{
    struct server *s = arg;
    char line[100];
    ssize_t n;

    while ((n = weft_listener_await(s->listener, stream)) > 0) {
        kit_count(&s->now);
        n = weft_stream_read_line(stream, line, sizeof(line));
        if (n <= 0)
            break;
        n = weft_stream_write(stream, line, (size_t)n);
        if (n < 0)
            break;
    }
    ck_assert_int_eq((int)n, -WEFT_ECLOSED);
    kit_count(&s->served);
    return 0;
}

// Those who have nothing to do leave at once, one that is in the middle of a
// request gets its answer first.
KIT_BOTH(a_stop_ends_those_who_await)
{
    struct server s = {.handler = echo_until_the_stop, .grace = INFINITY};
    weft_stream *clients[4];

    server_start(&s);
    for (int i = 0; i < 4; i++) {
        clients[i] = client(&s);
        exchange(clients[i]);
    }
    say(clients[0], "hel");
    while (kit_load(&s.now) < 5)
        weft_yield();
    weft_listener_stop(s.listener);
    for (int i = 1; i < 4; i++)
        hear_end(clients[i]);
    say(clients[0], "lo\n");
    hear(clients[0], "hello\n");
    hear_end(clients[0]);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_stream_close(clients[i]), 0);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, 4);
}

KIT_BOTH(a_limit_of_connections)
{
    enum { CLIENTS = 20, LIMIT = 3 };
    struct server s = {.handler = echo, .limit = LIMIT};
    weft_stream *clients[CLIENTS];

    server_start(&s);
    for (int i = 0; i < CLIENTS; i++) { // the kernel's queue takes them
        clients[i] = client(&s);
        say(clients[i], "hello\n");
    }
    for (int i = 0; i < CLIENTS; i++) { // served in the order of coming
        hear(clients[i], "hello\n");
        kit_assert_code(weft_stream_close(clients[i]), 0);
    }
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, CLIENTS);
    ck_assert_int_le(s.most, LIMIT);
}

static int fails(weft_stream *stream, void *arg)
{
    char line[8];

    (void)arg;
    return weft_stream_read_line(stream, line, sizeof(line)) == 2 ? -EDOM : 0;
}

KIT_BOTH(a_handler_that_fails_harms_nobody)
{
    struct server s = {.handler = fails};

    server_start(&s);
    weft_stream *a = client(&s), *b = client(&s);
    struct weft_address failed;

    kit_assert_code(weft_stream_local(a, &failed), 0);
    say(a, "1\n");
    hear_end(a);
    say(b, "10\n");
    hear_end(b);
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.failures, 1);
    kit_assert_code(s.failure, -EDOM);
    ck_assert_uint_eq(s.failed, weft_address_port(&failed));
}

static int told; // atomic: the last failure

static void tell(int code, const char *text)
{
    ck_assert_ptr_nonnull(strstr(text, "handler"));
    __atomic_store_n(&told, code, __ATOMIC_RELEASE); // for who waits for it
}

static int failure; // atomic: what the next one gives

static int fails_so(weft_stream *stream, void *arg)
{
    char line[10];
    (void)arg;
    ssize_t n = weft_stream_read_line(stream, line, sizeof line);
    return n < 0 ? (int)n : kit_load(&failure);
}

static int serve_quietly(void *arg)
{
    return weft_serve(((struct server *)arg)->listener, fails_so, arg);
}

KIT_BOTH(a_failure_that_nobody_asked_for_is_reported)
{
    struct server s = {.handler = fails};
    struct weft_address address;

    weft_on_unobserved(tell);
    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s.listener), 0);
    kit_assert_code(weft_listener_address(s.listener, 0, &address), 0);
    s.port = weft_address_port(&address);
    s.task = weft_task_start(serve_quietly, &s);
    static const int codes[] = {-EDOM, -ENOMEM};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        __atomic_store_n(&failure, codes[i], __ATOMIC_RELEASE);
        weft_stream *a = client(&s);
        say(a, "1\n");
        hear_end(a);
        kit_assert_code(weft_stream_close(a), 0);
        while (kit_load(&told) != codes[i])
            weft_yield();
    }
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    weft_on_unobserved(NULL);
}

// More connections than there are descriptors: all are served in the end, and
// those that are served already do not notice.
KIT_BOTH(no_descriptors_left, .timeout = 20)
{
    enum { CLIENTS = 30, ROOM = 12 };
    struct server s = {.handler = echo};
    struct rlimit limit, small;
    struct weft_address to;
    weft_stream *clients[CLIENTS];
    int fds[CLIENTS], told = temporary_file(0);
    char text[4096] = "";

    // The clients have their descriptors; few are left for the server.
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = limit;
    small.rlim_cur = (rlim_t)fds[CLIENTS - 1] + ROOM;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    fflush(stderr);
    ck_assert_int_eq(dup2(told, STDERR_FILENO), STDERR_FILENO);
    server_start(&s);
    kit_assert_code(weft_address_parse(&to, "127.0.0.1", s.port), 0);
    for (int i = 0; i < CLIENTS; i++) {
        kit_assert_code(
            weft_connect(fds[i], (struct sockaddr *)&to.storage, to.len), 0);
        kit_assert_code(weft_stream_open(fds[i], &clients[i]), 0);
    }
    exchange(clients[0]);
    for (int i = 1; i < CLIENTS; i++) {
        exchange(clients[0]);
        say(clients[i], "hello\n");
        hear(clients[i], "hello\n");
        kit_assert_code(weft_stream_close(clients[i]), 0);
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    kit_assert_code(weft_stream_close(clients[0]), 0);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, CLIENTS);
    ck_assert_int_lt(s.most, CLIENTS);
    // that it is short of descriptors is told, and once
    ck_assert_int_gt(pread(told, text, sizeof(text) - 1, 0), 0);
    static const char word[] = "no descriptor or memory for a connection";
    const char *first = strstr(text, word);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, word));
    close(told);
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static int stop_it(void *arg)
{
    weft_sleep(0.1);
    weft_listener_stop(arg);
    return 0;
}

// A refusal that lasts is no reason to spin, nor to give up; and others who
// run on this thread are not disturbed.
static int serve_while_refused(void *arg)
{
    static const char *const more[] = {"127.0.0.4"};
    struct server s = {.handler = echo};
    struct weft_address address;
    weft_listener *l;
    weft_stream *peer, *accepted;

    (void)arg;
    for (size_t also = 0; also < 2; also++) {
        kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l, .also = more,
                                        .also_count = also),
                        0);
        kit_assert_code(weft_listener_address(l, 0, &address), 0);
        kit_assert_code(weft_address_connect(&address, &peer), 0);
        if (also == 0)
            kit_refuse(SYS_accept4, EPERM);
        double before = cpu_seconds();
        {
            WEFT_TIMEOUT(0.5);
            kit_assert_code(weft_serve(l, echo, &s), -ETIMEDOUT);
        }
        {
            WEFT_TIMEOUT(0.5);
            kit_assert_code(weft_listener_accept(l, &accepted, NULL),
                            -ETIMEDOUT);
        }
        ck_assert_double_lt(cpu_seconds() - before, 0.5);
        weft_future *stopper = weft_task_start(stop_it, l);
        kit_assert_code(weft_serve(l, echo, &s), 0);
        kit_assert_code(weft_join(stopper), 0);
        weft_listener_close(l);
        kit_assert_code(weft_stream_close(peer), 0);
    }
    return 0;
}

static void serve_refused(void)
{
    setenv("WEFT_BACKEND", "epoll", 1); // a ring's accept is no call of ours
    exit(weft_run(serve_while_refused, NULL));
}

WEFT_TEST(accept_is_refused_for_long, .timeout = 20)
{
    char text[1024];
    int status = kit_child(serve_refused, text, sizeof(text));

    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", text);
    ck_assert_msg(strstr(text, "EPERM") != NULL, "%s", text);
}

// What can never pass ends it.
KIT_BOTH(a_socket_that_listens_no_more)
{
    struct server s = {.handler = echo};
    struct weft_address address;
    weft_stream *peer;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    kit_assert_code(weft_address_parse(&address, "127.0.0.1", 0), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address.storage, address.len),
                     0);
    ck_assert_int_eq(listen(fd, 4), 0);
    kit_assert_code(weft_listener_open(fd, &s.listener), 0);
    kit_assert_code(weft_listener_address(s.listener, 0, &address), 0);
    s.task = weft_task_start(server_body, &s);
    kit_assert_code(weft_address_connect(&address, &peer), 0);
    exchange(peer);
    ck_assert_int_eq(shutdown(fd, SHUT_RD), 0);
    kit_assert_code(weft_join(s.task), -EINVAL);
    kit_assert_code(weft_stream_close(peer), 0);
    weft_listener_close(s.listener);
}

static int come_in(void *arg)
{
    const struct weft_address *to = arg;
    weft_stream *stream;

    kit_assert_code(weft_address_connect(to, &stream), 0);
    exchange(stream);
    exchange(stream);
    return weft_stream_close(stream);
}

// The limit is that of the server, not of each of its sockets.
KIT_BOTH(a_limit_for_several_sockets, .timeout = 20)
{
    static const char *const more[] = {"127.0.0.4", "127.0.0.5"};
    struct weft_address at[3];
    weft_future *clients[9];
    struct server s = {.handler = echo, .limit = 2};

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &s.listener, .also = more,
                                    .also_count = 2),
                    0);
    for (size_t i = 0; i < 3; i++)
        kit_assert_code(weft_listener_address(s.listener, i, &at[i]), 0);
    s.task = weft_task_start(server_body, &s);
    for (int i = 0; i < 9; i++)
        clients[i] = weft_task_start(come_in, &at[i % 3]);
    for (int i = 0; i < 9; i++)
        kit_assert_code(weft_join(clients[i]), 0);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, 9);
    ck_assert_int_le(s.most, 2);
}

static int serve_several(void *arg)
{
    static const char *const more[] = {"127.0.0.4"};
    weft_listener *l;
    struct server s = {.handler = echo};
    struct weft_address address;

    (void)arg;
    kit_assert_code(
        weft_tcp_listen("127.0.0.1", 0, &l, .also = more, .also_count = 1), 0);
    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    s.listener = l;
    s.port = weft_address_port(&address);
    s.task = weft_task_start(server_body, &s);
    for (int i = 0; i < 10; i++) {
        weft_stream *stream;

        kit_assert_code(weft_tcp_connect(i % 2 ? "127.0.0.1" : "127.0.0.4",
                                         s.port, &stream),
                        0);
        exchange(stream);
        kit_assert_code(weft_stream_close(stream), 0);
    }
    weft_listener_stop(l);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, 10);
    return 0;
}

WEFT_TEST(several_sockets_and_several_workers)
{
    for (unsigned workers = 1; workers < 4; workers++)
        kit_assert_code(weft_run(serve_several, NULL, .workers = workers), 0);
}

// Peers that behave badly -----------------------------------------------------

static int read_small_lines(weft_stream *stream, void *arg)
{
    struct server *s = arg;
    char line[1000];
    ssize_t n;

    do
        n = weft_stream_read_line(stream, line, sizeof(line));
    while (n > 0);
    __atomic_add_fetch(&s->served, 1, __ATOMIC_SEQ_CST);
    return (int)n;
}

static int write_for_ever(weft_stream *stream, void *arg)
{
    static char bytes[65536];
    ssize_t n;

    (void)arg;
    WEFT_TIMEOUT(0.05);
    do
        n = weft_stream_write(stream, bytes, sizeof(bytes));
    while (n > 0);
    return n == -ETIMEDOUT ? -EDOM : (int)n;
}

KIT_BOTH(a_line_without_an_end)
{
    static char much[1 << 20];
    struct server s = {.handler = read_small_lines};
    ssize_t n = 0;

    memset(much, 'x', sizeof(much));
    server_start(&s);
    weft_stream *stream = client(&s);
    for (int i = 0; i < 1024 && n >= 0; i++) // a GiB, if anybody took it
        n = weft_stream_write(stream, much, sizeof(much));
    ck_assert_int_lt(n, 0);
    kit_assert_code(weft_stream_close(stream), 0);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.served, 1);
    kit_assert_code(s.failure, -WEFT_ETOOBIG);
}

KIT_BOTH(a_peer_that_never_reads_meets_a_deadline)
{
    struct server s = {.handler = write_for_ever};
    char byte;

    server_start(&s);
    weft_stream *stream = client(&s);
    kit_assert_code(weft_stream_read(stream, &byte, 1), 1);
    weft_listener_stop(s.listener);
    kit_assert_code(weft_join(s.task), 0);
    kit_assert_code(weft_stream_close(stream), 0);
    weft_listener_close(s.listener);
    kit_assert_code(s.failure, -EDOM);
}

KIT_BOTH(peers_that_close_reset_and_dribble, .timeout = 20)
{
    struct server s = {.handler = read_small_lines};
    weft_stream *stream;

    server_start(&s);
    for (int i = 0; i < 30; i++) {
        stream = client(&s);
        for (int k = 0; k < i; k++)
            say(stream, k % 5 ? "a" : "\n");
        if (i % 3 == 0)
            kit_assert_code(weft_stream_abort(stream), 0);
        else
            kit_assert_code(weft_stream_close(stream), 0);
    }
    kit_await(&s.served, 30);
    weft_listener_stop(s.listener);
    server_end(&s, 0);
    ck_assert_int_eq(s.failures, 0);
}

static void serve_twice(void)
{
    struct server s = {.handler = echo};

    server_start(&s);
    exchange(client(&s));
    weft_serve(s.listener, echo, &s);
}

static void close_while_served(void)
{
    struct server s = {.handler = echo};

    server_start(&s);
    exchange(client(&s));
    weft_listener_close(s.listener);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(serve_twice, "served once at a time");
    kit_assert_aborts(close_while_served, "still served");
}

WEFT_TEST_MAIN("serve")
