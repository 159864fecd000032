// SPDX-License-Identifier: MIT
//
// Those who accept by hand: how a stop ends them, and whose turn it is.
#include "net_test.h"

enum { ACCEPTORS = 4 };

struct acceptor {
    weft_listener *listener;
    double seconds; // deadline; 0: none
    int *entered;
    int accepted;
};

// Takes connections until there are no more.
static int accept_until_the_end(void *arg)
{
    struct acceptor *a = arg;
    weft_stream *s;
    int rc;
    WEFT_TIMEOUT(a->seconds > 0 ? a->seconds : (double)INFINITY);

    kit_count(a->entered);
    while ((rc = weft_listener_accept(a->listener, &s, NULL)) == 0) {
        a->accepted++;
        say(s, "x");
        kit_assert_code(weft_stream_close(s), 0);
    }
    return rc;
}

// Returns when all have begun; on one worker, when all sleep.
static void start_all(struct acceptor *a, weft_future **tasks,
                      weft_listener *listener, int *entered)
{
    for (int i = 0; i < ACCEPTORS; i++) {
        a[i] = (struct acceptor){.listener = listener, .entered = entered};
        tasks[i] = weft_task_start(accept_until_the_end, &a[i]);
    }
    while (kit_load(entered) < ACCEPTORS)
        weft_yield();
}

static weft_listener *listen_here(bool several)
{
    static const char *const more[] = {"127.0.0.3"};
    weft_listener *l;

    kit_assert_code(weft_tcp_listen("127.0.0.1", 0, &l, .also = more,
                                    .also_count = several),
                    0);
    return l;
}

static void visit(weft_listener *l, size_t i)
{
    struct weft_address address;
    weft_stream *s;

    kit_assert_code(weft_listener_address(l, i, &address), 0);
    kit_assert_code(weft_address_connect(&address, &s), 0);
    hear(s, "x");
    kit_assert_code(weft_stream_close(s), 0);
}

static void stop_them(bool several)
{
    weft_listener *l = listen_here(several);
    struct acceptor a[ACCEPTORS];
    weft_future *tasks[ACCEPTORS];
    int entered = 0, accepted = 0;
    weft_stream *s;

    start_all(a, tasks, l, &entered);
    for (size_t i = 0; i < 6; i++)
        visit(l, several ? i % 2 : 0);
    weft_listener_stop(l);
    for (int i = 0; i < ACCEPTORS; i++) {
        kit_assert_code(weft_join(tasks[i]), -WEFT_ECLOSED);
        accepted += a[i].accepted;
    }
    ck_assert_int_eq(accepted, 6);
    kit_assert_code(weft_listener_accept(l, &s, NULL), -WEFT_ECLOSED);
    weft_listener_stop(l);
    weft_listener_close(l);
}

KIT_BOTH(a_stop_ends_all_who_accept)
{
    stop_them(false);
}

KIT_BOTH(a_stop_ends_all_who_accept_from_several_sockets)
{
    stop_them(true);
}

// The caller's own scopes are told as ever, stopped or not.
KIT_BOTH(a_cancel_and_a_deadline_are_told_before_a_stop)
{
    weft_listener *l = listen_here(false);
    int entered = 0;
    struct acceptor a[2] = {{.listener = l, .entered = &entered},
                            {.listener = l, .entered = &entered}};
    weft_future *canceled = weft_task_start(accept_until_the_end, &a[0]);

    while (kit_load(&entered) == 0)
        weft_yield();
    weft_cancel(canceled);
    weft_listener_stop(l);
    kit_assert_code(weft_join(canceled), -WEFT_EJOBCANCELED);
    weft_listener_close(l);

    a[1].listener = l = listen_here(false);
    a[1].seconds = 0.001;
    weft_future *late = weft_task_start(accept_until_the_end, &a[1]);
    kit_assert_code(weft_join(late), -WEFT_EJOBTIMEOUT);
    weft_listener_stop(l);
    weft_listener_close(l);
}

// A shield keeps off what comes from around it; a stop does not.
static int accept_in_a_shield(void *arg)
{
    WEFT_SHIELD(INFINITY);
    return accept_until_the_end(arg);
}

KIT_BOTH(a_stop_reaches_into_a_shield)
{
    int entered = 0;
    struct acceptor a = {.listener = listen_here(false), .entered = &entered};
    weft_future *task = weft_task_start(accept_in_a_shield, &a);

    while (kit_load(&entered) == 0)
        weft_yield();
    weft_listener_stop(a.listener);
    kit_assert_code(weft_join(task), -WEFT_ECLOSED);
    weft_listener_close(a.listener);
}

// What has been accepted is the caller's, and goes on.
KIT_BOTH(a_stop_leaves_connections_alone)
{
    weft_listener *l = listen_here(false);
    struct weft_address address;
    weft_stream *a, *b;

    kit_assert_code(weft_listener_address(l, 0, &address), 0);
    kit_assert_code(weft_address_connect(&address, &a), 0);
    kit_assert_code(weft_listener_accept(l, &b, NULL), 0);
    weft_listener_stop(l);
    say(a, "still");
    hear(b, "still");
    weft_listener_close(l);
    stream_close_both((weft_stream *[]){a, b});
}

// Ten wait at one address, and one at the other.
KIT_BOTH(no_address_keeps_another_waiting)
{
    weft_listener *l = listen_here(true);
    struct weft_address address[2], local;
    weft_stream *clients[11], *s;
    int first = 0;

    for (size_t i = 0; i < 2; i++)
        kit_assert_code(weft_listener_address(l, i, &address[i]), 0);
    for (int i = 0; i < 11; i++)
        kit_assert_code(weft_address_connect(&address[i == 10], &clients[i]),
                        0);
    for (int i = 0; i < 4; i++) {
        kit_assert_code(weft_listener_accept(l, &s, NULL), 0);
        kit_assert_code(weft_stream_local(s, &local), 0);
        first += local.len == address[0].len &&
                 memcmp(&local.storage, &address[0].storage, local.len) == 0;
        kit_assert_code(weft_stream_close(s), 0);
    }
    ck_assert_int_eq(first, 3);
    for (int i = 0; i < 11; i++)
        kit_assert_code(weft_stream_close(clients[i]), 0);
    weft_listener_close(l);
}

static int accept_with_many_workers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        stop_them(i % 2 == 1);
    return 0;
}

WEFT_TEST(stops_among_connections_of_other_workers, .timeout = 60)
{
    ck_assert_int_eq(weft_run(accept_with_many_workers, NULL, .workers = 4), 0);
}

static int accept_one(void *arg)
{
    weft_stream *s;

    return weft_listener_accept(arg, &s, NULL);
}

static int close_too_early(void *arg)
{
    weft_listener *l = listen_here(false);

    (void)arg;
    weft_task_start(accept_one, l);
    weft_yield(); // on one worker it sleeps now
    weft_listener_close(l);
    return 0;
}

static void run_and_close_too_early(void)
{
    weft_run(close_too_early, NULL);
}

WEFT_TEST(misuse_aborts)
{
    kit_assert_aborts(run_and_close_too_early, "still in weft_listener_accept");
}

WEFT_TEST_MAIN("listener")
