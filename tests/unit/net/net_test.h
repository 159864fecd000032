// SPDX-License-Identifier: MIT
//
// net_test.h: what the tests of streams and sockets share: a task at the other
// end of a stream that follows a script, and a kind of stream that tears what
// passes into small pieces.
#ifndef NET_TEST_H
#define NET_TEST_H

#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

// Two connected streams over a Unix socket pair.
static inline void stream_socket_pair(weft_stream *pair[2])
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                     0);
    kit_assert_code(weft_stream_open(fds[0], &pair[0]), 0);
    kit_assert_code(weft_stream_open(fds[1], &pair[1]), 0);
}

static inline void stream_close_both(weft_stream *pair[2])
{
    kit_assert_code(weft_stream_close(pair[0]), 0);
    kit_assert_code(weft_stream_close(pair[1]), 0);
}

// The peer: writes `text` in pieces of `piece` bytes, then ends or closes.
struct peer {
    weft_stream *stream;
    const char *text;
    size_t size, piece;
    bool end; // shut down afterwards
    weft_future *task;
};

static inline int peer_body(void *arg)
{
    struct peer *p = arg;

    for (size_t done = 0; done < p->size;) {
        size_t n = p->size - done < p->piece ? p->size - done : p->piece;
        ssize_t rc = weft_stream_write(p->stream, p->text + done, n);

        if (rc < 0)
            return (int)rc;
        done += n;
        weft_yield();
    }
    return p->end ? weft_stream_shutdown(p->stream) : 0;
}

static inline void peer_start(struct peer *p)
{
    if (p->size == 0)
        p->size = strlen(p->text);
    if (p->piece == 0)
        p->piece = p->size;
    p->task = weft_task_start(peer_body, p);
}

static inline void peer_join(struct peer *p)
{
    kit_assert_code(weft_join(p->task), 0);
}

static inline void say(weft_stream *s, const char *text)
{
    kit_assert_code(weft_stream_write(s, text, strlen(text)), strlen(text));
}

static inline void hear(weft_stream *s, const char *text)
{
    char buf[4096];
    size_t size = strlen(text);

    ck_assert_uint_le(size, sizeof(buf));
    kit_assert_code(weft_stream_read_exactly(s, buf, size), size);
    ck_assert_mem_eq(buf, text, size);
}

static inline void hear_end(weft_stream *s)
{
    char byte;

    kit_assert_code(weft_stream_read(s, &byte, 1), 0);
}

// A file without a name, of so many bytes.
static inline int temporary_file(size_t size)
{
    char path[] = "/tmp/weft_stream_XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    char *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + i % 23);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    free(bytes);
    return fd;
}

#endif
