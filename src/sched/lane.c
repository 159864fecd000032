// SPDX-License-Identifier: MIT
#include "sched/lane.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cold.h"

// So many are put before they are tidied: few beside the 65,536 generations.
enum { FIRST_SIZE = 1024, TURNS = 61, UNTIDY = 4096 };

const uint8_t *wi_lane_order(unsigned turn)
{
    static const uint8_t orders[][WI_LANES] = {
        {WI_LANE_HIGH, WI_LANE_USUAL, WI_LANE_LOW},
        {WI_LANE_USUAL, WI_LANE_LOW, WI_LANE_HIGH},
        {WI_LANE_LOW, WI_LANE_USUAL, WI_LANE_HIGH},
    };
    unsigned place = turn % TURNS;
    return orders[place == 0 ? 1 : place == TURNS / 2 ? 2 : 0];
}

void wi_lane_fini(struct wi_lane *lane)
{
    free(lane->ring);
    *lane = (struct wi_lane){0};
}

// Takes out what is dead of what has been put since the last time.
static void tidy(struct wi_lane *lane)
{
    // relaxed: one that is missed is of this moment
    uint64_t cancels = __atomic_load_n(&wi_task_cancels, __ATOMIC_RELAXED);
    if (cancels == lane->cancels) {
        lane->tidied = lane->tail;
        return;
    }
    lane->cancels = cancels;
    size_t to = lane->tidied > lane->head ? lane->tidied : lane->head;
    for (size_t i = to; i != lane->tail; i++) {
        wi_hint hint = lane->ring[i & (lane->room - 1)];
        if (!wi_hint_is_dead(hint))
            lane->ring[to++ & (lane->room - 1)] = hint;
    }
    lane->tail = lane->tidied = to;
    wi_lane_count(lane);
}

static int grow(struct wi_lane *lane)
{
    size_t size = lane->tail - lane->head;
    size_t room = size == 0 ? FIRST_SIZE : 2 * size; // a power of two
    wi_hint *ring = malloc(room * sizeof *ring);
    if (ring == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        ring[i] = lane->ring[(lane->head + i) & (lane->room - 1)];
    free(lane->ring);
    lane->ring = ring;
    lane->room = room;
    lane->head = 0;
    lane->tail = lane->tidied = size;
    return 0;
}

WI_COLD int wi_lane_make_room(struct wi_lane *lane)
{
    tidy(lane);
    int rc = lane->tail - lane->head == lane->room ? grow(lane) : 0;
    size_t end = lane->head + lane->room, untidy = lane->tidied + UNTIDY;
    lane->brim = end < untidy ? end : untidy;
    return rc;
}

wi_hint wi_lane_take(struct wi_lane *lane)
{
    if (lane->tail == lane->head)
        return 0;
    wi_hint hint = lane->ring[lane->head & (lane->room - 1)];
    wi_lane_drop(lane, 1);
    return hint;
}

size_t wi_lane_look(const struct wi_lane *lane, size_t n, const wi_hint **hints)
{
    size_t count = lane->tail - lane->head;
    size_t begin = count > 0 ? lane->head & (lane->room - 1) : 0;
    size_t whole = lane->room - begin; // up to where the ring begins again
    *hints = lane->ring + begin;
    if (count > whole)
        count = whole;
    return count < n ? count : n;
}

void wi_lane_drop(struct wi_lane *lane, size_t n)
{
    lane->head += n;
    wi_lane_count(lane);
}
