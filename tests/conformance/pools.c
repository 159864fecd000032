// SPDX-License-Identifier: MIT
// Jobs and thread pools.
#include "case.h"

struct tile {
    int x, y;
};

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

WEFT_JOB(struct tile, turn, struct tile, t)
{
    return (struct tile){-t.y, t.x};
}

WEFT_JOB(struct weft_text, hello)
{
    return weft_text("hello");
}

WEFT_JOB(struct weft_bytes, twice, struct weft_bytes, in)
{
    struct weft_bytes out = {malloc(2 * in.len), 2 * in.len};

    memcpy(out.data, in.data, in.len);
    memcpy((char *)out.data + in.len, in.data, in.len);
    return out;
}

WEFT_JOB(int, refuse, int, code)
{
    weft_fail(code, "refused %d", code);
    return 1;
}

WEFT_JOB(int, wait_for_ever)
{
    return weft_sleep(INFINITY);
}

static weft_executor *pool;

WEFT_JOB(long, fib, long, n)
{
    long a = 0, b = 0;

    if (n < 2)
        return n;
    weft_future *f = weft_submit(pool, fib, n - 1);
    weft_future *g = weft_submit(pool, fib, n - 2);
    int rc = weft_result(f, &a), other = weft_result(g, &b);
    return rc < 0 || other < 0 ? -1000000 : a + b;
}

static void kinds(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    long n = 0;
    struct tile t;
    struct weft_text text;
    struct weft_bytes bytes;

    CODE(weft_result(weft_submit(ex, square, 7), &n), 0);
    CHECK(n == 49);
    CODE(weft_result(weft_submit(ex, turn, .x = 3, .y = 4), &t), 0);
    CHECK(t.x == -4 && t.y == 3);
    CODE(weft_result(weft_submit(ex, hello), &text), 0);
    CHECK(!strcmp(text.s, "hello"));
    CODE(weft_result(weft_submit(ex, twice, .data = "ab", .len = 2), &bytes),
         0);
    CHECK(bytes.len == 4 && !memcmp(bytes.data, "abab", 4));
    weft_bytes_free(&bytes);
    CODE(weft_executor_close(ex), 0);
}

static void failures(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, refuse, -EXDEV);

    CODE(weft_get_into(f, NULL, 0), -EXDEV);
    CHECK(strstr(weft_future_text(f), "refused"));
    weft_future_unref(f);
    CODE(weft_join(weft_submit(ex, refuse, 0)), -EINVAL);
    CODE(weft_executor_close(ex), 0);
}

static void nested(void)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        long n = 0;
        pool = weft_thread_pool(.workers = workers);
        CODE(weft_result(weft_submit(pool, fib, 8), &n), 0);
        CHECK(n == 21);
        CODE(weft_executor_close(pool), 0);
    }
}

static void maps(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    long in[100], out[100];

    for (long i = 0; i < 100; i++)
        in[i] = i;
    for (size_t chunk = 0; chunk < 120; chunk += 40) {
        memset(out, 0, sizeof out);
        CODE(weft_map(ex, square, in, 100, out, .chunk = chunk), 0);
        for (long i = 0; i < 100; i++)
            CHECK(out[i] == i * i);
    }
    CODE(weft_executor_close(ex), 0);
}

static void deadline(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);

    CODE(weft_join(weft_submit(weft_executor_with(ex, .deadline = 0.001),
                               wait_for_ever)),
         -WEFT_EJOBTIMEOUT);
    CODE(weft_executor_close(ex), 0);
}

static void closing(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_future *fs[20];
    long n = 0;

    CHECK(weft_executor_width(ex) == 2);
    for (int i = 0; i < 20; i++)
        fs[i] = weft_submit(ex, square, i);
    CODE(weft_executor_close(ex), 0);
    for (int i = 0; i < 20; i++) {
        CODE(weft_result(fs[i], &n), 0);
        CHECK(n == (long)i * i);
    }
    ex = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(ex, wait_for_ever);
    CODE(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    CHECK(weft_done(f));
    weft_join(f);
    CODE(weft_executor_close(NULL), 0);
}

static int ends[2];

WEFT_JOB(int, read_plainly)
{
    char c;
    return read(ends[0], &c, 1) == 1 ? c : -1;
}

WEFT_JOB(int, write_plainly, int, c)
{
    char byte = (char)c;
    return write(ends[1], &byte, 1) == 1 ? 0 : -1;
}

static void blocking(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 2, .blocking = true);
    int c = 0;

    CHECK(pipe(ends) == 0);
    weft_future *reader = weft_submit(ex, read_plainly);
    CODE(weft_join(weft_submit(ex, write_plainly, 'b')), 0);
    CODE(weft_result(reader, &c), 0);
    CHECK(c == 'b');
    CODE(weft_executor_close(ex), 0);
    close(ends[0]);
    close(ends[1]);
}

static void found(void)
{
    CHECK(weft_job_find("square") == &weft_job_square);
    CHECK(!weft_job_find("cube"));
}

const struct conformance_case pools_cases[] = {{"kinds of jobs", kinds},
                                               {"jobs that fail", failures},
                                               {"nested jobs", nested},
                                               {"map", maps},
                                               {"job deadline", deadline},
                                               {"close", closing},
                                               {"blocking pool", blocking},
                                               {"jobs by name", found},
                                               {NULL, NULL}};
