// SPDX-License-Identifier: MIT
//
// The end of a thread pool: what meets the closer, and what must not reach
// the next pool.
#include "kit.h"

#include <pthread.h>

WEFT_JOB(long, square, long, x)
{
    return x * x;
}

// The last end may come at any moment of the close.
WEFT_TEST(close_meets_last_end, .timeout = 30)
{
    for (unsigned i = 0; i < 2000; i++) {
        weft_executor *ex = weft_thread_pool(.workers = 1 + i % 2);
        weft_future *f = weft_submit(ex, square, 3);
        if (weft_test_random() % 2)
            weft_cancel(f);
        weft_future_unref(f);
        for (uint64_t n = weft_test_random() % 2000; n > 0; n--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        ck_assert_int_eq(weft_executor_close(ex), 0);
    }
}

static weft_executor *crowded;

WEFT_JOB(long, submit_more, long, x)
{
    for (int i = 0; i < 600; i++)
        weft_future_unref(weft_submit(crowded, square, x));
    return weft_sleep(0);
}

// The closer takes from the queue of the one worker, which works on it too.
WEFT_TEST(pending_jobs_of_one_worker, .timeout = 30)
{
    for (int i = 0; i < 100; i++) {
        crowded = weft_thread_pool(.workers = 1);
        weft_future_unref(weft_submit(crowded, submit_more, 1));
        for (uint64_t n = weft_test_random() % 40000; n > 0; n--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        weft_executor_close(crowded, .mode = WEFT_CLOSE_CANCEL_PENDING);
    }
}

enum { LATE = 300 };
static weft_future *late[LATE];
static int late_ran;

WEFT_JOB(long, waits_and_counts, long, x)
{
    weft_sleep(x % 2 ? 0.001 : 0);
    kit_count(&late_ran);
    return x;
}

static int submit_on_the_way_out(void *arg)
{
    kit_count(arg);
    kit_assert_code(weft_sleep(INFINITY), -ECANCELED);
    for (int i = 0; i < LATE; i++)
        late[i] = weft_submit(crowded, waits_and_counts, i);
    return 0;
}

WEFT_JOB(int, leave_a_task)
{
    int up = 0;
    weft_future_unref(weft_task_start(submit_on_the_way_out, &up));
    kit_await(&up, 1);
    return 0;
}

// A pool is closed when nothing can come any more from what its jobs left.
static void close_with_a_task_left(enum weft_close_mode mode, int least)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        late_ran = 0;
        crowded = weft_thread_pool(.workers = workers);
        kit_assert_code(weft_join(weft_submit(crowded, leave_a_task)), 0);
        kit_assert_code(
            weft_executor_close(crowded, .mode = mode, .deadline = 20), 0);
        for (int i = 0; i < LATE; i++) {
            ck_assert(weft_done(late[i]));
            weft_future_unref(late[i]);
        }
        ck_assert_int_ge(late_ran, least);
    }
}

WEFT_TEST(a_task_submits_while_it_is_canceled, .timeout = 30)
{
    close_with_a_task_left(WEFT_CLOSE_DRAIN, LATE);
}

WEFT_TEST(a_task_submits_what_will_be_canceled, .timeout = 30)
{
    weft_on_unobserved(NULL);
    close_with_a_task_left(WEFT_CLOSE_CANCEL_PENDING, 0);
    close_with_a_task_left(WEFT_CLOSE_CANCEL_ALL, 0);
}

static weft_executor *current;
static uint32_t go, ran, quit;

WEFT_JOB(long, tell, long, x)
{
    __atomic_store_n(&ran, 1, __ATOMIC_RELEASE);
    return x;
}

static int submit_on_go(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&quit, __ATOMIC_RELAXED)) {
        if (__atomic_exchange_n(&go, 0, __ATOMIC_ACQ_REL))
            weft_future_unref(weft_submit(current, tell, 1));
    }
    return 0;
}

// The job's effect lets the pool end while its submit is still on the way out.
WEFT_TEST(submit_returns_after_the_pool, .timeout = 30)
{
    weft_future *submitter = weft_thread_start(submit_on_go, NULL);
    for (int i = 0; i < 500; i++) {
        current = weft_thread_pool(.workers = 2);
        __atomic_store_n(&ran, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&ran, __ATOMIC_ACQUIRE))
            weft_yield();
        ck_assert_int_eq(weft_executor_close(current), 0);
    }
    __atomic_store_n(&quit, 1, __ATOMIC_RELAXED);
    weft_join(submitter);
}

WEFT_JOB(long, compute, long, x)
{
    while (weft_check() == 0)
        x++;
    return x;
}

static int nap(void *arg)
{
    (void)arg;
    return weft_sleep(100);
}

// Its child runs inside the join, on the job's own stack.
WEFT_JOB(long, buried, long, x)
{
    int rc;
    {
        WEFT_GROUP(g, &rc);
        x = weft_join(weft_task_start(nap, NULL));
    }
    return x;
}

WEFT_TEST(cancel_all_reaches_what_runs, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_future_unref(weft_submit(ex, compute, 1));
    weft_future_unref(weft_submit(ex, buried, 1));
    weft_sleep(weft_test_random() % 2 * 0.01);
    ck_assert_int_eq(weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL), 0);
}

WEFT_JOB(long, sleep_for_ever, long, x)
{
    (void)x;
    return weft_sleep((double)INFINITY);
}

// Also what is between the queue and its start.
WEFT_TEST(cancel_all_reaches_what_starts, .timeout = 30)
{
    for (int i = 0; i < 200; i++) {
        weft_executor *ex = weft_thread_pool(.workers = 2);
        for (int k = 0; k < 10; k++)
            weft_future_unref(weft_submit(ex, sleep_for_ever, k));
        for (uint64_t n = weft_test_random() % 40000; n > 0; n--)
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
        weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    }
}

WEFT_JOB(long, submit_late, long, x)
{
    long rc = weft_sleep((double)INFINITY);
    weft_future_unref(weft_submit(crowded, sleep_for_ever, x));
    return rc;
}

// And what the canceled jobs submit themselves.
WEFT_TEST(cancel_all_reaches_what_is_submitted_late, .timeout = 30)
{
    for (int blocking = 0; blocking <= 1; blocking++) {
        crowded = weft_thread_pool(.workers = 2, .blocking = blocking);
        weft_future_unref(weft_submit(crowded, submit_late, 1));
        weft_sleep(0.01);
        weft_executor_close(crowded, .mode = WEFT_CLOSE_CANCEL_ALL);
    }
}

WEFT_JOB(long, doze, long, x)
{
    return weft_sleep(x * 1e-4);
}

// Workers are used again by the next pool, without the cancel of the last.
WEFT_TEST(cancel_ends_with_its_pool, .timeout = 30)
{
    for (int i = 0; i < 300; i++) {
        weft_executor *ex = weft_thread_pool(.workers = 2);
        long rc = 1;
        ck_assert_int_eq(weft_result(weft_submit(ex, doze, 1), &rc), 0);
        ck_assert_int_eq(rc, 0);
        weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    }
}

// The threads' own end -------------------------------------------------------

static pthread_key_t key;
static int threads_used, destroyed;

static void destroy_slowly(void *value)
{
    (void)value;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    kit_count(&destroyed);
}

WEFT_JOB(int, use_thread_local)
{
    if (pthread_getspecific(key) == NULL)
        kit_count(&threads_used);
    pthread_setspecific(key, &key);
    sched_yield();
    return 0;
}

// What a close has returned from has no thread in any code any more.
WEFT_TEST(threads_have_ended, .timeout = 30)
{
    weft_future *fs[40];
    ck_assert_int_eq(pthread_key_create(&key, destroy_slowly), 0);
    for (int i = 0; i < 40; i++) {
        weft_executor *ex = weft_thread_pool(.workers = 4, .blocking = i % 2);
        threads_used = destroyed = 0;
        for (int k = 0; k < 40; k++)
            fs[k] = weft_submit(ex, use_thread_local);
        kit_assert_code(weft_gather_into(fs, 40, NULL, 0, NULL), 0);
        if (i % 4 == 1) // some leave before
            kit_assert_code(weft_thread_pool_resize(ex, 1), 0);
        kit_assert_code(weft_executor_close(ex), 0);
        ck_assert_int_gt(threads_used, 0);
        ck_assert_int_eq(kit_load(&destroyed), threads_used);
    }
}

// A million that wait ---------------------------------------------------------

enum { MANY = KIT_SANITIZED ? 50000 : 1000000 };

static bool occupied, let_go;

WEFT_JOB(int, occupy)
{
    __atomic_store_n(&occupied, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE))
        sched_yield();
    return 0;
}

static int close_and_cancel(void *ex)
{
    return weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_PENDING);
}

// By their futures the one half, by the close of the pool the other; none runs.
WEFT_TEST(a_million_pending_are_canceled, .timeout = 120)
{
    weft_future **fs = malloc(MANY * sizeof(*fs));
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *busy = weft_submit(ex, occupy);
    while (!__atomic_load_n(&occupied, __ATOMIC_ACQUIRE))
        sched_yield();
    for (int i = 0; i < MANY; i++)
        fs[i] =
            weft_submit(weft_executor_with(ex, .priority = i % 3 - 1), occupy);
    for (int i = 0; i < MANY / 2; i++)
        weft_cancel(fs[i]);
    weft_future *closes = weft_thread_start(close_and_cancel, ex);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_join(fs[i]), -WEFT_EJOBCANCELED);
    __atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
    kit_assert_code(weft_join(busy), 0);
    kit_assert_code(weft_join(closes), 0);
    free(fs);
}

WEFT_TEST_MAIN("pool_end")
