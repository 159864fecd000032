// SPDX-License-Identifier: MIT
// Queues in an arena: between processes, threads and tasks.
#include "weft_test.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

#include "shared/queue.h"

static weft_arena *arena_new(void)
{
    weft_arena *a = NULL;
    ck_assert_int_eq(weft_arena_new(64 << 20, &a), 0);
    return a;
}

static weft_queue *queue_of(weft_arena *a, size_t maxsize)
{
    return weft_queue_new(.arena = a, .item = sizeof(uint64_t),
                          .maxsize = maxsize);
}

// One process -----------------------------------------------------------------

WEFT_TEST(first_in_first_out_within_its_bound)
{
    weft_arena *a = arena_new();
    weft_queue *q = queue_of(a, 5);
    uint64_t x = 0, many[8] = {0};
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < 5; i++) {
            x = round * 5 + i;
            ck_assert_int_eq(weft_queue_put(q, &x), 0);
        }
        ck_assert(weft_queue_full(q));
        ck_assert_int_eq(weft_queue_try_put(q, &x), -EAGAIN);
        ck_assert_int_eq(weft_queue_put(q, &x, .timeout = 0.001), -ETIMEDOUT);
        ck_assert_int_eq(weft_queue_get(q, &x), 0);
        ck_assert_uint_eq(x, round * 5);
        ck_assert_int_eq(weft_queue_get_n(q, many, 8), 4);
        for (uint64_t i = 0; i < 4; i++)
            ck_assert_uint_eq(many[i], round * 5 + 1 + i);
        ck_assert(weft_queue_empty(q));
        ck_assert_int_eq(weft_queue_try_get(q, &x), -EAGAIN);
        ck_assert_int_eq(weft_queue_get(q, &x, .timeout = 0.001), -ETIMEDOUT);
    }
    weft_queue_free(q);
    struct weft_arena_stat stat = {.size = sizeof stat};
    weft_arena_stat(a, &stat);
    ck_assert_uint_eq(stat.blocks, 0);
    weft_arena_close(a);
}

WEFT_TEST(scopes_end_a_wait)
{
    weft_arena *a = arena_new();
    weft_queue *q = queue_of(a, 1);
    uint64_t x;
    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(weft_queue_get(q, &x), -ETIMEDOUT);
    }
    x = 3;
    {
        WEFT_TIMEOUT(0); // level-triggered: even what would not wait
        ck_assert_int_eq(weft_queue_put(q, &x), -ETIMEDOUT);
    }
    ck_assert_uint_eq(weft_queue_size(q), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST(records_of_any_length_around_the_ring)
{
    static unsigned char data[5000], back[5000];
    weft_arena *a = arena_new();
    weft_queue *q = weft_queue_new(.arena = a, .bytes = 8192);
    uint64_t sizes[64], put = 0, got = 0;
    while (got < 20000) {
        size_t size = weft_test_random() % (put % 50 == 0 ? 5000 : 90);
        memset(data, (int)put, size);
        if (put - got < 64 && weft_test_random() % 2 == 0 &&
            weft_queue_put_bytes(q, data, size, .nowait = true) == 0)
            sizes[put++ % 64] = size;
        if (put == got || weft_test_random() % 2 == 0)
            continue;
        size = sizes[got % 64];
        if (size > 0)
            ck_assert_int_eq(weft_queue_get_bytes(q, back, size - 1),
                             -WEFT_ETOOBIG);
        ck_assert_uint_eq(weft_queue_size(q), put - got);
        ck_assert_int_eq(weft_queue_get_bytes(q, back, sizeof back),
                         (ssize_t)size);
        memset(data, (int)got, size);
        ck_assert(memcmp(data, back, size) == 0);
        got++;
    }
    ck_assert_int_eq(weft_queue_put_bytes(q, data, 1 << 20), -WEFT_ETOOBIG);
    weft_queue_shutdown(q, true);
    ck_assert_uint_eq(weft_queue_size(q), 0);
    ck_assert_int_eq(weft_queue_get_bytes(q, back, 10), -WEFT_ECLOSED);
    weft_queue_free(q);
    weft_arena_close(a);
}

static int dropped;

static void count_drop(void *item)
{
    dropped += (int)*(uint64_t *)item;
}

WEFT_TEST(shutdown_join_and_producers)
{
    weft_arena *a = arena_new();
    weft_queue *q = weft_queue_new(.arena = a, .item = 8, .producers = 2,
                                   .drop = count_drop);
    uint64_t x = 5;
    ck_assert_int_eq(weft_queue_join(q), 0);
    for (int i = 0; i < 3; i++)
        weft_queue_put(q, &x);
    ck_assert_uint_eq(weft_queue_unfinished(q), 3);
    weft_queue_get(q, &x);
    weft_queue_task_done(q);
    {
        WEFT_TIMEOUT(0.001);
        ck_assert_int_eq(weft_queue_join(q), -ETIMEDOUT);
    }
    weft_queue_producer_done(q);
    ck_assert(!weft_queue_is_shutdown(q));
    weft_queue_producer_done(q);
    ck_assert(weft_queue_is_shutdown(q));
    ck_assert_int_eq(weft_queue_put(q, &x), -WEFT_ECLOSED);
    ck_assert_int_eq(weft_queue_producer_add(q), -WEFT_ECLOSED);
    ck_assert_int_eq(weft_queue_get(q, &x), 0);
    weft_queue_task_done(q);
    weft_queue_shutdown(q, true);
    ck_assert_int_eq(dropped, 5);
    ck_assert_int_eq(weft_queue_join(q), 0);
    ck_assert_int_eq(weft_queue_get(q, &x), -WEFT_ECLOSED);
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST(what_is_in_one_that_is_freed_is_dropped)
{
    weft_arena *a = arena_new();
    weft_queue *q = weft_queue_new(.arena = a, .item = 8, .drop = count_drop);
    uint64_t x = 7;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weft_queue_put(q, &x), 0);
    weft_queue *other = weft_queue_open(weft_queue_ref(q));
    weft_queue_free(other); // only given back
    ck_assert_int_eq(dropped, 0);
    weft_queue_free(q);
    ck_assert_int_eq(dropped, 21);
    weft_arena_close(a);
}

WEFT_TEST(more_done_than_put_aborts, .signal = SIGABRT)
{
    weft_queue_task_done(queue_of(arena_new(), 1));
}

WEFT_TEST(a_queue_that_cannot_be_opened)
{
    weft_arena *a = arena_new();
    uint64_t x = 0, *place = weft_arena_alloc_aligned(a, 4096, 128);
    weft_queue *q = weft_queue_open(weft_arena_ref(a, place));
    ck_assert_int_eq(weft_queue_put(q, &x), -WEFT_EPROTO);
    ck_assert_int_eq(weft_queue_get(q, &x), -WEFT_EPROTO);
    ck_assert_int_eq(weft_queue_put_bytes(q, &x, 8), -WEFT_EPROTO);
    weft_queue_free(q);
    struct weft_arena_ref ref = weft_arena_ref(a, place);
    weft_arena_close(a);
    q = weft_queue_open(ref);
    ck_assert_int_eq(weft_queue_get(q, &x), -ENOENT);
    weft_queue_free(q);
    weft_queue *plain = weft_queue_new();
    ck_assert_uint_eq(weft_queue_ref(plain).id[0], 0);
    weft_queue_free(plain);
}

// Indices that somebody has spoiled: calls end with a code or move something,
// but never touch what lies outside of the ring.
enum { GUARD = 64 << 10 };

static unsigned char *guard_of(weft_arena *a)
{
    unsigned char *guard = weft_arena_alloc_aligned(a, GUARD, 128);
    memset(guard, 0xa5, GUARD);
    return guard;
}

static bool is_whole(const unsigned char *guard)
{
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != 0xa5)
            return false;
    return true;
}

static uint64_t near_or_far(void)
{
    uint64_t x = weft_test_random();
    return x % 3 == 0 ? x : x % 3 == 1 ? x % 600 : (uint64_t)0 - x % 600;
}

// All but the locks, in which nonsense may mean that somebody holds them.
static void spoil(struct wi_shared_queue *q)
{
    uint64_t *words[] = {&q->put.seen,     &q->put.bytes_seen, &q->put.word,
                         &q->put.bytes[0], &q->put.bytes[1],   &q->get.seen,
                         &q->get.word,     &q->get.bytes_seen, &q->get.bytes[0],
                         &q->get.bytes[1], &q->done,           &q->mask,
                         &q->item,         &q->limit};
    if (weft_test_random() % 100 == 0)
        q->closed = (int32_t)near_or_far();
    else if (weft_test_random() % 10 == 0)
        q->closed = 0;
    for (int i = 0; i < 4; i++)
        *words[weft_test_random() % (sizeof words / sizeof *words)] =
            near_or_far();
}

static void move_something(weft_queue *q, size_t item, unsigned char *bytes)
{
    bool put = weft_test_random() % 2;
    size_t n = weft_test_random() % 300;
    ssize_t moved;
    if (item == 0 && put)
        moved = weft_queue_put_bytes(q, bytes, n, .nowait = true);
    else if (item == 0)
        moved = weft_queue_get_bytes(q, bytes, n, .nowait = true);
    else if (put)
        moved = weft_queue_put_n(q, bytes, n + 1, .nowait = true);
    else
        moved = weft_queue_get_n(q, bytes, n + 1, .nowait = true);
    ck_assert_int_le(moved, (ssize_t)(item == 0 ? n : n + 1));
}

static void spoil_and_move(size_t item, size_t limit)
{
    static unsigned char bytes[301 * 24];
    weft_arena *a = arena_new();
    unsigned char *before = guard_of(a);
    weft_queue *q =
        item != 0 ? weft_queue_new(.arena = a, .item = item, .maxsize = limit)
                  : weft_queue_new(.arena = a, .bytes = limit);
    unsigned char *after = guard_of(a);
    struct wi_shared_queue *inside = weft_arena_at(a, weft_queue_ref(q).at);
    for (int i = 0; i < 3000; i++) {
        spoil(inside);
        for (int k = 0; k < 3; k++)
            move_something(q, item, bytes);
    }
    ck_assert(is_whole(before) && is_whole(after));
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST(spoiled_indices_lead_nowhere, .timeout = 60)
{
    spoil_and_move(8, 16);
    spoil_and_move(24, 100);
    spoil_and_move(1, 1);
    spoil_and_move(0, 512);
    spoil_and_move(0, 4096);
}

// Several processes -----------------------------------------------------------

struct work {
    struct weft_arena_ref in, out;
    uint64_t from, n;
};

static int produce(void *arg)
{
    const struct work *work = arg;
    weft_queue *q = weft_queue_open(work->in);
    int rc = 0;
    for (uint64_t i = work->from; i < work->from + work->n && rc == 0; i++)
        rc = weft_queue_put(q, &i);
    weft_queue_producer_done(q);
    weft_queue_free(q);
    return rc;
}

// Passes items on until the first queue is closed.
static int pass_on(void *arg)
{
    const struct work *work = arg;
    weft_queue *in = weft_queue_open(work->in);
    weft_queue *out = weft_queue_open(work->out);
    uint64_t x[7];
    ssize_t n;
    while ((n = weft_queue_get_n(in, x, 7)) > 0)
        if (weft_queue_put_n(out, x, (size_t)n) != n)
            return -EIO;
    weft_queue_producer_done(out);
    return n == -WEFT_ECLOSED ? 0 : (int)n;
}

WEFT_TEST(one_process_to_another_in_order, .timeout = 60)
{
    weft_arena *a = arena_new();
    weft_queue *q = queue_of(a, 100);
    struct work work = {.in = weft_queue_ref(q), .n = 200000};
    weft_queue_producer_add(q);
    weft_future *f = weft_process_start(produce, &work, sizeof work);
    uint64_t x, expected = 0;
    int rc;
    while ((rc = weft_queue_get(q, &x)) == 0)
        ck_assert_uint_eq(x, expected++);
    ck_assert_int_eq(rc, -WEFT_ECLOSED);
    ck_assert_uint_eq(expected, work.n);
    ck_assert_int_eq(weft_join(f), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

// Three processes produce, three pass on, and in this one two tasks and a
// thread collect.
struct collector {
    weft_queue *q;
    unsigned char *seen;
};

static int collect(void *arg)
{
    struct collector *c = arg;
    uint64_t x;
    int rc;
    while ((rc = weft_queue_get(c->q, &x)) == 0)
        __atomic_fetch_add(&c->seen[x], 1, __ATOMIC_RELAXED);
    return rc == -WEFT_ECLOSED ? 0 : rc;
}

WEFT_TEST(many_to_many_each_item_once, .timeout = 60)
{
    enum { EACH = 20000 };
    weft_arena *a = arena_new();
    weft_queue *in = queue_of(a, 64), *out = queue_of(a, 3);
    struct collector c = {out, calloc(3, EACH)};
    weft_future *f[9];
    for (int i = 0; i < 3; i++) {
        weft_queue_producer_add(in);
        weft_queue_producer_add(out);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct work work = {weft_queue_ref(in), weft_queue_ref(out),
                            (uint64_t)i * EACH, EACH};
        f[i] = weft_process_start(produce, &work, sizeof work);
        f[3 + i] = weft_process_start(pass_on, &work, sizeof work);
    }
    f[6] = weft_task_start(collect, &c);
    f[7] = weft_task_start(collect, &c);
    f[8] = weft_thread_start(collect, &c);
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    for (int i = 0; i < 3 * EACH; i++)
        ck_assert_msg(c.seen[i] == 1, "item %d came %d times", i, c.seen[i]);
    free(c.seen);
    weft_queue_free(in);
    weft_queue_free(out);
    weft_arena_close(a);
}

// A task that waits leaves its worker to others, and hears of the other
// process; one that is canceled loses nothing.
static int answer(void *arg)
{
    const struct work *work = arg;
    weft_queue *in = weft_queue_open(work->in);
    weft_queue *out = weft_queue_open(work->out);
    uint64_t x;
    for (uint64_t i = 0; i < work->n; i++) {
        int rc = weft_queue_get(in, &x);
        x *= 2;
        if (rc != 0 || (rc = weft_queue_put(out, &x)) != 0)
            return rc;
    }
    return 0;
}

struct asker {
    weft_queue *out, *in;
    uint64_t n;
    bool stop;
};

static int ask(void *arg)
{
    struct asker *asker = arg;
    for (uint64_t i = 0; i < asker->n; i++) {
        uint64_t x = i, y;
        weft_queue_put(asker->out, &x);
        int rc = weft_queue_get(asker->in, &y);
        if (rc != 0 || y != 2 * i)
            return -EIO;
    }
    asker->stop = true;
    return 0;
}

static long turns;

static int turn_meanwhile(void *arg)
{
    struct asker *asker = arg;
    while (!asker->stop) {
        turns++;
        weft_yield();
    }
    return 0;
}

static int ask_and_turn(void *arg)
{
    weft_future *f[] = {weft_task_start(ask, arg),
                        weft_task_start(turn_meanwhile, arg)};
    int rc = weft_join(f[0]);
    weft_join(f[1]);
    return rc;
}

WEFT_TEST(a_task_waits_without_its_worker, .timeout = 60)
{
    weft_arena *a = arena_new();
    weft_queue *there = queue_of(a, 4), *back = queue_of(a, 4);
    struct work work = {weft_queue_ref(there), weft_queue_ref(back), 0, 300};
    struct asker asker = {there, back, 300, false};
    weft_future *f = weft_process_start(answer, &work, sizeof work);
    ck_assert_int_eq(weft_run(ask_and_turn, &asker), 0);
    ck_assert_int_eq(weft_join(f), 0);
    ck_assert_int_gt(turns, 300);
    weft_queue_free(there);
    weft_queue_free(back);
    weft_arena_close(a);
}

static int get_one(void *arg)
{
    uint64_t x = 0;
    int rc = weft_queue_get(arg, &x);
    return rc < 0 ? rc : (int)x;
}

// Of many who sleep, some are canceled while items come: every item is got by
// one who was not, and nobody sleeps on while there is one.
static int sleepers_and_cancels(void *arg)
{
    enum { SLEEPERS = 12 };
    weft_queue *q = arg;
    for (int round = 0; round < 50; round++) {
        weft_future *f[SLEEPERS];
        int got = 0, canceled = 0;
        for (int i = 0; i < SLEEPERS; i++)
            f[i] = i % 3 == 0 ? weft_thread_start(get_one, q)
                              : weft_task_start(get_one, q);
        for (uint64_t i = 1; i <= SLEEPERS / 2; i++) {
            weft_yield();
            weft_cancel(f[weft_test_random() % SLEEPERS]);
            weft_queue_put(q, &i);
        }
        while (weft_queue_size(q) != 0)
            weft_yield();
        for (int i = 0; i < SLEEPERS; i++)
            weft_cancel(f[i]);
        for (int i = 0; i < SLEEPERS; i++) {
            int rc = weft_join(f[i]);
            got += rc > 0 ? rc : 0;
            canceled += rc == -WEFT_EJOBCANCELED;
        }
        ck_assert_int_eq(canceled, SLEEPERS / 2);
        ck_assert_int_eq(got, SLEEPERS / 2 * (SLEEPERS / 2 + 1) / 2);
    }
    return 0;
}

WEFT_TEST(canceled_waits_lose_nothing, .timeout = 60)
{
    weft_arena *a = arena_new();
    weft_queue *q = queue_of(a, 0);
    ck_assert_int_eq(weft_run(sleepers_and_cancels, q), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

static int work_off(void *arg)
{
    const struct work *work = arg;
    weft_queue *q = weft_queue_open(work->in);
    uint64_t x;
    while (weft_queue_get(q, &x) == 0)
        weft_queue_task_done(q);
    return 0;
}

WEFT_TEST(join_waits_for_the_work_of_other_processes, .timeout = 30)
{
    weft_arena *a = arena_new();
    weft_queue *q = queue_of(a, 10);
    struct work work = {.in = weft_queue_ref(q)};
    weft_future *f[2];
    for (int i = 0; i < 2; i++)
        f[i] = weft_process_start(work_off, &work, sizeof work);
    for (uint64_t i = 0; i < 5000; i++)
        weft_queue_put(q, &i);
    ck_assert_int_eq(weft_queue_join(q), 0);
    ck_assert_uint_eq(weft_queue_unfinished(q), 0);
    weft_queue_shutdown(q, false);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weft_join(f[i]), 0);
    weft_queue_free(q);
    weft_arena_close(a);
}

WEFT_TEST_MAIN("shared_queue")
