// SPDX-License-Identifier: MIT
//
// wheel.h: a hierarchical timer wheel (George Varghese and Tony Lauck, 1987).
// Times are monotonic nanoseconds. Each of the seven levels has 64 slots. A
// slot of the first level is a tick of 2^20 ns, about a millisecond; one of any
// other level is as long as the whole level below, so that the last one reaches
// 146 years. Insert and cancel are a few list operations; within a due slot
// times are compared exactly, so a short sleep is not rounded to a tick. Used
// by one thread.
#ifndef WI_BASE_WHEEL_H
#define WI_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct wi_timer {
    struct wi_timer *next, **link; // link is NULL while not in a wheel
    int64_t when;
};

enum { WI_WHEEL_LEVELS = 7, WI_WHEEL_SLOTS = 64 };

struct wi_wheel {
    uint64_t tick;                  // all earlier ticks are empty
    uint64_t busy[WI_WHEEL_LEVELS]; // one bit a slot
    uint64_t count;
    struct wi_timer *slots[WI_WHEEL_LEVELS][WI_WHEEL_SLOTS];
};

void wi_wheel_init(struct wi_wheel *wheel, int64_t now);
void wi_wheel_add(struct wi_wheel *wheel, struct wi_timer *timer, int64_t when);
void wi_wheel_remove(struct wi_wheel *wheel, struct wi_timer *timer);

// Takes out one timer whose time has come, or returns NULL. Timers of one
// tick come in no order.
struct wi_timer *wi_wheel_pop(struct wi_wheel *wheel, int64_t now);

// When to look again: no later than the next timer's time, and exact if it
// is within one turn of the first level. INT64_MAX when empty.
int64_t wi_wheel_next(const struct wi_wheel *wheel);

static inline bool wi_timer_armed(const struct wi_timer *timer)
{
    return timer->link != 0;
}

#endif
