// SPDX-License-Identifier: MIT
// fork_join: OPS KERNEL WORKERS N. See bench/fork_join.c. Tasks of OpenMP, no
// cut-off.
#include <omp.h>

#include "../kernels.h"
#include "support.h"

static struct uts_tree tree;

static long fib(long n)
{
    long a, b;
    if (n < 2)
        return n;
#pragma omp task shared(a)
    a = fib(n - 1);
    b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

static long skynet(long first, long count)
{
    long part[10], sum = 0;
    if (count == 1)
        return first;
    for (long i = 0; i < 9; i++) {
#pragma omp task shared(part)
        part[i] = skynet(first + i * (count / 10), count / 10);
    }
    part[9] = skynet(first + 9 * (count / 10), count / 10);
#pragma omp taskwait
    for (int i = 0; i < 10; i++)
        sum += part[i];
    return sum;
}

static double integrate(double x0, double y0, double x1, double y1, double area)
{
    double half = (x1 - x0) / 2, x = x0 + half, y = integrate_f(x);
    double left = (y0 + y) / 2 * half, right = (y + y1) / 2 * half;
    double sum = left + right, a, b;
    if (sum - area < INTEGRATE_EPSILON && area - sum < INTEGRATE_EPSILON)
        return sum;
#pragma omp task shared(a)
    a = integrate(x0, y0, x, y, left);
    b = integrate(x, y, x1, y1, right);
#pragma omp taskwait
    return a + b;
}

static long nqueens(const struct board *b, int row, int n)
{
    struct board next[16];
    long part[16] = {0}, sum = 0;
    if (row == n)
        return 1;
    for (int c = 0; c < n; c++) {
        if (!queen_fits(b, row, c))
            continue;
        next[c] = *b;
        next[c].queen[row] = (signed char)c;
#pragma omp task shared(next, part)
        part[c] = nqueens(&next[c], row + 1, n);
    }
#pragma omp taskwait
    for (int c = 0; c < n; c++)
        sum += part[c];
    return sum;
}

static long uts(struct uts_node node)
{
    int n = uts_children(&tree, &node);
    long sum = 1, part[n + 1];
    for (int i = 0; i < n; i++) {
#pragma omp task shared(part, node)
        part[i] = uts(uts_child(&node, i));
    }
#pragma omp taskwait
    for (int i = 0; i < n; i++)
        sum += part[i];
    return sum;
}

#include "fork_join.h"

int main(int argc, char **argv)
{
    long kernel = peer_argument(argc, argv, 1),
         n = peer_argument(argc, argv, 3);
    omp_set_num_threads((int)peer_argument(argc, argv, 2));
#pragma omp parallel
#pragma omp single
    {
        run(FIB, 15);
        double cpu = peer_cpu(), wall = peer_wall();
        tell(kernel, n, run(kernel, n), wall, cpu);
    }
}
