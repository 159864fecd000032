// SPDX-License-Identifier: MIT
// Large arguments of a process pool: they arrive as they were at the submit,
// whatever jobs do with them, and their memory comes back.
#include "jobs.h"
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LARGE = 3 << 20, PAGE = 4096 };

static weft_executor *ex;

// The memory ------------------------------------------------------------------

// What the file of arguments holds, in bytes.
static long held(void)
{
    char path[300], to[100];
    long bytes = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        ssize_t n = readlink(path, to, sizeof to - 1);
        to[n < 0 ? 0 : n] = '\0';
        if (strstr(to, "weft-arguments") != NULL && stat(path, &st) == 0)
            bytes = (long)st.st_blocks * 512; // two descriptors, one file
    }
    closedir(dir);
    return bytes;
}

static int mappings(void)
{
    return kit_mappings("weft-arguments");
}

static void close_and_look(void)
{
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(held(), 0);
    ck_assert_int_eq(mappings(), 0);
}

// Arguments -------------------------------------------------------------------

static uint64_t next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    return *x ^= *x << 17;
}

static unsigned long sum_of(const unsigned char *p, size_t n)
{
    unsigned long sum = n;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + p[i];
    return sum;
}

static struct weft_bytes filled(size_t len, uint64_t seed)
{
    struct weft_bytes b = {malloc(len), len};
    unsigned char *p = b.data;
    for (size_t i = 0; i < len; i++)
        p[i] = (unsigned char)(next(&seed) >> 24);
    return b;
}

WEFT_JOB(unsigned long, sum, struct weft_bytes, b)
{
    return sum_of(b.data, b.len);
}

// Writes on every n-th page of its argument when it has read it; n is the
// argument's first byte.
WEFT_JOB(unsigned long, sum_and_spoil, struct weft_bytes, b)
{
    unsigned char *p = b.data;
    unsigned long answer = sum_of(p, b.len);
    size_t step = (size_t)p[0] * PAGE;
    for (size_t i = 0; i < b.len; i += step)
        memset(p + i, 0xa5, b.len - i < PAGE ? b.len - i : PAGE);
    return answer;
}

// Submits a copy that is spoiled at once.
static weft_future *submit(const struct weft_job *job, struct weft_bytes from)
{
    struct weft_bytes b = weft_bytes_copy(from.data, from.len);
    weft_future *f = weft_submit_job(ex, job, &b);
    memset(b.data, 0, b.len);
    weft_bytes_free(&b);
    return f;
}

static void expect_sum(weft_future *f, unsigned long sum)
{
    unsigned long got;
    int rc = weft_get(f, &got);
    ck_assert_msg(rc == 0, "code %d: %s", rc, weft_future_text(f));
    ck_assert_uint_eq(got, sum);
    weft_future_unref(f);
}

static void check_size(size_t len, uint64_t seed)
{
    enum { N = 6 };
    weft_future *f[N];
    unsigned long sums[N];
    for (int i = 0; i < N; i++) {
        struct weft_bytes b = filled(len, seed + (uint64_t)i);
        sums[i] = sum_of(b.data, b.len);
        f[i] = submit(&weft_job_sum, b);
        weft_bytes_free(&b);
    }
    for (int i = 0; i < N; i++)
        expect_sum(f[i], sums[i]);
}

static void check_sizes(void)
{
    static const size_t sizes[] = {32 << 10, 128 << 10, 1 << 20, LARGE};
    uint64_t seed = weft_test_seed() | 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int d = -1; d <= 1; d++) {
            check_size(sizes[i] + (size_t)d, next(&seed));
            check_size(sizes[i] + (size_t)(d * PAGE), next(&seed));
        }
}

WEFT_TEST(they_arrive_as_they_were)
{
    ex = weft_process_pool(.workers = 2);
    check_sizes();
    ck_assert_int_gt(held(), 0);
    close_and_look();
}

static void check_start(enum weft_start_method start)
{
    struct weft_process_options process = {.size = sizeof process,
                                           .start = start};
    ex = weft_process_pool(.workers = 2, .process = &process);
    check_sizes();
    ck_assert_int_gt(held(), 0);
    close_and_look();
}

WEFT_TEST(in_workers_that_a_zygote_made)
{
    check_start(WEFT_START_ZYGOTE);
}

WEFT_TEST(in_workers_that_are_copies)
{
    check_start(WEFT_START_FORK_ANYWAY);
}

// What a job writes is gone when the next one begins.
static void check_spoiled(unsigned step)
{
    struct weft_bytes b = filled(LARGE, weft_test_seed() | 1);
    ((unsigned char *)b.data)[0] = (unsigned char)step;
    unsigned long sum = sum_of(b.data, b.len);
    for (int i = 0; i < 8; i++)
        expect_sum(submit(&weft_job_sum_and_spoil, b), sum);
    // Shorter ones in the same memory, and longer ones.
    size_t lens[] = {LARGE - PAGE - 1, LARGE, LARGE - 2 * PAGE, LARGE};
    for (int i = 0; i < 4; i++) {
        struct weft_bytes part = {b.data, lens[i]};
        expect_sum(submit(&weft_job_sum_and_spoil, part),
                   sum_of(b.data, lens[i]));
    }
    weft_bytes_free(&b);
}

WEFT_TEST(a_job_may_write_on_its_own)
{
    ex = weft_process_pool(.workers = 1);
    check_spoiled(200);
    check_spoiled(3);
    check_spoiled(1); // from now on that job gets a copy
    check_spoiled(200);
    close_and_look();
}

// Chunks and waits ------------------------------------------------------------

WEFT_TEST(the_elements_of_a_map)
{
    enum { N = 24 };
    struct weft_bytes in[N];
    unsigned long out[N], sums[N];
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < N; i++) {
        in[i] = filled((size_t)(20000 * i), (uint64_t)i + 1);
        sums[i] = sum_of(in[i].data, in[i].len);
    }
    ck_assert_int_eq(weft_map(ex, sum, in, N, out, .chunk = 6), 0);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(out[i], sums[i]);
        weft_bytes_free(&in[i]);
    }
    close_and_look();
}

// A job that has the same done by its own pool, and looks at its own argument
// again afterwards.
WEFT_JOB(unsigned long, sum_by_another, struct weft_bytes, b)
{
    unsigned long other = 0, before = sum_of(b.data, b.len);
    struct weft_bytes rest = {b.data, b.len - PAGE};
    int rc = b.len > LARGE - 4 * PAGE
                 ? weft_result(weft_submit_job(weft_executor_open(0),
                                               &weft_job_sum_by_another, &rest),
                               &other)
                 : 0;
    if (rc < 0)
        weft_fail(rc, "the other job: %s", weft_error_name(rc));
    if (sum_of(b.data, b.len) != before)
        weft_fail(-EIO, "the argument has changed");
    return before + other;
}

WEFT_TEST(a_job_that_waits_keeps_its_own)
{
    struct weft_bytes b = filled(LARGE, weft_test_seed() | 1);
    unsigned long sums = 0;
    ex = weft_process_pool(.workers = 1);
    for (size_t i = 0; i <= 4; i++)
        sums += sum_of(b.data, b.len - i * PAGE);
    for (int i = 0; i < 3; i++)
        expect_sum(submit(&weft_job_sum_by_another, b), sums);
    weft_bytes_free(&b);
    close_and_look();
}

// A child of fork has it as all memory of the job.
WEFT_JOB(unsigned long, sum_in_a_child, struct weft_bytes, b)
{
    unsigned long sum = 0;
    int ends[2], status;
    if (pipe(ends) != 0)
        weft_fail(-errno, NULL);
    ((char *)b.data)[PAGE]++;
    pid_t pid = fork();
    if (pid == 0) {
        sum = sum_of(b.data, b.len);
        _exit(write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &sum, sizeof sum) != sizeof sum)
        weft_fail(-EIO, "the child has told nothing");
    close(ends[0]);
    waitpid(pid, &status, 0);
    return sum;
}

WEFT_TEST(a_child_of_fork_has_it)
{
    struct weft_bytes b = filled(LARGE, weft_test_seed() | 1);
    ex = weft_process_pool(.workers = 1);
    for (int i = 0; i < 3; i++) {
        weft_future *f = submit(&weft_job_sum_in_a_child, b);
        ((char *)b.data)[PAGE]++;
        expect_sum(f, sum_of(b.data, b.len));
    }
    weft_bytes_free(&b);
    close_and_look();
}

// Deaths ----------------------------------------------------------------------

// The argument begins with the name of a file that grows by a byte each time;
// it is spoiled, and its worker dies, but at the third time.
WEFT_JOB(unsigned long, third_time, struct weft_bytes, b)
{
    struct stat st;
    unsigned long answer = sum_of(b.data, b.len);
    int fd = open(b.data, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &st) != 0)
        weft_fail(-EIO, NULL);
    close(fd);
    memset(b.data, 0xa5, b.len);
    if (st.st_size < 3)
        raise(SIGKILL);
    return answer;
}

WEFT_TEST(a_job_that_runs_again_gets_it_whole)
{
    char name[] = "/tmp/weft-test-XXXXXX";
    close(mkstemp(name));
    struct weft_bytes b = filled(LARGE, weft_test_seed() | 1);
    memcpy(b.data, name, sizeof name);
    ex = weft_process_pool(.workers = 1);
    weft_executor *again = weft_executor_with(ex, .retries = 2);
    expect_sum(weft_submit_job(again, &weft_job_third_time, &b),
               sum_of(b.data, b.len));
    unlink(name);
    weft_bytes_free(&b);
    close_and_look();
}

WEFT_JOB(long, hang_on, struct weft_bytes, b)
{
    for (volatile char *p = b.data;; p[1]++) // it goes on to write there
        pause();
    return 0;
}

// One runs, others wait; then f[0], which runs, and the last are canceled.
WEFT_TEST(canceled_ones_leave_nothing)
{
    enum { N = 8 };
    weft_future *f[N];
    struct weft_bytes b = filled(LARGE, 1);
    ex = weft_process_pool(.workers = 1);
    f[0] = submit(&weft_job_hang_on, b);
    until_running(f[0]);
    for (int i = 1; i < N; i++)
        f[i] = submit(&weft_job_sum, b);
    weft_cancel(f[N - 1]);
    expect(f[N - 1], -WEFT_EJOBCANCELED);
    weft_cancel(f[0]);
    expect(f[0], -WEFT_EJOBCANCELED);
    for (int i = 1; i < N - 1; i++)
        expect_sum(f[i], sum_of(b.data, b.len));
    weft_bytes_free(&b);
    close_and_look();
}

WEFT_TEST(a_close_that_cancels_leaves_nothing)
{
    enum { N = 8 };
    weft_future *f[N];
    struct weft_bytes b = filled(LARGE, 1);
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < N; i++)
        f[i] = submit(&weft_job_hang_on, b);
    until_running(f[0]);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    for (int i = 0; i < N; i++)
        expect(f[i], -WEFT_EJOBCANCELED);
    ck_assert_int_eq(held(), 0);
    ck_assert_int_eq(mappings(), 0);
    weft_bytes_free(&b);
}

// Workers are killed while they have large arguments: what survives has the
// right answer, and everything comes back.
WEFT_TEST(killed_workers_leave_nothing)
{
    enum { ROUNDS = 20, N = 12 };
    struct weft_bytes b = filled(LARGE / 4, weft_test_seed() | 1);
    unsigned long sum = sum_of(b.data, b.len), got;
    uint64_t seed = weft_test_seed() | 1;
    ex = weft_process_pool(.workers = 2);
    for (int round = 0; round < ROUNDS; round++) {
        weft_future *f[N];
        for (int i = 0; i < N; i++)
            f[i] = submit(&weft_job_sum, b);
        weft_future *victim = f[next(&seed) % N];
        pid_t pid = 0;
        while (pid == 0 && !weft_done(victim))
            pid = weft_future_native_id(victim);
        if (pid > 0)
            kill(pid, SIGKILL);
        for (int i = 0; i < N; i++) {
            int rc = weft_get(f[i], &got);
            ck_assert_msg(rc == -WEFT_ECRASHED || (rc == 0 && got == sum),
                          "code %d: %s", rc, weft_future_text(f[i]));
            weft_future_unref(f[i]);
        }
    }
    weft_bytes_free(&b);
    close_and_look();
}

// What is kept for the next ones has an end.
WEFT_TEST(not_all_that_was_used_is_kept)
{
    enum { N = 40 };
    weft_future *f[N];
    struct weft_bytes b = filled(LARGE, 1);
    unsigned long sum = sum_of(b.data, b.len);
    ex = weft_process_pool(.workers = 1);
    weft_future *first = submit(&weft_job_hang_on, b);
    until_running(first);
    for (int i = 0; i < N; i++)
        f[i] = submit(&weft_job_sum, b);
    ck_assert_int_ge(held(), N * LARGE);
    weft_cancel(first);
    expect(first, -WEFT_EJOBCANCELED);
    for (int i = 0; i < N; i++)
        expect_sum(f[i], sum);
    expect_sum(submit(&weft_job_sum, b), sum); // the last one was told before
    // The first was told when its worker was killed. Until that is gone for
    // certain, which may be later, it has its argument.
    ck_assert_int_le(held(), (64 << 20) + LARGE);
    weft_bytes_free(&b);
    close_and_look();
}

WEFT_TEST_MAIN("large arguments")
