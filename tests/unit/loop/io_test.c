// SPDX-License-Identifier: MIT
#include "loop_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <termios.h>

LOOP_TEST(socket_pair_both_ways)
{
    int fds[2];
    char buf[16];

    unix_pair(fds);
    ck_assert_int_eq(weft_write(fds[0], "hello", 5), 5);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 5);
    ck_assert_mem_eq(buf, "hello", 5);
    ck_assert_int_eq(weft_write(fds[1], "back", 4), 4);
    ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 4);
    close_both(fds);
    return 0;
}

LOOP_TEST(read_waits_for_data)
{
    int fds[2];
    struct call c = {0};

    unix_pair(fds);
    c.fd = fds[0];
    call_start(&c, call_read);
    ck_assert(!c.done);
    ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
    ck_assert_int_eq(call_join(&c), 3);
    close_both(fds);
    return 0;
}

LOOP_TEST(flags_of_the_descriptor_stay_and_do_not_matter)
{
    int fds[2];

    for (int flags = 0; flags < 2; flags++) {
        struct call c = {0};

        ck_assert_int_eq(pipe(fds), 0);
        if (flags)
            fcntl(fds[0], F_SETFL, O_NONBLOCK);
        int before = fcntl(fds[0], F_GETFL);
        c.fd = fds[0];
        call_start(&c, call_read);
        ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
        ck_assert_int_eq(call_join(&c), 3);
        ck_assert_int_eq(fcntl(fds[0], F_GETFL), before);
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(errno_is_left_alone)
{
    int fds[2];
    char byte;

    unix_pair(fds);
    errno = 1234;
    ck_assert_int_eq(weft_write(fds[0], "x", 1), 1);
    ck_assert_int_eq(weft_read(fds[1], &byte, 1), 1);
    ck_assert_int_eq(weft_read(-1, &byte, 1), -EBADF);
    WEFT_TIMEOUT(0.01);
    ck_assert_int_eq(weft_read(fds[1], &byte, 1), -ETIMEDOUT);
    ck_assert_int_eq(errno, 1234);
    close_both(fds);
    return 0;
}

LOOP_TEST(bad_descriptors)
{
    char byte;
    int fd = dup(0);

    close(fd);
    ck_assert_int_eq(weft_read(fd, &byte, 1), -EBADF);
    ck_assert_int_eq(weft_read(fd, &byte, 0), -EBADF);
    ck_assert_int_eq(weft_write(fd, &byte, 1), -EBADF);
    ck_assert_int_eq(weft_accept(fd, NULL, NULL), -EBADF);
    ck_assert_int_eq(weft_fd_wait(fd, WEFT_READABLE), -EBADF);
    ck_assert_int_eq(weft_close(fd), -EBADF);
    ck_assert_int_eq(weft_close(-1), -EBADF);
    return 0;
}

LOOP_TEST(end_and_half_close)
{
    int fds[2];
    char buf[8];

    tcp_pair(fds);
    ck_assert_int_eq(weft_write(fds[0], "last", 4), 4);
    ck_assert_int_eq(shutdown(fds[0], SHUT_WR), 0);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 4);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 0);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 0);
    // the other half still works
    ck_assert_int_eq(weft_write(fds[1], "answer", 6), 6);
    ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 6);
    close_both(fds);
    return 0;
}

LOOP_TEST(half_close_while_reading)
{
    int fds[2];

    for (int warm = 0; warm < 2; warm++) {
        struct call c = {0};

        tcp_pair(fds);
        if (warm)
            warm_up(fds[0], fds[1]);
        c.fd = fds[0];
        call_start(&c, call_read);
        ck_assert_int_eq(shutdown(fds[1], SHUT_WR), 0);
        ck_assert_int_eq(call_join(&c), 0);
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(peer_reset)
{
    int fds[2];
    struct linger now = {.l_onoff = 1};
    char byte;

    for (int warm = 0; warm < 2; warm++) {
        struct call c = {0};

        tcp_pair(fds);
        if (warm)
            warm_up(fds[0], fds[1]);
        c.fd = fds[0];
        call_start(&c, call_read);
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        ck_assert_int_eq(weft_close(fds[1]), 0);
        ck_assert_int_eq(call_join(&c), -ECONNRESET);
        ck_assert_int_eq(weft_read(fds[0], &byte, 1), 0);
        ck_assert_int_eq(weft_write(fds[0], &byte, 1), -EPIPE);
        ck_assert_int_eq(weft_close(fds[0]), 0);
    }
    return 0;
}

LOOP_TEST(deadline_ends_a_read_and_takes_nothing)
{
    int fds[2];
    char buf[8];

    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            unix_pair(fds);
        else
            tcp_pair(fds);
        if (kind == 2)
            warm_up(fds[0], fds[1]);
        {
            WEFT_TIMEOUT(0.01);
            ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), -ETIMEDOUT);
            ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), -ETIMEDOUT);
        }
        ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
        {
            // tested first, also if there is no need to wait
            WEFT_TIMEOUT(0);
            ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), -ETIMEDOUT);
        }
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 3);
        ck_assert_mem_eq(buf, "abc", 3);
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(cancel_ends_a_read_and_takes_nothing)
{
    int fds[2];

    for (int kind = 0; kind < 3; kind++) {
        struct call c = {0};
        char buf[8];

        if (kind == 0)
            unix_pair(fds);
        else
            tcp_pair(fds);
        if (kind == 2)
            warm_up(fds[0], fds[1]);
        c.fd = fds[0];
        call_start(&c, call_read);
        weft_cancel(c.task);
        ck_assert_int_eq(call_join(&c), -ECANCELED);
        ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 3);
        ck_assert_mem_eq(buf, "abc", 3);
        close_both(fds);
    }
    return 0;
}

// Cancel and data meet at all distances; a byte is never lost or doubled.
LOOP_TEST(cancel_races_with_data, .timeout = 20)
{
    int fds[2];
    char sent = 0, expected = 0, byte;

    tcp_pair(fds);
    for (int i = 0; i < 2000; i++) {
        struct call c = {.fd = fds[0], .size = 1};
        int yields = (int)(weft_test_random() % 3);

        call_start(&c, call_read);
        ck_assert_int_eq(weft_write(fds[1], &sent, 1), 1);
        sent++;
        while (yields--)
            weft_yield();
        weft_cancel(c.task);
        if (call_join(&c) == 1)
            byte = c.buf[0];
        else
            ck_assert_int_eq(weft_read(fds[0], &byte, 1), 1);
        ck_assert_int_eq(byte, expected);
        expected++;
    }
    close_both(fds);
    return 0;
}

static int flood(void *arg)
{
    struct call *c = arg;
    char *block = calloc(1, 1 << 20);

    c->started = true;
    c->result = weft_write_all(c->fd, block, 1 << 20);
    c->done = true;
    free(block);
    return 0;
}

LOOP_TEST(write_waits_for_room)
{
    for (int kind = 0; kind < 3; kind++) {
        struct call c = {0};
        int fds[2];
        char buf[4096];
        size_t got = 0;

        if (kind == 0)
            unix_pair(fds);
        else if (kind == 1)
            tcp_pair(fds);
        else
            ck_assert_int_eq(pipe(fds), 0);
        c.fd = fds[1];
        call_start(&c, flood);
        while (got < 1 << 20) {
            ssize_t n = weft_read(fds[0], buf, sizeof(buf));
            ck_assert_int_gt(n, 0);
            got += (size_t)n;
        }
        ck_assert_int_eq(call_join(&c), 1 << 20);
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(cancel_ends_a_write)
{
    for (int kind = 0; kind < 2; kind++) {
        struct call c = {0};
        int fds[2];

        if (kind == 0)
            unix_pair(fds);
        else
            ck_assert_int_eq(pipe(fds), 0);
        c.fd = fds[1];
        call_start(&c, flood);
        weft_cancel(c.task);
        ck_assert_int_eq(call_join(&c), -ECANCELED);
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(broken_pipe_on_a_socket_is_a_code)
{
    int fds[2];

    unix_pair(fds);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    ck_assert_int_eq(weft_write(fds[1], "x", 1), -EPIPE);
    ck_assert_int_eq(weft_close(fds[1]), 0);
    return 0;
}

LOOP_TEST(datagrams_keep_their_borders)
{
    int fds[2];
    char buf[64];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    ck_assert_int_eq(weft_write(fds[0], "one", 3), 3);
    ck_assert_int_eq(weft_write(fds[0], "three", 5), 5);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 3);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 5);
    close_both(fds);
    return 0;
}

// Two datagrams come while the reader waits: the second one makes no new edge.
LOOP_TEST(short_datagrams_do_not_stall)
{
    int fds[2];
    char buf[64];
    struct call c = {0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    c.fd = fds[1];
    call_start(&c, call_read);
    ck_assert_int_eq(send(fds[0], "one", 3, 0), 3);
    ck_assert_int_eq(send(fds[0], "three", 5, 0), 5);
    ck_assert_int_eq(call_join(&c), 3);
    ck_assert_int_eq(weft_read(fds[1], buf, sizeof(buf)), 5);
    close_both(fds);
    return 0;
}

// Data and end arrive together: a short read must not wait for another edge.
LOOP_TEST(data_with_end)
{
    for (int i = 0; i < 200; i++) {
        int fds[2];
        struct call c = {0};
        char buf[16];

        tcp_pair(fds);
        c.fd = fds[0];
        call_start(&c, call_read);
        ck_assert_int_eq(send(fds[1], "bye", 3, 0), 3);
        shutdown(fds[1], SHUT_WR);
        ck_assert_int_eq(call_join(&c), 3);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 0);
        close_both(fds);
    }
    return 0;
}

// A read stops at the urgent mark, short, though there is more.
LOOP_TEST(urgent_data_does_not_stall)
{
    int fds[2];
    struct call c = {0};
    char buf[16];

    tcp_pair(fds);
    c.fd = fds[0];
    call_start(&c, call_read);
    ck_assert_int_eq(send(fds[1], "abc", 3, 0), 3);
    ck_assert_int_eq(send(fds[1], "!", 1, MSG_OOB), 1);
    ck_assert_int_eq(send(fds[1], "def", 3, 0), 3);
    ck_assert_int_gt(call_join(&c), 0);
    size_t got = (size_t)c.result;
    while (got < 6) {
        ssize_t n = weft_read(fds[0], buf, sizeof(buf));
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    close_both(fds);
    return 0;
}

LOOP_TEST(two_readers_of_one_socket_take_turns)
{
    int fds[2];
    struct call a = {.size = 1}, b = {.size = 1};

    for (int warm = 0; warm < 2; warm++) {
        tcp_pair(fds);
        if (warm)
            warm_up(fds[0], fds[1]);
        a.fd = b.fd = fds[0];
        call_start(&a, call_read);
        call_start(&b, call_read);
        ck_assert_int_eq(weft_write(fds[1], "12", 2), 2);
        ck_assert_int_eq(call_join(&a), 1);
        ck_assert_int_eq(call_join(&b), 1);
        ck_assert_int_eq(a.buf[0] + b.buf[0], '1' + '2');
        close_both(fds);
    }
    return 0;
}

LOOP_TEST(fd_wait_says_what_holds)
{
    int fds[2];
    struct call c = {.events = WEFT_READABLE};

    unix_pair(fds);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_WRITABLE), WEFT_WRITABLE);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_WRITABLE | WEFT_READABLE),
                     WEFT_WRITABLE);
    c.fd = fds[0];
    call_start(&c, call_wait);
    ck_assert(!c.done);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    // level, not edge
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), WEFT_READABLE);
    close(fds[1]);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE) & WEFT_HANGUP,
                     WEFT_HANGUP);
    weft_close(fds[0]);
    return 0;
}

LOOP_TEST(fd_wait_is_ended_by_cancel_and_deadline)
{
    int fds[2];
    struct call c = {.events = WEFT_READABLE};

    unix_pair(fds);
    {
        WEFT_TIMEOUT(0.01);
        ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), -ETIMEDOUT);
    }
    c.fd = fds[0];
    call_start(&c, call_wait);
    weft_cancel(c.task);
    ck_assert_int_eq(call_join(&c), -ECANCELED);
    close_both(fds);
    return 0;
}

// What other libraries do: they open and close descriptors by themselves.
LOOP_TEST(fd_wait_sees_a_number_change_its_file)
{
    int fds[2], more[2];
    struct call c = {.events = WEFT_READABLE};

    ck_assert_int_eq(pipe(fds), 0);
    c.fd = fds[0];
    call_start(&c, call_wait);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    ck_assert_int_eq(pipe(more), 0);
    ck_assert_int_eq(dup2(more[0], fds[0]), fds[0]);
    call_start(&c, call_wait);
    ck_assert(!c.done);
    ck_assert_int_eq(write(more[1], "x", 1), 1);
    ck_assert_int_eq(call_join(&c), WEFT_READABLE);
    close_both(fds);
    close_both(more);
    return 0;
}

LOOP_TEST(close_ends_what_waits)
{
    for (int kind = 0; kind < 4; kind++) {
        int fds[2];
        struct call a = {0}, b = {.events = WEFT_READABLE}, w = {0};

        if (kind == 0)
            unix_pair(fds);
        else if (kind < 3)
            tcp_pair(fds);
        else
            ck_assert_int_eq(pipe(fds), 0);
        if (kind == 2)
            warm_up(fds[0], fds[1]);
        a.fd = b.fd = fds[0];
        w.fd = kind == 3 ? fds[1] : fds[0];
        call_start(&a, call_read);
        call_start(&b, call_wait);
        if (kind == 0)
            call_start(&w, flood);
        ck_assert_int_eq(weft_close(fds[0]), 0);
        ck_assert_int_eq(call_join(&a), -ECANCELED);
        ck_assert_int_eq(call_join(&b), -ECANCELED);
        if (kind == 0)
            ck_assert_int_eq(call_join(&w), -ECANCELED);
        ck_assert_int_eq(weft_close(fds[1]), 0);
    }
    return 0;
}

// The peer sees the end when weft_close returns, also if a standing request
// had kept the file open.
LOOP_TEST(close_is_seen_at_once)
{
    int fds[2];
    char byte;

    tcp_pair(fds);
    warm_up(fds[0], fds[1]);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    ck_assert_int_eq(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
    ck_assert_int_eq(weft_close(fds[1]), 0);
    return 0;
}

LOOP_TEST(files_are_always_ready)
{
    char path[] = "/tmp/weft-loop-XXXXXX", buf[16];
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_eq(weft_write(fd, "content", 7), 7);
    ck_assert_int_eq(weft_write(fd, " more", 5), 5);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(weft_read(fd, buf, 7), 7);
    ck_assert_int_eq(weft_read(fd, buf + 7, sizeof(buf) - 7), 5);
    ck_assert_mem_eq(buf, "content more", 12);
    ck_assert_int_eq(weft_read(fd, buf, sizeof(buf)), 0);
    ck_assert_int_eq(weft_fd_wait(fd, WEFT_READABLE), -EPERM);
    ck_assert_int_eq(weft_close(fd), 0);
    return 0;
}

LOOP_TEST(cold_files)
{
    char path[] = "/var/tmp/weft-loop-XXXXXX";
    int fd = mkstemp(path);
    char *block = malloc(1 << 20), *back = malloc(1 << 20);
    size_t got = 0;

    ck_assert_int_ge(fd, 0);
    unlink(path);
    for (int i = 0; i < 1 << 20; i++)
        block[i] = (char)weft_test_random();
    ck_assert_int_eq(weft_write_all(fd, block, 1 << 20), 1 << 20);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    lseek(fd, 0, SEEK_SET);
    while (got < 1 << 20) {
        ssize_t n = weft_read(fd, back + got, (1 << 20) - got);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    ck_assert_mem_eq(block, back, 1 << 20);
    ck_assert_int_eq(weft_close(fd), 0);
    free(block);
    free(back);
    return 0;
}

LOOP_TEST(odd_files)
{
    char buf[64];
    int fd = open("/dev/null", O_RDWR);

    ck_assert_int_eq(weft_read(fd, buf, sizeof(buf)), 0);
    ck_assert_int_eq(weft_write(fd, buf, sizeof(buf)), sizeof(buf));
    ck_assert_int_eq(weft_close(fd), 0);
    fd = open("/proc/self/stat", O_RDONLY);
    ck_assert_int_gt(weft_read(fd, buf, sizeof(buf)), 0);
    ck_assert_int_eq(weft_close(fd), 0);
    fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(weft_read(fd, buf, sizeof(buf)), -EISDIR);
    ck_assert_int_eq(weft_close(fd), 0);
    return 0;
}

// A file of /proc or /sys can be put into a set of epoll's, unlike one on a
// disk, and there it is ready for ever.
LOOP_TEST(files_without_a_disk, .timeout = 20)
{
    static const char *const paths[] = {"/proc/version", "/proc/loadavg",
                                        "/sys/kernel/mm/transparent_hugepage/"
                                        "enabled"};
    char buf[64];

    for (size_t i = 0; i < 3; i++) {
        int fd = open(paths[i], O_RDONLY), fds[2];

        if (fd < 0)
            continue; // not on this machine
        ck_assert_int_gt(weft_read(fd, buf, sizeof(buf)), 0);
        ck_assert_int_eq(weft_close(fd), 0);
        // what has the number next is heard of
        unix_pair(fds);
        struct call c = {.fd = fds[0]};
        call_start(&c, call_read);
        ck_assert_int_eq(weft_write(fds[1], "x", 1), 1);
        ck_assert_int_eq(call_join(&c), 1);
        close_both(fds);
    }
    return 0;
}

static ssize_t write_past_the_cache(void)
{
    char path[] = "/var/tmp/weft-loop-XXXXXX", *block = NULL;
    int fd = mkostemp(path, O_DIRECT);
    ssize_t n = 0;

    if (fd < 0)
        return -errno;
    unlink(path);
    ck_assert_int_eq(posix_memalign((void **)&block, 4096, 8192), 0);
    memset(block, 'b', 8192);
    for (int i = 0; i < 16 && n >= 0; i++) {
        const struct iovec parts[] = {{block, 4096}, {block + 4096, 4096}};

        n = weft_writev(fd, parts, 2);
        ck_assert_int_ne(n, 0);
    }
    ck_assert_int_eq(weft_close(fd), 0);
    free(block);
    return n;
}

// To make a file longer takes locks: the kernel says "try again" to who must
// not wait, and nothing tells when.
LOOP_TEST(a_file_that_grows_past_the_cache, .timeout = 20)
{
    ssize_t n = write_past_the_cache();

    if (n == -EINVAL)
        weft_test_skip("this file system has no O_DIRECT");
    ck_assert_int_gt(n, 0);
    return 0;
}

WEFT_TEST(a_file_that_grows_past_the_cache_in_a_thread, .timeout = 20)
{
    ssize_t n = write_past_the_cache();

    if (n == -EINVAL)
        weft_test_skip("this file system has no O_DIRECT");
    ck_assert_int_gt(n, 0);
}

// Others get their turn also beside a task that never has to wait: one that is
// ready, one whose descriptor becomes ready meanwhile, and one that sleeps.
static int note(void *arg)
{
    ++*(int *)arg;
    return 0;
}

struct noter {
    int fd, *noted;
};

static int note_byte(void *arg)
{
    const struct noter *n = arg;
    char byte;

    ck_assert_int_eq(weft_read(n->fd, &byte, 1), 1);
    return note(n->noted);
}

static int note_late(void *arg)
{
    weft_sleep(0.001);
    return note(arg);
}

LOOP_TEST(who_never_waits_keeps_nobody_waiting, .timeout = 20)
{
    char buf[16];
    int noted, fds[2], endless = open("/dev/zero", O_RDONLY);

    ck_assert_int_ge(endless, 0);
    unix_pair(fds);
    for (int kind = 0; kind < 3; kind++) {
        struct noter n = {fds[0], &noted};
        weft_future *other = kind == 0   ? weft_task_start(note, &noted)
                             : kind == 1 ? weft_task_start(note_late, &noted)
                                         : weft_task_start(note_byte, &n);

        noted = 0;
        if (kind != 0)
            weft_yield(); // until it waits
        if (kind > 1)
            ck_assert_int_eq(weft_write(fds[1], "x", 1), 1);
        while (!noted)
            ck_assert_int_eq(weft_read(endless, buf, sizeof(buf)), 16);
        weft_join(other);
    }
    close_both(fds);
    ck_assert_int_eq(weft_close(endless), 0);
    return 0;
}

LOOP_TEST(timer_descriptors)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, 0); // blocking
    struct itimerspec soon = {.it_value.tv_nsec = 2000000};
    uint64_t ticks = 0;

    timerfd_settime(fd, 0, &soon, NULL);
    ck_assert_int_eq(weft_read(fd, &ticks, sizeof(ticks)), sizeof(ticks));
    ck_assert_int_eq(ticks, 1);
    ck_assert_int_eq(weft_close(fd), 0);
    return 0;
}

static void open_terminal(int fds[2])
{
    struct termios raw;

    ck_assert_int_eq(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
    tcgetattr(fds[1], &raw);
    cfmakeraw(&raw);
    tcsetattr(fds[1], TCSANOW, &raw);
}

LOOP_TEST(terminals)
{
    int fds[2];
    struct call c = {0};

    open_terminal(fds); // both block
    c.fd = fds[1];
    call_start(&c, call_read);
    ck_assert(!c.done);
    ck_assert_int_eq(weft_write_all(fds[0], "typed", 5), 5);
    ck_assert_int_gt(call_join(&c), 0);
    c.fd = fds[0];
    call_start(&c, call_read);
    ck_assert_int_eq(weft_write_all(fds[1], "shown", 5), 5);
    ck_assert_int_gt(call_join(&c), 0);
    c.fd = fds[1];
    call_start(&c, call_read);
    weft_cancel(c.task);
    call_join(&c);
    ck_assert(c.result == -ECANCELED || c.result > 0);
    close_both(fds);
    return 0;
}

// More than a terminal holds, while the other side is read by another task of
// the same thread: a write that blocked the thread would be the end.
LOOP_TEST(full_terminals_do_not_block_the_thread, .timeout = 20)
{
    for (int side = 0; side < 2; side++) {
        int fds[2];
        struct call c = {0};
        char buf[4096];
        size_t got = 0, all = 1 << 20;

        open_terminal(fds);
        c.fd = fds[!side];
        call_start(&c, flood);
        if (side == 1) // a master that blocks takes one byte at a time
            all = 1 << 14;
        while (got < all) {
            ssize_t n = weft_read(fds[side], buf, sizeof(buf));
            ck_assert_int_gt(n, 0);
            got += (size_t)n;
        }
        weft_cancel(c.task);
        call_join(&c);
        close_both(fds);
    }
    return 0;
}

static void on_alarm(int number)
{
    (void)number;
}

LOOP_TEST(signals_do_not_show, .timeout = 20)
{
    struct sigaction action = {.sa_handler = on_alarm}; // no SA_RESTART
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    int fds[2];

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    tcp_pair(fds);
    for (int i = 0; i < 300; i++) {
        struct call c = {.fd = fds[0], .size = 1};

        call_start(&c, call_read);
        ck_assert_int_eq(weft_sleep(0.0005), 0);
        ck_assert_int_eq(weft_write(fds[1], "x", 1), 1);
        ck_assert_int_eq(call_join(&c), 1);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    close_both(fds);
    return 0;
}

// Two thousand readers, all served; not one request is dropped for want of
// room in a queue.
static int echo_once(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[8];

    for (;;) {
        ssize_t n = weft_read(fd, buf, sizeof(buf));
        if (n <= 0)
            return (int)n;
        if (weft_write_all(fd, buf, (size_t)n) != n)
            return -EIO;
    }
}

#define MANY 2000

LOOP_TEST(many_connections, .timeout = 30)
{
    static int fds[MANY][2];
    static weft_future *tasks[MANY];
    char buf[8];

    for (int i = 0; i < MANY; i++) {
        tcp_pair(fds[i]);
        tasks[i] = weft_task_start(echo_once, (void *)(intptr_t)fds[i][0]);
    }
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(write(fds[i][1], &i, sizeof(i)), sizeof(i));
        for (int i = 0; i < MANY; i++) {
            int back = 0;
            ck_assert_int_eq(weft_read(fds[i][1], buf, sizeof(buf)), sizeof(i));
            memcpy(&back, buf, sizeof(back));
            ck_assert_int_eq(back, i);
        }
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(weft_close(fds[i][1]), 0);
        ck_assert_int_eq(weft_join(tasks[i]), 0);
        ck_assert_int_eq(weft_close(fds[i][0]), 0);
    }
    if (on_uring()) {
        ck_assert_int_gt(counters().multishot_recv, MANY);
        ck_assert_int_gt(counters().provided_buffers, MANY);
        ck_assert_int_ge(counters().multishot_accept, MANY);
    }
    ck_assert_int_gt(counters().turns, 0);
    return 0;
}

// One event that ends more waits than a queue of completions holds.
#define WAITERS 5000

LOOP_TEST(more_completions_than_room, .timeout = 30)
{
    static struct call calls[WAITERS];
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    for (int i = 0; i < WAITERS; i++) {
        calls[i].fd = fds[0];
        calls[i].events = WEFT_READABLE;
        calls[i].task = weft_task_start(call_wait, &calls[i]);
    }
    while (!calls[WAITERS - 1].started)
        weft_sleep(0.001);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(call_join(&calls[i]), WEFT_READABLE);
    close_both(fds);
    return 0;
}

// Reads and their cancels reach the kernel together, while somebody else puts
// bytes into the socket and takes them out again: the kernel may hold a read
// for a second attempt, which then finds nothing. It must end all the same.
struct teaser {
    int fds[2];
    int asked, done; // rounds; atomic. Odd: tease until asked for the next
};

static int tease(void *arg)
{
    struct teaser *t = arg;
    int round = 0;
    char byte;

    for (; round >= 0; round = __atomic_load_n(&t->asked, __ATOMIC_ACQUIRE)) {
        if (round % 2) {
            ck_assert_int_eq(send(t->fds[1], "x", 1, 0), 1);
            recv(t->fds[0], &byte, 1, MSG_DONTWAIT);
        }
        __atomic_store_n(&t->done, round, __ATOMIC_RELEASE);
    }
    return 0;
}

static void ask_teaser(struct teaser *t, int round)
{
    __atomic_store_n(&t->asked, round, __ATOMIC_RELEASE);
    while (__atomic_load_n(&t->done, __ATOMIC_ACQUIRE) != round)
        sched_yield();
}

LOOP_TEST(a_cancel_is_not_missed, .timeout = 30)
{
    enum { N = 32, ROUNDS = 60 };
    static struct call calls[N];
    struct teaser t = {.asked = 0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, t.fds),
                     0);
    weft_future *teaser = weft_thread_start(tease, &t);
    for (int round = 1; round < 2 * ROUNDS; round += 2) {
        ask_teaser(&t, round);
        for (int i = 0; i < N; i++) {
            calls[i] = (struct call){.fd = t.fds[0], .size = 1};
            calls[i].task = weft_task_start(call_read, &calls[i]);
        }
        while (!calls[N - 1].started)
            weft_yield();
        for (int i = 0; i < N; i++)
            weft_cancel(calls[i].task);
        weft_join(calls[0].task); // the kernel has all of them now
        ask_teaser(&t, round + 1);
        for (int i = 1; i < N; i++) {
            ssize_t n = call_join(&calls[i]);
            ck_assert(n == 1 || n == -ECANCELED);
        }
    }
    __atomic_store_n(&t.asked, -1, __ATOMIC_RELEASE);
    ck_assert_int_eq(weft_join(teaser), 0);
    close_both(t.fds);
    return 0;
}

WEFT_TEST_MAIN("io")
