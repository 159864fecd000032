// SPDX-License-Identifier: MIT
// loops: OPS KERNEL WORKERS N. See bench/loops.c. oneTBB has no stable sort:
// parallel_sort stands for both.
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>
#include <tbb/parallel_scan.h>
#include <tbb/parallel_sort.h>
#include <tbb/task_arena.h>
#include <vector>

#include "../kernels.h"
#include "support.h"

static const int EMPTY_LOOPS = 2000;
typedef tbb::blocked_range<long> range;

static void empty_loops(long workers)
{
    for (int i = 0; i < EMPTY_LOOPS; i++)
        tbb::parallel_for(0L, workers, [](long) { __asm__ volatile(""); });
}

struct data {
    std::vector<int> ints;
    std::vector<float> x, y;
    std::vector<long> longs;
    float sum;
};

static void fill(data &d, long kernel, long n)
{
    if (kernel == SORT || kernel == SORT_IN_PLACE)
        d.ints.resize(n), fill_ints(d.ints.data(), n);
    if (kernel == REDUCE || kernel == SAXPY)
        d.x.resize(n), fill_floats(d.x.data(), n);
    if (kernel == SAXPY)
        d.y.resize(n), fill_floats(d.y.data(), n);
    if (kernel == SCAN)
        d.longs.resize(n), fill_longs(d.longs.data(), n);
}

static float reduce(const float *x, long n)
{
    return tbb::parallel_deterministic_reduce(
        range(0, n, 16384), 0.0f,
        [x](const range &r, float sum) {
            float s[4] = {0, 0, 0, 0};
            long i = r.begin();
            for (; i + 4 <= r.end(); i += 4)
                for (int k = 0; k < 4; k++)
                    s[k] += x[i + k];
            for (; i < r.end(); i++)
                s[0] += x[i];
            return sum + (s[0] + s[1]) + (s[2] + s[3]);
        },
        [](float a, float b) { return a + b; });
}

static void scan(long *v, long n)
{
    tbb::parallel_scan(
        range(0, n), 0L,
        [v](const range &r, long sum, bool final) {
            for (long i = r.begin(); i < r.end(); i++) {
                sum += v[i];
                if (final)
                    v[i] = sum;
            }
            return sum;
        },
        [](long a, long b) { return a + b; });
}

static void run(data &d, long kernel, long n, long workers)
{
    float *x = d.x.data(), *y = d.y.data();
    switch (kernel) {
    case SORT:
    case SORT_IN_PLACE:
        tbb::parallel_sort(d.ints.begin(), d.ints.end());
        break;
    case REDUCE:
        d.sum = reduce(x, n);
        break;
    case SCAN:
        scan(d.longs.data(), n);
        break;
    case SAXPY:
        tbb::parallel_for(range(0, n), [x, y](const range &r) {
            for (long i = r.begin(); i < r.end(); i++)
                y[i] = 2 * x[i] + y[i];
        });
        break;
    default:
        empty_loops(workers);
    }
}

static uint64_t answer(const data &d, long kernel, long n)
{
    switch (kernel) {
    case SORT:
    case SORT_IN_PLACE:
        return check_ints(d.ints.data(), n);
    case REDUCE:
        return (uint64_t)d.sum;
    case SCAN:
        return check_longs(d.longs.data(), n);
    case SAXPY:
        return check_floats(d.y.data(), n);
    default:
        return 0;
    }
}

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         n = peer_argument(argc, argv, 3);
    long workers = peer_argument(argc, argv, 2);
    double scale = kernel == EMPTY ? 1e3 * EMPTY_LOOPS : 1e6;
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              (size_t)workers);
    tbb::task_arena arena((int)workers);
    data d;
    fill(d, kernel, n);
    arena.execute([&] {
        empty_loops(workers);
        double cpu = peer_cpu(), wall = peer_wall();
        run(d, kernel, n, workers);
        wall = peer_wall() - wall;
        cpu = peer_cpu() - cpu;
        peer_reply(wall / scale, answer(d, kernel, n), cpu / scale, 0, 0, 0);
    });
}
