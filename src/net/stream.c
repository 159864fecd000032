// SPDX-License-Identifier: MIT
//
// stream.c: what all kinds of streams share: the buffer for reading, and the
// order of the writers.
//
// The buffer is one piece of memory, bytes[start .. end) of it unread. It is
// made at the first read that needs it, small, and doubles when a read has
// filled it, so that a connection which is mostly idle keeps little. A read of
// much goes past it, into the caller's memory; what such a read had got when it
// failed is put back in front.
#include <weft/stream.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "loop/msg.h"
#include "net/stream.h"
#include "os/report.h"
#include "sched/park.h"

enum {
    FIRST_ROOM = 512,
    MOST_ROOM = 16 << 10, // doubling ends here; a need goes beyond it
    DIRECT = 4096,        // a read of that much goes past the buffer
    KEPT_ROOM = 64 << 10, // an empty buffer larger than this is freed
    BATCH = 64,           // buffers of a vector written at once
    COPY = 64 << 10,
};

// What weft_stream.own holds.
struct core {
    const struct weft_stream_ops *ops;
    char *bytes;
    size_t start, end, room;
    uint32_t reading; // a reader is inside: any thread, atomically
    bool full;        // the last read got all that it had room for
    struct wi_turn writers;
};
_Static_assert(sizeof(struct core) <= sizeof(struct weft_stream),
               "the public structure has room for it");

static struct core *core_of(weft_stream *s)
{
    return (struct core *)s;
}

void weft_stream_init(weft_stream *s, const struct weft_stream_ops *ops)
{
    wi_require(s != NULL && ops != NULL, s,
               "the stream and its functions must not be NULL");
    wi_require(ops->size >= sizeof(*ops) && ops->read && ops->write &&
                   ops->close,
               s, "a kind of stream needs its size, read, write and close");
    memset(s, 0, sizeof(*s));
    s->ops = ops;
}

const char *weft_stream_kind(const weft_stream *s)
{
    wi_need(s);
    return s->ops->kind;
}

int weft_stream_fd(weft_stream *s)
{
    wi_need(s);
    return s->ops->fd != NULL ? s->ops->fd(s) : -EBADF;
}

// The buffer ------------------------------------------------------------------

static size_t have(const struct core *c)
{
    return c->end - c->start;
}

static void took(struct core *c, size_t n)
{
    c->start += n;
    if (c->start < c->end)
        return;
    c->start = c->end = 0;
    if (c->room > KEPT_ROOM) {
        free(c->bytes);
        c->bytes = NULL;
        c->room = 0;
    }
}

static size_t take(struct core *c, void *buf, size_t size)
{
    size_t n = have(c) < size ? have(c) : size;

    if (n > 0)
        memcpy(buf, c->bytes + c->start, n);
    took(c, n);
    return n;
}

static int resize(struct core *c, size_t room)
{
    char *bytes = malloc(room);

    if (bytes == NULL)
        return -ENOMEM;
    if (have(c) > 0)
        memcpy(bytes, c->bytes + c->start, have(c));
    free(c->bytes);
    c->end = have(c);
    c->start = 0;
    c->bytes = bytes;
    c->room = room;
    return 0;
}

// Room for at least one byte more; for as many as `want` if that is cheap.
static int make_room(struct core *c, size_t want)
{
    if (c->end < c->room && c->room - c->end >= want)
        return 0;
    if (have(c) < c->room) {
        memmove(c->bytes, c->bytes + c->start, have(c));
        c->end = have(c);
        c->start = 0;
        return 0;
    }
    return resize(c, c->room > 0 ? c->room * 2 : FIRST_ROOM);
}

// Reads once into the buffer. What read returned, or -ENOMEM.
static ssize_t fill(weft_stream *s, size_t want)
{
    struct core *c = core_of(s);
    int rc = make_room(c, want);
    size_t room;
    ssize_t n;

    if (rc < 0)
        return rc;
    room = c->room - c->end;
    n = s->ops->read(s, c->bytes + c->end, room);
    if (n > 0)
        c->end += (size_t)n;
    // It was too small for what comes at once: the next time it is larger.
    if (n == (ssize_t)room && c->room < MOST_ROOM && c->start == 0)
        resize(c, c->room * 2); // if that fails, it stays as it is
    return n;
}

// Whether the empty buffer has room for twice the size.
static bool has_twice(struct core *c, size_t size)
{
    size_t room = 2 * size > FIRST_ROOM ? 2 * size : FIRST_ROOM;

    return c->room >= room || resize(c, room) == 0;
}

// Puts what a reader has taken back in front.
static int put_back(struct core *c, const void *bytes, size_t n)
{
    if (n == 0)
        return 0;
    if (c->start < n) {
        size_t old = have(c);
        char *made = malloc(n + old);

        if (made == NULL)
            return -ENOMEM;
        if (old > 0)
            memcpy(made + n, c->bytes + c->start, old);
        free(c->bytes);
        c->bytes = made;
        c->room = c->end = n + old;
        c->start = n;
    }
    c->start -= n;
    memcpy(c->bytes + c->start, bytes, n);
    return 0;
}

// Reading ---------------------------------------------------------------------

int wi_stream_begin_read(weft_stream *s, const char *function)
{
    // acquire: pairs with the release in wi_stream_end_read
    if (__atomic_exchange_n(&core_of(s)->reading, 1, __ATOMIC_ACQUIRE))
        wi_panic(function, s, "one task or thread at a time may read a stream");
    return wi_check_scopes();
}

ssize_t wi_stream_end_read(weft_stream *s, ssize_t result)
{
    // release: pairs with the acquire in wi_stream_begin_read
    __atomic_store_n(&core_of(s)->reading, 0, __ATOMIC_RELEASE);
    return result;
}

// Past the buffer, unless the last read was full: then there may be more than
// this one has room for, and there is room for that in the buffer, whose being
// filled in part says that there is no more. A copy is less than a system call.
static ssize_t read_some(weft_stream *s, void *buf, size_t size)
{
    struct core *c = core_of(s);
    ssize_t n;

    if (!c->full || size > DIRECT || !has_twice(c, size)) {
        n = s->ops->read(s, buf, size);
        c->full = n == (ssize_t)size;
        return n;
    }
    n = fill(s, 1);
    c->full = n >= (ssize_t)size;
    return n > 0 ? (ssize_t)take(c, buf, size) : n;
}

ssize_t weft_stream_read(weft_stream *s, void *buf, size_t size)
{
    wi_need(s);
    wi_need_some(buf, size);
    ssize_t n = wi_stream_begin_read(s, __func__);

    if (n == 0 && size > 0) {
        n = (ssize_t)take(core_of(s), buf, size);
        if (n == 0)
            n = read_some(s, buf, size);
    }
    return wi_stream_end_read(s, n);
}

// One more portion of a message, into the buffer or past it.
static ssize_t portion(weft_stream *s, char *to, size_t size)
{
    ssize_t n;

    if (size >= DIRECT)
        return s->ops->read(s, to, size);
    n = fill(s, size);
    return n > 0 ? (ssize_t)take(core_of(s), to, size) : n;
}

static ssize_t exactly(weft_stream *s, char *buf, size_t size)
{
    struct core *c = core_of(s);
    size_t done = take(c, buf, size);

    while (done < size) {
        ssize_t n = portion(s, buf + done, size - done);

        if (n <= 0) {
            int rc = put_back(c, buf, done);

            if (n == 0 && done > 0)
                n = -WEFT_EENDED;
            return rc < 0 ? rc : n;
        }
        done += (size_t)n;
    }
    return (ssize_t)size;
}

ssize_t weft_stream_read_exactly(weft_stream *s, void *buf, size_t size)
{
    wi_need(s);
    wi_need_some(buf, size);
    ssize_t n = wi_stream_begin_read(s, __func__);

    if (n == 0)
        n = exactly(s, buf, size);
    return wi_stream_end_read(s, n);
}

// What a reader looks for.
struct search {
    const struct iovec *marks;
    int n;
    size_t longest; // of them
    size_t seen;    // so many bytes of the buffer need not be looked at again
    int found;      // which of them
};

// The length of what stands in the buffer up to and with the mark; 0: it has
// not come.
static size_t find_one(const struct core *c, const struct search *search,
                       const struct iovec *mark)
{
    const char *from, *at;

    if (have(c) < mark->iov_len)
        return 0; // perhaps without a buffer
    from = c->bytes + c->start;
    at = memmem(from + search->seen, have(c) - search->seen, mark->iov_base,
                mark->iov_len);
    return at != NULL ? (size_t)(at - from) + mark->iov_len : 0;
}

// The same for the mark that ends first, and of those the first.
static size_t find(const struct core *c, struct search *search)
{
    size_t first = 0;

    for (int i = 0; i < search->n; i++) {
        size_t length = find_one(c, search, &search->marks[i]);

        if (length > 0 && (first == 0 || length < first)) {
            first = length;
            search->found = i;
        }
    }
    if (first == 0 && have(c) >= search->longest)
        search->seen = have(c) - (search->longest - 1);
    return first;
}

// Fills the buffer until a mark has come, within size bytes: the length with
// the mark, 0 at the end of the stream, or a negative code. It is over as well
// when `most` bytes have come without one.
static ssize_t await_mark(weft_stream *s, struct search *search, size_t size,
                          size_t most)
{
    struct core *c = core_of(s);

    for (;;) {
        size_t length = find(c, search);
        ssize_t n;

        if (length > size || (length == 0 && have(c) >= most))
            return -WEFT_ETOOBIG;
        if (length > 0)
            return (ssize_t)length;
        n = fill(s, 1);
        if (n <= 0)
            return n;
    }
}

static ssize_t read_until(weft_stream *s, struct search *search, void *buf,
                          size_t size)
{
    ssize_t n = await_mark(s, search, size, size);

    if (n > 0)
        take(core_of(s), buf, (size_t)n);
    else if (n == 0 && have(core_of(s)) > 0)
        n = -WEFT_EENDED;
    return n;
}

ssize_t weft_stream_read_until(weft_stream *s, const void *mark,
                               size_t mark_size, void *buf, size_t size)
{
    wi_need(s);
    wi_need_some(mark, mark_size);
    wi_need_some(buf, size);
    const struct iovec one = {(void *)mark, mark_size}; // read only
    struct search search = {.marks = &one, .n = 1, .longest = mark_size};
    ssize_t n = wi_stream_begin_read(s, __func__);

    wi_require(mark_size > 0, s, "the mark must not be empty");
    if (n == 0)
        n = read_until(s, &search, buf, size);
    return wi_stream_end_read(s, n);
}

ssize_t weft_stream_read_until_any(weft_stream *s, const struct iovec *marks,
                                   int count, int *which, void *buf,
                                   size_t size)
{
    wi_need(s);
    wi_need_some(marks, count);
    wi_need_some(buf, size);
    struct search search = {.marks = marks, .n = count};
    ssize_t n = wi_stream_begin_read(s, __func__);

    wi_require(count > 0, s, "there must be a mark");
    for (int i = 0; i < count; i++) {
        wi_require(marks[i].iov_len > 0, s, "no mark must be empty");
        if (marks[i].iov_len > search.longest)
            search.longest = marks[i].iov_len;
    }
    if (n == 0)
        n = read_until(s, &search, buf, size);
    if (n > 0 && which != NULL)
        *which = search.found;
    return wi_stream_end_read(s, n);
}

ssize_t weft_stream_read_line(weft_stream *s, char *line, size_t size)
{
    wi_need(s);
    wi_need_some(line, size);
    const struct iovec newline = {"\n", 1};
    struct search search = {.marks = &newline, .n = 1, .longest = 1};
    ssize_t n = wi_stream_begin_read(s, __func__);

    wi_require(size > 1, s, "a line needs room for a character and the NUL");
    if (n == 0) {
        // The last line fits without a newline where others do not.
        n = await_mark(s, &search, size - 1, size);
        if (n == 0)
            n = (ssize_t)have(core_of(s));
        if (n >= 0)
            line[take(core_of(s), line, (size_t)n)] = '\0';
    }
    return wi_stream_end_read(s, n);
}

ssize_t weft_stream_await(weft_stream *s)
{
    wi_need(s);
    struct core *c = core_of(s);
    ssize_t n = wi_stream_begin_read(s, __func__);

    if (n == 0 && have(c) == 0)
        n = fill(s, 1);
    return wi_stream_end_read(s, n < 0 ? n : (ssize_t)have(c));
}

ssize_t weft_stream_skip(weft_stream *s, size_t size)
{
    wi_need(s);
    struct core *c = core_of(s);
    ssize_t n = wi_stream_begin_read(s, __func__);
    size_t done = 0;

    while (n == 0 && done < size) {
        size_t now = have(c) < size - done ? have(c) : size - done;

        took(c, now);
        done += now;
        if (done == size)
            break;
        n = fill(s, 1);
        if (n == 0)
            break;
        n = n > 0 ? 0 : n;
    }
    return wi_stream_end_read(s, n < 0 ? n : (ssize_t)done);
}

size_t weft_stream_buffered(const weft_stream *s)
{
    wi_need(s);
    size_t n = have((const struct core *)s);

    if (n > 0 || s->ops->buffered == NULL)
        return n;
    return s->ops->buffered((weft_stream *)s);
}

// Writing ---------------------------------------------------------------------

struct wi_turn *wi_stream_writers(weft_stream *s)
{
    return &core_of(s)->writers;
}

static ssize_t write_all(weft_stream *s, const char *buf, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = s->ops->write(s, buf + done, size - done);

        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)size;
}

ssize_t weft_stream_write(weft_stream *s, const void *buf, size_t size)
{
    wi_need(s);
    wi_need_some(buf, size);
    struct core *c = core_of(s);
    ssize_t n = wi_turn_begin(&c->writers);

    if (n < 0)
        return n;
    n = write_all(s, buf, size);
    wi_turn_end(&c->writers);
    return n;
}

static ssize_t write_parts(weft_stream *s, const struct iovec *parts, int n)
{
    if (s->ops->writev != NULL)
        return s->ops->writev(s, parts, n);
    return s->ops->write(s, parts->iov_base, parts->iov_len);
}

// Writes the batch, which it uses up.
static ssize_t write_batch(weft_stream *s, struct iovec *parts, int n)
{
    while (n > 0) {
        ssize_t written;

        if (parts->iov_len == 0) {
            parts++;
            n--;
            continue;
        }
        written = write_parts(s, parts, n);
        if (written < 0)
            return written;
        for (size_t left = (size_t)written; left > 0;) {
            size_t now = left < parts->iov_len ? left : parts->iov_len;

            parts->iov_base = (char *)parts->iov_base + now;
            parts->iov_len -= now;
            left -= now;
            if (parts->iov_len == 0) {
                parts++;
                n--;
            }
        }
    }
    return 0;
}

ssize_t weft_stream_writev(weft_stream *s, const struct iovec *parts, int n)
{
    wi_need(s);
    wi_need_some(parts, n);
    struct core *c = core_of(s);
    struct iovec batch[BATCH];
    size_t total = 0;
    ssize_t rc = n < 0 ? -EINVAL : wi_turn_begin(&c->writers);

    if (rc < 0)
        return rc;
    for (int i = 0; i < n && rc == 0; i += BATCH) {
        int count = n - i < BATCH ? n - i : BATCH;

        memcpy(batch, parts + i, (size_t)count * sizeof(*parts));
        for (int k = 0; k < count; k++)
            total += batch[k].iov_len;
        rc = write_batch(s, batch, count);
    }
    wi_turn_end(&c->writers);
    return rc < 0 ? rc : (ssize_t)total;
}

// Text that found no room on the stack.
static ssize_t print_long(weft_stream *s, size_t size, const char *format,
                          va_list arguments)
{
    char *text = malloc(size + 1);
    ssize_t n;

    if (text == NULL)
        return -ENOMEM;
    vsnprintf(text, size + 1, format, arguments);
    n = weft_stream_write(s, text, size);
    free(text);
    return n;
}

ssize_t weft_stream_printf(weft_stream *s, const char *format, ...)
{
    wi_need(s);
    wi_need(format);
    char text[512];
    va_list arguments, again;
    ssize_t n;

    va_start(arguments, format);
    va_copy(again, arguments);
    n = vsnprintf(text, sizeof(text), format, arguments);
    if (n < 0)
        n = -EINVAL;
    else if ((size_t)n < sizeof(text))
        n = weft_stream_write(s, text, (size_t)n);
    else
        n = print_long(s, (size_t)n, format, again);
    va_end(again);
    va_end(arguments);
    return n;
}

// Moving ----------------------------------------------------------------------

// The file's next bytes, through memory.
static ssize_t send_portion(weft_stream *s, int fd, off_t *offset, size_t size)
{
    size_t room = size < COPY ? size : COPY;
    char *bytes = malloc(room);
    ssize_t n;

    if (bytes == NULL)
        return -ENOMEM;
    n = wi_io_read_file(fd, bytes, room, *offset);
    if (n > 0)
        n = write_all(s, bytes, (size_t)n);
    if (n > 0)
        *offset += n;
    free(bytes);
    return n;
}

static ssize_t send_file(weft_stream *s, int fd, off_t offset, size_t size)
{
    bool kernel = s->ops->sendfile != NULL;
    size_t done = 0;

    while (done < size) {
        ssize_t n = kernel ? s->ops->sendfile(s, fd, &offset, size - done)
                           : send_portion(s, fd, &offset, size - done);

        if (kernel && (n == -EOPNOTSUPP || n == -EINVAL || n == -ENOSYS)) {
            kernel = false;
            continue;
        }
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t weft_stream_sendfile(weft_stream *s, int fd, off_t offset, size_t size)
{
    wi_need(s);
    struct core *c = core_of(s);
    ssize_t n = offset < 0 ? -EINVAL : wi_turn_begin(&c->writers);

    if (n < 0)
        return n;
    n = send_file(s, fd, offset, size);
    wi_turn_end(&c->writers);
    return n;
}

ssize_t weft_stream_copy(weft_stream *from, weft_stream *to, size_t size)
{
    wi_need(from);
    wi_need(to);
    char *bytes = malloc(COPY);
    size_t done = 0;
    ssize_t n = bytes != NULL ? 1 : -ENOMEM;

    while (n > 0 && done < size) {
        n = weft_stream_read(from, bytes,
                             size - done < COPY ? size - done : COPY);
        if (n > 0)
            n = weft_stream_write(to, bytes, (size_t)n);
        if (n > 0)
            done += (size_t)n;
    }
    free(bytes);
    return n < 0 ? n : (ssize_t)done;
}

// Ending ----------------------------------------------------------------------

int weft_stream_shutdown(weft_stream *s)
{
    wi_need(s);
    struct core *c = core_of(s);
    int rc =
        s->ops->shutdown == NULL ? -EOPNOTSUPP : wi_turn_begin(&c->writers);

    if (rc < 0)
        return rc;
    rc = s->ops->shutdown(s);
    wi_turn_end(&c->writers);
    return rc;
}

static void leave_buffer(weft_stream *s, const char *function)
{
    struct core *c = core_of(s);

    // acquire: pairs with the release in wi_stream_end_read
    if (__atomic_load_n(&c->reading, __ATOMIC_ACQUIRE))
        wi_panic(function, s, "somebody reads the stream that is closed");
    if (wi_turn_is_taken(&c->writers))
        wi_panic(function, s, "somebody writes the stream that is closed");
    free(c->bytes);
    c->bytes = NULL;
}

int weft_stream_close(weft_stream *s)
{
    if (s == NULL)
        return 0;
    leave_buffer(s, __func__);
    return s->ops->close(s);
}

int weft_stream_abort(weft_stream *s)
{
    wi_need(s);
    leave_buffer(s, __func__);
    return s->ops->abort != NULL ? s->ops->abort(s) : s->ops->close(s);
}
