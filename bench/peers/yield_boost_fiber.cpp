// SPDX-License-Identifier: MIT
// yield: OPS TASKS. See bench/yield.c.
#include <boost/fiber/all.hpp>
#include <vector>

#include "support.h"

static const int warm = 3;

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    long tasks = peer_argument(argc, argv, 1);
    long rounds = ops / tasks, started = 0;
    uint64_t count = 0, before = 0, after = 0;
    double begin = 0, end = 0;
    std::vector<boost::fibers::fiber> fibers;
    boost::fibers::fixedsize_stack stack(16 * 1024);
    for (long i = 0; i < tasks; i++)
        fibers.emplace_back(std::allocator_arg, stack, [&, i] {
            started++;
            while (started < tasks)
                boost::this_fiber::yield();
            for (int k = 0; k < warm; k++)
                boost::this_fiber::yield();
            if (i == 0) {
                before = count;
                begin = peer_cpu();
            }
            for (long k = 0; k < rounds; k++) {
                count++;
                boost::this_fiber::yield();
            }
            if (i == 0) {
                end = peer_cpu();
                after = count;
            }
            for (int k = 0; k < warm; k++)
                boost::this_fiber::yield();
        });
    for (auto &fiber : fibers)
        fiber.join();
    double n = (double)(after - before);
    peer_reply((end - begin) / n, count, n / (double)count, 0, 0, 0);
}
