// SPDX-License-Identifier: MIT
// Whether a pipeline's carrier stays at work, by what it sees. The times are
// made up.
#include "kit.h"

#include "exec/pace.h"

enum { LOOK = 1000000 }; // nanoseconds between two sights

// A pipeline of so many carriers, in which an item passes every `each` ns.
struct world {
    struct wi_pace pace;
    struct wi_pace_sight sight;
};

static void begin(struct world *w, size_t count)
{
    *w = (struct world){.sight = {.now = 5 * LOOK, .made = 7, .count = count}};
    wi_pace_look(&w->pace, w->sight);
}

// So goes one look's time; the carrier begins its share of the items.
static void go_by(struct world *w, double each, double share)
{
    uint64_t items = each > 0 ? (uint64_t)(LOOK / each) : 0;
    w->sight.now += LOOK;
    w->sight.made += items;
    w->pace.own += (uint64_t)(share * (double)items);
}

static bool stays(struct world *w, double each)
{
    go_by(w, each, 1 / (double)w->sight.count);
    bool stay = wi_pace_stay(&w->pace, w->sight);
    wi_pace_look(&w->pace, w->sight);
    return stay;
}

// Without it there is one less at work.
static bool tries(struct world *w, double each)
{
    w->sight.count--;
    go_by(w, each, 0);
    bool go = wi_pace_try(&w->pace, w->sight);
    w->sight.count++;
    wi_pace_look(&w->pace, w->sight);
    return go;
}

// One that has stood by at a pace, and is at work.
static void begin_after(struct world *w, size_t count, double without)
{
    begin(w, count);
    ck_assert(!stays(w, without)); // it has not seen yet what it is without it
    ck_assert(tries(w, without));
}

WEFT_TEST(what_a_carrier_does)
{
    static const struct {
        size_t count;
        double without, with;
        bool stay;
    } cases[] = {
        {2, 100, 100, false}, // as fast as without it
        {2, 100, 140, false}, // slower
        {2, 100, 90, false},  // a quarter is what it should save at least
        {2, 100, 78, true},   // and does here
        {2, 100, 50, true},   // twice as fast: so it should be
        {2, 100, 42, true},   // with some noise
        {2, 100, 30, false},  // the items have become shorter
        {4, 100, 95, false},  // with four carriers it is an eighth
        {4, 100, 85, true},    {4, 100, 30, true}, {4, 100, 15, false},
        {2, 3000, 3000, true}, // long items: another one is always of use
        {2, 3000, 900, false}, // not if they were, and are no more
        {4, 800, 600, true},   // long for each of the four
        {4, 800, 400, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        begin_after(&w, cases[i].count, cases[i].without);
        ck_assert_msg(stays(&w, cases[i].with) == cases[i].stay,
                      "%zu carriers, %g ns without and %g with it",
                      cases[i].count, cases[i].without, cases[i].with);
    }
}

WEFT_TEST(the_last_carrier_stays)
{
    struct world w;
    begin(&w, 1);
    for (int i = 0; i < 10; i++)
        ck_assert(stays(&w, 100));
}

WEFT_TEST(a_carrier_that_does_nearly_all_stays)
{
    struct world w;
    begin(&w, 2);
    go_by(&w, 100, 0.75);
    ck_assert(!wi_pace_stay(&w.pace, w.sight));
    begin(&w, 2);
    go_by(&w, 100, 0.81);
    ck_assert(wi_pace_stay(&w.pace, w.sight));
}

// The others are in a stage for long: nobody is in the way.
WEFT_TEST(where_nothing_passes_a_carrier_stays_and_tries)
{
    struct world w;
    begin(&w, 3);
    ck_assert(stays(&w, 0));
    ck_assert(!stays(&w, 100));
    ck_assert(tries(&w, 0));
}

// Every try that fails doubles the looks that it stands by for; up to a point,
// and until it is of use.
WEFT_TEST(tries_become_rare)
{
    static const int looks[] = {0, 1, 3, 7, 15, 31, 32, 32, 32};
    struct world w;
    begin(&w, 2);
    for (int i = 0; i < 9; i++) {
        ck_assert(!stays(&w, 100));
        for (int k = 0; k < looks[i]; k++)
            ck_assert_msg(!tries(&w, 100), "try %d came after %d looks", i, k);
        ck_assert_msg(tries(&w, 100), "try %d came too late", i);
    }
    ck_assert(stays(&w, 60));
    ck_assert(!stays(&w, 100));
    ck_assert(tries(&w, 100));
}

WEFT_TEST(a_change_of_the_items_brings_the_next_try)
{
    struct world w;
    begin_after(&w, 2, 100);
    ck_assert(!stays(&w, 100)); // the second time: it waits for one look
    ck_assert(!tries(&w, 120));
    begin_after(&w, 2, 100);
    ck_assert(!stays(&w, 100));
    ck_assert(tries(&w, 130)); // slower than noise
    begin_after(&w, 4, 1000);
    ck_assert(!stays(&w, 300));
    ck_assert(tries(&w, 700)); // long for each of the three
}

// The clock may stand still between two looks.
WEFT_TEST(no_time_is_short)
{
    struct world w;
    begin(&w, 2);
    w.sight.made += 100;
    ck_assert(!wi_pace_stay(&w.pace, w.sight));
    ck_assert(wi_pace_try(&w.pace, w.sight));
}

WEFT_TEST_MAIN("pace")
