// SPDX-License-Identifier: MIT
// weft_timer: once, again and again, cancelled, started anew.
#include "kit.h"

struct bell {
    struct weft_timer timer;
    int rings;
    int limit; // the timer stops itself then
    double last;
};

static void ring(void *arg)
{
    struct bell *b = arg;
    b->last = weft_now();
    if (kit_load(&b->rings) + 1 == kit_load(&b->limit))
        weft_timer_cancel(&b->timer);
    kit_count(&b->rings);
}

KIT_BOTH(a_timer_fires_once)
{
    struct bell b = {.rings = 0};
    double before = weft_now();
    ck_assert(!weft_timer_pending(&b.timer));
    kit_assert_code(weft_timer_join(&b.timer), 0);
    kit_assert_code(weft_timer_cancel(&b.timer), 0);
    kit_assert_code(weft_timer_start(&b.timer, 3600, ring, &b), 0);
    ck_assert(weft_timer_pending(&b.timer));
    kit_assert_code(weft_timer_cancel(&b.timer), 1);
    kit_assert_code(weft_timer_start(&b.timer, 0.002, ring, &b), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 1);
    ck_assert(b.last - before >= 0.002 - 1e-6);
    ck_assert(!weft_timer_pending(&b.timer));
    kit_assert_code(weft_timer_cancel(&b.timer), 0);
    // And again, with the same storage, at a time of day.
    kit_assert_code(
        weft_timer_start(&b.timer, 0, ring, &b, .at = weft_now() + 0.002), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 2);
}

KIT_BOTH(a_cancelled_timer_never_fires)
{
    struct bell b = {.rings = 0};
    kit_assert_code(weft_timer_start(&b.timer, 0.001, ring, &b), 0);
    if (weft_timer_cancel(&b.timer) == 1)
        ck_assert_int_eq(b.rings, 0);
    ck_assert(!weft_timer_pending(&b.timer));
    kit_assert_code(weft_timer_start(&b.timer, 3600, ring, &b), 0);
    kit_assert_code(weft_timer_cancel(&b.timer), 1);
    kit_assert_code(weft_timer_cancel(&b.timer), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    weft_sleep(0.005);
    ck_assert_int_le(b.rings, 1);
}

KIT_BOTH(a_periodic_timer_keeps_its_beat)
{
    struct bell b = {.limit = 5};
    double before = weft_now();
    kit_assert_code(
        weft_timer_start(&b.timer, 0.001, ring, &b, .period = 0.001), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 5);
    ck_assert(b.last - before >= 0.005 - 1e-6);
}

static void ring_and_start(void *arg)
{
    struct bell *b = arg;
    kit_count(&b->rings);
    if (b->rings < 4)
        kit_assert_code(weft_timer_start(&b->timer, 0.0005, ring_and_start, b),
                        0);
}

KIT_BOTH(a_timer_may_start_itself_anew)
{
    struct bell b = {.rings = 0};
    kit_assert_code(weft_timer_start(&b.timer, 0, ring_and_start, &b), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 4);
}

KIT_BOTH(starting_a_pending_timer_sets_it_anew)
{
    struct bell b = {.rings = 0}, other = {.rings = 0};
    kit_assert_code(weft_timer_start(&b.timer, 3600, ring, &b), 0);
    kit_assert_code(weft_timer_start(&b.timer, 0.001, ring, &other), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 0);
    ck_assert_int_eq(other.rings, 1);
}

enum { ROW = 20 };

// Whether all were pending before the first could fire: else their order says
// nothing.
static bool ring_in_a_row(struct bell b[ROW], double lead)
{
    double first = weft_now() + lead;
    for (int i = ROW; i-- > 0;)
        kit_assert_code(weft_timer_start(&b[i].timer, 0, ring, &b[i],
                                         .at = first + i * 0.0025),
                        0);
    bool in_time = weft_now() < first;
    for (int i = 0; i < ROW; i++)
        kit_assert_code(weft_timer_join(&b[i].timer), 0);
    return in_time;
}

KIT_BOTH(timers_fire_in_the_order_of_their_times, .timeout = 60)
{
    struct bell b[ROW] = {{.rings = 0}};
    for (double lead = 0.004; !ring_in_a_row(b, lead); lead *= 2)
        memset(b, 0, sizeof b);
    for (int i = 1; i < ROW; i++)
        ck_assert(b[i - 1].last <= b[i].last);
}

struct slow {
    struct weft_timer timer;
    struct kit_gate gate;
    int entered, left;
};

static void wait_at_gate(void *arg)
{
    struct slow *s = arg;
    kit_count(&s->entered);
    kit_gate_wait(&s->gate);
    kit_count(&s->left);
}

// The function may wait like any task; cancel does not wait for it, join does.
KIT_BOTH(a_running_timer_is_waited_for)
{
    struct slow s = {.gate = kit_gate_new()};
    kit_assert_code(
        weft_timer_start(&s.timer, 0, wait_at_gate, &s, .period = 0.001), 0);
    kit_await(&s.entered, 1);
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_timer_join(&s.timer), -ETIMEDOUT);
    }
    ck_assert(weft_timer_pending(&s.timer));
    kit_assert_code(weft_timer_cancel(&s.timer), 0);
    ck_assert(!weft_timer_pending(&s.timer));
    kit_gate_open(&s.gate);
    kit_assert_code(weft_timer_join(&s.timer), 0);
    ck_assert_int_eq(s.entered, 1);
    ck_assert_int_eq(s.left, 1);
    kit_gate_free(&s.gate);
}

static struct bell forgotten;

static int forget_a_timer(void *arg)
{
    (void)arg;
    struct weft_timer_options every = {.size = sizeof every, .period = 1000};
    return weft_timer_start_with(&forgotten.timer, 1000, ring, &forgotten,
                                 &every);
}

WEFT_TEST(what_is_pending_at_the_end_of_a_run_never_fires)
{
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(weft_run(forget_a_timer, NULL), 0);
        ck_assert(!weft_timer_pending(&forgotten.timer));
        kit_assert_code(weft_timer_cancel(&forgotten.timer), 0);
    }
    ck_assert_int_eq(forgotten.rings, 0);
    // The storage may be used by another run.
    kit_assert_code(weft_timer_start(&forgotten.timer, 0, ring, &forgotten), 0);
    kit_assert_code(weft_timer_join(&forgotten.timer), 0);
    ck_assert_int_eq(forgotten.rings, 1);
}

static int start_while_ending(void *arg)
{
    int rc = weft_sleep(INFINITY);
    kit_assert_code(rc, -ECANCELED);
    *(int *)arg = weft_timer_start(&forgotten.timer, 0, ring, &forgotten);
    return 0;
}

static int leave_a_late_starter(void *arg)
{
    weft_future_unref(weft_task_start(start_while_ending, arg));
    return weft_yield();
}

WEFT_TEST(a_run_that_ends_takes_no_timers)
{
    int rc = 1;
    forgotten.rings = 0;
    ck_assert_int_eq(weft_run(leave_a_late_starter, &rc), 0);
    kit_assert_code(rc, -WEFT_ECLOSED);
    ck_assert_int_eq(forgotten.rings, 0);
}

// A timer's function outlasts the timers of its run, which another run gets
// meanwhile: its later runs must not come there.
static int in_function, taken_over;

static void outlast(void *arg)
{
    struct bell *b = arg;
    kit_count(&b->rings);
    kit_count(&in_function);
    WEFT_SHIELD(INFINITY);
    while (kit_load(&taken_over) == 0)
        weft_yield();
}

static int leave_while_it_runs(void *arg)
{
    struct bell *b = arg;
    int rc = weft_timer_start(&b->timer, 0, outlast, b, .period = 0.001);
    kit_await(&in_function, 1);
    return rc;
}

static int run_with_it(void *arg)
{
    return weft_run(leave_while_it_runs, arg);
}

// Its service is the one that was given back last, if that was.
static int take_over(void *arg)
{
    struct bell *old = arg, own = {.rings = 0};
    struct weft_timer probe = {.state = 0};
    kit_assert_code(weft_timer_start(&probe, 1000, ring, &own), 0);
    kit_assert_code(weft_timer_cancel(&probe), 1);
    if (probe.home != old->timer.home)
        return -EAGAIN; // the other run's timers are not at their end yet
    kit_assert_code(weft_timer_start(&old->timer, 0, ring, &own), -EBUSY);
    kit_count(&taken_over);
    kit_assert_code(weft_timer_join(&old->timer), 0);
    // If it went on here it would do so before this one.
    kit_assert_code(weft_timer_start(&own.timer, 0.01, ring, &own), 0);
    kit_assert_code(weft_timer_join(&own.timer), 0);
    ck_assert(!weft_timer_pending(&old->timer));
    return 0;
}

WEFT_TEST(a_periodic_timer_ends_with_its_run)
{
    struct bell b = {.rings = 0};
    weft_future *f = weft_thread_start(run_with_it, &b);
    kit_await(&in_function, 1);
    while (weft_run(take_over, &b) == -EAGAIN)
        sched_yield();
    kit_assert_code(weft_join(f), 0);
    ck_assert_int_eq(b.rings, 1);
}

KIT_BOTH(a_time_may_be_beyond_all)
{
    struct bell b = {.rings = 0};
    // The fourth is a little more than 2^62 ns, which a wheel does not reach.
    const double never[] = {INFINITY, 1e300, 1e10, 4.65e9};
    for (int i = 0; i < 4; i++) {
        kit_assert_code(weft_timer_start(&b.timer, 0, ring, &b, .at = never[i]),
                        0);
        ck_assert(weft_timer_pending(&b.timer));
        struct bell soon = {.rings = 0};
        kit_assert_code(weft_timer_start(&soon.timer, 0.001, ring, &soon), 0);
        kit_assert_code(weft_timer_join(&soon.timer), 0);
        kit_assert_code(weft_timer_cancel(&b.timer), 1);
    }
    kit_assert_code(weft_timer_start(&b.timer, 0, ring, &b, .at = -INFINITY),
                    0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    ck_assert_int_eq(b.rings, 1);
}

WEFT_JOB(int, ring_from_a_job)
{
    struct bell b = {.rings = 0};
    kit_assert_code(weft_timer_start(&b.timer, 0.001, ring, &b), 0);
    kit_assert_code(weft_timer_join(&b.timer), 0);
    return b.rings;
}

WEFT_TEST(a_job_may_use_timers)
{
    weft_executor *ex = weft_thread_pool(.workers = 2);
    int rings = 0;
    kit_assert_code(weft_result(weft_submit(ex, ring_from_a_job), &rings), 0);
    ck_assert_int_eq(rings, 1);
    weft_executor_close(ex);
}

static struct weft_timer own;

static void join_itself(void *arg)
{
    (void)arg;
    weft_timer_join(&own);
}

static void start_self_join(void)
{
    weft_timer_start(&own, 0, join_itself, NULL);
    weft_timer_join(&own);
}

WEFT_TEST(joining_the_own_timer_aborts)
{
    kit_assert_aborts(start_self_join, "its own timer");
}

// Each timer that was set either rang or was prevented, whoever did what.
struct storm {
    struct bell bell[50];
    int set, prevented;
};

static int make_storm(void *arg)
{
    struct storm *s = arg;
    uint64_t x = (uint64_t)(uintptr_t)&x ^ weft_current_id();
    for (int i = 0; i < (KIT_SANITIZED ? 300 : 2000); i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        struct bell *b = &s->bell[(x >> 33) % 50];
        double seconds = (double)((x >> 40) % 100) * 1e-5;
        // Only one at a time sets the same one.
        if (__atomic_exchange_n(&b->limit, -1, __ATOMIC_ACQUIRE) == 0) {
            if (weft_timer_cancel(&b->timer) == 1)
                kit_count(&s->prevented);
            kit_assert_code(weft_timer_join(&b->timer), 0);
            kit_assert_code(weft_timer_start(&b->timer, seconds, ring, b), 0);
            kit_count(&s->set);
            __atomic_store_n(&b->limit, 0, __ATOMIC_RELEASE);
        } else if (weft_timer_cancel(&b->timer) == 1) {
            kit_count(&s->prevented);
        }
        if (i % 16 == 0)
            weft_yield();
    }
    return 0;
}

static void run_storm(bool threads)
{
    static struct storm s;
    memset(&s, 0, sizeof s);
    weft_future *f[4];
    int rings = 0;
    for (int i = 0; i < 4; i++)
        f[i] = threads && i % 2 ? weft_thread_start(make_storm, &s)
                                : weft_task_start(make_storm, &s);
    for (int i = 0; i < 4; i++)
        kit_assert_code(weft_join(f[i]), 0);
    for (int i = 0; i < 50; i++) {
        kit_assert_code(weft_timer_join(&s.bell[i].timer), 0);
        rings += s.bell[i].rings;
    }
    ck_assert_int_eq(rings + s.prevented, s.set);
}

WEFT_TEST(nothing_rings_twice_or_gets_lost_in_a_storm, .timeout = 30)
{
    run_storm(true);
}

KIT_TASK(nor_among_tasks, .timeout = 30)
{
    run_storm(false);
}

KIT_BOTH(a_great_many_can_be_pending)
{
    enum { MANY = 100000 };
    struct weft_timer *timers = calloc(MANY, sizeof *timers);
    struct bell b = {.rings = 0};
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_timer_start(&timers[i], 1000 + i % 977, ring, &b),
                        0);
    for (int i = 0; i < MANY; i++)
        kit_assert_code(weft_timer_cancel(&timers[i]), 1);
    kit_assert_code(weft_timer_start(&timers[0], 0, ring, &b), 0);
    kit_assert_code(weft_timer_join(&timers[0]), 0);
    ck_assert_int_eq(b.rings, 1);
    free(timers);
}

// Timers that are freed when they are over ------------------------------------

static int made, over;

struct own_bell {
    struct weft_timer timer;
    int rings;
    int again; // how often it sets itself anew
};

static struct own_bell *own_bell(int again)
{
    struct own_bell *b = calloc(1, sizeof *b);
    ck_assert_ptr_nonnull(b);
    b->again = again;
    kit_count(&made);
    return b;
}

static void free_bell(void *arg)
{
    struct own_bell *b = arg;
    ck_assert(!weft_timer_pending(&b->timer));
    memset(b, 0x5a, sizeof *b);
    free(b);
    kit_count(&over);
}

static void ring_own(void *arg)
{
    struct own_bell *b = arg;
    kit_count(&b->rings);
    if (b->again-- > 0)
        kit_assert_code(
            weft_timer_start(&b->timer, 0, ring_own, b, .over = free_bell), 0);
    else
        weft_timer_cancel(&b->timer);
    weft_yield();
}

KIT_BOTH(a_timer_that_is_over_may_be_freed)
{
    made = over = 0;
    for (int again = 0; again < 3; again++) {
        struct own_bell *b = own_bell(again);
        kit_assert_code(
            weft_timer_start(&b->timer, 0, ring_own, b, .over = free_bell), 0);
    }
    struct own_bell *b = own_bell(0);
    kit_assert_code(weft_timer_start(&b->timer, 0, ring_own, b,
                                     .over = free_bell, .period = 0.001),
                    0);
    kit_await(&over, made);
    b = own_bell(0);
    kit_assert_code(
        weft_timer_start(&b->timer, 3600, ring_own, b, .over = free_bell), 0);
    kit_assert_code(
        weft_timer_start(&b->timer, 1800, ring_own, b, .over = free_bell), 0);
    ck_assert_int_eq(over, made - 1); // set anew: not over
    kit_assert_code(weft_timer_cancel(&b->timer), 1);
    ck_assert_int_eq(over, made);
}

static int leave_pending(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        struct own_bell *b = own_bell(0);
        kit_assert_code(weft_timer_start(&b->timer, i % 2 ? 0 : 60 + i,
                                         ring_own, b, .over = free_bell),
                        0);
    }
    return 0;
}

WEFT_TEST(what_a_run_leaves_pending_is_over_with_it)
{
    made = over = 0;
    kit_assert_code(weft_run(leave_pending, NULL), 0);
    ck_assert_int_eq(made, 100);
    ck_assert_int_eq(over, made);
}

static struct weft_lock table_lock;
static struct own_bell *table[64];

// What a cache does: who is due leaves the table, who is replaced is canceled.
static void leave_table(void *arg)
{
    WEFT_LOCKED(&table_lock);
    for (size_t i = 0; i < 64; i++) {
        if (table[i] == arg)
            table[i] = NULL;
    }
}

static int replace_many(void *arg)
{
    unsigned seed = (unsigned)(intptr_t)arg;
    for (int i = 0; i < 500; i++) {
        if (i % 16 == 0)
            weft_sleep(0.0002);
        struct own_bell *b = own_bell(0);
        WEFT_LOCKED(&table_lock);
        struct own_bell **place = &table[rand_r(&seed) % 64];
        if (*place != NULL)
            weft_timer_cancel(&(*place)->timer);
        *place = b;
        kit_assert_code(weft_timer_start(&b->timer, (i % 4) * 0.0005,
                                         leave_table, b, .over = free_bell),
                        0);
    }
    return 0;
}

KIT_BOTH(each_is_over_once_whoever_ends_it, .timeout = 60)
{
    made = over = 0;
    weft_future *f = weft_thread_start(replace_many, kit_number(1));
    replace_many(kit_number(2));
    kit_assert_code(weft_join(f), 0);
    for (size_t i = 0; i < 64; i++) {
        WEFT_LOCKED(&table_lock);
        if (table[i] != NULL)
            weft_timer_cancel(&table[i]->timer);
    }
    kit_await(&over, made);
}

// Any thread may start and cancel a timer, also when it goes from one run to
// another meanwhile.
enum { SHARED = 4, TURNS = KIT_SANITIZED ? 20000 : 300000 };
static struct weft_timer shared_timers[SHARED];

static void nothing(void *arg)
{
    (void)arg;
}

static int start_and_cancel(void *arg)
{
    uint32_t random = weft_test_seed() + (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < TURNS; i++) {
        random = random * 1664525u + 1013904223u;
        struct weft_timer *timer = &shared_timers[random >> 30];
        double seconds = (random >> 28 & 1) + (random >> 20 & 15) * 1e-5;
        int rc = random >> 29 & 1
                     ? weft_timer_start(timer, seconds, nothing, NULL)
                     : weft_timer_cancel(timer);
        if (rc < 0 && rc != -EBUSY)
            return rc;
        if (i % 64 == 0)
            weft_yield();
    }
    return 0;
}

static int start_and_cancel_in_a_run(void *arg)
{
    return weft_run(start_and_cancel, arg);
}

WEFT_TEST(timers_go_from_run_to_run, .timeout = 60)
{
    weft_future *fs[3];
    for (int i = 0; i < 3; i++)
        fs[i] = weft_thread_start(i == 0 ? start_and_cancel
                                         : start_and_cancel_in_a_run,
                                  kit_number(i));
    kit_assert_code(weft_gather_into(fs, 3, NULL, 0, NULL), 0);
    for (int i = 0; i < SHARED; i++)
        weft_timer_cancel(&shared_timers[i]);
}

WEFT_TEST_MAIN("timer")
