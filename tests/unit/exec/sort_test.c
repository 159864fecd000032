// SPDX-License-Identifier: MIT
// Sorting: every kind of input, every size, stable where it is promised.
#include "kit.h"

#include <stdio.h>
#include <weft/sort.h>

struct card {
    int key, place;
};

WEFT_SORTABLE(sort_cards, struct card, a, b, a->key < b->key)
WEFT_SORTABLE(sort_words, const char *, a, b, strcmp(*a, *b) < 0)

static int compare_cards(const void *a, const void *b, void *arg)
{
    const struct card *x = a, *y = b;
    (*(int *)arg)++;
    return (x->key > y->key) - (x->key < y->key);
}

static uint32_t state;

static int next(int range)
{
    state = state * 1664525 + 1013904223;
    return (int)(state >> 8) % range;
}

static int key_of(int kind, size_t i, size_t n)
{
    switch (kind) {
    case 0:
        return next(1 << 24);
    case 1:
        return next(10);
    case 2:
        return (int)i;
    case 3:
        return (int)(n - i);
    case 4:
        return 7;
    case 5:
        return (int)(i % 100 == 0 ? n - i : i);
    default:
        return (int)(i < n / 2 ? i : n - i); // an organ's pipes
    }
}
enum { KINDS = 7 };

static struct card *cards(int kind, size_t n)
{
    struct card *v = malloc((n + 1) * sizeof *v);
    state = (uint32_t)(n + 1);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct card){key_of(kind, i, n), (int)i};
    return v;
}

// Whether v is ordered, and each card there once; stable: cards of one key in
// order.
static bool is_sorted(const struct card *v, size_t n, bool stable)
{
    unsigned char *there = calloc(n + 1, 1);
    bool right = true;
    for (size_t i = 0; right && i < n; i++) {
        right =
            v[i].place >= 0 && (size_t)v[i].place < n && !there[v[i].place]++;
        if (right && i > 0)
            right = v[i - 1].key < v[i].key ||
                    (v[i - 1].key == v[i].key &&
                     (!stable || v[i - 1].place < v[i].place));
    }
    free(there);
    return right;
}

static void check(const struct card *v, size_t n, int kind, bool stable)
{
    ck_assert_msg(is_sorted(v, n, stable), "kind %d, n %zu", kind, n);
}

static const size_t counts[] = {0,  1,   2,    3,    20,    21,   22,
                                41, 100, 1000, 2049, 10000, 70001};

static void sort_all(weft_executor *ex)
{
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; kind < KINDS; kind++) {
            struct card *v = cards(kind, counts[c]);
            kit_assert_code(sort_cards(ex, v, counts[c]), 0);
            check(v, counts[c], kind, true);
            free(v);
            v = cards(kind, counts[c]);
            kit_assert_code(sort_cards_in_place(ex, v, counts[c]), 0);
            check(v, counts[c], kind, false);
            free(v);
        }
    }
    weft_executor_close(ex);
}

KIT_BOTH(all_kinds_of_input_are_sorted, .timeout = 60)
{
    sort_all(NULL);
    sort_all(weft_thread_pool(.workers = 1));
    sort_all(weft_thread_pool(.workers = 4));
}

KIT_BOTH(a_function_sorts_too, .timeout = 60)
{
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; kind < KINDS; kind++) {
            struct card *v = cards(kind, counts[c]);
            int calls = 0;
            weft_executor *ex = weft_thread_pool(.workers = 1);
            kit_assert_code(weft_parallel_sort(v, counts[c], sizeof *v,
                                               compare_cards, &calls,
                                               .executor = ex),
                            0);
            ck_assert(counts[c] < 2 || calls > 0);
            check(v, counts[c], kind, true);
            weft_executor_close(ex);
            free(v);
        }
    }
}

static int compare_first_int(const void *a, const void *b, void *arg)
{
    int x, y;
    (void)arg;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

// n elements of `size` bytes that begin with a key and, if they have room,
// their place.
static void sort_elements(size_t size, size_t n)
{
    char *v = calloc(n, size);
    for (size_t i = 0; i < n; i++) {
        int head[2] = {next(1000), (int)i};
        memcpy(v + i * size, head, size < sizeof head ? size : sizeof head);
    }
    kit_assert_code(weft_parallel_sort(v, n, size, compare_first_int, NULL), 0);
    for (size_t i = 1; i < n; i++) {
        int last[2] = {0, 0}, head[2] = {0, 0};
        memcpy(last, v + (i - 1) * size, size < 8 ? size : 8);
        memcpy(head, v + i * size, size < 8 ? size : 8);
        if (last[0] > head[0] ||
            (size >= 8 && last[0] == head[0] && last[1] > head[1]))
            ck_abort_msg("size %zu, element %zu", size, i);
    }
    free(v);
}

KIT_BOTH(elements_of_all_sizes_are_sorted)
{
    for (size_t size = 4; size <= 40; size++)
        sort_elements(size, 3000);
    sort_elements(1000, 500);
}

KIT_BOTH(pointers_are_sorted)
{
    static const char *const words[] = {"weft", "warp", "loom", "shed", "reed"};
    const char *v[5];
    memcpy(v, words, sizeof v);
    kit_assert_code(sort_words(NULL, v, 5), 0);
    ck_assert_str_eq(v[0], "loom");
    ck_assert_str_eq(v[4], "weft");
}

// A comparison that cancels the job that sorts: nothing may be read that no
// sort has written, which would be no pointer, and no element may be lost.
enum { WORDS = 50000 };
static char text[WORDS][16];
static char *words[WORDS];
static weft_future *sorting;
static int calls, cancel_at;

static int compare_and_cancel(const void *a, const void *b, void *arg)
{
    (void)arg;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == cancel_at)
        weft_cancel(__atomic_load_n(&sorting, __ATOMIC_ACQUIRE));
    return strcmp(*(char *const *)a, *(char *const *)b);
}

WEFT_JOB(int, sort_words_job)
{
    while (__atomic_load_n(&sorting, __ATOMIC_ACQUIRE) == NULL)
        sched_yield();
    return weft_parallel_sort(words, WORDS, sizeof *words, compare_and_cancel,
                              NULL);
}

static void expect_each_once(void)
{
    static bool seen[WORDS];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < WORDS; i++) {
        ptrdiff_t which = (char(*)[16])words[i] - text;
        ck_assert_int_ge(which, 0);
        ck_assert_int_lt(which, WORDS);
        ck_assert(!seen[which]);
        seen[which] = true;
    }
}

static int sort_with_cancel(unsigned workers, int at)
{
    weft_executor *ex = weft_thread_pool(.workers = workers);
    int out = 0;
    for (int i = 0; i < WORDS; i++) {
        snprintf(text[i], sizeof text[i], "%d", next(1 << 24));
        words[i] = text[i];
    }
    calls = 0;
    cancel_at = at;
    weft_future *f = weft_submit(ex, sort_words_job);
    __atomic_store_n(&sorting, f, __ATOMIC_RELEASE);
    kit_assert_code(weft_result(f, &out), 0);
    sorting = NULL;
    weft_executor_close(ex);
    return out;
}

// With one worker the last merges are not asked whether to stop.
WEFT_TEST(a_canceled_sort_loses_nothing, .timeout = 60)
{
    enum { SURE = 3 };
    // Some 770,000 comparisons, the last 50,000 of them in the last merge.
    static const int points[] = {1, 20000, 250000, 600000, 725000, 745000};
    for (unsigned n = 1; n <= 4; n++) {
        for (int i = 0; i < 6; i++) {
            int rc = sort_with_cancel(n, points[i]);
            expect_each_once();
            if (i < SURE)
                ck_assert_int_eq(rc, -ECANCELED);
        }
    }
}

WEFT_TEST_MAIN("sort")
