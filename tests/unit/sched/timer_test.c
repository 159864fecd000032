// SPDX-License-Identifier: MIT
// Sleeping: never too short, in the order of the deadlines, at any size. How
// much too long is a matter of the machine, and no test's.
#include "kit.h"

#define EARLY 1e-6 // what a double of seconds may round

static void check_sleep(double seconds)
{
    double before = weft_now();

    kit_assert_code(weft_sleep(seconds), 0);
    double took = weft_now() - before;
    ck_assert_msg(took >= seconds - EARLY, "slept %.9f s, not %.9f", took,
                  seconds);
}

KIT_BOTH(a_sleep_is_never_too_short)
{
    static const double times[] = {1e-9, 1e-7, 1e-6, 1e-5, 9e-5,  1e-4, 2e-4,
                                   5e-4, 1e-3, 2e-3, 5e-3, 0.009, 0.02, 0.065};

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        check_sleep(times[i]);
    for (int i = 0; i < 100; i++)
        check_sleep((double)(weft_test_random() % 1000) * 1e-6);
}

KIT_BOTH(no_time_at_all_is_a_yield)
{
    kit_assert_code(weft_sleep(0), 0);
    kit_assert_code(weft_sleep(-0.0), 0);
    kit_assert_code(weft_sleep(-1), 0);
    kit_assert_code(weft_sleep(-INFINITY), 0);
}

KIT_BOTH(the_clock_never_goes_back)
{
    double last = weft_now();

    for (int i = 0; i < 10000; i++) {
        double now = weft_now();
        ck_assert(now >= last);
        last = now;
    }
}

// Order -----------------------------------------------------------------------

// A sleeper cannot know its deadline exactly, but two limits of it: it lies
// between `from` and `to`. Only where those of two sleepers lie apart must
// they wake in that order.
static struct {
    double at, from, to;
    int rank;
} sleeper[64];
static int ranks;

static int sleep_until_mine(void *arg)
{
    int me = (int)(intptr_t)arg;
    double now = weft_now(), left = sleeper[me].at - now;

    WEFT_TIMEOUT(left);
    sleeper[me].from = now + (left > 0 ? left : 0);
    sleeper[me].to = weft_now() + (left > 0 ? left : 0);
    kit_assert_code(weft_sleep(INFINITY), -ETIMEDOUT);
    ck_assert(weft_now() >= sleeper[me].from - EARLY);
    // Who came too late did not sleep, and says nothing of the order.
    sleeper[me].rank = left > 0 ? ranks++ : -1;
    return 0;
}

static void check_ranks(int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            if (sleeper[i].rank >= 0 && sleeper[k].rank >= 0 &&
                sleeper[i].to < sleeper[k].from - EARLY)
                ck_assert_int_lt(sleeper[i].rank, sleeper[k].rank);
}

static void start_sleepers(weft_future **fs, int n, double step)
{
    double start = weft_now() + weft_test_seconds(0.02);

    for (int i = 0; i < n; i++) {
        sleeper[i].at = start + step * ((i * 29) % n);
        fs[i] = weft_task_start(sleep_until_mine, kit_number(i));
    }
}

KIT_TASK(sleepers_wake_in_the_order_of_their_deadlines)
{
    weft_future *fs[64];

    start_sleepers(fs, 16, 0.004);
    kit_assert_code(weft_gather_into(fs, 16, NULL, 0, NULL), 0);
    check_ranks(16);
}

static void burn(double seconds)
{
    double end = weft_now() + seconds;

    while (weft_now() < end)
        continue;
}

static int keep_the_worker_busy(void *arg)
{
    (void)arg;
    burn(weft_test_seconds(0.15));
    return 0;
}

// All of them have passed when the worker next looks: the order stays.
KIT_TASK(late_sleepers_wake_in_the_order_of_their_deadlines, .timeout = 20)
{
    weft_future *fs[64];

    start_sleepers(fs, 40, 0.002);
    weft_future *busy = weft_task_start(keep_the_worker_busy, NULL);
    kit_assert_code(weft_gather_into(fs, 40, NULL, 0, NULL), 0);
    kit_assert_code(weft_join(busy), 0);
    check_ranks(40);
}

// Many, far and canceled ------------------------------------------------------

static int sleep_at_random(void *arg)
{
    check_sleep((double)(intptr_t)arg * 1e-6);
    return 0;
}

KIT_BOTH(thousands_of_sleepers, .timeout = 30)
{
    static weft_future *fs[3000];

    for (int i = 0; i < 3000; i++)
        fs[i] = weft_task_start(sleep_at_random,
                                kit_number((long)(weft_test_random() % 30000)));
    kit_assert_code(weft_gather_into(fs, 3000, NULL, 0, NULL), 0);
}

static int sleep_far(void *arg)
{
    static const double far[] = {30, 3600, 86400, 1e6, 1e9, 1e18, INFINITY};
    int started = (int)(intptr_t)arg;

    return weft_sleep(far[started % 7]);
}

KIT_BOTH(far_deadlines_do_not_hide_near_ones, .timeout = 20)
{
    weft_future *far[70];

    for (int i = 0; i < 70; i++)
        far[i] = weft_task_start(sleep_far, kit_number(i));
    for (int i = 0; i < 10; i++)
        check_sleep(0.001);
    for (int i = 0; i < 70; i++)
        kit_assert_code(weft_cancel(far[i]), 0);
    for (int i = 0; i < 70; i++)
        kit_assert_code(weft_join(far[i]), -WEFT_EJOBCANCELED);
}

KIT_BOTH(timers_come_and_go, .timeout = 20)
{
    struct kit_gate gate = kit_gate_new();

    for (int i = 0; i < 20000; i++) {
        WEFT_TIMEOUT(1e-3 * (i % 1000 + 1) + 60);
        if (i % 100 == 0)
            kit_assert_code(weft_yield(), 0);
    }
    for (int i = 0; i < 200; i++) {
        WEFT_TIMEOUT(0.0001);
        kit_assert_code(kit_gate_wait(&gate), -ETIMEDOUT);
    }
    kit_gate_free(&gate);
}

static int sleep_in_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        check_sleep(0.0005);
    return 0;
}

KIT_BOTH(threads_and_tasks_sleep_side_by_side, .timeout = 20)
{
    weft_future *fs[16];

    for (int i = 0; i < 16; i++)
        fs[i] = i % 2 ? weft_thread_start(sleep_in_thread, NULL)
                      : weft_task_start(sleep_in_thread, NULL);
    kit_assert_code(weft_gather_into(fs, 16, NULL, 0, NULL), 0);
}

WEFT_TEST_MAIN("timer")
