// SPDX-License-Identifier: MIT
// weft_park and weft_unpark: no wake is lost, whoever gives it to whom.
#include "kit.h"

#include <pthread.h>
#include <sys/time.h>

KIT_BOTH(an_unpark_that_comes_first_is_remembered)
{
    for (int i = 0; i < 10; i++) {
        weft_unpark(weft_self());
        kit_assert_code(weft_park(INFINITY), 0);
    }
}

KIT_BOTH(many_unparks_are_one)
{
    for (int i = 0; i < 100; i++)
        weft_unpark(weft_self());
    kit_assert_code(weft_park(INFINITY), 0);
    // A wake may be spurious, but not for ever.
    int rc, n = 0;
    while ((rc = weft_park(0.0001)) == 0)
        ck_assert_int_lt(n++, 101);
    kit_assert_code(rc, -ETIMEDOUT);
}

static void park_for(double seconds)
{
    double before = weft_now();
    int rc;

    while ((rc = weft_park(seconds)) == 0)
        continue;
    kit_assert_code(rc, -ETIMEDOUT);
    ck_assert(weft_now() - before >= seconds - 1e-6);
}

KIT_BOTH(a_park_ends_when_its_time_has_passed)
{
    park_for(0.005);
    kit_assert_code(weft_park(0), -ETIMEDOUT);
    kit_assert_code(weft_park(-1), -ETIMEDOUT);
}

static int yield_until_told(void *arg)
{
    while (!kit_load(arg))
        weft_yield();
    return 0;
}

// Alone, and beside a task that never lets the worker be idle.
KIT_BOTH(a_limit_that_is_over_before_the_wait_begins_ends_it)
{
    for (int beside = 0; beside < 2; beside++) {
        int told = 0;
        weft_future *other =
            beside ? weft_task_start(yield_until_told, &told) : NULL;
        for (int i = 0; i < 50; i++)
            kit_assert_code(weft_park(1e-9), -ETIMEDOUT);
        __atomic_store_n(&told, 1, __ATOMIC_SEQ_CST);
        if (other != NULL)
            kit_assert_code(weft_join(other), 0);
    }
}

// Not before, either, where the worker looks at its timers all the time.
KIT_BOTH(a_park_beside_a_busy_task_is_not_too_short)
{
    int told = 0;
    weft_future *other = weft_task_start(yield_until_told, &told);

    for (int i = 0; i < 20; i++)
        park_for(0.0005 + i * 0.0001);
    __atomic_store_n(&told, 1, __ATOMIC_SEQ_CST);
    kit_assert_code(weft_join(other), 0);
}

// A scope's time was made from now, too, but long ago.
KIT_BOTH(the_passed_time_of_a_scope_comes_before_a_wake)
{
    WEFT_TIMEOUT(1e-6);
    double end = weft_now() + 2e-6;
    while (weft_now() < end)
        continue;
    weft_unpark(weft_self());
    kit_assert_code(weft_park(INFINITY), -ETIMEDOUT);
}

static int park_until_canceled(void *arg)
{
    int rc;

    kit_count(arg);
    while ((rc = weft_park(INFINITY)) == 0)
        continue;
    kit_assert_code(rc, -ECANCELED);
    return 4;
}

KIT_BOTH(cancel_ends_a_park)
{
    int started = 0;
    weft_future *task = weft_task_start(park_until_canceled, &started);
    weft_future *thread = weft_thread_start(park_until_canceled, &started);

    kit_await(&started, 2);
    kit_assert_code(weft_cancel(task), 0);
    kit_assert_code(weft_cancel(thread), 0);
    kit_assert_code(weft_join(task), 4);
    kit_assert_code(weft_join(thread), 4);
}

// At the deadline -------------------------------------------------------------

struct drowsy {
    weft_waiter *self;
    int woken, over;
};

// Parks for so short a time that a wake often comes when that ends.
static int park_briefly(void *arg)
{
    struct drowsy *d = arg;

    __atomic_store_n(&d->self, weft_self(), __ATOMIC_SEQ_CST);
    while (!kit_load(&d->over))
        if (weft_park(2e-5) == 0)
            kit_count(&d->woken);
    return 0;
}

// Each wake ends a wait, this one or the next.
static int wake_often(void *arg)
{
    struct drowsy *d = arg;
    weft_waiter *self;

    while (!(self = __atomic_load_n(&d->self, __ATOMIC_SEQ_CST)))
        sched_yield();
    for (int i = 0; i < (KIT_SANITIZED ? 500 : 5000); i++) {
        int before = kit_load(&d->woken);
        double at = weft_now() + (double)(weft_test_random() % 60) * 1e-6;
        while (weft_now() < at)
            continue;
        weft_unpark(self);
        while (kit_load(&d->woken) == before)
            sched_yield();
    }
    __atomic_store_n(&d->over, 1, __ATOMIC_SEQ_CST);
    return 0;
}

KIT_BOTH(a_wake_at_the_deadline_is_not_lost, .timeout = 30)
{
    struct drowsy d = {.self = NULL};
    weft_future *waker = weft_thread_start(wake_often, &d);

    park_briefly(&d);
    kit_assert_code(weft_join(waker), 0);
}

// Ping and pong ---------------------------------------------------------------

struct player {
    weft_waiter *self, *other;
    int *ball, mine;
    int ready, rounds;
};

static int play(void *arg)
{
    struct player *p = arg;

    __atomic_store_n(&p->self, weft_self(), __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&p->other, __ATOMIC_SEQ_CST))
        if (weft_yield() == 0)
            sched_yield();
    for (int i = 0; i < p->rounds; i++) {
        while (kit_load(p->ball) != p->mine)
            kit_assert_code(weft_park(INFINITY), 0);
        __atomic_store_n(p->ball, !p->mine, __ATOMIC_SEQ_CST);
        weft_unpark(p->other);
    }
    return 0;
}

typedef weft_future *starter(weft_function *fn, void *arg);

static weft_future *as_task(weft_function *fn, void *arg)
{
    return weft_task_start(fn, arg);
}

static weft_future *as_thread(weft_function *fn, void *arg)
{
    return weft_thread_start(fn, arg);
}

static void introduce(struct player *p, struct player *q)
{
    weft_waiter *self;

    while (!(self = __atomic_load_n(&p->self, __ATOMIC_SEQ_CST)))
        weft_yield();
    __atomic_store_n(&q->other, self, __ATOMIC_SEQ_CST);
}

static void match(starter *start_a, starter *start_b, int rounds)
{
    int ball = 0;
    struct player a = {.ball = &ball, .mine = 0, .rounds = rounds};
    struct player b = {.ball = &ball, .mine = 1, .rounds = rounds};
    weft_future *first = start_a(play, &a), *second = start_b(play, &b);

    introduce(&a, &b);
    introduce(&b, &a);
    kit_assert_code(weft_join(first), 0);
    kit_assert_code(weft_join(second), 0);
}

KIT_BOTH(ping_pong_of_two_tasks, .timeout = 20)
{
    match(as_task, as_task, 5000);
}

KIT_BOTH(ping_pong_of_two_threads, .timeout = 20)
{
    match(as_thread, as_thread, 2000);
}

KIT_BOTH(ping_pong_of_a_task_and_a_thread, .timeout = 20)
{
    match(as_task, as_thread, 2000);
    match(as_thread, as_task, 2000);
}

static int many_matches(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        match(as_task, as_task, 200);
    return 0;
}

WEFT_TEST(ping_pong_on_four_workers, .timeout = 20)
{
    kit_assert_code(weft_run(many_matches, NULL, .workers = 4), 0);
}

// Wakes from many threads -----------------------------------------------------

static struct {
    weft_waiter *waiter;
    int sent, stop;
} flood;

static int send_wakes(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&flood.waiter, __ATOMIC_SEQ_CST))
        sched_yield();
    for (int i = 0; i < 5000; i++) {
        kit_count(&flood.sent);
        weft_unpark(flood.waiter);
    }
    return 0;
}

static int receive_wakes(void *arg)
{
    int want = (int)(intptr_t)arg;

    __atomic_store_n(&flood.waiter, weft_self(), __ATOMIC_SEQ_CST);
    while (kit_load(&flood.sent) < want)
        kit_assert_code(weft_park(INFINITY), 0);
    return 0;
}

KIT_BOTH(a_flood_of_wakes_from_threads, .timeout = 20)
{
    weft_future *senders[4];
    weft_future *receiver =
        weft_task_start(receive_wakes, kit_number(4 * 5000));

    for (int i = 0; i < 4; i++)
        senders[i] = weft_thread_start(send_wakes, NULL);
    kit_assert_code(weft_join(receiver), 0);
    kit_assert_code(weft_gather_into(senders, 4, NULL, 0, NULL), 0);
}

static int leave_self(void *arg)
{
    *(weft_waiter **)arg = weft_self();
    return 0;
}

static int sleep_a_moment(void *arg)
{
    double before = weft_now();

    (void)arg;
    kit_assert_code(weft_sleep(0.001), 0);
    ck_assert(weft_now() - before >= 0.001 - 1e-6);
    return 0;
}

// The record of an ended task is used again: whoever has it now sees at most a
// spurious wake, and a sleep is not cut short by one.
KIT_BOTH(a_waiter_that_has_ended_may_be_unparked)
{
    weft_waiter *old[50];
    weft_future *now[50];

    for (int i = 0; i < 50; i++)
        kit_assert_code(weft_join(weft_task_start(leave_self, &old[i])), 0);
    for (int i = 0; i < 50; i++)
        now[i] = weft_task_start(sleep_a_moment, NULL);
    for (int k = 0; k < 20; k++) {
        for (int i = 0; i < 50; i++)
            weft_unpark(old[i]);
        weft_yield();
    }
    kit_assert_code(weft_gather_into(now, 50, NULL, 0, NULL), 0);
}

static void *leave_self_in_pthread(void *arg)
{
    leave_self(arg);
    return NULL;
}

KIT_BOTH(a_thread_that_has_ended_may_be_unparked)
{
    weft_waiter *old = NULL;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, leave_self_in_pthread, &old),
                     0);
    pthread_join(thread, NULL);
    ck_assert_ptr_nonnull(old);
    for (int i = 0; i < 100; i++)
        weft_unpark(old);
}

// From a signal handler -------------------------------------------------------

static weft_waiter *target;
static int alarms;

static void on_alarm(int signal)
{
    (void)signal;
    __atomic_fetch_add(&alarms, 1, __ATOMIC_SEQ_CST);
    weft_unpark_signal(target);
}

static int park_for_alarms(void *arg)
{
    struct itimerval every = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};

    (void)arg;
    target = weft_self();
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &every, NULL);
    while (kit_load(&alarms) < 50)
        kit_assert_code(weft_park(INFINITY), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    return 0;
}

KIT_BOTH(a_signal_handler_unparks, .timeout = 20)
{
    kit_assert_code(park_for_alarms(NULL), 0);
}

WEFT_TEST(a_signal_handler_unparks_a_task_of_another_thread, .timeout = 20)
{
    kit_assert_code(weft_join(weft_task_start(park_for_alarms, NULL)), 0);
}

// What has a record of its own ------------------------------------------------

KIT_BOTH(self_is_the_same_each_time)
{
    weft_waiter *self = weft_self(), *other = NULL;

    ck_assert_ptr_nonnull(self);
    kit_assert_code(weft_join(weft_thread_start(leave_self, &other)), 0);
    ck_assert_ptr_ne(self, other);
    weft_yield();
    ck_assert_ptr_eq(self, weft_self());
}

WEFT_TEST_MAIN("park")
