// SPDX-License-Identifier: MIT
//
// Streams in memory: two ends, and between them a ring of bytes each way. A
// writer that is too far ahead waits for the reader, as on a socket.
#include <weft/stream.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/futex.h"
#include "os/report.h"
#include "sched/park.h"

enum { DEFAULT_ROOM = 64 << 10 };

// One direction. All of it under the lock of the pair.
struct lane {
    char *bytes;
    size_t room, start, count;
    bool ended;             // no more will be written
    bool reset;             // because the writer went away without an end
    bool deaf;              // no more will be read
    struct wi_task *reader; // who waits for bytes
    struct wi_task *writer; // who waits for room
};

struct end {
    weft_stream base;
    struct pair *pair;
    struct lane *in, *out;
};

struct pair {
    struct wi_mutex lock;
    unsigned open; // ends
    struct end ends[2];
    struct lane lanes[2];
    char bytes[];
};

static struct end *end_of(weft_stream *s)
{
    return (struct end *)s;
}

// Takes the task that waits in *place.
static struct wi_task *called(struct wi_task **place)
{
    struct wi_task *task = *place;

    *place = NULL;
    return task;
}

static void call(struct wi_task *task)
{
    if (task != NULL)
        wi_unpark(task);
}

static size_t lane_read(struct lane *lane, char *buf, size_t size)
{
    size_t n = lane->count < size ? lane->count : size;
    size_t first = lane->room - lane->start < n ? lane->room - lane->start : n;

    memcpy(buf, lane->bytes + lane->start, first);
    memcpy(buf + first, lane->bytes, n - first);
    lane->start = (lane->start + n) % lane->room;
    lane->count -= n;
    return n;
}

static size_t lane_write(struct lane *lane, const char *buf, size_t size)
{
    size_t n =
        lane->room - lane->count < size ? lane->room - lane->count : size;
    size_t at = (lane->start + lane->count) % lane->room;
    size_t first = lane->room - at < n ? lane->room - at : n;

    memcpy(lane->bytes + at, buf, first);
    memcpy(lane->bytes, buf + first, n - first);
    lane->count += n;
    return n;
}

// What a read can get now; -EAGAIN: nothing, and the caller is to be called.
static ssize_t try_read(struct end *end, void *buf, size_t size)
{
    struct lane *lane = end->in;
    struct wi_task *writer = NULL;
    ssize_t n = -EAGAIN;

    wi_mutex_lock(&end->pair->lock);
    if (lane->reset) {
        n = -ECONNRESET;
    } else if (lane->count > 0) {
        n = (ssize_t)lane_read(lane, buf, size);
        writer = called(&lane->writer);
    } else if (lane->ended) {
        n = 0;
    }
    lane->reader = n == -EAGAIN ? wi_self() : NULL;
    wi_mutex_unlock(&end->pair->lock);
    call(writer);
    return n;
}

static ssize_t try_write(struct end *end, const void *buf, size_t size)
{
    struct lane *lane = end->out;
    struct wi_task *reader = NULL;
    ssize_t n = -EAGAIN;

    wi_mutex_lock(&end->pair->lock);
    if (lane->deaf || lane->ended) {
        n = -EPIPE;
    } else if (lane->count < lane->room) {
        n = (ssize_t)lane_write(lane, buf, size);
        reader = called(&lane->reader);
    }
    lane->writer = n == -EAGAIN ? wi_self() : NULL;
    wi_mutex_unlock(&end->pair->lock);
    call(reader);
    return n;
}

static int wait_for(const struct end *end, enum wi_wait_kind kind)
{
    const struct wi_wait wait = {
        .object = end,
        .deadline = WI_FOREVER,
        .kind = (uint16_t)kind,
        .flags = WI_SCOPED,
    };

    return wi_park(&wait);
}

// Nobody is to be called any more.
static void withdraw(struct end *end, struct wi_task **place)
{
    wi_mutex_lock(&end->pair->lock);
    *place = NULL;
    wi_mutex_unlock(&end->pair->lock);
}

static ssize_t memory_read(weft_stream *s, void *buf, size_t size)
{
    struct end *end = end_of(s);
    ssize_t n;

    while ((n = try_read(end, buf, size)) == -EAGAIN) {
        n = wait_for(end, WI_WAIT_PARK);
        if (n < 0) {
            withdraw(end, &end->in->reader);
            break;
        }
    }
    return n;
}

static ssize_t memory_write(weft_stream *s, const void *buf, size_t size)
{
    struct end *end = end_of(s);
    ssize_t n;

    while ((n = try_write(end, buf, size)) == -EAGAIN) {
        n = wait_for(end, WI_WAIT_PARK);
        if (n < 0) {
            withdraw(end, &end->out->writer);
            break;
        }
    }
    return n;
}

static int memory_shutdown(weft_stream *s)
{
    struct end *end = end_of(s);

    wi_mutex_lock(&end->pair->lock);
    end->out->ended = true;
    struct wi_task *reader = called(&end->out->reader);
    wi_mutex_unlock(&end->pair->lock);
    call(reader);
    return 0;
}

// The other end may be gone with this call, so nothing is touched after it.
static int leave(weft_stream *s, bool reset)
{
    struct end *end = end_of(s);
    struct pair *pair = end->pair;

    wi_mutex_lock(&pair->lock);
    end->out->reset |= reset;
    end->out->ended = true;
    end->in->deaf = true;
    struct wi_task *reader = called(&end->out->reader);
    struct wi_task *writer = called(&end->in->writer);
    bool last = --pair->open == 0;
    wi_mutex_unlock(&pair->lock);
    call(reader);
    call(writer);
    if (last)
        free(pair);
    return 0;
}

static int memory_close(weft_stream *s)
{
    return leave(s, false);
}

static int memory_abort(weft_stream *s)
{
    return leave(s, true);
}

static const struct weft_stream_ops memory_ops = {
    .size = sizeof(memory_ops),
    .kind = "memory",
    .read = memory_read,
    .write = memory_write,
    .shutdown = memory_shutdown,
    .close = memory_close,
    .abort = memory_abort,
};

int weft_stream_pair_with(weft_stream *ends[2],
                          const struct weft_memory_options *options)
{
    wi_require(ends != NULL, NULL, "pair must not be NULL");
    WI_OPTIONS(options);
    size_t room = options->room != 0 ? options->room : DEFAULT_ROOM;
    struct pair *pair;

    if (room > (SIZE_MAX - sizeof(*pair)) / 2)
        return -ENOMEM;
    pair = malloc(sizeof(*pair) + 2 * room);
    if (pair == NULL)
        return -ENOMEM;
    memset(pair, 0, sizeof(*pair));
    pair->open = 2;
    for (int i = 0; i < 2; i++) {
        pair->lanes[i].bytes = pair->bytes + (size_t)i * room;
        pair->lanes[i].room = room;
        weft_stream_init(&pair->ends[i].base, &memory_ops);
        pair->ends[i].pair = pair;
        pair->ends[i].in = &pair->lanes[i];
        pair->ends[i].out = &pair->lanes[1 - i];
        ends[i] = &pair->ends[i].base;
    }
    return 0;
}
