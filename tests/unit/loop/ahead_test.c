// SPDX-License-Identifier: MIT
//
// Reading ahead: what the io_uring backend does, and what must not be seen of
// it on any.
#include "loop_test.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

LOOP_TEST(repeated_readers_read_ahead)
{
    int fds[2];
    struct weft_backend_counters before = counters();

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    warm_up(fds[1], fds[0]); // connected sockets as well
    if (on_uring()) {
        ck_assert_int_gt(counters().multishot_recv, before.multishot_recv + 8);
        ck_assert_int_gt(counters().provided_buffers,
                         before.provided_buffers + 8);
        ck_assert_int_eq(counters().fallbacks, 0);
    } else {
        ck_assert_int_eq(counters().multishot_recv, 0);
    }
    close_both(fds);
    return 0;
}

LOOP_TEST(sockets_of_the_user_are_never_read_ahead)
{
    int fds[2];
    char buf[4];
    struct weft_backend_counters before = counters();

    unix_pair(fds);
    warm_up(fds[0], fds[1]);
    ck_assert_int_eq(counters().multishot_recv, before.multishot_recv);
    ck_assert_int_eq(write(fds[1], "mine", 4), 4);
    weft_sleep(0.005);
    ck_assert_int_eq(recv(fds[0], buf, 4, MSG_DONTWAIT), 4);
    close_both(fds);
    return 0;
}

// Asked before the first read, weft_fd_wait keeps a socket for other means.
LOOP_TEST(fd_wait_first_means_no_reading_ahead)
{
    int fds[2];
    char buf[4];
    struct call c = {.events = WEFT_READABLE};

    tcp_pair(fds);
    c.fd = fds[0];
    call_start(&c, call_wait);
    ck_assert_int_eq(weft_write(fds[1], "x", 1), 1);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    ck_assert_int_eq(read(fds[0], buf, 1), 1);
    warm_up(fds[0], fds[1]);
    ck_assert_int_eq(weft_write(fds[1], "mine", 4), 4);
    weft_sleep(0.005);
    ck_assert_int_eq(recv(fds[0], buf, 4, MSG_DONTWAIT), 4);
    close_both(fds);
    return 0;
}

LOOP_TEST(fd_wait_sees_what_was_read_ahead)
{
    int fds[2];
    char buf[8];
    struct call c = {.events = WEFT_READABLE};

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    c.fd = fds[0];
    call_start(&c, call_wait);
    ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), WEFT_READABLE);
    ck_assert_int_eq(weft_read(fds[0], buf, 2), 2);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), WEFT_READABLE);
    ck_assert_int_eq(weft_read(fds[0], buf, 2), 1);
    {
        WEFT_TIMEOUT(0.005);
        ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), -ETIMEDOUT);
    }
    close_both(fds);
    return 0;
}

// A numbered stream, so that a lost, doubled or misplaced byte is seen.
static char pattern(size_t at)
{
    return (char)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

struct stream {
    int fd;
    size_t size;
    size_t most; // a write
};

// weft_test_random is for one thread.
static size_t any_below(uint64_t *state, size_t limit)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*state >> 33) % limit;
}

static int write_stream(void *arg)
{
    const struct stream *s = arg;
    uint64_t random = weft_test_seed() + 1;
    char buf[8192];
    size_t at = 0;

    while (at < s->size) {
        size_t n = 1 + any_below(&random, s->most);
        if (n > s->size - at)
            n = s->size - at;
        for (size_t i = 0; i < n; i++)
            buf[i] = pattern(at + i);
        if (weft_write_all(s->fd, buf, n) != (ssize_t)n)
            return -EIO;
        at += n;
        if (any_below(&random, 8) == 0)
            weft_yield();
    }
    return 0;
}

static void read_stream(int fd, size_t *at, size_t end, size_t most)
{
    uint64_t random = weft_test_seed() + *at;
    char buf[8192];

    while (*at < end) {
        size_t want = 1 + any_below(&random, most);
        ssize_t n;

        if (want > end - *at)
            want = end - *at;
        n = weft_read(fd, buf, want);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != pattern(*at + (size_t)i))
                ck_abort_msg("byte %zu is wrong", *at + (size_t)i);
        *at += (size_t)n;
    }
}

LOOP_TEST(small_and_bulk_reads_alternate, .timeout = 20)
{
    int fds[2];
    size_t at = 0;

    tcp_pair(fds);
    for (int round = 0; round < 12; round++) {
        struct stream s = {.fd = fds[1], .size = 0};
        bool bulk = round % 3 == 2;

        at = 0;
        s.size = bulk ? 2000000 : 20000;
        s.most = bulk ? 8192 : 100;
        weft_future *writer = weft_task_start(write_stream, &s);
        read_stream(fds[0], &at, s.size, bulk ? 8192 : 64);
        ck_assert_int_eq(weft_join(writer), 0);
    }
    close_both(fds);
    return 0;
}

// Nobody reads for a while: the kernel's own queue must fill, so that the
// writer is slowed down, and nothing may be lost.
LOOP_TEST(a_slow_reader_slows_the_writer, .timeout = 20)
{
    int fds[2];
    struct stream s = {.size = 32 << 20, .most = 8192};
    size_t at = 0;

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    s.fd = fds[1];
    weft_future *writer = weft_task_start(write_stream, &s);
    weft_sleep(0.2);
    ck_assert(!weft_done(writer));
    read_stream(fds[0], &at, s.size, 8192);
    ck_assert_int_eq(weft_join(writer), 0);
    close_both(fds);
    return 0;
}

// More bytes under way than there are provided buffers in the beginning, and
// then than there can be.
#define SOCKETS 80

static struct call pending[SOCKETS];

LOOP_TEST(buffers_run_out, .timeout = 20)
{
    static int fds[SOCKETS][2];
    static char block[30 * 2048];
    size_t size = sizeof(block);

    for (int i = 0; i < SOCKETS; i++) {
        tcp_pair(fds[i]);
        warm_up(fds[i][0], fds[i][1]);
    }
    for (size_t i = 0; i < size; i++)
        block[i] = pattern(i);
    for (int i = 0; i < SOCKETS; i++)
        ck_assert_int_eq(weft_write_all(fds[i][1], block, size), size);
    weft_sleep(0.05);
    for (int i = 0; i < SOCKETS; i++) {
        size_t at = 0;
        read_stream(fds[i][0], &at, size, 8192);
    }
    if (on_uring())
        ck_assert_int_gt(counters().fallbacks, 0);
    for (int i = 0; i < SOCKETS; i++) {
        pending[i].fd = fds[i][0];
        call_start(&pending[i], call_read);
    }
    for (int i = 0; i < SOCKETS; i++)
        ck_assert_int_eq(write(fds[i][1], "y", 1), 1);
    for (int i = 0; i < SOCKETS; i++)
        ck_assert_int_eq(call_join(&pending[i]), 1);
    for (int i = 0; i < SOCKETS; i++)
        close_both(fds[i]);
    return 0;
}

LOOP_TEST(close_throws_away_what_was_read_ahead)
{
    for (int i = 0; i < 200; i++) {
        int fds[2];

        tcp_pair(fds);
        warm_up(fds[0], fds[1]);
        ck_assert_int_eq(weft_write(fds[1], "unread", 6), 6);
        if (i % 2)
            weft_sleep(0.0005);
        close_both(fds);
    }
    return 0;
}

// Threads ---------------------------------------------------------------------

struct handoff {
    int fd;
    size_t at, end;
};

static int read_part(void *arg)
{
    struct handoff *h = arg;

    read_stream(h->fd, &h->at, h->end, 64);
    return 0;
}

// One stream, read by a task, by a plain thread and by a task of another loop
// in turn: each goes on where the last one stopped.
static int read_part_in_own_run(void *arg)
{
    return weft_run(read_part, arg);
}

LOOP_TEST(a_stream_changes_hands, .timeout = 20)
{
    for (int round = 0; round < 20; round++) {
        int fds[2];
        struct stream s = {.size = 6000, .most = 50};
        struct handoff h = {0};

        tcp_pair(fds);
        h.fd = fds[0];
        s.fd = fds[1];
        weft_future *writer = weft_task_start(write_stream, &s);
        for (int part = 1; part <= 6; part++) {
            h.end = (size_t)part * 1000;
            switch ((round + part) % 3) {
            case 0:
                read_part(&h);
                break;
            case 1:
                ck_assert_int_eq(weft_join(weft_thread_start(read_part, &h)),
                                 0);
                break;
            default:
                ck_assert_int_eq(
                    weft_join(weft_thread_start(read_part_in_own_run, &h)), 0);
            }
        }
        ck_assert_int_eq(weft_join(writer), 0);
        close_both(fds);
    }
    return 0;
}

// A plain thread begins to read while a task of this loop stands in line.
LOOP_TEST(a_thread_joins_a_waiting_task)
{
    int fds[2];
    struct call c = {.size = 1};
    struct handoff h = {.end = 0};

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    c.fd = h.fd = fds[0];
    call_start(&c, call_read);
    struct call t = {.fd = fds[0], .size = 1};
    t.task = weft_thread_start(call_read, &t);
    weft_sleep(0.02);
    ck_assert_int_eq(weft_write(fds[1], "12", 2), 2);
    ck_assert_int_eq(call_join(&c), 1);
    ck_assert_int_eq(call_join(&t), 1);
    ck_assert_int_eq(c.buf[0] + t.buf[0], '1' + '2');
    close_both(fds);
    return 0;
}

static int make_pair_and_leave(void *arg)
{
    int *fds = arg;

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    if (weft_write(fds[1], "left over", 9) != 9)
        return -EIO;
    weft_sleep(0.005);
    return 0;
}

WEFT_TEST(bytes_outlive_their_loop)
{
    for (int round = 0; round < 3; round++) {
        int fds[2];
        char buf[16];

        ck_assert_int_eq(weft_run(make_pair_and_leave, fds), 0);
        ck_assert_int_eq(weft_read(fds[0], buf, 4), 4);
        ck_assert_mem_eq(buf, "left", 4);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 5);
        ck_assert_mem_eq(buf, " over", 5);
        ck_assert_int_eq(weft_close(fds[1]), 0);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 0);
        ck_assert_int_eq(weft_close(fds[0]), 0);
    }
}

static int close_it(void *arg)
{
    return weft_close((int)(intptr_t)arg);
}

// weft_close in a thread that is none of this loop's.
LOOP_TEST(another_thread_closes)
{
    for (int i = 0; i < 100; i++) {
        int fds[2];
        struct call c = {0};
        weft_future *thread;

        tcp_pair(fds);
        if (i % 2)
            warm_up(fds[0], fds[1]);
        c.fd = fds[0];
        call_start(&c, call_read);
        thread = weft_thread_start(close_it, (void *)(intptr_t)fds[0]);
        ck_assert_int_eq(call_join(&c), -ECANCELED);
        ck_assert_int_eq(weft_join(thread), 0);
        ck_assert_int_eq(weft_close(fds[1]), 0);
    }
    return 0;
}

// A run inside a run: the outer loop's turns are this thread's to take.
static int read_and_close(void *arg)
{
    struct call *c = arg;

    c->size = sizeof(c->buf);
    call_read(c);
    return weft_close(c->fd);
}

LOOP_TEST(a_nested_run_takes_over)
{
    int fds[2];
    struct call c = {0};

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    c.fd = fds[0];
    ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
    weft_sleep(0.005);
    ck_assert_int_eq(weft_run(read_and_close, &c), 0);
    ck_assert_int_eq(c.result, 3);
    ck_assert_int_eq(weft_close(fds[1]), 0);
    return 0;
}

// Many workers, each with tasks that read, write and close what another one
// opened.
struct relay {
    int fds[2];
};

static int relay(void *arg)
{
    struct relay *r = arg;
    char buf[64];

    for (int i = 0; i < 20; i++) {
        if (weft_write_all(r->fds[1], "hello", 5) != 5)
            return -EIO;
        for (ssize_t got = 0; got < 5;) {
            ssize_t n = weft_read(r->fds[0], buf, sizeof(buf));
            if (n <= 0)
                return (int)n;
            got += n;
        }
    }
    int rc = weft_close(r->fds[0]);
    return rc < 0 ? rc : weft_close(r->fds[1]);
}

static int many_workers(void *unused)
{
    enum { N = 100 };
    static struct relay relays[N];
    static weft_future *tasks[N];

    (void)unused;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++) {
            tcp_pair(relays[i].fds);
            if (i % 2)
                warm_up(relays[i].fds[0], relays[i].fds[1]);
            tasks[i] = weft_task_start(relay, &relays[i]);
        }
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(weft_join(tasks[i]), 0);
    }
    return 0;
}

WEFT_TEST(workers_pass_sockets_around, .timeout = 30)
{
    int before = weft_test_count_fds();

    ck_assert_int_eq(weft_run(many_workers, NULL, .workers = 4), 0);
    ck_assert_fds(before);
}

WEFT_TEST_MAIN("ahead")
