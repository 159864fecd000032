// SPDX-License-Identifier: MIT
// Kill -9 of a process within an operation of an arena's heap: before each
// word that it changes, and at random instants. Afterwards the heap is whole,
// and each operation has happened or has not.
#include "weft_test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#include "shared/heap.h"

static struct weft_arena_stat stat_of(weft_arena *a)
{
    struct weft_arena_stat stat = {.size = sizeof stat};
    weft_arena_stat(a, &stat);
    return stat;
}

enum operation {
    SMALL,   // from a hole
    SPLIT,   // of a large free block
    ALIGNED, // with something left on both sides
    DIRTY,   // zeroed outside of the lock
    GROWING, // beyond the end of the file
    FREE,    // between two used ones
    JOIN,    // between two free ones
    OPERATIONS
};

static const char *const names[] = {"small", "split", "aligned", "dirty",
                                    "grow",  "free",  "join"};

// What parent and child agree on.
struct table {
    uint64_t small, split, aligned, dirty, growing, freed, joined;
    uint64_t gap[4];
};

struct order {
    struct weft_arena_ref where;
    enum operation operation;
    unsigned kill_at; // word of the operation, counted through
};

static unsigned words_left;

static void die_at(unsigned n)
{
    (void)n;
    if (words_left-- == 0)
        raise(SIGKILL);
}

static void operate(weft_arena *a, struct table *t, enum operation operation)
{
    switch (operation) {
    case SMALL:
        weft_arena_alloc_into(a, &t->small, 100);
        break;
    case SPLIT:
        weft_arena_alloc_into(a, &t->split, 900);
        break;
    case ALIGNED:
        wi_heap_alloc(a, 1000, 4096, &t->aligned);
        break;
    case DIRTY:
        weft_arena_alloc_into(a, &t->dirty, 50000);
        break;
    case GROWING:
        weft_arena_alloc_into(a, &t->growing, 1000000);
        break;
    case FREE:
        weft_arena_free_from(a, &t->freed);
        break;
    default:
        weft_arena_free_from(a, &t->joined);
        break;
    }
}

static int obey(void *arg)
{
    const struct order *order = arg;
    weft_arena *a;
    struct table *t = weft_arena_open(order->where, &a);
    words_left = order->kill_at;
    wi_heap_at_word = die_at;
    operate(a, t, order->operation);
    return 0;
}

static uint64_t *slot_of(struct table *t, enum operation operation)
{
    return &t->small + operation;
}

// A heap in which every operation takes its own path.
static struct table *prepare(weft_arena *a)
{
    struct table *t = weft_arena_value(a, struct table);
    uint64_t *blocks = weft_arena_array(a, uint64_t, 12);
    static const size_t sizes[12] = {100, 100, 60000, 100, 300, 100,
                                     300, 300, 300,   100, 90,  100};
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(weft_arena_alloc_into(a, &blocks[i], sizes[i]), 0);
        memset(weft_arena_at(a, blocks[i]), 0xaa, sizes[i]);
    }
    t->freed = blocks[4];
    t->joined = blocks[7];
    weft_arena_free_from(a, &blocks[2]);
    weft_arena_free_from(a, &blocks[6]);
    weft_arena_free_from(a, &blocks[8]);
    weft_arena_free_from(a, &blocks[10]);
    return t;
}

static void expect_zeroed(weft_arena *a, uint64_t at, size_t size)
{
    const unsigned char *p = weft_arena_at(a, at);
    size_t i = 0; // an assertion for each byte would take its time
    while (i < size && p[i] == 0)
        i++;
    ck_assert_uint_eq(i, size);
}

// Whether the child survived. After its death all is as before the operation,
// or as after it.
static bool kill_at(enum operation operation, unsigned word)
{
    static const size_t sizes[] = {100, 900, 1000, 50000, 1000000};
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(16 << 20, &a), 0);
    struct table *t = prepare(a), before = *t;
    struct weft_arena_stat old = stat_of(a);
    struct order order = {weft_arena_ref(a, t), operation, word};
    int rc = weft_join(weft_process_start(obey, &order, sizeof order));
    ck_assert_msg(rc == 0 || rc == -WEFT_ECRASHED, "%s", weft_error_name(rc));
    weft_arena_recover(a);
    ck_assert_msg(weft_arena_check(a) == 0, "%s, word %u", names[operation],
                  word);
    uint64_t *slot = slot_of(t, operation);
    bool frees = operation >= FREE, done = (*slot != 0) != frees;
    ck_assert(rc == -WEFT_ECRASHED || done);
    int step = done ? frees ? -1 : 1 : 0;
    ck_assert_msg(stat_of(a).blocks == old.blocks + (uint64_t)(int64_t)step,
                  "%s, word %u: %d blocks more", names[operation], word,
                  (int)(stat_of(a).blocks - old.blocks));
    if (done && !frees)
        expect_zeroed(a, *slot, sizes[operation]);
    *slot = *slot_of(&before, operation);
    ck_assert(memcmp(t, &before, sizeof before) == 0);
    weft_arena_close(a);
    return rc == 0;
}

WEFT_TEST(before_each_word_of_each_operation, .timeout = 120)
{
    printf("words:");
    for (int operation = 0; operation < OPERATIONS; operation++) {
        unsigned word = 0;
        while (!kill_at((enum operation)operation, word))
            word++;
        ck_assert_uint_gt(word, 5);
        printf(" %s %u", names[operation], word);
    }
    printf("\n");
}

// At random instants ----------------------------------------------------------

enum { SLOTS = 64 };

struct churn {
    struct weft_arena_ref where;
    uint64_t seed;
};

struct shared {
    uint64_t slots[SLOTS];
    uint64_t begun; // atomic
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int churn(void *arg)
{
    struct churn *in = arg;
    weft_arena *a;
    struct shared *s = weft_arena_open(in->where, &a);
    uint64_t base = next_random(&in->seed) % (SLOTS / 2);
    __atomic_fetch_add(&s->begun, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint64_t *slot = &s->slots[base + next_random(&in->seed) % (SLOTS / 2)];
        uint64_t r = next_random(&in->seed);
        // Two processes may meet in a slot: one of them leaves it.
        if (__atomic_load_n(slot, __ATOMIC_ACQUIRE) == 0 && r % 4 != 0)
            weft_arena_alloc_into(a, slot, r % 64 == 0 ? 200000 : r % 700);
        else if (r % 64 == 1)
            weft_arena_free(a, weft_arena_alloc(a, r % 5000));
    }
    return 0;
}

// One process at work at a time; the parent takes from its slots afterwards.
WEFT_TEST(at_random_instants, .timeout = 300)
{
    weft_arena *a;
    ck_assert_int_eq(weft_arena_new(64 << 20, &a), 0);
    struct shared *s = weft_arena_value(a, struct shared);
    int n = weft_test_kills(20), held = 0, half = 0;
    for (int i = 0; i < n; i++) {
        struct churn in = {weft_arena_ref(a, s), weft_test_random()};
        weft_future *f = weft_process_start(churn, &in, sizeof in);
        while (__atomic_load_n(&s->begun, __ATOMIC_SEQ_CST) <= (uint64_t)i)
            weft_yield();
        for (uint64_t k = weft_test_random() % 300000; k > 0; k--)
            __asm__ volatile("");
        weft_process_kill(f);
        ck_assert_int_eq(weft_join(f), -WEFT_ECRASHED);
        struct wi_segment *segment = wi_segment_of(a);
        held += segment->heap_lock.word != 0;
        half += segment->entries != 0;
        weft_arena_recover(a);
        ck_assert_int_eq(weft_arena_check(a), 0);
        for (int k = 0; k < SLOTS; k++)
            weft_arena_free_from(a, &s->slots[k]);
        // Blocks that it had, and had stored nowhere, stay: at most one.
        ck_assert_uint_le(stat_of(a).blocks, 2 + (uint64_t)i);
        ck_assert_uint_eq(stat_of(a).participants, 1);
    }
    printf("%d kills: %d with the lock held, %d within a transaction\n", n,
           held, half);
    weft_arena_close(a);
}

WEFT_TEST_MAIN("arena_kill")
