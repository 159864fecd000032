// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. A team of two on one CPU, as with
// one alone a task is a mere call; the other has nothing to do and waits at the
// barrier, for which OMP_WAIT_POLICY must not be to spin.
#include <stdlib.h>
#include <unistd.h>

#include "support.h"

static uint64_t sum;

static void loop(long n)
{
    for (long i = 0; i < n; i++) {
#pragma omp task firstprivate(i)
        __atomic_fetch_add(&sum, (uint64_t)(i & 255), __ATOMIC_RELAXED);
#pragma omp taskwait
    }
}

int main(int argc, char **argv)
{
    long ops = peer_argument(argc, argv, 0);
    double begin = 0, cpu = 0;
    if (getenv("OMP_WAIT_POLICY") == NULL) {
        setenv("OMP_WAIT_POLICY", "passive", 1); // is read before main
        execv("/proc/self/exe", argv);
    }
    peer_pin();
#pragma omp parallel num_threads(2)
#pragma omp single
    {
        loop(ops / 10 + 1);
        sum = 0;
        begin = peer_cpu();
        loop(ops);
        cpu = peer_cpu() - begin;
    }
    peer_reply(cpu / (double)ops, sum, 0, 0, 0, 0);
    return 0;
}
