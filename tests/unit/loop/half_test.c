// SPDX-License-Identifier: MIT
// Peers that have said their last word, and take their time to listen.
#include "loop_test.h"

#include <stdlib.h>

enum { SIZE = 1 << 20 };

static char bytes[SIZE];

static int call_write_all(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_write_all(c->fd, bytes, c->size);
    c->done = true;
    return 0;
}

static int call_writev(void *arg)
{
    struct call *c = arg;
    const struct iovec parts[] = {{bytes, 1}, {bytes, 1}};

    c->started = true;
    c->result = weft_writev(c->fd, parts, 2);
    c->done = true;
    return 0;
}

// Until nothing goes in any more: what TCP has may be on its way for a moment.
static void fill(int fd, bool tcp)
{
    for (int quiet = tcp ? 20 : 1; quiet > 0; quiet--) {
        while (send(fd, bytes, SIZE, MSG_DONTWAIT) > 0 ||
               send(fd, bytes, 1, MSG_DONTWAIT) > 0)
            quiet = tcp ? 20 : 1;
        ck_assert_int_eq(errno, EAGAIN);
        if (tcp)
            weft_sleep(0.0005);
    }
}

// fds[1] has shut its side down, and fds[0] has no room.
static void full_half_pair(int fds[2], bool tcp)
{
    int little = 4096;

    tcp ? tcp_pair(fds) : unix_pair(fds);
    if (tcp) {
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
        setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    }
    ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
    fill(fds[0], tcp);
}

// A little of what stands in the socket, until the call is done.
static ssize_t hear_until_done(int fd, struct call *c)
{
    static char heard[SIZE];

    while (!c->done) {
        (void)!recv(fd, heard, 4096, MSG_DONTWAIT);
        weft_sleep(0.0001);
    }
    return call_join(c);
}

static void check_in_peace(weft_function *fn, ssize_t result, bool tcp)
{
    struct call c = {.events = WEFT_WRITABLE, .size = 2};
    int fds[2];

    full_half_pair(fds, tcp);
    c.fd = fds[0];
    call_start(&c, fn);
    assert_asleep(&c);
    close_something_else();
    ck_assert_int_eq(hear_until_done(fds[1], &c), result);
    close_both(fds);
    // and is ended by all that ends a wait
    full_half_pair(fds, tcp);
    c.fd = fds[0];
    call_start(&c, fn);
    weft_sleep(0.001);
    weft_cancel(c.task);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    {
        WEFT_TIMEOUT(0.005);
        fn(&c);
        ck_assert_int_eq(c.result, -ETIMEDOUT);
    }
    call_start(&c, fn);
    weft_sleep(0.001);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    ck_assert_int_eq(weft_close(fds[1]), 0);
}

static void check_waits_in_peace(weft_function *fn, ssize_t result)
{
    check_in_peace(fn, result, false);
    check_in_peace(fn, result, true);
}

LOOP_TEST(a_write_to_who_listens_later, .timeout = 20)
{
    check_waits_in_peace(call_write_all, 2);
    return 0;
}

LOOP_TEST(a_vector_to_who_listens_later, .timeout = 20)
{
    check_waits_in_peace(call_writev, 2);
    return 0;
}

LOOP_TEST(room_at_who_listens_later, .timeout = 20)
{
    check_waits_in_peace(call_wait, WEFT_WRITABLE);
    return 0;
}

LOOP_TEST(the_last_word_is_readable_and_nothing_else)
{
    struct call c = {.events = WEFT_READABLE};
    int fds[2];

    unix_pair(fds);
    c.fd = fds[0];
    call_start(&c, call_wait);
    ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE | WEFT_WRITABLE),
                     WEFT_READABLE | WEFT_WRITABLE);
    close_both(fds);
    return 0;
}

// However many do not listen: who does is served.
LOOP_TEST(who_does_not_listen_is_in_nobodys_way, .timeout = 30)
{
    enum { MANY = 40 };
    static struct call calls[MANY + 1];
    int fds[MANY + 1][2];

    for (int i = 0; i <= MANY; i++) {
        full_half_pair(fds[i], false);
        calls[i] = (struct call){.fd = fds[i][0], .size = SIZE};
        call_start(&calls[i], call_write_all);
    }
    ck_assert_int_eq(hear_until_done(fds[MANY][1], &calls[MANY]), SIZE);
    for (int i = 0; i < MANY; i++) {
        ck_assert(!calls[i].done);
        ck_assert_int_eq(weft_close(fds[i][0]), 0);
        ck_assert_int_eq(call_join(&calls[i]), -ECANCELED);
    }
    for (int i = 0; i <= MANY; i++)
        ck_assert_int_eq(weft_close(fds[i][1]), 0);
    ck_assert_int_eq(weft_close(fds[MANY][0]), 0);
    return 0;
}

WEFT_TEST_MAIN("half")
