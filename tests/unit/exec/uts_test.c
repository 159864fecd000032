// SPDX-License-Identifier: MIT
//
// The unbalanced tree search benchmark (Olivier, Huan, Liu, Prins, Dinan,
// Sadayappan and Tseng, 2006): trees whose shape follows from SHA-1, with
// published numbers of nodes. A worker that loses or repeats a child shows.
// T3L is 17,844 levels deep, on stacks of the usual size. The three large ones
// take minutes: they run if WEFT_TEST_LONG is set.
#include "kit.h"

#include <math.h>

#include <weft/fork.h>

// SHA-1 (FIPS 180-4) of up to 55 bytes ----------------------------------------

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static uint32_t get_big(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
           (uint32_t)at[2] << 8 | at[3];
}

static void put_big(unsigned char *at, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(x >> (24 - 8 * i));
}

// What the four spans of 20 rounds do.
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void sha1(const unsigned char *data, size_t size, unsigned char *digest)
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                     0xc3d2e1f0};
    unsigned char block[64] = {0};
    uint32_t w[80];
    memcpy(block, data, size);
    block[size] = 0x80;
    put_big(block + 60, (uint32_t)size * 8);
    for (int i = 0; i < 16; i++)
        w[i] = get_big(block + 4 * i);
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
        uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    const uint32_t sums[5] = {a, b, c, d, e};
    for (int i = 0; i < 5; i++)
        put_big(digest + 4 * i, h[i] + sums[i]);
}

// Trees -----------------------------------------------------------------------

enum shape { BINOMIAL, GEOMETRIC_FIXED, GEOMETRIC_CYCLIC };

struct tree {
    const char *name;
    enum shape shape;
    double root; // children of the root, or the mean of a geometric node
    double q;    // binomial: the probability of `many` children
    int many;
    int depth; // geometric
    uint32_t seed;
    uint64_t nodes;
};

static const struct tree trees[] = {
    {"T1", GEOMETRIC_FIXED, 4, 0, 0, 10, 19, 4130071},
    {"T3", BINOMIAL, 2000, 0.124875, 8, 0, 42, 4112897},
    {"T1L", GEOMETRIC_FIXED, 4, 0, 0, 13, 29, 102181082},
    {"T2L", GEOMETRIC_CYCLIC, 7, 0, 0, 23, 220, 96793510},
    {"T3L", BINOMIAL, 2000, 0.200014, 5, 0, 7, 111345631},
};
enum { SHORT = 2, ALL = sizeof trees / sizeof *trees, MOST_CHILDREN = 100 };

static const struct tree *tree;

struct node {
    unsigned char state[20];
    int32_t depth;
};

static struct node root_of(uint32_t seed)
{
    struct node node = {.depth = 0};
    unsigned char bytes[20] = {0};
    put_big(bytes + 16, seed);
    sha1(bytes, sizeof bytes, node.state);
    return node;
}

static struct node child_of(const struct node *parent, uint32_t i)
{
    struct node node = {.depth = parent->depth + 1};
    unsigned char bytes[24];
    memcpy(bytes, parent->state, 20);
    put_big(bytes + 20, i);
    sha1(bytes, sizeof bytes, node.state);
    return node;
}

static double probability(const struct node *node)
{
    return (get_big(node->state + 16) & 0x7fffffff) / 2147483648.0;
}

static int geometric(const struct node *node)
{
    double mean = tree->root;
    if (node->depth > 0 && tree->shape == GEOMETRIC_FIXED)
        mean = node->depth < tree->depth ? tree->root : 0;
    else if (node->depth > 5 * tree->depth)
        mean = 0;
    else if (node->depth > 0)
        mean = pow(tree->root,
                   sin(2 * 3.141592653589793 * node->depth / tree->depth));
    double p = 1 / (1 + mean);
    int n = (int)floor(log(1 - probability(node)) / log(1 - p));
    return n < MOST_CHILDREN ? n : MOST_CHILDREN;
}

static int children_of(const struct node *node)
{
    if (tree->shape != BINOMIAL)
        return geometric(node);
    if (node->depth == 0)
        return (int)tree->root;
    return probability(node) < tree->q ? tree->many : 0;
}

WEFT_FORKABLE(uint64_t, count, w, struct node, node)
{
    int n = children_of(&node);
    uint64_t nodes = 1;
    for (int i = 0; i < n; i++)
        weft_fork(w, count, child_of(&node, (uint32_t)i));
    for (int i = 0; i < n; i++)
        nodes += weft_join_child(w, count);
    return nodes;
}

static void check_tree(const struct tree *it, unsigned workers)
{
    uint64_t nodes = 0;
    tree = it;
    weft_executor *ex = weft_thread_pool(.workers = workers);
    kit_assert_code(weft_fork_run(ex, &nodes, count, root_of(it->seed)), 0);
    ck_assert_msg(nodes == it->nodes, "%s: %llu nodes, not %llu", it->name,
                  (unsigned long long)nodes, (unsigned long long)it->nodes);
    kit_assert_code(weft_executor_close(ex), 0);
}

WEFT_TEST(sha1_is_that_of_the_standard)
{
    static const unsigned char abc[20] = {
        0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
        0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    unsigned char digest[20];
    sha1((const unsigned char *)"abc", 3, digest);
    ck_assert_mem_eq(digest, abc, 20);
}

WEFT_TEST(trees_of_four_million_nodes, .repeat = SHORT, .timeout = 120)
{
    if (KIT_SANITIZED)
        weft_test_skip("would take minutes");
    for (unsigned workers = 1; workers <= 3; workers += 2)
        check_tree(&trees[weft_test_round()], workers);
}

WEFT_TEST(trees_of_a_hundred_million, .repeat = ALL - SHORT, .timeout = 600)
{
    if (getenv("WEFT_TEST_LONG") == NULL)
        weft_test_skip("WEFT_TEST_LONG is not set");
    check_tree(&trees[SHORT + weft_test_round()], 2);
}

WEFT_TEST_MAIN("uts")
