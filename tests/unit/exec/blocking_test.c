// SPDX-License-Identifier: MIT
// Jobs that block in plain libc, with .blocking = true, and the watchdog that
// names them without.
#include "kit.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

static int ends[2], more[2];

// The program's own read: Weft does not see it.
WEFT_JOB(int, read_plainly)
{
    char c = 0;
    return read(ends[0], &c, 1) == 1 ? c : -1;
}

WEFT_JOB(int, write_byte, int, c)
{
    char byte = (char)c;
    return write(ends[1], &byte, 1) == 1 ? 0 : -1;
}

static void open_ends(void)
{
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(pipe(more), 0);
}

KIT_BOTH(a_blocked_job_does_not_stop_the_next)
{
    weft_executor *ex = weft_thread_pool(.workers = 2, .blocking = true);
    int c = 0, rc = 1;

    open_ends();
    weft_future *reader = weft_submit(ex, read_plainly);
    weft_future *writer = weft_submit(ex, write_byte, 'w');
    kit_assert_code(weft_result(reader, &c), 0);
    kit_assert_code(weft_result(writer, &rc), 0);
    ck_assert_int_eq(c, 'w');
    ck_assert_int_eq(rc, 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

KIT_BOTH(ten_blocked_jobs_do_not_stop_the_next)
{
    weft_executor *ex = weft_thread_pool(.workers = 11, .blocking = true);
    weft_future *readers[10];

    open_ends();
    for (int i = 0; i < 10; i++)
        readers[i] = weft_submit(ex, read_plainly);
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_join(weft_submit(ex, write_byte, 'a' + i)), 0);
    int sum = 0;
    for (int i = 0; i < 10; i++) {
        int c = 0;
        kit_assert_code(weft_result(readers[i], &c), 0);
        sum += c - 'a';
    }
    ck_assert_int_eq(sum, 45);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Values of a job end with it, in its own thread.
static int values_left;

static void drop_value(void *value)
{
    values_left += *(int *)value;
}

static struct weft_local value_key = {.destroy = drop_value};

WEFT_JOB(int, set_value)
{
    static int one = 1;
    ck_assert_ptr_null(weft_local_get(&value_key));
    return weft_local_set(&value_key, &one);
}

KIT_BOTH(values_of_a_job_end_with_it)
{
    weft_executor *ex = weft_thread_pool(.workers = 1, .blocking = true);

    for (int i = 1; i <= 3; i++) {
        int rc = 1;
        kit_assert_code(weft_result(weft_submit(ex, set_value), &rc), 0);
        kit_assert_code(rc, 0);
        ck_assert_int_eq(values_left, i);
    }
    kit_assert_code(weft_executor_close(ex), 0);
}

// A close that cancels reaches all who run, whoever of their neighbours has
// ended before.
static int begun;

WEFT_JOB(int, run_until_canceled)
{
    kit_count(&begun);
    return weft_sleep(INFINITY);
}

static void check_canceled(weft_future *f)
{
    int rc = 0;

    kit_assert_code(weft_result(f, &rc), 0);
    kit_assert_code(rc, -ECANCELED);
}

KIT_BOTH(a_close_cancels_those_who_still_run)
{
    weft_executor *ex = weft_thread_pool(.workers = 4, .blocking = true);
    weft_future *fs[6];
    static const int gone[] = {1, 0, 3}; // the second, the first, the last

    for (int i = 0; i < 4; i++) {
        fs[i] = weft_submit(ex, run_until_canceled);
        kit_await(&begun, i + 1);
    }
    for (int i = 0; i < 3; i++) {
        weft_cancel(fs[gone[i]]);
        check_canceled(fs[gone[i]]);
    }
    for (int i = 4; i < 6; i++) {
        fs[i] = weft_submit(ex, run_until_canceled);
        kit_await(&begun, i + 1);
    }
    kit_assert_code(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
    check_canceled(fs[2]);
    check_canceled(fs[4]);
    check_canceled(fs[5]);
}

// A job that blocks in libc on what only a parked job will do, when that one's
// own wait is over: each has a thread of its own.
static struct kit_gate gate;

WEFT_JOB(int, park_then_write)
{
    if (kit_gate_wait(&gate) != 0)
        return -1;
    return write(ends[1], "p", 1) == 1 ? 0 : -1;
}

KIT_BOTH(a_blocked_job_waits_for_a_parked_one)
{
    weft_executor *ex = weft_thread_pool(.workers = 2, .blocking = true);
    int c = 0;

    open_ends();
    gate = kit_gate_new();
    weft_future *parked = weft_submit(ex, park_then_write);
    weft_future *reader = weft_submit(ex, read_plainly);
    kit_gate_open(&gate);
    kit_assert_code(weft_result(reader, &c), 0);
    ck_assert_int_eq(c, 'p');
    kit_assert_code(weft_join(parked), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    kit_gate_free(&gate);
}

static weft_executor *own_pool;

WEFT_JOB(int, wait_for_another)
{
    int rc = 1;
    weft_join(weft_submit(own_pool, write_byte, 'a'));
    return weft_result(weft_submit(own_pool, write_byte, 'b'), &rc) < 0 ? -1
                                                                        : rc;
}

// A job that waits in Weft lends its place.
KIT_BOTH(a_job_waits_for_another_one_of_a_pool_of_one, .timeout = 20)
{
    int rc = 1;
    open_ends();
    own_pool = weft_thread_pool(.workers = 1, .blocking = true);
    weft_future *f = weft_submit(own_pool, wait_for_another);
    kit_assert_code(weft_result(f, &rc), 0);
    ck_assert_int_eq(rc, 0);
    kit_assert_code(weft_executor_close(own_pool), 0);
}

// A wait for a descriptor, too, where it is for another job as well.
WEFT_JOB(int, select_another)
{
    weft_future *f = weft_submit(own_pool, write_byte, 'c');
    struct weft_case cases[] = {
        WEFT_CASE_READY(more[0], WEFT_READABLE),
        WEFT_CASE_FUTURE(f),
        WEFT_CASE_AFTER(weft_test_seconds(5)),
    };
    int which = weft_select(cases, 3);
    weft_join(f);
    return which;
}

KIT_BOTH(a_job_selects_another_one_of_a_pool_of_one, .timeout = 20)
{
    int which = -1;
    open_ends();
    own_pool = weft_thread_pool(.workers = 1, .blocking = true);
    kit_assert_code(weft_result(weft_submit(own_pool, select_another), &which),
                    0);
    ck_assert_int_eq(which, 1);
    kit_assert_code(weft_executor_close(own_pool), 0);
}

// Or in a run of its own.
static int join_another(void *arg)
{
    (void)arg;
    weft_future *f = weft_submit(own_pool, write_byte, 'd');
    int done = weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(5));
    weft_cancel(f);
    weft_join(f);
    return done;
}

WEFT_JOB(int, run_and_join_another, int, workers)
{
    return weft_run(join_another, NULL, .workers = (unsigned)workers);
}

KIT_BOTH(a_job_has_a_run_that_waits_for_another_one, .timeout = 30)
{
    open_ends();
    own_pool = weft_thread_pool(.workers = 1, .blocking = true);
    for (int workers = 1; workers <= 2; workers++) {
        int done = -1;
        kit_assert_code(
            weft_result(weft_submit(own_pool, run_and_join_another, workers),
                        &done),
            0);
        ck_assert_int_eq(done, 1);
    }
    kit_assert_code(weft_executor_close(own_pool), 0);
}

// As many as one likes: no limit, with places lent on top of it.
KIT_BOTH(a_job_waits_for_another_one_of_a_pool_without_a_limit, .timeout = 20)
{
    int rc = 1;
    open_ends();
    own_pool = weft_thread_pool(.workers = UINT_MAX, .blocking = true);
    weft_future *f = weft_submit(own_pool, wait_for_another);
    kit_assert_code(weft_result(f, &rc), 0);
    ck_assert_int_eq(rc, 0);
    kit_assert_code(weft_executor_close(own_pool), 0);
}

// What the destructors of a thread submit comes from no job of the pool.
static pthread_key_t key;
static int late = 1;

static void submit_late(void *arg)
{
    (void)arg;
    late = weft_join(weft_submit(own_pool, write_byte, 'z'));
}

WEFT_JOB(int, set_key)
{
    return -pthread_setspecific(key, &key);
}

WEFT_TEST(a_destructor_submits_to_its_pool_that_is_being_closed, .timeout = 20)
{
    open_ends();
    ck_assert_int_eq(pthread_key_create(&key, submit_late), 0);
    own_pool = weft_thread_pool(.workers = 1, .blocking = true);
    kit_assert_code(weft_join(weft_submit(own_pool, set_key)), 0);
    kit_assert_code(weft_executor_close(own_pool), 0);
    kit_assert_code(late, -WEFT_ECLOSED);
}

// More jobs than threads: they wait for their turn and all run.
static int inside, most;

WEFT_JOB(int, count_inside)
{
    int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    int seen = kit_load(&most);

    while (now > seen &&
           !__atomic_compare_exchange_n(&most, &seen, now, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        continue;
    usleep(100);
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    return 0;
}

KIT_BOTH(there_are_never_more_threads_than_told, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.workers = 3, .blocking = true);
    weft_future *fs[200];

    for (int i = 0; i < 200; i++)
        fs[i] = weft_submit(ex, count_inside);
    for (int i = 0; i < 200; i++)
        kit_assert_code(weft_join(fs[i]), 0);
    ck_assert_int_ge(most, 1);
    ck_assert_int_le(most, 3);
    ck_assert_uint_eq(weft_executor_width(ex), 3);
    kit_assert_code(weft_executor_close(ex), 0);
}

// The default is 64 threads.
static int met;

WEFT_JOB(int, meet, int, n)
{
    kit_count(&met);
    while (kit_load(&met) < n)
        usleep(100);
    return 0;
}

KIT_BOTH(sixty_four_block_at_once, .timeout = 20)
{
    weft_executor *ex = weft_thread_pool(.blocking = true);
    weft_future *fs[64];

    ck_assert_uint_eq(weft_executor_width(ex), 64);
    for (int i = 0; i < 64; i++)
        fs[i] = weft_submit(ex, meet, 64);
    kit_assert_code(weft_gather_into(fs, 64, NULL, 0, NULL), 0);
    kit_assert_code(weft_executor_close(ex), 0);
}

// Every call of Weft works in such a job.
static weft_executor *pool;

WEFT_JOB(int, use_weft)
{
    int runs = 0;
    char c = 0;

    if (weft_sleep(0.0001) != 0 ||
        weft_join(weft_task_start(kit_count, &runs)) != 0 ||
        weft_write(more[1], "m", 1) != 1 || weft_read(more[0], &c, 1) != 1)
        return -1;
    WEFT_TIMEOUT(0.001);
    return weft_sleep(INFINITY) == -ETIMEDOUT && c == 'm' ? runs : -2;
}

KIT_BOTH(a_blocking_job_may_use_weft)
{
    int out = 0;

    open_ends();
    pool = weft_thread_pool(.workers = 2, .blocking = true);
    kit_assert_code(weft_result(weft_submit(pool, use_weft), &out), 0);
    ck_assert_int_eq(out, 1);
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_JOB(int, block_in_weft)
{
    kit_count(&met);
    return weft_sleep(INFINITY) == -ECANCELED ? 4 : -1;
}

KIT_BOTH(a_blocking_job_that_waits_in_weft_can_be_canceled)
{
    pool = weft_thread_pool(.workers = 2, .blocking = true);
    weft_future *f = weft_submit(pool, block_in_weft);

    kit_await(&met, 1);
    kit_assert_code(weft_cancel(f), 0);
    int rc = weft_join(f);
    ck_assert_msg(rc == 0 || rc == -WEFT_EJOBCANCELED, "code %d", rc);
    kit_assert_code(weft_executor_close(pool), 0);
}

// The watchdog ----------------------------------------------------------------

// A pool of one, whose job blocks in plain read() on what only an unstarted
// job of the same pool will do: a spare thread is started for that one, and
// the blocked one is named. Without, this hangs.
static void block_the_only_worker(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int c = 0;

    if (pipe(ends) != 0)
        _exit(1);
    weft_future *reader = weft_submit(ex, read_plainly);
    weft_future *writer = weft_submit(ex, write_byte, 's');
    if (weft_result(reader, &c) != 0 || weft_join(writer) != 0 || c != 's')
        _exit(2);
    weft_executor_close(ex);
}

WEFT_TEST(the_watchdog_starts_a_spare_thread_and_names_the_blocked_job,
          .timeout = 20)
{
    char text[8192];
    int status = kit_child(block_the_only_worker, text, sizeof text);

    ck_assert_msg(status == 0, "wait status 0x%x, said: %s", status, text);
    ck_assert_msg(strstr(text, "read_plainly"), "not named in: %s", text);
}

// One whose rescue is a parked job of its own thread cannot be helped, only
// named; the program ends when the time is up.
WEFT_JOB(int, park_on_this_worker)
{
    kit_count(&met);
    kit_gate_wait(&gate);
    return write(ends[1], "t", 1) == 1 ? 0 : -1;
}

// The gate opens when the reader has the thread: it blocks before the other
// one can go on.
WEFT_JOB(int, read_plainly_at_last)
{
    char c = 0;
    kit_count(&met);
    return read(ends[0], &c, 1) == 1 ? c : -1;
}

static void block_on_a_parked_job(void)
{
    char c = 0;
    weft_executor *ex = weft_thread_pool(.workers = 1);

    if (pipe(ends) != 0)
        _exit(1);
    gate = kit_gate_new();
    weft_submit(ex, park_on_this_worker);
    kit_await(&met, 1);
    weft_future *reader = weft_submit(ex, read_plainly_at_last);
    kit_await(&met, 2);
    kit_gate_open(&gate);
    // Until it has been named, and then the test itself writes what it needs.
    while (read(more[0], &c, 1) != 1)
        continue;
    if (write(ends[1], "u", 1) != 1 || weft_join(reader) != 0)
        _exit(2);
    _exit(0);
}

// As kit_child, but the child goes on only when it has been named.
WEFT_TEST(the_watchdog_names_what_it_cannot_help, .timeout = 20)
{
    char text[8192] = "";
    int out[2], status;
    size_t have = 0;
    ssize_t n = 1;

    ck_assert_int_eq(pipe(out), 0);
    ck_assert_int_eq(pipe(more), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDERR_FILENO);
        block_on_a_parked_job();
    }
    close(out[1]);
    while (n > 0 && !strstr(text, "read_plainly")) {
        n = read(out[0], text + have, sizeof text - 1 - have);
        have += n > 0 ? (size_t)n : 0;
        text[have] = '\0';
    }
    ck_assert_msg(strstr(text, "read_plainly"), "not named in: %s", text);
    ck_assert_int_eq(write(more[1], "g", 1), 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

// The end -----------------------------------------------------------------

static int leave_now, canceling, end_now, closing;

static int fail_when_told(void *arg)
{
    (void)arg;
    while (kit_load(&leave_now) == 0)
        sched_yield();
    return -EIO;
}

static void end_when_told(weft_future *f, void *arg)
{
    (void)f;
    (void)arg;
    kit_count(&canceling);
    while (kit_load(&end_now) == 0)
        sched_yield();
}

static int cancel_it(void *job)
{
    return weft_cancel(job);
}

static int close_it(void *ex)
{
    kit_count(&closing);
    return weft_executor_close(ex);
}

// A job that is canceled ends on the thread of who cancels it, maybe when the
// pool has no thread any more. A close that waits for it is told even so.
WEFT_TEST(a_close_waits_for_a_job_that_no_thread_of_the_pool_has, .timeout = 20)
{
    struct weft_thread_pool_stats s = {.size = sizeof s};
    weft_executor *ex = weft_thread_pool(.workers = 1, .blocking = true,
                                         .initializer = fail_when_told);
    weft_future *job = weft_submit(ex, write_byte, 'x');
    kit_assert_code(weft_future_on_done(job, end_when_told, NULL), 0);
    weft_future *cancels = weft_thread_start(cancel_it, job);
    kit_await(&canceling, 1);
    kit_count(&leave_now);
    do
        kit_assert_code(weft_thread_pool_stats(ex, &s), 0);
    while (s.workers > 0);
    weft_future *closes = weft_thread_start(close_it, ex);
    kit_await(&closing, 1);
    for (int i = 0; i < 1000; i++) // most times it waits by then
        sched_yield();
    kit_count(&end_now);
    kit_assert_code(weft_join(cancels), 0);
    kit_assert_code(weft_join(closes), 0);
    kit_assert_code(weft_join(job), -WEFT_EJOBCANCELED);
}

WEFT_TEST_MAIN("blocking")
