// SPDX-License-Identifier: MIT
// weft_select: each kind of case, one case at a time, nothing lost.
#include "queue_world.h"

#include "sync/channel.h"

struct pair {
    weft_channel *a, *b;
};

static struct pair new_pair(size_t capacity)
{
    return (struct pair){
        weft_channel_new(.item = sizeof(long), .capacity = capacity),
        weft_channel_new(.item = sizeof(long), .capacity = capacity)};
}

static void free_pair(struct pair p)
{
    weft_channel_free(p.a);
    weft_channel_free(p.b);
}

static int send_value(weft_channel *c, long value)
{
    return weft_channel_send(c, &value);
}

// Index * 100 + the value.
static int receive_first(void *arg)
{
    struct pair *p = arg;
    long value = 0;
    struct weft_case cases[] = {WEFT_CASE_RECEIVE(p->a, &value),
                                WEFT_CASE_NONE(),
                                WEFT_CASE_RECEIVE(p->b, &value)};
    int i = weft_select(cases, 3);
    if (i < 0)
        return i;
    return cases[i].code < 0 ? cases[i].code : i * 100 + (int)value;
}

WORLDS(the_first_value_is_received)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        struct pair p = new_pair(capacity);
        weft_future *f = start(receive_first, &p);
        await_listed(&p.b->queue, false, 1);
        kit_assert_code(send_value(p.b, 5), 0);
        kit_assert_code(weft_join(f), 205);
        ck_assert_ptr_null(p.a->queue.get.waiting.first);
        f = start(receive_first, &p);
        kit_assert_code(send_value(p.a, 6), 0);
        kit_assert_code(weft_join(f), 6);
        ck_assert_ptr_null(p.b->queue.get.waiting.first);
        free_pair(p);
    }
}

static int send_first(void *arg)
{
    struct pair *p = arg;
    long one = 1, two = 2;
    struct weft_case cases[] = {WEFT_CASE_SEND(p->a, &one),
                                WEFT_CASE_SEND(p->b, &two)};
    int i = weft_select(cases, 2);
    return i < 0 ? i : cases[i].code < 0 ? cases[i].code : i;
}

WORLDS(two_selects_meet)
{
    struct pair p = new_pair(0);
    for (int i = 0; i < 100; i++) {
        weft_future *f = start(receive_first, &p);
        int sent = send_first(&p);
        ck_assert_int_ge(sent, 0);
        kit_assert_code(weft_join(f), sent == 0 ? 1 : 202);
    }
    free_pair(p);
}

WORLDS(a_select_does_not_meet_itself)
{
    struct pair p = new_pair(0);
    long out = 1, in = 0;
    struct weft_case cases[] = {WEFT_CASE_SEND(p.a, &out),
                                WEFT_CASE_RECEIVE(p.a, &in)};
    kit_assert_code(weft_select(cases, 2, .timeout = 0.002), -ETIMEDOUT);
    kit_assert_code(weft_select(cases, 2, .nowait = true), -EAGAIN);
    free_pair(p);
}

WORLDS(a_closed_channel_is_a_case_that_happens)
{
    struct pair p = new_pair(0);
    weft_future *f = start(receive_first, &p);
    await_listed(&p.a->queue, false, 1);
    weft_channel_close(p.a);
    kit_assert_code(weft_join(f), -WEFT_ECLOSED);
    kit_assert_code(receive_first(&p), -WEFT_ECLOSED);
    free_pair(p);
}

WORLDS(none_of_it_happens_when_cancelled)
{
    for (int i = 0; i < 50; i++) {
        struct pair p = new_pair((size_t)i % 2);
        weft_future *f = start(receive_first, &p), *g;
        await_listed(&p.b->queue, false, 1);
        g = start(receive_first, &p);
        await_listed(&p.b->queue, false, 2);
        // Both are for a value of a: what the one leaves the other gets.
        if (i % 3)
            weft_cancel(f);
        kit_assert_code(send_value(p.a, 5), 0);
        weft_cancel(f);
        int rc = weft_join(f);
        if (rc == 5)
            kit_assert_code(send_value(p.a, 5), 0);
        else
            kit_assert_code(rc, -WEFT_EJOBCANCELED);
        kit_assert_code(weft_join(g), 5);
        free_pair(p);
    }
}

WORLDS(a_time_limit_and_a_time_case)
{
    struct pair p = new_pair(0);
    long value;
    struct weft_case cases[] = {WEFT_CASE_RECEIVE(p.a, &value),
                                WEFT_CASE_AFTER(0.002), WEFT_CASE_AFTER(3600)};
    double before = weft_now();
    kit_assert_code(weft_select(cases, 3), 1);
    ck_assert(weft_now() - before >= 0.002 - 1e-6);
    kit_assert_code(weft_select(cases, 1, .timeout = 0.002), -ETIMEDOUT);
    cases[1].seconds = 0;
    kit_assert_code(weft_select(cases, 3, .nowait = true), 1);
    cases[1].seconds = 3600;
    kit_assert_code(weft_select(cases, 3, .nowait = true), -EAGAIN);
    {
        WEFT_TIMEOUT(0.002);
        kit_assert_code(weft_select(cases, 3), -ETIMEDOUT);
    }
    free_pair(p);
}

WORLDS(nothing_to_wait_for)
{
    kit_assert_code(weft_select(NULL, 0, .timeout = 0.001), -ETIMEDOUT);
    struct weft_case none = WEFT_CASE_NONE();
    kit_assert_code(weft_select(&none, 1, .nowait = true), -EAGAIN);
    none.kind = (enum weft_case_kind)99;
    kit_assert_code(weft_select(&none, 1), -EINVAL);
}

WORLDS(a_future_is_a_case)
{
    struct pair p = new_pair(0);
    struct kit_gate gate = kit_gate_new();
    long value;
    weft_future *f = start(kit_wait_at_gate, &gate);
    weft_future *failed = start(kit_return, kit_number(-EPROTO));
    struct weft_case cases[] = {WEFT_CASE_FUTURE(f),
                                WEFT_CASE_RECEIVE(p.a, &value)};
    kit_assert_code(weft_select(cases, 2, .nowait = true), -EAGAIN);
    kit_gate_open(&gate);
    kit_assert_code(weft_select(cases, 2), 0);
    kit_assert_code(cases[0].code, 0);
    kit_assert_code(weft_join(f), 0);
    cases[0] = (struct weft_case)WEFT_CASE_FUTURE(failed);
    kit_assert_code(weft_select(cases, 2), 0);
    kit_assert_code(cases[0].code, -EPROTO);
    weft_future_unref(failed);
    kit_gate_free(&gate);
    free_pair(p);
}

struct event_wait {
    struct weft_event event;
    weft_channel *c;
};

static int wait_event_or_value(void *arg)
{
    struct event_wait *w = arg;
    long value;
    struct weft_case cases[] = {WEFT_CASE_RECEIVE(w->c, &value),
                                WEFT_CASE_EVENT(&w->event)};
    int i = weft_select(cases, 2);
    return i < 0 ? i : cases[i].code < 0 ? cases[i].code : i;
}

WORLDS(an_event_is_a_case)
{
    struct pair p = new_pair(0);
    struct event_wait w = {.c = p.a};
    struct weft_case c = WEFT_CASE_EVENT(&w.event);
    kit_assert_code(weft_select(&c, 1, .nowait = true), -EAGAIN);
    kit_assert_code(weft_select(&c, 1, .timeout = 0.001), -ETIMEDOUT);
    weft_future *f = start(wait_event_or_value, &w);
    await_listed(&p.a->queue, false, 1);
    weft_event_set(&w.event);
    kit_assert_code(weft_join(f), 1);
    kit_assert_code(weft_select(&c, 1, .nowait = true), 0);
    weft_event_clear(&w.event);
    f = start(wait_event_or_value, &w);
    await_listed(&p.a->queue, false, 1);
    kit_assert_code(send_value(p.a, 1), 0);
    kit_assert_code(weft_join(f), 0);
    f = start(wait_event_or_value, &w);
    await_listed(&p.a->queue, false, 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    weft_event_fini(&w.event); // nobody stands there any more
    free_pair(p);
}

WORLDS(an_event_that_is_cleared_at_once_has_happened)
{
    struct pair p = new_pair(0);
    struct event_wait w = {.c = p.a};
    for (int i = 0; i < 20; i++) {
        weft_future *f = start(wait_event_or_value, &w);
        await_listed(&p.a->queue, false, 1);
        weft_event_set(&w.event);
        weft_event_clear(&w.event);
        kit_assert_code(weft_join(f), 1);
    }
    weft_event_fini(&w.event);
    free_pair(p);
}

// Whoever selects is woken again and again by what is not for it: that must
// not make it miss an event that is set for a moment only.
WORLDS(an_event_is_not_missed_between_two_looks)
{
    struct event_wait w = {
        .c = weft_channel_new(.item = sizeof(long), .capacity = 1)};
    long value;
    for (int i = 0; i < 200; i++) {
        weft_future *f = start(wait_event_or_value, &w);
        await_listed(&w.c->queue, false, 1);
        for (int k = 0; k < i % 4; k++) // it comes and goes
            if (send_value(w.c, 1) == 0)
                (void)weft_channel_try_receive(w.c, &value);
        weft_event_set(&w.event);
        weft_event_clear(&w.event);
        int code = weft_join(f); // it may have had the value, too
        ck_assert_msg(code == 0 || code == 1, "%d", code);
        while (weft_channel_try_receive(w.c, &value) == 0)
            ;
    }
    weft_event_fini(&w.event);
    weft_channel_free(w.c);
}

struct fd_wait {
    int fd;
    weft_channel *c;
};

static int wait_fd_or_value(void *arg)
{
    struct fd_wait *w = arg;
    long value;
    struct weft_case cases[] = {WEFT_CASE_RECEIVE(w->c, &value),
                                WEFT_CASE_READY(w->fd, WEFT_READABLE)};
    int i = weft_select(cases, 2);
    return i < 0 ? i : i * 1000 + cases[i].code;
}

WORLDS(a_descriptor_is_a_case)
{
    int fds[2];
    struct pair p = new_pair(0);
    ck_assert_int_eq(pipe(fds), 0);
    struct fd_wait w = {fds[0], p.a};
    for (int i = 0; i < 3; i++) {
        char c = 'x';
        weft_future *f = start(wait_fd_or_value, &w);
        if (i > 0)
            await_listed(&p.a->queue, false, 1);
        ck_assert_int_eq(write(fds[1], &c, 1), 1);
        kit_assert_code(weft_join(f), 1000 + WEFT_READABLE);
        ck_assert_ptr_null(p.a->queue.get.waiting.first);
        struct weft_case at_once = WEFT_CASE_READY(fds[0], WEFT_READABLE);
        kit_assert_code(weft_select(&at_once, 1, .nowait = true), 0);
        ck_assert_int_eq(read(fds[0], &c, 1), 1);
        kit_assert_code(weft_select(&at_once, 1, .nowait = true), -EAGAIN);
    }
    weft_future *f = start(wait_fd_or_value, &w);
    kit_assert_code(send_value(p.a, 1), 0);
    kit_assert_code(weft_join(f), 0);
    f = start(wait_fd_or_value, &w);
    await_listed(&p.a->queue, false, 1);
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    weft_close(fds[0]);
    weft_close(fds[1]);
    struct weft_case bad = WEFT_CASE_READY(fds[0], WEFT_READABLE);
    kit_assert_code(weft_select(&bad, 1), 0);
    kit_assert_code(bad.code, -EBADF);
    free_pair(p);
}

WORLDS(closing_a_descriptor_ends_the_wait_for_it)
{
    int fds[2];
    struct pair p = new_pair(0);
    ck_assert_int_eq(pipe(fds), 0);
    struct fd_wait w = {fds[0], p.a};
    weft_future *f = start(wait_fd_or_value, &w);
    await_listed(&p.a->queue, false, 1);
    weft_close(fds[0]);
    kit_assert_code(weft_join(f), 1000 - ECANCELED);
    close(fds[1]);
    free_pair(p);
}

// With every case ready all the time, each gets its share.
WORLDS(no_case_starves)
{
    enum { ROUNDS = 4000 };
    int fds[2], count[4] = {0};
    struct pair p = new_pair(1);
    weft_queue *q = weft_queue_new(.item = sizeof(long), .maxsize = 1);
    weft_future *done = start(kit_return, NULL);
    long value = 1, in;
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    weft_wait(&done, 1, WEFT_ALL_COMPLETED, INFINITY);
    kit_assert_code(send_value(p.a, 1), 0);
    struct weft_case cases[] = {
        WEFT_CASE_RECEIVE(p.a, &in), WEFT_CASE_PUT(q, &value),
        WEFT_CASE_FUTURE(done), WEFT_CASE_READY(fds[0], WEFT_READABLE)};
    for (int i = 0; i < ROUNDS; i++) {
        int which = weft_select(cases, 4);
        ck_assert_int_ge(which, 0);
        kit_assert_code(cases[which].code, which == 3 ? WEFT_READABLE : 0);
        count[which]++;
        if (which == 0)
            kit_assert_code(send_value(p.a, 1), 0);
        if (which == 1)
            kit_assert_code(weft_queue_get(q, &in), 0);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_gt(count[i], ROUNDS / 8);
    weft_close(fds[0]);
    weft_close(fds[1]);
    weft_future_unref(done);
    weft_queue_free(q);
    free_pair(p);
}

WORLDS(more_cases_than_fit_on_the_stack)
{
    enum { N = 50 };
    weft_queue *q[N];
    struct weft_case cases[N];
    long value, out = 4;
    for (int i = 0; i < N; i++) {
        q[i] = weft_queue_new(.item = sizeof(long));
        cases[i] = (struct weft_case)WEFT_CASE_GET(q[i], &value);
    }
    kit_assert_code(weft_select(cases, N, .timeout = 0.001), -ETIMEDOUT);
    for (int i = 0; i < N; i += 7) {
        kit_assert_code(weft_queue_put(q[i], &out), 0);
        kit_assert_code(weft_select(cases, N), i);
    }
    for (int i = 0; i < N; i++)
        weft_queue_free(q[i]);
}

// Many selects on the same few channels and queues, putting and getting,
// also with time limits: in the end as much came out as went in.
struct crowd {
    weft_channel *channel[3];
    weft_queue *queue[2];
    long in, out;
    int moves, ended;
};

enum { MOVES = KIT_SANITIZED ? 200 : 1000, CROWD = 6 };

static int take_part(void *arg)
{
    struct crowd *c = arg;
    int mine = 0;
    while (mine < MOVES) {
        long out[5] = {1, 2, 3, 4, 5}, in[5] = {0};
        struct weft_case cases[10];
        for (int i = 0; i < 3; i++) {
            cases[i] = (struct weft_case)WEFT_CASE_SEND(c->channel[i], &out[i]);
            cases[5 + i] =
                (struct weft_case)WEFT_CASE_RECEIVE(c->channel[i], &in[i]);
        }
        for (int i = 0; i < 2; i++) {
            cases[3 + i] =
                (struct weft_case)WEFT_CASE_PUT(c->queue[i], &out[3 + i]);
            cases[8 + i] =
                (struct weft_case)WEFT_CASE_GET(c->queue[i], &in[3 + i]);
        }
        int i = weft_select(cases, 10, .timeout = mine % 3 ? 0 : 1e-5);
        if (i == -ETIMEDOUT)
            continue;
        ck_assert_int_ge(i, 0);
        kit_assert_code(cases[i].code, 0);
        if (i < 5)
            __atomic_fetch_add(&c->in, out[i], __ATOMIC_RELAXED);
        else
            __atomic_fetch_add(&c->out, in[i - 5], __ATOMIC_RELAXED);
        mine++;
    }
    kit_count(&c->ended);
    return 0;
}

WORLDS(a_crowd_of_selects_loses_nothing, .timeout = 60)
{
    struct crowd c = {.in = 0};
    weft_future *f[CROWD];
    long value;
    for (int i = 0; i < 3; i++)
        c.channel[i] =
            weft_channel_new(.item = sizeof(long), .capacity = (size_t)i % 2);
    for (int i = 0; i < 2; i++)
        c.queue[i] =
            weft_queue_new(.item = sizeof(long), .maxsize = i ? 0 : 3,
                           .kind = i ? WEFT_QUEUE_FIFO : WEFT_QUEUE_LIFO);
    for (int i = 0; i < CROWD; i++)
        f[i] = start(take_part, &c);
    // The last few may have nobody left to meet.
    while (kit_load(&c.ended) < CROWD) {
        for (int i = 0; i < 3; i++)
            if (weft_channel_try_receive(c.channel[i], &value) == 0)
                __atomic_fetch_add(&c.out, value, __ATOMIC_RELAXED);
        world_turn();
    }
    for (int i = 0; i < CROWD; i++)
        kit_assert_code(weft_join(f[i]), 0);
    for (int i = 0; i < 3; i++)
        while (weft_channel_try_receive(c.channel[i], &value) == 0)
            c.out += value;
    for (int i = 0; i < 2; i++)
        while (weft_queue_try_get(c.queue[i], &value) == 0)
            c.out += value;
    ck_assert_int_eq(c.in, c.out);
    for (int i = 0; i < 3; i++)
        weft_channel_free(c.channel[i]);
    for (int i = 0; i < 2; i++)
        weft_queue_free(c.queue[i]);
}

WEFT_TEST_MAIN("select")
