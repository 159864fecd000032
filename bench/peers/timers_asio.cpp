// SPDX-License-Identifier: MIT
// timers: OPS PENDING CHURN. See bench/timers.c. A heap; a canceled timer's
// handler is queued, and is run every thousand operations.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <unistd.h>

#include "support.h"

using boost::asio::steady_timer;

static uint64_t seed = 1;

static std::chrono::nanoseconds some_time()
{
    const uint64_t second = 1000000000;
    uint64_t x = peer_random(&seed);
    uint64_t range = x & 3 ? 60 * second : 3600 * second;
    return std::chrono::nanoseconds(3600 * second + (x >> 2) % range);
}

static uint64_t pending;

static void set(steady_timer &timer)
{
    timer.expires_after(some_time()); // cancels what was set
    timer.async_wait([](const boost::system::error_code &) { pending--; });
    pending++;
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long n = peer_argument(argc, argv, 1);
    bool churn = peer_argument(argc, argv, 2) != 0;
    boost::asio::io_context context;
    std::deque<steady_timer> timers;
    for (long i = 0; i < n; i++)
        set(timers.emplace_back(context));
    steady_timer mine(context);
    double begin = peer_cpu();
    for (long i = 0; i < ops; i++) {
        if (churn) {
            set(timers[peer_random(&seed) % (uint64_t)n]);
        } else {
            set(mine);
            mine.cancel();
        }
        if (i % 1000 == 999)
            context.poll();
    }
    context.poll();
    double cpu = peer_cpu() - begin;
    peer_reply(cpu / (double)ops, pending, 0, 0, 0, 0);
    fflush(stdout);
    _exit(0);
}
