// SPDX-License-Identifier: MIT
//
// loop_test.h: what the tests of the loop share. A LOOP_TEST is a case whose
// body runs as the main task of a weft_run, on the backend that the program is
// run for, and leaves no descriptor open.
#ifndef LOOP_TEST_H
#define LOOP_TEST_H

#include "weft_test.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

#define LOOP_TEST(name, ...)                                                   \
    static int loop_body_##name(void *unused);                                 \
    WEFT_TEST(name, __VA_ARGS__)                                               \
    {                                                                          \
        loop_test_run(loop_body_##name);                                       \
    }                                                                          \
    static int loop_body_##name(void *unused __attribute__((unused)))

static inline bool on_uring(void)
{
    return !strcmp(weft_backend(), "uring");
}

static inline int loop_test_main_task(void *arg)
{
    weft_function *body = *(weft_function **)arg;

    if (strcmp(weft_test_backend(), "any") != 0)
        ck_assert_str_eq(weft_backend(), weft_test_backend());
    return body(NULL);
}

// A thread that was joined may still be on its way out, with its eventfd.
static inline void ck_assert_fds(int expected)
{
    for (int i = 0; i < 1000 && weft_test_count_fds() != expected; i++)
        usleep(1000);
    ck_assert_int_eq(weft_test_count_fds(), expected);
}

static inline void loop_test_run(weft_function *body)
{
    int before = weft_test_count_fds();

    ck_assert_int_eq(weft_run(loop_test_main_task, &body), 0);
    ck_assert_fds(before);
}

static inline struct weft_backend_counters counters(void)
{
    struct weft_backend_counters now = {.size = sizeof(now)};

    ck_assert_int_eq(weft_backend_count(&now), 0);
    return now;
}

static inline int listen_loopback(struct sockaddr_in *addr, int backlog)
{
    socklen_t len = sizeof(*addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *addr = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, len), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    return fd;
}

static inline int connect_to(const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(
        weft_connect(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
    return fd;
}

// fds[0] was accepted, fds[1] connected.
static inline void tcp_pair(int fds[2])
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 1);

    fds[1] = connect_to(&addr);
    fds[0] = weft_accept(listener, NULL, NULL);
    ck_assert_int_ge(fds[0], 0);
    ck_assert_int_eq(weft_close(listener), 0);
}

static inline void unix_pair(int fds[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                     0);
}

static inline void close_both(const int fds[2])
{
    ck_assert_int_eq(weft_close(fds[0]), 0);
    ck_assert_int_eq(weft_close(fds[1]), 0);
}

// One call in a task of its own.
struct call {
    int fd;
    unsigned events;
    size_t size;
    ssize_t result;
    bool started, done;
    char buf[4096];
    weft_future *task;
};

static inline int call_read(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_read(c->fd, c->buf, c->size ? c->size : sizeof(c->buf));
    c->done = true;
    return 0;
}

static inline int call_accept(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_accept(c->fd, NULL, NULL);
    c->done = true;
    return 0;
}

static inline int call_wait(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_fd_wait(c->fd, c->events);
    c->done = true;
    return 0;
}

// Starts it, and lets it run until it waits.
static inline void call_start(struct call *c, weft_function *fn)
{
    c->done = c->started = false;
    c->task = weft_task_start(fn, c);
    while (!c->started) // it goes on until it waits
        weft_sleep(0.0001);
}

static inline ssize_t call_join(struct call *c)
{
    weft_join(c->task);
    ck_assert(c->done);
    return c->result;
}

// Who closes what somebody waits for, makes the loop ask for the end of that.
static inline void close_something_else(void)
{
    struct call c = {0};
    int fds[2];

    unix_pair(fds);
    c.fd = fds[0];
    call_start(&c, call_read);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    ck_assert_int_eq(weft_close(fds[1]), 0);
}

// c goes on, and does not keep the loop awake.
static inline void assert_asleep(const struct call *c)
{
    uint64_t before = counters().turns;

    for (int i = 0; i < 20; i++)
        weft_sleep(0.001);
    ck_assert(!c->done);
    ck_assert_uint_lt(counters().turns - before, 300);
}

// Arms reading ahead, where there is such a thing: a few short reads in a row.
static inline void warm_up(int reader, int writer)
{
    for (int i = 0; i < 8; i++) {
        struct call c = {.fd = reader, .size = 1};

        call_start(&c, call_read);
        ck_assert_int_eq(weft_write(writer, "x", 1), 1);
        ck_assert_int_eq(call_join(&c), 1);
        ck_assert_int_eq(c.buf[0], 'x');
    }
}

#endif
