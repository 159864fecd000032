// SPDX-License-Identifier: MIT
// fork_join: OPS KERNEL WORKERS N. See bench/fork_join.c. Task groups of
// oneTBB, no cut-off.
#include <alloca.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include "../kernels.h"
#include "support.h"

static struct uts_tree tree;

static long fib(long n)
{
    if (n < 2)
        return n;
    long a;
    tbb::task_group g;
    g.run([&a, n] { a = fib(n - 1); });
    long b = fib(n - 2);
    g.wait();
    return a + b;
}

static long skynet(long first, long count)
{
    if (count == 1)
        return first;
    long part[10], sum = 0;
    tbb::task_group g;
    for (long i = 0; i < 9; i++)
        g.run([&part, i, first, count] {
            part[i] = skynet(first + i * (count / 10), count / 10);
        });
    part[9] = skynet(first + 9 * (count / 10), count / 10);
    g.wait();
    for (long p : part)
        sum += p;
    return sum;
}

static double integrate(double x0, double y0, double x1, double y1, double area)
{
    double half = (x1 - x0) / 2, x = x0 + half, y = integrate_f(x);
    double left = (y0 + y) / 2 * half, right = (y + y1) / 2 * half;
    double sum = left + right, a;
    if (sum - area < INTEGRATE_EPSILON && area - sum < INTEGRATE_EPSILON)
        return sum;
    tbb::task_group g;
    g.run([=, &a] { a = integrate(x0, y0, x, y, left); });
    double b = integrate(x, y, x1, y1, right);
    g.wait();
    return a + b;
}

static long nqueens(const board *b, int row, int n)
{
    if (row == n)
        return 1;
    board next[16];
    long part[16] = {0}, sum = 0;
    tbb::task_group g;
    for (int c = 0; c < n; c++) {
        if (!queen_fits(b, row, c))
            continue;
        next[c] = *b;
        next[c].queen[row] = (signed char)c;
        g.run([&next, &part, c, row, n] {
            part[c] = nqueens(&next[c], row + 1, n);
        });
    }
    g.wait();
    for (int c = 0; c < n; c++)
        sum += part[c];
    return sum;
}

static long uts(const uts_node &node)
{
    int n = uts_children(&tree, &node);
    if (n == 0)
        return 1;
    long sum = 1, *part = (long *)alloca((size_t)n * sizeof(long));
    tbb::task_group g;
    for (int i = 0; i < n; i++)
        g.run([part, &node, i] { part[i] = uts(uts_child(&node, i)); });
    g.wait();
    for (int i = 0; i < n; i++)
        sum += part[i];
    return sum;
}

#include "fork_join.h"

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         n = peer_argument(argc, argv, 3);
    int workers = (int)peer_argument(argc, argv, 2);
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              (size_t)workers);
    tbb::task_arena arena(workers);
    arena.execute([&] {
        run(FIB, 15);
        double cpu = peer_cpu(), wall = peer_wall();
        tell(kernel, n, run(kernel, n), wall, cpu);
    });
}
