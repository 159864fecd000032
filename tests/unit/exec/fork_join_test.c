// SPDX-License-Identifier: MIT
// Fork-join: results, theft, depth, cancel, and what a run lets others do.
#include "kit.h"

#include <pthread.h>
#include <weft/fork.h>

WEFT_FORKABLE(long, fib, w, long, n)
{
    if (n < 2)
        return n;
    weft_fork(w, fib, n - 1);
    long b = fib(w, n - 2);
    return weft_join_child(w, fib) + b;
}

KIT_BOTH(pools_of_all_sizes_agree, .timeout = 60)
{
    for (unsigned n = 1; n <= 6; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        for (int turn = 0; turn < 20; turn++) {
            long out = 0;
            kit_assert_code(weft_fork_run(ex, &out, fib, 17), 0);
            ck_assert_int_eq(out, 1597);
        }
        weft_executor_close(ex);
    }
}

KIT_BOTH(without_an_executor_the_shared_workers_run_it)
{
    long out = 0;
    kit_assert_code(weft_fork_run(NULL, &out, fib, 20), 0);
    ck_assert_int_eq(out, 6765);
    kit_assert_code(weft_fork_run(NULL, NULL, fib, 5), 0);
}

static int fib_main(void *arg)
{
    long out = 0;
    (void)arg;
    kit_assert_code(weft_fork_run(NULL, &out, fib, 22), 0);
    ck_assert_int_eq(out, 17711);
    return 0;
}

WEFT_TEST(a_run_of_several_workers_runs_it_in_place)
{
    kit_assert_code(weft_run(fib_main, NULL, .workers = 3), 0);
}

// Arguments and results -------------------------------------------------------

struct wide {
    long v[6];
};

WEFT_FORKABLE(struct wide, no_argument, w)
{
    (void)w;
    return (struct wide){{1, 2, 3, 4, 5, 6}};
}

WEFT_FORKABLE(double, four, w, int, value, char, data, double, args, long, out)
{
    (void)w;
    return value + data + args + (double)out;
}

WEFT_FORKABLE(long, kinds, w, int, count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) {
        weft_fork(w, no_argument);
        weft_fork(w, four, i, 2, 3.0, 4);
    }
    for (int i = count; i-- > 0;) {
        sum += (long)weft_join_child(w, four) - i;
        sum += weft_join_child(w, no_argument).v[5];
    }
    return sum;
}

KIT_BOTH(arguments_and_results_of_all_sizes)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, kinds, 5000), 0);
    ck_assert_int_eq(out, 5000 * (9 + 6));
    weft_executor_close(ex);
}

static void general_fib(weft_worker *w, void *data)
{
    long n, a, b;
    memcpy(&n, data, sizeof n);
    if (n >= 2) {
        long less = n - 1;
        w = weft_fork_bytes(w, general_fib, &less, sizeof less);
        less = n - 2;
        w = weft_fork_bytes(w, general_fib, &less, sizeof less);
        w = weft_join_bytes(w, &a, sizeof a);
        w = weft_join_bytes(w, &b, sizeof b);
        n = a + b;
    }
    memcpy(data, &n, sizeof n);
}

KIT_BOTH(the_plain_functions_do_the_same)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    long data[6] = {18};
    kit_assert_code(weft_fork_run_on(ex, general_fib, data), 0);
    ck_assert_int_eq(data[0], 2584);
    weft_executor_close(ex);
}

// Theft -----------------------------------------------------------------------

static int stolen;
static struct kit_gate gate;

WEFT_FORKABLE(int, say_stolen, w)
{
    (void)w;
    kit_count(&stolen);
    return 7;
}

// Goes on only when another worker has taken the child.
WEFT_FORKABLE(int, wait_for_a_thief, w)
{
    weft_fork(w, say_stolen);
    while (kit_load(&stolen) == 0)
        sched_yield();
    return weft_join_child(w, say_stolen);
}

KIT_BOTH(a_worker_that_sleeps_comes_for_the_child, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int turn = 0; turn < 50; turn++) {
        int out = 0;
        stolen = 0;
        kit_assert_code(weft_fork_run(ex, &out, wait_for_a_thief), 0);
        ck_assert_int_eq(out, 7);
    }
    weft_executor_close(ex);
}

WEFT_FORKABLE(int, steal_and_wait, w)
{
    (void)w;
    kit_count(&stolen);
    return kit_gate_wait(&gate) == 0 ? 7 : -1;
}

WEFT_FORKABLE(int, join_what_waits, w)
{
    weft_fork(w, steal_and_wait);
    while (kit_load(&stolen) == 0)
        sched_yield();
    return weft_join_child(w, steal_and_wait);
}

WEFT_JOB(int, open_the_gate)
{
    kit_gate_open(&gate);
    return 0;
}

WEFT_JOB(int, join_what_waits_job)
{
    int out = 0;
    kit_assert_code(weft_fork_run(NULL, &out, join_what_waits), 0);
    return out;
}

// Both workers are inside the run, and both wait: a third job opens the gate.
KIT_BOTH(a_join_that_waits_lets_other_jobs_run, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    for (int turn = 0; turn < 20; turn++) {
        int out = 0;
        stolen = 0;
        gate = kit_gate_new();
        weft_future *run = weft_submit(ex, join_what_waits_job);
        kit_await(&stolen, 1);
        kit_assert_code(weft_join(weft_submit(ex, open_the_gate)), 0);
        kit_assert_code(weft_result(run, &out), 0);
        ck_assert_int_eq(out, 7);
        kit_gate_free(&gate);
    }
    weft_executor_close(ex);
}

static int went_on, in_the_run;

WEFT_JOB(int, go_on_after_the_gate)
{
    int rc = kit_gate_wait(&gate);
    kit_count(&went_on);
    return rc;
}

WEFT_FORKABLE(int, nothing, w)
{
    (void)w;
    return 0;
}

WEFT_FORKABLE(int, fork_until_it_went_on, w)
{
    kit_count(&in_the_run);
    while (kit_load(&went_on) == 0) {
        weft_fork(w, nothing);
        weft_join_child(w, nothing);
    }
    return 0;
}

WEFT_JOB(int, fork_until_job)
{
    return weft_fork_run(NULL, NULL, fork_until_it_went_on);
}

// One worker: a job that waits can only go on inside the run.
WEFT_TEST(a_fork_lets_a_parked_job_of_its_worker_go_on, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    gate = kit_gate_new();
    weft_future *parked = weft_submit(ex, go_on_after_the_gate);
    weft_future *run = weft_submit(ex, fork_until_job);
    kit_await(&in_the_run, 1);
    kit_gate_open(&gate);
    kit_assert_code(weft_join(parked), 0);
    kit_assert_code(weft_join(run), 0);
    kit_gate_free(&gate);
    weft_executor_close(ex);
}

// A message that came while its worker ran a plain job, when there was nothing
// to ask: the child that the worker steals next lets it in. Both workers are
// busy all the time, so nobody asks for anything else.
static int busy, may_share, shared, ended;

static void spin_until(const int *counter)
{
    while (kit_load(counter) == 0)
        sched_yield();
}

WEFT_FORKABLE(int, fork_for_a_while, w)
{
    double end = weft_now() + weft_test_seconds(3);
    while (kit_load(&went_on) == 0 && weft_now() < end) {
        weft_fork(w, nothing);
        weft_join_child(w, nothing);
    }
    int in_time = kit_load(&went_on);
    kit_count(&ended);
    return in_time;
}

WEFT_FORKABLE(int, share_one, w)
{
    weft_fork(w, fork_for_a_while);
    kit_count(&shared);
    spin_until(&ended);
    return weft_join_child(w, fork_for_a_while);
}

WEFT_JOB(int, share_when_told)
{
    int in_time = 0;
    kit_count(&busy);
    spin_until(&may_share);
    kit_assert_code(weft_fork_run(NULL, &in_time, share_one), 0);
    return in_time;
}

WEFT_JOB(int, spin_until_shared)
{
    kit_count(&in_the_run);
    spin_until(&shared);
    return 0;
}

WEFT_TEST(a_stolen_child_lets_in_what_came_before_it, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    gate = kit_gate_new();
    weft_future *shares = weft_submit(ex, share_when_told);
    kit_await(&busy, 1);
    weft_future *parked = weft_submit(ex, go_on_after_the_gate);
    weft_future *spins = weft_submit(ex, spin_until_shared);
    kit_await(&in_the_run, 1); // where the other one is parked by now
    kit_gate_open(&gate);
    kit_count(&may_share);
    int in_time = 0;
    kit_assert_code(weft_result(shares, &in_time), 0);
    ck_assert_msg(in_time, "the parked job went on when the child had ended");
    kit_assert_code(weft_join(parked), 0);
    kit_assert_code(weft_join(spins), 0);
    kit_gate_free(&gate);
    weft_executor_close(ex);
}

WEFT_FORKABLE(long, sleepy, w, int, depth)
{
    if (depth == 0) {
        weft_sleep(0.0001);
        return 1;
    }
    weft_fork(w, sleepy, depth - 1);
    weft_fork(w, sleepy, depth - 1);
    long a = weft_join_child(w, sleepy);
    return a + weft_join_child(w, sleepy);
}

KIT_BOTH(bodies_may_block, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, sleepy, 8), 0);
    ck_assert_int_eq(out, 256);
    weft_executor_close(ex);
}

// Nesting ---------------------------------------------------------------------

WEFT_FORKABLE(long, nested, w, int, depth)
{
    long inner = 0, outer = 0;
    if (depth == 0)
        return 1;
    weft_fork(w, nested, depth - 1);
    kit_assert_code(weft_fork_run(NULL, &inner, nested, depth - 1), 0);
    outer = weft_join_child(w, nested);
    return inner + outer;
}

KIT_BOTH(a_run_inside_a_run_uses_the_same_workers, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, nested, 12), 0);
    ck_assert_int_eq(out, 4096);
    weft_executor_close(ex);
}

WEFT_JOB(long, fib_job, long, n)
{
    long out = -1;
    weft_fork_run(NULL, &out, fib, n);
    return out;
}

static void run_in_jobs(weft_executor *ex)
{
    enum { JOBS = 50 };
    weft_future *fs[JOBS];
    for (long i = 0; i < JOBS; i++)
        fs[i] = weft_submit(ex, fib_job, i % 20);
    for (long i = 0; i < JOBS; i++) {
        long out = 0, want = 0;
        kit_assert_code(weft_result(fs[i], &out), 0);
        for (long k = 0, b = 1; k < i % 20; k++) {
            long c = want + b;
            want = b;
            b = c;
        }
        ck_assert_int_eq(out, want);
    }
    weft_executor_close(ex);
}

KIT_BOTH(many_runs_at_once, .timeout = 60)
{
    run_in_jobs(weft_thread_pool(.workers = 1));
    run_in_jobs(weft_thread_pool(.workers = 4));
    run_in_jobs(weft_thread_pool(.blocking = true));
}

static weft_executor *windowed;
static uint64_t root_id;

WEFT_FORKABLE(int, note_id, w)
{
    (void)w;
    root_id = weft_current_id();
    return 0;
}

WEFT_JOB(int, run_on_own_pool)
{
    int rc = weft_fork_run(windowed, NULL, note_id);
    return rc < 0 ? rc : root_id == weft_current_id();
}

WEFT_TEST(a_run_on_the_own_pool_is_in_place_in_spite_of_a_window)
{
    int in_place = 0;
    windowed = weft_thread_pool(.workers = 2, .window = 1);
    kit_assert_code(
        weft_result(weft_submit(windowed, run_on_own_pool), &in_place), 0);
    ck_assert_int_eq(in_place, 1);
    kit_assert_code(weft_executor_close(windowed), 0);
}

KIT_BOTH(every_executor_of_threads_takes_a_run)
{
    weft_executor *ex = weft_thread_pool(.blocking = true);
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, fib, 12), 0);
    ck_assert_int_eq(out, 144);
    weft_executor_close(ex);
}

WEFT_TEST(a_pool_of_processes_refuses_it)
{
    weft_executor *ex = weft_process_pool(.workers = 1);
    long out = 5;
    kit_assert_code(weft_fork_run(ex, &out, fib, 12), -ENOTSUP);
    ck_assert_int_eq(out, 5);
    weft_executor_close(ex);
}

WEFT_TEST(a_closed_pool_refuses_it)
{
    weft_executor *ex = weft_thread_pool(.workers = 300, .stack_size = 1 << 30);
    kit_assert_code(weft_fork_run(ex, NULL, fib, 12), -EINVAL);
    weft_executor_close(ex);
}

// Depth -----------------------------------------------------------------------

WEFT_FORKABLE(long, deep, w, long, n)
{
    volatile char frame[400];
    if (n == 0)
        return 0;
    frame[n % 400] = (char)n;
    weft_fork(w, deep, n - 1);
    long below = weft_join_child(w, deep);
    return below + (frame[n % 400] == (char)n);
}

WEFT_FORKABLE(long, deep_calls, w, long, n)
{
    volatile char frame[100];
    if (n == 0)
        return 0;
    frame[n % 100] = (char)n;
    weft_fork(w, nothing);
    long below = deep_calls(w, n - 1);
    weft_join_child(w, nothing);
    return below + (frame[n % 100] == (char)n);
}

static void go_deep(weft_executor *ex)
{
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, deep, 17844), 0);
    ck_assert_int_eq(out, 17844);
    // More than half of the slots of a range, so that it needs another.
    kit_assert_code(weft_fork_run(ex, &out, deep_calls, 600000), 0);
    ck_assert_int_eq(out, 600000);
    weft_executor_close(ex);
}

KIT_BOTH(a_deep_recursion_goes_on_on_other_stacks, .timeout = 60)
{
    go_deep(weft_thread_pool(.workers = 1));
    go_deep(weft_thread_pool(.workers = 2));
}

WEFT_FORKABLE(int, too_many, w)
{
    for (long i = 0; i < 2000000; i++)
        weft_fork(w, nothing);
    return 0;
}

static void fork_too_many(void)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_fork_run(ex, NULL, too_many);
}

WEFT_TEST(too_many_children_abort, .timeout = 30)
{
    kit_assert_aborts(fork_too_many, "too many children");
}

// Cancel ----------------------------------------------------------------------

static int started;

WEFT_FORKABLE(long, endless, w, long, n)
{
    __atomic_store_n(&started, 1, __ATOMIC_RELEASE);
    if (n < 2)
        return n;
    weft_fork(w, endless, n - 1);
    long b = endless(w, n - 2);
    return weft_join_child(w, endless) + b;
}

KIT_BOTH(a_timeout_ends_a_run, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        long out = 3;
        {
            WEFT_TIMEOUT(0.02);
            kit_assert_code(weft_fork_run(ex, &out, endless, 90), -ETIMEDOUT);
        }
        ck_assert_int_eq(out, 3);
        kit_assert_code(weft_fork_run(ex, &out, fib, 10), 0);
        ck_assert_int_eq(out, 55);
        weft_executor_close(ex);
    }
}

// In place, where nobody else is that could ask for anything.
WEFT_JOB(int, endless_for_a_while)
{
    WEFT_TIMEOUT(0.02);
    return weft_fork_run(NULL, NULL, endless, 90);
}

WEFT_TEST(a_timeout_ends_a_run_in_place, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        weft_future *f[4];
        for (unsigned i = 0; i < n; i++)
            f[i] = weft_submit(ex, endless_for_a_while);
        for (unsigned i = 0; i < n; i++) {
            int out = 0;
            kit_assert_code(weft_result(f[i], &out), 0);
            ck_assert_int_eq(out, -ETIMEDOUT);
        }
        weft_executor_close(ex);
    }
}

WEFT_JOB(int, endless_job)
{
    return weft_fork_run(NULL, NULL, endless, 90);
}

KIT_BOTH(a_canceled_job_ends_its_run, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        int out = 0;
        started = 0;
        weft_future *f = weft_submit(ex, endless_job);
        kit_await(&started, 1);
        kit_assert_code(weft_cancel(f), 0);
        kit_assert_code(weft_result(f, &out), 0);
        ck_assert_int_eq(out, -ECANCELED);
        weft_executor_close(ex);
    }
}

WEFT_TEST(closing_a_pool_ends_its_runs, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 3);
    int out = 0;
    weft_future *f = weft_submit(ex, endless_job);
    kit_await(&started, 1);
    weft_executor_close(ex, .mode = WEFT_CLOSE_CANCEL_ALL);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, -ECANCELED);
}

WEFT_FORKABLE(int, loop_until_canceled, w)
{
    kit_count(&started);
    while (!weft_fork_canceled(w))
        sched_yield();
    return 1;
}

WEFT_JOB(int, loop_job)
{
    return weft_fork_run(NULL, NULL, loop_until_canceled);
}

WEFT_TEST(a_loop_may_ask_whether_it_is_canceled, .timeout = 30)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    int out = 0;
    weft_future *f = weft_submit(ex, loop_job);
    kit_await(&started, 1);
    weft_cancel(f);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, -ECANCELED);
    weft_executor_close(ex);
}

// Stress ----------------------------------------------------------------------

// A tree whose shape is that of a hash: small and large subtrees mixed.
WEFT_FORKABLE(long, tree, w, uint64_t, seed, int, depth)
{
    uint64_t x = (seed + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    int children = depth == 0 ? 0 : (int)((x ^ x >> 31) % 7);
    long sum = 1;
    x ^= x >> 27;
    for (int i = 0; i < children; i++)
        weft_fork(w, tree, x + (uint64_t)i, depth - 1);
    for (int i = 0; i < children; i++)
        sum += weft_join_child(w, tree);
    return sum;
}

static long tree_of_one(uint64_t seed, int depth)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    long out = 0;
    kit_assert_code(weft_fork_run(ex, &out, tree, seed, depth), 0);
    weft_executor_close(ex);
    return out;
}

WEFT_TEST(random_trees_have_the_same_size_everywhere, .timeout = 60)
{
    weft_executor *ex = weft_thread_pool(.workers = 5);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        long want = tree_of_one(seed, 9), out = 0;
        for (int turn = 0; turn < 3; turn++) {
            kit_assert_code(weft_fork_run(ex, &out, tree, seed, 9), 0);
            ck_assert_msg(out == want, "seed %lu: %ld nodes, not %ld",
                          (unsigned long)seed, out, want);
        }
    }
    weft_executor_close(ex);
}

WEFT_TEST_MAIN("fork_join")
