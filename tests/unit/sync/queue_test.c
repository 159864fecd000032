// SPDX-License-Identifier: MIT
// weft_queue: order, waiting, time limits and cancel, unfinished items,
// shutdown. Each case in three worlds: see queue_world.h.
#include "queue_calls.h"

enum { SIZE = 5 };

static int join_it(void *arg)
{
    return weft_queue_join(arg);
}

// Order and size --------------------------------------------------------------

static void check_order(weft_queue *q, size_t kind)
{
    static const long orders[][3] = {
        {111, 333, 222}, {222, 333, 111}, {111, 222, 333}};
    ck_assert(weft_queue_empty(q));
    ck_assert(!weft_queue_full(q));
    put(q, 111);
    put(q, 333);
    put(q, 222);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(get(q), orders[kind][i]);
}

WORLDS(items_leave_in_the_order_of_the_kind)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, SIZE);
        check_order(q, kind);
        check_order(q, kind);
        weft_queue_free(q);
    }
}

static void fill_and_empty(weft_queue *q, world_start *start)
{
    for (long i = 0; i < SIZE - 1; i++) {
        kit_assert_code(put(q, i), 0);
        ck_assert_int_eq((int)weft_queue_size(q), (int)i + 1);
        ck_assert(!weft_queue_full(q));
    }
    kit_assert_code(put(q, 100), 0);
    ck_assert(weft_queue_full(q));
    ck_assert(!weft_queue_empty(q));
    kit_assert_code(try_put(q, 200), -EAGAIN);
    long late = 300;
    kit_assert_code(weft_queue_put(q, &late, .timeout = 0.001), -ETIMEDOUT);
    weft_future *f = start(put_one, q);
    await_listed(q, true, 1);
    ck_assert_int_ge(get(q), 0);
    kit_assert_code(weft_join(f), 0);
    for (int i = 0; i < SIZE; i++)
        ck_assert_int_ge(get(q), 0);
    kit_assert_code(try_get(q), -EAGAIN);
    kit_assert_code(weft_queue_get(q, &late, .timeout = 0.001), -ETIMEDOUT);
    f = start(get_one, q);
    await_listed(q, false, 1);
    kit_assert_code(put(q, 9), 0);
    kit_assert_code(weft_join(f), 9);
}

WORLDS(a_full_queue_holds_puts_and_an_empty_one_gets)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, SIZE);
        fill_and_empty(q, start);
        fill_and_empty(q, start);
        weft_queue_free(q);
    }
}

WORLDS(nowait_never_waits)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, SIZE);
        for (long i = 0; i < SIZE; i++)
            kit_assert_code(try_put(q, i), 0);
        kit_assert_code(try_put(q, 9), -EAGAIN);
        for (long i = 0; i < SIZE; i++)
            ck_assert_int_ge(try_get(q), 0);
        kit_assert_code(try_get(q), -EAGAIN);
        weft_queue_free(q);
    }
}

WORLDS(a_negative_time_limit_is_none_at_all)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 1);
        long item = 1;
        kit_assert_code(weft_queue_get(q, &item, .timeout = -1), -ETIMEDOUT);
        kit_assert_code(weft_queue_put(q, &item, .timeout = -1), 0);
        kit_assert_code(weft_queue_put(q, &item, .timeout = -1), -ETIMEDOUT);
        kit_assert_code(weft_queue_get(q, &item, .timeout = -1), 0);
        weft_queue_free(q);
    }
}

static void time_is_not_a_number(void)
{
    weft_queue *q = weft_queue_new();
    void *item;
    weft_queue_get(q, &item, .timeout = NAN);
}

WEFT_TEST(a_time_limit_that_is_no_number_aborts)
{
    kit_assert_aborts(time_is_not_a_number, "weft_queue_get");
}

WORLDS(equal_priorities_leave_in_the_order_of_coming)
{
    struct pair {
        int32_t key, serial;
    } item;
    weft_queue *q =
        weft_queue_new(.item = sizeof item, .kind = WEFT_QUEUE_PRIORITY);
    for (int i = 0; i < 500; i++) {
        item = (struct pair){(int32_t)(weft_test_random() % 7) - 3, i};
        kit_assert_code(weft_queue_put(q, &item, .priority = item.key), 0);
    }
    struct pair last = {-100, 0};
    for (int i = 0; i < 500; i++) {
        kit_assert_code(weft_queue_get(q, &item), 0);
        ck_assert(item.key > last.key ||
                  (item.key == last.key && item.serial > last.serial));
        last = item;
    }
    weft_queue_free(q);
}

// Growing and shrinking, with the ring turned by any amount, keeps all items.
WORLDS(an_unbounded_queue_grows_and_shrinks, .timeout = 30)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        long sum = 0, items = 0;
        for (int round = 0; round < 60; round++) {
            int n = (int)(weft_test_random() % (round % 3 ? 40 : 5000));
            for (int i = 0; i < n; i++, items++, sum += items)
                kit_assert_code(put(q, items + 1), 0);
            n = (int)(weft_test_random() % (unsigned)(items + 1));
            for (int i = 0; i < n; i++, items--)
                sum -= get(q);
            ck_assert_int_eq((long)weft_queue_size(q), items);
        }
        while (items-- > 0)
            sum -= get(q);
        ck_assert_int_eq(sum, 0);
        // A ring is halved as it turns, however many there were at the most.
        for (int i = 0; i < 40000; i++) {
            kit_assert_code(put(q, 1), 0);
            ck_assert_int_eq(get(q), 1);
        }
        ck_assert_uint_le(q->capacity, 8192);
        weft_queue_free(q);
    }
}

WORLDS(items_of_any_size_come_out_as_they_went_in)
{
    static const size_t sizes[] = {1, 3, 4, 8, 12, 24, 100, 5000};
    static unsigned char in[5000], out[5000];
    for (size_t s = 0; s < 8; s++) {
        EACH_KIND(kind)
        {
            weft_queue *q = weft_queue_new(.item = sizes[s], .maxsize = 3,
                                           .kind = (enum weft_queue_kind)kind);
            for (int i = 0; i < 3; i++) {
                memset(in, 'a' + i, sizes[s]);
                kit_assert_code(weft_queue_put(q, in), 0);
            }
            for (int i = 0; i < 3; i++) {
                kit_assert_code(weft_queue_get(q, out), 0);
                int want = 'a' + (kind == WEFT_QUEUE_LIFO ? 2 - i : i);
                for (size_t k = 0; k < sizes[s]; k++)
                    ck_assert_int_eq(out[k], want);
            }
            weft_queue_free(q);
        }
    }
}

// Batches ---------------------------------------------------------------------

static int put_hundred(void *arg)
{
    long items[100];
    for (long i = 0; i < 100; i++)
        items[i] = i;
    return (int)weft_queue_put_n(arg, items, 100);
}

WORLDS(a_batch_goes_in_as_room_comes)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 7);
    weft_future *f = start(put_hundred, q);
    long items[10], want = 0;
    while (want < 100) {
        ssize_t n = weft_queue_get_n(q, items, 10);
        ck_assert_int_ge(n, 1);
        ck_assert_int_le(n, 7);
        for (ssize_t i = 0; i < n; i++)
            ck_assert_int_eq(items[i], want++);
    }
    kit_assert_code(weft_join(f), 100);
    weft_queue_free(q);
}

WORLDS(a_batch_tells_how_much_of_it_went_in)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 3);
    long items[5] = {1, 2, 3, 4, 5};
    ck_assert_int_eq(weft_queue_put_n(q, items, 5, .nowait = true), 3);
    ck_assert_int_eq(weft_queue_put_n(q, items, 5, .nowait = true), -EAGAIN);
    ck_assert_int_eq(get(q), 1);
    ck_assert_int_eq(weft_queue_put_n(q, items, 5, .timeout = 0.001), 1);
    ck_assert_int_eq(weft_queue_put_n(q, items, 5, .timeout = 0.001),
                     -ETIMEDOUT);
    ck_assert_int_eq(weft_queue_get_n(q, items, 5), 3);
    ck_assert_int_eq(items[0], 2);
    ck_assert_int_eq(items[2], 1);
    ck_assert_int_eq(weft_queue_get_n(q, items, 0), 0);
    ck_assert_int_eq(weft_queue_put_n(q, items, 0), 0);
    weft_queue_free(q);
}

// One put of a batch wakes as many as it has items.
WORLDS(a_batch_wakes_all_who_can_be_served)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 0);
    weft_future *f[20];
    long items[20], sum = 0;
    for (int i = 0; i < 20; i++) {
        f[i] = start(get_one, q);
        items[i] = i + 1;
    }
    await_listed(q, false, 20);
    ck_assert_int_eq(weft_queue_put_n(q, items, 20), 20);
    for (int i = 0; i < 20; i++)
        sum += weft_join(f[i]);
    ck_assert_int_eq(sum, 210);
    weft_queue_free(q);
}

// Waiting ---------------------------------------------------------------------

// Those who wait are woken in the order in which they came.
WORLDS(getters_are_served_in_turn)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 0);
    weft_future *f[4];
    for (int i = 0; i < 4; i++) {
        f[i] = start(get_one, q);
        await_listed(q, false, i + 1);
    }
    for (int i = 0; i < 4; i++) {
        put(q, i + 1);
        kit_assert_code(weft_join(f[i]), i + 1);
    }
    weft_queue_free(q);
}

WORLDS(putters_are_served_in_turn)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 1);
    weft_future *f[3];
    put(q, 0);
    for (int i = 0; i < 3; i++) {
        f[i] = start(put_one, q);
        await_listed(q, true, i + 1);
    }
    ck_assert_int_eq(get(q), 0);
    for (int i = 0; i < 3; i++) {
        kit_assert_code(weft_join(f[i]), 0);
        ck_assert_int_eq(get(q), 7);
    }
    kit_assert_code(try_get(q), -EAGAIN);
    weft_queue_free(q);
}

struct strict {
    weft_queue *q;
    double seconds;
};

static int get_with_scope(void *arg)
{
    struct strict *s = arg;
    WEFT_TIMEOUT(s->seconds);
    return (int)get(s->q);
}

WORLDS(a_scope_ends_a_wait_and_an_item_that_is_there)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 1);
        struct strict s = {q, 0.001};
        kit_assert_code(weft_join(start(get_with_scope, &s)),
                        -WEFT_EJOBTIMEOUT);
        // Tested first, even when it need not wait.
        s.seconds = 0;
        put(q, 3);
        kit_assert_code(weft_join(start(get_with_scope, &s)),
                        -WEFT_EJOBTIMEOUT);
        ck_assert_int_eq(try_get(q), 3);
        weft_queue_free(q);
    }
}

// A cancelled getter takes nothing, and passes on what it was woken for.
WORLDS(a_cancelled_get_loses_nothing)
{
    for (int round = 0; round < 50; round++) {
        weft_queue *q = new_queue(kinds[round % 3], 0);
        weft_future *a = start(get_one, q), *b;
        await_listed(q, false, 1);
        b = start(get_one, q);
        await_listed(q, false, 2);
        if (round % 2)
            weft_cancel(a);
        put(q, 5);
        weft_cancel(a);
        int first = weft_join(a);
        if (first == 5)
            put(q, 5); // it was faster than the cancel
        else
            kit_assert_code(first, -WEFT_EJOBCANCELED);
        kit_assert_code(weft_join(b), 5);
        ck_assert(weft_queue_empty(q));
        weft_queue_free(q);
    }
}

WORLDS(a_cancelled_put_leaves_nothing_behind)
{
    for (int round = 0; round < 50; round++) {
        weft_queue *q = new_queue(kinds[round % 3], 1);
        put(q, 1);
        weft_future *a = start(put_one, q), *b;
        await_listed(q, true, 1);
        b = start(put_one, q);
        await_listed(q, true, 2);
        if (round % 2)
            weft_cancel(a);
        ck_assert_int_eq(get(q), 1);
        weft_cancel(a);
        int first = weft_join(a);
        if (first == 0)
            ck_assert_int_eq(get(q), 7);
        else
            kit_assert_code(first, -WEFT_EJOBCANCELED);
        kit_assert_code(weft_join(b), 0);
        ck_assert_int_eq(get(q), 7);
        ck_assert(weft_queue_empty(q));
        weft_queue_free(q);
    }
}

// Half of those who wait leave; the others get all that is put.
WORLDS(many_cancelled_gets_lose_nothing)
{
    enum { N = 20 };
    for (int round = 0; round < 10; round++) {
        weft_queue *q = new_queue(kinds[round % 3], 0);
        weft_future *f[N];
        int got = 0;
        for (int i = 0; i < N; i++)
            f[i] = start(get_one, q);
        await_listed(q, false, N);
        for (int i = 0; i < N; i++) {
            if (i % 2)
                weft_cancel(f[i]);
            if (i % 2 == round % 2)
                put(q, 5);
        }
        for (int i = 1; i < N; i += 2)
            got += weft_join(f[i]) == 5;
        for (int i = 0; i < got; i++)
            put(q, 5); // in place of what was faster than its cancel
        for (int i = 0; i < N; i += 2)
            kit_assert_code(weft_join(f[i]), 5);
        ck_assert(weft_queue_empty(q));
        weft_queue_free(q);
    }
}

static int get_briefly(void *arg)
{
    struct strict *s = arg;
    long item;
    int rc = weft_queue_get(s->q, &item, .timeout = s->seconds);
    return rc < 0 ? rc : (int)item;
}

// Whom a put wakes just when its time is up hands that on to the next.
WORLDS(a_get_whose_time_is_up_passes_on, .timeout = 20)
{
    for (int round = 0; round < 400; round++) {
        struct strict s = {new_queue(kinds[round % 3], 0), 0};
        s.seconds = (double)(weft_test_random() % 60 + 1) * 1e-6;
        weft_future *brief = start(get_briefly, &s), *f = start(get_one, s.q);
        double until = weft_now() + (double)(weft_test_random() % 120) * 1e-6;
        while (weft_now() < until)
            world_turn();
        put(s.q, 5);
        int first = weft_join(brief);
        if (first == 5)
            put(s.q, 5);
        else
            kit_assert_code(first, -WEFT_EJOBTIMEOUT);
        kit_assert_code(weft_join(f), 5);
        weft_queue_free(s.q);
    }
}

WORLDS(cancelled_getters_are_not_kept)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 0);
    for (int i = 0; i < 100; i++) {
        long item;
        kit_assert_code(weft_queue_get(q, &item, .timeout = 1e-6), -ETIMEDOUT);
    }
    ck_assert_ptr_null(q->get.waiting.first);
    ck_assert_uint_eq(q->put.word & WI_WATCHED, 0);
    weft_queue_free(q);
}

WORLDS(cancelled_putters_are_not_kept)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 1);
    put(q, 1);
    for (long i = 0; i < 100; i++)
        kit_assert_code(weft_queue_put(q, &i, .timeout = 1e-6), -ETIMEDOUT);
    ck_assert_ptr_null(q->put.waiting.first);
    ck_assert_uint_eq(q->get.word & WI_WATCHED, 0);
    weft_queue_free(q);
}

static void free_while_waited_for(void)
{
    weft_queue *q = weft_queue_new();
    weft_thread_start(get_one, q);
    await_listed(q, false, 1);
    weft_queue_free(q);
}

WEFT_TEST(freeing_a_queue_where_somebody_waits_aborts)
{
    kit_assert_aborts(free_while_waited_for, "weft_queue_free: ");
}

// Unfinished items ------------------------------------------------------------

static void one_done_too_many(void)
{
    weft_queue *q = weft_queue_new();
    void *item = NULL;
    weft_queue_put(q, &item);
    weft_queue_get(q, &item);
    weft_queue_task_done(q);
    weft_queue_task_done(q);
}

WEFT_TEST(telling_done_too_often_aborts)
{
    kit_assert_aborts(one_done_too_many, "weft: weft_queue_task_done");
}

struct work {
    weft_queue *q;
    long sum;
};

static int work_off(void *arg)
{
    struct work *w = arg;
    long item;
    while ((item = get(w->q)) >= 0) {
        __atomic_fetch_add(&w->sum, item, __ATOMIC_RELAXED);
        weft_queue_task_done(w->q);
    }
    weft_queue_task_done(w->q);
    return 0;
}

WORLDS(join_waits_until_all_is_worked_off)
{
    EACH_KIND(kind)
    {
        struct work w = {.q = new_queue(kind, 0)};
        weft_future *f[2] = {start(work_off, &w), start(work_off, &w)};
        kit_assert_code(weft_queue_join(w.q), 0);
        for (long i = 0; i < 100; i++)
            put(w.q, i);
        kit_assert_code(weft_queue_join(w.q), 0);
        ck_assert_int_eq(__atomic_load_n(&w.sum, __ATOMIC_RELAXED), 4950);
        for (int i = 0; i < 2; i++)
            put(w.q, -1);
        kit_assert_code(weft_queue_join(w.q), 0);
        ck_assert_uint_eq(weft_queue_unfinished(w.q), 0);
        for (int i = 0; i < 2; i++)
            kit_assert_code(weft_join(f[i]), 0);
        weft_queue_free(w.q);
    }
}

WORLDS(join_of_an_empty_queue_returns_at_once)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        kit_assert_code(weft_queue_join(q), 0);
        weft_queue_free(q);
    }
}

WORLDS(a_join_can_be_cancelled)
{
    weft_queue *q = new_queue(WEFT_QUEUE_FIFO, 0);
    put(q, 1);
    weft_future *a = start(join_it, q), *b = start(join_it, q);
    await_joiners(q, 2);
    weft_cancel(a);
    kit_assert_code(weft_join(a), -WEFT_EJOBCANCELED);
    get(q);
    weft_queue_task_done(q);
    kit_assert_code(weft_join(b), 0);
    weft_queue_free(q);
}

// Shutdown --------------------------------------------------------------------

WORLDS(an_empty_queue_that_is_shut_down)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q = new_queue(kind, 2);
            ck_assert(!weft_queue_is_shutdown(q));
            kit_assert_code(weft_queue_shutdown(q, immediate), 0);
            ck_assert(weft_queue_is_shutdown(q));
            kit_assert_code(put(q, 1), -WEFT_ECLOSED);
            kit_assert_code(try_put(q, 1), -WEFT_ECLOSED);
            kit_assert_code(get(q), -WEFT_ECLOSED);
            kit_assert_code(try_get(q), -WEFT_ECLOSED);
            kit_assert_code(weft_queue_join(q), 0);
            weft_queue_free(q);
        }
    }
}

WORLDS(what_is_left_can_be_got_after_shutdown)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 1);
        put(q, 4);
        weft_queue_shutdown(q, false);
        kit_assert_code(put(q, 1), -WEFT_ECLOSED);
        ck_assert_int_eq(get(q), 4);
        kit_assert_code(get(q), -WEFT_ECLOSED);
        kit_assert_code(try_get(q), -WEFT_ECLOSED);
        weft_queue_free(q);
    }
}

WORLDS(immediate_shutdown_leaves_nothing)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        for (long i = 0; i < 3; i++)
            put(q, i);
        ck_assert_int_eq(get(q), kind == WEFT_QUEUE_LIFO ? 2 : 0);
        weft_queue_shutdown(q, true);
        ck_assert_uint_eq(weft_queue_size(q), 0);
        ck_assert_uint_eq(weft_queue_unfinished(q), 1);
        kit_assert_code(get(q), -WEFT_ECLOSED);
        weft_queue_task_done(q);
        kit_assert_code(weft_queue_join(q), 0);
        weft_queue_free(q);
    }
}

WORLDS(shutdown_may_be_repeated_and_sharpened)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        put(q, 1);
        weft_queue_shutdown(q, false);
        weft_queue_shutdown(q, false);
        ck_assert_uint_eq(weft_queue_size(q), 1);
        weft_queue_shutdown(q, true);
        ck_assert_uint_eq(weft_queue_size(q), 0);
        kit_assert_code(get(q), -WEFT_ECLOSED);
        weft_queue_shutdown(q, false);
        kit_assert_code(get(q), -WEFT_ECLOSED);
        weft_queue_shutdown(q, true);
        kit_assert_code(put(q, 1), -WEFT_ECLOSED);
        weft_queue_free(q);
    }
}

WORLDS(shutdown_ends_the_waits_of_getters)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q = new_queue(kind, 0);
            weft_future *f[3];
            for (int i = 0; i < 3; i++)
                f[i] = start(get_one, q);
            await_listed(q, false, 3);
            weft_queue_shutdown(q, immediate);
            for (int i = 0; i < 3; i++)
                kit_assert_code(weft_join(f[i]), -WEFT_ECLOSED);
            weft_queue_free(q);
        }
    }
}

WORLDS(shutdown_ends_the_waits_of_putters)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q = new_queue(kind, 1);
            put(q, 1);
            weft_future *f[3];
            for (int i = 0; i < 3; i++)
                f[i] = start(put_one, q);
            await_listed(q, true, 3);
            weft_queue_shutdown(q, immediate);
            for (int i = 0; i < 3; i++)
                kit_assert_code(weft_join(f[i]), -WEFT_ECLOSED);
            ck_assert_uint_eq(weft_queue_size(q), !immediate);
            weft_queue_free(q);
        }
    }
}

WORLDS(immediate_shutdown_ends_a_join)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        put(q, 1);
        put(q, 2);
        weft_future *f[2] = {start(join_it, q), start(join_it, q)};
        await_joiners(q, 2);
        weft_queue_shutdown(q, true);
        for (int i = 0; i < 2; i++)
            kit_assert_code(weft_join(f[i]), 0);
        weft_queue_free(q);
    }
}

WORLDS(shutdown_alone_does_not_end_a_join)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        put(q, 1);
        weft_future *f = start(join_it, q);
        await_joiners(q, 1);
        weft_queue_shutdown(q, false);
        ck_assert_int_eq(get(q), 1);
        await_joiners(q, 1);
        ck_assert(!weft_done(f));
        weft_queue_task_done(q);
        kit_assert_code(weft_join(f), 0);
        weft_queue_free(q);
    }
}

// An immediate shutdown takes off what was in the queue, not what somebody is
// at work on.
WORLDS(a_join_waits_for_work_that_goes_on)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 0);
        put(q, 1);
        put(q, 2);
        get(q);
        weft_future *f = start(join_it, q);
        await_joiners(q, 1);
        weft_queue_shutdown(q, true);
        await_joiners(q, 1);
        weft_queue_task_done(q);
        kit_assert_code(weft_join(f), 0);
        weft_queue_free(q);
    }
}

static int get_and_tell(void *arg)
{
    long item = get(arg);
    return item < 0 ? (int)item : weft_queue_task_done(arg);
}

WORLDS(joins_end_when_the_rest_is_worked_off)
{
    EACH_KIND(kind)
    {
        weft_queue *q = new_queue(kind, 2);
        put(q, 1);
        put(q, 2);
        weft_future *f[4];
        for (int i = 0; i < 4; i++)
            f[i] = start(i < 2 ? join_it : get_and_tell, q);
        weft_queue_shutdown(q, false);
        for (int i = 0; i < 4; i++)
            kit_assert_code(weft_join(f[i]), 0);
        weft_queue_free(q);
    }
}

WORLDS(shutdown_with_a_put_and_a_join_that_wait)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q = new_queue(kind, 1);
            put(q, 1);
            weft_future *f[2] = {start(put_one, q), start(join_it, q)};
            await_listed(q, true, 1);
            await_joiners(q, 1);
            weft_queue_shutdown(q, immediate);
            kit_assert_code(weft_join(f[0]), -WEFT_ECLOSED);
            if (!immediate)
                kit_assert_code(get_and_tell(q), 0);
            kit_assert_code(weft_join(f[1]), 0);
            weft_queue_free(q);
        }
    }
}

WORLDS(every_call_after_shutdown)
{
    EACH_KIND(kind)
    {
        for (int immediate = 0; immediate < 2; immediate++) {
            weft_queue *q = new_queue(kind, 0);
            put(q, 1);
            put(q, 2);
            weft_queue_shutdown(q, immediate);
            kit_assert_code(put(q, 3), -WEFT_ECLOSED);
            kit_assert_code(try_put(q, 3), -WEFT_ECLOSED);
            ck_assert_uint_eq(weft_queue_size(q), immediate ? 0 : 2);
            for (int i = 0; !immediate && i < 2; i++)
                kit_assert_code(get_and_tell(q), 0);
            kit_assert_code(get(q), -WEFT_ECLOSED);
            kit_assert_code(try_get(q), -WEFT_ECLOSED);
            kit_assert_code(weft_queue_join(q), 0);
            weft_queue_free(q);
        }
    }
}

struct crowd {
    weft_queue *q;
    int put, got, done;
};

static int crowd_put(void *arg)
{
    struct crowd *c = arg;
    int rc;
    for (long i = 0; (rc = put(c->q, i)) == 0; i++)
        kit_count(&c->put);
    return rc;
}

static int crowd_get(void *arg)
{
    struct crowd *c = arg;
    long item;
    while ((item = get(c->q)) >= 0) {
        kit_count(&c->got);
        weft_queue_task_done(c->q);
        world_turn();
    }
    return (int)item;
}

static void crowd_is_shut_down(world_start *start, size_t kind, bool immediate)
{
    struct crowd c = {.q = new_queue(kind, 4)};
    weft_future *f[8];
    for (int i = 0; i < 8; i++)
        f[i] = start(i < 4 ? crowd_put : crowd_get, &c);
    kit_await(&c.got, 100);
    weft_queue_shutdown(c.q, immediate);
    for (int i = 0; i < 8; i++)
        kit_assert_code(weft_join(f[i]), -WEFT_ECLOSED);
    kit_assert_code(weft_queue_join(c.q), 0);
    ck_assert_int_le(c.got, c.put);
    if (!immediate)
        ck_assert_int_eq(c.got, c.put);
    weft_queue_free(c.q);
}

WORLDS(shutdown_in_the_middle_of_a_crowd, .timeout = 20)
{
    EACH_KIND(kind) crowd_is_shut_down(start, kind, false);
}

WORLDS(immediate_shutdown_in_the_middle_of_a_crowd, .timeout = 20)
{
    EACH_KIND(kind) crowd_is_shut_down(start, kind, true);
}

WEFT_TEST_MAIN("queue")
