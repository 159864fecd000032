// SPDX-License-Identifier: MIT
//
// splice.c: bytes from stream to stream that never come into this process. The
// kernel moves between a pipe and something else only, so there is a pipe in
// the middle, which is empty between two rounds: filled from the one, emptied
// into the other. Bytes that stand in a stream's buffer, or that a loop has
// read ahead, go through memory first.
//
// What the kernel will not do with these two streams is done by reading and
// writing, round by round.
#include <weft/stream.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/io.h>

#include "loop/msg.h"
#include "net/fd_stream.h"
#include "net/stream.h"
#include "os/report.h"

enum { COPY = 64 << 10 };

struct relay {
    weft_stream *from, *to;
    int from_fd, to_fd;
    int in, out; // the pipe's ends, to write and to read
    size_t room; // of the pipe
    char *bytes; // COPY of them, when they are needed
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int need_bytes(struct relay *relay)
{
    if (relay->bytes == NULL)
        relay->bytes = malloc(COPY);
    return relay->bytes != NULL ? 0 : -ENOMEM;
}

// What there is, by reading and writing. 0 at the end.
static ssize_t copy_once(struct relay *relay, size_t size)
{
    ssize_t n = need_bytes(relay);

    if (n == 0)
        n = weft_stream_read(relay->from, relay->bytes, least(size, COPY));
    return n > 0 ? weft_stream_write(relay->to, relay->bytes, (size_t)n) : n;
}

static ssize_t fill(struct relay *relay, size_t size)
{
    ssize_t n = wi_stream_begin_read(relay->from, "weft_stream_splice");

    if (n == 0)
        n = wi_io_splice(relay->from_fd, relay->in, least(size, relay->room));
    return wi_stream_end_read(relay->from, n);
}

// Some of what stands in the pipe, by reading and writing.
static ssize_t empty_by_copy(struct relay *relay, size_t size)
{
    ssize_t n = need_bytes(relay);

    if (n == 0)
        n = weft_read(relay->out, relay->bytes, least(size, COPY));
    return n > 0 ? weft_write_all(relay->to_fd, relay->bytes, (size_t)n) : n;
}

static ssize_t empty(struct relay *relay, size_t size)
{
    struct wi_turn *writers = wi_stream_writers(relay->to);
    ssize_t n = wi_turn_begin(writers);
    size_t done = 0;

    if (n < 0)
        return n;
    while (n >= 0 && done < size) {
        n = wi_io_splice(relay->out, relay->to_fd, size - done);
        if (n == -EOPNOTSUPP)
            n = empty_by_copy(relay, size - done);
        if (n > 0)
            done += (size_t)n;
    }
    wi_turn_end(writers);
    return n < 0 ? n : (ssize_t)done;
}

static ssize_t move_once(struct relay *relay, size_t size)
{
    ssize_t n;

    if (weft_stream_buffered(relay->from) > 0)
        return copy_once(relay, size);
    n = fill(relay, size);
    if (n == -EOPNOTSUPP)
        return copy_once(relay, size);
    return n > 0 ? empty(relay, (size_t)n) : n;
}

static ssize_t move_all(struct relay *relay, size_t size)
{
    size_t done = 0;
    ssize_t n = 1;

    while (n > 0 && done < size) {
        n = move_once(relay, size - done);
        if (n > 0)
            done += (size_t)n;
    }
    return n < 0 ? n : (ssize_t)done;
}

ssize_t weft_stream_splice(weft_stream *from, weft_stream *to, size_t size)
{
    wi_need(from);
    wi_need(to);
    struct relay relay = {.from = from, .to = to};
    int ends[2];
    ssize_t n;

    relay.from_fd = wi_stream_bare_fd(from);
    relay.to_fd = wi_stream_bare_fd(to);
    if (relay.from_fd < 0 || relay.to_fd < 0 ||
        !wi_io_can_splice(relay.from_fd) || !wi_io_can_splice(relay.to_fd) ||
        wi_io_pipe(ends, &relay.room) < 0)
        return weft_stream_copy(from, to, size);
    relay.out = ends[0];
    relay.in = ends[1];
    n = move_all(&relay, size);
    weft_close(relay.in);
    weft_close(relay.out);
    free(relay.bytes);
    return n;
}
