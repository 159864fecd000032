// SPDX-License-Identifier: MIT
// parked: OPS STACK. See bench/parked.c. Its stacks have no guard page.
#include <boost/fiber/all.hpp>
#include <vector>

#include "support.h"

using boost::fibers::context;

int main(int argc, char **argv)
{
    long n = peer_argument(argc, argv, 0), arrived = 0, left = 0;
    size_t size = (size_t)peer_argument(argc, argv, 1);
    boost::fibers::fixedsize_stack stack(size);
    std::vector<context *> parked((size_t)n, nullptr);
    std::vector<boost::fibers::fiber> fibers((size_t)n);
    bool open = false;
    auto body = [&] {
        parked[(size_t)arrived++] = context::active();
        while (!open)
            context::active()->suspend();
        left++;
    };
    boost::fibers::fiber([] { boost::this_fiber::yield(); }).join();
    double rss = peer_status("VmRSS"), tables = peer_status("VmPTE");
    double begin = peer_cpu();
    for (auto &fiber : fibers)
        fiber = boost::fibers::fiber(std::allocator_arg, stack, body);
    while (arrived < n)
        boost::this_fiber::yield();
    double cpu = peer_cpu() - begin;
    rss = peer_status("VmRSS") - rss;
    tables = peer_status("VmPTE") - tables;
    open = true;
    for (auto *ctx : parked)
        context::active()->schedule(ctx);
    for (auto &fiber : fibers)
        fiber.join();
    double d = (double)n;
    peer_reply((rss + tables) / d, (uint64_t)left, rss / d, tables / d, cpu / d,
               0);
}
