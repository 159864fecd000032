// SPDX-License-Identifier: MIT
#include "net_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>

KIT_BOTH(bytes_both_ways_and_the_end)
{
    weft_stream *pair[2];
    char buf[16] = "";
    ssize_t n;

    stream_socket_pair(pair);
    ck_assert_str_eq(weft_stream_kind(pair[0]), "unix");
    ck_assert_int_ge(weft_stream_fd(pair[0]), 0);
    say(pair[0], "hello");
    n = weft_stream_read(pair[1], buf, sizeof(buf)); // what there is
    ck_assert(n > 0 && n <= 5);
    hear(pair[1], &"hello"[n]);
    ck_assert(memcmp(buf, "hello", (size_t)n) == 0);
    say(pair[1], "back");
    hear(pair[0], "back");
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_read(pair[1], buf, sizeof(buf)), 0);
    kit_assert_code(weft_stream_read(pair[1], buf, sizeof(buf)), 0);
    kit_assert_code(weft_stream_close(pair[1]), 0);
    kit_assert_code(weft_stream_close(NULL), 0);
}

KIT_BOTH(read_exactly_is_whole_or_says_why)
{
    weft_stream *pair[2];
    char buf[16] = "";

    stream_socket_pair(pair);
    struct peer peer = {pair[0], "headbody..", .piece = 3, .end = true};
    peer_start(&peer);
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 0), 0);
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 4), 4);
    ck_assert_mem_eq(buf, "head", 4);
    // the peer ends in the middle: nothing is lost
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 7), -WEFT_EENDED);
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 7), -WEFT_EENDED);
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 6), 6);
    ck_assert_mem_eq(buf, "body..", 6);
    // a clean end
    kit_assert_code(weft_stream_read_exactly(pair[1], buf, 1), 0);
    peer_join(&peer);
    stream_close_both(pair);
}

KIT_BOTH(read_until_finds_a_mark_in_pieces)
{
    weft_stream *pair[2];
    char buf[64];

    for (size_t piece = 1; piece < 12; piece++) {
        stream_socket_pair(pair);
        struct peer peer = {pair[0], "one\r\n\r\ntwo\r\r\n\r\nthree",
                            .piece = piece, .end = true};
        peer_start(&peer);
        kit_assert_code(weft_stream_read_until(pair[1], "\r\n\r\n", 4, buf, 64),
                        7);
        ck_assert_mem_eq(buf, "one\r\n\r\n", 7);
        kit_assert_code(weft_stream_read_until(pair[1], "\r\n\r\n", 4, buf, 8),
                        8);
        ck_assert_mem_eq(buf, "two\r\r\n\r\n", 8);
        kit_assert_code(weft_stream_read_until(pair[1], "\r\n\r\n", 4, buf, 64),
                        -WEFT_EENDED);
        hear(pair[1], "three");
        kit_assert_code(weft_stream_read_until(pair[1], "\r\n\r\n", 4, buf, 64),
                        0);
        peer_join(&peer);
        stream_close_both(pair);
    }
}

KIT_BOTH(read_until_has_a_limit)
{
    weft_stream *pair[2];
    char buf[64];

    stream_socket_pair(pair);
    say(pair[0], "0123456789;rest;");
    kit_assert_code(weft_stream_read_until(pair[1], ";", 1, buf, 10),
                    -WEFT_ETOOBIG);
    kit_assert_code(weft_stream_read_until(pair[1], ";", 1, buf, 5),
                    -WEFT_ETOOBIG);
    // nothing was taken, and the stream can be used on
    kit_assert_code(weft_stream_read_until(pair[1], ";", 1, buf, 11), 11);
    ck_assert_mem_eq(buf, "0123456789;", 11);
    kit_assert_code(weft_stream_skip(pair[1], 2), 2);
    ck_assert_uint_le(weft_stream_buffered(pair[1]), 3); // a read may be short
    hear(pair[1], "st;");
    ck_assert_uint_eq(weft_stream_buffered(pair[1]), 0);
    stream_close_both(pair);
}

// The buffer grows as far as it must, and is small again afterwards.
KIT_BOTH(a_long_line_and_a_short_one)
{
    enum { LONG = 200000 };
    weft_stream *pair[2];
    char *text = malloc(LONG + 8), *line = malloc(LONG + 8);

    memset(text, 'x', LONG);
    memcpy(text + LONG, "\nshort\n", 8);
    stream_socket_pair(pair);
    for (int i = 0; i < 2; i++) {
        struct peer peer = {pair[0], text, LONG + 7, .piece = 5000};
        peer_start(&peer);
        ssize_t n = weft_stream_read_line(pair[1], line, LONG + 8);
        kit_assert_code(n, LONG + 1);
        ck_assert_mem_eq(line, text, LONG + 1);
        kit_assert_code(weft_stream_read_line(pair[1], line, 8), 6);
        ck_assert_str_eq(line, "short\n");
        peer_join(&peer);
    }
    stream_close_both(pair);
    free(text);
    free(line);
}

KIT_BOTH(reading_nothing_and_skipping_past_the_end)
{
    weft_stream *pair[2];
    char byte = '!';

    kit_assert_code(weft_stream_pair(pair), 0);
    kit_assert_code(weft_stream_read(pair[1], &byte, 0), 0); // does not wait
    kit_assert_code(weft_stream_skip(pair[1], 0), 0);
    say(pair[0], "some");
    kit_assert_code(weft_stream_read(pair[1], &byte, 0), 0);
    ck_assert_int_eq(byte, '!');
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    kit_assert_code(weft_stream_skip(pair[1], 9), 4);
    kit_assert_code(weft_stream_skip(pair[1], 9), 0);
    kit_assert_code(weft_stream_abort(pair[0]), 0);
    kit_assert_code(weft_stream_skip(pair[1], 9), -ECONNRESET);
    kit_assert_code(weft_stream_close(pair[1]), 0);
}

KIT_BOTH(awaiting_takes_nothing)
{
    weft_stream *pair[2];
    char byte;

    kit_assert_code(weft_stream_pair(pair), 0);
    {
        WEFT_TIMEOUT(0.001); // a limit of idleness
        kit_assert_code(weft_stream_await(pair[1]), -ETIMEDOUT);
    }
    say(pair[0], "some");
    kit_assert_code(weft_stream_await(pair[1]), 4);
    kit_assert_code(weft_stream_read(pair[1], &byte, 1), 1);
    say(pair[0], "more");
    kit_assert_code(weft_stream_await(pair[1]), 3); // without waiting
    {
        WEFT_TIMEOUT(0); // scopes are told first, as by a read
        kit_assert_code(weft_stream_await(pair[1]), -ETIMEDOUT);
    }
    hear(pair[1], "omemore");
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    kit_assert_code(weft_stream_await(pair[1]), 0);
    kit_assert_code(weft_stream_abort(pair[0]), 0);
    kit_assert_code(weft_stream_await(pair[1]), -ECONNRESET);
    kit_assert_code(weft_stream_close(pair[1]), 0);
}

static const struct iovec marks[] = {
    {"ABC", 3}, {"\r\n", 2}, {"END", 3}, {"B", 1}, {"CAB", 3}};

// The next message must be `text`, up to mark `which`.
static void hear_until(weft_stream *s, int count, const char *text, int which)
{
    char buf[64];
    int found = -1;
    ssize_t n = weft_stream_read_until_any(s, marks, count, &found, buf, 64);

    kit_assert_code(n, strlen(text));
    ck_assert_mem_eq(buf, text, (size_t)n);
    ck_assert_int_eq(found, which);
}

KIT_BOTH(read_until_any_finds_the_first_of_several_marks)
{
    weft_stream *pair[2];
    char buf[64];

    for (size_t piece = 1; piece < 16; piece++) {
        stream_socket_pair(pair);
        struct peer peer = {pair[0], "oneABCtwo\r\nENENDxAB\r\nCABCCABEN",
                            .piece = piece, .end = true};
        peer_start(&peer);
        hear_until(pair[1], 3, "oneABC", 0);
        hear_until(pair[1], 3, "two\r\n", 1);
        hear_until(pair[1], 3, "ENEND", 2);
        hear_until(pair[1], 4, "xAB", 3);  // ends before ABC would
        hear_until(pair[1], 5, "\r\n", 1); // stands before the others
        hear_until(pair[1], 1, "CABC", 0);
        hear_until(pair[1], 5, "CAB", 3); // both end here: the first is named
        kit_assert_code(
            weft_stream_read_until_any(pair[1], marks, 5, NULL, buf, 64),
            -WEFT_EENDED);
        hear(pair[1], "EN");
        kit_assert_code(
            weft_stream_read_until_any(pair[1], marks, 5, NULL, buf, 64), 0);
        peer_join(&peer);
        stream_close_both(pair);
    }
}

KIT_BOTH(read_until_any_has_a_limit)
{
    weft_stream *pair[2];
    char buf[64];

    int which = 77;

    stream_socket_pair(pair);
    say(pair[0], "0123456789ABC\r\n");
    kit_assert_code(
        weft_stream_read_until_any(pair[1], marks, 3, &which, buf, 12),
        -WEFT_ETOOBIG);
    ck_assert_int_eq(which, 77);
    hear_until(pair[1], 3, "0123456789ABC", 0);
    hear_until(pair[1], 3, "\r\n", 1);
    stream_close_both(pair);
}

KIT_BOTH(lines)
{
    weft_stream *pair[2];
    char line[16];
    static const char text[] = "one\ntwo\r\n\nnul\0in\n0123456789abcd\nlast";

    stream_socket_pair(pair);
    struct peer peer = {pair[0], text, sizeof(text) - 1, .piece = 4,
                        .end = true};
    peer_start(&peer);
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 4);
    ck_assert_str_eq(line, "one\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 5);
    ck_assert_str_eq(line, "two\r\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 1);
    ck_assert_str_eq(line, "\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 7);
    ck_assert_mem_eq(line, "nul\0in\n", 8);
    kit_assert_code(weft_stream_read_line(pair[1], line, 15), -WEFT_ETOOBIG);
    kit_assert_code(weft_stream_read_line(pair[1], line, 16), 15);
    ck_assert_str_eq(line, "0123456789abcd\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 4);
    ck_assert_str_eq(line, "last");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 0);
    ck_assert_str_eq(line, "");
    peer_join(&peer);
    stream_close_both(pair);
}

// It has no newline to take the last place.
KIT_BOTH(a_last_line_that_just_fits)
{
    weft_stream *pair[2];
    char line[8];

    stream_socket_pair(pair);
    say(pair[0], "abcd\nefgh");
    kit_assert_code(weft_stream_read_line(pair[1], line, 5), -WEFT_ETOOBIG);
    kit_assert_code(weft_stream_read_line(pair[1], line, 6), 5);
    kit_assert_code(weft_stream_read_line(pair[1], line, 4), -WEFT_ETOOBIG);
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    kit_assert_code(weft_stream_read_line(pair[1], line, 4), -WEFT_ETOOBIG);
    kit_assert_code(weft_stream_read_line(pair[1], line, 5), 4);
    ck_assert_str_eq(line, "efgh");
    kit_assert_code(weft_stream_read_line(pair[1], line, 5), 0);
    stream_close_both(pair);
}

// What came before the deadline is still there after it.
static void give_up_and_go_on(size_t size)
{
    weft_stream *pair[2];
    char *sent = malloc(size), *got = malloc(size);

    for (size_t i = 0; i < size; i++)
        sent[i] = (char)(i * 7 + i / 251);
    stream_socket_pair(pair);
    struct peer first = {pair[0], sent, size / 2, .piece = 1000};
    peer_start(&first);
    do {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_read_exactly(pair[1], got, size),
                        -ETIMEDOUT);
    } while (!weft_done(first.task));
    peer_join(&first);
    struct peer second = {pair[0], sent + size / 2, size - size / 2,
                          .piece = 1000};
    peer_start(&second);
    kit_assert_code(weft_stream_read_exactly(pair[1], got, size), size);
    ck_assert_mem_eq(got, sent, size);
    peer_join(&second);
    stream_close_both(pair);
    free(sent);
    free(got);
}

KIT_BOTH(a_deadline_in_a_message_loses_nothing, .timeout = 20)
{
    give_up_and_go_on(10);
    give_up_and_go_on(3000);
    give_up_and_go_on(300000);
}

static int read_a_line(void *arg)
{
    char line[64];

    return (int)weft_stream_read_line(arg, line, sizeof(line));
}

KIT_TASK(a_cancel_in_a_line_loses_nothing)
{
    weft_stream *pair[2];
    char line[64];

    stream_socket_pair(pair);
    say(pair[0], "first half");
    weft_future *reader = weft_task_start(read_a_line, pair[1]);
    while (weft_stream_buffered(pair[1]) == 0)
        weft_sleep(0.0001);
    weft_cancel(reader);
    kit_assert_code(weft_join(reader), -WEFT_EJOBCANCELED);
    say(pair[0], ", second half\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 24);
    ck_assert_str_eq(line, "first half, second half\n");
    stream_close_both(pair);
}

KIT_BOTH(canceled_scopes_are_told_even_when_bytes_are_there)
{
    weft_stream *pair[2];
    int file = temporary_file(5);
    char byte;

    stream_socket_pair(pair);
    say(pair[0], "xyz");
    hear(pair[1], "x");
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(weft_stream_read(pair[1], &byte, 1), -ETIMEDOUT);
        kit_assert_code(weft_stream_write(pair[1], &byte, 1), -ETIMEDOUT);
        kit_assert_code(weft_stream_shutdown(pair[1]), -ETIMEDOUT);
        kit_assert_code(weft_stream_sendfile(pair[1], file, 0, 5), -ETIMEDOUT);
        kit_assert_code(weft_stream_printf(pair[1], "x"), -ETIMEDOUT);
    }
    hear(pair[1], "yz");
    say(pair[1], "none of it was sent");
    hear(pair[0], "none of it was sent");
    stream_close_both(pair);
    close(file);
}

// A slow peer slows the writer, and the deadline of the writer holds.
static void check_back_pressure(weft_stream *pair[2])
{
    static char bytes[1 << 20];
    char *got = malloc(sizeof(bytes));
    size_t have = 0;

    {
        WEFT_TIMEOUT(0.02);
        kit_assert_code(weft_stream_write(pair[0], bytes, sizeof(bytes)),
                        -ETIMEDOUT);
    }
    kit_assert_code(weft_stream_shutdown(pair[0]), 0);
    for (ssize_t n = 1; n > 0; have += (size_t)n) {
        n = weft_stream_read(pair[1], got, sizeof(bytes));
        ck_assert_int_ge(n, 0);
    }
    ck_assert_uint_gt(have, 0);
    ck_assert_uint_lt(have, sizeof(bytes));
    kit_assert_code(weft_stream_write(pair[0], bytes, 1), -EPIPE);
    free(got);
    stream_close_both(pair);
}

KIT_BOTH(a_write_waits_for_the_reader)
{
    weft_stream *pair[2];

    stream_socket_pair(pair);
    check_back_pressure(pair);
    kit_assert_code(weft_stream_pair(pair, .room = 1000), 0);
    check_back_pressure(pair);
    kit_assert_code(weft_stream_pair(pair), 0);
    check_back_pressure(pair);
}

enum { PARTS = 2500, WRITERS = 8, MESSAGES = 50 };

// Empty ones too, and more of them than the kernel takes at once.
static void check_vectors(weft_stream *pair[2])
{
    static struct iovec parts[PARTS];
    static char bytes[PARTS * 3], got[PARTS * 3];
    size_t size = 0;

    for (int i = 0; i < PARTS; i++) {
        size_t length = (size_t)(i % 4);

        memset(bytes + size, 'a' + i % 26, length);
        parts[i] = (struct iovec){bytes + size, length};
        size += length;
    }
    kit_assert_code(weft_stream_writev(pair[0], parts, PARTS), size);
    kit_assert_code(weft_stream_writev(pair[0], parts, 1), 0);
    kit_assert_code(weft_stream_writev(pair[0], parts, 0), 0);
    kit_assert_code(weft_stream_writev(pair[0], parts, -1), -EINVAL);
    kit_assert_code(weft_stream_read_exactly(pair[1], got, size), size);
    ck_assert_mem_eq(got, bytes, size);
    stream_close_both(pair);
}

KIT_BOTH(vectors)
{
    weft_stream *pair[2];
    int fds[2];

    stream_socket_pair(pair);
    check_vectors(pair);
    kit_assert_code(weft_stream_pair(pair), 0);
    check_vectors(pair);
    for (int flags = 0; flags < 2; flags++) {
        ck_assert_int_eq(pipe2(fds, flags ? O_NONBLOCK : 0), 0);
        kit_assert_code(weft_stream_open(fds[1], &pair[0]), 0);
        kit_assert_code(weft_stream_open(fds[0], &pair[1]), 0);
        check_vectors(pair);
    }
}

struct writer {
    weft_stream *stream;
    char letter;
};

// Each message is longer than what fits into the stream.
static int write_messages(void *arg)
{
    const struct writer *w = arg;
    char text[700];

    memset(text, w->letter, sizeof(text));
    for (int i = 0; i < MESSAGES; i++) {
        struct iovec parts[] = {{text, 100}, {text, 600}};
        ssize_t n = i % 2 ? weft_stream_write(w->stream, text, sizeof(text))
                          : weft_stream_writev(w->stream, parts, 2);
        if (n < 0)
            return (int)n;
    }
    return 0;
}

KIT_BOTH(messages_of_many_writers_stay_whole)
{
    weft_stream *pair[2];
    struct writer writers[WRITERS];
    weft_future *tasks[WRITERS];
    char text[700];

    kit_assert_code(weft_stream_pair(pair, .room = 64), 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){pair[0], (char)('a' + i)};
        tasks[i] = i % 2 ? weft_thread_start(write_messages, &writers[i])
                         : weft_task_start(write_messages, &writers[i]);
    }
    for (int i = 0; i < WRITERS * MESSAGES; i++) {
        kit_assert_code(weft_stream_read_exactly(pair[1], text, sizeof(text)),
                        700);
        ck_assert_int_eq(memcmp(text, text + 1, sizeof(text) - 1), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        kit_assert_code(weft_join(tasks[i]), 0);
    stream_close_both(pair);
}

static int write_much(void *arg)
{
    static char bytes[100000];

    return (int)weft_stream_write(arg, bytes, sizeof(bytes));
}

KIT_TASK(a_writer_in_line_can_give_up)
{
    weft_stream *pair[2];
    char byte;

    kit_assert_code(weft_stream_pair(pair, .room = 10), 0);
    weft_future *first = weft_task_start(write_much, pair[0]);
    kit_assert_code(weft_stream_read(pair[1], &byte, 1), 1);
    weft_future *third = weft_task_start(write_much, pair[0]);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_stream_write(pair[0], "x", 1), -ETIMEDOUT);
    }
    weft_cancel(first);
    kit_assert_code(weft_join(first), -WEFT_EJOBCANCELED);
    // the line moves on
    kit_assert_code(weft_stream_skip(pair[1], 50000), 50000);
    weft_cancel(third);
    kit_assert_code(weft_join(third), -WEFT_EJOBCANCELED);
    stream_close_both(pair);
}

struct talker {
    weft_stream *stream;
    const char *text;
    int *talking;
};

static int talk(void *arg)
{
    struct talker *t = arg;
    ssize_t n;

    kit_count(t->talking);
    n = weft_stream_write(t->stream, t->text, strlen(t->text));
    return n < 0 ? (int)n : 0;
}

static void give_up(weft_future *task)
{
    weft_cancel(task);
    kit_assert_code(weft_join(task), -WEFT_EJOBCANCELED);
}

// One worker: who says that he talks stands in line when the next one runs.
KIT_TASK(writers_in_the_middle_and_at_the_end_of_the_line_give_up)
{
    static const char *const texts[] = {"first ", "second", "third ",
                                        "fourth", "fifth ", "sixth "};
    struct talker talkers[6];
    weft_future *tasks[6];
    weft_stream *pair[2];
    int talking = 0;

    kit_assert_code(weft_stream_pair(pair, .room = 2), 0);
    for (int i = 0; i < 6; i++) {
        if (i == 4) // between the second and the fourth
            give_up(tasks[2]);
        if (i == 5) // behind the fourth
            give_up(tasks[4]);
        talkers[i] = (struct talker){pair[0], texts[i], &talking};
        tasks[i] = weft_task_start(talk, &talkers[i]);
        kit_await(&talking, i + 1);
    }
    hear(pair[1], "first secondfourthsixth ");
    for (int i = 0; i < 6; i++)
        if (i != 2 && i != 4)
            kit_assert_code(weft_join(tasks[i]), 0);
    stream_close_both(pair);
}

KIT_BOTH(half_close)
{
    weft_stream *pair[2];

    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            stream_socket_pair(pair);
        else
            kit_assert_code(weft_stream_pair(pair), 0);
        say(pair[0], "question");
        kit_assert_code(weft_stream_shutdown(pair[0]), 0);
        hear(pair[1], "question");
        hear_end(pair[1]);
        say(pair[1], "answer");
        hear(pair[0], "answer");
        stream_close_both(pair);
    }
}

struct sender {
    weft_stream *stream;
    int fd;
};

static int send_it(void *arg)
{
    struct sender *s = arg;
    ssize_t n = weft_stream_sendfile(s->stream, s->fd, 7, SIZE_MAX);

    return n < 0 ? (int)n : weft_stream_shutdown(s->stream);
}

static void check_sendfile(weft_stream *pair[2])
{
    enum { SIZE = 200000 };
    struct sender sender = {pair[0], temporary_file(SIZE)};

    kit_assert_code(weft_stream_sendfile(pair[0], sender.fd, 3, 5), 5);
    hear(pair[1], "defgh");
    kit_assert_code(weft_stream_sendfile(pair[0], sender.fd, SIZE, 5), 0);
    kit_assert_code(weft_stream_sendfile(pair[0], sender.fd, -1, 5), -EINVAL);
    kit_assert_code(weft_stream_sendfile(pair[0], -1, 0, 5), -EBADF);
    weft_future *task = weft_task_start(send_it, &sender);
    char *got = malloc(SIZE);
    kit_assert_code(weft_stream_read_exactly(pair[1], got, SIZE - 7), SIZE - 7);
    for (size_t i = 7; i < SIZE; i++)
        if (got[i - 7] != (char)('a' + i % 23))
            ck_abort_msg("byte %zu is wrong", i);
    free(got);
    hear_end(pair[1]);
    kit_assert_code(weft_join(task), 0);
    // the file's own place is untouched by all that
    ck_assert_int_eq(lseek(sender.fd, 0, SEEK_CUR), SIZE);
    close(sender.fd);
    stream_close_both(pair);
}

// Takes some of what comes, and goes.
static int read_and_go(void *arg)
{
    ssize_t n = weft_stream_skip(arg, 70000);

    weft_stream_close(arg);
    return n < 0 ? (int)n : 0;
}

KIT_BOTH(a_file_whose_reader_goes_in_the_middle)
{
    weft_stream *pair[2];
    int file = temporary_file(200000);

    kit_assert_code(weft_stream_pair(pair, .room = 1000), 0);
    weft_future *reader = weft_task_start(read_and_go, pair[1]);
    kit_assert_code(weft_stream_sendfile(pair[0], file, 0, 200000), -EPIPE);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_stream_close(pair[0]), 0);
    close(file);
}

KIT_BOTH(files_are_sent, .timeout = 20)
{
    weft_stream *pair[2];
    int fds[2];

    stream_socket_pair(pair); // blocks, so that memory carries it
    check_sendfile(pair);
    kit_assert_code(weft_stream_pair(pair), 0);
    check_sendfile(pair);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    kit_assert_code(weft_stream_open(fds[0], &pair[0]), 0);
    kit_assert_code(weft_stream_open(fds[1], &pair[1]), 0);
    check_sendfile(pair);
}

KIT_BOTH(copying)
{
    weft_stream *a[2], *b[2];

    kit_assert_code(weft_stream_pair(a), 0);
    stream_socket_pair(b);
    say(a[0], "0123456789");
    kit_assert_code(weft_stream_copy(a[1], b[0], 4), 4);
    hear(b[1], "0123");
    kit_assert_code(weft_stream_shutdown(a[0]), 0);
    kit_assert_code(weft_stream_copy(a[1], b[0], SIZE_MAX), 6);
    hear(b[1], "456789");
    kit_assert_code(weft_stream_copy(a[1], b[0], SIZE_MAX), 0);
    stream_close_both(a);
    stream_close_both(b);
}

KIT_BOTH(pipes_files_and_other_descriptors)
{
    int fds[2];
    weft_stream *in, *out, *file;
    char buf[16];

    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
    kit_assert_code(weft_stream_open(fds[0], &in), 0);
    kit_assert_code(weft_stream_open(fds[1], &out), 0);
    ck_assert_str_eq(weft_stream_kind(in), "pipe");
    say(out, "through");
    kit_assert_code(weft_stream_shutdown(in), -EOPNOTSUPP);
    kit_assert_code(weft_stream_shutdown(out), 0);
    kit_assert_code(weft_stream_shutdown(out), 0);
    kit_assert_code(weft_stream_write(out, "x", 1), -EBADF);
    kit_assert_code(weft_stream_fd(out), -EBADF);
    hear(in, "through");
    hear_end(in);
    kit_assert_code(weft_stream_close(in), 0);
    kit_assert_code(weft_stream_close(out), 0);

    kit_assert_code(weft_stream_open(temporary_file(0), &file), 0);
    ck_assert_str_eq(weft_stream_kind(file), "file");
    say(file, "kept");
    ck_assert_int_eq(pread(weft_stream_fd(file), buf, 16, 0), 4);
    kit_assert_code(weft_stream_shutdown(file), -EOPNOTSUPP);
    kit_assert_code(weft_stream_close(file), 0);
    kit_assert_code(weft_stream_open(9999, &file), -EBADF);
    kit_assert_code(weft_stream_open(-1, &file), -EBADF);
}

KIT_BOTH(printed_text_of_any_length)
{
    weft_stream *pair[2];
    char line[2200];

    kit_assert_code(weft_stream_pair(pair), 0);
    kit_assert_code(weft_stream_printf(pair[0], "%d of %s\n", 3, "five"), 10);
    kit_assert_code(weft_stream_printf(pair[0], "%02000d\n", 7), 2001);
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 10);
    ck_assert_str_eq(line, "3 of five\n");
    kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)), 2001);
    ck_assert_str_eq(line + 1997, "007\n");
    // around what has room on the stack, and nothing at all
    for (int size = 510; size < 515; size++) {
        kit_assert_code(weft_stream_printf(pair[0], "%0*d\n", size - 1, 7),
                        size);
        kit_assert_code(weft_stream_printf(pair[0], "%s", ""), 0);
        kit_assert_code(weft_stream_read_line(pair[1], line, sizeof(line)),
                        size);
        ck_assert_str_eq(line + size - 3, "07\n");
    }
    ck_assert_uint_eq(weft_stream_buffered(pair[1]), 0);
    ck_assert_int_eq(weft_stream_fd(pair[0]), -EBADF);
    stream_close_both(pair);
}

KIT_BOTH(an_aborted_stream_is_an_error_for_the_peer)
{
    weft_stream *pair[2];
    char byte;

    kit_assert_code(weft_stream_pair(pair), 0);
    say(pair[0], "lost");
    kit_assert_code(weft_stream_abort(pair[0]), 0);
    kit_assert_code(weft_stream_read(pair[1], &byte, 1), -ECONNRESET);
    kit_assert_code(weft_stream_write(pair[1], "x", 1), -EPIPE);
    kit_assert_code(weft_stream_close(pair[1]), 0);
}

// Signals ---------------------------------------------------------------------

static void on_signal(int sig)
{
    (void)sig;
}

// One every 200 microseconds, in whatever thread runs, while streams are busy.
KIT_BOTH(a_storm_of_signals, .timeout = 20)
{
    enum { SIZE = 1 << 20 };
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    weft_stream *pair[2];
    char *bytes = malloc(SIZE), *got = malloc(SIZE);

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 13 + i / 509);
    sigaction(SIGALRM, &action, NULL); // without SA_RESTART
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (int kind = 0; kind < 2; kind++) {
        if (kind)
            stream_socket_pair(pair);
        else
            kit_assert_code(weft_stream_pair(pair, .room = 3000), 0);
        struct peer peer = {pair[0], bytes, SIZE, .piece = 5000, .end = true};
        peer_start(&peer);
        kit_assert_code(weft_stream_read_exactly(pair[1], got, SIZE), SIZE);
        ck_assert_int_eq(memcmp(got, bytes, SIZE), 0);
        hear_end(pair[1]);
        peer_join(&peer);
        stream_close_both(pair);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    free(bytes);
    free(got);
}

// Misuse ----------------------------------------------------------------------

static int read_twice(void *arg)
{
    weft_stream *pair[2];

    (void)arg;
    weft_stream_pair(pair);
    weft_future *other = weft_task_start(read_a_line, pair[1]);
    weft_yield();
    read_a_line(pair[1]);
    return weft_join(other);
}

static void two_readers(void)
{
    weft_run(read_twice, NULL);
}

static int close_early(void *arg)
{
    weft_stream *pair[2];

    (void)arg;
    weft_stream_pair(pair);
    weft_task_start(read_a_line, pair[1]);
    weft_yield();
    return weft_stream_close(pair[1]);
}

static void close_under_a_reader(void)
{
    weft_run(close_early, NULL);
}

static int write_too_much(void *arg)
{
    static const char much[1000];

    return (int)weft_stream_write(arg, much, sizeof(much));
}

static int abort_early(void *arg)
{
    weft_stream *pair[2];

    (void)arg;
    weft_stream_pair(pair, .room = 10);
    weft_task_start(write_too_much, pair[1]);
    weft_yield();
    return weft_stream_abort(pair[1]);
}

static void abort_under_a_writer(void)
{
    weft_run(abort_early, NULL);
}

static void no_ops(void)
{
    static const struct weft_stream_ops none = {.size = sizeof(none)};
    weft_stream s;

    weft_stream_init(&s, &none);
}

static void no_marks(void)
{
    weft_stream *pair[2];
    char buf[8];

    stream_socket_pair(pair);
    weft_stream_read_until_any(pair[0], marks, 0, NULL, buf, sizeof(buf));
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(no_marks, "there must be a mark");
    kit_assert_aborts(two_readers, "one task or thread at a time may read");
    kit_assert_aborts(close_under_a_reader, "somebody reads the stream");
    kit_assert_aborts(abort_under_a_writer, "somebody writes the stream");
    kit_assert_aborts(no_ops, "needs its size, read, write and close");
}

WEFT_TEST_MAIN("stream")
