// SPDX-License-Identifier: MIT
//
// From stream to stream, past this process or through it.
#include "net_test.h"

#include <fcntl.h>
#include <sys/eventfd.h>

enum { MUCH = 1 << 20 };

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 131 + i / 257);
}

static int write_pattern(void *arg)
{
    size_t total = MUCH, piece = 70001;
    unsigned char *bytes = malloc(MUCH);

    for (size_t i = 0; i < total; i++)
        bytes[i] = pattern(i);
    for (size_t done = 0; done < total; done += piece) {
        piece = total - done < piece ? total - done : piece;
        kit_assert_code(weft_stream_write(arg, bytes + done, piece), piece);
    }
    free(bytes);
    return weft_stream_shutdown(arg);
}

static int read_pattern(void *arg)
{
    static unsigned char bytes[10007];
    size_t at = 0, wrong = 0;
    ssize_t n;

    while ((n = weft_stream_read(arg, bytes, sizeof(bytes))) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            wrong += bytes[i] != pattern(at);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(at, MUCH);
    return (int)n;
}

// Two streams of a kind: what is written to pair[0] is read from pair[1].
static void pipe_streams(weft_stream *pair[2])
{
    int fds[2];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    kit_assert_code(weft_stream_open(fds[1], &pair[0]), 0);
    kit_assert_code(weft_stream_open(fds[0], &pair[1]), 0);
}

static void tcp_streams(weft_stream *pair[2])
{
    struct weft_address address;
    weft_listener *listener;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &listener), 0);
    kit_assert_code(weft_listener_address(listener, 0, &address), 0);
    kit_assert_code(weft_address_connect(&address, &pair[0]), 0);
    kit_assert_code(weft_listener_accept(listener, &pair[1], NULL), 0);
    weft_listener_close(listener);
}

static void memory_streams(weft_stream *pair[2])
{
    kit_assert_code(weft_stream_pair(pair), 0);
}

typedef void make_streams(weft_stream *pair[2]);

static void unix_streams(weft_stream *pair[2])
{
    int fds[2], flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

    ck_assert_int_eq(socketpair(AF_UNIX, flags, 0, fds), 0);
    kit_assert_code(weft_stream_open(fds[0], &pair[0]), 0);
    kit_assert_code(weft_stream_open(fds[1], &pair[1]), 0);
}

static make_streams *const makers[] = {tcp_streams, unix_streams,
                                       stream_socket_pair, // these block
                                       pipe_streams, memory_streams};

// What was read with weft_read before makes a socket one that is read ahead.
static void splice_between(make_streams *make_in, make_streams *make_out)
{
    weft_stream *in[2], *out[2];

    make_in(in);
    make_out(out);
    for (int i = 0; i < 8; i++) {
        say(in[0], "ping");
        hear(in[1], "ping");
    }
    say(in[0], "line\nrest");
    ck_assert_int_eq(weft_stream_read_line(in[1], (char[8]){0}, 8), 5);
    // what stands in the buffer goes first
    kit_assert_code(weft_stream_splice(in[1], out[0], 4), 4);
    hear(out[1], "rest");
    weft_future *writer = weft_task_start(write_pattern, in[0]);
    weft_future *reader = weft_task_start(read_pattern, out[1]);
    kit_assert_code(weft_stream_splice(in[1], out[0], 100000), 100000);
    kit_assert_code(weft_stream_splice(in[1], out[0], SIZE_MAX), MUCH - 100000);
    kit_assert_code(weft_stream_splice(in[1], out[0], SIZE_MAX), 0);
    kit_assert_code(weft_stream_shutdown(out[0]), 0);
    kit_assert_code(weft_join(writer), 0);
    kit_assert_code(weft_join(reader), 0);
    stream_close_both(in);
    stream_close_both(out);
}

KIT_BOTH(splicing_all_kinds_of_streams, .timeout = 60)
{
    int fds;

    splice_between(tcp_streams, tcp_streams); // loops stay open
    fds = weft_test_count_fds();
    for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++)
        for (size_t k = 0; k < sizeof(makers) / sizeof(*makers); k++)
            splice_between(makers[i], makers[k]);
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

KIT_BOTH(a_splice_ends_by_deadline_and_by_its_peers)
{
    weft_stream *in[2], *out[2];

    tcp_streams(in);
    tcp_streams(out);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_splice(in[1], out[0], SIZE_MAX),
                        -ETIMEDOUT);
    }
    say(in[0], "still there");
    kit_assert_code(weft_stream_splice(in[1], out[0], 11), 11);
    hear(out[1], "still there");
    kit_assert_code(weft_stream_abort(out[1]), 0);
    for (ssize_t n = 1; n >= 0;) {
        say(in[0], "nobody hears");
        n = weft_stream_splice(in[1], out[0], 12);
        if (n < 0) // and no SIGPIPE
            ck_assert_msg(n == -ECONNRESET || n == -EPIPE, "%zd", n);
    }
    say(in[0], "more");
    kit_assert_code(weft_stream_splice(in[1], out[0], 4), -EPIPE);
    kit_assert_code(weft_stream_sendfile(out[0], temporary_file(100), 0, 100),
                    -EPIPE);
    stream_close_both(in);
    kit_assert_code(weft_stream_close(out[0]), 0);
}

// The kernel moves nothing into a file that is written at its end, and nothing
// out of a counter: then it goes through memory.
KIT_BOTH(splicing_what_the_kernel_does_not_move)
{
    char path[] = "/tmp/weft_stream_XXXXXX";
    int counter = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK), fd = mkstemp(path);
    weft_stream *in[2], *log, *count;
    char text[16] = "";
    uint64_t value;

    ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
    kit_assert_code(weft_stream_open(fd, &log), 0);
    tcp_streams(in);
    for (int i = 0; i < 2; i++) {
        say(in[0], "0123456");
        kit_assert_code(weft_stream_splice(in[1], log, 7), 7);
    }
    ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 14);
    ck_assert_str_eq(text, "01234560123456");
    kit_assert_code(weft_stream_open(counter, &count), 0);
    kit_assert_code(weft_stream_splice(count, in[0], 8), 8);
    kit_assert_code(weft_stream_read_exactly(in[1], &value, 8), 8);
    ck_assert_uint_eq(value, 7);
    kit_assert_code(weft_stream_close(count), 0);
    kit_assert_code(weft_stream_close(log), 0);
    stream_close_both(in);
    unlink(path);
}

// A call may move a part only.
static void splice_all(int from, int to, size_t most, size_t expected)
{
    for (size_t done = 0; done < expected;) {
        ssize_t n = weft_splice(from, to, most - done);

        ck_assert_int_gt(n, 0);
        done += (size_t)n;
        ck_assert_uint_le(done, expected);
    }
}

KIT_BOTH(splicing_descriptors)
{
    int pipes[2], sockets[2];
    char buf[16];

    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    ck_assert_int_eq(write(pipes[1], "from a pipe", 11), 11);
    splice_all(pipes[0], sockets[0], 100, 11);
    ck_assert_int_eq(read(sockets[1], buf, 16), 11);
    ck_assert_mem_eq(buf, "from a pipe", 11);
    ck_assert_int_eq(write(sockets[1], "to a pipe", 9), 9);
    splice_all(sockets[0], pipes[1], 2, 2);
    splice_all(sockets[0], pipes[1], 100, 7);
    ck_assert_int_eq(read(pipes[0], buf, 16), 9);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_splice(pipes[0], sockets[0], 100), -ETIMEDOUT);
    }
    kit_assert_code(weft_splice(pipes[0], sockets[0], 0), 0);
    kit_assert_code(weft_splice(sockets[0], sockets[1], 1), -EOPNOTSUPP);
    kit_assert_code(weft_splice(-1, sockets[1], 1), -EBADF);
    kit_assert_code(weft_splice(999, sockets[1], 1), -EBADF);
    weft_close(pipes[1]);
    kit_assert_code(weft_splice(pipes[0], sockets[0], 100), 0);
    weft_close(sockets[1]);
    weft_close(pipes[0]);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    kit_assert_code(weft_splice(pipes[0], sockets[0], 1), -EPIPE);
    weft_close(pipes[0]);
    weft_close(pipes[1]);
    weft_close(sockets[0]);
}

WEFT_TEST_MAIN("splice")
