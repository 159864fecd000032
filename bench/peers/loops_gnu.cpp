// SPDX-License-Identifier: MIT
// loops: OPS KERNEL WORKERS N. See bench/loops.c. What OpenMP itself lacks, the
// parallel algorithms of the GNU C++ library have, which are made with it:
// sorts and prefix sums.
#include <omp.h>
#include <parallel/algorithm>
#include <parallel/numeric>
#include <vector>

#include "../kernels.h"
#include "support.h"

// They run serially where they guess that it is faster: never here.
static void always_parallel()
{
    __gnu_parallel::_Settings s = __gnu_parallel::_Settings::get();
    s.algorithm_strategy = __gnu_parallel::force_parallel;
    __gnu_parallel::_Settings::set(s);
}

static void run(long kernel, std::vector<int> &ints, std::vector<long> &longs)
{
    if (kernel == SORT)
        __gnu_parallel::stable_sort(ints.begin(), ints.end());
    else if (kernel == SORT_IN_PLACE)
        __gnu_parallel::sort(ints.begin(), ints.end());
    else
        __gnu_parallel::partial_sum(longs.begin(), longs.end(), longs.begin());
}

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         n = peer_argument(argc, argv, 3);
    std::vector<int> ints(kernel == SCAN ? 0 : n);
    std::vector<long> longs(kernel == SCAN ? n : 0);
    if (kernel != SORT && kernel != SORT_IN_PLACE && kernel != SCAN)
        return 2;
    if (kernel == SCAN)
        fill_longs(longs.data(), n);
    else
        fill_ints(ints.data(), n);
    omp_set_num_threads((int)peer_argument(argc, argv, 2));
    always_parallel();
#pragma omp parallel
    __asm__ volatile("");
    double cpu = peer_cpu(), wall = peer_wall();
    run(kernel, ints, longs);
    wall = peer_wall() - wall;
    cpu = peer_cpu() - cpu;
    peer_reply(wall / 1e6,
               kernel == SCAN ? check_longs(longs.data(), n)
                              : check_ints(ints.data(), n),
               cpu / 1e6, 0, 0, 0);
}
