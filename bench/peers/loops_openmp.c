// SPDX-License-Identifier: MIT
// loops: OPS KERNEL WORKERS N. See bench/loops.c. OpenMP has no sort and, as
// used here, no scan in place.
#include <omp.h>

#include "../kernels.h"
#include "support.h"

enum { EMPTY_LOOPS = 2000 };

static void empty_loops(void)
{
    for (int i = 0; i < EMPTY_LOOPS; i++) {
#pragma omp parallel for schedule(static)
        for (int k = 0; k < omp_get_max_threads(); k++)
            __asm__ volatile("");
    }
}

static uint64_t run(long kernel, long n, float *x, float *y, double *wall,
                    double *cpu)
{
    float sum = 0;
    *cpu = peer_cpu();
    *wall = peer_wall();
    if (kernel == REDUCE) {
#pragma omp parallel for simd reduction(+ : sum) schedule(static)
        for (long i = 0; i < n; i++)
            sum += x[i];
    } else if (kernel == SAXPY) {
#pragma omp parallel for schedule(static)
        for (long i = 0; i < n; i++)
            y[i] = 2 * x[i] + y[i];
    } else {
        empty_loops();
    }
    *wall = peer_wall() - *wall;
    *cpu = peer_cpu() - *cpu;
    return kernel == REDUCE  ? (uint64_t)sum
           : kernel == SAXPY ? check_floats(y, n)
                             : 0;
}

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         n = peer_argument(argc, argv, 3);
    double wall, cpu, scale = kernel == EMPTY ? 1e3 * EMPTY_LOOPS : 1e6;
    if (kernel != REDUCE && kernel != SAXPY && kernel != EMPTY)
        return 2;
    float *x = malloc((size_t)n * sizeof *x),
          *y = malloc((size_t)n * sizeof *y);
    fill_floats(x, n);
    fill_floats(y, n);
    omp_set_num_threads((int)peer_argument(argc, argv, 2));
    empty_loops();
    uint64_t answer = run(kernel, n, x, y, &wall, &cpu);
    peer_reply(wall / scale, answer, cpu / scale, 0, 0, 0);
}
