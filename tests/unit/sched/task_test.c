// SPDX-License-Identifier: MIT
// Tasks: their order, their fairness, their names, their stacks.
#include "kit.h"

#include <stdio.h>

// Order -----------------------------------------------------------------------

#define TASKS 100

static int order[TASKS * 20], logged;

static int log_once(void *arg)
{
    order[logged++] = (int)(intptr_t)arg;
    return 0;
}

static void start_logging(weft_future **fs)
{
    logged = 0;
    for (int i = 0; i < TASKS; i++)
        fs[i] = weft_task_start(log_once, kit_number(i));
}

static void check_order(void)
{
    ck_assert_int_eq(logged, TASKS);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(order[i], i);
}

KIT_TASK(tasks_begin_in_the_order_of_starting)
{
    weft_future *fs[TASKS];

    start_logging(fs);
    kit_assert_code(weft_gather_into(fs, TASKS, NULL, 0, NULL), 0);
    check_order();
}

// A join may run its own child first; the others keep their order.
KIT_TASK(a_join_of_the_last_may_run_it_first)
{
    weft_future *fs[TASKS];

    start_logging(fs);
    kit_assert_code(weft_join(fs[TASKS - 1]), 0);
    int first = logged;
    kit_assert_code(weft_gather_into(fs, TASKS - 1, NULL, 0, NULL), 0);
    ck_assert_int_eq(logged, TASKS);
    if (first == 1 && order[0] == TASKS - 1) {
        for (int i = 1; i < TASKS; i++)
            ck_assert_int_eq(order[i], i - 1);
    } else {
        check_order();
    }
}

KIT_TASK(nothing_begins_before_the_first_wait)
{
    weft_future *fs[TASKS];

    start_logging(fs);
    ck_assert_int_eq(logged, 0);
    for (int i = 0; i < TASKS; i++)
        ck_assert(!weft_done(fs[i]));
    ck_assert_int_eq(logged, 0);
    kit_assert_code(weft_gather_into(fs, TASKS, NULL, 0, NULL), 0);
}

// Fairness --------------------------------------------------------------------

static bool enough; // atomic

static int relay(void *arg)
{
    if (__atomic_load_n(&enough, __ATOMIC_ACQUIRE))
        return 0;
    weft_future *next = weft_task_start(relay, arg);
    int rc = weft_done(next) ? weft_future_code(next) : 0;
    weft_future_unref(next);
    return rc;
}

static int write_soon(void *arg)
{
    int rc = weft_sleep(0.001);
    ck_assert_int_eq(write((int)(intptr_t)arg, "x", 1), 1);
    return rc;
}

// Of tasks that never wait there is always a new one. Timers, other threads and
// descriptors have their turn all the same.
KIT_TASK(tasks_that_never_wait_hold_nobody_up)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    weft_future_unref(weft_task_start(relay, NULL));
    kit_assert_code(weft_sleep(0.001), 0);
    weft_future *f = weft_thread_start(write_soon, kit_number(fds[1]));
    kit_assert_code(weft_join(f), 0);
    f = weft_thread_start(write_soon, kit_number(fds[1]));
    char bytes[2];
    kit_assert_code((int)weft_read(fds[0], bytes, 1), 1);
    kit_assert_code((int)weft_read(fds[0], bytes, 1), 1);
    kit_assert_code(weft_join(f), 0);
    __atomic_store_n(&enough, true, __ATOMIC_RELEASE);
    weft_close(fds[0]);
    weft_close(fds[1]);
}

static weft_executor *pool;

WEFT_JOB_DECLARE(int, submit_the_next);

WEFT_JOB(int, submit_the_next)
{
    if (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE))
        weft_future_unref(weft_submit(pool, submit_the_next));
    return 0;
}

WEFT_JOB(int, nap)
{
    return weft_sleep(0.001);
}

WEFT_TEST(jobs_that_never_wait_hold_nobody_up)
{
    int rc = -1;

    pool = weft_thread_pool(.workers = 1);
    weft_future *f = weft_submit(pool, nap);
    weft_future_unref(weft_submit(pool, submit_the_next));
    kit_assert_code(weft_result(f, &rc), 0);
    kit_assert_code(rc, 0);
    __atomic_store_n(&enough, true, __ATOMIC_RELEASE);
    kit_assert_code(weft_executor_close(pool), 0);
}

// Eager -----------------------------------------------------------------------

static weft_future *start_eagerly(weft_function *fn, void *arg)
{
    return weft_task_start(fn, arg, .eager = true);
}

KIT_TASK(an_eager_task_begins_at_once)
{
    logged = 0;
    weft_future *later = weft_task_start(log_once, kit_number(2));
    weft_future *f = start_eagerly(log_once, kit_number(1));
    ck_assert_int_eq(logged, 1);
    ck_assert_int_eq(order[0], 1);
    ck_assert(weft_done(f));
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(later), 0);
}

static int log_twice(void *arg)
{
    log_once(arg);
    int rc = weft_yield();
    log_once(arg);
    errno = EDOM;
    return rc;
}

static int turns_of_others, others_may_end;

static int take_turns(void *arg)
{
    while (!others_may_end) {
        turns_of_others++;
        weft_yield();
    }
    return kit_return(arg);
}

// Up to the first wait; then its starter goes on, before those that were ready.
KIT_TASK(an_eager_task_lets_its_starter_go_on_when_it_waits)
{
    weft_future *others = weft_task_start(take_turns, NULL), *f;
    kit_await(&turns_of_others, 3);
    int before = turns_of_others;
    logged = 0;
    errno = ERANGE;
    f = start_eagerly(log_twice, kit_number(1));
    ck_assert_int_eq(errno, ERANGE);
    ck_assert_int_eq(logged, 1);
    ck_assert_int_eq(turns_of_others, before);
    ck_assert(!weft_done(f));
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(logged, 2);
    ck_assert_int_gt(turns_of_others, before);
    others_may_end = 1;
    kit_assert_code(weft_join(others), 0);
}

static weft_future *started_eagerly;

static void start_in_callback(weft_future *f, void *arg)
{
    (void)f;
    started_eagerly = start_eagerly(log_once, arg);
    ck_assert_int_eq(logged, 0);
}

static void start_in_cancel(void *arg)
{
    start_in_callback(NULL, arg);
}

// Whoever completes the future stays at it: others wait for that.
KIT_TASK(an_eager_task_does_not_begin_inside_a_callback)
{
    weft_promise *p = weft_promise_new();
    weft_future *f = weft_promise_future(p);
    logged = 0;
    ck_assert_int_eq(weft_future_on_done(f, start_in_callback, kit_number(1)),
                     0);
    kit_assert_code(weft_promise_keep(p, 0, NULL, 0, NULL), 0);
    kit_assert_code(weft_join(started_eagerly), 0);
    ck_assert_int_eq(logged, 1);
    kit_assert_code(weft_join(f), 0);
}

KIT_TASK(an_eager_task_does_not_begin_inside_a_cancel)
{
    weft_promise *p =
        weft_promise_new(.on_cancel = start_in_cancel, .arg = kit_number(1));
    weft_future *f = weft_promise_future(p);
    logged = 0;
    kit_assert_code(weft_cancel(f), 0);
    kit_assert_code(weft_join(started_eagerly), 0);
    ck_assert_int_eq(logged, 1);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    weft_promise_drop(p);
}

static int start_one_deeper(void *arg)
{
    long depth = (intptr_t)arg;
    if (depth == 0)
        return weft_yield();
    return weft_join(start_eagerly(start_one_deeper, kit_number(depth - 1)));
}

KIT_TASK(eager_tasks_start_eager_tasks, .timeout = 30)
{
    kit_assert_code(weft_join(start_eagerly(start_one_deeper, kit_number(500))),
                    0);
}

// How far apart the frames were in which this was called.
static uintptr_t lowest = UINTPTR_MAX, highest;

static int note_stack(void *arg)
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    lowest = frame < lowest ? frame : lowest;
    highest = frame > highest ? frame : highest;
    return arg != NULL ? weft_yield() : 0;
}

KIT_TASK(eager_tasks_reuse_their_stacks, .timeout = 30)
{
    int none = 0;
    weft_future *waiting = start_eagerly(kit_count_and_block, &none);
    for (int i = 0; i < 1000; i++) {
        weft_future *f = start_eagerly(note_stack, i % 2 ? &none : NULL);
        kit_assert_code(weft_join(f), 0);
    }
    ck_assert_uint_lt(highest - lowest, 8 * 256 * 1024);
    weft_cancel(waiting);
    kit_assert_code(weft_join(waiting), -WEFT_EJOBCANCELED);
}

KIT_TASK(an_eager_task_of_a_canceled_group_never_runs)
{
    int dropped = 0;
    weft_group *group = weft_group_open();
    weft_group_cancel(group);
    weft_future *f = weft_task_start(kit_never, &dropped, .eager = true,
                                     .drop = kit_count_drop);
    kit_assert_code(weft_future_code(f), -WEFT_EJOBCANCELED);
    weft_future_unref(f);
    ck_assert_int_eq(dropped, 1);
    weft_group_close(group);
}

static int wake_the_starter(void *arg)
{
    weft_unpark(arg);
    return weft_yield();
}

KIT_TASK(an_eager_task_can_wake_its_starter)
{
    weft_future *f = start_eagerly(wake_the_starter, weft_self());
    kit_assert_code(weft_park(INFINITY), 0);
    kit_assert_code(weft_join(f), 0);
}

WEFT_TEST(eager_from_a_thread_is_as_without)
{
    int ran = 0;
    kit_assert_code(weft_join(start_eagerly(kit_count, &ran)), 0);
    ck_assert_int_eq(ran, 1);
}

static int start_many_eagerly(void *arg)
{
    int ran = 0;
    WEFT_GROUP(group, NULL);
    for (int i = 0; i < 1000; i++) {
        int before = i;
        weft_future_unref(weft_task_start(kit_count, &ran, .eager = true));
        ck_assert_int_eq(ran, before + 1);
    }
    return kit_return(arg);
}

WEFT_TEST(eager_tasks_of_a_run_of_several_workers, .timeout = 20)
{
    kit_assert_code(weft_run(start_many_eagerly, NULL, .workers = 3), 0);
}

#define ROUNDS 10

static int started, go;

static int log_rounds(void *arg)
{
    kit_count(&started);
    while (!go)
        weft_yield();
    for (int i = 0; i < ROUNDS; i++) {
        order[logged++] = (int)(intptr_t)arg;
        weft_yield();
    }
    return 0;
}

// In whichever order they came to be ready, they keep it from turn to turn.
KIT_TASK(ready_tasks_take_turns)
{
    weft_future *fs[TASKS];

    for (int i = 0; i < TASKS; i++)
        fs[i] = weft_task_start(log_rounds, kit_number(i));
    kit_await(&started, TASKS);
    go = 1;
    kit_assert_code(weft_gather_into(fs, TASKS, NULL, 0, NULL), 0);
    ck_assert_int_eq(logged, TASKS * ROUNDS);
    for (int i = TASKS; i < logged; i++)
        ck_assert_int_eq(order[i], order[i - TASKS]);
}

static weft_waiter *parked[TASKS];

static int park_and_log(void *arg)
{
    int me = (int)(intptr_t)arg;

    parked[me] = weft_self();
    kit_count(&started);
    while (!go)
        weft_park(INFINITY);
    order[logged++] = me;
    return 0;
}

KIT_TASK(woken_tasks_go_on_in_the_order_of_waking)
{
    weft_future *fs[TASKS];

    for (int i = 0; i < TASKS; i++)
        fs[i] = weft_task_start(park_and_log, kit_number(i));
    kit_await(&started, TASKS);
    go = 1;
    for (int i = 0; i < TASKS; i++)
        weft_unpark(parked[(i * 7) % TASKS]);
    kit_assert_code(weft_gather_into(fs, TASKS, NULL, 0, NULL), 0);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(order[i], (i * 7) % TASKS);
}

// Fairness: each of these hangs where a yielding task starves others ----------

static int flag;

static int spin_until_flag(void *arg)
{
    kit_count(arg);
    while (!flag)
        kit_assert_code(weft_yield(), 0);
    return 0;
}

static int set_flag(void *arg)
{
    (void)arg;
    flag = 1;
    return 0;
}

KIT_TASK(a_spinner_does_not_starve_a_new_task)
{
    flag = 0;
    weft_future_unref(weft_task_start(set_flag, NULL));
    while (!flag)
        kit_assert_code(weft_yield(), 0);
}

KIT_TASK(many_spinners_do_not_starve_a_new_task)
{
    weft_future *fs[10];
    int spinning = 0;

    for (int i = 0; i < 10; i++)
        fs[i] = weft_task_start(spin_until_flag, &spinning);
    kit_await(&spinning, 10);
    weft_future *last = weft_task_start(set_flag, NULL);
    kit_assert_code(weft_gather_into(fs, 10, NULL, 0, NULL), 0);
    kit_assert_code(weft_join(last), 0);
}

enum { NEWCOMERS = 610, BUSY = 10 };

struct half_share {
    int spinning, arrived, turns; // turns: of the busy ones meanwhile
};

static int stay_busy(void *arg)
{
    struct half_share *share = arg;

    kit_count(&share->spinning);
    while (share->arrived < NEWCOMERS) {
        kit_assert_code(weft_yield(), 0);
        share->turns++;
    }
    return 0;
}

static int arrive(void *arg)
{
    kit_count(&((struct half_share *)arg)->arrived);
    return 0;
}

// As many of those that come have their first turn as others have another one:
// whoever connects to a busy server is answered about as soon as the rest.
KIT_TASK(new_tasks_have_as_many_turns_as_busy_ones)
{
    weft_future *busy[BUSY], *fs[NEWCOMERS];
    struct half_share share = {0};

    for (int i = 0; i < BUSY; i++)
        busy[i] = weft_task_start(stay_busy, &share);
    kit_await(&share.spinning, BUSY);
    share.turns = 0;
    for (int i = 0; i < NEWCOMERS; i++)
        fs[i] = weft_task_start(arrive, &share);
    kit_assert_code(weft_gather_into(busy, BUSY, NULL, 0, NULL), 0);
    ck_assert_int_le(share.turns, 2 * NEWCOMERS);
    ck_assert_int_ge(share.turns, NEWCOMERS / 2);
    kit_assert_code(weft_gather_into(fs, NEWCOMERS, NULL, 0, NULL), 0);
}

static int set_flag_later(void *arg)
{
    int rc = weft_sleep(0.001);
    (void)arg;
    flag = 1;
    return rc;
}

KIT_TASK(spinners_do_not_starve_a_timer)
{
    int spinning = 0;
    weft_future *sleeper = weft_task_start(set_flag_later, NULL);
    weft_future *a = weft_task_start(spin_until_flag, &spinning);
    weft_future *b = weft_task_start(spin_until_flag, &spinning);

    kit_assert_code(weft_join(a), 0);
    kit_assert_code(weft_join(b), 0);
    kit_assert_code(weft_join(sleeper), 0);
}

static int set_flag_when_readable(void *arg)
{
    char c;
    ssize_t n = weft_read(*(int *)arg, &c, 1);
    flag = 1;
    return n == 1 ? 0 : -EIO;
}

static int write_byte(void *arg)
{
    return write(*(int *)arg, "x", 1) == 1 ? 0 : -EIO;
}

KIT_TASK(spinners_do_not_starve_a_descriptor)
{
    int fds[2], spinning = 0;

    ck_assert_int_eq(pipe(fds), 0);
    weft_future *reader = weft_task_start(set_flag_when_readable, &fds[0]);
    weft_future *a = weft_task_start(spin_until_flag, &spinning);
    weft_future *b = weft_task_start(spin_until_flag, &spinning);
    kit_await(&spinning, 2);
    weft_future *writer = weft_thread_start(write_byte, &fds[1]);
    kit_assert_code(weft_join(a), 0);
    kit_assert_code(weft_join(b), 0);
    kit_assert_code(weft_join(reader), 0);
    kit_assert_code(weft_join(writer), 0);
    weft_close(fds[0]);
    weft_close(fds[1]);
}

static int set_flag_thread(void *arg)
{
    kit_count(arg);
    flag = 1;
    return 0;
}

static int spin_on_thread(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&flag, __ATOMIC_SEQ_CST))
        kit_assert_code(weft_yield(), 0);
    return 0;
}

// A task started from another thread comes in while this one only yields.
static int start_from_outside(void *arg)
{
    int runs = 0;
    return weft_join(weft_task_start(set_flag_thread, &runs, .group = arg));
}

KIT_TASK(spinners_do_not_starve_what_comes_from_outside)
{
    weft_group *g = weft_group_open();
    weft_future *spinner = weft_task_start(spin_on_thread, NULL);
    weft_future *thread = weft_thread_start(start_from_outside, g);

    kit_assert_code(weft_join(spinner), 0);
    kit_assert_code(weft_join(thread), 0);
    kit_assert_code(weft_group_close(g), 0);
}

// Names and ids ---------------------------------------------------------------

static int check_name(void *arg)
{
    char name[64], cut[4];

    ck_assert_uint_eq(weft_current_name(name, sizeof name), strlen(arg));
    ck_assert_str_eq(name, arg);
    ck_assert_uint_eq(weft_current_name(cut, sizeof cut), strlen(arg));
    ck_assert_uint_le(strlen(cut), 3);
    ck_assert_int_eq(strncmp(cut, arg, strlen(cut)), 0);
    return 0;
}

KIT_BOTH(a_task_has_the_name_it_was_given)
{
    char name[] = "worker bee";
    weft_future *f = weft_task_start(check_name, "worker bee", .name = name);

    memset(name, 'x', sizeof name - 1); // it was copied
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(weft_task_start(check_name, "")), 0);
    kit_assert_code(weft_join(weft_task_start(
                        check_name, "0123456789012345678901234567890",
                        .name = "01234567890123456789012345678901234567")),
                    0);
}

static int check_main_name(void *arg)
{
    return check_name(arg);
}

WEFT_TEST(the_main_task_has_the_name_of_its_run)
{
    kit_assert_code(weft_run(check_main_name, "captain", .name = "captain"), 0);
}

// Cancel before the start -----------------------------------------------------

KIT_TASK(a_canceled_task_that_has_not_started_is_done_at_once)
{
    int drops = 0;
    weft_future *f = weft_task_start(kit_never, &drops, .drop = kit_count_drop);

    kit_assert_code(weft_cancel(f), 0);
    ck_assert(weft_done(f));
    ck_assert_int_eq(drops, 1);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    kit_assert_code(weft_yield(), 0);
    ck_assert_int_eq(drops, 1);
}

KIT_TASK(drop_is_not_called_for_what_ran)
{
    int drops = 0;
    weft_future *f =
        weft_task_start(kit_return, kit_number(3), .drop = kit_count_drop);

    kit_assert_code(weft_join(f), 3);
    ck_assert_int_eq(drops, 0);
}

KIT_TASK(every_second_of_many_is_canceled)
{
    static weft_future *fs[1000];
    int runs = 0, drops = 0;

    for (int i = 0; i < 1000; i++)
        fs[i] = i % 2
                    ? weft_task_start(kit_never, &drops, .drop = kit_count_drop)
                    : weft_task_start(kit_count, &runs);
    for (int i = 1; i < 1000; i += 2)
        kit_assert_code(weft_cancel(fs[i]), 0);
    for (int i = 0; i < 1000; i++)
        kit_assert_code(weft_join(fs[i]), i % 2 ? -WEFT_EJOBCANCELED : 0);
    ck_assert_int_eq(runs, 500);
    ck_assert_int_eq(drops, 500);
}

// Many ------------------------------------------------------------------------

#define CROWD (KIT_SANITIZED ? 2000 : 10000)

KIT_BOTH(ten_thousand_tasks_that_wait, .timeout = 60)
{
    static weft_future *fs[10000];
    struct kit_gate gate = kit_gate_new();

    for (int i = 0; i < CROWD; i++)
        fs[i] = weft_task_start(kit_wait_at_gate, &gate);
    weft_future *last = weft_task_start(kit_return, kit_number(1));
    kit_assert_code(weft_join(last), 1);
    kit_gate_open(&gate);
    kit_assert_code(weft_gather_into(fs, CROWD, NULL, 0, NULL), 0);
    kit_gate_free(&gate);
}

static int yield_often(void *arg)
{
    for (int i = 0; i < 20; i++)
        kit_assert_code(weft_yield(), 0);
    return kit_count(arg);
}

KIT_TASK(ten_thousand_tasks_that_yield, .timeout = 60)
{
    int done = 0, rc;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < CROWD; i++)
            weft_future_unref(weft_task_start(yield_often, &done));
    }
    kit_assert_code(rc, 0);
    ck_assert_int_eq(done, CROWD);
}

static int start_the_next(void *arg)
{
    int left = (int)(intptr_t)arg;
    weft_future *f;

    if (left == 0)
        return 0;
    f = weft_task_start(start_the_next, kit_number(left - 1));
    return weft_join(f);
}

KIT_TASK(a_chain_of_a_thousand_joins, .timeout = 30)
{
    kit_assert_code(
        weft_join(weft_task_start(start_the_next, kit_number(1000))), 0);
}

// Stacks ----------------------------------------------------------------------

// Recurses until `bytes` of the stack are in use, waits there, and counts the
// frames again on the way back.
static __attribute__((noinline)) int recurse(char *top, size_t bytes)
{
    volatile char frame[512];
    char *here = __builtin_frame_address(0);

    memset((char *)frame, 0x5a, sizeof frame);
    if ((size_t)(top - here) >= bytes) {
        kit_assert_code(weft_yield(), 0);
        return 0;
    }
    int depth = recurse(top, bytes) + 1;
    for (size_t i = 0; i < sizeof frame; i++)
        if (frame[i] != 0x5a)
            ck_abort_msg("a stack frame was written to");
    return depth;
}

static int go_deep(void *arg)
{
    int depth = recurse(__builtin_frame_address(0), (size_t)arg);
    return depth > 0 ? 0 : -EIO;
}

KIT_BOTH(deep_recursion_in_many_tasks, .timeout = 20)
{
    weft_future *fs[20];

    for (int i = 0; i < 20; i++)
        fs[i] = weft_task_start(go_deep, (void *)(200 * 1024ul));
    kit_assert_code(weft_gather_into(fs, 20, NULL, 0, NULL), 0);
}

static int go_deep_in_a_child(void *arg)
{
    return weft_join(weft_task_start(go_deep, arg));
}

static __attribute__((noinline)) int recurse_then_join(char *top, size_t bytes)
{
    volatile char frame[512];
    char *here = __builtin_frame_address(0);

    memset((char *)frame, 0, sizeof frame);
    if ((size_t)(top - here) >= bytes)
        return go_deep_in_a_child((void *)bytes);
    return recurse_then_join(top, bytes) + frame[0];
}

static int join_from_the_deep(void *arg)
{
    return recurse_then_join(__builtin_frame_address(0), (size_t)arg);
}

// A child that runs inside its parent's join has no less room than another.
KIT_TASK(a_child_joined_from_the_deep_has_a_whole_stack)
{
    kit_assert_code(
        weft_join(weft_task_start(join_from_the_deep, (void *)(160 * 1024ul))),
        0);
}

static int deep_in_a_large_stack(void *arg)
{
    weft_future *fs[4];

    for (int i = 0; i < 4; i++)
        fs[i] = weft_task_start(go_deep, arg);
    return weft_gather_into(fs, 4, NULL, 0, NULL);
}

WEFT_TEST(the_stack_size_of_a_run_is_obeyed)
{
    kit_assert_code(weft_run(deep_in_a_large_stack, (void *)(1900 * 1024ul),
                             .stack_size = 2048 * 1024),
                    0);
}

static int large_frame(void *arg)
{
    char text[64 * 1024];

    snprintf(text, sizeof text, "%0*d", (int)sizeof text - 1, 7);
    kit_assert_code(weft_yield(), 0);
    ck_assert_uint_eq(strlen(text), sizeof text - 1);
    return kit_count(arg);
}

KIT_BOTH(large_frames_keep_their_contents)
{
    int done = 0, rc;
    {
        WEFT_GROUP(g, &rc);
        for (int i = 0; i < 100; i++)
            weft_future_unref(weft_task_start(large_frame, &done));
    }
    kit_assert_code(rc, 0);
    ck_assert_int_eq(done, 100);
}

static int use_doubles(void *arg)
{
    double x = (double)(intptr_t)arg, sum = 0;

    for (int i = 1; i <= 50; i++) {
        sum += x / i;
        weft_yield();
        sum -= x / i;
    }
    return sum < 1e-6 && sum > -1e-6 ? 0 : -EIO;
}

KIT_TASK(registers_survive_a_switch)
{
    weft_future *fs[50];

    for (int i = 0; i < 50; i++)
        fs[i] = weft_task_start(use_doubles, kit_number(i + 1));
    kit_assert_code(weft_gather_into(fs, 50, NULL, 0, NULL), 0);
}

WEFT_TEST_MAIN("task")
