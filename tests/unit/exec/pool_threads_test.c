// SPDX-License-Identifier: MIT
//
// The threads of a pool: how long idle ones stay, on which CPUs they run, and
// what is said of those whose job does not end.
#include "kit.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static weft_executor *pool;

static unsigned threads(void)
{
    struct weft_thread_pool_stats s = {.size = sizeof s};
    kit_assert_code(weft_thread_pool_stats(pool, &s), 0);
    return s.workers;
}

// Idle ones -------------------------------------------------------------------

static int begun;
static struct kit_gate gate;

WEFT_JOB(int, wait_at_gate)
{
    kit_count(&begun);
    return kit_gate_wait(&gate);
}

static void run_four_at_once(void)
{
    weft_future *fs[4];
    gate = kit_gate_new();
    begun = 0;
    for (int i = 0; i < 4; i++)
        fs[i] = weft_submit(pool, wait_at_gate);
    kit_await(&begun, 4);
    ck_assert_uint_ge(threads(), 4); // those that wait lend their places
    kit_gate_open(&gate);
    kit_assert_code(weft_gather_into(fs, 4, NULL, 0, NULL), 0);
    kit_gate_free(&gate);
}

static void until_threads(unsigned wanted)
{
    unsigned n;
    while ((n = threads()) != wanted) {
        ck_assert_uint_gt(n, wanted);
        sched_yield();
    }
}

WEFT_TEST(idle_ones_leave, .timeout = 20)
{
    pool =
        weft_thread_pool(.workers = 4, .blocking = true, .idle_timeout = 0.001);
    for (int turn = 0; turn < 3; turn++) {
        run_four_at_once();
        until_threads(0);
    }
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_TEST(but_for_the_least_number, .timeout = 20)
{
    pool = weft_thread_pool(.workers = 4, .blocking = true,
                            .idle_timeout = 0.001, .min_workers = 2);
    for (int turn = 0; turn < 3; turn++) {
        run_four_at_once();
        until_threads(2);
    }
    kit_assert_code(weft_thread_pool_resize(pool, 1), 0);
    until_threads(1);
    kit_assert_code(weft_executor_close(pool), 0);
}

// What they do last -----------------------------------------------------------

static int begins, ends, end_code;
static _Thread_local int *own; // what an initializer has made for its thread

static int make_own(void *arg)
{
    own = malloc(sizeof *own);
    *own = 0;
    kit_count(arg);
    return 0;
}

WEFT_JOB(int, use_own)
{
    return ++*own;
}

static int drop_own(void *arg)
{
    ck_assert_ptr_eq(arg, &begins);
    ck_assert_int_ge(*own, 0);
    free(own);
    own = NULL;
    kit_count(&ends);
    return end_code;
}

static weft_executor *pool_with_ends(double idle_timeout)
{
    begins = ends = 0;
    return weft_thread_pool(.workers = 3, .blocking = weft_test_round() == 1,
                            .initializer = make_own, .finalizer = drop_own,
                            .init_arg = &begins, .idle_timeout = idle_timeout);
}

WEFT_TEST(each_ends_with_the_finalizer, .repeat = 2)
{
    pool = pool_with_ends(0);
    for (int i = 0; i < 20; i++)
        kit_assert_code(weft_join(weft_submit(pool, use_own)), 0);
    ck_assert_int_eq(kit_load(&ends), 0);
    kit_assert_code(weft_executor_close(pool), 0);
    ck_assert_int_gt(begins, 0);
    ck_assert_int_eq(ends, begins);
}

WEFT_TEST(a_finalizer_that_fails_is_told_by_the_close, .repeat = 2)
{
    end_code = -EDOM;
    pool = pool_with_ends(0);
    kit_assert_code(weft_join(weft_submit(pool, use_own)), 0);
    kit_assert_code(weft_executor_close(pool), -EDOM);
}

// Jobs come while threads leave: none has one whose own is gone.
WEFT_TEST(jobs_that_come_while_threads_leave, .repeat = 2, .timeout = 30)
{
    pool = pool_with_ends(0.00001);
    for (int i = 0; i < 300; i++) {
        int out = 0;
        kit_assert_code(weft_result(weft_submit(pool, use_own), &out), 0);
        ck_assert_int_gt(out, 0);
    }
    kit_assert_code(weft_executor_close(pool), 0);
    ck_assert_int_eq(ends, begins);
}

static int end_at_gate(void *arg)
{
    if (kit_load(arg) > 0)
        return 0;
    kit_count(arg);
    return kit_gate_wait(&gate);
}

WEFT_JOB(int, say_nine)
{
    return 9;
}

// One that leaves takes no place from the jobs that come.
WEFT_TEST(a_long_finalizer_holds_up_nobody, .timeout = 20)
{
    int leaves = 0, out = 0;
    gate = kit_gate_new();
    pool =
        weft_thread_pool(.workers = 1, .blocking = true, .idle_timeout = 0.001,
                         .finalizer = end_at_gate, .init_arg = &leaves);
    kit_assert_code(weft_join(weft_submit(pool, say_nine)), 0);
    kit_await(&leaves, 1);
    kit_assert_code(weft_result(weft_submit(pool, say_nine), &out), 0);
    ck_assert_int_eq(out, 9);
    kit_gate_open(&gate);
    kit_assert_code(weft_executor_close(pool), 0);
    kit_gate_free(&gate);
}

static int fail_to_begin(void *arg)
{
    (void)arg;
    return -EPERM;
}

WEFT_TEST(who_never_began_does_not_end, .repeat = 2)
{
    pool =
        weft_thread_pool(.workers = 1, .blocking = weft_test_round() == 1,
                         .initializer = fail_to_begin, .finalizer = drop_own);
    kit_assert_code(weft_join(weft_submit(pool, use_own)), -WEFT_EBROKEN);
    weft_executor_close(pool);
    ck_assert_int_eq(ends, 0);
}

// CPUs ------------------------------------------------------------------------

enum { MOST_CPUS = 1024 };
static unsigned allowed[MOST_CPUS];
static size_t allowed_count;

static void find_allowed(void)
{
    cpu_set_t set;
    allowed_count = 0;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set))
            allowed[allowed_count++] = i;
}

struct cpus {
    unsigned count, first;
};

WEFT_JOB(struct cpus, look)
{
    cpu_set_t set;
    struct cpus cpus = {0};
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return cpus;
    cpus.count = (unsigned)CPU_COUNT(&set);
    while (!CPU_ISSET(cpus.first, &set))
        cpus.first++;
    return cpus;
}

static struct cpus cpus_of_a_job(void)
{
    struct cpus cpus;
    kit_assert_code(weft_result(weft_submit(pool, look), &cpus), 0);
    return cpus;
}

// One of them, and what the pool makes of it by itself.
WEFT_TEST(they_run_where_they_are_told, .repeat = 2)
{
    find_allowed();
    unsigned last[1] = {allowed[allowed_count - 1]};
    pool = weft_thread_pool(.blocking = weft_test_round() == 1, .cpus = last,
                            .cpu_count = 1);
    struct cpus cpus = cpus_of_a_job();
    last[0] = 0; // it has a copy
    ck_assert_uint_eq(cpus.count, 1);
    ck_assert_uint_eq(cpus.first, allowed[allowed_count - 1]);
    if (weft_test_round() == 0)
        ck_assert_uint_eq(weft_executor_width(pool), 1);
    kit_assert_code(weft_executor_close(pool), 0);
}

static struct cpus seen[4];
static int seen_count, told_count;

static int note_cpus(void *arg)
{
    (void)arg;
    struct cpus cpus;
    weft_job_look.call(NULL, &cpus);
    seen[__atomic_fetch_add(&told_count, 1, __ATOMIC_SEQ_CST)] = cpus;
    kit_count(&seen_count);
    return 0;
}

static size_t where(unsigned cpu)
{
    size_t i = 0;
    while (i < allowed_count && allowed[i] != cpu)
        i++;
    return i;
}

// Four threads over two CPUs, if there are so many: two each.
WEFT_TEST(each_may_have_one_of_them)
{
    unsigned on[2] = {0};
    find_allowed();
    size_t count = allowed_count < 2 ? 1 : 2;
    pool = weft_thread_pool(.workers = 4, .cpus = allowed, .cpu_count = count,
                            .pin = true, .initializer = note_cpus);
    ck_assert_int_eq(kit_load(&seen_count), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(seen[i].count, 1);
        ck_assert_uint_lt(where(seen[i].first), count);
        on[where(seen[i].first)]++;
    }
    ck_assert_uint_eq(on[0], 4 / count);
    kit_assert_code(weft_executor_close(pool), 0);
}

static void expect_refused(weft_executor *ex)
{
    weft_future *f = weft_submit(ex, look);
    kit_assert_code(weft_get_into(f, NULL, 0), -EINVAL);
    ck_assert_ptr_nonnull(strstr(weft_future_text(f), ".cpus"));
    weft_future_unref(f);
    weft_executor_close(ex);
}

WEFT_TEST(cpus_that_make_no_sense_are_refused, .repeat = 2)
{
    static const unsigned none = 60000;
    bool blocking = weft_test_round() == 1;
    expect_refused(weft_thread_pool(.blocking = blocking, .workers = 2,
                                    .cpus = &none, .cpu_count = 1));
    expect_refused(weft_thread_pool(.blocking = blocking, .cpus = &none));
    expect_refused(weft_thread_pool(.blocking = blocking, .cpu_count = 1));
    expect_refused(weft_thread_pool(.blocking = blocking, .pin = true));
}

// What does not end -----------------------------------------------------------

static int release[2];

WEFT_JOB(int, be_deaf)
{
    char c;
    kit_count(&begun);
    return read(release[0], &c, 1) == 1 ? 0 : -EIO;
}

enum { DEAF = 10, AS_TOLD = 3 };

// In a process of its own. The jobs have begun: canceled ones never would.
static _Noreturn void close_over_deaf_jobs(weft_executor *ex, int jobs,
                                           bool deadline)
{
    begun = 0;
    for (int i = 0; i < jobs; i++)
        weft_future_unref(weft_submit(
            weft_executor_with(ex, .name = "deaf", .migrate = i % 2), be_deaf));
    kit_await(&begun, jobs);
    int rc = deadline ? weft_executor_close(ex, .deadline = 0.01, .grace = 0.01)
                      : weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL,
                                            .grace = 0.01);
    _exit(rc == (deadline ? -ETIMEDOUT : 0) ? AS_TOLD : AS_TOLD + 1);
}

// Lets the jobs go when this has been said, and not before.
static void expect_said(int from, pid_t pid, const char *one, const char *last)
{
    char text[8192] = "";
    size_t have = 0;
    ssize_t n = 1;
    int status;
    while (n > 0 && strstr(text, last) == NULL) {
        n = read(from, text + have, sizeof(text) - 1 - have);
        have += n > 0 ? (size_t)n : 0;
        text[have] = '\0';
    }
    ck_assert_msg(n > 0, "not told in: %s", text);
    ck_assert_msg(strstr(text, one) != NULL, "not named in: %s", text);
    ck_assert_int_eq(write(release[1], "0123456789", DEAF), DEAF);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, AS_TOLD << 8);
}

// A child whose standard error *said reads.
static pid_t fork_heard(int *said)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(pipe(release), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        setenv("WEFT_WATCHDOG", "0", 1);
    }
    close(ends[1]);
    *said = ends[0];
    return pid;
}

WEFT_TEST(what_does_not_end_is_named, .repeat = 4, .timeout = 20)
{
    int said, round = weft_test_round();
    pid_t pid = fork_heard(&said);
    if (pid == 0)
        close_over_deaf_jobs(weft_thread_pool(.workers = DEAF, .name = "slow",
                                              .blocking = round % 2 == 1),
                             DEAF, round / 2 == 1);
    expect_said(said, pid, "\"slow\": job \"deaf\"", "and 2 more");
}

// One job blocks the whole loop.
WEFT_TEST(on_a_loop_too, .repeat = 2, .timeout = 20)
{
    int said;
    bool deadline = weft_test_round() == 1;
    pid_t pid = fork_heard(&said);
    if (pid == 0)
        close_over_deaf_jobs(weft_loop_executor(), 1, deadline);
    expect_said(said, pid, "\"loop\": ", "still waits for it");
}

WEFT_TEST_MAIN("pool_threads")
