// SPDX-License-Identifier: MIT
// Waiting for many: weft_wait, weft_as_completed, weft_gather.
#include "kit.h"

#define N 12

static struct kit_gate gates[N];
static weft_future *set[N];

// A mixture: tasks, threads and promises that end when their gate opens.
static void start_set(void)
{
    for (int i = 0; i < N; i++) {
        gates[i] = kit_gate_new();
        if (i % 3 == 0)
            set[i] = weft_task_start(kit_wait_at_gate, &gates[i]);
        else if (i % 3 == 1)
            set[i] = weft_thread_start(kit_wait_at_gate, &gates[i]);
        else
            set[i] = weft_future_ref(gates[i].future);
    }
}

static void end_set(void)
{
    for (int i = 0; i < N; i++) {
        if (gates[i].promise)
            kit_gate_open(&gates[i]);
        weft_join(set[i]);
        kit_gate_free(&gates[i]);
    }
}

// weft_wait -------------------------------------------------------------------

KIT_BOTH(a_timeout_of_zero_only_looks)
{
    start_set();
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, 0), 0);
    ck_assert_int_eq(weft_wait(set, N, WEFT_FIRST_COMPLETED, 0), 0);
    kit_gate_open(&gates[2]);
    kit_gate_open(&gates[5]);
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, 0), 2);
    ck_assert_int_eq(weft_wait(set, N, WEFT_FIRST_COMPLETED, 0), 2);
    end_set();
}

KIT_BOTH(there_are_three_modes)
{
    start_set();
    ck_assert_int_eq(weft_wait(set, N, (enum weft_wait_mode)3, 0), -EINVAL);
    ck_assert_int_eq(weft_wait(NULL, 0, (enum weft_wait_mode)3, 0), -EINVAL);
    end_set();
}

KIT_BOTH(a_time_limit_is_an_answer_not_an_error)
{
    start_set();
    double before = weft_now();
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, 0.02), 0);
    ck_assert(weft_now() - before >= 0.02);
    kit_gate_open(&gates[8]);
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, 0.001), 1);
    ck_assert_int_eq(weft_wait(set, N, WEFT_FIRST_FAILED, 0.001), 1);
    end_set();
}

KIT_BOTH(all_completed_waits_for_the_last)
{
    start_set();
    for (int i = N - 1; i > 0; i--)
        kit_gate_open(&gates[i]);
    ck_assert_int_lt(weft_wait(set, N, WEFT_ALL_COMPLETED, 0.001), N);
    kit_gate_open(&gates[0]);
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, INFINITY), N);
    end_set();
}

static int open_later(void *arg)
{
    int rc = weft_sleep(0.002);
    kit_gate_open(arg);
    return rc;
}

static void first_of(int i)
{
    weft_future *opener = weft_task_start(open_later, &gates[i]);

    ck_assert_int_eq(weft_wait(set, N, WEFT_FIRST_COMPLETED, INFINITY), 1);
    ck_assert(weft_done(set[i]));
    kit_assert_code(weft_join(opener), 0);
}

KIT_BOTH(first_completed_returns_at_the_first)
{
    for (int i = 0; i < 3; i++) {
        start_set();
        first_of(i);
        end_set();
    }
}

KIT_BOTH(first_failed_goes_past_what_ended_well)
{
    start_set();
    for (int i = 0; i < N - 1; i++)
        kit_gate_open(&gates[i]);
    ck_assert_int_eq(weft_wait(set, N - 1, WEFT_FIRST_FAILED, INFINITY), N - 1);
    weft_promise_keep(gates[N - 1].promise, -EIO, NULL, 0, NULL);
    gates[N - 1].promise = NULL;
    ck_assert_int_eq(weft_wait(set, N, WEFT_FIRST_FAILED, INFINITY), N);
    end_set();
}

KIT_BOTH(first_failed_returns_at_the_failure)
{
    start_set();
    weft_promise_keep(gates[5].promise, -EIO, NULL, 0, NULL);
    gates[5].promise = NULL;
    ck_assert_int_ge(weft_wait(set, N, WEFT_FIRST_FAILED, INFINITY), 1);
    ck_assert(!weft_done(set[0]));
    end_set();
}

// Not so in Python, where a cancel is no exception.
KIT_BOTH(first_failed_returns_at_a_cancel)
{
    start_set();
    kit_assert_code(weft_cancel(set[5]), 0);
    ck_assert_int_ge(weft_wait(set, N, WEFT_FIRST_FAILED, INFINITY), 1);
    ck_assert(!weft_done(set[0]));
    end_set();
}

KIT_BOTH(an_empty_set_is_done)
{
    ck_assert_int_eq(weft_wait(NULL, 0, WEFT_ALL_COMPLETED, INFINITY), 0);
    ck_assert_int_eq(weft_gather_into(NULL, 0, NULL, 0, NULL), 0);
}

KIT_BOTH(the_same_future_may_stand_twice_in_a_set)
{
    weft_future *f = weft_task_start(kit_return, kit_number(2));
    weft_future *twice[] = {f, f};

    ck_assert_int_eq(weft_wait(twice, 2, WEFT_ALL_COMPLETED, INFINITY), 2);
    kit_assert_code(weft_join(f), 2);
}

KIT_BOTH(the_handles_of_a_wait_stay_the_callers)
{
    weft_future *f = weft_task_start(kit_return, kit_number(2));

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(weft_wait(&f, 1, WEFT_ALL_COMPLETED, INFINITY), 1);
    kit_assert_code(weft_join(f), 2);
}

// weft_as_completed -----------------------------------------------------------

KIT_BOTH(as_completed_gives_the_order_of_ending)
{
    static const int order[] = {5, 2, 11, 8};
    weft_as_completed *it;

    start_set();
    it = weft_as_completed_open(set, N);
    for (int i = 0; i < 4; i++) {
        kit_gate_open(&gates[order[i]]);
        ck_assert_int_eq(weft_as_completed_next(it), order[i]);
    }
    weft_as_completed_close(it);
    end_set();
}

struct closing {
    weft_as_completed *it;
    int closed;
};

static void close_iterator(weft_future *f, void *arg)
{
    struct closing *c = arg;

    (void)f;
    weft_as_completed_close(c->it);
    c->closed++;
}

// The callback comes first in the list of the future, the iterator's place
// behind it.
KIT_BOTH(as_completed_is_closed_by_a_callback)
{
    struct kit_gate first = kit_gate_new(), other = kit_gate_new();
    weft_future *both[] = {first.future, other.future};
    struct closing c = {.closed = 0};

    ck_assert_int_eq(weft_future_on_done(first.future, close_iterator, &c), 0);
    c.it = weft_as_completed_open(both, 2);
    ck_assert_int_eq(weft_as_completed_add(c.it, first.future), 2);
    kit_gate_open(&first);
    ck_assert_int_eq(c.closed, 1);
    kit_gate_open(&other);
    kit_gate_free(&first);
    kit_gate_free(&other);
}

// What was returned is needed no more: it may be joined at once.
KIT_BOTH(as_completed_lets_go_of_what_it_returned)
{
    weft_future *set[2 * N];
    ssize_t i;
    long sum = 0;

    for (int k = 0; k < N; k++)
        set[k] = weft_task_start(kit_return, kit_number(k));
    weft_as_completed *it = weft_as_completed_open(set, N);
    for (int k = N; k < 2 * N; k++) {
        set[k] = weft_task_start(kit_return, kit_number(k));
        ck_assert_int_eq(weft_as_completed_add(it, set[k]), k);
    }
    while ((i = weft_as_completed_next(it)) >= 0) {
        kit_assert_code(weft_join(set[i]), i);
        sum += i;
        // in its memory, perhaps
        weft_future *other = weft_task_start(kit_return, NULL);
        kit_assert_code(weft_join(other), 0);
    }
    kit_assert_code(i, -ENOENT);
    weft_as_completed_close(it);
    ck_assert_int_eq(sum, N * (2 * N - 1));
}

KIT_BOTH(as_completed_gives_each_once)
{
    int seen[N] = {0};
    weft_as_completed *it;

    start_set();
    it = weft_as_completed_open(set, N);
    for (int i = 0; i < N; i++)
        kit_gate_open(&gates[i]);
    for (int i = 0; i < N; i++) {
        ssize_t k = weft_as_completed_next(it);
        ck_assert_int_ge(k, 0);
        ck_assert_int_lt(k, N);
        ck_assert(weft_done(set[k]));
        ck_assert_int_eq(seen[k]++, 0);
    }
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
    end_set();
}

KIT_BOTH(as_completed_of_what_is_done_already)
{
    weft_as_completed *it;

    start_set();
    for (int i = 0; i < N; i++)
        kit_gate_open(&gates[i]);
    ck_assert_int_eq(weft_wait(set, N, WEFT_ALL_COMPLETED, INFINITY), N);
    it = weft_as_completed_open(set, N);
    for (int i = 0; i < N; i++)
        ck_assert_int_ge(weft_as_completed_next(it), 0);
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
    end_set();
}

KIT_BOTH(as_completed_of_nothing)
{
    weft_as_completed *it = weft_as_completed_open(NULL, 0);

    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
}

KIT_BOTH(as_completed_may_be_closed_early)
{
    weft_as_completed *it;

    start_set();
    it = weft_as_completed_open(set, N);
    kit_gate_open(&gates[2]);
    ck_assert_int_eq(weft_as_completed_next(it), 2);
    weft_as_completed_close(it);
    end_set();
}

KIT_BOTH(a_deadline_ends_the_wait_for_the_next)
{
    weft_as_completed *it;

    start_set();
    it = weft_as_completed_open(set, N);
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_as_completed_next(it), -ETIMEDOUT);
    }
    kit_gate_open(&gates[8]);
    ck_assert_int_eq(weft_as_completed_next(it), 8);
    weft_as_completed_close(it);
    end_set();
}

KIT_BOTH(as_completed_takes_more_meanwhile)
{
    start_set();
    weft_as_completed *it = weft_as_completed_open(set, 2);
    for (int i = 2; i < N; i++)
        ck_assert_int_eq(weft_as_completed_add(it, set[i]), i);
    for (int i = N - 1; i >= 0; i--) { // the last one first
        kit_gate_open(&gates[i]);
        ck_assert_int_eq(weft_as_completed_next(it), i);
    }
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    ck_assert_int_eq(weft_as_completed_add(it, set[3]), N); // done already
    ck_assert_int_eq(weft_as_completed_next(it), N);
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
    end_set();
}

KIT_BOTH(as_completed_is_closed_with_what_was_added)
{
    start_set();
    weft_as_completed *it = weft_as_completed_open(NULL, 0);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(weft_as_completed_add(it, set[i]), i);
    kit_gate_open(&gates[1]);
    ck_assert_int_eq(weft_as_completed_next(it), 1);
    kit_gate_open(&gates[5]);
    weft_as_completed_close(it);
    end_set();
}

WEFT_JOB(long, add_one, long, x)
{
    return x + 1;
}

// As a crawler does it: what comes back says what is next. The handle of what
// was returned is given back at once.
KIT_BOTH(as_completed_goes_on_as_long_as_there_is_more, .timeout = 30)
{
    enum { LANES = 10, ROUNDS = 200 };
    static weft_future *fs[LANES * ROUNDS];
    weft_executor *ex = weft_thread_pool(.workers = 2);
    weft_as_completed *it = weft_as_completed_open(NULL, 0);
    ssize_t i, last = 0;
    long sum = 0;
    for (; last < LANES; last++) {
        fs[last] = weft_submit(ex, add_one, 0);
        ck_assert_int_eq(weft_as_completed_add(it, fs[last]), last);
    }
    while ((i = weft_as_completed_next(it)) >= 0) {
        long x = 0;
        kit_assert_code(weft_result(fs[i], &x), 0);
        if (x == ROUNDS) {
            sum += x;
            continue;
        }
        fs[last] = weft_submit(ex, add_one, x);
        ck_assert_int_eq(weft_as_completed_add(it, fs[last]), last);
        last++;
    }
    kit_assert_code(i, -ENOENT);
    ck_assert_int_eq(last, LANES * ROUNDS);
    ck_assert_int_eq(sum, LANES * ROUNDS);
    weft_as_completed_close(it);
    kit_assert_code(weft_executor_close(ex), 0);
}

// weft_gather -----------------------------------------------------------------

static weft_future *promised(long value, int code)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);

    weft_promise_keep(p, code, &value, code < 0 ? 0 : sizeof value, NULL);
    return f;
}

KIT_BOTH(gather_gives_the_results_in_the_order_of_the_set)
{
    weft_future *fs[4];
    long out[4] = {0};

    for (int i = 0; i < 4; i++)
        fs[i] = promised(10 * i, 0);
    kit_assert_code(weft_gather(fs, 4, out), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(out[i], 10 * i);
}

KIT_BOTH(gather_returns_the_first_failure_in_the_order_of_the_set)
{
    weft_future *fs[] = {promised(1, 0), promised(0, -EIO), promised(3, 0),
                         promised(0, -EPIPE)};
    long out[4] = {-1, -2, -3, -4};
    int codes[4] = {99, 99, 99, 99};

    kit_assert_code(weft_gather_into(fs, 4, out, sizeof *out, codes), -EIO);
    ck_assert_int_eq(out[0], 1);
    ck_assert_int_eq(out[1], -2);
    ck_assert_int_eq(out[2], 3);
    ck_assert_int_eq(out[3], -4);
    kit_assert_code(codes[0], 0);
    kit_assert_code(codes[1], -EIO);
    kit_assert_code(codes[2], 0);
    kit_assert_code(codes[3], -EPIPE);
}

KIT_BOTH(gather_over_all_kinds)
{
    int codes[N];

    start_set();
    weft_future *opener[N];
    for (int i = 0; i < N; i++)
        opener[i] = weft_task_start(open_later, &gates[i]);
    kit_assert_code(weft_gather_into(set, N, NULL, 0, codes), 0);
    kit_assert_code(weft_gather_into(opener, N, NULL, 0, NULL), 0);
    for (int i = 0; i < N; i++) {
        kit_assert_code(codes[i], 0);
        kit_gate_free(&gates[i]);
    }
}

KIT_BOTH(a_deadline_on_gather_cancels_all)
{
    weft_future *fs[3], *kept[3];

    for (int i = 0; i < 3; i++) {
        fs[i] = weft_task_start(kit_block, NULL);
        kept[i] = weft_future_ref(fs[i]);
    }
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_gather_into(fs, 3, NULL, 0, NULL), -ETIMEDOUT);
    }
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(kept[i]), -WEFT_EJOBCANCELED);
}

// Large sets ------------------------------------------------------------------

#define MANY 2000

KIT_BOTH(thousands_at_once, .timeout = 20)
{
    static weft_future *many[MANY];
    int runs = 0;

    for (int i = 0; i < MANY; i++)
        many[i] = weft_task_start(kit_count, &runs);
    weft_as_completed *it = weft_as_completed_open(many, MANY);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_ge(weft_as_completed_next(it), 0);
    kit_assert_code(weft_as_completed_next(it), -ENOENT);
    weft_as_completed_close(it);
    ck_assert_int_eq(weft_wait(many, MANY, WEFT_ALL_COMPLETED, 0), MANY);
    kit_assert_code(weft_gather_into(many, MANY, NULL, 0, NULL), 0);
    ck_assert_int_eq(runs, MANY);
}

// So many that a step whose cost grows with those that are left would take
// hours: an end, a next and a place in a set cost the same, however many wait.
enum { VERY_MANY = KIT_SANITIZED ? 30000 : 300000 };
static weft_promise *promises[VERY_MANY];
static weft_future *pending[VERY_MANY];

static void promise_very_many(void)
{
    for (int i = 0; i < VERY_MANY; i++) {
        promises[i] = weft_promise_new();
        pending[i] = weft_promise_future(promises[i]);
    }
}

// Neither the first nor the last of those that are left; each once, since the
// step has no factor in common with their number.
static int scattered(int i)
{
    return (int)((long)i * 77777 % VERY_MANY);
}

static int keep_very_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < VERY_MANY; i++)
        weft_promise_keep(promises[scattered(i)], 0, NULL, 0, NULL);
    return 0;
}

KIT_TASK(each_end_of_very_many_costs_the_same, .timeout = 60)
{
    promise_very_many();
    weft_as_completed *it = weft_as_completed_open(pending, VERY_MANY);
    for (int i = 0; i < VERY_MANY; i++) {
        weft_promise_keep(promises[scattered(i)], 0, NULL, 0, NULL);
        ck_assert_int_eq(weft_as_completed_next(it), scattered(i));
    }
    weft_as_completed_close(it);
    kit_assert_code(weft_gather_into(pending, VERY_MANY, NULL, 0, NULL), 0);
}

KIT_TASK(a_wait_for_very_many, .timeout = 60)
{
    promise_very_many();
    weft_future *keeper = weft_thread_start(keep_very_many, NULL);
    ck_assert_int_eq(
        weft_wait(pending, VERY_MANY, WEFT_ALL_COMPLETED, INFINITY), VERY_MANY);
    kit_assert_code(weft_join(keeper), 0);
    kit_assert_code(weft_gather_into(pending, VERY_MANY, NULL, 0, NULL), 0);
}

// Misuse ----------------------------------------------------------------------

static void wait_for_nobody(void)
{
    weft_future *futures[2] = {weft_task_start(kit_return, NULL), NULL};
    weft_wait(futures, 2, WEFT_FIRST_COMPLETED, 0);
}

static void gather_nobody(void)
{
    weft_future *futures[2] = {weft_task_start(kit_return, NULL), NULL};
    weft_gather_into(futures, 2, NULL, 0, NULL);
}

static void iterate_over_nobody(void)
{
    weft_future *futures[2] = {weft_task_start(kit_return, NULL), NULL};
    weft_as_completed_close(weft_as_completed_open(futures, 2));
}

WEFT_TEST(a_set_without_a_future_in_it_aborts)
{
    kit_assert_aborts(wait_for_nobody, "weft_wait");
    kit_assert_aborts(wait_for_nobody, "a future of the set must not be NULL");
    kit_assert_aborts(gather_nobody, "a future of the set must not be NULL");
    kit_assert_aborts(iterate_over_nobody,
                      "a future of the set must not be NULL");
}

WEFT_TEST_MAIN("wait")
