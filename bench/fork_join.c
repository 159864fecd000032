// SPDX-License-Identifier: MIT
// fork_join: recursive algorithms without a cut-off, on one worker and on two.
// The figure is the time on the clock; beside it stand the CPU time of the
// process and its resident memory.
//
//  fib        ns for each spawn: a fork, a call, a join and the body
//  skynet     a million leaves, fan-out ten
//  integrate  0 .. 1000, 7.5 million spawns
//  nqueens    a fork for every queen that fits
//  uts        unbalanced tree search: T1 geometric, T3 binomial
#include <weft.h>
#include <weft/fork.h>

#include "kernels.h"
#include "support/bench.h"

WEFT_FORKABLE(long, fib, w, long, n)
{
    if (n < 2)
        return n;
    weft_fork(w, fib, n - 1);
    long b = fib(w, n - 2);
    return weft_join_child(w, fib) + b;
}

WEFT_FORKABLE(long, skynet, w, long, first, long, count)
{
    long sum = 0, part = count / 10;
    if (count == 1)
        return first;
    for (long i = 0; i < 9; i++)
        weft_fork(w, skynet, first + i * part, part);
    sum = skynet(w, first + 9 * part, part);
    for (int i = 0; i < 9; i++)
        sum += weft_join_child(w, skynet);
    return sum;
}

WEFT_FORKABLE(double, integrate, w, double, x0, double, y0, double, x1, double,
              y1, double, area)
{
    double half = (x1 - x0) / 2, x = x0 + half, y = integrate_f(x);
    double left = (y0 + y) / 2 * half, right = (y + y1) / 2 * half;
    double sum = left + right;
    if (sum - area < INTEGRATE_EPSILON && area - sum < INTEGRATE_EPSILON)
        return sum;
    weft_fork(w, integrate, x0, y0, x, y, left);
    sum = integrate(w, x, y, x1, y1, right);
    return sum + weft_join_child(w, integrate);
}

WEFT_FORKABLE(long, nqueens, w, const struct board *, b, int, row, int, n)
{
    struct board next[16];
    long sum = 0;
    int forked = 0;
    if (row == n)
        return 1;
    for (int c = 0; c < n; c++) {
        if (!queen_fits(b, row, c))
            continue;
        next[forked] = *b;
        next[forked].queen[row] = (signed char)c;
        weft_fork(w, nqueens, &next[forked], row + 1, n);
        forked++;
    }
    while (forked-- > 0)
        sum += weft_join_child(w, nqueens);
    return sum;
}

static struct uts_tree tree;

WEFT_FORKABLE(long, uts, w, struct uts_node, node)
{
    long sum = 1;
    int n = uts_children(&tree, &node);
    for (int i = 0; i < n; i++)
        weft_fork(w, uts, uts_child(&node, i));
    for (int i = 0; i < n; i++)
        sum += weft_join_child(w, uts);
    return sum;
}

static int run(weft_executor *ex, long kernel, long n, uint64_t *answer)
{
    const struct board empty = {{0}};
    long out = 0;
    double area = 0;
    int rc = 0;
    switch (kernel) {
    case FIB:
        rc = weft_fork_run(ex, &out, fib, n);
        break;
    case SKYNET:
        rc = weft_fork_run(ex, &out, skynet, 0, n);
        break;
    case NQUEENS:
        rc = weft_fork_run(ex, &out, nqueens, &empty, 0, (int)n);
        break;
    case INTEGRATE:
        rc = weft_fork_run(ex, &area, integrate, 0, integrate_f(0), (double)n,
                           integrate_f((double)n), 0);
        out = (long)area;
        break;
    default: {
        tree = uts_tree_of(kernel, n);
        struct uts_node root = uts_root(&tree);
        rc = weft_fork_run(ex, &out, uts, root);
    }
    }
    *answer = (uint64_t)out;
    return rc;
}

static void weft_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long kernel = ask->param[0], n = ask->param[2];
    weft_executor *ex = weft_thread_pool(.workers = (unsigned)ask->param[1]);
    uint64_t warm;
    if (run(ex, FIB, 22, &warm) != 0)
        bench_fail("weft_fork_run failed");
    double cpu = bench_cpu(), wall = bench_wall();
    if (run(ex, kernel, n, &reply->answer) != 0)
        bench_fail("weft_fork_run failed");
    reply->value = (bench_wall() - wall) / kernel_scale(kernel, n);
    reply->more[0] = (bench_cpu() - cpu) / kernel_scale(kernel, n);
    reply->more[1] = bench_rss() / 1e6;
    weft_executor_close(ex);
}

static void serial_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long kernel = ask->param[0], n = ask->param[2];
    double cpu = bench_cpu(), wall = bench_wall();
    reply->answer = kernel_serial(kernel, n);
    reply->value = (bench_wall() - wall) / kernel_scale(kernel, n);
    reply->more[0] = (bench_cpu() - cpu) / kernel_scale(kernel, n);
    reply->more[1] = bench_rss() / 1e6;
}

// fib on a split deque and nothing else: a slot for each child, in it what the
// child is to do, a look at who asks for one, and at the join one whether the
// child is private still. There are no thieves.
struct slot {
    long (*run)(struct slot *top, long n);
    long n;
};

static struct {
    struct slot slots[256];
    struct slot *ask;   // a fork from here on has to see who asks
    struct slot *split; // those before it could be stolen
} bare;

static long bare_fib(struct slot *top, long n)
{
    if (n < 2)
        return n;
    *top = (struct slot){bare_fib, n - 1};
    if (top >= __atomic_load_n(&bare.ask, __ATOMIC_RELAXED))
        bench_fail("somebody asked");
    long b = bare_fib(top + 1, n - 2);
    if (top < __atomic_load_n(&bare.split, __ATOMIC_RELAXED))
        bench_fail("somebody stole");
    return bare_fib(top, top->n) + b;
}

static void deque_side(const struct bench_ask *ask, struct bench_reply *reply)
{
    long n = ask->param[2];
    bare.ask = &bare.slots[255];
    bare.split = bare.slots;
    double cpu = bench_cpu(), wall = bench_wall();
    reply->answer = (uint64_t)bare_fib(bare.slots, n);
    reply->value = (bench_wall() - wall) / kernel_scale(FIB, n);
    reply->more[0] = (bench_cpu() - cpu) / kernel_scale(FIB, n);
    reply->more[1] = bench_rss() / 1e6;
}

struct question {
    const char *name[2]; // on one worker, on two
    const char *what;
    enum kernel kernel;
    long n[3]; // bench_pick
    double bar[2];
    const char *against; // NULL, or the bars are times that
};

#ifdef BENCH_O3 // built with -O3, where the compiler inlines some levels
static const struct question questions[] = {
    {{"fork_join/fib_o3/1", "fork_join/fib_o3/2"},
     "fork, call and join, built with -O3",
     FIB,
     {36, 32, 20},
     {2.6, 1.3},
     NULL},
};
#else
static const struct question questions[] = {
    {{"fork_join/fib/1", "fork_join/fib/2"},
     "fork, call and join",
     FIB,
     {36, 32, 20},
     {4, 2},
     NULL},
    {{"fork_join/skynet/1", "fork_join/skynet/2"},
     "a million leaves",
     SKYNET,
     {1000000, 1000000, 1000},
     {6, 3},
     NULL},
    {{"fork_join/integrate/1", "fork_join/integrate/2"},
     "0 .. 1000",
     INTEGRATE,
     {1000, 1000, 10},
     {95, 48},
     NULL},
    {{"fork_join/nqueens/1", "fork_join/nqueens/2"},
     "all solutions",
     NQUEENS,
     {11, 11, 6},
     {88, 45},
     NULL},
    {{"fork_join/uts_t1/1", "fork_join/uts_t1/2"},
     "a geometric tree, 4,130,071 nodes; 257,042 if quick",
     UTS_T1,
     {10, 8, 4},
     {1.05, 0.53},
     "serial"},
    {{"fork_join/uts_t3/1", "fork_join/uts_t3/2"},
     "a binomial tree, 4,112,897 nodes; 6,797 if quick",
     UTS_T3,
     {2000, 100, 20},
     {1.05, 0.53},
     "serial"},
    {{"fork_join/uts_t3l/1", "fork_join/uts_t3l/2"},
     "111,345,631 nodes, 17,844 deep",
     UTS_T3L,
     {2000, 2000, 20},
     {1.05, 0.53},
     "serial"},
};
#endif

static void ask(const struct question *q, int two)
{
    static const struct bench_side
        none = {0},
        deque = {"split deque", BENCH_FLOOR, .fn = deque_side},
        // A goroutine for each call takes a second for a million of them.
        go = {"Go", BENCH_PEER, .program = "fork_join_go",
              .package = "golang-go"};
    bool is_small = q->kernel == SKYNET || q->kernel == NQUEENS;
    const struct bench_side sides[] = {
        {"weft", BENCH_WEFT, .fn = weft_side},
        {"serial", BENCH_FLOOR, .fn = serial_side},
        {"OpenMP", BENCH_PEER, .program = "fork_join_openmp", .package = "gcc"},
        {"oneTBB", BENCH_PEER, .program = "fork_join_tbb",
         .package = "libtbb-dev"},
        {"rayon", BENCH_PEER, .program = "fork_join_rayon",
         .package = "librust-rayon-dev"},
        is_small                       ? go
        : q->kernel == FIB && two == 0 ? deque
                                       : none,
        none};
    bench_ask(
        &(struct bench_question){
            .name = q->name[two],
            .what = q->what,
            .unit = q->kernel == FIB ? "ns" : "ms",
            .ops = 1,
            .slow = true,
            .params = {{"kernel", q->kernel},
                       {"workers", two + 1},
                       {"n", bench_pick(q->n[0], q->n[1], q->n[2])}},
            .more = {"cpu", "rss_mb"},
            .bar = q->bar[two],
            .bar_against = q->against},
        sides);
}

int main(int argc, char **argv)
{
#ifdef BENCH_O3
    bench_start("fork_join_o3", argc, argv);
#else
    bench_start("fork_join", argc, argv);
#endif
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        // The long one takes minutes, and says nothing that T3 does not.
        if (questions[i].kernel == UTS_T3L && getenv("BENCH_UTS_T3L") == NULL)
            continue;
        ask(&questions[i], 0);
        ask(&questions[i], 1);
    }
    return bench_end();
}
