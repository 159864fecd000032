// SPDX-License-Identifier: MIT
#include "sync/line.h"

#include <errno.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "os/clock.h"
#include "os/thread.h"
#include "sched/scope.h"
#include "sched/task.h"

enum { SPINS = 100 }; // before the holder is taken to have lost its CPU

void wi_line_lock_slow(uintptr_t *line)
{
    unsigned turns = 0;
    do {
        // relaxed: a look; the read-modify-write is the truth
        while (__atomic_load_n(line, __ATOMIC_RELAXED) & WI_LINE_LOCKED) {
            if (++turns % SPINS == 0)
                wi_os_thread_yield();
            wi_arch_relax();
        }
        // acquire: pairs with the release in wi_line_unlock
    } while (__atomic_fetch_or(line, WI_LINE_LOCKED, __ATOMIC_ACQUIRE) &
             WI_LINE_LOCKED);
}

void wi_place_end(struct wi_place *place, enum wi_place_state state)
{
    struct wi_task *task = place->task;
    // release: the last touch; pairs with wi_place_state
    __atomic_store_n(&place->state, state, __ATOMIC_RELEASE);
    wi_unpark(task);
}

void wi_chosen_end(struct wi_chosen *chosen, enum wi_place_state state)
{
    struct wi_place *place = chosen->first;
    while (place != NULL) {
        struct wi_place *next = place->next;
        wi_place_end(place, state);
        place = next;
    }
}

bool wi_wait_is_over(const struct wi_wait *wait)
{
    return wait->deadline != WI_FOREVER && wait->deadline <= wi_os_now();
}

// A timer of an earlier wait may be the one that has spoken.
static bool timed_out(const struct wi_wait *wait)
{
    if (wi_wait_is_over(wait))
        return true;
    return (wait->flags & WI_DEADLINED) &&
           wi_scope_test(wi_self()) == -ETIMEDOUT;
}

int wi_place_park(const struct wi_wait *wait)
{
    int rc = wi_park(wait);
    return rc == -ETIMEDOUT && !timed_out(wait) ? 0 : rc;
}

int wi_place_wait(struct wi_place *place, const struct wi_wait *wait)
{
    int rc = 0;
    while (rc == 0 && wi_place_waits(place))
        rc = wi_place_park(wait);
    return rc;
}

void wi_place_await(struct wi_place *place)
{
    const struct wi_wait wait = {.deadline = WI_FOREVER, .kind = WI_WAIT_PARK};
    while (wi_place_waits(place)) {
        if (wi_park(&wait) == -WEFT_EFORKED)
            return; // whoever chose us does not exist here
    }
}

bool wi_line_leave(uintptr_t *line, struct wi_place *place)
{
    struct wi_place *first = wi_line_lock(line);
    bool waits = wi_place_state(place) == WI_PLACE_WAITING;
    if (waits)
        wi_line_remove(&first, place);
    wi_line_unlock(line, first);
    if (!waits)
        wi_place_await(place);
    return waits;
}

int wi_line_wait(uintptr_t *line, struct wi_place *place,
                 const struct wi_wait *wait)
{
    int rc = wi_place_wait(place, wait);
    return rc < 0 && wi_line_leave(line, place) ? rc : 0;
}
