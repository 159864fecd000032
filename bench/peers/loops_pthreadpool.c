// SPDX-License-Identifier: MIT
// loops: OPS KERNEL WORKERS N. See bench/loops.c. pthreadpool has loops and
// nothing else: empty, a call for each index, and saxpy, a call for each tile.
// The calling thread is one of its threads.
#include <pthreadpool.h>

#include "../kernels.h"
#include "support.h"

enum { EMPTY_LOOPS = 2000, TILE = 16384 };

struct arrays {
    const float *x;
    float *y;
};

static void nothing(void *arg, size_t i)
{
    (void)arg;
    (void)i;
    __asm__ volatile("");
}

static void saxpy(void *arg, size_t begin, size_t count)
{
    const struct arrays *a = arg;
    for (size_t i = begin; i < begin + count; i++)
        a->y[i] = 2 * a->x[i] + a->y[i];
}

static void empty_loops(pthreadpool_t pool, long workers)
{
    for (int i = 0; i < EMPTY_LOOPS; i++)
        pthreadpool_parallelize_1d(pool, nothing, NULL, (size_t)workers, 0);
}

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         workers = peer_argument(argc, argv, 2),
         n = peer_argument(argc, argv, 3);
    double scale = kernel == EMPTY ? 1e3 * EMPTY_LOOPS : 1e6;
    if (kernel != SAXPY && kernel != EMPTY)
        return 2;
    float *x = malloc((size_t)n * sizeof *x),
          *y = malloc((size_t)n * sizeof *y);
    fill_floats(x, n);
    fill_floats(y, n);
    pthreadpool_t pool = pthreadpool_create((size_t)workers);
    empty_loops(pool, workers);
    double cpu = peer_cpu(), wall = peer_wall();
    if (kernel == SAXPY)
        pthreadpool_parallelize_1d_tile_1d(pool, saxpy, &(struct arrays){x, y},
                                           (size_t)n, TILE, 0);
    else
        empty_loops(pool, workers);
    wall = peer_wall() - wall;
    cpu = peer_cpu() - cpu;
    peer_reply(wall / scale, kernel == SAXPY ? check_floats(y, n) : 0,
               cpu / scale, 0, 0, 0);
    pthreadpool_destroy(pool);
}
