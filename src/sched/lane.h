// SPDX-License-Identifier: MIT
//
// lane.h: a queue of unstarted records that any worker may take, in the order
// in which they were put, and three of them for jobs of higher, usual and lower
// priority. The functions of a lane but wi_lane_waiting are called under the
// lock of the runtime.
//
// What was claimed in its place, by a cancel, is taken out of what has been put
// since the last time, once in a while: while all workers are busy it must not
// pile up, nor outlast the generations of its record, as in deque.h. Where
// nothing was canceled there is nothing to look for: to look at each job's
// state takes that from the worker who is about to run it.
#ifndef WI_SCHED_LANE_H
#define WI_SCHED_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/task.h"

enum { WI_LANE_HIGH, WI_LANE_USUAL, WI_LANE_LOW, WI_LANES };

// A line of its own: workers look at the lanes of high and low priority before
// each job, while somebody fills the usual one.
struct wi_lane {
    wi_hint *ring;
    size_t room, head, tail;
    size_t brim;      // where the tail is to look for room again
    size_t tidied;    // up to where what was dead has been taken out
    uint64_t cancels; // wi_task_cancels then
    uint64_t waiting; // tail - head, readable without the lock
} __attribute__((aligned(64)));

static inline unsigned wi_lane_of(int priority)
{
    return priority > 0    ? WI_LANE_HIGH
           : priority == 0 ? WI_LANE_USUAL
                           : WI_LANE_LOW;
}

// The lanes in the order in which the turn'th choice looks at them. Each lane
// is the first to be looked at in one of 61 turns at least, so that none
// starves.
const uint8_t *wi_lane_order(unsigned turn);

// Empties the lane, and gives its memory back.
void wi_lane_fini(struct wi_lane *lane);

// Makes room for more. 0 or -ENOMEM.
int wi_lane_make_room(struct wi_lane *lane);

// Whether there may be no room for one more.
static inline bool wi_lane_is_full(const struct wi_lane *lane)
{
    return lane->tail == lane->brim;
}

static inline void wi_lane_count(struct wi_lane *lane)
{
    // relaxed: who puts has a barrier after it; who takes has looked
    __atomic_store_n(&lane->waiting, lane->tail - lane->head, __ATOMIC_RELAXED);
}

// One that is not full.
static inline void wi_lane_put(struct wi_lane *lane, wi_hint hint)
{
    lane->ring[lane->tail & (lane->room - 1)] = hint;
    lane->tail++;
    wi_lane_count(lane);
}

// The oldest; 0: there is none.
wi_hint wi_lane_take(struct wi_lane *lane);

// Some of the oldest, in their order, at most n: how many, at *hints. They stay
// in the lane.
size_t wi_lane_look(const struct wi_lane *lane, size_t n,
                    const wi_hint **hints);
// Takes the oldest n.
void wi_lane_drop(struct wi_lane *lane, size_t n);

static inline uint64_t wi_lane_waiting(const struct wi_lane *lane)
{
    // seq_cst: after the announcement of sleep, in whoever is about to; pairs
    // with the barrier between a put and the look at the idle mask
    return __atomic_load_n(&lane->waiting, __ATOMIC_SEQ_CST);
}

#endif
