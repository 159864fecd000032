// SPDX-License-Identifier: MIT
// Barriers: all or none, numbers, actions, and being broken.
#include "world.h"

static struct weft_barrier barrier;
static struct world_bunch bunch;
static int results[16], arrived, actions;
enum { N = 5 };

static int wait_once(void *arg)
{
    int rc = weft_barrier_wait(&barrier);

    (void)arg;
    kit_count(&arrived);
    return rc == -ETIMEDOUT || rc == -ECANCELED ? rc : 100 + rc;
}

static void line_up(int n)
{
    for (int i = 0; i < n; i++)
        world_await(world_add(&bunch, wait_once, NULL), WI_WAIT_BARRIER);
}

static int pass_many(void *arg)
{
    int *count = arg;

    for (int i = 0; i < 10; i++) {
        kit_count(&count[2 * i]);
        if (weft_barrier_wait(&barrier) < 0)
            return -EIO;
        ck_assert_int_eq(kit_load(&count[2 * i]), N);
        kit_count(&count[2 * i + 1]);
        if (weft_barrier_wait(&barrier) < 0)
            return -EIO;
        ck_assert_int_eq(kit_load(&count[2 * i + 1]), N);
    }
    return 0;
}

WORLD_TEST(lockstep, .timeout = 20)
{
    int counts[20] = {0};

    weft_barrier_init(&barrier, N);
    ck_assert_uint_eq(weft_barrier_parties(&barrier), N);
    ck_assert_uint_eq(weft_barrier_waiting(&barrier), 0);
    for (int i = 0; i < N; i++)
        world_add(&bunch, pass_many, counts);
    world_join(&bunch, 0);
    weft_barrier_fini(&barrier);
}

// Each gets another number, by the order in which they came.
WORLD_TEST(numbers)
{
    weft_barrier_init(&barrier, N);
    for (int round = 0; round < 3; round++) {
        line_up(N - 1);
        ck_assert_uint_eq(weft_barrier_waiting(&barrier), N - 1);
        ck_assert_int_eq(weft_barrier_wait(&barrier), N - 1);
        for (int i = 0; i < N - 1; i++)
            kit_assert_code(weft_join(bunch.f[i]), 100 + i);
        bunch.n = 0;
        ck_assert_uint_eq(weft_barrier_waiting(&barrier), 0);
    }
}

KIT_BOTH(alone)
{
    struct weft_barrier b = WEFT_BARRIER(1);

    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weft_barrier_wait(&b), 0);
    weft_barrier_fini(&b);
}

// Actions ---------------------------------------------------------------------

static int act(void *arg)
{
    ck_assert_int_eq(kit_load(&arrived), 0); // before the others go on
    kit_count(arg);
    weft_yield();
    return 0;
}

WORLD_TEST(an_action_is_called_once_before_all_go_on)
{
    weft_barrier_init(&barrier, N, .action = act, .arg = &actions);
    line_up(N - 1);
    ck_assert_int_eq(weft_barrier_wait(&barrier), N - 1);
    ck_assert_int_eq(actions, 1);
    for (int i = 0; i < N - 1; i++)
        ck_assert_int_ge(weft_join(bunch.f[i]), 100);
}

static int refuse(void *arg)
{
    kit_count(arg);
    return -EIO;
}

WORLD_TEST(an_action_that_fails_breaks_it)
{
    weft_barrier_init(&barrier, N, .action = refuse, .arg = &actions);
    line_up(N - 1);
    kit_assert_code(weft_barrier_wait(&barrier), -EIO);
    for (int i = 0; i < N - 1; i++)
        kit_assert_code(weft_join(bunch.f[i]), 100 - WEFT_EBARRIER);
    ck_assert(weft_barrier_broken(&barrier));
    kit_assert_code(weft_barrier_wait(&barrier), -WEFT_EBARRIER);
    weft_barrier_reset(&barrier);
    ck_assert(!weft_barrier_broken(&barrier));
}

// Breaking and mending --------------------------------------------------------

static void all_are_sent_away(int n)
{
    for (int i = 0; i < n; i++)
        kit_assert_code(weft_join(bunch.f[i]), 100 - WEFT_EBARRIER);
    bunch.n = 0;
    ck_assert_uint_eq(weft_barrier_waiting(&barrier), 0);
}

static void it_works(void)
{
    line_up(N - 1);
    ck_assert_int_eq(weft_barrier_wait(&barrier), N - 1);
    for (int i = 0; i < N - 1; i++)
        kit_assert_code(weft_join(bunch.f[i]), 100 + i);
    bunch.n = 0;
}

WORLD_TEST(abort_sends_all_away)
{
    weft_barrier_init(&barrier, N);
    line_up(N - 1);
    weft_barrier_abort(&barrier);
    all_are_sent_away(N - 1);
    ck_assert(weft_barrier_broken(&barrier));
    kit_assert_code(weft_barrier_wait(&barrier), -WEFT_EBARRIER);
    weft_barrier_abort(&barrier);
    ck_assert(weft_barrier_broken(&barrier));
}

WORLD_TEST(reset_sends_all_away_and_leaves_it_whole)
{
    weft_barrier_init(&barrier, N);
    weft_barrier_reset(&barrier); // of an empty one: nothing
    line_up(N - 1);
    weft_barrier_reset(&barrier);
    all_are_sent_away(N - 1);
    ck_assert(!weft_barrier_broken(&barrier));
    it_works();
}

WORLD_TEST(abort_and_reset)
{
    weft_barrier_init(&barrier, N);
    line_up(N - 1);
    weft_barrier_abort(&barrier);
    all_are_sent_away(N - 1);
    weft_barrier_reset(&barrier);
    it_works();
    it_works();
}

// Some of a round have gone on, others not yet, when it is reset or aborted:
// that concerns the next round only.
WORLD_TEST(a_round_that_is_over_is_over)
{
    weft_barrier_init(&barrier, N);
    line_up(N - 1);
    ck_assert_int_eq(weft_barrier_wait(&barrier), N - 1);
    weft_barrier_abort(&barrier);
    for (int i = 0; i < N - 1; i++)
        kit_assert_code(weft_join(bunch.f[i]), 100 + i);
    bunch.n = 0;
    weft_barrier_reset(&barrier);
    it_works();
}

// Who comes again while the last round is not all gone waits for the next.
static int pass_twice(void *arg)
{
    int first = weft_barrier_wait(&barrier);

    results[first] = weft_barrier_wait(&barrier);
    kit_count(arg);
    return 0;
}

WORLD_TEST(the_next_round_may_begin_at_once)
{
    weft_barrier_init(&barrier, N);
    for (int i = 0; i < N; i++)
        world_add(&bunch, pass_twice, &arrived);
    world_join(&bunch, 0);
    int seen = 0;
    for (int i = 0; i < N; i++)
        seen |= 1 << results[i];
    ck_assert_int_eq(seen, (1 << N) - 1);
    ck_assert_int_eq(arrived, N);
}

// Limits ----------------------------------------------------------------------

WORLD_TEST(a_time_limit_breaks_it)
{
    double before = weft_now();

    weft_barrier_init(&barrier, N);
    line_up(N - 2);
    kit_assert_code(weft_barrier_wait_for(&barrier, 0.02), -ETIMEDOUT);
    ck_assert(weft_now() - before >= 0.02);
    all_are_sent_away(N - 2);
    ck_assert(weft_barrier_broken(&barrier));
    weft_barrier_reset(&barrier);
    it_works();
    line_up(N - 1);
    ck_assert_int_eq(weft_barrier_wait_for(&barrier, 0), N - 1);
}

// A cancel, or the deadline of a scope: the one leaves, the others wait on.
WORLD_TEST(who_was_canceled_has_not_come)
{
    weft_barrier_init(&barrier, N);
    line_up(N - 1);
    weft_cancel(bunch.f[0]);
    kit_assert_code(weft_join(bunch.f[0]), -WEFT_EJOBCANCELED);
    ck_assert_uint_eq(weft_barrier_waiting(&barrier), N - 2);
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_barrier_wait(&barrier), -ETIMEDOUT);
    }
    ck_assert(!weft_barrier_broken(&barrier));
    weft_future *late = world_start(wait_once, NULL);
    world_await(late, WI_WAIT_BARRIER);
    ck_assert_int_eq(weft_barrier_wait(&barrier), N - 1);
    for (int i = 1; i < N - 1; i++)
        kit_assert_code(weft_join(bunch.f[i]), 100 + i - 1);
    kit_assert_code(weft_join(late), 100 + N - 2);
}

// Canceled at the moment when the last one comes: it was there or it was not.
WORLD_TEST(a_cancel_and_the_last_one_race, .timeout = 30)
{
    weft_barrier_init(&barrier, 2);
    for (int i = 0; i < 150; i++) {
        bunch.n = 0;
        line_up(1);
        weft_future *last = world_start(wait_once, NULL);
        weft_cancel(bunch.f[0]);
        int rc = weft_join(bunch.f[0]);
        if (rc == -WEFT_EJOBCANCELED) {
            int mine = weft_barrier_wait(&barrier);
            ck_assert_int_eq(mine + weft_join(last), 101);
        } else {
            kit_assert_code(rc, 100);
            kit_assert_code(weft_join(last), 101);
        }
    }
    weft_barrier_fini(&barrier);
}

// Misuse ----------------------------------------------------------------------

static void for_nobody(void)
{
    weft_barrier_init(&barrier, 0);
}

static void without_parties(void)
{
    struct weft_barrier zeroed = {0};

    weft_barrier_wait(&zeroed);
}

static void end_while_waited_for(void)
{
    world = THREADS;
    weft_barrier_init(&barrier, 2);
    line_up(1);
    weft_barrier_fini(&barrier);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(for_nobody, "one or more");
    kit_assert_aborts(without_parties, "weft_barrier_wait: ");
    kit_assert_aborts(end_while_waited_for, "weft_barrier_fini");
}

WEFT_TEST_MAIN("barrier")
