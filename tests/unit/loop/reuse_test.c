// SPDX-License-Identifier: MIT
// A number that was closed and is another file now.
#include "loop_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>

LOOP_TEST(a_reused_number_gets_nothing_of_the_old_file)
{
    for (int i = 0; i < 100; i++) {
        int old[2], new[2];
        struct call c = {0}, d = {0};

        tcp_pair(old);
        if (i % 2)
            warm_up(old[0], old[1]);
        c.fd = old[0];
        call_start(&c, call_read);
        ck_assert_int_eq(weft_close(old[0]), 0);
        tcp_pair(new); // among them the number of old[0]
        d.fd = new[0];
        call_start(&d, call_read);
        (void)!send(old[1], "old", 3, MSG_NOSIGNAL);
        ck_assert_int_eq(call_join(&c), -ECANCELED);
        weft_yield();
        ck_assert(!d.done);
        ck_assert_int_eq(weft_write(new[1], "new", 3), 3);
        ck_assert_int_eq(call_join(&d), 3);
        ck_assert_mem_eq(d.buf, "new", 3);
        close_both(new);
        ck_assert_int_eq(weft_close(old[1]), 0);
    }
    return 0;
}

static int call_splice(void *arg)
{
    struct call *c = arg;
    int to;

    memcpy(&to, c->buf, sizeof(to));
    c->started = true;
    c->result = weft_splice(c->fd, to, 100);
    c->done = true;
    return 0;
}

// Starts a splice that waits.
static void start_splice(struct call *c, int from, int to)
{
    *c = (struct call){.fd = from};
    memcpy(c->buf, &to, sizeof(to));
    call_start(c, call_splice);
}

// One of both is closed while they wait, and its number is at once `other`,
// which is ready.
static ssize_t splice_and_reuse(int from, int to, int closed, int other)
{
    struct call c;

    start_splice(&c, from, to);
    ck_assert(!c.done);
    ck_assert_int_eq(weft_close(closed), 0);
    ck_assert_int_eq(dup2(other, closed), closed);
    return call_join(&c);
}

LOOP_TEST(a_splice_leaves_a_reused_number_alone)
{
    for (int i = 0; i < 20; i++) {
        int from[2], to[2], other[2];
        char buf[100];

        // The source is closed, and its number has bytes.
        ck_assert_int_eq(pipe(from), 0);
        ck_assert_int_eq(pipe(other), 0);
        unix_pair(to);
        fcntl(to[0], F_SETFL, O_NONBLOCK);
        ck_assert_int_eq(write(other[1], "theirs", 6), 6);
        ck_assert_int_eq(splice_and_reuse(from[0], to[0], from[0], other[0]),
                         -ECANCELED);
        ck_assert_int_eq(recv(to[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
        ck_assert_int_eq(read(from[0], buf, sizeof(buf)), 6);
        close_both(from);
        close_both(other);
        // The sink is full and closed, and its number has room.
        ck_assert_int_eq(pipe(from), 0);
        unix_pair(other);
        while (send(to[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
            continue;
        ck_assert_int_eq(write(from[1], "ours", 4), 4);
        ck_assert_int_eq(splice_and_reuse(from[0], to[0], to[0], other[0]),
                         -ECANCELED);
        ck_assert_int_eq(recv(other[1], buf, sizeof(buf), MSG_DONTWAIT), -1);
        ck_assert_int_eq(read(from[0], buf, sizeof(buf)), 4);
        close_both(from);
        close_both(to);
        close_both(other);
    }
    return 0;
}

// Waits beside the splice, and is quicker to close the number.
struct rival {
    int fd, other;
    bool *closed;
};

static int call_rival(void *arg)
{
    const struct rival *r = arg;

    weft_fd_wait(r->fd, WEFT_READABLE);
    if (*r->closed)
        return 0;
    *r->closed = true;
    weft_close(r->fd);
    return dup2(r->other, r->fd) == r->fd ? 0 : -errno;
}

// The same when the wait has ended well, and the number was reused before the
// splice had its turn. (A ring does not say in which order they have theirs.)
LOOP_TEST(a_splice_that_may_go_on_leaves_a_reused_number_alone)
{
    for (int i = 0; i < 100; i++) {
        int from[2], to[2], other[2];
        bool closed = false;
        struct call c;
        weft_future *before, *after;
        char buf[100];

        ck_assert_int_eq(pipe(from), 0);
        ck_assert_int_eq(pipe(other), 0);
        unix_pair(to);
        fcntl(to[0], F_SETFL, O_NONBLOCK);
        ck_assert_int_eq(write(other[1], "theirs", 6), 6);
        struct rival rival = {from[0], other[0], &closed};
        before = weft_task_start(call_rival, &rival);
        weft_sleep(0.0001);
        start_splice(&c, from[0], to[0]);
        after = weft_task_start(call_rival, &rival);
        weft_sleep(0.0001);
        ck_assert_int_eq(write(from[1], "ours", 4), 4);
        ck_assert(call_join(&c) == 4 || c.result == -ECANCELED);
        if (!on_uring())
            ck_assert_int_eq(c.result, -ECANCELED);
        ck_assert_int_eq(weft_join(before), 0);
        ck_assert_int_eq(weft_join(after), 0);
        ck_assert_int_eq(read(other[0], buf, sizeof(buf)), 6);
        close_both(from);
        close_both(to);
        close_both(other);
    }
    return 0;
}

// As tcp_pair, but no loop knows fds[1], which sends at once what it sends.
static void half_plain_pair(int fds[2])
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 1), yes = 1;

    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fds[1], (struct sockaddr *)&addr, sizeof(addr)),
                     0);
    setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    fds[0] = weft_accept(listener, NULL, NULL);
    ck_assert_int_ge(fds[0], 0);
    ck_assert_int_eq(weft_close(listener), 0);
}

// How many turns the loop takes while the two talk past it, if they do.
static uint64_t turns_of(int a, int b)
{
    uint64_t before = counters().turns;

    for (int i = 0; i < 50; i++) {
        char byte;

        if (a >= 0)
            ck_assert_int_eq(send(a, "x", 1, MSG_NOSIGNAL), 1);
        weft_sleep(0.0002);
        if (a >= 0) {
            struct pollfd p = {.fd = b, .events = POLLIN};

            ck_assert_int_eq(poll(&p, 1, -1), 1);
            ck_assert_int_eq(read(b, &byte, 1), 1);
            ck_assert_int_eq(send(b, "x", 1, MSG_NOSIGNAL), 1);
        }
    }
    return counters().turns - before;
}

// As after a connection was passed on to another process: it goes on, and what
// it says belongs to nobody here, whatever its number stands for now.
LOOP_TEST(a_closed_connection_that_lives_on_wakes_nobody)
{
    for (int i = 0; i < 10; i++) {
        int old[2], new[2], twin;
        struct call c = {0};

        half_plain_pair(old);
        ck_assert_int_eq(send(old[1], "x", 1, 0), 1);
        ck_assert_int_eq(weft_read(old[0], c.buf, 1), 1);
        c.fd = old[0];
        call_start(&c, call_read);
        ck_assert_int_eq(send(old[1], "x", 1, 0), 1);
        ck_assert_int_eq(call_join(&c), 1);
        twin = dup(old[0]);
        ck_assert_int_eq(weft_close(old[0]), 0);
        tcp_pair(new); // among them the number of old[0]
        warm_up(new[0], new[1]);
        c.fd = new[0];
        call_start(&c, call_read);
        turns_of(old[1], twin);
        ck_assert(!c.done);
        ck_assert_uint_lt(turns_of(old[1], twin), turns_of(-1, -1) + 25);
        ck_assert_int_eq(weft_write(new[1], "new", 3), 3);
        ck_assert_int_eq(call_join(&c), 3);
        ck_assert_mem_eq(c.buf, "new", 3);
        close_both(new);
        close(twin);
        close(old[1]);
    }
    return 0;
}

// After which a loop may wait in another way for all that it waits for: also
// for who asks for nothing but the end.
LOOP_TEST(a_wait_for_the_end_outlasts_a_connection_that_lives_on)
{
    int ends[2], old[2], twin;
    struct call end = {0}, c = {0};

    ck_assert_int_eq(pipe(ends), 0);
    end.fd = ends[0];
    call_start(&end, call_wait);
    half_plain_pair(old);
    ck_assert_int_eq(send(old[1], "x", 1, 0), 1);
    ck_assert_int_eq(weft_read(old[0], c.buf, 1), 1);
    c.fd = old[0];
    call_start(&c, call_read);
    twin = dup(old[0]);
    ck_assert_int_eq(weft_close(old[0]), 0);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    turns_of(old[1], twin);
    ck_assert(!end.done);
    ck_assert_int_eq(weft_close(ends[1]), 0);
    ck_assert_int_eq(call_join(&end), WEFT_HANGUP);
    ck_assert_int_eq(weft_close(ends[0]), 0);
    close(twin);
    close(old[1]);
    return 0;
}

// Against the rule, but a number that an accept returns is surely a new file.
LOOP_TEST(accept_forgives_plain_close)
{
    for (int i = 0; i < 20; i++) {
        int fds[2];

        tcp_pair(fds);
        warm_up(fds[0], fds[1]);
        close(fds[0]);
        close(fds[1]);
    }
    return 0;
}

// Another loop that knows a descriptor, and is in no hurry to let go of it.
struct busy {
    int fd;
    bool knows, may_go; // any thread, atomically
};

static int know_it(void *arg)
{
    struct busy *b = arg;
    char byte;

    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(weft_read(b->fd, &byte, 1), -ETIMEDOUT);
    }
    __atomic_store_n(&b->knows, true, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&b->may_go, __ATOMIC_SEQ_CST))
        sched_yield(); // not weft_yield: it takes no mail
    return 0;
}

static int busy_run(void *arg)
{
    return weft_run(know_it, arg);
}

static int call_close(void *arg)
{
    struct call *c = arg;

    c->started = true;
    c->result = weft_close(c->fd);
    c->done = true;
    return 0;
}

// While a close waits, nothing begins that it would not end.
LOOP_TEST(nothing_begins_while_a_close_waits, .timeout = 20)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        int fds[2];
        char byte;

        tcp ? tcp_pair(fds) : unix_pair(fds);
        struct busy busy = {.fd = fds[0]};
        struct call close = {.fd = fds[0]}, task = close, thread = close;
        weft_future *other = weft_thread_start(busy_run, &busy);

        while (!__atomic_load_n(&busy.knows, __ATOMIC_SEQ_CST))
            weft_sleep(0.0001);
        call_start(&close, call_close);
        ck_assert(!close.done);
        call_start(&task, call_read);
        thread.task = weft_thread_start(call_read, &thread);
        ck_assert_int_eq(call_join(&thread), -ECANCELED);
        ck_assert_int_eq(weft_close(fds[0]), -EBADF);
        ck_assert(!close.done);
        __atomic_store_n(&busy.may_go, true, __ATOMIC_SEQ_CST);
        ck_assert_int_eq(call_join(&close), 0);
        ck_assert_int_eq(call_join(&task), -ECANCELED);
        ck_assert_int_eq(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
        ck_assert_int_eq(weft_close(fds[1]), 0);
        ck_assert_int_eq(weft_join(other), 0);
    }
    return 0;
}

// More readers of one pipe than the ring has entries, and one byte, which wakes
// them all: all but one of them begin anew while the pipe is closed.
LOOP_TEST(a_close_ends_a_crowd, .timeout = 20)
{
    enum { CROWD = 700 };
    static struct call calls[CROWD];
    int fds[2], got = 0;

    ck_assert_int_eq(pipe(fds), 0);
    for (int i = 0; i < CROWD; i++) {
        calls[i] = (struct call){.fd = fds[0], .size = 1};
        calls[i].task = weft_task_start(call_read, &calls[i]);
    }
    while (!calls[CROWD - 1].started)
        weft_sleep(0.0001);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    for (int i = 0; i < CROWD; i++) {
        ssize_t n = call_join(&calls[i]);

        got += n == 1;
        ck_assert(n == 1 || n == -ECANCELED);
    }
    ck_assert_int_le(got, 1);
    ck_assert_int_eq(weft_close(fds[1]), 0);
    return 0;
}

// Whoever is told first closes the listener, and its number is a pipe when the
// other one gets the connection that had come by then.
struct thief {
    int told[2], listener;
    bool started;
};

static int take_number(void *arg)
{
    struct thief *t = arg;

    t->started = true;
    ck_assert_int_eq(weft_fd_wait(t->told[0], WEFT_READABLE), WEFT_READABLE);
    ck_assert_int_eq(weft_close(t->listener), 0);
    ck_assert_int_eq(dup2(t->told[1], t->listener), t->listener);
    return 0;
}

LOOP_TEST(a_connection_whose_listener_has_become_a_pipe)
{
    for (int i = 0; i < 10; i++) {
        struct sockaddr_in addr;
        struct thief thief = {.listener = listen_loopback(&addr, 1)};
        struct call c = {.fd = thief.listener};
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        ck_assert_int_eq(pipe(thief.told), 0);
        weft_future *f = weft_task_start(take_number, &thief);
        while (!thief.started)
            weft_sleep(0.0001);
        call_start(&c, call_accept);
        // both in one turn
        ck_assert_int_eq(write(thief.told[1], "x", 1), 1);
        ck_assert_int_eq(
            connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
        int fd = (int)call_join(&c);
        ck_assert_int_eq(weft_join(f), 0);
        ck_assert(fd >= 0 || fd == -ECANCELED);
        if (fd >= 0) { // a socket all the same, which raises no SIGPIPE
            ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
            ck_assert_int_eq(weft_write(fd, "x", 1), -EPIPE);
            ck_assert_int_eq(weft_close(fd), 0);
        }
        close(client);
        close_both(thief.told);
        ck_assert_int_eq(weft_close(thief.listener), 0);
    }
    return 0;
}

WEFT_TEST_MAIN("reuse")
