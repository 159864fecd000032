// SPDX-License-Identifier: MIT
#include "net_test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static const char *temporary_path(void)
{
    static char path[64];

    snprintf(path, sizeof(path), "/tmp/weft_unix_%d_%llx", (int)getpid(),
             (unsigned long long)weft_test_random());
    return path;
}

KIT_BOTH(listen_connect_and_the_file)
{
    const char *path = temporary_path();
    weft_listener *l, *other;
    weft_stream *a, *b;
    struct weft_address address;
    struct stat st;
    char text[100];

    kit_assert_code(weft_unix_connect(path, &a), -ENOENT);
    kit_assert_code(weft_unix_listen(path, &l, .mode = 0600), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    weft_address_text(&address, text, sizeof(text));
    ck_assert_str_eq(text, path);
    kit_assert_code(weft_unix_listen(path, &other), -EADDRINUSE);
    kit_assert_code(weft_unix_connect(path, &a), 0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    ck_assert_str_eq(weft_stream_kind(b), "unix");
    say(a, "hello");
    hear(b, "hello");
    kit_assert_code(weft_stream_close(a), 0);
    hear_end(b);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
    ck_assert_int_lt(stat(path, &st), 0);
    // without a wish, as for any file
    mode_t mask = umask(022);
    // what is said of TCP means nothing here
    kit_assert_code(weft_unix_listen(path, &l, .socket = {.keepalive = 30}), 0);
    umask(mask);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0755);
    weft_listener_close(l);
}

// What a program that was killed has left behind.
KIT_BOTH(a_dead_socket_file_is_replaced_and_other_files_are_not)
{
    const char *path = temporary_path();
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    weft_listener *l;
    weft_stream *a;
    struct stat st;

    strcpy(addr.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    kit_assert_code(weft_unix_connect(path, &a), -ECONNREFUSED);
    kit_assert_code(weft_unix_listen(path, &l), 0);
    kit_assert_code(weft_unix_connect(path, &a), 0);
    kit_assert_code(weft_stream_close(a), 0);
    // another program has taken the place: its file stays
    ck_assert_int_eq(unlink(path), 0);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    weft_listener_close(l);
    ck_assert_int_eq(stat(path, &st), 0);
    kit_assert_code(weft_unix_listen(path, &l), -EADDRINUSE);
    close(fd);
    ck_assert_int_eq(unlink(path), 0);
    // also if it is a socket
    kit_assert_code(weft_unix_listen(path, &l), 0);
    ck_assert_int_eq(unlink(path), 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    weft_listener_close(l);
    ck_assert_int_eq(stat(path, &st), 0);
    close(fd);
    ck_assert_int_eq(unlink(path), 0);
}

KIT_BOTH(names_without_a_file_are_for_those_who_ask)
{
    char name[64];
    weft_listener *l;
    weft_stream *a, *b;

    snprintf(name, sizeof(name), "@weft_%d_%llx", (int)getpid(),
             (unsigned long long)weft_test_random());
    kit_assert_code(weft_unix_listen(name, &l), -EINVAL);
    kit_assert_code(weft_unix_connect(name, &a), -EINVAL);
    kit_assert_code(weft_unix_listen(name, &l, .abstract = true), 0);
    ck_assert_int_lt(access(name, F_OK), 0);
    kit_assert_code(weft_unix_connect(name, &a), -EINVAL);
    kit_assert_code(weft_unix_connect(name, &a, .abstract = true), 0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    stream_close_both((weft_stream *[]){a, b});
    weft_listener_close(l);
}

KIT_BOTH(paths_that_are_too_long_or_nowhere)
{
    char path[300];
    weft_listener *l;
    weft_stream *a;

    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = '\0';
    kit_assert_code(weft_unix_listen(path, &l), -ENAMETOOLONG);
    kit_assert_code(weft_unix_connect(path, &a), -ENAMETOOLONG);
    kit_assert_code(weft_unix_listen("/nonexistent/x", &l), -ENOENT);
    kit_assert_code(weft_unix_connect("", &a), -EINVAL);
}

static int hang_up(weft_stream *stream, void *arg)
{
    (void)arg;
    return (int)weft_stream_write(stream, "bye", 3);
}

static int serve(void *arg)
{
    return weft_serve(arg, hang_up, NULL);
}

KIT_BOTH(serving_and_a_file_that_is_gone_already)
{
    const char *path = temporary_path();
    weft_listener *l;
    weft_stream *a;

    kit_assert_code(weft_unix_listen(path, &l), 0);
    weft_future *task = weft_task_start(serve, l);
    for (int i = 0; i < 3; i++) {
        kit_assert_code(weft_unix_connect(path, &a), 0);
        hear(a, "bye");
        hear_end(a);
        kit_assert_code(weft_stream_close(a), 0);
    }
    ck_assert_int_eq(unlink(path), 0);
    weft_listener_stop(l);
    kit_assert_code(weft_join(task), 0);
    weft_listener_close(l);
}

// Descriptors in messages -----------------------------------------------------

static int new_pipe(int fds[2])
{
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    return fds[0];
}

KIT_BOTH(descriptors_travel)
{
    int sockets[2], pipes[3][2], got[3] = {-1, -1, -1};
    size_t n = 3;
    char buf[16];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    int send[3] = {new_pipe(pipes[0]), new_pipe(pipes[1]), new_pipe(pipes[2])};
    kit_assert_code(weft_send_fds(sockets[0], "take", 4, send, 3), 4);
    kit_assert_code(weft_receive_fds(sockets[1], buf, sizeof(buf), got, &n), 4);
    ck_assert_mem_eq(buf, "take", 4);
    ck_assert_uint_eq(n, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(write(pipes[i][1], &(char){(char)('a' + i)}, 1), 1);
        ck_assert_int_eq(read(got[i], buf, 1), 1);
        ck_assert_int_eq(buf[0], 'a' + i);
        ck_assert_int_eq(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        close(got[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    // bytes alone
    kit_assert_code(weft_send_fds(sockets[0], "none", 4, NULL, 0), 4);
    n = 3;
    kit_assert_code(weft_receive_fds(sockets[1], buf, sizeof(buf), got, &n), 4);
    ck_assert_uint_eq(n, 0);
    kit_assert_code(weft_send_fds(sockets[0], "", 0, send, 1), -EINVAL);
    kit_assert_code(weft_send_fds(sockets[0], "x", 1, send, 254), -EINVAL);
    kit_assert_code(weft_close(sockets[0]), 0);
    n = 3;
    kit_assert_code(weft_receive_fds(sockets[1], buf, sizeof(buf), got, &n), 0);
    kit_assert_code(weft_close(sockets[1]), 0);
}

KIT_BOTH(as_many_descriptors_as_the_kernel_takes)
{
    enum { MOST = 253 };
    int sockets[2], fds[2], send[MOST], got[MOST];
    size_t n = MOST;
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    new_pipe(fds);
    for (int i = 0; i < MOST; i++)
        send[i] = fds[i % 2];
    kit_assert_code(weft_send_fds(sockets[0], "x", 1, send, MOST), 1);
    kit_assert_code(weft_receive_fds(sockets[1], &byte, 1, got, &n), 1);
    ck_assert_uint_eq(n, MOST);
    for (int i = 0; i < MOST; i++)
        ck_assert_int_eq(close(got[i]), 0);
    close(fds[0]);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

KIT_BOTH(more_descriptors_than_expected_are_closed)
{
    int sockets[2], fds[2], got[1];
    size_t n = 1;
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    new_pipe(fds);
    kit_assert_code(weft_send_fds(sockets[0], "x", 1, fds, 2), 1);
    int before = weft_test_count_fds();
    kit_assert_code(weft_receive_fds(sockets[1], &byte, 1, got, &n),
                    -WEFT_ETOOBIG);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(weft_test_count_fds(), before);
    close(fds[0]);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

// A socket that is told who sends gets another message beside the descriptors.
KIT_BOTH(descriptors_with_the_sender)
{
    int sockets[2], fds[2], got, yes = 1;
    size_t n = 1;
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    ck_assert_int_eq(
        setsockopt(sockets[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
    new_pipe(fds);
    kit_assert_code(weft_send_fds(sockets[0], "xy", 2, fds, 1), 2);
    kit_assert_code(weft_receive_fds(sockets[1], &byte, 1, &got, &n), 1);
    ck_assert_uint_eq(n, 1);
    close(fds[0]);
    ck_assert_int_eq(write(fds[1], "z", 1), 1);
    ck_assert_int_eq(read(got, &byte, 1), 1);
    ck_assert_int_eq(byte, 'z');
    kit_assert_code(weft_receive_fds(sockets[1], &byte, 1, &got, &n), 1);
    ck_assert_uint_eq(n, 0);
    n = 1;
    kit_assert_code(weft_receive_fds(-1, &byte, 1, &got, &n), -EBADF);
    ck_assert_uint_eq(n, 0);
    close(got);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

// All or none, also when this process has room for some of them only.
KIT_BOTH(descriptors_that_find_no_number_are_lost_together)
{
    int sockets[2], fds[2], got[2];
    struct rlimit limit, small;
    size_t n = 2;
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    new_pipe(fds);
    kit_assert_code(weft_send_fds(sockets[0], "a", 1, fds, 2), 1);
    kit_assert_code(weft_receive_fds(sockets[1], &byte, 1, got, &n), 1);
    ck_assert_uint_eq(n, 2);
    kit_assert_code(weft_send_fds(sockets[0], "b", 1, fds, 2), 1);
    close(got[0]);
    close(got[1]);
    int before = weft_test_count_fds();
    // the lowest number that is free, and no other
    int lowest = fcntl(sockets[0], F_DUPFD, 0);
    close(lowest);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    small = limit;
    small.rlim_cur = (rlim_t)lowest + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
    n = 2;
    got[1] = sockets[0]; // none of those that came
    int rc = (int)weft_receive_fds(sockets[1], &byte, 1, got, &n);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    kit_assert_code(rc, -EMFILE);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(weft_test_count_fds(), before);
    close(fds[0]);
    close(fds[1]);
    close(sockets[0]);
    close(sockets[1]);
}

// On a connection that has been read from many times before: nothing is read
// ahead, or the descriptors would be lost.
KIT_BOTH(descriptors_after_many_reads)
{
    const char *path = temporary_path();
    weft_listener *l;
    weft_stream *a, *b;
    int fds[2], got;
    size_t n = 1;
    char byte;

    kit_assert_code(weft_unix_listen(path, &l), 0);
    kit_assert_code(weft_unix_connect(path, &a), 0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    for (int i = 0; i < 50; i++) {
        struct peer peer = {.stream = a, .text = "x"};
        peer_start(&peer);
        kit_assert_code(weft_stream_read(b, &byte, 1), 1);
        peer_join(&peer);
    }
    new_pipe(fds);
    kit_assert_code(weft_send_fds(weft_stream_fd(a), "x", 1, fds, 1), 1);
    kit_assert_code(weft_receive_fds(weft_stream_fd(b), &byte, 1, &got, &n), 1);
    ck_assert_uint_eq(n, 1);
    close(got);
    close(fds[0]);
    close(fds[1]);
    kit_assert_code(weft_stream_close(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    weft_listener_close(l);
}

WEFT_TEST_MAIN("unix")
