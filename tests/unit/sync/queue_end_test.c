// SPDX-License-Identifier: MIT
// weft_queue: what becomes of items that nobody gets, producers that are done,
// and the queue that holds no items. Each case in three worlds: see
// queue_world.h.
#include "queue_calls.h"

// The end of items ------------------------------------------------------------

static int dropped;

static void count_drop(void *item)
{
    dropped += *(int *)item;
}

WORLDS(items_that_nobody_gets_are_dropped_once)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q =
                weft_queue_new(.item = sizeof(int), .drop = count_drop,
                               .kind = (enum weft_queue_kind)kind);
            dropped = 0;
            for (int i = 1; i <= 20; i++)
                weft_queue_put(q, &i, .priority = -i);
            int got = 0;
            weft_queue_get(q, &got);
            weft_queue_shutdown(q, immediate);
            ck_assert_int_eq(dropped, immediate ? 210 - got : 0);
            weft_queue_free(q);
            ck_assert_int_eq(dropped, 210 - got);
        }
    }
}

static weft_queue *dropping;

static void use_the_queue(void *item)
{
    dropped += *(int *)item;
    kit_assert_code(weft_queue_try_put(dropping, item), -WEFT_ECLOSED);
    kit_assert_code(weft_queue_try_get(dropping, item), -WEFT_ECLOSED);
    kit_assert_code(weft_queue_join(dropping), 0);
}

WORLDS(drop_may_use_the_queue)
{
    dropping = weft_queue_new(.item = sizeof(int), .drop = use_the_queue);
    dropped = 0;
    for (int i = 1; i <= 3; i++)
        weft_queue_put(dropping, &i);
    weft_queue_shutdown(dropping, true);
    ck_assert_int_eq(dropped, 6);
    weft_queue_free(dropping);
}

static int produce(void *arg)
{
    for (long i = 1; i <= 50; i++)
        if (put(arg, i) < 0)
            return -EPROTO;
    return weft_queue_producer_done(arg);
}

WORLDS(the_last_producer_shuts_the_queue_down)
{
    weft_queue *q =
        weft_queue_new(.item = sizeof(long), .maxsize = 3, .producers = 2);
    kit_assert_code(weft_queue_producer_add(q), 0);
    weft_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = start(produce, q);
    long sum = 0, item;
    while ((item = get(q)) > 0)
        sum += item;
    kit_assert_code(item, -WEFT_ECLOSED);
    ck_assert_int_eq(sum, 3 * 1275);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(f[i]), 0);
    kit_assert_code(weft_queue_producer_add(q), -WEFT_ECLOSED);
    weft_queue_free(q);
}

static void no_producer_left(void)
{
    weft_queue *q = weft_queue_new(.producers = 1);
    weft_queue_producer_done(q);
    weft_queue_producer_done(q);
}

WEFT_TEST(one_producer_too_many_done_aborts)
{
    kit_assert_aborts(no_producer_left, "more producers");
}

static void expect_told(weft_queue *q)
{
    long item = 0;
    int rc = weft_queue_get(q, &item);
    ck_assert_int_lt(rc, 0);
    kit_assert_code(weft_queue_producer_add(q), rc);
    kit_assert_code(weft_queue_producer_done(q), rc);
    weft_queue_free(q);
}

WEFT_TEST(producers_of_one_that_could_not_be_made_are_told)
{
    expect_told(
        weft_queue_new(.item = SIZE_MAX / 8, .maxsize = 64, .producers = 1));
    expect_told(weft_queue_open((struct weft_arena_ref){{0, 0}, 0}));
}

// A rendezvous ----------------------------------------------------------------

WORLDS(a_rendezvous_ends_when_both_are_there)
{
    weft_queue *q = new_queue(WEFT_QUEUE_RENDEZVOUS, 0);
    kit_assert_code(try_put(q, 1), -EAGAIN);
    kit_assert_code(try_get(q), -EAGAIN);
    ck_assert(weft_queue_full(q));
    ck_assert(weft_queue_empty(q));
    weft_future *f = start(put_one, q);
    await_listed(q, true, 1);
    ck_assert_int_eq(try_get(q), 7);
    kit_assert_code(weft_join(f), 0);
    f = start(get_one, q);
    await_listed(q, false, 1);
    kit_assert_code(try_put(q, 8), 0);
    kit_assert_code(weft_join(f), 8);
    ck_assert_uint_eq(weft_queue_unfinished(q), 2);
    weft_queue_free(q);
}

// Whatever it is told of its size: there is nobody to meet.
WORLDS(a_rendezvous_holds_nothing)
{
    weft_queue *q = new_queue(WEFT_QUEUE_RENDEZVOUS, 3);
    for (int i = 0; i < 3; i++)
        kit_assert_code(try_put(q, i), -EAGAIN);
    ck_assert(weft_queue_full(q));
    ck_assert_uint_eq(weft_queue_size(q), 0);
    weft_queue_free(q);
}

WORLDS(a_rendezvous_given_up_moves_nothing)
{
    weft_queue *q = new_queue(WEFT_QUEUE_RENDEZVOUS, 0);
    long item = 1;
    kit_assert_code(weft_queue_put(q, &item, .timeout = 0.001), -ETIMEDOUT);
    kit_assert_code(try_get(q), -EAGAIN);
    kit_assert_code(weft_queue_get(q, &item, .timeout = 0.001), -ETIMEDOUT);
    kit_assert_code(try_put(q, 1), -EAGAIN);
    ck_assert_uint_eq(weft_queue_unfinished(q), 0);
    weft_future *f = start(get_one, q);
    await_listed(q, false, 1);
    weft_queue_shutdown(q, false);
    kit_assert_code(weft_join(f), -WEFT_ECLOSED);
    kit_assert_code(put(q, 1), -WEFT_ECLOSED);
    weft_queue_free(q);
}

WEFT_TEST_MAIN("queue_end")
