// SPDX-License-Identifier: MIT
//
// Clocks that jump. The program has a clock_gettime of its own, which the
// library finds first: the time of day goes wherever it likes, and the
// monotonic clock leaps forward, as after a machine was stopped.
#include "kit.h"

#include <sys/syscall.h>
#include <time.h>

static int64_t leap; // ns, of the monotonic clock: atomic
static uint64_t asked_for_time_of_day;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t ns;

    if (clock == CLOCK_REALTIME) {
        uint64_t n =
            __atomic_add_fetch(&asked_for_time_of_day, 1, __ATOMIC_RELAXED);
        *now = (struct timespec){.tv_sec = n % 2 ? 1 : 4000000000};
        return 0;
    }
    if (syscall(SYS_clock_gettime, clock, now) < 0)
        return -1;
    if (clock != CLOCK_MONOTONIC)
        return 0;
    ns = now->tv_nsec + __atomic_load_n(&leap, __ATOMIC_RELAXED);
    now->tv_sec += ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}

static void leap_by(double seconds)
{
    __atomic_fetch_add(&leap, (int64_t)(seconds * 1e9), __ATOMIC_RELAXED);
}

// Waits of all kinds, none of which may be shorter or longer for that.
static void wait_in_all_ways(void)
{
    int fds[2];
    double before = weft_now();
    char c;

    kit_assert_code(weft_sleep(0.01), 0);
    ck_assert(weft_now() >= before + 0.01);
    ck_assert_int_eq(pipe(fds), 0);
    {
        WEFT_TIMEOUT(0.01);
        kit_assert_code(weft_read(fds[0], &c, 1), -ETIMEDOUT);
        kit_assert_code(weft_park(INFINITY), -ETIMEDOUT);
    }
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    {
        WEFT_TIMEOUT(3600);
        kit_assert_code(weft_read(fds[0], &c, 1), 1);
    }
    weft_close(fds[0]);
    weft_close(fds[1]);
}

KIT_BOTH(the_time_of_day_jumps)
{
    for (int i = 0; i < 10; i++) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now); // here it does
        wait_in_all_ways();
    }
}

// A case in a task, after which the clock is right again for who measures it.
#define LEAPING(name)                                                          \
    static int body_##name(void *arg);                                         \
    WEFT_TEST(name)                                                            \
    {                                                                          \
        int rc = weft_run(body_##name, NULL);                                  \
        __atomic_store_n(&leap, 0, __ATOMIC_RELAXED);                          \
        kit_assert_code(rc, 0);                                                \
    }                                                                          \
    static int body_##name(void *arg)

static int sleep_long(void *arg)
{
    return weft_sleep(*(double *)arg);
}

static int read_a_byte(void *arg)
{
    char c;
    return (int)weft_read(*(int *)arg, &c, 1);
}

static int read_for_long(void *arg)
{
    WEFT_TIMEOUT(1800);
    return read_a_byte(arg);
}

// What was due while the clock leaped ends at the next turn; what was not,
// does not.
LEAPING(the_monotonic_clock_leaps)
{
    double half = 1800, two = 7200;
    int fds[2];

    (void)arg;
    ck_assert_int_eq(pipe(fds), 0);
    weft_future *sleeper = weft_task_start(sleep_long, &half);
    weft_future *reader = weft_task_start(read_for_long, &fds[0]);
    weft_future *longer = weft_task_start(sleep_long, &two);
    for (int i = 0; i < 3; i++) {
        weft_yield(); // all have begun
        weft_sleep(0.001);
    }
    leap_by(3600);
    weft_sleep(0.001);
    kit_assert_code(weft_join(sleeper), 0);
    kit_assert_code(weft_join(reader), -WEFT_EJOBTIMEOUT);
    ck_assert(!weft_done(longer));
    wait_in_all_ways();
    ck_assert(!weft_done(longer));
    leap_by(3600);
    weft_sleep(0.001);
    kit_assert_code(weft_join(longer), 0);
    weft_close(fds[0]);
    weft_close(fds[1]);
    return 0;
}

// Years, in which a timer wheel goes round many times. The kernel's own clock
// stays where it is: so the worker must sleep in its loop, which says for how
// long, and not until when.
LEAPING(the_monotonic_clock_leaps_far)
{
    int fds[2];

    (void)arg;
    ck_assert_int_eq(pipe(fds), 0);
    weft_future *reader = weft_task_start(read_a_byte, &fds[0]);
    for (int i = 0; i < 20; i++) {
        double seconds = 1e-3 * (1 << i);
        weft_future *sleeper = weft_task_start(sleep_long, &seconds);

        weft_sleep(0.001);
        leap_by(1e8);
        weft_sleep(0.0001);
        kit_assert_code(weft_join(sleeper), 0);
    }
    wait_in_all_ways();
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    kit_assert_code(weft_join(reader), 1);
    weft_close(fds[0]);
    weft_close(fds[1]);
    return 0;
}

WEFT_TEST_MAIN("clock")
