// SPDX-License-Identifier: MIT
//
// turn.h: one at a time, in the order of asking, with a wait that cancel and
// deadline end: for writers of a stream, who may stand behind one that a slow
// peer holds up. Valid when zeroed.
#ifndef WI_NET_TURN_H
#define WI_NET_TURN_H

#include <stdbool.h>

#include "os/futex.h"

struct wi_turn_waiter;

struct wi_turn {
    unsigned state;       // atomic: enum wi_turn_state
    struct wi_mutex lock; // for the line
    struct wi_turn_waiter *first, *last;
};

// 0: it is the caller's turn until wi_turn_end. Else -ECANCELED, -ETIMEDOUT.
int wi_turn_begin(struct wi_turn *turn);
void wi_turn_end(struct wi_turn *turn);

// Whether somebody has the turn: for one who knows that nobody should.
static inline bool wi_turn_is_taken(const struct wi_turn *turn)
{
    // acquire: pairs with the release of the last turn's end
    return __atomic_load_n(&turn->state, __ATOMIC_ACQUIRE) != 0;
}

#endif
