// SPDX-License-Identifier: MIT
// sleep: OPS US. See bench/sleep.c.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

#include "support.h"

static boost::asio::io_context loop(1);

static void nap(boost::asio::steady_timer &timer, long us)
{
    timer.expires_after(std::chrono::microseconds(us));
    timer.async_wait([](const boost::system::error_code &) {});
    loop.restart();
    loop.run();
}

int main(int argc, char **argv)
{
    long n = peer_argument(argc, argv, 0), us = peer_argument(argc, argv, 1);
    boost::asio::steady_timer timer(loop);
    std::vector<double> late;
    nap(timer, us);
    double cpu = peer_cpu();
    for (long i = 0; i < n; i++) {
        double begin = peer_wall();
        nap(timer, us);
        late.push_back((peer_wall() - begin) / 1000 - (double)us);
    }
    cpu = (peer_cpu() - cpu) / (double)n / 1000;
    std::sort(late.begin(), late.end());
    long on_time = std::count_if(late.begin(), late.end(),
                                 [](double x) { return x >= 0; });
    peer_reply(late[(size_t)n / 2], (uint64_t)on_time, late[0],
               late[(size_t)n * 99 / 100], cpu, 0);
}
