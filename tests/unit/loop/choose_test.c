// SPDX-License-Identifier: MIT
//
// Which backend is chosen, and what is said when the wanted one is refused.
#include "kit.h"
#include "loop_test.h"
#include "refuse.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "loop/loop.h"

static void refuse_rings(int code)
{
    kit_refuse(SYS_io_uring_setup, code);
}

static int say_backend(void *arg)
{
    int fds[2];
    char byte;

    unix_pair(fds);
    ck_assert_int_eq(weft_write(fds[0], "x", 1), 1);
    ck_assert_int_eq(weft_read(fds[1], &byte, 1), 1);
    close_both(fds);
    strcpy(arg, weft_backend());
    return 0;
}

// What a read returns when no loop can be opened.
static int read_code(void *unused)
{
    char byte;

    (void)unused;
    return (int)weft_read(0, &byte, 1);
}

// Standard error of fn goes into text.
static int listen_to(weft_function *fn, char *text, size_t size)
{
    int fds[2], old = dup(2), rc;
    ssize_t n;

    ck_assert_int_eq(pipe(fds), 0);
    dup2(fds[1], 2);
    rc = weft_run(fn, NULL);
    dup2(old, 2);
    close(fds[1]);
    n = read(fds[0], text, size - 1);
    text[n > 0 ? n : 0] = 0;
    close(fds[0]);
    close(old);
    return rc;
}

WEFT_TEST(uring_where_it_is_good)
{
    char name[16] = "";

    unsetenv("WEFT_BACKEND");
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 &&
        (errno == ENOSYS || errno == EPERM))
        weft_test_skip("io_uring is not allowed here");
    ck_assert_int_eq(weft_run(say_backend, name), 0);
#if defined(WEFT_HAVE_URING)
    ck_assert_str_eq(name, "uring");
#else
    ck_assert_str_eq(name, "epoll");
#endif
}

WEFT_TEST(epoll_where_uring_is_refused, .repeat = 4)
{
    static const int codes[] = {EPERM, ENOSYS, EACCES, ENOMEM};
    char name[16] = "";

    unsetenv("WEFT_BACKEND");
    refuse_rings(codes[weft_test_round() % 4]);
    ck_assert_int_eq(weft_run(say_backend, name), 0);
    ck_assert_str_eq(name, "epoll");
}

// A filter that knows of the one call only.
WEFT_TEST(epoll_where_rings_cannot_be_entered, .repeat = 3)
{
    static const int codes[] = {EPERM, ENOSYS, EACCES};
    char name[16] = "";

    unsetenv("WEFT_BACKEND");
    kit_refuse(SYS_io_uring_enter, codes[weft_test_round() % 3]);
    ck_assert_int_eq(weft_run(say_backend, name), 0);
    ck_assert_str_eq(name, "epoll");
}

#if defined(WEFT_HAVE_URING)
static int lose_the_ring(void *unused)
{
    int fds[2];
    char byte;

    (void)unused;
    unix_pair(fds);
    ck_assert_str_eq(weft_backend(), "uring");
    kit_refuse(SYS_io_uring_enter, EPERM);
    return (int)weft_read(fds[0], &byte, 1);
}

static void enter_no_more(void)
{
    weft_run(lose_the_ring, NULL);
}

// Nobody would ever hear of anything again, and the thread would not rest.
WEFT_TEST(a_filter_that_comes_too_late)
{
    setenv("WEFT_BACKEND", "uring", 1);
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno != EFAULT)
        weft_test_skip("io_uring is not allowed here");
    kit_assert_aborts(enter_no_more, "io_uring_enter");
}

static int ask_to_forget(void *fd)
{
    return weft_close((int)(intptr_t)fd);
}

static int take_over(void *fd)
{
    int taken = weft_accept((int)(intptr_t)fd, NULL, NULL);

    return taken < 0 ? taken : weft_close(taken);
}

// Mail that comes when a loop has given up what it had read ahead.
WEFT_TEST(mail_for_a_loop_that_closes)
{
    struct wi_loop *loop = NULL;
    struct sockaddr_in addr;
    int listener = listen_loopback(&addr, 8), clients[2];
    struct wi_io io = {.code = WI_IO_ACCEPT, .fd = listener};

    setenv("WEFT_BACKEND", "uring", 1);
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno != EFAULT)
        weft_test_skip("io_uring is not allowed here");
    ck_assert_int_eq(wi_loop_open(&loop), 0);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(
            connect(clients[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
    }
    loop->ops->submit(loop, &io);
    while (!io.done)
        loop->ops->poll(loop, WI_FOREVER);
    ck_assert_int_ge(io.result, 0);
    weft_future *other = weft_thread_start(take_over, kit_number(listener));
    while (!weft_done(other))
        loop->ops->poll(loop, wi_os_now() + 1000000);
    ck_assert_int_eq(weft_join(other), 0);
    other = weft_thread_start(ask_to_forget, kit_number(listener));
    while (!wi_loop_has_mail(loop))
        usleep(100);
    loop->ops->close(loop);
    ck_assert_int_eq(weft_join(other), 0);
    close((int)io.result);
    close(clients[0]);
    close(clients[1]);
}
#endif

WEFT_TEST(a_ring_that_cannot_be_entered_is_an_error)
{
    char text[1024];

    setenv("WEFT_BACKEND", "uring", 1);
    kit_refuse(SYS_io_uring_enter, EPERM);
    ck_assert_int_lt(listen_to(read_code, text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "WEFT_BACKEND=uring"));
}

WEFT_TEST(a_forced_backend_that_is_refused_is_an_error)
{
    char text[1024];

    setenv("WEFT_BACKEND", "uring", 1);
    refuse_rings(EPERM);
    ck_assert_int_eq(listen_to(read_code, text, sizeof(text)),
#if defined(WEFT_HAVE_URING)
                     -EPERM);
    ck_assert_ptr_nonnull(strstr(text, "WEFT_BACKEND=uring"));
    ck_assert_ptr_nonnull(strstr(text, "EPERM"));
    ck_assert_ptr_nonnull(strstr(text, "seccomp"));
    ck_assert_ptr_nonnull(strstr(text, "epoll"));
#else
                     -ENOSYS);
#endif
    ck_assert_ptr_nonnull(strstr(wi_loop_error(), "WEFT_BACKEND"));
    // again, and now without the words
    ck_assert_int_lt(listen_to(read_code, text, sizeof(text)), 0);
    ck_assert_ptr_null(strstr(text, "WEFT_BACKEND"));
}

static int end_at_once(weft_stream *s, void *arg)
{
    (void)s, (void)arg;
    return 0;
}

static int serve_code(void *unused)
{
    weft_listener *listener;
    int rc;

    (void)unused;
    ck_assert_int_eq(weft_tcp_listen("127.0.0.1", 0, &listener), 0);
    rc = weft_serve(listener, end_at_once, NULL);
    weft_listener_close(listener);
    return rc;
}

static int accept_code(void *unused)
{
    weft_listener *listener;
    weft_stream *stream;
    int rc;

    (void)unused;
    ck_assert_int_eq(weft_tcp_listen("127.0.0.1", 0, &listener), 0);
    rc = weft_listener_accept(listener, &stream, NULL);
    weft_listener_close(listener);
    return rc;
}

// It is not taken for a connection that a firewall has refused.
WEFT_TEST(a_server_ends_where_its_backend_is_refused)
{
    char text[1024];

    setenv("WEFT_BACKEND", "uring", 1);
    refuse_rings(EPERM);
    ck_assert_int_lt(listen_to(serve_code, text, sizeof(text)), 0);
    ck_assert_int_lt(listen_to(accept_code, text, sizeof(text)), 0);
}

WEFT_TEST(an_unknown_backend_is_an_error)
{
    char text[1024];

    setenv("WEFT_BACKEND", "kqueue", 1);
    ck_assert_int_eq(listen_to(read_code, text, sizeof(text)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(text, "kqueue"));
}

WEFT_TEST(uring_is_known_as_io_uring_too)
{
    char text[1024];

    setenv("WEFT_BACKEND", "io_uring", 1);
    refuse_rings(EPERM);
    ck_assert_int_lt(listen_to(read_code, text, sizeof(text)), 0);
    ck_assert_ptr_nonnull(strstr(text, "uring cannot be had"));
}

WEFT_TEST(epoll_is_there_when_asked_for)
{
    char name[16] = "";

    setenv("WEFT_BACKEND", "epoll", 1);
    ck_assert_int_eq(weft_run(say_backend, name), 0);
    ck_assert_str_eq(name, "epoll");
}

// The seam itself: wake, deadlines, and the counts that the scheduler reads.
static struct wi_loop *open_loop(void)
{
    struct wi_loop *loop = NULL;

    ck_assert_int_eq(wi_loop_open(&loop), 0);
    ck_assert_int_eq(loop->active, 0);
    ck_assert_int_eq(loop->queued, 0);
    return loop;
}

WEFT_TEST(the_seam, .repeat = 2)
{
    static const char *const names[] = {"epoll", "uring"};

    setenv("WEFT_BACKEND", names[weft_test_round()], 1);
    if (weft_test_round() && syscall(SYS_io_uring_setup, 0, NULL) < 0 &&
        errno != EFAULT)
        weft_test_skip("io_uring is not allowed here");
    struct wi_loop *loop = open_loop();
    int64_t start = wi_os_now();
    int fds[2];
    char byte = 0;

    ck_assert_int_eq(loop->ops->poll(loop, 0), 0);
    loop->ops->poll(loop, start + 20000000);
    ck_assert_int_ge(wi_os_now() - start, 20000000);
    for (int i = 0; i < 100; i++) {
        loop->ops->wake(loop); // before the wait
        loop->ops->wake(loop);
        loop->ops->poll(loop, WI_FOREVER);
    }
    unix_pair(fds);
    struct wi_io io = {
        .code = WI_IO_READ, .fd = fds[0], .buf = &byte, .size = 1};
    loop->ops->submit(loop, &io);
    ck_assert_int_eq(io.done, 0);
    ck_assert_int_ge(loop->active, 1);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    while (!io.done)
        loop->ops->poll(loop, WI_FOREVER);
    ck_assert_int_eq(io.result, 1);
    io.done = 0;
    loop->ops->submit(loop, &io);
    loop->ops->cancel(loop, &io);
    while (!io.done)
        loop->ops->poll(loop, WI_FOREVER);
    ck_assert_int_eq(io.result, -ECANCELED);
    // A wake that was seen on the way must not swallow the next one.
    io.done = 0;
    loop->ops->submit(loop, &io);
    loop->ops->wake(loop);
    loop->ops->forget(loop, fds[0]);
    loop->ops->wake(loop);
    loop->ops->poll(loop, WI_FOREVER);
    while (!io.done)
        loop->ops->poll(loop, WI_FOREVER);
    ck_assert_int_eq(io.result, -ECANCELED);
    close(fds[0]);
    close(fds[1]);
    loop->ops->close(loop);
}

WEFT_TEST_MAIN("loop choice")
