// SPDX-License-Identifier: MIT
// The process pool as an executor: values, failures, deadlines, closing.
#include "jobs.h"

#include <math.h>
#include <sys/wait.h>

// Values ----------------------------------------------------------------------

WEFT_JOB(struct weft_text, greet)
{
    return weft_text("hello from a worker: %d", weft_is_worker());
}

WEFT_JOB(struct weft_text, shout, struct weft_text, t)
{
    for (char *c = t.s; *c != '\0'; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    return t;
}

WEFT_JOB(struct weft_bytes, reverse, struct weft_bytes, in)
{
    struct weft_bytes out = weft_bytes_copy(in.data, in.len);
    unsigned char *bytes = out.data;
    for (size_t i = 0; i < out.len / 2; i++) {
        unsigned char t = bytes[i];
        bytes[i] = bytes[out.len - 1 - i];
        bytes[out.len - 1 - i] = t;
    }
    return out;
}

#define BLOCK(n)                                                               \
    struct block##n {                                                          \
        unsigned char bytes[n];                                                \
    };                                                                         \
    WEFT_JOB(struct block##n, add_one_##n, struct block##n, b)                 \
    {                                                                          \
        for (size_t i = 0; i < n; i++)                                         \
            b.bytes[i]++;                                                      \
        return b;                                                              \
    }
// Each side of every size at which a value travels in another way.
BLOCK(1)
BLOCK(47)
BLOCK(48)
BLOCK(49)
BLOCK(512)
BLOCK(513)
BLOCK(1024)
BLOCK(1025)
BLOCK(70000)

static weft_executor *ex;

static void open_pool(void)
{
    ex = weft_process_pool(.workers = 2);
}

static void close_pool(void)
{
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_JOB(struct weft_text, who)
{
    struct weft_text name;
    weft_current_name(name.s, sizeof name.s);
    return name;
}

// One that has run another one meanwhile has its own name again.
WEFT_JOB(struct weft_text, who_after, uint64_t, pool)
{
    struct weft_text name = {""};
    weft_executor *ex = weft_executor_open(pool);
    int rc = weft_result(weft_submit(ex, who), &name);
    if (rc == 0 && strcmp(name.s, "who") == 0)
        weft_current_name(name.s, sizeof name.s);
    weft_executor_close(ex);
    return name;
}

WEFT_TEST(a_job_knows_its_name)
{
    struct weft_text name;
    weft_executor *ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_result(weft_submit(ex, who), &name), 0);
    ck_assert_str_eq(name.s, "who");
    ck_assert_int_eq(weft_result(weft_submit(ex, who_after, 0), &name), 0);
    ck_assert_str_eq(name.s, "who_after");
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(numbers)
{
    open_pool();
    ck_assert_int_eq(weft_executor_width(ex), 2);
    for (long i = 0; i < 1000; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    close_pool();
}

WEFT_TEST(texts)
{
    struct weft_text text;
    open_pool();
    ck_assert_int_eq(weft_result(weft_submit(ex, greet), &text), 0);
    ck_assert_str_eq(text.s, "hello from a worker: 1");
    for (int n = 0; n < WEFT_TEXT_SIZE; n++) {
        struct weft_text in = {{0}}, out;
        memset(in.s, 'a', (size_t)n);
        weft_future *f = weft_submit_job(ex, &weft_job_shout, &in);
        ck_assert_int_eq(weft_result(f, &out), 0);
        memset(in.s, 'A', (size_t)n);
        ck_assert_mem_eq(in.s, out.s, sizeof in.s);
    }
    close_pool();
}

#define TRY_BLOCK(n)                                                           \
    do {                                                                       \
        static struct block##n in, out;                                        \
        for (size_t i = 0; i < n; i++)                                         \
            in.bytes[i] = (unsigned char)(i * 7);                              \
        weft_future *f = weft_submit_job(ex, &weft_job_add_one_##n, &in);      \
        ck_assert_int_eq(weft_result(f, &out), 0);                             \
        for (size_t i = 0; i < n; i++)                                         \
            ck_assert_int_eq(out.bytes[i], (unsigned char)(i * 7 + 1));        \
    } while (0)

WEFT_TEST(plain_values_of_every_size)
{
    open_pool();
    TRY_BLOCK(1);
    TRY_BLOCK(47);
    TRY_BLOCK(48);
    TRY_BLOCK(49);
    TRY_BLOCK(512);
    TRY_BLOCK(513);
    TRY_BLOCK(1024);
    TRY_BLOCK(1025);
    TRY_BLOCK(70000);
    close_pool();
}

static void reverse_bytes(size_t n)
{
    unsigned char *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 31 + n);
    struct weft_bytes in = {bytes, n}, out = {NULL, 1};
    weft_future *f = weft_submit_job(ex, &weft_job_reverse, &in);
    ck_assert_int_eq(weft_result(f, &out), 0);
    ck_assert_uint_eq(out.len, n);
    for (size_t i = 0; i < n; i++)
        if (((unsigned char *)out.data)[i] != bytes[n - 1 - i])
            ck_abort_msg("byte %zu of %zu differs", i, n);
    weft_bytes_free(&out);
    free(bytes);
}

WEFT_TEST(bytes_of_any_size, .timeout = 20)
{
    open_pool();
    for (size_t n = 0; n < 40 << 20; n = n == 0 ? 1 : n * 17)
        reverse_bytes(n);
    for (size_t n = 47; n < 50; n++)
        reverse_bytes(n);
    for (size_t n = 511; n < 514; n++)
        reverse_bytes(n);
    close_pool();
}

WEFT_TEST(many_large_arguments_at_once, .timeout = 20)
{
    enum { N = 40, SIZE = 1 << 20 };
    weft_future *futures[N];
    unsigned char *bytes = malloc(SIZE);
    open_pool();
    for (int i = 0; i < N; i++) {
        memset(bytes, i, SIZE);
        struct weft_bytes in = {bytes, SIZE};
        futures[i] = weft_submit_job(ex, &weft_job_reverse, &in);
    }
    for (int i = 0; i < N; i++) {
        struct weft_bytes out;
        ck_assert_int_eq(weft_result(futures[i], &out), 0);
        memset(bytes, i, SIZE);
        ck_assert_uint_eq(out.len, SIZE);
        ck_assert(memcmp(out.data, bytes, SIZE) == 0);
        weft_bytes_free(&out);
    }
    free(bytes);
    close_pool();
}

WEFT_TEST(bytes_that_nobody_takes_are_freed)
{
    open_pool();
    struct weft_bytes in = {(void *)"abc", 3};
    weft_future_unref(weft_submit_job(ex, &weft_job_reverse, &in));
    close_pool();
}

// Map -------------------------------------------------------------------------

WEFT_TEST(map_with_each_chunk_size)
{
    enum { N = 1000 };
    static const size_t chunks[] = {0, 1, 3, 7, 64, 999, 1000, 5000};
    static long in[N], out[N];
    open_pool();
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        for (long i = 0; i < N; i++)
            in[i] = i, out[i] = -1;
        ck_assert_int_eq(weft_map(ex, square, in, N, out, .chunk = chunks[c]),
                         0);
        for (long i = 0; i < N; i++)
            ck_assert_int_eq(out[i], i * i);
    }
    close_pool();
}

WEFT_TEST(map_of_bytes)
{
    enum { N = 100 };
    static struct weft_bytes in[N], out[N];
    static char text[N][8];
    open_pool();
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "<%d", i);
        in[i] = (struct weft_bytes){text[i], strlen(text[i])};
    }
    ck_assert_int_eq(weft_map(ex, reverse, in, N, out, .chunk = 9), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(out[i].len, in[i].len);
        ck_assert_int_eq(((char *)out[i].data)[in[i].len - 1], '<');
        weft_bytes_free(&out[i]);
    }
    close_pool();
}

WEFT_JOB(long, not_seven, long, x)
{
    if (x == 7)
        weft_fail(-EDOM, "seven came");
    return x;
}

WEFT_TEST(map_with_codes_and_without)
{
    enum { N = 100 };
    static long in[N], out[N];
    static int codes[N];
    open_pool();
    for (long i = 0; i < N; i++)
        in[i] = i;
    ck_assert_int_eq(weft_map(ex, not_seven, in, N, out, .chunk = 10), -EDOM);
    ck_assert_int_eq(
        weft_map(ex, not_seven, in, N, out, .chunk = 10, .codes = codes), 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(codes[i], i == 7 ? -EDOM : 0);
    close_pool();
}

// Failures --------------------------------------------------------------------

WEFT_TEST(a_failure_has_code_and_text)
{
    open_pool();
    expect_text(weft_submit(ex, not_seven, 7), -EDOM,
                "job not_seven: seven came");
    expect_long(weft_submit(ex, not_seven, 8), 8);
    close_pool();
}

WEFT_JOB(long, die, int, sig)
{
    signal(sig, SIG_DFL);
    raise(sig);
    return 0;
}

WEFT_JOB(long, leave, int, status)
{
    exit(status);
    return 0;
}

WEFT_JOB(long, touch, uint64_t, address)
{
    return *(volatile char *)(uintptr_t)address;
}

WEFT_TEST(a_crash_fails_its_own_job_only, .timeout = 20)
{
    enum { N = 400 };
    static weft_future *futures[N];
    open_pool();
    for (int i = 0; i < N; i++)
        futures[i] = i % 40 == 20 ? weft_submit(ex, die, SIGKILL)
                                  : weft_submit(ex, square, i);
    for (int i = 0; i < N; i++) {
        if (i % 40 == 20)
            expect_text(futures[i], -WEFT_ECRASHED, "job die (");
        else
            expect_long(futures[i], (long)i * i);
    }
    close_pool();
}

WEFT_TEST(a_crash_is_told_in_full)
{
    open_pool();
    expect_text(weft_submit(ex, die, SIGTERM), -WEFT_ECRASHED, "SIGTERM");
    expect_text(weft_submit(ex, leave, 3), -WEFT_ECRASHED, "exit status 3");
    if (!WI_ASAN && !WI_TSAN)
        expect_text(weft_submit(ex, touch, 0x10), -WEFT_ECRASHED,
                    "SIGSEGV) at address 0x10, pc 0x");
    expect_long(weft_submit(ex, square, 3), 9);
    close_pool();
}

static int fail_to_start(void *arg)
{
    return *(int *)arg;
}

WEFT_TEST(an_initializer_that_fails_breaks_the_pool)
{
    int code = -EDOM;
    ex = weft_process_pool(.workers = 2, .initializer = fail_to_start,
                           .init_arg = &code, .init_size = sizeof code);
    for (long i = 0; i < 3; i++) { // what waited for it, and later ones
        weft_future *f = weft_submit(ex, square, i);
        expect_text(weft_future_ref(f), -WEFT_EBROKEN,
                    "the initializer failed");
        expect_text(f, -WEFT_EBROKEN, "(EDOM)");
    }
    close_pool();
}

static long prepared;

static int prepare(void *arg)
{
    prepared = *(long *)arg;
    return 0;
}

WEFT_JOB(long, get_prepared)
{
    return prepared;
}

WEFT_TEST(an_initializer_runs_in_each_worker)
{
    long value = 77;
    ex = weft_process_pool(.workers = 2, .initializer = prepare,
                           .init_arg = &value, .init_size = sizeof value);
    expect_long(weft_submit(ex, get_prepared), 77);
    expect(weft_submit(ex, die, SIGKILL), -WEFT_ECRASHED);
    for (int i = 0; i < 10; i++)
        expect_long(weft_submit(ex, get_prepared), 77);
    ck_assert_int_eq(prepared, 0);
    close_pool();
}

WEFT_TEST(a_program_that_does_not_exist_breaks_the_pool)
{
    ex = weft_process_pool(.workers = 2, .program = "/nonexistent");
    expect_text(weft_submit(ex, square, 1), -WEFT_EBROKEN,
                "/nonexistent cannot be executed: No such file");
    close_pool();
    ex = weft_process_pool(.workers = 2, .program = "/bin/true");
    expect(weft_submit(ex, square, 1), -WEFT_ENOENTRY);
    close_pool();
}

// Cancel and deadlines --------------------------------------------------------

WEFT_TEST(a_deadline_ends_its_own_job_only)
{
    open_pool();
    weft_future *f =
        weft_submit(weft_executor_with(ex, .deadline = 0.02), hang, 0);
    for (long i = 0; i < 100; i++)
        expect_long(weft_submit(ex, square, i), i * i);
    expect(f, -WEFT_EJOBTIMEOUT);
    expect_long(weft_submit(ex, square, 3), 9);
    close_pool();
}

WEFT_TEST(a_deadline_ends_a_job_in_the_queue)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *blocker = weft_submit(ex, hang, 0);
    for (int i = 0; i < 5; i++)
        expect(weft_submit(weft_executor_with(ex, .deadline = 0.01), square, 1),
               -WEFT_EJOBTIMEOUT);
    ck_assert(!weft_done(blocker));
    weft_cancel(blocker);
    expect(blocker, -WEFT_EJOBCANCELED);
    close_pool();
}

WEFT_TEST(deadlines_that_are_kept)
{
    open_pool();
    for (long i = 0; i < 500; i++)
        expect_long(
            weft_submit(weft_executor_with(ex, .deadline = 60), square, i),
            i * i);
    close_pool();
}

WEFT_TEST(cancel_of_a_running_job)
{
    open_pool();
    weft_future *f = weft_submit(ex, hang, 0);
    until_running(f);
    ck_assert_int_eq(weft_cancel(f), 0);
    expect(f, -WEFT_EJOBCANCELED);
    expect_long(weft_submit(ex, square, 4), 16);
    close_pool();
}

WEFT_TEST(cancel_of_jobs_that_wait_their_turn)
{
    enum { N = 600 };
    static weft_future *futures[N];
    ex = weft_process_pool(.workers = 1);
    weft_future *blocker = weft_submit(ex, hang, 0);
    until_running(blocker);
    for (long i = 0; i < N; i++)
        futures[i] = weft_submit(ex, square, i);
    for (int i = 0; i < N; i += 2)
        ck_assert_int_eq(weft_cancel(futures[i]), 0);
    weft_cancel(blocker);
    expect(blocker, -WEFT_EJOBCANCELED);
    for (long i = 0; i < N; i++) {
        if (i % 2 == 0)
            expect(futures[i], -WEFT_EJOBCANCELED);
        else
            expect_long(futures[i], i * i);
    }
    close_pool();
}

WEFT_TEST(a_waiter_that_gives_up_cancels)
{
    open_pool();
    weft_future *f = weft_submit(ex, hang, 0);
    {
        WEFT_TIMEOUT(0.01);
        ck_assert_int_eq(weft_get_into(f, NULL, 0), -ETIMEDOUT);
        ck_assert_int_eq(weft_join(f), -ETIMEDOUT);
    }
    expect_long(weft_submit(ex, square, 4), 16);
    close_pool();
}

// A long job does not keep what was placed behind it.
WEFT_TEST(idle_workers_take_over_what_is_queued)
{
    enum { N = 300 };
    static weft_future *futures[N];
    open_pool();
    for (long i = 0; i < 2000; i++) // so that it knows that jobs are short
        expect_long(weft_submit(ex, square, i), i * i);
    weft_future *blocker = weft_submit(ex, hang, 0);
    for (long i = 0; i < N; i++)
        futures[i] = weft_submit(ex, square, i);
    for (long i = 0; i < N; i++)
        expect_long(futures[i], i * i);
    weft_cancel(blocker);
    expect(blocker, -WEFT_EJOBCANCELED);
    close_pool();
}

// Closing ---------------------------------------------------------------------

WEFT_TEST(close_drains)
{
    enum { N = 1000 };
    static weft_future *futures[N];
    open_pool();
    for (long i = 0; i < N; i++)
        futures[i] = weft_submit(ex, square, i);
    close_pool();
    for (long i = 0; i < N; i++)
        ck_assert(weft_done(futures[i]));
    for (long i = 0; i < N; i++)
        expect_long(futures[i], i * i);
}

WEFT_TEST(close_cancels_what_is_pending)
{
    ex = weft_process_pool(.workers = 1);
    weft_promise *promise = weft_promise_new();
    weft_future *gate = weft_promise_future(promise);
    weft_future *running = weft_submit(ex, one_more, weft_future_id(gate));
    until_running(running);
    weft_future *blocker = weft_submit(ex, hang, 0);
    long value = 1;
    until_running(blocker);
    weft_future *pending = weft_submit(ex, square, 3);
    weft_cancel(blocker);
    expect(blocker, -WEFT_EJOBCANCELED);
    weft_promise_keep(promise, 0, &value, sizeof value, NULL);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_PENDING),
                     0);
    int code = weft_get_into(pending, NULL, 0);
    ck_assert(code == 0 || code == -WEFT_EJOBCANCELED);
    weft_future_unref(pending);
    expect_long(running, 2);
    weft_future_unref(gate); // which the job has opened for certain
}

WEFT_TEST(close_cancels_all)
{
    weft_future *futures[10];
    open_pool();
    for (int i = 0; i < 10; i++)
        futures[i] = weft_submit(ex, hang, i);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    for (int i = 0; i < 10; i++)
        expect(futures[i], -WEFT_EJOBCANCELED);
}

static int close_pending(void *arg)
{
    (void)arg;
    return weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_PENDING);
}

// The second of what it submits has an argument that is written without the
// pool's lock.
WEFT_JOB(long, submit_when_told, uint64_t, gate)
{
    long go = 0, four = 0;
    struct block1024 block = {{37}};
    weft_executor *own = weft_executor_open(0);
    int rc = weft_result(weft_future_open(gate), &go);
    if (rc == 0)
        rc = weft_result(weft_submit(own, square, go), &four);
    if (rc == 0)
        rc = weft_result(weft_submit_struct(own, add_one_1024, block), &block);
    if (rc < 0)
        weft_fail(rc, "the other job: %s", weft_error_name(rc));
    return block.bytes[0] + four;
}

WEFT_TEST(jobs_go_on_while_what_is_pending_is_canceled)
{
    int rc = 0;
    ex = weft_process_pool(.workers = 1);
    weft_promise *promise = weft_promise_new();
    weft_future *gate = weft_promise_future(promise);
    weft_future *f = weft_submit(ex, submit_when_told, weft_future_id(gate));
    until_running(f);
    weft_future *closing = weft_thread_start(close_pending, NULL);
    while (rc == 0) {
        long value = 0;
        rc = weft_result(weft_submit(ex, square, 2), &value);
    }
    ck_assert(rc == -WEFT_ECLOSED || rc == -WEFT_EJOBCANCELED);
    weft_promise_keep(promise, 0, &(long){2}, sizeof(long), NULL);
    expect(closing, 0);
    expect_long(f, 42);
    weft_future_unref(gate);
}

WEFT_JOB(long, submit_many_that_hang, int, n)
{
    weft_executor *own = weft_executor_open(0);
    for (int i = 0; i < n; i++)
        weft_future_unref(weft_submit(own, hang, i));
    return 0;
}

// What a job still asks for when it is ended is canceled as well.
WEFT_TEST(close_cancels_what_is_submitted_meanwhile, .timeout = 60)
{
    for (int i = 0; i < 10; i++) {
        open_pool();
        weft_future *f = weft_submit(ex, submit_many_that_hang, 4000);
        struct weft_process_pool_stats stats = {.size = sizeof stats};
        while (stats.submitted < 300)
            weft_process_pool_stats(ex, &stats);
        ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL),
                         0);
        weft_join(f);
    }
}

WEFT_TEST(close_with_a_deadline)
{
    open_pool();
    weft_future *f = weft_submit(ex, hang, 0);
    ck_assert_int_eq(weft_executor_close(ex, .deadline = 0.02), -ETIMEDOUT);
    expect(f, -WEFT_EJOBCANCELED);
}

WEFT_TEST(close_of_an_empty_pool)
{
    for (int i = 0; i < 10; i++) {
        open_pool();
        close_pool();
    }
}

// The host --------------------------------------------------------------------

static void crash_and_go_on(void)
{
    open_pool();
    for (int i = 0; i < 10; i++) {
        expect(weft_submit(ex, die, SIGKILL), -WEFT_ECRASHED);
        expect_long(weft_submit(ex, square, i), (long)i * i);
    }
    close_pool();
}

WEFT_TEST(a_host_that_ignores_sigchld, .timeout = 20)
{
    signal(SIGCHLD, SIG_IGN);
    crash_and_go_on();
}

static void reap_all(int sig)
{
    int saved = errno;
    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    errno = saved;
}

WEFT_TEST(a_host_that_reaps_everything, .timeout = 20)
{
    signal(SIGCHLD, reap_all);
    crash_and_go_on();
}

static int use_in_task(void *arg)
{
    long value = 0;
    (void)arg;
    int rc = weft_result(weft_submit(ex, square, 12), &value);
    return rc < 0 ? rc : (int)value;
}

WEFT_TEST(tasks_submit_and_wait)
{
    open_pool();
    ck_assert_int_eq(weft_run(use_in_task, NULL), 144);
    close_pool();
}

static int submit_many(void *arg)
{
    long base = *(long *)arg, value;
    for (long i = base; i < base + 500; i++) {
        int rc = weft_result(weft_submit(ex, square, i), &value);
        if (rc < 0 || value != i * i)
            return -EDOM;
    }
    return 0;
}

WEFT_TEST(threads_submit_and_wait, .timeout = 20)
{
    enum { THREADS = 4 };
    weft_future *threads[THREADS];
    long bases[THREADS];
    open_pool();
    for (int i = 0; i < THREADS; i++) {
        bases[i] = i * 1000;
        threads[i] = weft_thread_start(submit_many, &bases[i]);
    }
    ck_assert_int_eq(weft_gather_into(threads, THREADS, NULL, 0, NULL), 0);
    close_pool();
}

WEFT_TEST(two_pools)
{
    weft_executor *other = weft_process_pool(.workers = 1);
    open_pool();
    for (long i = 0; i < 100; i++) {
        expect_long(weft_submit(ex, square, i), i * i);
        expect_long(weft_submit(other, square, i), i * i);
    }
    close_pool();
    expect_long(weft_submit(other, square, 5), 25);
    ck_assert_int_eq(weft_executor_close(other), 0);
}

WEFT_TEST_MAIN("process pool")
