// SPDX-License-Identifier: MIT
// Barriers and once in an arena, between processes, one of which may die. The
// case itself waits in a task or in a thread.
struct table;
#define TABLE struct table
#include "elsewhere.h"

enum { PARTIES = 3, ROUNDS = 40 };

struct table {
    struct weft_barrier barrier;
    struct weft_once once;
    struct weft_event go;
    int arrived;                  // atomic
    int passed[ROUNDS];           // atomic: who has come to each round
    int numbers[ROUNDS][PARTIES]; // atomic: how often each was given
    int runs;                     // of the once; its holder's alone
};

static struct table *make_table(void)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    struct table *t = weft_arena_value(arena, struct table);
    weft_barrier_init(&t->barrier, PARTIES, .arena = arena);
    weft_once_init(&t->once, .arena = arena);
    weft_event_init(&t->go, .arena = arena);
    return t;
}

static work_function go_round, wait_once, wait_for_a_moment, do_once,
    die_doing_it, wait_for_ever;

ELSEWHERE_WORKS(go_round, wait_once, wait_for_a_moment, do_once, die_doing_it,
                wait_for_ever)

static int go_round(struct table *t, long n)
{
    for (long i = 0; i < n; i++) {
        kit_count(&t->passed[i]);
        int number = weft_barrier_wait(&t->barrier);
        if (number < 0)
            return number;
        if (number >= PARTIES || kit_load(&t->passed[i]) != PARTIES)
            return -EIO;
        kit_count(&t->numbers[i][number]);
    }
    return 0;
}

static int go_round_here(void *t)
{
    return go_round(t, ROUNDS);
}

KIT_BOTH(all_wait_for_each_other, .timeout = 60)
{
    struct table *t = make_table();
    weft_future *f[3] = {elsewhere(go_round, t, ROUNDS),
                         weft_task_start(go_round_here, t),
                         weft_thread_start(go_round_here, t)};

    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(f[i]), 0);
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < PARTIES; k++)
            ck_assert_int_eq(t->numbers[i][k], 1);
    ck_assert_uint_eq(weft_barrier_parties(&t->barrier), PARTIES);
    ck_assert_uint_eq(weft_barrier_waiting(&t->barrier), 0);
    weft_barrier_fini(&t->barrier);
    weft_arena_close(arena);
}

static int wait_once(struct table *t, long n)
{
    (void)n;
    return weft_barrier_wait(&t->barrier);
}

static int wait_once_here(void *t)
{
    return wait_once(t, 0);
}

static int wait_for_a_moment(struct table *t, long n)
{
    return weft_barrier_wait_for(&t->barrier, (double)n / 1e3);
}

static void until_waiting(struct table *t, unsigned n)
{
    while (weft_barrier_waiting(&t->barrier) != n)
        weft_yield();
}

KIT_BOTH(abort_and_reset, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *f = elsewhere(wait_once, t, 0);

    until_waiting(t, 1);
    weft_barrier_abort(&t->barrier);
    kit_assert_code(weft_join(f), -WEFT_EBARRIER);
    ck_assert(weft_barrier_broken(&t->barrier));
    kit_assert_code(weft_join(elsewhere(wait_once, t, 0)), -WEFT_EBARRIER);
    weft_barrier_reset(&t->barrier);
    ck_assert(!weft_barrier_broken(&t->barrier));

    f = elsewhere(wait_once, t, 0);
    until_waiting(t, 1);
    weft_barrier_reset(&t->barrier);
    kit_assert_code(weft_join(f), -WEFT_EBARRIER);
    ck_assert(!weft_barrier_broken(&t->barrier));
    f = elsewhere(go_round, t, 1);
    weft_future *g = elsewhere(go_round, t, 1);
    kit_assert_code(go_round(t, 1), 0);
    kit_assert_code(weft_join(f), 0);
    kit_assert_code(weft_join(g), 0);
    weft_arena_close(arena);
}

KIT_BOTH(a_time_limit_breaks_it, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *f = weft_thread_start(wait_once_here, t);

    until_waiting(t, 1);
    kit_assert_code(weft_join(elsewhere(wait_for_a_moment, t, 2)),
                    -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(f), -WEFT_EBARRIER);
    kit_assert_code(weft_barrier_wait_for(&t->barrier, 1), -WEFT_EBARRIER);
    weft_arena_close(arena);
}

KIT_BOTH(alone)
{
    struct table *t = make_table();
    weft_barrier_init(&t->barrier, 1, .arena = arena);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_barrier_wait(&t->barrier), 0);
    weft_barrier_fini(&t->barrier);
    weft_arena_close(arena);
}

// Whoever comes last may break the barrier at once: the others have passed.
KIT_BOTH(a_round_that_is_over_is_over, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *f[2] = {elsewhere(wait_once, t, 0),
                         weft_thread_start(wait_once_here, t)};
    until_waiting(t, 2);
    kit_assert_code(weft_barrier_wait(&t->barrier), PARTIES - 1);
    weft_barrier_abort(&t->barrier);
    for (int i = 0; i < 2; i++)
        ck_assert_int_ge(weft_join(f[i]), 0);
    weft_barrier_reset(&t->barrier);
    weft_arena_close(arena);
}

// A cancel does not: who is canceled leaves as if it had not come.
KIT_BOTH(a_canceled_one_has_not_come, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *canceled = weft_task_start(wait_once_here, t);
    until_waiting(t, 1);
    weft_future *f = elsewhere(go_round, t, 1);
    until_waiting(t, 2);
    weft_cancel(canceled);
    kit_assert_code(weft_join(canceled), -WEFT_EJOBCANCELED);
    ck_assert_uint_eq(weft_barrier_waiting(&t->barrier), 1);
    ck_assert(!weft_barrier_broken(&t->barrier));
    weft_future *g = weft_thread_start(wait_once_here, t);
    kit_count(&t->passed[0]); // g's
    kit_assert_code(go_round(t, 1), 0);
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_ge(weft_join(g), 0);
    weft_arena_close(arena);
}

static int wait_for_ever(struct table *t, long n)
{
    (void)n;
    kit_count(&t->arrived);
    int rc;
    while ((rc = weft_barrier_wait(&t->barrier)) >= 0)
        ;
    return rc;
}

static int wait_for_ever_here(void *t)
{
    return wait_for_ever(t, 0);
}

// Nobody is left waiting for one that has died in its wait.
KIT_BOTH(death_in_a_wait_breaks_it, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(wait_once, t, 0);
    until_waiting(t, 1);
    weft_future *f = weft_task_start(wait_once_here, t);
    until_waiting(t, 2);
    kill_it(dead);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    kit_assert_code(weft_join(f), -WEFT_EBARRIER);
    ck_assert(weft_barrier_broken(&t->barrier));
    weft_barrier_reset(&t->barrier);
    ck_assert_uint_eq(weft_barrier_waiting(&t->barrier), 0);
    weft_barrier_fini(&t->barrier);
    weft_arena_close(arena);
}

// Wherever one dies, the others are not stuck: what it broke says so, and what
// it left whole is broken by whoever looks after them.
KIT_BOTH(parties_killed_at_random, .timeout = 900)
{
    struct table *t = make_table();
    struct recovery recovery = {.kills = 0};

    printf("seed %llu\n", (unsigned long long)weft_test_seed());
    while (recovery.kills < weft_test_kills(25)) {
        int before = kit_load(&t->arrived);
        weft_future *dead = elsewhere(wait_for_ever, t, 0);
        weft_future *f[2] = {weft_task_start(wait_for_ever_here, t),
                             weft_thread_start(wait_for_ever_here, t)};
        kit_await(&t->arrived, before + 3);
        dawdle();
        double killed = weft_now();
        kill_it(dead);
        kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
        // Between its waits it was none of those who have come.
        bool told = weft_barrier_broken(&t->barrier);
        if (!told)
            weft_barrier_abort(&t->barrier);
        recovery_add(&recovery, killed, told);
        for (int i = 0; i < 2; i++)
            kit_assert_code(weft_join(f[i]), -WEFT_EBARRIER);
        ck_assert_uint_eq(weft_barrier_waiting(&t->barrier), 0);
        weft_barrier_reset(&t->barrier);
    }
    recovery_print(&recovery, "barrier");
    weft_barrier_fini(&t->barrier);
    kit_assert_code(weft_arena_check(arena), 0);
    weft_arena_close(arena);
}

// Once ------------------------------------------------------------------------

static int count_runs(void *arg)
{
    struct table *t = arg;
    weft_yield();
    t->runs++;
    return 0;
}

static int do_once(struct table *t, long n)
{
    (void)n;
    kit_count(&t->arrived);
    return weft_once_call(&t->once, count_runs, t);
}

static int do_once_here(void *t)
{
    return do_once(t, 0);
}

KIT_BOTH(one_does_it)
{
    struct table *t = make_table();
    weft_future *f[4] = {elsewhere(do_once, t, 0), elsewhere(do_once, t, 0),
                         weft_task_start(do_once_here, t),
                         weft_thread_start(do_once_here, t)};

    ck_assert(!weft_once_done(&t->once) || kit_load(&t->arrived) > 0);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    ck_assert(weft_once_done(&t->once));
    ck_assert_int_eq(t->runs, 1);
    weft_arena_close(arena);
}

static int refuse(void *arg)
{
    (void)arg;
    return -EIO;
}

static int call_again(void *arg)
{
    struct table *t = arg;
    return weft_once_call(&t->once, refuse, NULL);
}

KIT_BOTH(a_failure_leaves_it_undone)
{
    struct table *t = make_table();
    kit_assert_code(weft_once_call(&t->once, refuse, NULL), -EIO);
    ck_assert(!weft_once_done(&t->once));
    kit_assert_code(weft_once_call(&t->once, call_again, t), -WEFT_EDEADLOCK);
    kit_assert_code(weft_join(elsewhere(do_once, t, 0)), 0);
    ck_assert(weft_once_done(&t->once));
    kit_assert_code(weft_once_call(&t->once, refuse, NULL), 0);
    weft_arena_close(arena);
}

static int die_in_it(void *arg)
{
    struct table *t = arg;
    kit_count(&t->arrived);
    int rc = weft_event_wait(&t->go);
    raise(SIGKILL);
    return rc;
}

static int die_doing_it(struct table *t, long n)
{
    (void)n;
    return weft_once_call(&t->once, die_in_it, t);
}

KIT_BOTH(the_next_one_does_what_the_dead_began, .timeout = 20)
{
    struct table *t = make_table();
    weft_future *dead = elsewhere(die_doing_it, t, 0);
    kit_await(&t->arrived, 1);
    weft_future *f = weft_task_start(do_once_here, t);
    weft_event_set(&t->go);
    kit_assert_code(weft_join(dead), -WEFT_ECRASHED);
    kit_assert_code(weft_join(f), 0);
    ck_assert(weft_once_done(&t->once));
    ck_assert_int_eq(t->runs, 1);
    weft_arena_close(arena);
}

// Misuse ----------------------------------------------------------------------

static void init_with_an_action(void)
{
    struct table *t = make_table();
    weft_barrier_init(&t->barrier, 2, .arena = arena, .action = count_runs);
}

static void init_elsewhere(void)
{
    static struct weft_barrier here;

    make_table();
    weft_barrier_init(&here, 2, .arena = arena);
}

static void end_what_is_waited_at(void)
{
    struct table *t = make_table();
    weft_thread_start(wait_once_here, t);
    until_waiting(t, 1);
    weft_barrier_fini(&t->barrier);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(init_with_an_action, "no action");
    kit_assert_aborts(init_elsewhere, "weft_barrier_init");
    kit_assert_aborts(end_what_is_waited_at, "nobody waits");
}

WEFT_TEST_MAIN("far_barrier")
