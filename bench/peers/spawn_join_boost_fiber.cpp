// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. Stacks come from a pool.
#include <boost/fiber/all.hpp>

#include "support.h"

static uint64_t sum;

static void loop(boost::fibers::pooled_fixedsize_stack &stack, long n)
{
    for (long i = 0; i < n; i++) {
        boost::fibers::fiber f(std::allocator_arg, stack,
                               [i] { sum += (uint64_t)(i & 255); });
        f.join();
    }
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    boost::fibers::pooled_fixedsize_stack stack(64 * 1024);
    loop(stack, ops / 10 + 1);
    sum = 0;
    double begin = peer_cpu();
    loop(stack, ops);
    double cpu = peer_cpu() - begin;
    peer_reply(cpu / (double)ops, sum, 0, 0, 0, 0);
}
