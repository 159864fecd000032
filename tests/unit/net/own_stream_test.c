// SPDX-License-Identifier: MIT
//
// Kinds of streams of the program's own.
#include "net_test.h"

// Passes one byte at a time, through another stream.
struct torn {
    weft_stream base;
    weft_stream *below;
    int *closed;
};

static ssize_t torn_read(weft_stream *s, void *buf, size_t size)
{
    (void)size;
    return weft_stream_read(((struct torn *)s)->below, buf, 1);
}

static ssize_t torn_write(weft_stream *s, const void *buf, size_t size)
{
    (void)size;
    return weft_stream_write(((struct torn *)s)->below, buf, 1);
}

static int torn_close(weft_stream *s)
{
    struct torn *t = (struct torn *)s;

    ++*t->closed;
    return weft_stream_close(t->below);
}

static const struct weft_stream_ops torn_ops = {
    .size = sizeof(torn_ops),
    .kind = "torn",
    .read = torn_read,
    .write = torn_write,
    .close = torn_close,
};

KIT_BOTH(a_kind_of_stream_of_ones_own_and_short_reads_and_writes)
{
    weft_stream *pair[2];
    struct torn torn[2];
    int closed = 0;
    char line[32];
    struct iovec parts[] = {{"vec", 3}, {"", 0}, {"tor\n", 4}};

    kit_assert_code(weft_stream_pair(pair), 0);
    for (int i = 0; i < 2; i++) {
        weft_stream_init(&torn[i].base, &torn_ops);
        torn[i].below = pair[i];
        torn[i].closed = &closed;
    }
    weft_stream *a = &torn[0].base, *b = &torn[1].base;
    ck_assert_str_eq(weft_stream_kind(a), "torn");
    say(a, "0123456789");
    hear(b, "0123456789");
    kit_assert_code(weft_stream_writev(a, parts, 3), 7);
    kit_assert_code(weft_stream_printf(a, "%s\n", "line"), 5);
    kit_assert_code(weft_stream_read_line(b, line, sizeof(line)), 7);
    ck_assert_str_eq(line, "vector\n");
    kit_assert_code(weft_stream_read_line(b, line, sizeof(line)), 5);
    struct iovec more[] = {{"", 0}, {"more", 4}, {"", 0}, {"", 0}};
    kit_assert_code(weft_stream_writev(a, more, 4), 4);
    say(a, "!");
    hear(b, "more!");
    kit_assert_code(weft_stream_shutdown(a), -EOPNOTSUPP);
    kit_assert_code(weft_stream_abort(a), 0);
    kit_assert_code(weft_stream_close(b), 0);
    ck_assert_int_eq(closed, 2);
}

// Gives up to `most` of the bytes that are left, and counts how often it is
// asked.
struct counted {
    weft_stream base;
    const char *bytes;
    size_t left, most;
    int asked;
};

static ssize_t counted_read(weft_stream *s, void *buf, size_t size)
{
    struct counted *c = (struct counted *)s;
    size_t n = size < c->most ? size : c->most;

    c->asked++;
    if (n > c->left)
        n = c->left;
    memcpy(buf, c->bytes, n);
    c->bytes += n;
    c->left -= n;
    return (ssize_t)n;
}

static ssize_t counted_write(weft_stream *s, const void *buf, size_t size)
{
    (void)s, (void)buf;
    return (ssize_t)size;
}

static int counted_close(weft_stream *s)
{
    (void)s;
    return 0;
}

static const struct weft_stream_ops counted_ops = {
    .size = sizeof(counted_ops),
    .kind = "counted",
    .read = counted_read,
    .write = counted_write,
    .close = counted_close,
};

static void open_counted(struct counted *c, const char *bytes, size_t most)
{
    *c = (struct counted){.bytes = bytes, .left = strlen(bytes), .most = most};
    weft_stream_init(&c->base, &counted_ops);
}

// Whoever reads in small pieces what is there already does not ask for each.
KIT_BOTH(after_a_full_read_the_next_takes_what_follows)
{
    struct counted c;
    char two[2], all[10];

    open_counted(&c, "0123456789", 100);
    for (int i = 0; i < 5; i++) {
        kit_assert_code(weft_stream_read(&c.base, two, 2), 2);
        ck_assert_mem_eq(two, &"0123456789"[2 * i], 2);
    }
    ck_assert_int_eq(c.asked, 2);
    kit_assert_code(weft_stream_read(&c.base, two, 2), 0);
    kit_assert_code(weft_stream_close(&c.base), 0);

    // One that is not full is followed by none that takes more.
    open_counted(&c, "0123456789", 3);
    kit_assert_code(weft_stream_read(&c.base, all, 10), 3);
    kit_assert_code(weft_stream_read(&c.base, two, 2), 2);
    ck_assert_uint_eq(weft_stream_buffered(&c.base), 0);
    kit_assert_code(weft_stream_read(&c.base, all, 10), 3);
    ck_assert_mem_eq(all, "567", 3);
    kit_assert_code(weft_stream_close(&c.base), 0);
}

// Passes what it is given, until there is no room.
struct filled {
    weft_stream base;
    size_t room;
    int asked;
};

static ssize_t filled_write(weft_stream *s, const void *buf, size_t size)
{
    struct filled *f = (struct filled *)s;

    (void)buf;
    f->asked++;
    if (size > f->room)
        return -ENOSPC;
    f->room -= size;
    return (ssize_t)size;
}

static const struct weft_stream_ops filled_ops = {
    .size = sizeof(filled_ops),
    .kind = "filled",
    .read = counted_read,
    .write = filled_write,
    .close = counted_close,
};

// More parts than are written at once.
KIT_BOTH(a_vector_ends_where_a_write_fails)
{
    enum { PARTS = 200 };
    struct iovec parts[PARTS];
    struct filled filled = {.room = 2 * PARTS};
    weft_stream *s = &filled.base;

    weft_stream_init(s, &filled_ops);
    for (int i = 0; i < PARTS; i++)
        parts[i] = (struct iovec){"xy", 2};
    kit_assert_code(weft_stream_writev(s, parts, PARTS), 2 * PARTS);
    ck_assert_uint_eq(filled.room, 0);
    filled.asked = 0;
    kit_assert_code(weft_stream_writev(s, parts, PARTS), -ENOSPC);
    ck_assert_int_eq(filled.asked, 1);
    kit_assert_code(weft_stream_writev(s, parts, -1), -EINVAL);
    kit_assert_code(weft_stream_close(s), 0);
}

WEFT_TEST_MAIN("own_stream")
