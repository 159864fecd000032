// SPDX-License-Identifier: MIT
#include "loop_test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

// Connects without Weft and says who it is with one byte.
static int plain_client(const struct sockaddr_in *addr, char name)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (const struct sockaddr *)addr, sizeof(*addr)),
                     0);
    ck_assert_int_eq(write(fd, &name, 1), 1);
    return fd;
}

static char name_of(int fd)
{
    char name = 0;

    ck_assert_int_eq(weft_read(fd, &name, 1), 1);
    return name;
}

LOOP_TEST(connections_come_in_order)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 64), clients[20];
    struct call c = {.fd = listener};

    call_start(&c, call_accept);
    for (int i = 0; i < 20; i++)
        clients[i] = plain_client(&addr, (char)('a' + i));
    for (int i = 0; i < 20; i++) {
        int fd = (int)(i ? weft_accept(listener, NULL, NULL) : call_join(&c));

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(name_of(fd), 'a' + i);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ck_assert_int_eq(weft_close(fd), 0);
        close(clients[i]);
    }
    if (on_uring())
        ck_assert_int_eq(counters().multishot_accept, 20);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

// Takes the next connection of a listener as a stream, and gives its name.
static char take(weft_listener *l)
{
    weft_stream *s;
    char name;

    ck_assert_int_eq(weft_listener_accept(l, &s, NULL), 0);
    name = name_of(weft_stream_fd(s));
    ck_assert_int_eq(weft_stream_close(s), 0);
    return name;
}

static int take_one(void *arg)
{
    return take(arg);
}

// However they come: one by one while somebody waits, many at once, and while
// nobody asks for them, which does not keep the loop awake.
LOOP_TEST(a_listener_of_ones_own_in_all_weathers)
{
    enum { MANY = 40 };
    struct weft_address address;
    const struct sockaddr_in *addr = (struct sockaddr_in *)&address.storage;
    int clients[MANY];
    weft_listener *l;

    ck_assert_int_eq(weft_tcp_listen("127.0.0.1", 0, &l), 0);
    ck_assert_int_eq(weft_listener_address(l, 0, &address), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            weft_future *f = weft_task_start(take_one, l);

            weft_sleep(0.0001);
            clients[i] = plain_client(addr, (char)i);
            ck_assert_int_eq(weft_join(f), i);
            close(clients[i]);
        }
        for (int i = 0; i < MANY; i++)
            clients[i] = plain_client(addr, (char)i);
        uint64_t before = counters().turns;
        weft_sleep(0.005);
        ck_assert_uint_lt(counters().turns - before, MANY + 20);
        for (int i = 0; i < MANY; i++) {
            ck_assert_int_eq(take(l), (char)i);
            close(clients[i]);
        }
        WEFT_TIMEOUT(0.001);
        weft_stream *none;
        ck_assert_int_eq(weft_listener_accept(l, &none, NULL), -ETIMEDOUT);
    }
    weft_listener_close(l);
    return 0;
}

// The loop has waited for such a socket in another way before.
LOOP_TEST(a_listener_that_was_accepted_from_before)
{
    struct sockaddr_in addr;
    int fd = listen_loopback(&addr, 8), clients[2];
    struct call c = {.fd = fd};
    weft_listener *l;

    call_start(&c, call_accept);
    clients[0] = plain_client(&addr, 'a');
    int accepted = (int)call_join(&c);
    ck_assert_int_eq(name_of(accepted), 'a');
    ck_assert_int_eq(weft_close(accepted), 0);
    close(clients[0]);
    ck_assert_int_eq(weft_listener_open(fd, &l), 0);
    for (int round = 0; round < 3; round++) {
        weft_future *f = weft_task_start(take_one, l);

        weft_sleep(0.0001);
        for (int i = 0; i < 2; i++)
            clients[i] = plain_client(&addr, (char)i);
        ck_assert_int_eq(weft_join(f), 0);
        WEFT_TIMEOUT(weft_test_seconds(3));
        ck_assert_int_eq(take(l), 1);
        for (int i = 0; i < 2; i++)
            close(clients[i]);
    }
    weft_listener_close(l);
    return 0;
}

// Who reads from a listener, or accepts from a connection, hears what the
// kernel says to it, also if a loop reads ahead on the descriptor, or another
// one did.
static int ask_the_wrong_way(void *arg)
{
    const int *fds = arg;
    char byte;

    ck_assert_int_eq(weft_read(fds[0], &byte, 1), -ENOTCONN);
    ck_assert_int_eq(weft_accept(fds[1], NULL, NULL), -EINVAL);
    return 0;
}

LOOP_TEST(the_wrong_kind_of_socket, .timeout = 20)
{
    struct sockaddr_in addr;
    char name = 0;

    for (int thread = 0; thread < 2; thread++) {
        int listener = listen_loopback(&addr, 8), clients[2];

        for (int i = 0; i < 2; i++)
            clients[i] = connect_to(&addr);
        int fd = weft_accept(listener, NULL, NULL), fds[] = {listener, fd};
        warm_up(fd, clients[0]);
        // on epoll it stands in line behind the reader
        for (int waits = 0; waits < (on_uring() ? 2 : 1); waits++) {
            struct call c = {.fd = fd, .size = 1};

            if (waits)
                call_start(&c, call_read);
            else
                ck_assert_int_eq(weft_write(clients[0], "ahead", 5), 5);
            weft_sleep(0.001); // a turn of the loop, which may read ahead
            if (thread)
                ck_assert_int_eq(
                    weft_join(weft_thread_start(ask_the_wrong_way, fds)), 0);
            else
                ask_the_wrong_way(fds);
            if (!waits) {
                char five[5];

                ck_assert_int_eq(weft_read(fd, five, 5), 5);
                ck_assert_mem_eq(five, "ahead", 5);
                continue;
            }
            ck_assert_int_eq(weft_write(clients[0], &name, 1), 1);
            ck_assert_int_eq(call_join(&c), 1);
        }
        int last = weft_accept(listener, NULL, NULL);
        ck_assert_int_ge(last, 0);
        ck_assert_int_eq(weft_close(last), 0);
        ck_assert_int_eq(weft_close(fd), 0);
        ck_assert_int_eq(weft_close(listener), 0);
        close_both(clients);
    }
    return 0;
}

LOOP_TEST(the_peer_address_is_told)
{
    struct sockaddr_in addr, peer, mine;
    socklen_t len = sizeof(peer), size = sizeof(mine);
    int listener = listen_loopback(&addr, 4);

    for (int i = 0; i < 3; i++) {
        int client = plain_client(&addr, 'x');
        int fd = weft_accept(listener, (struct sockaddr *)&peer, &len);

        ck_assert_int_ge(fd, 0);
        getsockname(client, (struct sockaddr *)&mine, &size);
        ck_assert_int_eq(len, sizeof(peer));
        ck_assert_int_eq(peer.sin_port, mine.sin_port);
        ck_assert_int_eq(weft_close(fd), 0);
        close(client);
    }
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

// Cancel and a connection meet at all distances: each one is handed to
// somebody.
LOOP_TEST(a_cancel_loses_no_connection, .timeout = 20)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 64);

    for (int i = 0; i < 500; i++) {
        struct call c = {.fd = listener};
        int client, fd, yields = (int)(weft_test_random() % 3);

        call_start(&c, call_accept);
        client = plain_client(&addr, (char)i);
        while (yields--)
            weft_yield();
        weft_cancel(c.task);
        fd = (int)call_join(&c);
        if (fd < 0) {
            ck_assert_int_eq(fd, -ECANCELED);
            fd = weft_accept(listener, NULL, NULL);
        }
        ck_assert_int_eq(name_of(fd), (char)i);
        ck_assert_int_eq(weft_close(fd), 0);
        close(client);
    }
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

LOOP_TEST(a_deadline_loses_no_connection)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 64), client, fd;

    {
        WEFT_TIMEOUT(0.01);
        ck_assert_int_eq(weft_accept(listener, NULL, NULL), -ETIMEDOUT);
    }
    client = plain_client(&addr, 'x');
    {
        WEFT_TIMEOUT(0);
        ck_assert_int_eq(weft_accept(listener, NULL, NULL), -ETIMEDOUT);
    }
    fd = weft_accept(listener, NULL, NULL);
    ck_assert_int_eq(name_of(fd), 'x');
    weft_close(fd);
    close(client);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

// The limit is met, told, and left behind. (Linux takes the limit of a standing
// accept from the moment when it was made.)
LOOP_TEST(no_descriptors_left)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 64), clients[3], fd;
    int filled[64], holes = 0;
    struct rlimit old, tight;

    for (int i = 0; i < 3; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    getrlimit(RLIMIT_NOFILE, &old);
    tight = old;
    tight.rlim_cur = (rlim_t)clients[2] + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    while (holes < 64 && (fd = dup(0)) >= 0)
        filled[holes++] = fd;
    ck_assert_int_eq(fd, -1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            connect(clients[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(weft_accept(listener, NULL, NULL), -EMFILE);
    ck_assert_int_eq(weft_accept(listener, NULL, NULL), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &old);
    for (int i = 0; i < 3; i++) {
        fd = weft_accept(listener, NULL, NULL);
        ck_assert_int_ge(fd, 0);
        weft_close(fd);
        close(clients[i]);
    }
    ck_assert_int_eq(weft_close(listener), 0);
    while (holes--)
        close(filled[holes]);
    return 0;
}

LOOP_TEST(closing_a_listener_ends_its_waiters_and_its_connections)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 64), clients[5], again;
    struct call a = {.fd = listener}, b = {.fd = listener};
    char byte;

    call_start(&a, call_accept);
    for (int i = 0; i < 5; i++)
        clients[i] = plain_client(&addr, 'x');
    ck_assert_int_ge(call_join(&a), 0);
    weft_sleep(0.01); // the others are accepted, or wait in the kernel
    ck_assert_int_eq(weft_close(listener), 0);
    // Nobody claimed them: their peers see the end, a reset since they wrote.
    for (int i = 1; i < 5; i++) {
        struct pollfd p = {.fd = clients[i], .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        ck_assert_int_le(read(clients[i], &byte, 1), 0);
    }
    weft_close((int)a.result);
    for (int i = 0; i < 5; i++)
        close(clients[i]);

    listener = listen_loopback(&addr, 64);
    b.fd = listener;
    call_start(&b, call_accept);
    ck_assert_int_eq(weft_close(listener), 0);
    ck_assert_int_eq(call_join(&b), -ECANCELED);
    // and the port is free at once
    again = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(again, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(listen(again, 1), 0);
    close(again);
    return 0;
}

LOOP_TEST(connect_is_refused)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 1), fd;

    close(listener);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(weft_connect(fd, (struct sockaddr *)&addr, sizeof(addr)),
                     -ECONNREFUSED);
    ck_assert_int_eq(weft_close(fd), 0);
    return 0;
}

LOOP_TEST(connect_keeps_the_flags)
{
    for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
        struct sockaddr_in addr;
        int listener = listen_loopback(&addr, 1);
        int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
        int before = fcntl(fd, F_GETFL);

        ck_assert_int_eq(
            weft_connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        ck_assert_int_eq(fcntl(fd, F_GETFL), before);
        ck_assert_int_eq(weft_close(fd), 0);
        ck_assert_int_eq(weft_close(listener), 0);
    }
    return 0;
}

// A listener whose queue is full answers nothing: the connect waits.
LOOP_TEST(connect_is_ended_by_deadline_and_close)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 0), fds[8], n = 0, rc = 0;

    while (n < 8 && rc == 0) {
        WEFT_TIMEOUT(0.05);
        fds[n] = socket(AF_INET, SOCK_STREAM, 0);
        rc = weft_connect(fds[n++], (struct sockaddr *)&addr, sizeof(addr));
    }
    ck_assert_int_eq(rc, -ETIMEDOUT);
    while (n--)
        ck_assert_int_eq(weft_close(fds[n]), 0);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

static struct sockaddr_un unix_address;

static int call_connect(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_connect(c->fd, (struct sockaddr *)&unix_address,
                             sizeof(unix_address));
    c->done = true;
    return 0;
}

// A Unix listener with a full queue says EAGAIN and makes no event later.
LOOP_TEST(connect_to_a_full_unix_listener)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), fds[4], n = 0;
    struct call c = {0};

    unix_address.sun_family = AF_UNIX;
    snprintf(unix_address.sun_path + 1, sizeof(unix_address.sun_path) - 1,
             "weft-test-%d", getpid());
    bind(listener, (struct sockaddr *)&unix_address, sizeof(unix_address));
    listen(listener, 0);
    fds[n] = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(weft_connect(fds[n++], (struct sockaddr *)&unix_address,
                                  sizeof(unix_address)),
                     0);
    fds[n] = socket(AF_UNIX, SOCK_STREAM, 0);
    c.fd = fds[n++];
    call_start(&c, call_connect);
    weft_sleep(0.02);
    ck_assert(!c.done);
    int fd = weft_accept(listener, NULL, NULL);
    ck_assert_int_eq(call_join(&c), 0);
    ck_assert_int_eq(weft_close(fd), 0);
    while (n--)
        ck_assert_int_eq(weft_close(fds[n]), 0);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

// Wherever it waits for that: in the ring, in a thread of the kernel's, between
// two attempts.
LOOP_TEST(a_close_ends_a_connect_to_a_full_unix_listener, .timeout = 20)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), first;

    unix_address.sun_family = AF_UNIX;
    snprintf(unix_address.sun_path + 1, sizeof(unix_address.sun_path) - 1,
             "weft-test-%d", getpid());
    bind(listener, (struct sockaddr *)&unix_address, sizeof(unix_address));
    listen(listener, 0);
    first = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(weft_connect(first, (struct sockaddr *)&unix_address,
                                  sizeof(unix_address)),
                     0);
    for (int i = 0; i < 20; i++) {
        struct call c = {.fd = socket(AF_UNIX, SOCK_STREAM, 0)};

        call_start(&c, call_connect);
        weft_sleep(i * 0.0001);
        ck_assert_int_eq(weft_close(c.fd), 0);
        ck_assert_int_eq(call_join(&c), -ECANCELED);
    }
    ck_assert_int_eq(weft_close(first), 0);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

LOOP_TEST(fd_wait_on_a_listener)
{
    struct sockaddr_in addr;

    for (int warm = 0; warm < 2; warm++) {
        int listener = listen_loopback(&addr, 4), client, fd;
        struct call c = {.fd = listener, .events = WEFT_READABLE};

        if (warm) {
            WEFT_TIMEOUT(0.01);
            ck_assert_int_eq(weft_accept(listener, NULL, NULL), -ETIMEDOUT);
        }
        call_start(&c, call_wait);
        ck_assert(!c.done);
        client = plain_client(&addr, 'w');
        ck_assert_int_eq(call_join(&c), WEFT_READABLE);
        fd = weft_accept(listener, NULL, NULL);
        ck_assert_int_eq(name_of(fd), 'w');
        weft_close(fd);
        close(client);
        ck_assert_int_eq(weft_close(listener), 0);
    }
    return 0;
}

// A blocking listener that a plain thread accepts from as well.
static int accept_in_thread(void *arg)
{
    return weft_accept((int)(intptr_t)arg, NULL, NULL);
}

LOOP_TEST(a_thread_accepts_from_the_same_listener)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 8), a, b;
    struct call c = {.fd = listener};
    weft_future *thread;

    call_start(&c, call_accept);
    thread = weft_thread_start(accept_in_thread, (void *)(intptr_t)listener);
    weft_sleep(0.01);
    a = plain_client(&addr, 'a');
    b = plain_client(&addr, 'b');
    int first = (int)call_join(&c), second = weft_join(thread);
    ck_assert_int_ge(first, 0);
    ck_assert_int_ge(second, 0);
    ck_assert_int_eq(name_of(first) + name_of(second), 'a' + 'b');
    weft_close(first);
    weft_close(second);
    close(a);
    close(b);
    ck_assert_int_eq(weft_close(listener), 0);
    return 0;
}

// Connections that a loop accepted but nobody claimed outlive it.
static int accept_once_and_linger(void *arg)
{
    int listener = (int)(intptr_t)arg, fd = weft_accept(listener, NULL, NULL);

    weft_sleep(0.02);
    return fd;
}

WEFT_TEST(connections_outlive_their_loop)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 8), clients[4];

    for (int i = 0; i < 4; i++)
        clients[i] = plain_client(&addr, (char)('a' + i));
    for (int i = 0; i < 4; i++) {
        char name = 0;
        int fd;
        if (i == 2) // a plain thread
            fd = weft_accept(listener, NULL, NULL);
        else
            fd = weft_run(accept_once_and_linger, (void *)(intptr_t)listener);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(weft_read(fd, &name, 1), 1);
        ck_assert_int_eq(name, 'a' + i);
        ck_assert_int_eq(weft_close(fd), 0);
        close(clients[i]);
    }
    ck_assert_int_eq(weft_close(listener), 0);
}

WEFT_TEST_MAIN("accept")
