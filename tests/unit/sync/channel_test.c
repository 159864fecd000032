// SPDX-License-Identifier: MIT
// weft_channel: meeting, capacity, closing by either end.
#include "queue_world.h"

#include "sync/channel.h"

static int send_value(weft_channel *c, int value)
{
    return weft_channel_send(c, &value);
}

static int receive(weft_channel *c)
{
    int value = 0;
    int rc = weft_channel_receive(c, &value);
    return rc < 0 ? rc : value;
}

static int send_seven(void *arg)
{
    return send_value(arg, 7);
}

static int receive_one(void *arg)
{
    return receive(arg);
}

struct game {
    weft_channel *there, *back;
    int turns;
};

static int answer(void *arg)
{
    struct game *g = arg;
    for (int i = 0; i < g->turns; i++)
        if (send_value(g->back, receive(g->there) + 1) < 0)
            return -EPROTO;
    return 0;
}

static void play(world_start *start, size_t capacity)
{
    struct game g = {
        weft_channel_new(.item = sizeof(int), .capacity = capacity),
        weft_channel_new(.item = sizeof(int), .capacity = capacity), 500};
    weft_future *f = start(answer, &g);
    for (int i = 0; i < g.turns; i++) {
        kit_assert_code(send_value(g.there, i), 0);
        kit_assert_code(receive(g.back), i + 1);
    }
    kit_assert_code(weft_join(f), 0);
    weft_channel_free(g.there);
    weft_channel_free(g.back);
}

WORLDS(values_go_to_and_fro)
{
    play(start, 0);
    play(start, 1);
    play(start, 100);
}

WORLDS(an_unbuffered_send_waits_for_its_receiver)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int));
    int value = 3;
    kit_assert_code(weft_channel_try_send(c, &value), -EAGAIN);
    kit_assert_code(weft_channel_try_receive(c, &value), -EAGAIN);
    kit_assert_code(weft_channel_send(c, &value, .timeout = 0.001), -ETIMEDOUT);
    weft_future *f = start(send_seven, c);
    await_listed(&c->queue, true, 1);
    ck_assert(!weft_done(f));
    kit_assert_code(receive(c), 7);
    kit_assert_code(weft_join(f), 0);
    ck_assert_uint_eq(weft_channel_size(c), 0);
    weft_channel_free(c);
}

// Items of the size of a word go a shorter way than others.
static int receive_word(void *arg)
{
    long word = 0;
    int rc = weft_channel_receive((weft_channel *)arg, &word);
    return rc < 0 ? rc : (int)word;
}

static int send_word(weft_channel *c, long word)
{
    return weft_channel_send(c, &word);
}

static int send_words(void *arg)
{
    for (long i = 0; i < 500; i++)
        kit_assert_code(send_word(arg, i), 0);
    return 0;
}

WORLDS(words_come_in_order)
{
    weft_channel *c = weft_channel_new(.item = sizeof(long));
    weft_future *f = start(send_words, c);
    for (int i = 0; i < 500; i++)
        kit_assert_code(receive_word(c), i);
    kit_assert_code(weft_join(f), 0);
    f = start(receive_word, c);
    await_listed(&c->queue, false, 1);
    weft_channel_close(c);
    kit_assert_code(weft_join(f), -WEFT_ECLOSED);
    kit_assert_code(send_word(c, 1), -WEFT_ECLOSED);
    kit_assert_code(receive_word(c), -WEFT_ECLOSED);
    weft_channel_free(c);
}

// A call in a scope that has ended does nothing, although it need not wait.
WORLDS(an_ended_scope_comes_before_the_one_who_waits)
{
    weft_channel *c = weft_channel_new(.item = sizeof(long));
    weft_future *f = start(receive_word, c);
    await_listed(&c->queue, false, 1);
    {
        WEFT_TIMEOUT(0);
        kit_assert_code(send_word(c, 1), -ETIMEDOUT);
    }
    weft_group *g = weft_group_open();
    weft_group_cancel(g);
    kit_assert_code(send_word(c, 2), -ECANCELED);
    weft_group_close(g);
    ck_assert(!weft_done(f));
    kit_assert_code(send_word(c, 3), 0);
    kit_assert_code(weft_join(f), 3);
    weft_channel_free(c);
}

WORLDS(a_channel_holds_its_capacity)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int), .capacity = 2);
    int value = 1;
    kit_assert_code(weft_channel_try_send(c, &value), 0);
    kit_assert_code(weft_channel_try_send(c, &value), 0);
    kit_assert_code(weft_channel_try_send(c, &value), -EAGAIN);
    ck_assert_uint_eq(weft_channel_size(c), 2);
    weft_channel_free(c);
}

WORLDS(senders_and_receivers_are_served_in_turn)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int));
    weft_future *f[5];
    for (int i = 0; i < 5; i++) {
        f[i] = start(receive_one, c);
        await_listed(&c->queue, false, i + 1);
    }
    weft_cancel(f[2]);
    kit_assert_code(weft_join(f[2]), -WEFT_EJOBCANCELED);
    for (int i = 0; i < 5; i++)
        if (i != 2)
            kit_assert_code(send_value(c, i), 0);
    for (int i = 0; i < 5; i++)
        if (i != 2)
            kit_assert_code(weft_join(f[i]), i);
    weft_channel_free(c);
}

WORLDS(closing_ends_both_sides)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        weft_channel *c =
            weft_channel_new(.item = sizeof(int), .capacity = capacity);
        weft_future *f = start(receive_one, c);
        await_listed(&c->queue, false, 1);
        kit_assert_code(weft_channel_close(c), 0);
        kit_assert_code(weft_join(f), -WEFT_ECLOSED);
        kit_assert_code(send_value(c, 1), -WEFT_ECLOSED);
        kit_assert_code(receive(c), -WEFT_ECLOSED);
        kit_assert_code(weft_channel_close(c), 0);
        weft_channel_free(c);
    }
}

WORLDS(closing_lets_senders_go_that_wait)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int), .capacity = 1);
    send_value(c, 3);
    weft_future *f = start(send_seven, c);
    await_listed(&c->queue, true, 1);
    weft_channel_close(c);
    kit_assert_code(weft_join(f), -WEFT_ECLOSED);
    kit_assert_code(receive(c), 3);
    kit_assert_code(receive(c), -WEFT_ECLOSED);
    weft_channel_free(c);
}

static int send_ten(void *arg)
{
    for (int i = 1; i <= 10; i++)
        if (send_value(arg, i) < 0)
            return -EPROTO;
    return weft_channel_sender_done(arg);
}

WORLDS(the_last_sender_closes)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int), .senders = 2);
    kit_assert_code(weft_channel_sender_add(c), 0);
    weft_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = start(send_ten, c);
    int value, sum = 0;
    while ((value = receive(c)) > 0)
        sum += value;
    kit_assert_code(value, -WEFT_ECLOSED);
    ck_assert_int_eq(sum, 165);
    for (int i = 0; i < 3; i++)
        kit_assert_code(weft_join(f[i]), 0);
    kit_assert_code(weft_channel_sender_add(c), -WEFT_ECLOSED);
    weft_channel_free(c);
}

static int dropped;

static void add_dropped(void *item)
{
    dropped += *(int *)item;
}

WORLDS(the_last_receiver_breaks_the_pipe)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int), .capacity = 2,
                                       .receivers = 1, .drop = add_dropped);
    dropped = 0;
    kit_assert_code(weft_channel_receiver_add(c), 0);
    send_value(c, 3);
    send_value(c, 4);
    weft_future *f = start(send_seven, c);
    await_listed(&c->queue, true, 1);
    weft_channel_receiver_done(c);
    ck_assert_uint_eq(weft_channel_size(c), 2);
    weft_channel_receiver_done(c);
    kit_assert_code(weft_join(f), -EPIPE);
    kit_assert_code(send_value(c, 1), -EPIPE);
    kit_assert_code(weft_channel_receiver_add(c), -EPIPE);
    ck_assert_int_eq(dropped, 7);
    weft_channel_free(c);
}

static void one_receiver_too_many(void)
{
    weft_channel *c = weft_channel_new(.item = sizeof(int), .receivers = 1);

    weft_channel_receiver_done(c);
    weft_channel_receiver_done(c);
}

WEFT_TEST(a_receiver_that_is_done_twice_aborts)
{
    kit_assert_aborts(one_receiver_too_many, "more receivers are done");
}

// Its ends are those of no channel, and hear of it too.
WEFT_TEST(one_that_found_no_memory_tells_each_end)
{
    weft_channel *c = weft_channel_new(.item = SIZE_MAX / 8, .capacity = 64,
                                       .senders = 1, .receivers = 1);
    kit_assert_code(weft_channel_receiver_done(c), -ENOMEM);
    kit_assert_code(weft_channel_sender_done(c), -ENOMEM);
    kit_assert_code(weft_channel_receiver_add(c), -ENOMEM);
    kit_assert_code(weft_channel_sender_add(c), -ENOMEM);
    kit_assert_code(send_value(c, 1), -ENOMEM);
    weft_channel_free(c);
}

WEFT_TEST_MAIN("channel")
