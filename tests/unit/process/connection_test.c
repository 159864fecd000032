// SPDX-License-Identifier: MIT
// Connections: messages, descriptors and arenas in them, many writers, long
// messages, hostile bytes, listeners.
#include "weft_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <weft.h>

#include "os/local.h"
#include "process/connection.h"

static void pair_of(weft_connection *pair[2])
{
    ck_assert_int_eq(weft_connection_pair(pair), 0);
}

static void close_both(weft_connection *pair[2])
{
    weft_connection_close(pair[0]);
    weft_connection_close(pair[1]);
}

// An assertion for each byte would take its time.
static void expect_all(const unsigned char *p, ssize_t n, int byte)
{
    ssize_t i = 0;
    while (i < n && p[i] == (unsigned char)byte)
        i++;
    ck_assert_msg(i >= n, "byte %zd of %zd is %d, not %d", i, n, p[i], byte);
}

// Messages --------------------------------------------------------------------

WEFT_TEST(messages_keep_their_boundaries)
{
    weft_connection *p[2];
    char buf[100];
    pair_of(p);
    for (int way = 0; way < 2; way++) {
        weft_connection *from = p[way], *to = p[!way];
        ck_assert_int_eq(weft_connection_send(from, "one", 3), 0);
        ck_assert_int_eq(weft_connection_send(from, NULL, 0), 0);
        ck_assert_int_eq(weft_connection_send(from, "three", 5), 0);
        ck_assert_int_eq(weft_connection_receive(to, buf, sizeof buf), 3);
        ck_assert_int_eq(weft_connection_receive(to, buf, sizeof buf), 0);
        ck_assert_int_eq(weft_connection_receive(to, buf, 5), 5);
        ck_assert(memcmp(buf, "three", 5) == 0);
        ck_assert_int_eq(
            weft_connection_receive(to, buf, sizeof buf, .nowait = true),
            -EAGAIN);
    }
    close_both(p);
}

// Random lengths around every border, received into random room.
WEFT_TEST(any_length_arrives_whole, .timeout = 60)
{
    static const size_t borders[] = {0,     1,      32767,  32768,
                                     32769, 100000, 5 << 20};
    weft_connection *p[2];
    char *out = malloc(6 << 20), *in = malloc(6 << 20);
    pair_of(p);
    for (int i = 0; i < 400; i++) {
        size_t size = i < 7 ? borders[i] : weft_test_random() % 80000;
        memset(out, i, size);
        ck_assert_int_eq(weft_connection_send(p[0], out, size), 0);
        if (size > 0 && i % 2 == 0) {
            size_t room = weft_test_random() % size;
            for (int k = 0; k < 2; k++)
                ck_assert_int_eq(weft_connection_receive(p[1], in, room),
                                 -WEFT_ETOOBIG);
            ck_assert_int_eq(weft_connection_poll(p[1], 0), 1);
            ck_assert_int_eq(weft_connection_next(p[1]), (ssize_t)size);
        } else if (i % 3 == 0) {
            ck_assert_int_eq(weft_connection_next(p[1]), (ssize_t)size);
        }
        ck_assert_int_eq(weft_connection_receive(p[1], in, size),
                         (ssize_t)size);
        ck_assert(memcmp(in, out, size) == 0);
    }
    ck_assert_int_eq(weft_connection_poll(p[1], 0), 0);
    ck_assert_int_eq(weft_connection_poll(p[1], 0.001), 0);
    free(out);
    free(in);
    close_both(p);
}

WEFT_TEST(the_end_comes_after_what_was_sent)
{
    weft_connection *p[2];
    char buf[10];
    pair_of(p);
    weft_connection_send(p[0], "last", 4);
    weft_connection_send(p[1], "never received", 14);
    weft_connection_close(p[0]);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 10), 4);
    ck_assert_int_eq(weft_connection_poll(p[1], 1), 1);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 10), -WEFT_ECLOSED);
    ck_assert_int_eq(weft_connection_next(p[1]), -WEFT_ECLOSED);
    ck_assert_int_eq(weft_connection_send(p[1], "x", 1), -EPIPE);
    weft_connection_close(p[1]);
}

WEFT_TEST(scopes_end_a_wait)
{
    weft_connection *p[2];
    char buf[1000] = {0};
    pair_of(p);
    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(weft_connection_receive(p[0], buf, 10), -ETIMEDOUT);
        ck_assert_int_eq(weft_connection_poll(p[0], 10), -ETIMEDOUT);
    }
    int sent = 0, rc;
    while ((rc = weft_connection_send(p[0], buf, 1000, .nowait = true)) == 0)
        sent++;
    ck_assert_int_eq(rc, -EAGAIN);
    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(weft_connection_send(p[0], buf, 1000), -ETIMEDOUT);
    }
    for (int i = 0; i < sent; i++)
        ck_assert_int_eq(weft_connection_receive(p[1], buf, 1000), 1000);
    ck_assert_int_eq(weft_connection_poll(p[1], 0), 0);
    close_both(p);
}

// What travels along ----------------------------------------------------------

WEFT_TEST(descriptors_and_an_arena_travel, .timeout = 20)
{
    weft_connection *p[2];
    weft_arena *a, *b;
    int ends[2], got[3];
    unsigned n = 9;
    char buf[100000];
    pair_of(p);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(weft_arena_new(1 << 20, &a), 0);
    weft_arena_set_root(a, weft_arena_alloc(a, 10));
    int before = weft_test_count_fds();
    for (size_t size = 2; size <= sizeof buf; size *= 3) {
        ck_assert_int_eq(weft_connection_send(p[0], buf, size, .fds = ends,
                                              .fd_count = 2, .arena = a),
                         0);
        ck_assert_int_eq(weft_connection_receive(p[1], buf, 1), -WEFT_ETOOBIG);
        ck_assert_int_eq(weft_connection_receive(p[1], buf, size, .fds = got,
                                                 .fd_room = 3, .fd_count = &n),
                         (ssize_t)size);
        ck_assert_uint_eq(n, 3);
        ck_assert_int_eq(write(got[1], "x", 1), 1);
        ck_assert_int_eq(read(ends[0], buf, 1), 1);
        ck_assert_int_eq(fcntl(got[0], F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(weft_arena_attach(got[2], &b), 0);
        ck_assert_ptr_eq(a, b);
        weft_arena_close(b);
        for (int i = 0; i < 3; i++)
            close(got[i]);
    }
    // What nobody has room for is closed.
    weft_connection_send(p[0], buf, 1, .fds = ends, .fd_count = 2);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 1, .fds = got,
                                             .fd_room = 1, .fd_count = &n),
                     1);
    ck_assert_uint_eq(n, 1);
    close(got[0]);
    weft_connection_send(p[0], buf, 50000, .fds = ends, .fd_count = 2);
    weft_connection_next(p[1]); // held when it is closed
    ck_assert_int_eq(weft_test_count_fds(), before + 3);
    close_both(p);
    ck_assert_int_eq(weft_test_count_fds(), before - 2);
}

// Many writers ----------------------------------------------------------------

struct writer {
    weft_connection *c;
    int number;
};

enum { WRITERS = 6, EACH = 300 };

static int write_many(void *arg)
{
    struct writer *w = arg;
    static const size_t sizes[] = {8, 500, 20000, 40000};
    char *data = malloc(40000);
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++) {
        size_t size = sizes[i % 4];
        memset(data, w->number * 16 + i % 16, size);
        memcpy(data, &w->number, sizeof w->number);
        memcpy(data + 4, &i, sizeof i);
        rc = weft_connection_send(w->c, data, size);
    }
    free(data);
    return rc;
}

WEFT_TEST(many_writers_do_not_mix, .timeout = 60)
{
    weft_connection *p[2];
    struct writer writers[WRITERS];
    weft_future *f[WRITERS];
    int next[WRITERS] = {0};
    unsigned char *data = malloc(40000);
    pair_of(p);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){p[0], i};
        f[i] = i % 2 ? weft_thread_start(write_many, &writers[i])
                     : weft_task_start(write_many, &writers[i]);
    }
    for (int i = 0; i < WRITERS * EACH; i++) {
        int number, serial;
        ssize_t n = weft_connection_receive(p[1], data, 40000);
        ck_assert_int_ge(n, 8);
        memcpy(&number, data, 4);
        memcpy(&serial, data + 4, 4);
        ck_assert_int_eq(serial, next[number]++);
        expect_all(data + 8, n - 8, number * 16 + serial % 16);
    }
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    free(data);
    close_both(p);
}

// Hostile bytes ---------------------------------------------------------------

static void send_raw(weft_connection *c, const void *bytes, size_t size, int fd)
{
    struct iovec part = {(void *)bytes, size};
    struct wi_local_fds fds = {.fd = {fd, fd}, .n = fd >= 0 ? 1 : 0};
    ck_assert_int_eq(wi_os_local_send(weft_connection_fd(c), &part, 1, &fds),
                     0);
}

WEFT_TEST(what_is_no_message_is_an_error_and_the_next_is_fine)
{
    weft_connection *p[2];
    char buf[64];
    int zero = open("/dev/zero", O_RDONLY);
    pair_of(p);
    int before = weft_test_count_fds();
    const struct wi_message_head bad[] = {
        {0x1234, WI_MESSAGE_HERE, 0, 0, 0},
        {WI_MESSAGE_MAGIC, 7, 0, 0, 0},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_HERE, 1, 0, 0},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_HERE, 200, 0, 0},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_HERE, 0, 1, 0},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_HERE, 0, 0, 9},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_HERE, 0, 0, UINT64_MAX},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_FILE, 0, 0, 5},
        {WI_MESSAGE_MAGIC, WI_MESSAGE_FILE, 0, 0, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int fd = -1; fd <= zero; fd += zero + 1) {
            if (i == 2 && fd >= 0)
                continue; // one descriptor was announced, and is there
            send_raw(p[0], &bad[i], sizeof bad[i], fd);
            weft_connection_send(p[0], "good", 4);
            ck_assert_int_eq(weft_connection_receive(p[1], buf, 64),
                             -WEFT_EPROTO);
            ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), 4);
        }
    send_raw(p[0], "x", 1, -1);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), -WEFT_EPROTO);
    // A file that ends early, may be changed still, has holes, or is none.
    int pipe_ends[2], empty = open("/dev/null", O_RDONLY);
    ck_assert_int_eq(pipe(pipe_ends), 0);
    send_raw(p[0], &bad[7], sizeof bad[7], empty);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), -WEFT_EPROTO);
    send_raw(p[0], &bad[7], sizeof bad[7], pipe_ends[0]);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), -WEFT_EPROTO);
    int file = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(write(file, "abcde", 5), 5);
    send_raw(p[0], &bad[7], sizeof bad[7], file);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), -WEFT_EPROTO);
    const struct wi_message_head large = {WI_MESSAGE_MAGIC, WI_MESSAGE_FILE, 0,
                                          0, 1 << 20};
    char *room = malloc(large.size);
    ck_assert_int_eq(ftruncate(file, (off_t)large.size), 0);
    ck_assert_int_eq(
        fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW),
        0);
    send_raw(p[0], &large, sizeof large, file);
    ck_assert_int_eq(weft_connection_receive(p[1], room, large.size),
                     -WEFT_EPROTO);
    free(room);
    close(file);
    ck_assert_int_eq(weft_test_count_fds(), before + 3);
    // Longer than any packet may be.
    char *long_one = calloc(1, 60000);
    memcpy(long_one, &bad[5], sizeof bad[5]);
    send_raw(p[0], long_one, 60000, -1);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), -WEFT_EPROTO);
    weft_connection_send(p[0], "good", 4);
    ck_assert_int_eq(weft_connection_receive(p[1], buf, 64), 4);
    free(long_one);
    close_both(p);
}

WEFT_TEST(what_is_no_such_socket_is_refused)
{
    weft_connection *c;
    int fds[2];
    ck_assert_int_eq(weft_connection_adopt(-1, &c), -EBADF);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(weft_connection_adopt(fds[0], &c), -EPROTOTYPE);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(weft_connection_adopt(fds[0], &c), -EPROTOTYPE);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    ck_assert_int_eq(weft_connection_adopt(fds[0], &c), 0);
    weft_connection_close(c);
}

// Listeners -------------------------------------------------------------------

struct order {
    char name[100];
    int rounds;
};

static int echo_client(void *arg)
{
    const struct order *order = arg;
    weft_connection *c;
    char buf[64];
    int rc = weft_connection_open(order->name, &c);
    for (int i = 0; i < order->rounds && rc == 0; i++) {
        int n = snprintf(buf, sizeof buf, "message %d", i);
        rc = weft_connection_send(c, buf, (size_t)n);
        if (rc == 0 && weft_connection_receive(c, buf, sizeof buf) != n)
            rc = -EIO;
    }
    return rc;
}

static int serve_one(void *arg)
{
    weft_connection *c = arg;
    char buf[64];
    ssize_t n;
    while ((n = weft_connection_receive(c, buf, sizeof buf)) >= 0)
        weft_connection_send(c, buf, (size_t)n);
    weft_connection_close(c);
    return n == -WEFT_ECLOSED ? 0 : (int)n;
}

static void serve_clients(const char *name)
{
    struct order order = {.rounds = 50};
    weft_connection_listener *l;
    weft_connection *c;
    weft_future *clients[3], *served[3];
    snprintf(order.name, sizeof order.name, "%s", name);
    ck_assert_int_eq(weft_connection_listen(name, &l), 0);
    for (int i = 0; i < 3; i++)
        clients[i] = weft_process_start(echo_client, &order, sizeof order);
    for (int i = 0; i < 3; i++) {
        struct weft_peer peer = {.size = sizeof peer};
        ck_assert_int_eq(weft_connection_accept(l, &c), 0);
        ck_assert_int_eq(weft_connection_peer(c, &peer), 0);
        ck_assert_int_eq(peer.uid, geteuid());
        ck_assert_int_ne(peer.pid, getpid());
        served[i] = weft_task_start(serve_one, c);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weft_join(clients[i]), 0);
        ck_assert_int_eq(weft_join(served[i]), 0);
    }
    weft_connection_listener_close(l);
    ck_assert_int_eq(weft_connection_open(name, &c), -ENOENT);
}

WEFT_TEST(clients_of_a_name, .timeout = 30)
{
    char name[64];
    snprintf(name, sizeof name, "echo.%d", (int)getpid());
    serve_clients(name);
}

WEFT_TEST(clients_of_a_path, .timeout = 30)
{
    char folder[] = "/tmp/weft-test-XXXXXX", path[64], open_path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/mine/at", folder);
    snprintf(open_path, sizeof open_path, "%s/mine", folder);
    serve_clients(path); // makes the folder
    struct stat st;
    ck_assert_int_eq(stat(open_path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    // One that died without a word is replaced, one that lives is not.
    weft_connection_listener *l, *other;
    weft_connection *c;
    ck_assert_int_eq(weft_connection_listen(path, &l), 0);
    ck_assert_int_eq(weft_connection_listen(path, &other), -EADDRINUSE);
    close(weft_connection_listener_fd(l));
    free(l); // it is as dead as can be within a process
    ck_assert_int_eq(weft_connection_listen(path, &other), 0);
    // A folder that others can enter.
    chmod(open_path, 0755);
    ck_assert_int_eq(weft_connection_open(path, &c), -EACCES);
    ck_assert_int_eq(weft_connection_listen(path, &l), -EACCES);
    weft_connection_listener_close(other);
    rmdir(open_path);
    rmdir(folder);
}

static int accept_one(void *arg)
{
    weft_connection *c;
    return weft_connection_accept(arg, &c);
}

// On one worker: the yield ends when the other one waits.
static int close_while_it_waits(void *arg)
{
    weft_future *f = weft_task_start(accept_one, arg);
    weft_yield();
    weft_connection_listener_close(arg);
    return weft_join(f);
}

WEFT_TEST(closing_ends_an_accept)
{
    weft_connection_listener *l;
    char name[64];
    snprintf(name, sizeof name, "closing.%d", (int)getpid());
    ck_assert_int_eq(weft_connection_listen("", &l), -EINVAL);
    ck_assert_int_eq(weft_connection_listen(name, &l), 0);
    weft_connection_listener *same;
    ck_assert_int_eq(weft_connection_listen(name, &same), -EADDRINUSE);
    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(accept_one(l), -ETIMEDOUT);
    }
    ck_assert_int_eq(weft_run(close_while_it_waits, l), -WEFT_EJOBCANCELED);
}

// Kill -9 of a writer: each message that came is whole, then comes the end.
static int write_for_ever(void *arg)
{
    const struct order *order = arg;
    weft_connection *c;
    struct writer w = {.number = 3};
    if (weft_connection_open(order->name, &c) < 0)
        return -EIO;
    w.c = c;
    while (write_many(&w) == 0)
        ;
    return 0;
}

WEFT_TEST(killed_writers_leave_whole_messages, .timeout = 300)
{
    struct order order;
    unsigned char *data = malloc(40000);
    weft_connection_listener *l;
    weft_connection *c;
    long in_flight = 0;
    snprintf(order.name, sizeof order.name, "killed.%d", (int)getpid());
    ck_assert_int_eq(weft_connection_listen(order.name, &l), 0);
    for (int i = 0; i < weft_test_kills(20); i++) {
        weft_future *f =
            weft_process_start(write_for_ever, &order, sizeof order);
        ck_assert_int_eq(weft_connection_accept(l, &c), 0);
        int serial = 0, before = (int)(weft_test_random() % 400);
        bool dead = false;
        for (;;) {
            if (!dead && before-- == 0) {
                weft_process_kill(f);
                dead = true;
            }
            ssize_t n = weft_connection_receive(c, data, 40000);
            if (n == -WEFT_ECLOSED)
                break;
            int got;
            ck_assert_int_ge(n, 8);
            memcpy(&got, data + 4, 4);
            ck_assert_int_eq(got, serial++ % EACH);
            expect_all(data + 8, n - 8, 3 * 16 + got % 16);
            in_flight += dead;
        }
        ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
        weft_connection_close(c);
    }
    printf("%ld messages were under way\n", in_flight);
    free(data);
    weft_connection_listener_close(l);
}

WEFT_TEST_MAIN("connection")
