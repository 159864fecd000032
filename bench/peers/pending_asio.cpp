// SPDX-License-Identifier: MIT
// pending: OPS. See bench/pending.c. Handlers posted to a context that does
// not run yet; unlike a task, one has no result, no handle and may not wait.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "support.h"

static uint64_t sum;

int main(int argc, char **argv)
{
    long n = peer_argument(argc, argv, 0);
    boost::asio::io_context context(1);
    double rss = peer_status("VmRSS"), tables = peer_status("VmPTE");
    double begin = peer_cpu();
    for (long i = 0; i < n; i++)
        boost::asio::post(context, [i] { sum += (uint64_t)i; });
    double start = peer_cpu() - begin;
    rss = peer_status("VmRSS") - rss;
    tables = peer_status("VmPTE") - tables;
    begin = peer_cpu();
    context.run();
    double ran = peer_cpu() - begin, d = (double)n;
    peer_reply((rss + tables) / d, sum, rss / d, tables / d, start / d,
               ran / d);
}
