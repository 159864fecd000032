// SPDX-License-Identifier: MIT
//
// Wakes that come late: for a record that has ended, that lives again in
// another runtime or as a thread, and whose worker has gone or serves another
// runtime. Several drivers open and close runs and pools over and over; the
// tasks in them play ping-pong, and now and then unpark some waiter of any
// driver, alive or not. Meanwhile a thread gives the memory of free records
// back as often as it can. No ball may be lost.
#include <math.h>
#include <sched.h>
#include <string.h>
#include <weft/weft.h>

#include "sched/here.h"
#include "sched/idle.h"
#include "sched/records.h"
#include "sched/worker.h"
#include "weft_test.h"

enum { DRIVERS = 4, KNOWN = 64, PAIRS = 4 };

struct pair {
    weft_waiter *player[2];
    uint32_t turn, last;
};

static weft_waiter *known[KNOWN];
static uint32_t stop;

static uint64_t draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static void disturb(uint64_t *random)
{
    weft_waiter **place = &known[draw(random) % KNOWN];
    weft_waiter *w = __atomic_load_n(place, __ATOMIC_SEQ_CST);
    if (w != NULL)
        weft_unpark(w);
    __atomic_store_n(&known[draw(random) % KNOWN], weft_self(),
                     __ATOMIC_SEQ_CST);
}

static int play(struct pair *p, unsigned me)
{
    uint64_t random = (uintptr_t)p + me + 1;
    __atomic_store_n(&p->player[me], weft_self(), __ATOMIC_SEQ_CST);
    for (uint32_t turn = me; turn < p->last; turn += 2) {
        while (__atomic_load_n(&p->turn, __ATOMIC_SEQ_CST) != turn)
            weft_park((double)INFINITY);
        __atomic_store_n(&p->turn, turn + 1, __ATOMIC_SEQ_CST);
        weft_waiter *other = __atomic_load_n(&p->player[!me], __ATOMIC_SEQ_CST);
        if (other != NULL)
            weft_unpark(other);
        if (draw(&random) % 4 == 0)
            disturb(&random);
    }
    return 0;
}

static int ping(void *arg)
{
    return play(arg, 0);
}

static int pong(void *arg)
{
    return play(arg, 1);
}

struct seat {
    struct pair *pair;
    unsigned who;
};

WEFT_JOB(long, player, struct seat, seat)
{
    return play(seat.pair, seat.who);
}

static weft_future *start(uint64_t *random, weft_function *fn, struct pair *p)
{
    return draw(random) % 3 == 0 ? weft_thread_start(fn, p)
                                 : weft_task_start(fn, p);
}

static int tasks_play(void *arg)
{
    uint64_t *random = arg;
    struct pair pairs[PAIRS];
    weft_future *f[2 * PAIRS];
    memset(pairs, 0, sizeof pairs);
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i].last = 2 * (uint32_t)(draw(random) % 20);
        f[2 * i] = start(random, ping, &pairs[i]);
        f[2 * i + 1] = start(random, pong, &pairs[i]);
    }
    return weft_gather_into(f, 2 * PAIRS, NULL, 0, NULL);
}

static int jobs_play(uint64_t *random)
{
    weft_executor *ex =
        weft_thread_pool(.workers = 1 + (unsigned)(draw(random) % 3),
                         .blocking = draw(random) % 3 == 0);
    struct pair pairs[PAIRS];
    weft_future *f[2 * PAIRS];
    memset(pairs, 0, sizeof pairs);
    for (unsigned i = 0; i < PAIRS; i++) {
        pairs[i].last = 2 * (uint32_t)(draw(random) % 20);
        f[2 * i] = weft_submit(ex, player, .pair = &pairs[i], .who = 0);
        f[2 * i + 1] = weft_submit(ex, player, .pair = &pairs[i], .who = 1);
    }
    int rc = weft_gather_into(f, 2 * PAIRS, NULL, 0, NULL);
    weft_executor_close(ex);
    return rc;
}

static int drive(void *arg)
{
    uint64_t random = *(uint64_t *)arg | 1;
    int rc = 0;
    while (rc == 0 && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        unsigned workers = 1 + (unsigned)(draw(&random) % 4);
        rc = draw(&random) % 3 == 0
                 ? jobs_play(&random)
                 : weft_run(tasks_play, &random, .workers = workers);
    }
    return rc;
}

static int trim(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        wi_records_trim(&wi_here);
        sched_yield();
    }
    return 0;
}

WEFT_TEST(no_ball_is_lost, .timeout = 30)
{
    uint64_t seeds[DRIVERS];
    weft_future *drivers[DRIVERS], *trimmer = weft_thread_start(trim, NULL);
    for (int i = 0; i < DRIVERS; i++) {
        seeds[i] = weft_test_random();
        drivers[i] = weft_thread_start(drive, &seeds[i]);
    }
    weft_sleep(3);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < DRIVERS; i++)
        ck_assert_int_eq(weft_join(drivers[i]), 0);
    ck_assert_int_eq(weft_join(trimmer), 0);
}

// Who has queued something looks for a sleeper after that; by then it may have
// run and ended, and its runtime with it.
static void run_nothing(struct wi_task *t)
{
    (void)t;
}

WEFT_TEST(a_runtime_that_has_gone_has_nobody_to_wake)
{
    struct wi_runtime *runtime;
    ck_assert_int_eq(wi_runtime_new(&runtime, 2, false, 0, run_nothing), 0);
    wi_runtime_free(runtime);
    wi_runtime_wake_idle(runtime);
    ck_assert_uint_eq(runtime->searching, 0);
    // One that slept when its bit was taken, and has left since.
    runtime->idle[0] = 1;
    wi_runtime_wake_idle(runtime);
    ck_assert_uint_eq(runtime->idle[0], 0);
}

WEFT_TEST_MAIN("late_wake")
