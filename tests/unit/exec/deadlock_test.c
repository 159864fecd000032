// SPDX-License-Identifier: MIT
//
// Programs that hang in pools whose jobs wait by holding their thread: jobs
// that wait for jobs behind them, locks held across a join, both ends of a
// queue in one pool. Here they end, on one worker, however the jobs were
// submitted and whatever kind of pool it is; and what is a true cycle is told
// to one of those in it.
#include "kit.h"

#include <weft/fork.h>

enum { DEPTH = 1000 };

// How the jobs of a case are submitted, in each of its rounds.
enum { PLAIN, MIGRATING, HIGH, BLOCKING, WAYS };

static weft_executor *pool;

static weft_executor *new_pool(void)
{
    return weft_thread_pool(.workers = 1,
                            .blocking = weft_test_round() == BLOCKING,
                            .stack_size = 65536);
}

#define SUBMIT(...)                                                            \
    weft_submit(weft_executor_with(pool,                                       \
                                   .migrate = weft_test_round() == MIGRATING,  \
                                   .priority = weft_test_round() == HIGH),     \
                __VA_ARGS__)

static void close_pool(void)
{
    kit_assert_code(weft_executor_close(pool), 0);
}

// Jobs that wait for jobs -----------------------------------------------------

WEFT_JOB(long, descend, long, depth)
{
    long below = 0;
    if (depth > 0 && weft_result(SUBMIT(descend, depth - 1), &below) < 0)
        weft_fail(-EIO, "at depth %ld", depth);
    return below + 1;
}

WEFT_TEST(nested, .repeat = WAYS, .timeout = 60)
{
    long depth = weft_test_round() == BLOCKING ? DEPTH / 10 : DEPTH, out = 0;
    pool = new_pool();
    kit_assert_code(weft_result(SUBMIT(descend, depth), &out), 0);
    ck_assert_int_eq(out, depth + 1);
    close_pool();
}

// A time limit keeps the child from running inside the join: each one parks.
WEFT_JOB(long, descend_parked, long, depth)
{
    long below = 0;
    WEFT_TIMEOUT(weft_test_seconds(60));
    if (depth > 0 && weft_result(SUBMIT(descend_parked, depth - 1), &below) < 0)
        weft_fail(-EIO, "at depth %ld", depth);
    return below + 1;
}

WEFT_TEST(nested_and_parked, .repeat = WAYS, .timeout = 60)
{
    long depth = weft_test_round() == BLOCKING ? DEPTH / 10 : DEPTH, out = 0;
    pool = new_pool();
    kit_assert_code(weft_result(SUBMIT(descend_parked, depth), &out), 0);
    ck_assert_int_eq(out, depth + 1);
    close_pool();
}

static weft_future *kept;

WEFT_JOB(int, wait_for_the_promise)
{
    return weft_get_into(kept, NULL, 0);
}

WEFT_JOB(int, keep_the_promise, uint64_t, promise)
{
    weft_promise_keep((weft_promise *)(uintptr_t)promise, 0, NULL, 0, NULL);
    return 0;
}

// What all wait for is done by the last job of the queue.
WEFT_TEST(all_wait_for_one_behind_them, .repeat = WAYS, .timeout = 30)
{
    enum { N = 40 };
    weft_future *fs[N];
    weft_promise *promise = weft_promise_new();
    kept = weft_promise_future(promise);
    pool = new_pool();
    for (int i = 0; i < N - 1; i++)
        fs[i] = SUBMIT(wait_for_the_promise);
    fs[N - 1] = SUBMIT(keep_the_promise, (uint64_t)(uintptr_t)promise);
    kit_assert_code(weft_gather_into(fs, N, NULL, 0, NULL), 0);
    weft_future_unref(kept);
    close_pool();
}

// Locks -----------------------------------------------------------------------

static struct weft_lock lock;
static int inside;

WEFT_JOB(int, nothing)
{
    return weft_yield();
}

WEFT_JOB(int, join_under_the_lock)
{
    int rc = weft_lock_acquire(&lock);
    if (rc < 0)
        return rc;
    int before = inside++;
    rc = weft_join(SUBMIT(nothing));
    if (inside-- != 1 || before != 0)
        rc = -EILSEQ;
    weft_lock_release(&lock);
    return rc;
}

WEFT_TEST(a_lock_held_across_a_join, .repeat = WAYS, .timeout = 30)
{
    enum { N = 40 };
    weft_future *fs[N];
    pool = new_pool();
    for (int i = 0; i < N; i++)
        fs[i] = SUBMIT(join_under_the_lock);
    for (int i = 0; i < N; i++) {
        int code = -1;
        kit_assert_code(weft_result(fs[i], &code), 0);
        kit_assert_code(code, 0);
    }
    close_pool();
}

// Both ends in one pool -------------------------------------------------------

static weft_queue *queue;

WEFT_JOB(long, consume, long, n)
{
    long sum = 0, item;
    for (long i = 0; i < n; i++) {
        if (weft_queue_get(queue, &item) < 0)
            return -1;
        sum += item;
    }
    return sum;
}

WEFT_JOB(long, produce, long, n)
{
    for (long i = 1; i <= n; i++)
        if (weft_queue_put(queue, &i) < 0)
            return -1;
    return n * (n + 1) / 2;
}

WEFT_TEST(producer_and_consumer, .repeat = WAYS, .timeout = 30)
{
    long made = 0, used = 0;
    queue = weft_queue_new(sizeof(long), 1);
    pool = new_pool();
    weft_future *consumer = SUBMIT(consume, 2000);
    weft_future *producer = SUBMIT(produce, 2000);
    kit_assert_code(weft_result(consumer, &used), 0);
    kit_assert_code(weft_result(producer, &made), 0);
    ck_assert_int_eq(used, made);
    close_pool();
    weft_queue_free(queue);
}

enum { PARTIES = 30 };
static struct weft_barrier barrier = WEFT_BARRIER(PARTIES);

WEFT_JOB(int, meet)
{
    for (int i = 0; i < 3; i++)
        if (weft_barrier_wait(&barrier) < 0)
            return -1;
    return 0;
}

WEFT_TEST(more_parties_than_workers, .repeat = WAYS, .timeout = 30)
{
    weft_future *fs[PARTIES];
    int codes[PARTIES];
    pool = new_pool();
    for (int i = 0; i < PARTIES; i++)
        fs[i] = SUBMIT(meet);
    kit_assert_code(weft_gather_into(fs, PARTIES, codes, sizeof *codes, NULL),
                    0);
    for (int i = 0; i < PARTIES; i++)
        kit_assert_code(codes[i], 0);
    close_pool();
}

// Fork-join and jobs ----------------------------------------------------------

WEFT_FORKABLE(long, tree_of_jobs, w, int, depth)
{
    long here = 0;
    if (weft_result(SUBMIT(descend, 3), &here) < 0)
        return -1000000;
    if (depth == 0)
        return here;
    weft_fork(w, tree_of_jobs, depth - 1);
    here += tree_of_jobs(w, depth - 1);
    return here + weft_join_child(w, tree_of_jobs);
}

WEFT_TEST(fork_join_bodies_wait_for_jobs, .repeat = BLOCKING, .timeout = 60)
{
    long out = 0;
    pool = new_pool();
    kit_assert_code(weft_fork_run(pool, &out, tree_of_jobs, 5), 0);
    ck_assert_int_eq(out, 4 * 63);
    close_pool();
}

// True cycles -----------------------------------------------------------------

static weft_future *in_cycle[2];

WEFT_JOB(int, wait_for_the_other, int, i)
{
    while (__atomic_load_n(&in_cycle[!i], __ATOMIC_ACQUIRE) == NULL)
        weft_yield();
    int rc = weft_get_into(in_cycle[!i], NULL, 0);
    return rc == -WEFT_EDEADLOCK ? 1 : 0;
}

// As in the documentation of Python's ThreadPoolExecutor, where both hang.
WEFT_TEST(two_that_wait_for_each_other, .repeat = HIGH, .timeout = 30)
{
    pool = weft_thread_pool(.workers = 2);
    weft_future *fs[2];
    int told[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        fs[i] = SUBMIT(wait_for_the_other, i);
        __atomic_store_n(&in_cycle[i], weft_future_ref(fs[i]),
                         __ATOMIC_RELEASE);
    }
    for (int i = 0; i < 2; i++)
        kit_assert_code(weft_result(fs[i], &told[i]), 0);
    for (int i = 0; i < 2; i++)
        weft_future_unref(in_cycle[i]);
    ck_assert_int_eq(told[0] + told[1], 1);
    close_pool();
}

WEFT_TEST_MAIN("deadlock")
