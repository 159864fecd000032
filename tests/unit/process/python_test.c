// SPDX-License-Identifier: MIT
// What Python's tests of multiprocessing and of its executors ask for and no
// other test here does; tests/behaviour/processes says which is which.
#include "jobs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

static weft_executor *ex;

// Processes -------------------------------------------------------------------

static int nap(void *arg)
{
    (void)arg;
    pause();
    return 0;
}

WEFT_TEST(many_processes_are_ended_in_many_ways)
{
    enum { N = 10 };
    weft_future *f[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            f[i] = weft_process_start(nap, NULL, 0);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(round == 0 ? weft_process_terminate(f[i])
                                        : weft_process_kill(f[i]),
                             0);
        for (int i = 0; i < N; i++)
            expect_text(f[i], -WEFT_ECRASHED,
                        round == 0 ? "SIGTERM" : "SIGKILL");
    }
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

// A tree of processes, two children each: as many as it should have.
static int count_tree(void *arg)
{
    int depth = *(int *)arg - 1, sum = 1;
    if (depth < 0)
        return 1;
    weft_future *a = weft_process_start(count_tree, &depth, sizeof depth);
    weft_future *b = weft_process_start(count_tree, &depth, sizeof depth);
    sum += weft_join(a);
    return sum + weft_join(b);
}

WEFT_TEST(a_tree_of_processes, .timeout = 20)
{
    int depth = 3;
    expect(weft_process_start(count_tree, &depth, sizeof depth), 15);
}

static int write_late(void *arg)
{
    weft_sleep(0.05);
    return write(*(int *)arg, "late", 4) == 4 ? 0 : -EIO;
}

// Threads that nobody has joined are joined at the end of the child.
static int leave_a_thread(void *arg)
{
    static int fd;
    (void)arg;
    fd = weft_process_fd(0);
    weft_future_unref(weft_thread_start(write_late, &fd));
    return 3;
}

WEFT_TEST(a_child_waits_for_its_threads)
{
    int ends[2];
    char text[5] = "";
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    weft_future *f = weft_process_start(leave_a_thread, NULL, 0,
                                        .fds = &ends[1], .fd_count = 1);
    close(ends[1]);
    expect(f, 3);
    ck_assert_int_eq(read(ends[0], text, 4), 4);
    ck_assert_str_eq(text, "late");
}

// The descriptors of a child do not grow with the parent's, nor the parent's
// with its children.
static int count_own_fds(void *arg)
{
    (void)arg;
    return weft_test_count_fds();
}

WEFT_TEST(descriptors_do_not_grow)
{
    int before = weft_join(weft_process_start(count_own_fds, NULL, 0));
    int own = weft_test_count_fds();
    // posix_spawn, which sanitizers need, cannot close what it does not know.
    bool all = !WI_ASAN && !WI_TSAN;
    for (int i = 0; i < 20; i++)
        fcntl(0, all ? F_DUPFD : F_DUPFD_CLOEXEC, 3);
    ck_assert_int_eq(weft_join(weft_process_start(count_own_fds, NULL, 0)),
                     before);
    for (int i = 0; i < 20; i++)
        weft_join(weft_process_start(count_own_fds, NULL, 0));
    ck_assert_int_eq(weft_test_count_fds(), own + 20);
}

// What stands in the buffers of stdio is written, also if it cannot be.
static int leave_text(void *arg)
{
    (void)arg;
    printf("on stdout");
    return 4;
}

WEFT_TEST(buffers_are_flushed_at_the_end)
{
    int ends[2];
    char text[16] = "";
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    weft_future *f = weft_process_start(leave_text, NULL, 0, .out = ends[1]);
    close(ends[1]);
    expect(f, 4);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 9);
    ck_assert_str_eq(text, "on stdout");
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    expect(weft_process_start(leave_text, NULL, 0, .out = full), 4);
}

static int leave(void *arg)
{
    exit(*(int *)arg);
}

WEFT_TEST(exit_is_told_with_its_status)
{
    int status = 17;
    expect_text(weft_process_start(leave, &status, sizeof status),
                -WEFT_ECRASHED, "exit status 17");
}

WEFT_TEST(closed_standard_descriptors_do_not_matter)
{
    int keep[3];
    for (int i = 0; i < 3; i++) {
        keep[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        close(i);
    }
    int rc = weft_join(weft_process_start(leave_text, NULL, 0));
    long value = 0;
    ex = weft_process_pool(.workers = 1);
    int rc2 = weft_result(weft_submit(ex, square, 5), &value);
    weft_executor_close(ex);
    for (int i = 0; i < 3; i++)
        dup2(keep[i], i);
    ck_assert_int_eq(rc, 4);
    ck_assert_int_eq(rc2, 0);
    ck_assert_int_eq(value, 25);
}

// Pools -----------------------------------------------------------------------

WEFT_JOB(long, negate, long, x)
{
    if (x == 13)
        weft_fail(-EDOM, "13");
    return -x;
}

WEFT_TEST(map_of_nothing_is_nothing)
{
    ex = weft_process_pool(.workers = 1);
    ck_assert_int_eq(weft_map(ex, negate, (long *)NULL, 0, (long *)NULL), 0);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_failure_in_a_map_leaves_the_pool_well)
{
    enum { N = 100 };
    long in[N], out[N];
    int codes[N];
    for (long i = 0; i < N; i++)
        in[i] = i;
    ex = weft_process_pool(.workers = 2);
    ck_assert_int_eq(weft_map(ex, negate, in, N, out), -EDOM);
    ck_assert_int_eq(weft_map(ex, negate, in, N, out, .codes = codes), 0);
    for (long i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], i == 13 ? -EDOM : 0);
        if (i != 13)
            ck_assert_int_eq(out[i], -i);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

static void note_done(weft_future *f, void *arg)
{
    // release: pairs with the acquire of the test
    __atomic_store_n((int *)arg, weft_future_code(f) == 0 ? 1 : 2,
                     __ATOMIC_RELEASE);
}

WEFT_TEST(callbacks_hear_of_results_and_failures)
{
    int heard[2] = {0, 0};
    ex = weft_process_pool(.workers = 1);
    weft_future *good = weft_submit(ex, negate, 1);
    weft_future *bad = weft_submit(ex, negate, 13);
    ck_assert_int_eq(weft_future_on_done(good, note_done, &heard[0]), 0);
    ck_assert_int_eq(weft_future_on_done(bad, note_done, &heard[1]), 0);
    expect_long(good, -1);
    expect(bad, -EDOM);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(__atomic_load_n(&heard[0], __ATOMIC_ACQUIRE), 1);
    ck_assert_int_eq(__atomic_load_n(&heard[1], __ATOMIC_ACQUIRE), 2);
}

WEFT_TEST(a_wait_with_a_time_limit_can_be_repeated)
{
    ex = weft_process_pool(.workers = 1);
    weft_future *f = weft_submit(ex, hang, 1);
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, 0.01), 0);
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, 0), 0);
    weft_cancel(f);
    ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, 4), 1);
    expect(f, -WEFT_EJOBCANCELED);
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST(a_close_does_not_wait_for_what_it_cancels)
{
    enum { N = 2000 };
    static weft_future *f[N];
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < N; i++)
        f[i] = weft_submit(ex, hang, 1);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    for (int i = 0; i < N; i++)
        expect(f[i], -WEFT_EJOBCANCELED);
}

WEFT_TEST(a_large_pool, .timeout = 60)
{
    enum { JOBS = 1000 };
    static weft_future *f[JOBS];
    ex = weft_process_pool(.workers = 60);
    for (long i = 0; i < JOBS; i++)
        f[i] = weft_submit(ex, square, i);
    for (long i = 0; i < JOBS; i++)
        expect_long(f[i], i * i);
    ck_assert_int_eq(weft_executor_close(ex), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

WEFT_TEST(many_pools_come_and_go, .timeout = 30)
{
    int fds = 0;
    for (int i = 0; i < 20; i++) {
        ex = weft_process_pool(.workers = 2);
        if (i % 2 == 0)
            expect_long(weft_submit(ex, square, i), i * i);
        ck_assert_int_eq(weft_executor_close(ex), 0);
        if (i == 4)
            fds = weft_test_count_fds();
    }
    ck_assert_int_eq(weft_test_count_fds(), fds);
}

// Deadlocks -------------------------------------------------------------------

WEFT_JOB(long, leave_at_once, int, status)
{
    _exit(status);
}

WEFT_JOB(struct weft_bytes, answer_nonsense)
{
    return (struct weft_bytes){(void *)16, 1 << 20}; // no such memory
}

WEFT_JOB(long, sum_of, struct weft_bytes, in)
{
    long sum = 0;
    for (size_t i = 0; i < in.len; i++)
        sum += ((unsigned char *)in.data)[i];
    return sum;
}

WEFT_TEST(exits_crashes_and_failures_in_every_place)
{
    static unsigned char big[10 << 20];
    memset(big, 1, sizeof big);
    struct weft_bytes in = {big, sizeof big};
    ex = weft_process_pool(.workers = 2);
    for (int i = 0; i < 5; i++) {
        weft_future *a = weft_submit(ex, leave_at_once, 0);
        weft_future *b = weft_submit(ex, leave_at_once, 3);
        weft_future *c = weft_submit(ex, answer_nonsense);
        weft_future *d = weft_submit_job(ex, &weft_job_sum_of, &in);
        weft_future *e = weft_submit(ex, negate, 13);
        expect_text(a, -WEFT_ECRASHED, "exit status 0");
        expect_text(b, -WEFT_ECRASHED, "exit status 3");
        int rc = weft_get_into(c, NULL, 0); // the crash, or the kernel's EFAULT
        ck_assert_msg(rc < 0, "%d", rc);
        weft_future_unref(c);
        expect_long(d, sizeof big);
        expect(e, -EDOM);
        expect_long(weft_submit(ex, square, i), i * i);
    }
    ck_assert_int_eq(weft_executor_close(ex), 0);
}

WEFT_TEST_MAIN("what Python asks of processes")
