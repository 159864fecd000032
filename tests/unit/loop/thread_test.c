// SPDX-License-Identifier: MIT
//
// The calls of io.h in plain threads, where nothing runs but the kernel.
#include "loop_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>

#include "refuse.h"

WEFT_TEST(plain_threads_have_no_backend)
{
    struct weft_backend_counters now = {.size = sizeof(now)};

    ck_assert_str_eq(weft_backend(), "poll");
    ck_assert_int_eq(weft_backend_count(&now), -ENOENT);
}

WEFT_TEST(read_write_and_end)
{
    int fds[2];
    char buf[16];

    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            ck_assert_int_eq(pipe(fds), 0);
        else
            unix_pair(fds);
        ck_assert_int_eq(weft_write_all(fds[1], "hello", 5), 5);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 5);
        ck_assert_int_eq(weft_close(fds[1]), 0);
        ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 0);
        ck_assert_int_eq(weft_close(fds[0]), 0);
    }
}

WEFT_TEST(deadline_ends_a_wait)
{
    int fds[2];
    char byte;

    ck_assert_int_eq(pipe(fds), 0);
    {
        WEFT_TIMEOUT(0.01);
        ck_assert_int_eq(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
        ck_assert_int_eq(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
    }
    {
        WEFT_TIMEOUT(0.01);
        ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE), -ETIMEDOUT);
    }
    close_both(fds);
}

// A function that returns -ECANCELED is a future that was canceled.
static int read_one(void *arg)
{
    char byte;
    ssize_t n = weft_read(*(int *)arg, &byte, 1);

    return n == 1 ? byte : (int)n;
}

static void ignore(int number)
{
    (void)number;
}

WEFT_TEST(a_thread_waits_and_gets)
{
    int fds[2];
    struct sigaction action = {.sa_handler = ignore};

    sigaction(SIGUSR1, &action, NULL);
    ck_assert_int_eq(pipe(fds), 0);
    weft_future *thread = weft_thread_start(read_one, &fds[0]);
    for (int i = 0; i < 10; i++) {
        weft_sleep(0.001);
        kill(getpid(), SIGUSR1);
    }
    ck_assert_int_eq(weft_write(fds[1], "A", 1), 1);
    ck_assert_int_eq(weft_join(thread), 'A');
    close_both(fds);
}

WEFT_TEST(cancel_ends_a_wait)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    weft_future *thread = weft_thread_start(read_one, &fds[0]);
    weft_sleep(0.01);
    weft_cancel(thread);
    ck_assert_int_eq(weft_join(thread), -WEFT_EJOBCANCELED);
    close_both(fds);
}

WEFT_TEST(close_ends_a_wait)
{
    for (int i = 0; i < 50; i++) {
        int fds[2];
        weft_future *threads[3];

        unix_pair(fds);
        for (int t = 0; t < 3; t++)
            threads[t] = weft_thread_start(read_one, &fds[0]);
        weft_sleep(i % 2 ? 0.002 : 0);
        weft_sleep(0.005);
        ck_assert_int_eq(weft_close(fds[0]), 0);
        for (int t = 0; t < 3; t++) {
            int rc = weft_join(threads[t]);
            // a thread that had not begun to wait meets a closed number
            ck_assert(rc == -WEFT_EJOBCANCELED || rc == -EBADF);
        }
        ck_assert_int_eq(weft_close(fds[1]), 0);
    }
}

static int close_one(void *arg)
{
    return weft_close(*(int *)arg);
}

// Closes fds[0] while a plain thread waits on it, and gives what that got.
static int close_under_a_thread(int fds[2])
{
    unix_pair(fds);
    weft_future *thread = weft_thread_start(read_one, &fds[0]);

    weft_sleep(0.01);
    ck_assert_int_eq(weft_close(fds[0]), 0);
    return weft_join(thread);
}

// A task closes what a plain thread waits on, and the other way round.
static int close_from_task(void *unused)
{
    int fds[2], rc;
    weft_future *thread;

    (void)unused;
    // a thread that had not begun to wait meets a closed number: once more
    while ((rc = close_under_a_thread(fds)) == -EBADF)
        ck_assert_int_eq(weft_close(fds[1]), 0);
    ck_assert_int_eq(rc, -WEFT_EJOBCANCELED);

    struct call c = {.fd = fds[1]};
    call_start(&c, call_read);
    thread = weft_thread_start(close_one, &fds[1]);
    // the other end is closed already: an end, or the close
    call_join(&c);
    ck_assert(c.result == 0 || c.result == -ECANCELED);
    ck_assert_int_eq(weft_join(thread), 0);
    return 0;
}

WEFT_TEST(tasks_and_threads_close_for_each_other)
{
    ck_assert_int_eq(weft_run(close_from_task, NULL), 0);
}

// What a thread has to be woken by goes with it.
WEFT_TEST(threads_that_waited_leave_no_descriptor)
{
    int fds[2], threads = weft_test_count_threads();

    ck_assert_int_eq(pipe(fds), 0);
    int before = weft_test_count_fds();
    for (int i = 0; i < 10; i++) {
        weft_future *thread = weft_thread_start(read_one, &fds[0]);
        weft_sleep(0.005);
        ck_assert_int_eq(weft_write(fds[1], "A", 1), 1);
        ck_assert_int_eq(weft_join(thread), 'A');
    }
    weft_test_await_threads(threads);
    ck_assert_int_eq(weft_test_count_fds(), before);
    close_both(fds);
}

static weft_waiter *reader;

static double own_cpu(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

// 0 if the wait took less than 100 ms of CPU.
static int read_idly(void *arg)
{
    __atomic_store_n(&reader, weft_self(), __ATOMIC_SEQ_CST);
    double before = own_cpu();
    int got = read_one(arg);
    return got != 'A' ? got : own_cpu() - before > 0.1;
}

// A wake that is no end of the wait is taken, and then it sleeps again.
WEFT_TEST(a_stray_wake_costs_one_look)
{
    int fds[2];
    weft_waiter *self;

    ck_assert_int_eq(pipe(fds), 0);
    weft_future *thread = weft_thread_start(read_idly, &fds[0]);
    while (!(self = __atomic_load_n(&reader, __ATOMIC_SEQ_CST)))
        weft_sleep(0.001);
    for (int i = 0; i < 5; i++) {
        weft_sleep(0.005);
        weft_unpark(self);
    }
    weft_sleep(0.3);
    ck_assert_int_eq(weft_write(fds[1], "A", 1), 1);
    ck_assert_int_eq(weft_join(thread), 0);
    close_both(fds);
}

// Then there is nothing that wakes it at once.
WEFT_TEST(a_thread_without_an_eventfd_waits)
{
    int fds[2];
    char byte;

    ck_assert_int_eq(pipe(fds), 0);
    kit_refuse(SYS_eventfd2, EMFILE);
    {
        WEFT_TIMEOUT(0.025);
        ck_assert_int_eq(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
    }
    weft_future *thread = weft_thread_start(read_one, &fds[0]);
    weft_sleep(0.025);
    ck_assert_int_eq(weft_write(fds[1], "A", 1), 1);
    ck_assert_int_eq(weft_join(thread), 'A');
    thread = weft_thread_start(read_one, &fds[0]);
    weft_sleep(0.01);
    weft_cancel(thread);
    ck_assert_int_eq(weft_join(thread), -WEFT_EJOBCANCELED);
    close_both(fds);
}

static int write_much(void *arg)
{
    char *block = calloc(1, 1 << 20);
    ssize_t n = weft_write_all(*(int *)arg, block, 1 << 20);

    free(block);
    return n == 1 << 20 ? 0 : (int)n;
}

WEFT_TEST(a_thread_writes_more_than_fits)
{
    for (int kind = 0; kind < 3; kind++) {
        int fds[2];
        char buf[4096];
        size_t got = 0;

        if (kind == 0)
            ck_assert_int_eq(pipe(fds), 0);
        else if (kind == 1)
            unix_pair(fds);
        else {
            ck_assert_int_eq(pipe(fds), 0);
            fcntl(fds[0], F_SETFL, O_NONBLOCK);
            fcntl(fds[1], F_SETFL, O_NONBLOCK);
        }
        weft_future *thread = weft_thread_start(write_much, &fds[1]);
        while (got < 1 << 20) {
            ssize_t n = weft_read(fds[0], buf, sizeof(buf));
            ck_assert_int_gt(n, 0);
            got += (size_t)n;
        }
        ck_assert_int_eq(weft_join(thread), 0);
        close_both(fds);
    }
}

WEFT_TEST(files_and_readiness)
{
    char path[] = "/tmp/weft-loop-XXXXXX", buf[8];
    int fd = mkstemp(path), fds[2];

    unlink(path);
    ck_assert_int_eq(weft_write(fd, "abc", 3), 3);
    lseek(fd, 0, SEEK_SET);
    ck_assert_int_eq(weft_read(fd, buf, sizeof(buf)), 3);
    ck_assert_int_eq(weft_read(fd, buf, sizeof(buf)), 0);
    ck_assert_int_eq(weft_fd_wait(fd, WEFT_READABLE), -EPERM);
    ck_assert_int_eq(weft_close(fd), 0);
    unix_pair(fds);
    ck_assert_int_eq(weft_fd_wait(fds[0], WEFT_READABLE | WEFT_WRITABLE),
                     WEFT_WRITABLE);
    close_both(fds);
}

static int accept_one(void *arg)
{
    return weft_accept(*(int *)arg, NULL, NULL);
}

WEFT_TEST(accept_and_connect)
{
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 4), fds[2];
    char buf[8];
    weft_future *thread = weft_thread_start(accept_one, &listener);

    weft_sleep(0.005);
    fds[1] = connect_to(&addr);
    fds[0] = weft_join(thread);
    ck_assert_int_ge(fds[0], 0);
    ck_assert_int_eq(weft_write(fds[1], "abc", 3), 3);
    ck_assert_int_eq(weft_read(fds[0], buf, sizeof(buf)), 3);
    close_both(fds);
    ck_assert_int_eq(weft_close(listener), 0);
}

WEFT_TEST_MAIN("loop threads")
