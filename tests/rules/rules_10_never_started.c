// SPDX-License-Identifier: MIT
// Rule 10: what is canceled before it has started never runs; .drop is called
// exactly once whenever the body did not run, and never when it did.
#include "kit.h"

static int drops;

static weft_future *doomed(weft_group *g)
{
    return weft_task_start(kit_never, &drops, .group = g,
                           .drop = kit_count_drop);
}

KIT_TASK(a_canceled_task)
{
    weft_future *f = doomed(NULL);

    kit_assert_code(weft_cancel(f), 0);
    ck_assert(weft_done(f));
    ck_assert_int_eq(drops, 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(drops, 1);
}

KIT_TASK(a_canceled_task_whose_handle_was_dropped)
{
    weft_group *g = weft_group_open();

    weft_future_unref(doomed(NULL));
    weft_group_cancel(g);
    weft_group_close(g);
    ck_assert_int_eq(drops, 1);
}

KIT_TASK(many_tasks_of_a_canceled_group)
{
    weft_group *g = weft_group_open();

    for (int i = 0; i < 100; i++)
        weft_future_unref(doomed(g));
    weft_group_cancel(g);
    ck_assert_uint_eq(weft_group_size(g), 0);
    weft_group_close(g);
    ck_assert_int_eq(drops, 100);
}

static int fail_first(void *arg)
{
    (void)arg;
    return -EIO;
}

KIT_TASK(the_siblings_of_the_first_failure)
{
    weft_group *g = weft_group_open();

    weft_future_unref(weft_task_start(fail_first, NULL));
    for (int i = 0; i < 20; i++)
        weft_future_unref(doomed(g));
    kit_assert_code(weft_group_close(g), -EIO);
    ck_assert_int_eq(drops, 20);
}

static int leave_unstarted(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        weft_future_unref(doomed(NULL));
    return 0;
}

WEFT_TEST(what_a_run_leaves_unstarted)
{
    kit_assert_code(weft_run(leave_unstarted, NULL), 0);
    ck_assert_int_eq(drops, 10);
}

KIT_BOTH(what_failed_to_start)
{
    unsigned cpu = 1000000;

    kit_assert_code(
        weft_join(weft_thread_start(kit_never, &drops, .cpus = &cpu,
                                    .cpu_count = 1, .drop = kit_count_drop)),
        -EINVAL);
    ck_assert_int_eq(drops, 1);
}

static int run_well(void *arg)
{
    (void)arg;
    return 4;
}

KIT_BOTH(what_ran_is_not_dropped)
{
    weft_future *f = weft_task_start(run_well, &drops, .drop = kit_count_drop);

    kit_assert_code(weft_join(f), 4);
    f = weft_thread_start(kit_block, &drops, .drop = kit_count_drop);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    ck_assert_int_eq(drops, 0);
}

// Jobs ------------------------------------------------------------------------

static int ran;
static struct kit_gate gate;

WEFT_JOB(int, keep_worker)
{
    kit_count(&ran);
    while (!weft_done(gate.future))
        sched_yield();
    return 0;
}

WEFT_JOB(int, count_run)
{
    kit_count(&ran);
    return 0;
}

KIT_BOTH(a_canceled_job_never_runs)
{
    weft_executor *ex = weft_thread_pool(.workers = 1);
    weft_future *fs[10];

    gate = kit_gate_new();
    weft_future *first = weft_submit(ex, keep_worker);
    kit_await(&ran, 1);
    for (int i = 0; i < 10; i++)
        fs[i] = weft_submit(ex, count_run);
    for (int i = 0; i < 10; i += 2)
        kit_assert_code(weft_cancel(fs[i]), 0);
    kit_gate_open(&gate);
    for (int i = 0; i < 10; i++)
        kit_assert_code(weft_join(fs[i]), i % 2 ? 0 : -WEFT_EJOBCANCELED);
    kit_assert_code(weft_join(first), 0);
    kit_assert_code(weft_executor_close(ex), 0);
    ck_assert_int_eq(kit_load(&ran), 1 + 5);
    kit_gate_free(&gate);
}

// Cancel and start at the same moment -----------------------------------------

#define RACERS 2000

static struct racer {
    weft_future *future;
    int ran, dropped;
} racers[RACERS];

static int run_racer(void *arg)
{
    kit_count(&((struct racer *)arg)->ran);
    return 0;
}

static void drop_racer(void *arg)
{
    kit_count(&((struct racer *)arg)->dropped);
}

static int cancel_racers(void *arg)
{
    (void)arg;
    for (int i = 0; i < RACERS; i++) {
        weft_future *f;
        while (!(f = __atomic_load_n(&racers[i].future, __ATOMIC_ACQUIRE)))
            sched_yield();
        weft_cancel(f);
    }
    return 0;
}

static int race(void *arg)
{
    weft_future *canceller = weft_thread_start(cancel_racers, NULL);

    (void)arg;
    for (int i = 0; i < RACERS; i++) {
        weft_future *f =
            weft_task_start(run_racer, &racers[i], .drop = drop_racer);
        __atomic_store_n(&racers[i].future, f, __ATOMIC_RELEASE);
        if (i % 8 == 0)
            weft_yield();
    }
    kit_assert_code(weft_join(canceller), 0);
    for (int i = 0; i < RACERS; i++) {
        int rc = weft_join(racers[i].future);
        ck_assert_int_eq(racers[i].ran + racers[i].dropped, 1);
        if (racers[i].dropped)
            kit_assert_code(rc, -WEFT_EJOBCANCELED);
        racers[i] = (struct racer){NULL, 0, 0};
    }
    return 0;
}

WEFT_TEST(either_it_runs_or_it_is_dropped, .timeout = 30)
{
    for (unsigned workers = 1; workers <= 4; workers++)
        kit_assert_code(weft_run(race, NULL, .workers = workers), 0);
    kit_assert_code(race(NULL), 0);
}

WEFT_TEST_MAIN("rule 10")
