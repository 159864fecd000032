// SPDX-License-Identifier: MIT
// timers: OPS PENDING CHURN. See bench/timers.c. A heap of four children each.
#include <ev.h>
#include <stdbool.h>
#include <unistd.h>

#include "support.h"

static uint64_t seed = 1;

static double some_time(void)
{
    uint64_t x = peer_random(&seed);
    uint64_t second = 1000000000;
    uint64_t range = x & 3 ? 60 * second : 3600 * second;
    return 3600 + (double)((x >> 2) % range) * 1e-9;
}

static void fired(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

static void set(struct ev_loop *loop, ev_timer *timer)
{
    ev_timer_set(timer, some_time(), 0.);
    ev_timer_start(loop, timer);
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long n = peer_argument(argc, argv, 1);
    bool churn = peer_argument(argc, argv, 2) != 0;
    struct ev_loop *loop = ev_default_loop(0);
    ev_timer *timers = calloc((size_t)n + 1, sizeof *timers);
    uint64_t pending = 0;
    for (long i = 0; i <= n; i++) {
        ev_init(&timers[i], fired);
        if (i < n)
            set(loop, &timers[i]);
    }
    double begin = peer_cpu();
    for (long i = 0; i < ops; i++) {
        ev_timer *t =
            &timers[churn ? peer_random(&seed) % (uint64_t)n : (uint64_t)n];
        if (churn)
            ev_timer_stop(loop, t);
        set(loop, t);
        if (!churn)
            ev_timer_stop(loop, t);
    }
    double cpu = peer_cpu() - begin;
    for (long i = 0; i < n; i++)
        pending += ev_is_active(&timers[i]) != 0;
    peer_reply(cpu / (double)ops, pending, 0, 0, 0, 0);
    fflush(stdout);
    _exit(0);
}
