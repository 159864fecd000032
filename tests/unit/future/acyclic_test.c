// SPDX-License-Identifier: MIT
// Forty programs that wait on each other without a cycle of waits, and must
// never be told that they would deadlock. Where the futures do form a ring,
// a deadline in force, a wait for the first of several or a promise of the
// program breaks it. Each runs in six settings and orders of starting.
#include "graph.h"
#include "kit.h"

static const struct {
    const char *name, *program;
} programs[] = {
    // Chains, trees and diamonds.
    {"a chain of tasks", "T>1 T>2 T>3 T>4 T>5 T"},
    {"a chain of threads", "H>1 H>2 H>3 H>4 H"},
    {"a chain of jobs on a pool of one", "P>1 P>2 P>3 P>4 P"},
    {"a chain of all kinds", "T>1 H>2 P>3 T>4 H>5 P"},
    {"a chain of joins", "Tj1 Hj2 Pj3 Tj4 H"},
    {"a diamond", "T>1>2 T>3 T>3 T"},
    {"a diamond of all kinds", "P>1>2 T>3 H>3 P"},
    {"a lattice", "T>1>2 T>3>4 T>4>5 T>6 T>6 T>6 T"},
    {"a tree of gathers", "T%1,2 H%3,4 P%5,6 T T H P"},
    {"many wait for one", "T>7 H>7 P>7 T>7 H>7 P>7 T>7 Ts0"},
    {"one waits for many", "T>1>2>3>4>5>6 T H P T H P"},
    {"one waits for all at once", "T&1,2,3,4,5,6 T H P Ts0 Hs0 Ps0"},
    {"one gathers many", "H%1,2,3,4,5 T H P Ts0 Ps0"},
    {"one takes many as they complete", "P@1,2,3,4,5 Ts0 H P T Hs0"},
    {"the same node twice", "T>1>1 P>2>2 Hs0"},
    {"the same node in a set twice", "T&1,1 T%2,2 Hs0"},
    {"there and back, one after the other", "T>1>2 T T>1"},
    {"an all-wait over a chain", "T&1,2,3 T>2 T>3 Ps0"},
    // A wait with a deadline in force is no edge.
    {"two tasks, both with a deadline", "T=1 T=0"},
    {"two threads, both with a deadline", "H=1 H=0"},
    {"two jobs, both with a deadline", "P=1 P=0"},
    {"two, one with a deadline", "T=1 T>0"},
    {"two of other kinds, one with a deadline", "H>1 P=0"},
    {"a ring of six, one with a deadline", "T>1 H>2 P>3 T>4 H>5 P=0"},
    {"a ring of all-waits, one with a deadline", "T&1,2 T&2 T=0"},
    {"a ring through a group in a deadline", "Td1 T>0"},
    {"a long deadline that is not needed", "T~1 H~2 P~3 Ts0"},
    // A wait for the first of several is no edge.
    {"first of two, one of which waits back", "T|1,2 T>0 Ts0"},
    {"first of three kinds", "H|1,2,3 P>0 T>0 Hs0"},
    {"first of, twice", "T|1,2 T|0,3 Ts0 Hs0"},
    {"first failed, one of which waits back with a deadline", "T^1,2 T=0 H"},
    {"as completed, what comes second waits for what came", "T@1,2 T>2 Ts0"},
    // Promises of the program are no edges.
    {"a promise kept by who is waited for", "T>1 H!0 T*0"},
    {"ping and pong", "T*0!1*2!3 H!0*1!2*3"},
    {"ping and pong on a pool of one", "P*0!1*2!3 P!0*1!2*3"},
    {"a ring of futures and a promise", "T>1 T*0 Hs0!0"},
    {"promises one after another", "T*0!1 H*1!2 P*2!3 T*3!4 Ts0!0"},
    {"a promise that is polled", "Tx0 P>0 Hs0!0"},
    // Groups, cancel, ends.
    {"groups whose children wait for others", "Tg1 Hg2 Tg3 Ps0"},
    {"a ring that is canceled open", "T=1 T=2 T=0 Tc0c1c2"},
};

_Static_assert(sizeof programs / sizeof *programs == 40, "forty programs");

static void run_programs(const struct graph_setting *setting)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        struct graph_result r = graph_run(programs[i].program, setting);
        ck_assert_msg(r.deadlocks == 0, "%s (%s): %d times \"would deadlock\"",
                      programs[i].name, programs[i].program, r.deadlocks);
        ck_assert_msg(r.ended == r.nodes, "%s (%s): %d of %d nodes ended",
                      programs[i].name, programs[i].program, r.ended, r.nodes);
    }
}

static void run_shuffled(unsigned workers, unsigned pool, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        struct graph_setting setting = {
            .workers = workers, .pool = pool, .order = weft_test_random() | 1};
        run_programs(&setting);
    }
}

WEFT_TEST(on_one_worker, .timeout = 60)
{
    run_programs(&(struct graph_setting){.workers = 1});
}

WEFT_TEST(on_one_worker_in_any_order, .timeout = 60)
{
    run_shuffled(1, 1, 5);
}

WEFT_TEST(on_four_workers_in_any_order, .timeout = 60)
{
    run_shuffled(4, 1, 5);
}

WEFT_TEST(on_four_workers_and_a_pool_of_three, .timeout = 60)
{
    run_shuffled(4, 3, 5);
}

WEFT_TEST(on_the_default_loop_in_any_order, .timeout = 60)
{
    run_shuffled(0, 2, 5);
}

// All tasks on one worker, each started by the one that comes to it first: the
// waits are joins that run their child inline.
WEFT_TEST(tasks_run_inline, .timeout = 60)
{
    struct graph_setting setting = {.workers = 1, .at_once = 1};

    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (strpbrk(programs[i].program, "HP"))
            continue;
        struct graph_result r = graph_run(programs[i].program, &setting);
        ck_assert_msg(r.deadlocks == 0, "%s (%s): would deadlock",
                      programs[i].name, programs[i].program);
        ck_assert_int_eq(r.ended, r.nodes);
    }
}

WEFT_TEST_MAIN("acyclic")
