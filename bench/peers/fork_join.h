// SPDX-License-Identifier: MIT
// fork_join.h: what the kernels of a C or C++ peer are called with. It comes
// after them: fib, skynet, integrate, nqueens, uts and `tree`.
#ifndef PEER_FORK_JOIN_H
#define PEER_FORK_JOIN_H

#include "../kernels.h"
#include "support.h"

static uint64_t run(long kernel, long n)
{
    struct board empty = {{0}};
    switch (kernel) {
    case FIB:
        return (uint64_t)fib(n);
    case SKYNET:
        return (uint64_t)skynet(0, n);
    case INTEGRATE:
        return (uint64_t)integrate(0, integrate_f(0), (double)n,
                                   integrate_f((double)n), 0);
    case NQUEENS:
        return (uint64_t)nqueens(&empty, 0, (int)n);
    default:
        tree = uts_tree_of(kernel, n);
        return (uint64_t)uts(uts_root(&tree));
    }
}

// From the clock and the CPU time before the kernel has run.
static void tell(long kernel, long n, uint64_t answer, double wall, double cpu)
{
    double scale = kernel_scale(kernel, n);
    wall = peer_wall() - wall;
    cpu = peer_cpu() - cpu;
    peer_reply(wall / scale, answer, cpu / scale, peer_status("VmRSS") / 1e6, 0,
               0);
}

#endif
