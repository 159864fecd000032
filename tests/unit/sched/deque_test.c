// SPDX-License-Identifier: MIT
//
// The queue of a worker's unstarted records, with records that nothing runs.
#include "kit.h"

#include <pthread.h>
#include <stdlib.h>

#include "sched/deque.h"
#include "sched/worker.h"

enum { RECORDS = 1000 };

static struct wi_task records[RECORDS];

static wi_hint queue_record(int i)
{
    records[i].state = (records[i].state & ~(WI_GEN - 1u)) + WI_GEN + WI_QUEUED;
    return wi_hint_of(&records[i]);
}

static void push(struct wi_deque *deque, int i)
{
    ck_assert_int_eq(wi_deque_push(deque, queue_record(i)), 0);
}

// As a join does that runs it in its place.
static void join(struct wi_deque *deque, int i)
{
    wi_hint hint = wi_hint_of(&records[i]);
    wi_deque_bury(deque, hint);
    ck_assert(wi_task_claim(&records[i], wi_hint_gen(hint), 0));
}

// What a worker would run next: which record, or -1.
static int next(struct wi_deque *deque)
{
    bool busy;
    wi_hint hint;
    while ((hint = wi_deque_take(deque, &busy)) != 0 || busy)
        if (hint != 0 &&
            wi_task_claim(wi_hint_task(hint), wi_hint_gen(hint), 0))
            return (int)(wi_hint_task(hint) - records);
    return -1;
}

static void expect(struct wi_deque *deque, int from, int to)
{
    for (int i = from; i < to; i++)
        ck_assert_int_eq(next(deque), i);
}

WEFT_TEST(a_thief_takes_half_and_at_most_sixteen)
{
    struct wi_deque victim, own;
    bool busy;
    ck_assert_int_eq(wi_deque_init(&victim, false, NULL), 0);
    ck_assert_int_eq(wi_deque_init(&own, false, NULL), 0);
    ck_assert_uint_eq(wi_deque_steal(&victim, &own, &busy), 0);
    ck_assert(!busy);
    push(&victim, 0);
    ck_assert_uint_eq(wi_deque_steal(&victim, &own, &busy),
                      wi_hint_of(&records[0]));
    ck_assert(wi_deque_empty(&victim) && wi_deque_empty(&own));
    for (int i = 0; i < 100; i++)
        push(&victim, i);
    ck_assert_uint_eq(wi_deque_steal(&victim, &own, &busy),
                      wi_hint_of(&records[0]));
    ck_assert_uint_eq(wi_deque_count(&own), 15);
    ck_assert_uint_eq(wi_deque_count(&victim), 84);
    expect(&own, 1, 16);
    expect(&victim, 16, 90);
    ck_assert_uint_eq(wi_deque_steal(&victim, &own, &busy),
                      wi_hint_of(&records[90]));
    expect(&own, 91, 95);
    expect(&victim, 95, 100);
    ck_assert_int_eq(next(&own), -1);
    ck_assert_int_eq(next(&victim), -1);
    wi_deque_fini(&victim);
    wi_deque_fini(&own);
}

// Two that a busy worker leaves waiting, and very many that it starts and
// joins: those must not pile up behind the two.
WEFT_TEST(tombstones_do_not_pile_up, .repeat = 2)
{
    struct wi_deque deque;
    ck_assert_int_eq(wi_deque_init(&deque, weft_test_round() == 0, NULL), 0);
    push(&deque, 0);
    push(&deque, 1);
    int64_t size = deque.ring->mask + 1;
    for (int round = 0; round < 10000; round++) {
        push(&deque, 2);
        push(&deque, 3);
        join(&deque, 2);
        join(&deque, 3);
    }
    ck_assert_int_eq(deque.ring->mask + 1, size);
    expect(&deque, 0, 2);
    ck_assert_int_eq(next(&deque), -1);
    // Those at the head go without anybody who takes.
    for (int round = 0; round < 1000; round++) {
        push(&deque, 2);
        push(&deque, 3);
        join(&deque, 2);
        join(&deque, 3);
        ck_assert_uint_lt(wi_deque_count(&deque), 40);
    }
    wi_deque_fini(&deque);
}

// Behind one that waits, a worker starts and joins more than a record has
// generations, in a ring that was long. Then the record is queued elsewhere:
// none of the tombstones may stand for it.
WEFT_TEST(no_tombstone_outlasts_the_generations, .repeat = 2, .timeout = 30)
{
    enum { PEAK = 150000, ROUNDS = 70000 };
    struct wi_deque deque;
    ck_assert_int_eq(wi_deque_init(&deque, weft_test_round() == 0, NULL), 0);
    const wi_hint hint = queue_record(0);
    for (int i = 0; i < PEAK; i++)
        ck_assert_int_eq(wi_deque_push(&deque, hint), 0);
    expect(&deque, 0, 1);
    ck_assert_int_eq(next(&deque), -1);
    push(&deque, 0);
    push(&deque, 1);
    for (int round = 0; round < ROUNDS; round++) {
        push(&deque, 2);
        push(&deque, 3); // so that it is not the last one, which is taken back
        join(&deque, 2);
        join(&deque, 3);
    }
    queue_record(2);
    expect(&deque, 0, 2);
    ck_assert_int_eq(next(&deque), -1);
    wi_deque_fini(&deque);
}

WEFT_TEST(what_lives_keeps_its_order_as_it_grows, .repeat = 2)
{
    struct wi_deque deque;
    ck_assert_int_eq(wi_deque_init(&deque, weft_test_round() == 0, NULL), 0);
    for (int i = 0; i < RECORDS; i++) {
        push(&deque, i);
        if (i % 3 != 0) // enough that it is compacted, and grows
            join(&deque, i);
    }
    for (int i = 0; i < RECORDS; i += 3)
        ck_assert_int_eq(next(&deque), i);
    ck_assert_int_eq(next(&deque), -1);
    wi_deque_fini(&deque);
}

// Several workers -------------------------------------------------------------

enum { WORKERS = 3, JOBS = 30000 };

static struct {
    struct wi_deque deques[WORKERS];
    struct wi_task *jobs;
    int claimed; // atomic
} crowd;

static void run(wi_hint hint)
{
    struct wi_task *t = wi_hint_task(hint);
    if (!wi_task_claim(t, wi_hint_gen(hint), 0))
        return;
    ck_assert(t >= crowd.jobs && t < crowd.jobs + JOBS);
    __atomic_fetch_add(&crowd.claimed, 1, __ATOMIC_RELAXED);
}

// One of its own, or some of another's.
static void work(int me, uint64_t draw)
{
    bool busy;
    wi_hint hint = wi_deque_take(&crowd.deques[me], &busy);
    int victim = (int)((unsigned)me + 1 + draw % (WORKERS - 1)) % WORKERS;
    if (hint == 0)
        hint = wi_deque_steal(&crowd.deques[victim], &crowd.deques[me], &busy);
    if (hint != 0)
        run(hint);
}

static void *thief(void *arg)
{
    uint64_t draw = (uint64_t)(uintptr_t)arg;
    while (__atomic_load_n(&crowd.claimed, __ATOMIC_RELAXED) < JOBS)
        work((int)(uintptr_t)arg, draw = draw * 6364136223846793005u + 1);
    return NULL;
}

// Queues all in bursts, and joins some of each, the oldest or the youngest.
static void *owner(void *arg)
{
    (void)arg;
    for (int begun = 0; begun < JOBS;) {
        int first = begun, n = 1 + (int)(weft_test_random() % 600);
        for (; begun < JOBS && begun - first < n; begun++)
            ck_assert_int_eq(
                wi_deque_push(&crowd.deques[0], wi_hint_of(&crowd.jobs[begun])),
                0);
        for (int i = 0; i < n / 2 && first + i < begun; i++) {
            int at = weft_test_random() % 2 ? first + i : begun - 1 - i;
            wi_deque_bury(&crowd.deques[0], wi_hint_of(&crowd.jobs[at]));
            run(wi_hint_of(&crowd.jobs[at]));
        }
    }
    return thief(NULL);
}

WEFT_TEST(each_is_claimed_once_whoever_takes, .timeout = 30)
{
    pthread_t threads[WORKERS];
    crowd.jobs = calloc(JOBS, sizeof(*crowd.jobs));
    ck_assert_ptr_nonnull(crowd.jobs);
    for (int i = 0; i < JOBS; i++)
        crowd.jobs[i].state = WI_QUEUED;
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(wi_deque_init(&crowd.deques[i], false, NULL), 0);
    for (intptr_t i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, i == 0 ? owner : thief, (void *)i);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(crowd.claimed, JOBS);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(wi_deque_count(&crowd.deques[i]) > 0 &&
                             next(&crowd.deques[i]) >= 0,
                         0);
        wi_deque_fini(&crowd.deques[i]);
    }
    free(crowd.jobs);
}

WEFT_TEST_MAIN("deque")
