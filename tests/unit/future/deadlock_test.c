// SPDX-License-Identifier: MIT
// Waits that close a cycle: exactly one of them is told, the others end.
#include "graph.h"
#include "kit.h"

#include <stdio.h>

static void check_cycles(const char *program, int cycles,
                         const struct graph_setting *setting)
{
    struct graph_result r = graph_run(program, setting);

    ck_assert_msg(r.deadlocks == cycles, "%s: %d waits were told, not %d",
                  program, r.deadlocks, cycles);
    ck_assert_msg(r.ended == r.nodes, "%s: %d of %d nodes ended", program,
                  r.ended, r.nodes);
}

// The examples in the documentation of Python's ThreadPoolExecutor ------------

static weft_executor *pool;
static weft_future *futures[2];
static int answers[2];

// def wait_on_b(): time.sleep(5); print(b.result()); return 5
// def wait_on_a(): time.sleep(5); print(a.result()); return 6
WEFT_JOB(int, wait_on_other, int, me)
{
    int out = 0;

    while (!__atomic_load_n(&futures[!me], __ATOMIC_SEQ_CST))
        weft_yield();
    answers[me] = weft_get(futures[!me], &out);
    return 5 + me;
}

static void submit_both(unsigned workers)
{
    int a = 0, b = 0;

    pool = weft_thread_pool(.workers = workers);
    __atomic_store_n(&futures[0], weft_submit(pool, wait_on_other, 0),
                     __ATOMIC_SEQ_CST);
    __atomic_store_n(&futures[1], weft_submit(pool, wait_on_other, 1),
                     __ATOMIC_SEQ_CST);
    kit_assert_code(weft_get(futures[0], &a), 0);
    kit_assert_code(weft_get(futures[1], &b), 0);
    ck_assert_int_eq(a, 5);
    ck_assert_int_eq(b, 6);
    ck_assert_int_eq(
        (answers[0] == -WEFT_EDEADLOCK) + (answers[1] == -WEFT_EDEADLOCK), 1);
    ck_assert_int_eq((answers[0] == 0) + (answers[1] == 0), 1);
    weft_future_unref(futures[0]);
    weft_future_unref(futures[1]);
    kit_assert_code(weft_executor_close(pool), 0);
}

KIT_BOTH(python_example_mutual_on_two_workers)
{
    submit_both(2);
}

KIT_BOTH(python_example_mutual_on_one_worker)
{
    submit_both(1);
}

// def wait_on_future(): f = executor.submit(pow, 5, 2); print(f.result())
WEFT_JOB(long, power, long, x)
{
    return x * x;
}

WEFT_JOB(long, wait_on_future)
{
    long out = 0;
    int rc = weft_result(weft_submit(pool, power, 5), &out);

    return rc < 0 ? rc : out;
}

KIT_BOTH(python_example_nested_on_a_pool_of_one)
{
    long out = 0;

    pool = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(pool, wait_on_future), &out), 0);
    ck_assert_int_eq(out, 25);
    kit_assert_code(weft_executor_close(pool), 0);
}

WEFT_JOB(long, nest_deeper, long, depth)
{
    long out = 0;

    if (depth == 0)
        return 0;
    int rc = weft_result(weft_submit(pool, nest_deeper, depth - 1), &out);
    return rc < 0 ? rc : out + 1;
}

KIT_BOTH(nested_a_hundred_deep_on_a_pool_of_one)
{
    long out = 0;

    pool = weft_thread_pool(.workers = 1);
    kit_assert_code(weft_result(weft_submit(pool, nest_deeper, 100), &out), 0);
    ck_assert_int_eq(out, 100);
    kit_assert_code(weft_executor_close(pool), 0);
}

// Rings -----------------------------------------------------------------------

// A ring of n nodes whose kinds and ways of waiting are drawn at random.
static void make_ring(char *text, int n, const char *kinds)
{
    size_t have = strlen(kinds);

    for (int i = 0; i < n; i++) {
        char kind = kinds[weft_test_random() % have];
        char way = ">j&%"[weft_test_random() % 4];
        text += sprintf(text, "%s%c%c%d", i ? " " : "", kind, way, (i + 1) % n);
    }
}

static void rings_of(const char *kinds, unsigned workers, int rounds)
{
    char program[200];

    for (int i = 0; i < rounds; i++) {
        struct graph_setting setting = {
            .workers = workers,
            .pool = 1 + (unsigned)(weft_test_random() % 3),
            .order = weft_test_random() | 1};
        make_ring(program, 2 + i % 5, kinds);
        check_cycles(program, 1, &setting);
    }
}

WEFT_TEST(rings_of_tasks_on_one_worker, .timeout = 30)
{
    rings_of("T", 1, 200);
}

WEFT_TEST(rings_of_tasks_on_three_workers, .timeout = 30)
{
    rings_of("T", 3, 200);
}

WEFT_TEST(rings_of_tasks_on_the_default_loop, .timeout = 30)
{
    rings_of("T", 0, 200);
}

WEFT_TEST(rings_of_threads, .timeout = 30)
{
    rings_of("H", 0, 200);
}

WEFT_TEST(rings_of_jobs, .timeout = 30)
{
    rings_of("P", 0, 200);
}

WEFT_TEST(rings_of_all_kinds, .timeout = 60)
{
    for (unsigned workers = 0; workers < 4; workers++)
        rings_of("THP", workers, 100);
}

WEFT_TEST(rings_that_run_inline, .timeout = 30)
{
    char program[200];

    for (int n = 1; n < 7; n++) {
        make_ring(program, n, "T");
        check_cycles(program, 1,
                     &(struct graph_setting){.workers = 1, .at_once = 1});
    }
}

// Other shapes ----------------------------------------------------------------

static const struct {
    const char *program;
    int cycles;
} shapes[] = {
    {"T>0", 1},                     // itself
    {"H>0", 1},                     //
    {"P>0", 1},                     //
    {"T>1 T>0 T>0 H>1", 1},         // a ring with tails
    {"T>1 H>0 T>3 P>2", 2},         // two rings
    {"T>1 P>2 H>0 T>4 P>5 H>3", 2}, //
    {"T&1,2 H>0 P", 1},             // all of a set, one of which waits back
    {"P%1,2,3 T H>0 P", 1},         //
    {"T>1 T*0>0 Hs0!0", 1},         // after a promise
    {"T>1 T=0>0", 1},               // after a deadline
    {"T>1 H|0,2>0 Ps0", 1},         // after a first-of
    {"T>1 T>2 T>3 T>4 T>5 H>6 P>0", 1},
};

static void check_shapes(const struct graph_setting *setting)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_cycles(shapes[i].program, shapes[i].cycles, setting);
}

WEFT_TEST(shapes_with_cycles_on_one_worker, .timeout = 30)
{
    for (int i = 0; i < 10; i++)
        check_shapes(&(struct graph_setting){.workers = 1,
                                             .order = weft_test_random() | 1});
}

WEFT_TEST(shapes_with_cycles_on_many_workers, .timeout = 30)
{
    for (int i = 0; i < 10; i++)
        check_shapes(&(struct graph_setting){
            .workers = 3, .pool = 2, .order = weft_test_random() | 1});
}

WEFT_TEST(shapes_with_cycles_on_the_default_loop, .timeout = 30)
{
    for (int i = 0; i < 10; i++)
        check_shapes(&(struct graph_setting){.order = weft_test_random() | 1});
}

// A child that waits for the body that waits for the child: to close a group
// is to wait for all of it, and nothing else can end that.
static int wait_for_parent(void *arg)
{
    return weft_get_into(arg, NULL, 0) == -WEFT_EDEADLOCK ? 0 : -EIO;
}

static weft_future *parent;

static int close_over_child(void *arg)
{
    weft_group *g = weft_group_open();

    (void)arg;
    while (!__atomic_load_n(&parent, __ATOMIC_SEQ_CST))
        weft_yield();
    weft_future_unref(weft_task_start(wait_for_parent, parent));
    return weft_group_close(g);
}

KIT_BOTH(a_child_that_waits_for_the_close_of_its_group)
{
    weft_future *f = weft_task_start(close_over_child, NULL);

    __atomic_store_n(&parent, f, __ATOMIC_SEQ_CST);
    // A wait with a limit, so that it is no edge.
    ck_assert_int_eq(
        weft_wait(&f, 1, WEFT_ALL_COMPLETED, weft_test_seconds(20)), 1);
    kit_assert_code(weft_join(f), 0);
}

// Groups that wait within each other, and a join above them, which goes down to
// see whether it comes back to itself: the smallest stack is enough for that.
struct deep {
    struct kit_gate gate;
    int left, reached;
};

static int descend(void *arg)
{
    struct deep *d = arg;
    if (d->left-- == 0) {
        kit_count(&d->reached);
        return kit_gate_wait(&d->gate);
    }
    weft_group *g = weft_group_open();
    weft_future_unref(weft_task_start(descend, d));
    return weft_group_close(g);
}

static int join_it(void *f)
{
    return weft_join(f);
}

static int join_above(void *arg)
{
    struct deep *d = arg;
    weft_future *top = weft_task_start(descend, d);
    kit_await(&d->reached, 1);
    weft_future *joins = weft_task_start(join_it, top);
    for (int i = 0; i < 10; i++)
        weft_yield();
    ck_assert(!weft_done(joins));
    kit_gate_open(&d->gate);
    return weft_join(joins);
}

WEFT_TEST(a_join_above_many_groups_on_small_stacks)
{
    struct deep d = {.gate = kit_gate_new(), .left = 60};
    kit_assert_code(
        weft_run(join_above, &d, .stack_size = KIT_SANITIZED ? 0 : 16384), 0);
    kit_gate_free(&d.gate);
}

// A cycle over a close: no cancel ends what its child waits for ---------------

struct closing {
    struct weft_lock lock;
    weft_future *self; // who closes
    int waits;         // the child is about to wait, or has waited
    int told;          // what its wait said
};

static int want_lock(void *arg)
{
    struct closing *c = arg;

    kit_count(&c->waits);
    c->told = weft_lock_acquire(&c->lock);
    if (c->told == 0)
        weft_lock_release(&c->lock);
    return 0;
}

static void close_with_lock(struct closing *c, bool child_first)
{
    weft_group *g = weft_group_open();

    kit_assert_code(weft_lock_acquire(&c->lock), 0);
    weft_future_unref(weft_task_start(want_lock, c));
    for (int i = 0; child_first && i < 10; i++)
        weft_yield();
    ck_assert_int_eq(c->waits, child_first);
    int rc = weft_group_close(g);
    kit_assert_code(c->told, -WEFT_EDEADLOCK);
    kit_assert_code(rc, child_first ? -WEFT_EDEADLOCK : 0);
    weft_lock_release(&c->lock);
}

KIT_TASK(a_close_whose_child_waits_for_a_lock_of_the_closer)
{
    struct closing c = {.told = 0};
    close_with_lock(&c, true);
}

KIT_TASK(a_close_whose_child_will_wait_for_a_lock_of_the_closer)
{
    struct closing c = {.told = 0};
    close_with_lock(&c, false);
}

static int join_in_shield(void *arg)
{
    struct closing *c = arg;
    WEFT_SHIELD((double)INFINITY);

    kit_count(&c->waits);
    c->told = weft_get_into(c->self, NULL, 0);
    return 0;
}

static int close_above_shield(void *arg)
{
    struct closing *c = arg;
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(join_in_shield, c));
    while (c->waits == 0)
        weft_yield();
    for (int i = 0; i < 10; i++)
        weft_yield();
    return weft_group_close(g);
}

KIT_TASK(a_close_whose_child_joins_the_closer_in_a_shield)
{
    struct closing c = {.told = 0};
    c.self = weft_task_start(close_above_shield, &c);

    kit_assert_code(
        weft_wait(&c.self, 1, WEFT_ALL_COMPLETED, weft_test_seconds(20)), 1);
    kit_assert_code(weft_join(c.self), -WEFT_EDEADLOCK);
    kit_assert_code(c.told, -WEFT_EDEADLOCK);
}

WEFT_TEST_MAIN("deadlock")
