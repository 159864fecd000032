// SPDX-License-Identifier: MIT
// Kill -9 of a process within a put or get of a shared queue: at each of its
// boundaries, while another one sleeps; and at random instants under load.
// Nothing is lost or comes twice but what the dead had in hand; nobody is
// stuck.
#include "weft_test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "shared/queue.h"

static const char *const points[WI_QUEUE_POINTS] = {
    "locked", "copied", "moved", "unlocked", "woken", "asleep"};

static unsigned die_point;

static void die_at(unsigned point)
{
    if (point == die_point)
        raise(SIGKILL);
}

struct order {
    struct weft_arena_ref queue, tally;
    uint64_t value;
    unsigned point;
    bool put, die;
};

static int obey(void *arg)
{
    struct order *order = arg;
    weft_queue *q = weft_queue_open(order->queue);
    die_point = order->point;
    if (order->die)
        wi_shared_queue_at = die_at;
    return order->put ? weft_queue_put(q, &order->value)
                      : weft_queue_get(q, &order->value);
}

static int run_child(struct order order)
{
    return weft_join(weft_process_start(obey, &order, sizeof order));
}

static weft_queue *queue_of(weft_arena **a, size_t maxsize)
{
    ck_assert_int_eq(weft_arena_new(4 << 20, a), 0);
    return weft_queue_new(.arena = *a, .item = sizeof(uint64_t),
                          .maxsize = maxsize);
}

struct sleeper {
    weft_queue *q;
    uint64_t got[2];
    bool put;
};

// Gets twice from an empty queue, or puts twice to a full one.
static int sleep_twice(void *arg)
{
    struct sleeper *s = arg;
    for (int i = 0; i < 2; i++) {
        int rc = s->put ? weft_queue_put(s->q, &s->got[i])
                        : weft_queue_get(s->q, &s->got[i]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static const struct wi_shared_queue *inside(weft_arena *a, weft_queue *q)
{
    return weft_arena_at(a, weft_queue_ref(q).at);
}

static void until_asleep(weft_arena *a, weft_queue *q, bool put)
{
    const struct wi_shared_queue *s = inside(a, q);
    const uint32_t *sleepers = put ? &s->put.sleepers : &s->get.sleepers;
    while (__atomic_load_n(sleepers, __ATOMIC_SEQ_CST) == 0)
        weft_yield();
}

// A consumer sleeps; a producer dies in its put, then another one puts.
static void put_and_die(unsigned point, bool task)
{
    weft_arena *a;
    weft_queue *q = queue_of(&a, 4);
    struct sleeper s = {.q = q};
    weft_future *f = task ? weft_task_start(sleep_twice, &s)
                          : weft_thread_start(sleep_twice, &s);
    until_asleep(a, q, false);
    struct order order = {.queue = weft_queue_ref(q),
                          .value = 1,
                          .point = point,
                          .put = true,
                          .die = true};
    int rc = run_child(order);
    bool died = rc == -WEFT_ECRASHED;
    ck_assert(died || (rc == 0 && point >= WI_QUEUE_WOKEN));
    bool was_put = !died || point >= WI_QUEUE_MOVED;
    // What is put must arrive without any further help.
    while (was_put && weft_queue_size(q) != 0)
        weft_yield();
    order.die = false;
    order.value = 2;
    ck_assert_int_eq(run_child(order), 0);
    if (!was_put) {
        order.value = 3;
        ck_assert_int_eq(run_child(order), 0);
    }
    ck_assert_int_eq(weft_join(f), 0);
    ck_assert_uint_eq(s.got[0], was_put ? 1 : 2);
    ck_assert_uint_eq(s.got[1], was_put ? 2 : 3);
    ck_assert_uint_eq(weft_queue_size(q), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

// A producer sleeps at a full queue; a consumer dies in its get, then another
// one gets.
static void get_and_die(unsigned point, bool task)
{
    weft_arena *a;
    weft_queue *q = queue_of(&a, 1);
    uint64_t x = 10;
    struct sleeper s = {.q = q, .got = {11, 12}, .put = true};
    weft_queue_put(q, &x);
    weft_future *f = task ? weft_task_start(sleep_twice, &s)
                          : weft_thread_start(sleep_twice, &s);
    until_asleep(a, q, true);
    struct order order = {
        .queue = weft_queue_ref(q), .point = point, .die = true};
    int rc = run_child(order);
    bool died = rc == -WEFT_ECRASHED;
    ck_assert(died || (rc == 0 && point >= WI_QUEUE_WOKEN));
    bool taken = !died || point >= WI_QUEUE_MOVED;
    for (uint64_t expected = taken ? 11 : 10; expected <= 12; expected++) {
        ck_assert_int_eq(weft_queue_get(q, &x), 0);
        ck_assert_uint_eq(x, expected);
    }
    ck_assert_int_eq(weft_join(f), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST(at_each_boundary_of_a_put, .timeout = 60)
{
    for (unsigned point = 0; point < WI_QUEUE_ASLEEP; point++) {
        put_and_die(point, false);
        put_and_die(point, true);
    }
}

WEFT_TEST(at_each_boundary_of_a_get, .timeout = 60)
{
    for (unsigned point = 0; point < WI_QUEUE_ASLEEP; point++) {
        get_and_die(point, false);
        get_and_die(point, true);
    }
}

// One who sleeps dies; the other sleeper must hear of the next item.
WEFT_TEST(asleep, .timeout = 60)
{
    weft_arena *a;
    weft_queue *q = queue_of(&a, 4);
    struct order order = {
        .queue = weft_queue_ref(q), .point = WI_QUEUE_ASLEEP, .die = true};
    ck_assert_int_eq(run_child(order), -WEFT_ECRASHED);
    struct sleeper s = {.q = q};
    weft_future *f = weft_thread_start(sleep_twice, &s);
    for (uint64_t x = 1; x <= 2; x++)
        weft_queue_put(q, &x);
    ck_assert_int_eq(weft_join(f), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

// Immediate shutdown ----------------------------------------------------------

struct stage {
    struct weft_arena_ref queue;
    uint64_t made, go; // atomic
};

static void die(void *item)
{
    (void)item;
    raise(SIGKILL);
}

// Makes a queue, puts three items, and dies when its shutdown drops one.
static int shut_and_die(void *arg)
{
    weft_arena *a;
    struct stage *stage = weft_arena_open(*(struct weft_arena_ref *)arg, &a);
    weft_queue *q =
        weft_queue_new(.arena = a, .item = sizeof(uint64_t), .drop = die);
    for (uint64_t x = 0; x < 3; x++)
        weft_queue_put(q, &x);
    stage->queue = weft_queue_ref(q);
    __atomic_store_n(&stage->made, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&stage->go, __ATOMIC_ACQUIRE) == 0)
        weft_yield();
    return weft_queue_shutdown(q, true);
}

static int join_queue(void *q)
{
    WEFT_TIMEOUT(20);
    return weft_queue_join(q);
}

// Who joins before it, or after it, is not left with what nobody will get.
WEFT_TEST(in_an_immediate_shutdown, .timeout = 60)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(4 << 20, &a), 0);
    struct stage *stage = weft_arena_value(a, struct stage);
    struct weft_arena_ref ref = weft_arena_ref(a, stage);
    weft_future *child = weft_process_start(shut_and_die, &ref, sizeof ref);
    while (__atomic_load_n(&stage->made, __ATOMIC_ACQUIRE) == 0)
        weft_yield();
    weft_queue *q = weft_queue_open(stage->queue);
    const struct wi_shared_queue *s = inside(a, q);
    weft_future *joiner = weft_thread_start(join_queue, q);
    while ((__atomic_load_n(&s->done_bell, __ATOMIC_SEQ_CST) & 1) == 0)
        weft_yield();
    uint64_t x;
    ck_assert_int_eq(weft_queue_get(q, &x), 0);
    __atomic_store_n(&stage->go, 1, __ATOMIC_RELEASE);
    ck_assert_int_eq(weft_join(child), -WEFT_ECRASHED);
    ck_assert_uint_eq(weft_queue_unfinished(q), 1); // what was got before
    ck_assert_uint_eq(weft_queue_size(q), 0);
    ck_assert_int_eq(weft_queue_get(q, &x), -WEFT_ECLOSED);
    weft_queue_task_done(q);
    ck_assert_int_eq(weft_join(joiner), 0);
    ck_assert_int_eq(join_queue(q), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

// Under load ------------------------------------------------------------------

enum { SLOTS = 4, SMALL = 16 };

struct tally {
    uint64_t put[SLOTS];             // atomic: serial numbers begin here
    uint64_t where[SLOTS];           // atomic: the point each one is at
    uint64_t wanted[SLOTS];          // atomic: the point at which it dies
    struct weft_counter got, result; // by the consumers; the sum of it
};

static struct tally *tally;
static uint64_t slot;

static void note(unsigned point)
{
    __atomic_store_n(&tally->where[slot], point + 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&tally->wanted[slot], __ATOMIC_RELAXED) == point + 1)
        raise(SIGKILL);
}

// A producer puts SLOTS * n + slot for n = 0, 1, ...; its successor goes on.
static int produce(void *arg)
{
    struct order *order = arg;
    weft_arena *a;
    tally = weft_arena_open(order->tally, &a);
    weft_queue *q = weft_queue_open(order->queue);
    slot = order->value;
    wi_shared_queue_at = note;
    for (;;) {
        uint64_t x = tally->put[slot] * SLOTS + slot;
        if (weft_queue_put(q, &x) != 0)
            return 0;
        __atomic_fetch_add(&tally->put[slot], 1, __ATOMIC_SEQ_CST);
    }
}

static int consume(void *arg)
{
    struct order *order = arg;
    weft_arena *a;
    tally = weft_arena_open(order->tally, &a);
    weft_queue *q = weft_queue_open(order->queue);
    slot = order->value;
    wi_shared_queue_at = note;
    uint64_t x;
    while (weft_queue_get(q, &x) == 0)
        weft_counter_add(&tally->got, 1);
    return 0;
}

static void print_histogram(const char *what, const long *seen)
{
    printf("%s killed, last boundary: none %ld", what, seen[0]);
    for (int i = 0; i < WI_QUEUE_POINTS; i++)
        printf(", %s %ld", points[i], seen[i + 1]);
    printf("\n");
}

static unsigned rarest(const long *seen)
{
    unsigned least = 1;
    for (unsigned i = 2; i <= WI_QUEUE_POINTS; i++)
        if (seen[i] < seen[least])
            least = i;
    return least;
}

// Every other kill is at any instant, the rest at the boundary that was hit
// least; that is waited for, but not for ever.
static void kill_one(struct tally *t, int k, weft_future *f, unsigned wanted)
{
    __atomic_store_n(&t->where[k], 0, __ATOMIC_RELAXED);
    while (__atomic_load_n(&t->where[k], __ATOMIC_RELAXED) == 0)
        weft_yield();
    __atomic_store_n(&t->wanted[k], wanted, __ATOMIC_RELAXED);
    for (uint64_t r = weft_test_random() % 200000; r > 0; r--)
        __asm__ volatile("");
    for (int i = 0; i < 20000 && wanted != 0 && !weft_done(f); i++)
        weft_yield();
    weft_process_kill(f);
    ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
    __atomic_store_n(&t->wanted[k], 0, __ATOMIC_RELAXED);
}

// Two producers and two consumers, of which one after the other is killed and
// replaced. An item counts as put when it is visible: what was put is got, but
// for one item in the hands of each dead consumer; and it may be visible and
// not counted, one for each dead producer.
WEFT_TEST(at_random_instants, .timeout = 300)
{
    weft_arena *a;
    weft_queue *q = queue_of(&a, SMALL);
    struct tally *t = weft_arena_value(a, struct tally);
    struct order order = {.queue = weft_queue_ref(q),
                          .tally = weft_arena_ref(a, t)};
    weft_future *f[SLOTS];
    long seen[2][WI_QUEUE_POINTS + 1] = {{0}};
    int n = weft_test_kills(20), dead[2] = {0, 0};
    for (int i = 0; i < SLOTS; i++) {
        order.value = (uint64_t)i;
        f[i] =
            weft_process_start(i < 2 ? produce : consume, &order, sizeof order);
    }
    for (int i = 0; i < n; i++) {
        int k = i % SLOTS;
        kill_one(t, k, f[k], i / SLOTS % 2 == 0 ? 0 : rarest(seen[k / 2]));
        seen[k / 2][t->where[k]]++;
        dead[k / 2]++;
        int64_t before = weft_counter_get(&t->got);
        // The others go on without the dead one's successor.
        while (weft_counter_get(&t->got) < before + 3)
            weft_yield();
        order.value = (uint64_t)k;
        f[k] =
            weft_process_start(k < 2 ? produce : consume, &order, sizeof order);
    }
    weft_queue_shutdown(q, false);
    for (int i = 0; i < SLOTS; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    print_histogram("producers", seen[0]);
    print_histogram("consumers", seen[1]);
    for (int i = 1; n >= 200 && i <= WI_QUEUE_POINTS; i++)
        ck_assert_msg(seen[0][i] > 0 && seen[1][i] > 0, "never killed at %s",
                      points[i - 1]);
    int64_t counted = (int64_t)(t->put[0] + t->put[1]);
    int64_t got = weft_counter_get(&t->got);
    ck_assert_uint_eq(weft_queue_size(q), 0);
    ck_assert_int_ge(got, counted - dead[1]);
    ck_assert_int_le(got, counted + dead[0]);
    weft_queue_free(q);
    weft_arena_close(a);
}

// The same with this process as the only consumer: each producer's numbers
// come without a gap, and twice only at a death.
WEFT_TEST(producers_leave_no_gap, .timeout = 300)
{
    weft_arena *a;
    weft_queue *q = queue_of(&a, SMALL);
    struct tally *t = weft_arena_value(a, struct tally);
    struct order order = {.queue = weft_queue_ref(q),
                          .tally = weft_arena_ref(a, t)};
    weft_future *f[2];
    uint64_t next[2] = {0, 0}, x;
    int n = weft_test_kills(20), twice = 0;
    for (int i = 0; i < 2; i++) {
        order.value = (uint64_t)i;
        f[i] = weft_process_start(produce, &order, sizeof order);
    }
    for (int i = 0; i < n; i++) {
        int k = i % 2;
        uint64_t more = 20 + weft_test_random() % 200;
        for (uint64_t want = next[k] + more; next[k] < want;) {
            ck_assert_int_eq(weft_queue_get(q, &x), 0);
            ck_assert_uint_lt(x % SLOTS, 2);
            uint64_t *expected = &next[x % SLOTS];
            if (x / SLOTS + 1 == *expected && twice < n)
                twice++;
            else
                ck_assert_uint_eq(x / SLOTS, (*expected)++);
        }
        weft_process_kill(f[k]);
        ck_assert_int_eq(weft_join(f[k]), -WEFT_ECRASHED);
        order.value = (uint64_t)k;
        f[k] = weft_process_start(produce, &order, sizeof order);
    }
    weft_queue_shutdown(q, true);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    printf("%d items put twice by %d deaths\n", twice, n);
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST_MAIN("shared_queue_kill")
