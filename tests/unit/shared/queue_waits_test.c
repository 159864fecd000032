// SPDX-License-Identifier: MIT
// Queues in an arena: what Python's tests of queues ask for
// (tests/behaviour/queues), with one of those who meet in another process.
#include "kit.h"

#include "shared/queue.h"

static weft_arena *arena;
static weft_queue *queue;

static void make_queue(size_t maxsize)
{
    kit_assert_code(weft_arena_new(4 << 20, &arena), 0);
    queue = weft_queue_new(.arena = arena, .item = sizeof(uint64_t),
                           .maxsize = maxsize);
}

static void end_queue(void)
{
    weft_queue_free(queue);
    weft_arena_close(arena);
}

enum work {
    PUT,
    GET,
    GET_AND_DONE,
    JOIN,
    SHUTDOWN,
    SHUTDOWN_NOW,
    NO_TIME_AT_ALL, // a get with a negative limit
    NOWAIT,         // a get and a put that do not wait, on an empty queue
    PUT_FOR_EVER,   // until it is shut down, as the next one
    GET_FOR_EVER
};

struct order {
    struct weft_arena_ref queue;
    enum work work;
};

static int no_wait(weft_queue *q)
{
    uint64_t x = 4;
    if (weft_queue_try_get(q, &x) != -EAGAIN)
        return -EIO;
    int rc = weft_queue_try_put(q, &x);
    return rc == 0 && weft_queue_full(q) ? weft_queue_try_put(q, &x) : -EIO;
}

static int for_ever(weft_queue *q, bool put)
{
    uint64_t x = 1;
    int rc;
    do
        rc = put ? weft_queue_put(q, &x) : weft_queue_get(q, &x);
    while (rc == 0);
    return rc;
}

static int obey(void *arg)
{
    struct order *order = arg;
    weft_queue *q = weft_queue_open(order->queue);
    uint64_t x = 1;
    switch (order->work) {
    case PUT:
        return weft_queue_put(q, &x);
    case GET:
        return weft_queue_get(q, &x);
    case GET_AND_DONE: {
        int rc = weft_queue_get(q, &x);
        weft_queue_task_done(q);
        return rc;
    }
    case JOIN:
        return weft_queue_join(q);
    case SHUTDOWN:
    case SHUTDOWN_NOW:
        weft_queue_shutdown(q, order->work == SHUTDOWN_NOW);
        return 0;
    case NO_TIME_AT_ALL:
        return weft_queue_get(q, &x, .timeout = -1);
    case NOWAIT:
        return no_wait(q);
    case PUT_FOR_EVER:
        return for_ever(q, true);
    case GET_FOR_EVER:
        return for_ever(q, false);
    }
    return -EINVAL;
}

static weft_future *elsewhere(enum work work)
{
    struct order order = {weft_queue_ref(queue), work};
    return weft_process_start(obey, &order, sizeof order);
}

static struct wi_shared_queue *inside(void)
{
    return weft_arena_at(arena, weft_queue_ref(queue).at);
}

static void until_asleep(bool put)
{
    const uint32_t *sleepers =
        put ? &inside()->put.sleepers : &inside()->get.sleepers;
    while (__atomic_load_n(sleepers, __ATOMIC_SEQ_CST) == 0)
        weft_yield();
}

static void until_joining(void)
{
    while (!(__atomic_load_n(&inside()->done_bell, __ATOMIC_SEQ_CST) & 1))
        weft_yield();
}

static void put_here(uint64_t x)
{
    kit_assert_code(weft_queue_put(queue, &x), 0);
}

KIT_BOTH(a_full_queue_holds_puts_and_an_empty_one_gets)
{
    uint64_t x;
    make_queue(1);
    weft_future *getter = elsewhere(GET);
    until_asleep(false);
    put_here(1);
    kit_assert_code(weft_join(getter), 0);
    put_here(2);
    weft_future *putter = elsewhere(PUT);
    until_asleep(true);
    kit_assert_code(weft_queue_get(queue, &x), 0);
    ck_assert_uint_eq(x, 2);
    kit_assert_code(weft_join(putter), 0);
    kit_assert_code(weft_queue_get(queue, &x), 0);
    ck_assert_uint_eq(x, 1);
    end_queue();
}

KIT_BOTH(nowait_never_waits)
{
    make_queue(1);
    kit_assert_code(weft_join(elsewhere(NO_TIME_AT_ALL)), -WEFT_EJOBTIMEOUT);
    kit_assert_code(weft_join(elsewhere(NOWAIT)), -EAGAIN);
    ck_assert_uint_eq(weft_queue_size(queue), 1);
    end_queue();
}

KIT_BOTH(shutdown_ends_the_waits)
{
    for (int now = 0; now < 2; now++) {
        make_queue(1);
        weft_future *getter = elsewhere(GET);
        until_asleep(false);
        weft_queue_shutdown(queue, now);
        kit_assert_code(weft_join(getter), -WEFT_ECLOSED);
        end_queue();

        make_queue(1);
        put_here(1);
        weft_future *putter = elsewhere(PUT);
        until_asleep(true);
        weft_queue_shutdown(queue, now);
        kit_assert_code(weft_join(putter), -WEFT_ECLOSED);
        ck_assert_uint_eq(weft_queue_size(queue), now ? 0 : 1);
        end_queue();
    }
}

KIT_BOTH(what_is_left_can_be_got_after_shutdown)
{
    uint64_t x = 9;
    make_queue(4);
    put_here(1);
    put_here(2);
    kit_assert_code(weft_join(elsewhere(SHUTDOWN)), 0);
    ck_assert(weft_queue_is_shutdown(queue));
    kit_assert_code(weft_queue_put(queue, &x), -WEFT_ECLOSED);
    kit_assert_code(weft_queue_get(queue, &x), 0);
    ck_assert_uint_eq(x, 1);
    kit_assert_code(weft_join(elsewhere(GET)), 0);
    kit_assert_code(weft_queue_get(queue, &x), -WEFT_ECLOSED);
    kit_assert_code(weft_join(elsewhere(PUT)), -WEFT_ECLOSED);
    end_queue();
}

KIT_BOTH(immediate_shutdown_leaves_nothing)
{
    uint64_t x;
    make_queue(4);
    put_here(1);
    put_here(2);
    kit_assert_code(weft_join(elsewhere(SHUTDOWN)), 0);
    ck_assert_uint_eq(weft_queue_size(queue), 2);
    kit_assert_code(weft_join(elsewhere(SHUTDOWN_NOW)), 0); // sharper
    kit_assert_code(weft_join(elsewhere(SHUTDOWN)), 0);     // again
    ck_assert_uint_eq(weft_queue_size(queue), 0);
    kit_assert_code(weft_queue_get(queue, &x), -WEFT_ECLOSED);
    kit_assert_code(weft_join(elsewhere(GET)), -WEFT_ECLOSED);
    kit_assert_code(weft_queue_join(queue), 0);
    kit_assert_code(weft_join(elsewhere(JOIN)), 0);
    end_queue();
}

// Shutdown alone does not end it: the rest is to be worked off.
KIT_BOTH(a_join_waits_for_the_rest)
{
    make_queue(4);
    kit_assert_code(weft_join(elsewhere(JOIN)), 0); // nothing was put
    put_here(1);
    put_here(2);
    weft_future *f = elsewhere(JOIN);
    until_joining();
    weft_queue_shutdown(queue, false);
    kit_assert_code(weft_join(elsewhere(GET_AND_DONE)), 0);
    ck_assert(!weft_done(f));
    kit_assert_code(weft_join(elsewhere(GET_AND_DONE)), 0);
    kit_assert_code(weft_join(f), 0);
    end_queue();
}

KIT_BOTH(immediate_shutdown_ends_a_join)
{
    make_queue(1);
    put_here(1);
    weft_future *joiner = elsewhere(JOIN);
    until_joining();
    weft_future *putter = elsewhere(PUT);
    until_asleep(true);
    weft_queue_shutdown(queue, true);
    kit_assert_code(weft_join(putter), -WEFT_ECLOSED);
    kit_assert_code(weft_join(joiner), 0);
    end_queue();
}

KIT_BOTH(shutdown_in_the_middle_of_a_crowd, .timeout = 30)
{
    for (int now = 0; now < 2; now++) {
        make_queue(4);
        weft_future *f[4] = {elsewhere(PUT_FOR_EVER), elsewhere(PUT_FOR_EVER),
                             elsewhere(GET_FOR_EVER), elsewhere(GET_FOR_EVER)};
        uint64_t x;
        for (int i = 0; i < 50; i++)
            kit_assert_code(weft_queue_get(queue, &x), 0);
        weft_queue_shutdown(queue, now);
        for (int i = 0; i < 4; i++)
            kit_assert_code(weft_join(f[i]), -WEFT_ECLOSED);
        ck_assert(weft_queue_empty(queue));
        end_queue();
    }
}

WEFT_TEST_MAIN("shared_queue_waits")
