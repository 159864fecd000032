// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. std::async, a thread for each; a
// thousandth of the number, the answer is told as if it were all.
#include <future>

#include "support.h"

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0), n = ops / 1000 + 1;
    uint64_t sum = 0;
    double begin = peer_cpu();
    for (long i = 0; i < n; i++)
        sum += std::async(std::launch::async, [i] {
                   return (uint64_t)(i & 255);
               }).get();
    double cpu = peer_cpu() - begin;
    for (long i = n; i < ops; i++)
        sum += (uint64_t)(i & 255);
    peer_reply(cpu / (double)n, sum, 0, 0, 0, 0);
}
