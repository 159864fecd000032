// SPDX-License-Identifier: MIT
// crowd: OPS TASKS. See bench/crowd.c. Its stacks have no guard page.
#include <boost/fiber/all.hpp>
#include <vector>

#include "support.h"

using boost::fibers::context;
using boost::fibers::fiber;

static double memory()
{
    return peer_status("VmRSS") + peer_status("VmPTE");
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0), n = peer_argument(argc, argv, 1);
    long left = 0;
    double weight = 0;
    boost::fibers::fixedsize_stack stack(64 * 1024);
    std::vector<context *> parked((size_t)n, nullptr);
    std::vector<fiber> fibers((size_t)n);
    double begin = peer_cpu();
    for (long round = 0; round < ops / n; round++) {
        long arrived = 0;
        bool open = false;
        auto body = [&] {
            parked[(size_t)arrived++] = context::active();
            while (!open)
                context::active()->suspend();
            left++;
        };
        double before = round == 0 ? memory() : 0;
        for (auto &f : fibers)
            f = fiber(std::allocator_arg, stack, body);
        while (arrived < n)
            boost::this_fiber::yield();
        if (round == 0)
            weight = memory() - before;
        open = true;
        for (auto *ctx : parked)
            context::active()->schedule(ctx);
        for (auto &f : fibers)
            f.join();
    }
    peer_reply((peer_cpu() - begin) / (double)ops, (uint64_t)left,
               weight / (double)n, 0, 0, 0);
}
