// SPDX-License-Identifier: MIT
// Pipes to children: both ends of a talk at once, streams, and who closes what
// when. Each in a plain thread and in a task.
#include "jobs.h"

#include <fcntl.h>

#define SH(text) WEFT_ARGV("sh", "-c", text)

enum { BIG = 3 << 20 };

static int as_task(void *arg)
{
    (*(void (**)(void))arg)();
    return 0;
}

// Runs a test's body in this thread, then in a task.
static void in_both(void (*body)(void))
{
    body();
    ck_assert_int_eq(weft_run(as_task, &body), 0);
}

static char *big_input(void)
{
    char *bytes = malloc(BIG);
    uint32_t x = 1;
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    return bytes;
}

// Communicate -----------------------------------------------------------------

static void talk(void)
{
    struct weft_bytes out, err;
    weft_future *f = weft_program_start(
        SH("tr a-z A-Z; echo done >&2; exit 3"), .in = WEFT_DEV_PIPE,
        .out = WEFT_DEV_PIPE, .err = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_process_communicate(f, "hello", 5, &out, &err), 3);
    ck_assert_str_eq(out.data, "HELLO");
    ck_assert_uint_eq(out.len, 5);
    ck_assert_str_eq(err.data, "done\n");
    weft_bytes_free(&out);
    weft_bytes_free(&err);
    // What was taken is not there a second time, and the code still is.
    ck_assert_int_eq(weft_process_communicate(f, NULL, 0, &out, NULL), 3);
    ck_assert_ptr_null(out.data);
    ck_assert_int_eq(weft_process_communicate(f, "x", 1, NULL, NULL), -ENODATA);
    weft_future_unref(f);
}

WEFT_TEST(what_is_said_and_what_comes_back)
{
    in_both(talk);
}

// More than all pipes hold, both ways at once: each would wait for the other.
static int echo_twice(void *arg)
{
    static char piece[10000];
    (void)arg;
    for (ssize_t n; (n = read(0, piece, sizeof piece)) > 0;)
        for (int fd = 1; fd <= 2; fd++)
            for (ssize_t at = 0, k; at < n; at += k)
                if ((k = write(fd, piece + at, (size_t)(n - at))) <= 0)
                    return -errno;
    return 7;
}

static void talk_much(void)
{
    static const enum weft_start_method methods[] = {
        WEFT_START_EXEC, WEFT_START_ZYGOTE, WEFT_START_FORK_ANYWAY};
    char *input = big_input();
    for (int i = 0; i < 3; i++) {
        struct weft_bytes out, err;
        weft_future *f = weft_process_start(
            echo_twice, NULL, 0, .in = WEFT_DEV_PIPE, .out = WEFT_DEV_PIPE,
            .err = WEFT_DEV_PIPE, .start = methods[i]);
        ck_assert_int_eq(weft_process_communicate(f, input, BIG, &out, &err),
                         7);
        ck_assert_uint_eq(out.len, BIG);
        ck_assert_uint_eq(err.len, BIG);
        ck_assert(memcmp(out.data, input, BIG) == 0);
        ck_assert(memcmp(err.data, input, BIG) == 0);
        weft_bytes_free(&out);
        weft_bytes_free(&err);
        weft_future_unref(f);
    }
    free(input);
}

WEFT_TEST(much_goes_both_ways_at_once, .timeout = 60)
{
    in_both(talk_much);
}

static void one_pipe_for_both(void)
{
    struct weft_bytes out, err;
    weft_future *f =
        weft_program_start(SH("echo out; echo err >&2"), .out = WEFT_DEV_PIPE,
                           .err = WEFT_DEV_OUT);
    ck_assert_int_eq(weft_process_communicate(f, NULL, 0, &out, &err), 0);
    ck_assert_str_eq(out.data, "out\nerr\n");
    ck_assert_ptr_null(err.data);
    weft_bytes_free(&out);
    weft_future_unref(f);
}

WEFT_TEST(error_may_be_the_same_as_output)
{
    in_both(one_pipe_for_both);
}

static void deaf(void)
{
    char *input = big_input();
    struct weft_bytes out;
    weft_future *f =
        weft_program_start(SH("exec <&-; head -c 100000 /dev/zero; exit 4"),
                           .in = WEFT_DEV_PIPE, .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_process_communicate(f, input, BIG, &out, NULL), 4);
    ck_assert_uint_eq(out.len, 100000);
    weft_bytes_free(&out);
    weft_future_unref(f);
    f = weft_program_start(SH("exit 5"), .in = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_process_communicate(f, input, BIG, NULL, NULL), 5);
    weft_future_unref(f);
    free(input);
}

// SIGPIPE would end this program.
WEFT_TEST(a_child_that_does_not_listen_is_no_error)
{
    in_both(deaf);
}

static void too_much(void)
{
    struct weft_bytes out;
    weft_future *f = weft_program_start(SH("yes"), .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(
        weft_process_communicate(f, NULL, 0, &out, NULL, .limit = 100001),
        -WEFT_ETOOBIG);
    ck_assert_uint_eq(out.len, 100001);
    ck_assert_int_eq(((char *)out.data)[100001], '\0');
    ck_assert_int_eq(((char *)out.data)[100000], 'y');
    weft_bytes_free(&out);
    expect(f, -WEFT_EJOBCANCELED);
    // Just as much as the limit is not too much.
    f = weft_program_start(SH("head -c 5000 /dev/zero"), .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(
        weft_process_communicate(f, NULL, 0, &out, NULL, .limit = 5000), 0);
    ck_assert_uint_eq(out.len, 5000);
    weft_bytes_free(&out);
    weft_future_unref(f);
    // What is not wanted has no limit.
    f = weft_program_start(SH("head -c 500000 /dev/zero; exit 6"),
                           .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(
        weft_process_communicate(f, NULL, 0, NULL, NULL, .limit = 5), 6);
    weft_future_unref(f);
}

WEFT_TEST(output_has_a_limit)
{
    in_both(too_much);
}

static void in_time(void)
{
    struct weft_bytes out;
    weft_future *f = weft_program_start(SH("echo first; exec sleep 1000"),
                                        .in = WEFT_DEV_PIPE,
                                        .out = WEFT_DEV_PIPE, .grace = 0.001);
    int rc;
    {
        WEFT_TIMEOUT(1);
        rc = weft_process_communicate(f, "x", 1, &out, NULL);
    }
    ck_assert_int_eq(rc, -ETIMEDOUT);
    ck_assert_str_eq(out.data, "first\n"); // what there was is not lost
    weft_bytes_free(&out);
    expect(f, -WEFT_EJOBCANCELED);
}

WEFT_TEST(a_deadline_ends_the_talk_and_the_process, .timeout = 30)
{
    in_both(in_time);
}

struct victim {
    weft_future *f;
    weft_stream *err;
};

static int kill_it(void *arg)
{
    struct victim *victim = arg;
    char line[16];
    weft_stream_read_line(victim->err, line, sizeof line); // it is there
    return weft_process_kill(victim->f);
}

static void killed(void)
{
    char *input = big_input();
    struct weft_bytes out;
    weft_future *f = weft_program_start(
        SH("echo last; echo ready >&2; exec sleep 1000"), .in = WEFT_DEV_PIPE,
        .out = WEFT_DEV_PIPE, .err = WEFT_DEV_PIPE);
    struct victim victim = {.f = f};
    ck_assert_int_eq(weft_process_stream(f, 2, &victim.err), 0);
    weft_future *killer = weft_thread_start(kill_it, &victim);
    struct weft_process_info info = {.size = sizeof info};
    int rc = weft_process_communicate(f, input, BIG, &out, NULL);
    ck_assert_int_eq(weft_join(killer), 0);
    weft_stream_close(victim.err);
    ck_assert_int_eq(rc, -WEFT_ECRASHED);
    ck_assert_str_eq(out.data, "last\n");
    weft_process_info(f, &info);
    ck_assert_int_eq(info.signal, SIGKILL);
    weft_bytes_free(&out);
    weft_future_unref(f);
    free(input);
}

WEFT_TEST(a_killed_child_ends_the_talk, .timeout = 30)
{
    in_both(killed);
}

static int no_process(void *arg)
{
    (void)arg;
    return 0;
}

static void refused(void)
{
    struct weft_bytes out;
    weft_stream *s;
    weft_future *f =
        weft_program_start(WEFT_ARGV("/no/such/program"), .in = WEFT_DEV_PIPE,
                           .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_process_communicate(f, "x", 1, &out, NULL), -ENOENT);
    ck_assert_str_eq(out.data, "");
    weft_bytes_free(&out);
    weft_future_unref(f);
    f = weft_program_start(WEFT_ARGV(NULL), .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_process_communicate(f, NULL, 0, &out, NULL), -EINVAL);
    ck_assert_ptr_null(out.data);
    weft_future_unref(f);
    f = weft_program_start(SH("exit 0"));
    ck_assert_int_eq(weft_process_stream(f, 1, &s), -ENODATA);
    ck_assert_int_eq(weft_process_communicate(f, NULL, 0, &out, NULL), 0);
    weft_future_unref(f);
    f = weft_thread_start(no_process, NULL);
    ck_assert_int_eq(weft_process_stream(f, 1, &s), -EINVAL);
    ck_assert_int_eq(weft_process_communicate(f, NULL, 0, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weft_join(f), 0);
    struct weft_program_end end = {.size = sizeof end};
    ck_assert_int_eq(weft_program_run(SH("cat"), &end, .in = WEFT_DEV_PIPE),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(end.text, "WEFT_DEV_PIPE"));
    struct weft_process_options like = {.size = sizeof like,
                                        .out = WEFT_DEV_PIPE};
    weft_executor *pool = weft_process_pool(.workers = 1, .process = &like);
    expect(weft_submit(pool, square, 2), -EINVAL);
    weft_executor_close(pool);
}

WEFT_TEST(what_cannot_be_is_an_error)
{
    in_both(refused);
}

// Streams ---------------------------------------------------------------------

// As bc(1), but it is not everywhere: adds up the numbers of each line.
static int add_up(void *arg)
{
    (void)arg;
    char line[64];
    long sum = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        sum += atol(line);
        printf("%ld\n", sum);
        fflush(stdout);
    }
    fprintf(stderr, "end\n");
    return (int)sum;
}

static void converse(void)
{
    weft_stream *s[3], *twice;
    char line[64];
    weft_future *f =
        weft_process_start(add_up, NULL, 0, .in = WEFT_DEV_PIPE,
                           .out = WEFT_DEV_PIPE, .err = WEFT_DEV_PIPE);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weft_process_stream(f, i, &s[i]), 0);
        ck_assert_int_eq(weft_process_stream(f, i, &twice), -ENODATA);
        ck_assert_str_eq(weft_stream_kind(s[i]), "pipe");
        ck_assert(fcntl(weft_stream_fd(s[i]), F_GETFD) & FD_CLOEXEC);
    }
    for (long i = 1, sum = 0; i <= 100; i++) {
        sum += i;
        ck_assert_int_gt(weft_stream_printf(s[0], "%ld\n", i), 0);
        ck_assert_int_gt(weft_stream_read_line(s[1], line, sizeof line), 0);
        ck_assert_int_eq(atol(line), sum);
    }
    ck_assert_int_eq(weft_stream_shutdown(s[0]), 0);
    ck_assert_int_eq(weft_stream_read_line(s[2], line, sizeof line), 4);
    ck_assert_int_eq(weft_stream_read_line(s[1], line, sizeof line), 0);
    expect(f, 5050);
    for (int i = 0; i < 3; i++)
        weft_stream_close(s[i]);
}

WEFT_TEST(a_talk_line_by_line)
{
    in_both(converse);
}

// What a process has written is there when it has ended.
static void afterwards(void)
{
    weft_stream *s;
    char line[16];
    weft_future *f = weft_program_start(SH("echo words"), .out = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    ck_assert_int_eq(weft_process_stream(f, 1, &s), 0);
    weft_future_unref(f);
    ck_assert_int_eq(weft_stream_read_line(s, line, sizeof line), 6);
    ck_assert_int_eq(weft_stream_read_line(s, line, sizeof line), 0);
    weft_stream_close(s);
}

WEFT_TEST(output_outlives_its_process)
{
    in_both(afterwards);
}

static void write_to_nobody(void)
{
    struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
    sigset_t pending;
    weft_stream *s;
    weft_future *f = weft_program_start(SH("exit 0"), .in = WEFT_DEV_PIPE);
    ck_assert_int_eq(weft_get_into(f, NULL, 0), 0);
    ck_assert_int_eq(weft_process_stream(f, 0, &s), 0);
    ck_assert_int_eq(weft_stream_write(s, "x", 1), -EPIPE);
    ck_assert_int_eq(weft_stream_writev(s, parts, 2), -EPIPE);
    sigpending(&pending);
    ck_assert(!sigismember(&pending, SIGPIPE));
    weft_stream_close(s);
    weft_future_unref(f);
}

WEFT_TEST(who_writes_to_nobody_gets_a_code_and_no_signal)
{
    in_both(write_to_nobody);
}

// Who holds what --------------------------------------------------------------

// Descriptors that are no standard ones.
static int has_pipes(void *arg)
{
    (void)arg;
    int n = 0;
    for (int fd = 3; fd < 200; fd++)
        n += fcntl(fd, F_GETPIPE_SZ) > 0;
    return n;
}

static void strangers(void)
{
    weft_stream *s;

    weft_future *cat = weft_program_start(WEFT_ARGV("cat"), .in = WEFT_DEV_PIPE,
                                          .out = WEFT_DEV_PIPE);
    expect(weft_process_start(has_pipes, NULL, 0), 0);
    // A child that outlives the talk has no end of it: else cat would wait.
    weft_future *other = weft_program_start(WEFT_ARGV("sleep", "1000"));
    while (weft_future_native_id(other) == 0)
        weft_yield();
    ck_assert_int_eq(weft_process_stream(cat, 0, &s), 0);
    weft_stream_close(s);
    expect(cat, 0);
    weft_process_kill(other);
    expect(other, -WEFT_ECRASHED);
}

WEFT_TEST(other_children_have_no_end_of_it, .timeout = 30)
{
    in_both(strangers);
}

static int count_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 300; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void leave_them(void)
{
    // Nobody takes them, or one of them.
    for (int i = 0; i < 10; i++) {
        weft_stream *s;
        weft_future *f = weft_program_start(
            SH("cat; exit 2"), .in = WEFT_DEV_PIPE, .out = WEFT_DEV_PIPE,
            .err = i % 3 ? WEFT_DEV_PIPE : WEFT_DEV_OUT, .grace = 0.001);
        if (i % 2 == 0) {
            ck_assert_int_eq(weft_process_stream(f, 0, &s), 0);
            weft_stream_close(s);
            expect(f, 2);
        } else {
            weft_cancel(f);
            expect(f, -WEFT_EJOBCANCELED);
        }
    }
}

WEFT_TEST(nothing_stays_open, .timeout = 30)
{
    leave_them();
    int before = count_open();
    leave_them();
    while (count_open() > before) // the supervisor lets go of the last future
        weft_yield();
}

// With its standard descriptors closed, a pipe must not become one of them.
static int without_stdio(void *arg)
{
    (void)arg;
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    struct weft_bytes out;
    weft_future *f = weft_program_start(SH("tr a-z A-Z"), .in = WEFT_DEV_PIPE,
                                        .out = WEFT_DEV_PIPE);
    int rc = weft_process_communicate(f, "abc", 3, &out, NULL);
    bool right = out.len == 3 && memcmp(out.data, "ABC", 3) == 0;
    weft_bytes_free(&out);
    weft_future_unref(f);
    return rc < 0 ? rc : right ? count_open() : -1;
}

WEFT_TEST(in_a_process_that_has_closed_its_own)
{
    int n = weft_join(weft_process_start(without_stdio, NULL, 0));
    ck_assert_int_ge(n, 0);
}

WEFT_TEST_MAIN("pipes")
