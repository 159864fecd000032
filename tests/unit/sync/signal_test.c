// SPDX-License-Identifier: MIT
// weft_signals: signals as something to wait for.
#include "queue_world.h"

#include <weft/signal.h>

static int wait_for_one(void *arg)
{
    return weft_signals_wait(arg);
}

static void start_of_both(weft_future **f, weft_signals *s, world_start *start)
{
    for (int i = 0; i < 2; i++)
        f[i] = start(wait_for_one, s);
}

WORLDS(a_signal_is_given_to_one_who_waits)
{
    weft_signals *s = weft_signals_open((int[]){SIGUSR1, SIGUSR2}, 2);
    weft_future *f[2];
    start_of_both(f, s, start);
    world_turn();
    kill(getpid(), SIGUSR1);
    weft_wait(f, 2, WEFT_FIRST_COMPLETED, INFINITY);
    int first = weft_done(f[0]) ? 0 : 1;
    kit_assert_code(weft_join(f[first]), SIGUSR1);
    kill(getpid(), SIGUSR2);
    kit_assert_code(weft_join(f[!first]), SIGUSR2);
    weft_signals_close(s);
}

WORLDS(signals_are_remembered)
{
    weft_signals *s = weft_signals_open((int[]){SIGUSR1, SIGUSR2, SIGTERM}, 3);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGUSR2);
    int seen[3] = {0};
    for (int i = 0; i < 2; i++) {
        int sig = weft_signals_wait(s);
        seen[sig == SIGUSR1 ? 0 : sig == SIGUSR2 ? 1 : 2]++;
    }
    ck_assert_int_eq(seen[0], 0);
    ck_assert_int_ge(seen[1], 1);
    ck_assert_int_ge(seen[2] + seen[1], 2);
    {
        WEFT_TIMEOUT(0.002);
        int rc = weft_signals_wait(s);
        ck_assert(rc == -ETIMEDOUT || rc == SIGUSR2 || rc == SIGTERM);
    }
    weft_signals_close(s);
}

WORLDS(two_sets_are_both_told)
{
    weft_signals *a = weft_signals_open((int[]){SIGUSR1}, 1);
    weft_signals *b = weft_signals_open((int[]){SIGUSR1, SIGUSR2}, 2);
    kill(getpid(), SIGUSR1);
    kit_assert_code(weft_signals_wait(a), SIGUSR1);
    kit_assert_code(weft_signals_wait(b), SIGUSR1);
    weft_signals_close(b);
    kill(getpid(), SIGUSR1);
    kit_assert_code(weft_signals_wait(a), SIGUSR1);
    weft_signals_close(a);
}

WORLDS(a_wait_for_signals_can_be_cancelled)
{
    weft_signals *s = weft_signals_open((int[]){SIGUSR1}, 1);
    weft_future *f = start(wait_for_one, s);
    world_turn();
    weft_cancel(f);
    kit_assert_code(weft_join(f), -WEFT_EJOBCANCELED);
    kill(getpid(), SIGUSR1);
    kit_assert_code(weft_signals_wait(s), SIGUSR1);
    weft_signals_close(s);
}

struct either {
    weft_signals *signals;
    weft_channel *channel;
};

static int wait_for_either(void *arg)
{
    struct either *e = arg;
    void *value;
    struct weft_case cases[] = {WEFT_CASE_RECEIVE(e->channel, &value),
                                WEFT_CASE_SIGNAL(e->signals)};
    int i = weft_select(cases, 2);
    return i < 0 ? i : i * 1000 + cases[i].code;
}

WORLDS(a_signal_is_a_case)
{
    struct either e = {weft_signals_open((int[]){SIGUSR1, SIGUSR2}, 2),
                       weft_channel_new()};
    for (int i = 0; i < 20; i++) {
        weft_future *f = start(wait_for_either, &e);
        if (i % 2)
            await_listed((weft_queue *)e.channel, false, 1);
        kill(getpid(), i % 3 ? SIGUSR1 : SIGUSR2);
        kit_assert_code(weft_join(f), 1000 + (i % 3 ? SIGUSR1 : SIGUSR2));
    }
    weft_signals_close(e.signals);
    weft_channel_free(e.channel);
}

WEFT_TEST(what_cannot_be_waited_for)
{
    const int bad[] = {0, 65, -1, SIGKILL, SIGSTOP, SIGSEGV, SIGABRT};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weft_signals *s = weft_signals_open(&bad[i], 1);
        kit_assert_code(weft_signals_wait(s), -EINVAL);
        struct weft_case c = WEFT_CASE_SIGNAL(s);
        kit_assert_code(weft_select(&c, 1), 0);
        kit_assert_code(c.code, -EINVAL);
        weft_signals_close(s);
    }
    weft_signals *none = weft_signals_open(NULL, 0);
    kit_assert_code(weft_signals_wait(none), -EINVAL);
    weft_signals_close(none);
    weft_signals_close(NULL);
}

static volatile sig_atomic_t counted;

static void count_signal(int sig)
{
    (void)sig;
    counted++;
}

WEFT_TEST(signals_do_afterwards_what_they_did_before)
{
    signal(SIGUSR1, count_signal);
    for (int i = 0; i < 100; i++) {
        weft_signals *s = weft_signals_open((int[]){SIGUSR1}, 1);
        raise(SIGUSR1);
        kit_assert_code(weft_signals_wait(s), SIGUSR1);
        ck_assert_int_eq(counted, i);
        weft_signals_close(s);
        raise(SIGUSR1);
        ck_assert_int_eq(counted, i + 1);
    }
}

WEFT_TEST(there_is_a_limit_to_sets)
{
    weft_signals *s[65];
    int fds = weft_test_count_fds();
    for (int i = 0; i < 65; i++)
        s[i] = weft_signals_open((int[]){SIGUSR1}, 1);
    kit_assert_code(weft_signals_wait(s[64]), -ENOSPC);
    raise(SIGUSR1);
    for (int i = 0; i < 64; i++)
        kit_assert_code(weft_signals_wait(s[i]), SIGUSR1);
    for (int i = 0; i < 65; i++)
        weft_signals_close(s[i]);
    // The one for waking this thread may have been made meanwhile.
    ck_assert_int_le(weft_test_count_fds(), fds + 1);
}

// Signals come to any thread at any time; sets come and go.
static int send_signals(void *arg)
{
    int *stop = arg;
    while (!kit_load(stop)) {
        kill(getpid(), SIGUSR1);
        weft_yield();
    }
    return 0;
}

WEFT_TEST(sets_come_and_go_under_fire, .timeout = 20)
{
    int stop = 0;
    weft_signals *base = weft_signals_open((int[]){SIGUSR1}, 1);
    weft_future *f = weft_thread_start(send_signals, &stop);
    for (int i = 0; i < 300; i++) {
        weft_signals *s = weft_signals_open((int[]){SIGUSR1, SIGUSR2}, 2);
        kit_assert_code(weft_signals_wait(s), SIGUSR1);
        weft_signals_close(s);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    kit_assert_code(weft_join(f), 0);
    weft_signals_close(base);
}

WEFT_TEST_MAIN("signal")
