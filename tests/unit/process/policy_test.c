// SPDX-License-Identifier: MIT
// What a submit can ask of a process pool: retries, priorities, timeouts; and
// the window, which asks something of the submit.
#include "jobs.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/wait.h>

static weft_executor *ex;

// Retries ---------------------------------------------------------------------

// Where jobs of several processes count: a file that grows by a byte each time.
static char counter[64];

static void counter_new(void)
{
    snprintf(counter, sizeof counter, "/tmp/weft-test-XXXXXX");
    int fd = mkstemp(counter);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static long counter_end(void)
{
    struct stat st;
    ck_assert_int_eq(stat(counter, &st), 0);
    unlink(counter);
    return (long)st.st_size;
}

struct
try {
    char file[64];
    long deaths; // it kills its worker so many times
};

WEFT_JOB(long, try_hard, struct try, t)
{
    struct stat st;
    int fd = open(t.file, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (write(fd, "x", 1) != 1 || fstat(fd, &st) != 0)
        weft_fail(-EIO, NULL);
    close(fd);
    if (st.st_size <= t.deaths)
        raise(SIGKILL);
    return (long)st.st_size;
}

static weft_future *try(long deaths, unsigned retries)
{
    struct try t = {.deaths = deaths};
    snprintf(t.file, sizeof t.file, "%s", counter);
    return weft_submit_job(weft_executor_with(ex, .retries = retries),
                           &weft_job_try_hard, &t);
}

WEFT_TEST(a_job_whose_worker_died_runs_again_if_it_may)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    counter_new();
    ex = weft_process_pool(.workers = 1);
    expect_long(try(2, 2), 3);
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.retried, 2);
    ck_assert_uint_eq(stats.crashed, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(counter_end(), 3);
}

WEFT_TEST(a_poison_is_named_with_its_tries)
{
    counter_new();
    ex = weft_process_pool(.workers = 1);
    expect_text(try(100, 2), -WEFT_ECRASHED, "at try 3");
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(counter_end(), 3);
}

WEFT_TEST(by_default_nothing_runs_twice)
{
    counter_new();
    ex = weft_process_pool(.workers = 1);
    expect_text(try(1, 0), -WEFT_ECRASHED, "SIGKILL");
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(counter_end(), 1);
}

WEFT_TEST(a_job_that_is_canceled_is_not_tried_again)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *f = weft_submit(weft_executor_with(ex, .retries = 5), hang, 1);
    until_running(f);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Priorities ------------------------------------------------------------------

struct mark {
    char file[64];
    char letter;
};

WEFT_JOB(long, put_mark, struct mark, m)
{
    int fd = open(m.file, O_WRONLY | O_APPEND | O_CLOEXEC);
    long n = write(fd, &m.letter, 1);
    close(fd);
    return n;
}

WEFT_JOB(long, wait_for_byte, struct weft_text, fifo)
{
    char byte;
    int fd = open(fifo.s, O_RDONLY | O_CLOEXEC);
    long n = read(fd, &byte, 1);
    close(fd);
    return n;
}

static weft_future *mark(char letter, int priority)
{
    struct mark m = {.letter = letter};
    snprintf(m.file, sizeof m.file, "%s", counter);
    return weft_submit_job(weft_executor_with(ex, .priority = priority),
                           &weft_job_put_mark, &m);
}

// The one worker is busy with one job and has one behind it; the rest waits in
// the queue.
WEFT_TEST(jobs_of_a_higher_priority_come_first)
{
    char fifo[80], order[16] = "";
    counter_new();
    snprintf(fifo, sizeof fifo, "%s.fifo", counter);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    struct weft_text path = weft_text("%s", fifo);
    ex = weft_process_pool(.workers = 1);
    weft_future *gate = weft_submit_job(ex, &weft_job_wait_for_byte, &path);
    until_running(gate);
    weft_future *all[] = {mark('1', 0),  mark('x', -1), mark('2', 0),
                          mark('a', 1),  mark('y', -5), mark('3', 0),
                          mark('b', 99), mark('c', 1)};
    enum { N = sizeof all / sizeof *all };
    int fd = open(fifo, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    expect_long(gate, 1);
    for (int i = 0; i < N; i++)
        expect_long(all[i], 1);
    close(fd);
    fd = open(counter, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, order, sizeof order - 1), N);
    close(fd);
    // The first stood behind the gate before the others came.
    ck_assert_str_eq(order, "1abc23xy");
    ck_assert_int_eq(weft_executor_close(ex), 0);
    unlink(fifo);
    counter_end();
}

// Timeouts --------------------------------------------------------------------

WEFT_TEST(a_job_that_runs_too_long_is_ended)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ex = weft_process_pool(.workers = 1);
    weft_future *f =
        weft_submit(weft_executor_with(ex, .timeout = 0.05), hang, 1);
    expect_text(f, -WEFT_EJOBTIMEOUT, "longer than its timeout");
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.overran, 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// While it waits in the queue its time does not run.
WEFT_TEST(a_timeout_begins_with_the_job)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *first =
        weft_submit(weft_executor_with(ex, .timeout = 0.3), hang, 1);
    weft_future *second =
        weft_submit(weft_executor_with(ex, .timeout = 0.2), square, 4);
    expect(first, -WEFT_EJOBTIMEOUT);
    expect_long(second, 16);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_stopped_worker_does_not_escape_the_timeout)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *f =
        weft_submit(weft_executor_with(ex, .timeout = 0.2), hang, 1);
    until_running(f);
    kill(weft_future_native_id(f), SIGSTOP);
    expect(f, -WEFT_EJOBTIMEOUT);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Options of what jobs submit -------------------------------------------------

WEFT_JOB(long, submit_try, struct try, t)
{
    weft_executor *own = weft_executor_open(0);
    long value = 0;
    int rc = weft_result(weft_submit_job(weft_executor_with(own, .retries = 2),
                                         &weft_job_try_hard, &t),
                         &value);
    return rc < 0 ? rc : value;
}

WEFT_TEST(a_job_of_a_job_runs_again_if_it_may)
{
    struct try t = {.deaths = 2};
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    counter_new();
    snprintf(t.file, sizeof t.file, "%s", counter);
    ex = weft_process_pool(.workers = 1);
    expect_long(weft_submit_job(ex, &weft_job_submit_try, &t), 3);
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.retried, 2);
    ck_assert_uint_eq(stats.crashed, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(counter_end(), 3);
}

// Both limits end the inner job only, deep in a pool of one worker, where all
// else runs on top of what waits.
WEFT_JOB(long, limit_at_depth, long, depth)
{
    weft_executor *own = weft_executor_open(0);
    long value = 0;
    int rc;
    if (depth > 0) {
        rc = weft_result(weft_submit(own, limit_at_depth, depth - 1), &value);
        return rc < 0 ? rc : value + 1;
    }
    for (int i = 0; i < 2; i++) {
        rc = weft_result(
            i == 0
                ? weft_submit(weft_executor_with(own, .timeout = 0.05), hang, 1)
                : weft_submit(weft_executor_with(own, .deadline = 0.05), hang,
                              1),
            &value);
        if (rc != -WEFT_EJOBTIMEOUT)
            return rc < 0 ? rc : -1;
    }
    return 0;
}

WEFT_TEST(a_limit_ends_the_job_of_a_job_and_not_that)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ex = weft_process_pool(.workers = 1);
    for (long depth = 0; depth < 20; depth += 5)
        expect_long(weft_submit(ex, limit_at_depth, depth), depth);
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    ck_assert_uint_eq(stats.overran, 8);
    ck_assert_uint_eq(stats.crashed, 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

struct marks {
    char file[64], fifo[80];
};

// Leaves marks of several priorities to the pool, and goes when it is told.
WEFT_JOB(long, leave_marks, struct marks, m)
{
    static const struct mark all[] = {{"", '1'}, {"", 'x'}, {"", 'a'},
                                      {"", '2'}, {"", 'y'}, {"", 'b'}};
    weft_executor *own = weft_executor_open(0);
    for (int i = 0; i < 6; i++) {
        struct mark one = all[i];
        int priority = one.letter < 'a' ? 0 : one.letter < 'x' ? 1 : -1;
        snprintf(one.file, sizeof one.file, "%s", m.file);
        weft_future_unref(
            weft_submit_job(weft_executor_with(own, .priority = priority),
                            &weft_job_put_mark, &one));
    }
    char byte;
    int fd = open(m.fifo, O_RDONLY | O_CLOEXEC);
    long n = read(fd, &byte, 1);
    close(fd);
    return n;
}

WEFT_TEST(priorities_count_in_jobs_too)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    struct marks m;
    char order[16] = "";
    counter_new();
    snprintf(m.file, sizeof m.file, "%s", counter);
    snprintf(m.fifo, sizeof m.fifo, "%s.fifo", counter);
    ck_assert_int_eq(mkfifo(m.fifo, 0600), 0);
    ex = weft_process_pool(.workers = 1);
    weft_future *gate = weft_submit_job(ex, &weft_job_leave_marks, &m);
    do
        ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    while (stats.submitted < 7);
    int fd = open(m.fifo, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "x", 1), 1);
    expect_long(gate, 1);
    close(fd);
    ck_assert_int_eq(weft_executor_close(ex), 0); // when all have run
    fd = open(counter, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, order, sizeof order - 1), 6);
    close(fd);
    ck_assert_str_eq(order, "ab12xy");
    unlink(m.fifo);
    counter_end();
}

// A large argument behind the terms, and one that just does not fit with them.
WEFT_JOB(long, add_bytes, struct weft_bytes, bytes)
{
    long sum = 0;
    for (size_t i = 0; i < bytes.len; i++)
        sum += ((const unsigned char *)bytes.data)[i];
    return sum;
}

WEFT_JOB(long, submit_bytes, long, size)
{
    char *room = malloc((size_t)size + 1);
    long value = 0;
    memset(room, 1, (size_t)size + 1);
    struct weft_bytes bytes = {room, (size_t)size};
    weft_executor *own =
        weft_executor_with(weft_executor_open(0), .name = "of a job");
    int rc = weft_result(weft_submit_struct(own, add_bytes, bytes), &value);
    free(room);
    return rc < 0 ? rc : value;
}

WEFT_TEST(options_and_arguments_of_all_sizes_go_together)
{
    static const long sizes[] = {0,   1,   47,  400, 440, 447,  448,    449,
                                 456, 504, 511, 512, 513, 5000, 3000000};
    ex = weft_process_pool(.workers = 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_long(weft_submit(ex, submit_bytes, sizes[i]), sizes[i]);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

// Options in map --------------------------------------------------------------

WEFT_JOB(long, square_or_hang, long, x)
{
    while (x % 10 == 7)
        pause();
    return x * x;
}

WEFT_TEST(in_a_map_one_element_runs_too_long)
{
    enum { N = 30 };
    long in[N], out[N];
    int codes[N];
    for (long i = 0; i < N; i++)
        in[i] = i;
    ex = weft_process_pool(.workers = 2);
    weft_executor *limited = weft_executor_with(ex, .timeout = 0.2);
    ck_assert_int_eq(
        weft_map(limited, square_or_hang, in, N, out, .codes = codes), 0);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], i % 10 == 7 ? -WEFT_EJOBTIMEOUT : 0);
        if (codes[i] == 0)
            ck_assert_int_eq(out[i], i * i);
    }
    ck_assert_int_eq(weft_map(limited, square_or_hang, in, N, out),
                     -WEFT_EJOBTIMEOUT);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static void map_with_retries(size_t chunk, long runs)
{
    enum { N = 12 };
    struct try in[N] = {{.deaths = 0}};
    long out[N];
    counter_new();
    for (int i = 0; i < N; i++)
        snprintf(in[i].file, sizeof in[i].file, "%s", counter);
    in[0].deaths = 1; // the first to run at all dies of it
    ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_map(weft_executor_with(ex, .retries = 3), try_hard,
                              in, N, out, .chunk = chunk),
                     0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(out[i], i + runs - N + 1);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(counter_end(), runs);
}

WEFT_TEST(in_a_map_elements_run_again)
{
    map_with_retries(0, 13);
    map_with_retries(4, 13);
}

// Grace -----------------------------------------------------------------------

static int goodbye;

static void say_goodbye(int sig)
{
    (void)sig;
    _exit(write(goodbye, "bye", 3) == 3 ? 0 : 1);
}

WEFT_JOB(long, hang_kindly)
{
    goodbye = weft_process_fd(0);
    signal(SIGTERM, say_goodbye);
    if (write(goodbye, "x", 1) != 1)
        abort();
    for (;;)
        pause();
    return 0;
}

WEFT_JOB(long, hang_stubbornly)
{
    signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
    return 0;
}

static void cancel_with_grace(double grace)
{
    int ends[2];
    char text[4] = "";
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct weft_process_options like = {
        .size = sizeof like, .fds = &ends[1], .fd_count = 1};
    ex = weft_process_pool(.workers = 1, .grace = grace, .process = &like);
    weft_future *f = weft_submit(ex, hang_kindly);
    ck_assert_int_eq(read(ends[0], text, 1), 1);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], text, 4), 3);
    close(ends[0]);
}

WEFT_TEST(with_a_grace_a_job_may_say_goodbye)
{
    cancel_with_grace(30);
    cancel_with_grace((double)INFINITY);
}

WEFT_TEST(after_the_grace_it_is_killed)
{
    ex = weft_process_pool(.workers = 1, .grace = 0.1);
    weft_future *f = weft_submit(ex, hang_stubbornly);
    until_running(f);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

// The window ------------------------------------------------------------------

WEFT_TEST(a_full_window_fails_submits_if_it_shall)
{
    ex = weft_process_pool(.workers = 1, .window = 2,
                           .when_full = WEFT_FULL_FAIL);
    weft_future *f = weft_submit(ex, hang, 1), *g = weft_submit(ex, hang, 1);
    expect_text(weft_submit(ex, square, 3), -EAGAIN, "window");
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    weft_cancel(g);
    expect(g, -WEFT_EJOBCANCELED);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static weft_future *submit_as(int priority, long x)
{
    return weft_submit(weft_executor_with(ex, .priority = priority), square, x);
}

// The oldest of the least priority, and none of a higher than the new one.
WEFT_TEST(a_full_window_drops_what_matters_least)
{
    ex = weft_process_pool(.workers = 1, .window = 4,
                           .when_full = WEFT_FULL_DROP);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    weft_future *high = submit_as(1, 2), *usual = submit_as(0, 3);
    weft_future *low = submit_as(-1, 4), *later = submit_as(-1, 5);
    expect_text(low, -WEFT_EJOBCANCELED, "window");
    weft_future *next = submit_as(0, 6);
    expect_text(later, -WEFT_EJOBCANCELED, "window");
    weft_future *last = submit_as(0, 7);
    expect_text(usual, -WEFT_EJOBCANCELED, "window");
    expect_text(submit_as(-1, 8), -EAGAIN, "window");
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(high, 4);
    expect_long(next, 36);
    expect_long(last, 49);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

enum { WINDOW = 4, EACH = 1000 };

// Arguments that are written for a worker without the pool's lock.
static int submit_large(void *arg)
{
    static char bytes[20000];
    const struct weft_bytes in = {bytes, sizeof bytes};
    weft_future **f = arg;
    for (int i = 0; i < EACH; i++)
        f[i] = weft_submit_job(ex, &weft_job_add_bytes, &in);
    return 0;
}

// However many come at once.
WEFT_TEST(a_full_window_that_drops_is_never_overfull, .timeout = 20)
{
    enum { THREADS = 3 };
    static weft_future *f[THREADS][EACH];
    weft_future *threads[THREADS];
    ex = weft_process_pool(.workers = 1, .window = WINDOW,
                           .when_full = WEFT_FULL_DROP);
    weft_future *first = weft_submit(ex, hang, 1);
    until_running(first);
    for (int i = 0; i < THREADS; i++)
        threads[i] = weft_thread_start(submit_large, f[i]);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(weft_join(threads[i]), 0);
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weft_process_pool_stats(ex, &stats), 0);
    ck_assert_uint_le(stats.pending + stats.running, WINDOW);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    weft_join(first);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < EACH; k++)
            weft_join(f[i][k]);
}

WEFT_TEST(a_full_window_drops_nothing_that_runs)
{
    ex = weft_process_pool(.workers = 1, .window = 1,
                           .when_full = WEFT_FULL_DROP);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    expect_text(submit_as(0, 3), -EAGAIN, "window");
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(submit_as(0, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(long, own_pid)
{
    return getpid();
}

WEFT_JOB(long, fail_here)
{
    weft_fail(-EDOM, "so be it");
    return 0;
}

WEFT_JOB(struct weft_bytes, some_bytes)
{
    return weft_bytes_copy("abc", 4);
}

WEFT_TEST(with_a_full_window_the_caller_runs_the_job)
{
    struct weft_bytes bytes;
    ex = weft_process_pool(.workers = 1, .window = 1,
                           .when_full = WEFT_FULL_RUN);
    weft_future *f = weft_submit(ex, hang, 1);
    expect_long(weft_submit(ex, own_pid), getpid());
    expect_text(weft_submit(ex, fail_here), -EDOM, "so be it");
    ck_assert_int_eq(weft_result(weft_submit(ex, some_bytes), &bytes), 0);
    ck_assert_str_eq(bytes.data, "abc");
    weft_bytes_free(&bytes);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    weft_executor_close(ex);
}

// A thousand jobs through a window of three, from two threads: never more than
// three are under way.
static int submit_many(void *arg)
{
    long sum = 0, value;
    weft_future *f[2];
    (void)arg;
    for (long i = 0; i < 500; i += 2) {
        f[0] = weft_submit(ex, square, i);
        f[1] = weft_submit(ex, square, i + 1);
        for (int k = 0; k < 2; k++) {
            if (weft_result(f[k], &value) != 0)
                return -1;
            sum += value;
        }
    }
    return sum == 41541750 ? 0 : -2; // of 500 squares
}

WEFT_TEST(submits_wait_for_a_place_in_the_window)
{
    struct weft_process_pool_stats stats = {.size = sizeof stats};
    ex = weft_process_pool(.workers = 2, .window = 3);
    weft_future *a = weft_thread_start(submit_many, NULL);
    weft_future *b = weft_thread_start(submit_many, NULL);
    while (!weft_done(a) || !weft_done(b)) {
        weft_process_pool_stats(ex, &stats);
        ck_assert_uint_le(stats.pending + stats.running, 3);
        weft_sleep(0.0001);
    }
    ck_assert_int_eq(weft_join(a), 0);
    ck_assert_int_eq(weft_join(b), 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_wait_for_a_place_ends_with_the_callers_scope)
{
    ex = weft_process_pool(.workers = 1, .window = 1);
    weft_future *f = weft_submit(ex, hang, 1);
    weft_future *late;
    {
        WEFT_TIMEOUT(0.02);
        late = weft_submit(ex, square, 3);
    }
    expect(late, -ETIMEDOUT);
    weft_cancel(f);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(weft_submit(ex, square, 3), 9);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static int submit_one(void *arg)
{
    (void)arg;
    return weft_join(weft_submit(ex, square, 3));
}

WEFT_TEST(close_ends_waits_for_a_place)
{
    ex = weft_process_pool(.workers = 1, .window = 1);
    weft_future *f = weft_submit(ex, hang, 1);
    until_running(f);
    weft_future *waiter = weft_thread_start(submit_one, NULL);
    weft_sleep(0.02); // it waits, or comes too late: the same
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_join(waiter), -WEFT_ECLOSED);
}

// Jobs that jobs submit have no place in it: they could wait for ever.
WEFT_JOB(long, nested, long, x)
{
    long value = 0;
    int rc = weft_result(weft_submit(weft_executor_open(0), square, x), &value);
    if (rc < 0)
        weft_fail(rc, NULL);
    return value;
}

WEFT_TEST(the_window_does_not_stop_nested_jobs)
{
    ex = weft_process_pool(.workers = 1, .window = 1);
    for (long i = 0; i < 20; i++)
        expect_long(weft_submit(ex, nested, i), i * i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("process pool: policies")
