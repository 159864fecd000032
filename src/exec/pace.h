// SPDX-License-Identifier: MIT
//
// pace.h: whether one carrier more is of use to a pipeline. It takes from the
// others the lines of memory that every item goes through, and where the items
// are short, or the CPUs far apart, that may cost more than it does.
//
// So a carrier looks now and then how fast the items have passed with it, and
// stands by if that was no faster than without it. Then it sees how fast they
// pass without it, and tries again: the less often, the more tries have failed.
#ifndef WI_EXEC_PACE_H
#define WI_EXEC_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of one carrier; only that uses it. A zeroed one has seen nothing yet.
struct wi_pace {
    int64_t looked; // when a look began, the time since when is judged
    uint64_t made;  // items that all had begun by then
    uint64_t own;   // that the carrier has begun since; the user counts them
    double without; // nanoseconds for an item while it stood by
    int failed;     // how many looks to stand by after a try that fails
    int looks;      // how many of those are left
};

// What there is to see.
struct wi_pace_sight {
    int64_t now;   // the time
    uint64_t made; // items that all carriers have begun until then
    size_t count;  // carriers that are at work, on CPUs of their own
};

// The time since which is judged begins now.
void wi_pace_look(struct wi_pace *pace, struct wi_pace_sight sight);

// For one that is at work: whether to stay. If not, stand by.
bool wi_pace_stay(struct wi_pace *pace, struct wi_pace_sight sight);

// For one that has stood by since the look: whether to go to work.
bool wi_pace_try(struct wi_pace *pace, struct wi_pace_sight sight);

#endif
