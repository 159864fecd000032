// SPDX-License-Identifier: MIT
// Graphs: order, cycles, reuse, failures.
#include "kit.h"

enum { STEPS = 2000 };

struct run {
    int ended[STEPS];
    int (*before)[4]; // steps that each one waits for, -1 for none
    int fail_at;
    int count;
};
static struct run run;

struct place {
    int i;
};
static struct place places[STEPS];

static int step(void *arg)
{
    int i = ((struct place *)arg)->i;
    for (int k = 0; run.before != NULL && k < 4; k++) {
        int b = run.before[i][k];
        if (b >= 0 && !kit_load(&run.ended[b]))
            ck_abort_msg("%d ran before %d", i, b);
    }
    if (kit_load(&run.ended[i]) != 0)
        ck_abort_msg("%d ran twice", i);
    kit_count(&run.count);
    kit_count(&run.ended[i]);
    return i == run.fail_at ? -EDOM : i;
}

static int before[STEPS][4];

static weft_graph *random_graph(uint32_t seed, int steps)
{
    weft_graph *g = weft_graph_new();
    for (int i = 0; i < steps; i++) {
        places[i].i = i;
        ck_assert(weft_graph_add(g, step, &places[i]) == i);
        for (int k = 0; k < 4; k++) {
            seed = seed * 1664525 + 1013904223;
            before[i][k] = i > 0 && (seed >> 8) % 2 ? (int)(seed >> 9) % i : -1;
            if (before[i][k] >= 0 && weft_graph_edge(g, before[i][k], i) != 0)
                ck_abort_msg("no edge");
        }
    }
    return g;
}

static void start(void)
{
    memset(&run, 0, sizeof run);
    run.before = before;
    run.fail_at = -1;
}

KIT_BOTH(steps_run_once_behind_those_they_wait_for, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++) {
        weft_executor *ex = weft_thread_pool(.workers = n);
        weft_graph *g = random_graph(n, STEPS);
        for (int turn = 0; turn < 5; turn++) {
            start();
            kit_assert_code(weft_graph_run(g, .executor = ex), 0);
            ck_assert_int_eq(run.count, STEPS);
        }
        weft_graph_free(g);
        weft_executor_close(ex);
    }
}

KIT_BOTH(a_failure_ends_the_run)
{
    weft_graph *g = random_graph(3, STEPS);
    start();
    run.fail_at = STEPS / 2;
    kit_assert_code(weft_graph_run(g), -EDOM);
    start();
    kit_assert_code(weft_graph_run(g), 0);
    ck_assert_int_eq(run.count, STEPS);
    weft_graph_free(g);
}

static void line(weft_graph *g, int n)
{
    for (int i = 0; i < n; i++) {
        places[i].i = i;
        weft_graph_add(g, step, &places[i]);
        if (i > 0)
            kit_assert_code(weft_graph_edge(g, i - 1, i), 0);
    }
}

KIT_BOTH(an_order_and_no_cycle)
{
    int order[STEPS], place[STEPS];
    weft_graph *g = random_graph(9, STEPS);
    kit_assert_code(weft_graph_order(g, order), 0);
    for (int i = 0; i < STEPS; i++)
        place[order[i]] = i;
    for (int i = 0; i < STEPS; i++)
        for (int k = 0; k < 4; k++)
            if (before[i][k] >= 0 && place[before[i][k]] >= place[i])
                ck_abort_msg("%d stands before %d", i, before[i][k]);
    kit_assert_code(weft_graph_cycle(g, NULL, 0), 0);
    ck_assert_uint_eq(weft_graph_size(g), STEPS);
    weft_graph_free(g);
}

static weft_graph *of_three(void)
{
    weft_graph *g = weft_graph_new();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weft_graph_add(g, NULL, NULL), i);
    return g;
}

// The first of the steps that cannot run is behind the cycle.
WEFT_TEST(what_is_behind_a_cycle_is_none_of_it)
{
    weft_graph *g = of_three();
    int cycle[3] = {-1, -1, -1};
    kit_assert_code(weft_graph_edge(g, 1, 2), 0);
    kit_assert_code(weft_graph_edge(g, 2, 1), 0);
    kit_assert_code(weft_graph_edge(g, 2, 0), 0);
    kit_assert_code(weft_graph_cycle(g, cycle, 3), 2);
    ck_assert_int_eq(cycle[0] + cycle[1], 3);
    ck_assert_int_eq(cycle[2], -1);
    weft_graph_free(g);
}

WEFT_TEST(a_change_after_a_run_is_looked_at)
{
    weft_graph *g = of_three();
    kit_assert_code(weft_graph_edge(g, 0, 1), 0);
    kit_assert_code(weft_graph_run(g), 0);
    kit_assert_code(weft_graph_edge(g, 1, 0), 0);
    kit_assert_code(weft_graph_run(g), -ELOOP);
    weft_graph_free(g);
}

static int look_for_cycle(void *arg)
{
    weft_graph_cycle(arg, NULL, 0);
    return 0;
}

static int look_at_order(void *arg)
{
    weft_graph_order(arg, NULL);
    return 0;
}

// Both use the counts by which a run knows what is ready.
static void run_one(int (*fn)(void *arg))
{
    weft_graph *g = weft_graph_new();
    ck_assert_int_eq(weft_graph_add(g, fn, g), 0);
    weft_graph_run(g);
}

WEFT_TEST(a_graph_that_runs_has_no_cycle_to_tell, .signal = SIGABRT)
{
    run_one(look_for_cycle);
}

WEFT_TEST(a_graph_that_runs_has_no_order_to_tell, .signal = SIGABRT)
{
    run_one(look_at_order);
}

KIT_BOTH(a_cycle_is_told)
{
    weft_graph *g = weft_graph_new();
    int cycle[10];
    start();
    line(g, 8); // 0 .. 7, of which 2 .. 5 get a cycle
    kit_assert_code(weft_graph_edge(g, 5, 2), 0);
    kit_assert_code(weft_graph_run(g), -ELOOP);
    ck_assert_int_eq(run.count, 0);
    kit_assert_code(weft_graph_order(g, NULL), -ELOOP);
    kit_assert_code(weft_graph_cycle(g, cycle, 10), 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(cycle[(i + 1) % 4], cycle[i] == 5 ? 2 : cycle[i] + 1);
    cycle[2] = -7;
    kit_assert_code(weft_graph_cycle(g, cycle, 2), 4);
    ck_assert_int_eq(cycle[2], -7);
    weft_graph_free(g);
    g = weft_graph_new();
    line(g, 1);
    weft_graph_edge(g, 0, 0);
    kit_assert_code(weft_graph_cycle(g, cycle, 10), 1);
    ck_assert_int_eq(cycle[0], 0);
    weft_graph_free(g);
}

KIT_BOTH(small_graphs)
{
    weft_graph *g = weft_graph_new();
    kit_assert_code(weft_graph_run(g), 0);
    kit_assert_code(weft_graph_order(g, NULL), 0);
    kit_assert_code(weft_graph_edge(g, 0, 0), -EINVAL);
    int a = weft_graph_add(g, NULL, NULL), b = weft_graph_add(g, NULL, NULL);
    kit_assert_code(weft_graph_edge(g, a, b), 0);
    kit_assert_code(weft_graph_edge(g, a, b), 0);
    kit_assert_code(weft_graph_edge(g, a, 2), -EINVAL);
    kit_assert_code(weft_graph_edge(g, -1, b), -EINVAL);
    kit_assert_code(weft_graph_run(g), 0);
    weft_graph_free(g);
    weft_graph_free(NULL);
}

static weft_graph *self;

static int run_self(void *arg)
{
    (void)arg;
    return weft_graph_run(self);
}

WEFT_TEST(a_graph_does_not_run_in_itself)
{
    self = weft_graph_new();
    weft_graph_add(self, run_self, NULL);
    kit_assert_code(weft_graph_run(self), -EBUSY);
    weft_graph_free(self);
}

static int block(void *arg)
{
    return kit_count_and_block(arg);
}

WEFT_JOB(int, run_graph_job)
{
    return weft_graph_run(self);
}

WEFT_TEST(a_canceled_job_ends_its_run)
{
    int begun = 0, out = 0;
    weft_executor *ex = weft_thread_pool(.workers = 1);
    self = weft_graph_new();
    int a = weft_graph_add(self, block, &begun);
    int b = weft_graph_add(self, kit_never, NULL);
    weft_graph_edge(self, a, b);
    weft_future *f = weft_submit(ex, run_graph_job);
    kit_await(&begun, 1);
    weft_cancel(f);
    kit_assert_code(weft_result(f, &out), 0);
    ck_assert_int_eq(out, -ECANCELED);
    weft_executor_close(ex);
    weft_graph_free(self);
}

static int count_step(void *arg)
{
    return kit_count(arg);
}

// More than the children that one run may have.
enum { VERY_MANY = 1100000 };

WEFT_TEST(very_many_steps_wait_for_one, .timeout = 60)
{
    int ended = 0;
    weft_graph *g = weft_graph_new();
    int first = weft_graph_add(g, count_step, &ended);
    for (int i = 0; i < VERY_MANY; i++) {
        int next = weft_graph_add(g, count_step, &ended);
        kit_assert_code(weft_graph_edge(g, first, next), 0);
    }
    kit_assert_code(weft_graph_run(g), 0);
    ck_assert_int_eq(ended, VERY_MANY + 1);
    weft_graph_free(g);
}

// Each step of a chain makes one more ready beside the next one.
WEFT_TEST(a_very_long_chain_has_room, .timeout = 60)
{
    int ended = 0;
    weft_graph *g = weft_graph_new();
    int at = weft_graph_add(g, count_step, &ended);
    for (int i = 0; i < VERY_MANY; i++) {
        int beside = weft_graph_add(g, count_step, &ended);
        int next = weft_graph_add(g, count_step, &ended);
        kit_assert_code(weft_graph_edge(g, at, beside), 0);
        kit_assert_code(weft_graph_edge(g, at, next), 0);
        at = next;
    }
    kit_assert_code(weft_graph_run(g), 0);
    ck_assert_int_eq(ended, 2 * VERY_MANY + 1);
    weft_graph_free(g);
}

WEFT_TEST(an_edge_that_is_drawn_twice_is_as_one)
{
    int ended = 0, order[2];
    weft_graph *g = weft_graph_new();
    int a = weft_graph_add(g, count_step, &ended);
    int b = weft_graph_add(g, count_step, &ended);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_graph_edge(g, b, a), 0);
    kit_assert_code(weft_graph_order(g, order), 0);
    ck_assert_int_eq(order[0], b);
    for (int turn = 1; turn <= 2; turn++) {
        kit_assert_code(weft_graph_run(g), 0);
        ck_assert_int_eq(ended, 2 * turn);
    }
    kit_assert_code(weft_graph_edge(g, a, b), 0);
    ck_assert_int_eq(weft_graph_cycle(g, order, 2), 2);
    weft_graph_free(g);
}

WEFT_TEST_MAIN("graph")
