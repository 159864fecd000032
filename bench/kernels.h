// SPDX-License-Identifier: MIT
// kernels.h: what the contenders of fork_join and loops compute, in C and C++
// alike: the serial parts, the inputs, and the serial versions.
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Which kernel: the first parameter of fork_join.
enum kernel { FIB, SKYNET, INTEGRATE, NQUEENS, UTS_T1, UTS_T3, UTS_T3L };

// fib: a spawn is a call with n >= 2 that forks one child.
static inline long fib_spawns(long n)
{
    long a = 0, b = 1;
    for (long i = 0; i < n + 1; i++) {
        long c = a + b;
        a = b;
        b = c;
    }
    return a - 1;
}

static inline long fib_serial(long n)
{
    return n < 2 ? n : fib_serial(n - 1) + fib_serial(n - 2);
}

// skynet: a tree of fan-out ten whose leaves are numbered; their sum.
static inline long skynet_serial(long first, long count)
{
    long sum = 0;
    if (count == 1)
        return first;
    for (long i = 0; i < 10; i++)
        sum += skynet_serial(first + i * (count / 10), count / 10);
    return sum;
}

// integrate: adaptive quadrature of (x^2 + 1) x.
static const double INTEGRATE_EPSILON = 1e-9;

static inline double integrate_f(double x)
{
    return (x * x + 1.0) * x;
}

static inline double integrate_serial(double x0, double y0, double x1,
                                      double y1, double area)
{
    double half = (x1 - x0) / 2, x = x0 + half, y = integrate_f(x);
    double left = (y0 + y) / 2 * half, right = (y + y1) / 2 * half;
    double sum = left + right;
    if (sum - area < INTEGRATE_EPSILON && area - sum < INTEGRATE_EPSILON)
        return sum;
    return integrate_serial(x0, y0, x, y, left) +
           integrate_serial(x, y, x1, y1, right);
}

// nqueens: the columns of the queens so far.
struct board {
    signed char queen[16];
};

static inline int queen_fits(const struct board *b, int row, int column)
{
    for (int i = 0; i < row; i++) {
        int d = b->queen[i] - column;
        if (d == 0 || d == row - i || d == i - row)
            return 0;
    }
    return 1;
}

static inline long nqueens_serial(const struct board *b, int row, int n)
{
    long sum = 0;
    if (row == n)
        return 1;
    for (int c = 0; c < n; c++) {
        if (queen_fits(b, row, c)) {
            struct board next = *b;
            next.queen[row] = (signed char)c;
            sum += nqueens_serial(&next, row + 1, n);
        }
    }
    return sum;
}

// UTS, the unbalanced tree search: a node is a SHA-1 digest, its i-th child
// the digest of the node's and i.
struct uts_node {
    uint8_t digest[20];
    int depth;
};

static inline uint32_t sha1_turn(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

#ifdef __clang__
#define SHA1_UNROLL _Pragma("unroll")
#else
#define SHA1_UNROLL _Pragma("GCC unroll 20")
#endif
#define SHA1_STEP(f, k)                                                        \
    do {                                                                       \
        uint32_t t = sha1_turn(a, 5) + (f) + e + (k) + w[i];                   \
        e = d;                                                                 \
        d = c;                                                                 \
        c = sha1_turn(b, 30);                                                  \
        b = a;                                                                 \
        a = t;                                                                 \
    } while (0)

static inline void sha1_block(uint32_t h[5], const uint8_t block[64])
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    SHA1_UNROLL
    for (int i = 16; i < 80; i++)
        w[i] = sha1_turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    // Divided and unrolled, as compilers of other languages do unasked.
    SHA1_UNROLL
    for (int i = 0; i < 20; i++)
        SHA1_STEP((b & c) | (~b & d), 0x5a827999);
    SHA1_UNROLL
    for (int i = 20; i < 40; i++)
        SHA1_STEP(b ^ c ^ d, 0x6ed9eba1);
    SHA1_UNROLL
    for (int i = 40; i < 60; i++)
        SHA1_STEP((b & c) | (b & d) | (c & d), 0x8f1bbcdc);
    SHA1_UNROLL
    for (int i = 60; i < 80; i++)
        SHA1_STEP(b ^ c ^ d, 0xca62c1d6);
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

// A number, the highest byte first.
static inline void put_number(uint8_t *to, uint32_t n)
{
    to[0] = (uint8_t)(n >> 24);
    to[1] = (uint8_t)(n >> 16);
    to[2] = (uint8_t)(n >> 8);
    to[3] = (uint8_t)n;
}

// Of a text that fits in one block.
static inline void sha1_short(uint8_t out[20], const uint8_t *text, size_t n)
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                     0xc3d2e1f0};
    uint8_t block[64] = {0};
    memcpy(block, text, n);
    block[n] = 0x80;
    block[62] = (uint8_t)(n * 8 >> 8);
    block[63] = (uint8_t)(n * 8);
    sha1_block(h, block);
    for (int i = 0; i < 5; i++)
        put_number(out + 4 * i, h[i]);
}

struct uts_tree {
    int binomial;
    int root_children; // binomial
    double q;
    int m;
    double b; // geometric
    int depth;
    uint32_t seed;
};

// T1 with n levels: 10 are 4,130,071 nodes. T3 and T3L with n children of the
// root: 2000 are 4,112,897 and 111,345,631, the latter 17,844 deep.
static inline struct uts_tree uts_tree_of(long kernel, long n)
{
    struct uts_tree t1 = {0, 0, 0, 0, 4, (int)n, 19};
    struct uts_tree t3 = {1, (int)n, 0.124875, 8, 0, 0, 42};
    struct uts_tree t3l = {1, (int)n, 0.200014, 5, 0, 0, 7};
    return kernel == UTS_T1 ? t1 : kernel == UTS_T3 ? t3 : t3l;
}

static inline struct uts_node uts_root(const struct uts_tree *tree)
{
    struct uts_node node;
    uint8_t text[20] = {0};
    put_number(text + 16, tree->seed);
    sha1_short(node.digest, text, 20);
    node.depth = 0;
    return node;
}

static inline struct uts_node uts_child(const struct uts_node *parent, int i)
{
    struct uts_node node;
    uint8_t text[24];
    memcpy(text, parent->digest, 20);
    put_number(text + 20, (uint32_t)i);
    sha1_short(node.digest, text, 24);
    node.depth = parent->depth + 1;
    return node;
}

static inline int uts_children(const struct uts_tree *tree,
                               const struct uts_node *node)
{
    const uint8_t *d = node->digest + 16;
    uint32_t bits = ((uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 |
                     (uint32_t)d[2] << 8 | d[3]) &
                    0x7fffffff;
    double u = (double)bits / 2147483648.0;
    if (tree->binomial)
        return node->depth == 0 ? tree->root_children
               : u < tree->q    ? tree->m
                                : 0;
    if (node->depth >= tree->depth)
        return 0;
    int n = (int)floor(log(1 - u) / log(1 - 1 / (1 + tree->b)));
    return n < 100 ? n : 100;
}

static inline long uts_serial(const struct uts_tree *tree,
                              const struct uts_node *node)
{
    long sum = 1;
    int n = uts_children(tree, node);
    for (int i = 0; i < n; i++) {
        struct uts_node child = uts_child(node, i);
        sum += uts_serial(tree, &child);
    }
    return sum;
}

// A kernel run by one thread: the answer of all contenders.
static inline uint64_t kernel_serial(long kernel, long n)
{
    struct uts_tree tree = uts_tree_of(kernel, n);
    struct uts_node root = uts_root(&tree);
    struct board empty = {{0}};
    switch (kernel) {
    case FIB:
        return (uint64_t)fib_serial(n);
    case SKYNET:
        return (uint64_t)skynet_serial(0, n);
    case INTEGRATE:
        return (uint64_t)integrate_serial(0, integrate_f(0), (double)n,
                                          integrate_f((double)n), 0);
    case NQUEENS:
        return (uint64_t)nqueens_serial(&empty, 0, (int)n);
    default:
        return (uint64_t)uts_serial(&tree, &root);
    }
}

// What the time is divided by, so that it is in the unit of the question: ns a
// spawn for fib, ms for the others.
static inline double kernel_scale(long kernel, long n)
{
    return kernel == FIB ? (double)fib_spawns(n) : 1e6;
}

// Pipeline --------------------------------------------------------------------

// Some ten nanoseconds a round; xorshift, George Marsaglia (2003).
static inline uint64_t pipeline_work(uint64_t x, long rounds)
{
    for (long i = 0; i < 8 * rounds; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

// Loops -----------------------------------------------------------------------

enum loop_kernel { SORT, SORT_IN_PLACE, REDUCE, SCAN, SAXPY, EMPTY };

static inline uint32_t loop_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static inline void fill_ints(int *v, long n)
{
    uint64_t state = 1;
    for (long i = 0; i < n; i++)
        v[i] = (int)loop_random(&state);
}

// Whole numbers, so that every order of adding gives the same sum.
static inline void fill_floats(float *v, long n)
{
    for (long i = 0; i < n; i++)
        v[i] = (float)(i % 2);
}

static inline void fill_longs(long *v, long n)
{
    for (long i = 0; i < n; i++)
        v[i] = i % 1000;
}

static inline uint64_t check_ints(const int *v, long n)
{
    uint64_t sum = 0;
    for (long i = 0; i < n; i++)
        sum = sum * 31 + (uint64_t)(uint32_t)v[i];
    return sum;
}

static inline uint64_t check_longs(const long *v, long n)
{
    uint64_t sum = 0;
    for (long i = 0; i < n; i++)
        sum = sum * 31 + (uint64_t)v[i];
    return sum;
}

static inline uint64_t check_floats(const float *v, long n)
{
    double sum = 0;
    for (long i = 0; i < n; i++)
        sum += (double)v[i] * (double)(i % 7);
    return (uint64_t)sum;
}

#endif
