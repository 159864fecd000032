// SPDX-License-Identifier: MIT
//
// Input and outputs of a process at once. What is ready is served, a piece at a
// time: who only wrote would wait for a process that waits for its output to be
// read, and the other way round.
#include <weft/process.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/future.h>
#include <weft/io.h>
#include <weft/select.h>

#include "base/options.h"
#include "future/external.h"
#include "os/pipe.h"
#include "os/report.h"
#include "process/pipes.h"

enum { FIRST = 4096, WASTE = 4096, LIMIT = 64 << 20 };

// What is read of one output.
struct taken {
    struct weft_bytes *bytes; // NULL: not wanted
    size_t room;              // of bytes->data
};

struct talk {
    int fd[3]; // -1: closed
    const char *input;
    size_t size, limit;
    struct taken taken[2];
};

static void hang_up(struct talk *talk, int i)
{
    if (talk->fd[i] >= 0)
        weft_close(talk->fd[i]);
    talk->fd[i] = -1;
}

// Who does not read all that it is sent has had enough.
static int put(struct talk *talk)
{
    ssize_t n = 0;
    if (talk->size > 0)
        n = wi_os_pipe_write(talk->fd[0], talk->input, talk->size);
    if (n == -EAGAIN)
        return 0;
    if (n > 0) {
        talk->input += n;
        talk->size -= (size_t)n;
    }
    if (n < 0 || talk->size == 0)
        hang_up(talk, 0);
    return n < 0 && n != -EPIPE ? (int)n : 0;
}

// Room for one byte at least, and the NUL behind all. 0 or a negative code.
static int make_room(struct talk *talk, struct taken *taken)
{
    struct weft_bytes *bytes = taken->bytes;
    size_t most = talk->limit + 2; // one byte more tells that there are more
    if (bytes->len + 1 < taken->room)
        return 0;
    size_t room = taken->room == 0         ? FIRST
                  : taken->room > most / 2 ? most
                                           : 2 * taken->room;
    if (room > most)
        room = most;
    void *data = realloc(bytes->data, room);
    if (data == NULL)
        return -ENOMEM;
    bytes->data = data;
    taken->room = room;
    return 0;
}

static int end_of(struct talk *talk, int i, ssize_t n)
{
    if (n == -EAGAIN)
        return 0;
    hang_up(talk, i);
    return (int)n;
}

static int throw_away(struct talk *talk, int i)
{
    char waste[WASTE];
    ssize_t n = wi_os_pipe_read(talk->fd[i], waste, sizeof waste);
    return n > 0 ? 0 : end_of(talk, i, n);
}

static int get(struct talk *talk, int i)
{
    struct taken *taken = &talk->taken[i - 1];
    struct weft_bytes *bytes = taken->bytes;
    if (bytes == NULL)
        return throw_away(talk, i);
    int rc = make_room(talk, taken);
    if (rc < 0)
        return rc;
    ssize_t n = wi_os_pipe_read(talk->fd[i], (char *)bytes->data + bytes->len,
                                taken->room - 1 - bytes->len);
    if (n <= 0)
        return end_of(talk, i, n);
    bytes->len += (size_t)n;
    if (bytes->len <= talk->limit)
        return 0;
    bytes->len = talk->limit;
    return -WEFT_ETOOBIG;
}

// 0: everything has been said; or a negative code.
static int converse(struct talk *talk)
{
    int rc = 0;
    while (rc == 0) {
        struct weft_case cases[3];
        bool more = false;
        for (int i = 0; i < 3; i++) {
            unsigned events = i == 0 ? WEFT_WRITABLE : WEFT_READABLE;
            cases[i] = (struct weft_case)WEFT_CASE_NONE();
            if (talk->fd[i] < 0)
                continue;
            cases[i] = (struct weft_case)WEFT_CASE_READY(talk->fd[i], events);
            more = true;
        }
        if (!more)
            return 0;
        int i = weft_select(cases, 3);
        rc = i < 0 ? i : i == 0 ? put(talk) : get(talk, i);
    }
    return rc;
}

// The pipes that nobody has taken. 0 or a negative code; -ENODATA: nothing has
// been done.
static int begin(struct talk *talk, weft_future *f)
{
    int rc = wi_pipes_take(f, 0);
    if (rc < 0 && talk->size > 0)
        return rc;
    talk->fd[0] = rc < 0 ? -1 : rc;
    for (int i = 1; i < 3; i++) {
        rc = wi_pipes_take(f, i);
        talk->fd[i] = rc < 0 ? -1 : rc;
        if (rc >= 0 && talk->taken[i - 1].bytes != NULL)
            rc = make_room(talk, &talk->taken[i - 1]);
        if (rc == -ENOMEM)
            return rc;
    }
    return 0;
}

static void finish(struct talk *talk)
{
    for (int i = 0; i < 3; i++)
        hang_up(talk, i);
    for (int i = 0; i < 2; i++) {
        struct weft_bytes *bytes = talk->taken[i].bytes;
        if (bytes != NULL && bytes->data != NULL)
            ((char *)bytes->data)[bytes->len] = '\0';
    }
}

int weft_process_communicate_with(
    weft_future *f, const void *input, size_t size, struct weft_bytes *out,
    struct weft_bytes *err, const struct weft_communicate_options *options)
{
    wi_need(f);
    wi_need_some(input, size);
    WI_OPTIONS(options);
    size_t limit = options->limit != 0 ? options->limit : LIMIT;
    struct talk talk = {.fd = {-1, -1, -1},
                        .input = input,
                        .size = size,
                        .limit = limit < SIZE_MAX / 4 ? limit : SIZE_MAX / 4,
                        .taken = {{out, 0}, {err, 0}}};
    for (int i = 0; i < 2; i++)
        if (talk.taken[i].bytes != NULL)
            *talk.taken[i].bytes = (struct weft_bytes){NULL, 0};
    if (wi_of_future(f)->kind != WI_KIND_PROCESS) {
        // A start that has failed at once has made none.
        int code = weft_done(f) ? weft_get_into(f, NULL, 0) : 0;
        return code < 0 ? code : -EINVAL;
    }
    int rc = begin(&talk, f);
    if (rc == -ENODATA)
        return rc;
    if (rc == 0)
        rc = converse(&talk);
    if (rc < 0) // before it can hear that nobody listens
        weft_cancel(f);
    finish(&talk);
    if (rc == 0)
        rc = weft_get_into(f, NULL, 0);
    if (!weft_done(f)) // the wait was ended
        weft_cancel(f);
    return rc;
}
