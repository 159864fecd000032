// SPDX-License-Identifier: MIT
//
// The barrier between processes. All who wait sleep on `round`, the number of
// rounds that have ended. Whoever ends one, by coming last or by breaking the
// barrier, first writes down in each place what its waiter is to be told and
// then raises the number: that one store decides. If it dies before, the next
// one writes all of that anew.
//
// A process that dies while it waits breaks the barrier, since it will not come
// again: the keepers wake all who wait, and they find it.
#include "sync/far.h"

#include <errno.h>

#include <weft/error.h>

#include "shared/keeper.h"
#include "shared/member.h"
#include "sync/far_line.h"
#include "sync/line.h"

#define SENT_AWAY UINT32_MAX // what a place is told instead of its number

static struct wi_far_line line_of(struct weft_barrier *barrier)
{
    return wi_far_line_of(barrier, &barrier->lock, &barrier->line);
}

static uint32_t round_of(const struct weft_barrier *barrier)
{
    // acquire: pairs with end_round
    return __atomic_load_n(&barrier->round, __ATOMIC_ACQUIRE);
}

static bool is_broken(const struct weft_barrier *barrier)
{
    // relaxed: under the lock, or a look
    return __atomic_load_n(&barrier->broken, __ATOMIC_RELAXED) != 0;
}

static void set_broken(struct weft_barrier *barrier, bool broken)
{
    __atomic_store_n(&barrier->broken, broken, __ATOMIC_RELAXED);
}

// Tells those of this round; `sent_away`, or each its number.
static void end_round(struct weft_barrier *barrier, struct wi_far_line *line,
                      bool sent_away)
{
    uint32_t number = 0;
    struct wi_far_place *place = wi_far_place_at(line, *line->first);
    for (; place != NULL; place = wi_far_place_at(line, place->next)) {
        if (place->round == barrier->round)
            place->purpose = sent_away ? SENT_AWAY : number++;
    }
    // release: what was told, and what was done before, is seen
    __atomic_fetch_add(&barrier->round, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&barrier->round, INT32_MAX, true);
}

static void break_it(struct weft_barrier *barrier, struct wi_far_line *line)
{
    set_broken(barrier, true); // first: a breaker that dies now has broken it
    end_round(barrier, line, true);
}

// How many of this round stand in line, none of which has died: one that has
// breaks the barrier.
static uint32_t muster(struct weft_barrier *barrier, struct wi_far_line *line)
{
    uint32_t n = 0;
    bool died = false;
    struct wi_far_place *place = wi_far_place_at(line, *line->first);
    for (; place != NULL; place = wi_far_place_at(line, place->next)) {
        if (place->round != barrier->round)
            continue;
        n++;
        died |= !wi_member_lives(line->arena, place->tag);
    }
    if (died)
        break_it(barrier, line);
    wi_far_bury(line);
    return died ? 0 : n;
}

static bool is_over(const struct weft_barrier *barrier,
                    const struct wi_far_place *place)
{
    return round_of(barrier) != place->round || is_broken(barrier);
}

static int stand(struct weft_barrier *barrier, struct wi_far_line *line,
                 const struct wi_far_place *place, const struct wi_wait *wait)
{
    struct wi_nap nap;
    int rc = 0;
    wi_nap_begin(&nap, line->arena);
    while (rc == 0 && !is_over(barrier, place)) {
        wi_far_take(line);
        muster(barrier, line);
        wi_far_give(line);
        rc = wi_far_nap(&nap, &barrier->round, place->round, wait);
    }
    wi_nap_end(&nap);
    return rc;
}

// Out of the line, with its number or a code.
static int leave(struct weft_barrier *barrier, struct wi_far_line *line,
                 struct wi_far_place *place, int rc, bool breaks)
{
    wi_far_take(line);
    wi_far_remove(line, place);
    if (barrier->round != place->round)
        rc = place->purpose == SENT_AWAY ? -WEFT_EBARRIER : (int)place->purpose;
    else if (is_broken(barrier))
        rc = -WEFT_EBARRIER;
    else if (breaks)
        break_it(barrier, line);
    wi_far_give(line);
    return rc;
}

// Comes. The number of the last one, -EAGAIN for one that stands in line now,
// or -WEFT_EBARRIER.
static int come(struct weft_barrier *barrier, struct wi_far_line *line,
                struct wi_far_place *place)
{
    int rc = -EAGAIN;
    wi_far_take(line);
    uint32_t waiting = muster(barrier, line);
    place->round = barrier->round;
    if (is_broken(barrier)) {
        rc = -WEFT_EBARRIER;
    } else if (waiting + 1 == barrier->parties) {
        end_round(barrier, line, false);
        rc = (int)waiting;
    } else {
        wi_far_add(line, place);
    }
    wi_far_give(line);
    return rc;
}

int wi_far_barrier_wait(struct weft_barrier *barrier, int64_t deadline)
{
    struct wi_far_line line = line_of(barrier);
    struct wi_far_place *place = wi_far_place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    int rc = come(barrier, &line, place);
    if (rc == -EAGAIN) {
        const struct wi_wait wait = {.object = barrier,
                                     .deadline = deadline,
                                     .kind = WI_WAIT_BARRIER,
                                     .flags = WI_SCOPED};
        rc = stand(barrier, &line, place, &wait);
        bool breaks = rc == -ETIMEDOUT && wi_wait_is_over(&wait);
        rc = leave(barrier, &line, place, rc, breaks);
    }
    weft_arena_free(line.arena, place);
    return rc;
}

void wi_far_barrier_empty(struct weft_barrier *barrier, bool broken)
{
    struct wi_far_line line = line_of(barrier);
    wi_far_take(&line);
    if (broken)
        break_it(barrier, &line);
    else
        end_round(barrier, &line, true);
    set_broken(barrier, broken);
    wi_far_give(&line);
}

uint32_t wi_far_barrier_waiting(struct weft_barrier *barrier)
{
    struct wi_far_line line = line_of(barrier);
    wi_far_take(&line);
    uint32_t n = muster(barrier, &line);
    wi_far_give(&line);
    return n;
}

bool wi_far_barrier_broken(struct weft_barrier *barrier)
{
    wi_far_barrier_waiting(barrier); // one may have died
    return is_broken(barrier);
}
