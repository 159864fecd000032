// SPDX-License-Identifier: MIT
#include "exec/pace.h"

// LONG, in nanoseconds: where an item takes one carrier so much, one more is
// always of use. CHANGED: by more than the machine's other work makes it
// appear.
enum { LONG = 2000, MOST_LOOKS = 32 };
static const double CHANGED = 1.25;

void wi_pace_look(struct wi_pace *pace, struct wi_pace_sight sight)
{
    pace->looked = sight.now;
    pace->made = sight.made;
    pace->own = 0;
}

// Nanoseconds for an item since the look; infinite if there was none.
static double each_of_all(const struct wi_pace *pace,
                          struct wi_pace_sight sight)
{
    int64_t time = sight.now - pace->looked;
    return (double)(time > 0 ? time : 1) / (double)(sight.made - pace->made);
}

// Whether the carrier is of use at that pace.
static bool is_useful(const struct wi_pace *pace, double now, size_t count)
{
    double n = (double)count, without = pace->without;
    if (without * (n - 1) > LONG)
        return now * n > LONG;
    // It may be n times as fast with it; more, and the items have changed. One
    // of n may save an n-th of the time, and half of that is enough.
    return now * n * CHANGED > without && now * (1 + 0.5 / n) < without;
}

bool wi_pace_stay(struct wi_pace *pace, struct wi_pace_sight sight)
{
    double now = each_of_all(pace, sight);
    uint64_t made = sight.made - pace->made;
    // If nearly all were its own, it is the others that are of no use, or they
    // wait in a stage.
    if (sight.count < 2 || 4 * made <= 5 * pace->own ||
        is_useful(pace, now, sight.count)) {
        pace->failed = 0;
        return true;
    }
    pace->looks = pace->failed;
    pace->failed = 2 * pace->failed + 1;
    if (pace->failed > MOST_LOOKS)
        pace->failed = MOST_LOOKS;
    return false;
}

bool wi_pace_try(struct wi_pace *pace, struct wi_pace_sight sight)
{
    double now = each_of_all(pace, sight);
    bool go = pace->looks == 0 || now * (double)sight.count > LONG ||
              now > pace->without * CHANGED;
    pace->looks -= !go;
    pace->without = go ? now : pace->without;
    return go;
}
