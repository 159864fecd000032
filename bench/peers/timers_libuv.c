// SPDX-License-Identifier: MIT
// timers: OPS PENDING CHURN. See bench/timers.c. A binary heap; its unit is the
// millisecond.
#include <stdbool.h>
#include <unistd.h>
#include <uv.h>

#include "support.h"

static uint64_t seed = 1;

static uint64_t some_time(void)
{
    uint64_t x = peer_random(&seed);
    return 3600000 + (x >> 2) % (x & 3 ? 60000 : 3600000);
}

static void fired(uv_timer_t *timer)
{
    (void)timer;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long n = peer_argument(argc, argv, 1);
    bool churn = peer_argument(argc, argv, 2) != 0;
    uv_timer_t *timers = calloc((size_t)n + 1, sizeof *timers);
    uint64_t pending = 0;
    for (long i = 0; i <= n; i++) {
        uv_timer_init(uv_default_loop(), &timers[i]);
        if (i < n)
            uv_timer_start(&timers[i], fired, some_time(), 0);
    }
    double begin = peer_cpu();
    for (long i = 0; i < ops; i++) {
        uv_timer_t *t =
            &timers[churn ? peer_random(&seed) % (uint64_t)n : (uint64_t)n];
        if (churn)
            uv_timer_stop(t);
        uv_timer_start(t, fired, some_time(), 0);
        if (!churn)
            uv_timer_stop(t);
    }
    double cpu = peer_cpu() - begin;
    for (long i = 0; i < n; i++)
        pending += uv_is_active((uv_handle_t *)&timers[i]) != 0;
    peer_reply(cpu / (double)ops, pending, 0, 0, 0, 0);
    fflush(stdout);
    _exit(0);
}
