// SPDX-License-Identifier: MIT
//
// A timer stands on the level of the highest 6-bit digit in which its tick
// differs from the wheel's, in the slot of that digit. When the wheel's tick
// enters a slot of a higher level, that slot is spread over the levels below.
// The busy bits make both the search for the next timer and the jump over
// empty stretches a few instructions a level.
#include "base/wheel.h"

#include <stddef.h>
#include <string.h>

enum { TICK_BITS = 20, DIGIT = 6, MASK = WI_WHEEL_SLOTS - 1 };

// The last one that the levels reach.
static const uint64_t last_tick = (1ull << (WI_WHEEL_LEVELS * DIGIT)) - 1;

static uint64_t tick_of(int64_t when)
{
    return when < 0 ? 0 : (uint64_t)when >> TICK_BITS;
}

void wi_wheel_init(struct wi_wheel *wheel, int64_t now)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->tick = tick_of(now);
}

static unsigned level_of(uint64_t here, uint64_t there)
{
    unsigned highest = 63 - (unsigned)__builtin_clzll((here ^ there) | 1);
    return highest / DIGIT;
}

static void place(struct wi_wheel *wheel, struct wi_timer *timer)
{
    uint64_t tick = tick_of(timer->when);
    // A time beyond waits at the end: by its own digits it could stand in a
    // slot that has begun, which would be spread into itself for ever.
    if (tick > last_tick)
        tick = last_tick;
    if (tick < wheel->tick)
        tick = wheel->tick;
    unsigned level = level_of(wheel->tick, tick);
    unsigned slot = (tick >> (level * DIGIT)) & MASK;
    struct wi_timer **head = &wheel->slots[level][slot], *next = *head;
    wheel->busy[level] |= 1ull << slot;
    *head = timer;
    timer->next = next;
    timer->link = head;
    if (next != NULL)
        next->link = &timer->next;
}

void wi_wheel_add(struct wi_wheel *wheel, struct wi_timer *timer, int64_t when)
{
    timer->when = when;
    wheel->count++;
    place(wheel, timer);
}

static void unlink_timer(struct wi_wheel *wheel, struct wi_timer *timer)
{
    struct wi_timer **link = timer->link, *next = timer->next;
    uintptr_t first = (uintptr_t)&wheel->slots[0][0];
    timer->link = NULL;
    *link = next;
    if (next != NULL) {
        next->link = link;
        return;
    }
    // A slot that this emptied loses its busy bit.
    uintptr_t index = ((uintptr_t)link - first) / sizeof link;
    if (index < WI_WHEEL_LEVELS * WI_WHEEL_SLOTS)
        wheel->busy[index / WI_WHEEL_SLOTS] &=
            ~(1ull << (index % WI_WHEEL_SLOTS));
}

void wi_wheel_remove(struct wi_wheel *wheel, struct wi_timer *timer)
{
    if (!wi_timer_armed(timer))
        return;
    unlink_timer(wheel, timer);
    wheel->count--;
}

// The first busy slot of a level at or after `from`, -1 if none. Slots before
// it belong to times past: the wheel never wraps within a level.
static int first_busy(const struct wi_wheel *wheel, unsigned level,
                      unsigned from)
{
    uint64_t busy = wheel->busy[level] & (~0ull << from);
    return busy == 0 ? -1 : __builtin_ctzll(busy);
}

static unsigned digit(uint64_t tick, unsigned level)
{
    return (tick >> (level * DIGIT)) & MASK;
}

// Moves the timers of one higher slot to where they belong now.
static void spread(struct wi_wheel *wheel, unsigned level, unsigned slot)
{
    struct wi_timer *timer = wheel->slots[level][slot];
    wheel->slots[level][slot] = NULL;
    wheel->busy[level] &= ~(1ull << slot);
    while (timer != NULL) {
        struct wi_timer *next = timer->next;
        place(wheel, timer);
        timer = next;
    }
}

// The next tick at which there is something to do, UINT64_MAX if never: a
// busy slot of the first level, or the start of a busy higher slot.
static uint64_t next_tick(const struct wi_wheel *wheel, unsigned *level)
{
    for (*level = 0; *level < WI_WHEEL_LEVELS; ++*level) {
        unsigned shift = *level * DIGIT;
        int slot = first_busy(wheel, *level, digit(wheel->tick, *level));
        if (slot < 0)
            continue;
        uint64_t above = wheel->tick >> shift >> DIGIT << DIGIT;
        uint64_t tick = (above | (unsigned)slot) << shift;
        return tick > wheel->tick ? tick : wheel->tick;
    }
    return UINT64_MAX;
}

struct wi_timer *wi_wheel_pop(struct wi_wheel *wheel, int64_t now)
{
    uint64_t limit = tick_of(now);
    unsigned level;
    for (;;) {
        uint64_t tick = next_tick(wheel, &level);
        if (tick > limit)
            break;
        wheel->tick = tick;
        unsigned slot = digit(tick, level);
        if (level > 0) {
            spread(wheel, level, slot);
            continue;
        }
        for (struct wi_timer *t = wheel->slots[0][slot]; t; t = t->next) {
            if (t->when <= now) {
                wi_wheel_remove(wheel, t);
                return t;
            }
        }
        if (tick == limit)
            return NULL; // the rest of this tick is still to come
        wheel->tick = tick + 1;
    }
    if (limit > wheel->tick)
        wheel->tick = limit;
    return NULL;
}

int64_t wi_wheel_next(const struct wi_wheel *wheel)
{
    unsigned level;
    uint64_t tick = wheel->count == 0 ? UINT64_MAX : next_tick(wheel, &level);
    if (tick >= (uint64_t)INT64_MAX >> TICK_BITS)
        return INT64_MAX;
    int64_t next = (int64_t)(tick << TICK_BITS);
    if (level > 0)
        return next;
    int64_t least = INT64_MAX;
    for (struct wi_timer *t = wheel->slots[0][digit(tick, 0)]; t; t = t->next) {
        if (t->when < least)
            least = t->when;
    }
    return least;
}
