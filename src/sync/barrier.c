// SPDX-License-Identifier: MIT
//
// Those who have come stand in line. The last one takes all of them off the
// line, so that the barrier is empty and the next round may begin, calls the
// action, and tells each its number. Numbers are given by the order of the line
// at that moment: who has left leaves no gap.
#include <weft/barrier.h>

#include <errno.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sync/far.h"
#include "sync/owner.h"

void weft_barrier_init_with(struct weft_barrier *barrier, uint32_t parties,
                            const struct weft_barrier_options *options)
{
    wi_need(barrier);
    WI_OPTIONS(options);
    wi_require(parties > 0, barrier, "a barrier is for one or more");
    wi_require(options->arena == NULL || options->action == NULL, barrier,
               "a barrier between processes has no action");
    *barrier = (struct weft_barrier){
        .flags = wi_far_flag(options->arena, barrier, "weft_barrier_init"),
        .parties = parties,
        .action = options->action,
        .arg = options->arg};
}

static bool is_far(const struct weft_barrier *barrier)
{
    return barrier->flags & WI_FAR; // constant from the init on
}

// Takes all off the line and numbers them; under the lock.
static void choose_all(struct weft_barrier *barrier, struct wi_place **first,
                       struct wi_chosen *chosen)
{
    for (uint32_t i = 0; *first != NULL; i++) {
        (*first)->purpose = i;
        wi_chosen_add(chosen, first, *first);
    }
    barrier->waiting = 0;
}

// Sends away all who wait, and leaves the barrier broken or not.
static void empty(struct weft_barrier *barrier, bool broken)
{
    if (is_far(barrier)) {
        wi_far_barrier_empty(barrier, broken);
        return;
    }
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&barrier->line);
    barrier->broken = broken;
    choose_all(barrier, &first, &chosen);
    wi_line_unlock(&barrier->line, first);
    wi_chosen_end(&chosen, WI_PLACE_WOKEN);
}

// The last one has come, and the others are chosen.
static int end_round(struct weft_barrier *barrier, struct wi_chosen *chosen)
{
    int index = (int)barrier->parties - 1;
    int rc = barrier->action != NULL ? barrier->action(barrier->arg) : 0;
    if (rc < 0)
        empty(barrier, true);
    wi_chosen_end(chosen, rc < 0 ? WI_PLACE_WOKEN : WI_PLACE_GIVEN);
    return rc < 0 ? rc : index;
}

// Leaves the line after a wait that was ended, and may break the barrier by
// that; false: it was chosen.
static bool leave(struct weft_barrier *barrier, struct wi_place *place,
                  bool breaks)
{
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&barrier->line);
    bool waits = wi_place_state(place) == WI_PLACE_WAITING;
    if (waits) {
        wi_line_remove(&first, place);
        barrier->waiting--;
    }
    if (waits && breaks) {
        barrier->broken = true;
        choose_all(barrier, &first, &chosen);
    }
    wi_line_unlock(&barrier->line, first);
    wi_chosen_end(&chosen, WI_PLACE_WOKEN);
    if (!waits)
        wi_place_await(place);
    return waits;
}

static int wait_in_line(struct weft_barrier *barrier, struct wi_place *place,
                        int64_t deadline)
{
    const struct wi_wait wait = {.object = barrier,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_BARRIER,
                                 .flags = WI_SCOPED};
    int rc = wi_place_wait(place, &wait);
    if (rc < 0 &&
        leave(barrier, place, rc == -ETIMEDOUT && wi_wait_is_over(&wait)))
        return rc;
    return wi_place_state(place) == WI_PLACE_GIVEN ? (int)place->purpose
                                                   : -WEFT_EBARRIER;
}

static int arrive(struct weft_barrier *barrier, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(barrier);
    wi_require_in("weft_barrier_wait", barrier->parties > 0, barrier,
                  "a barrier is told its parties before somebody waits");
    int rc = wi_scope_test(self);
    if (rc < 0)
        return rc;
    if (is_far(barrier))
        return wi_far_barrier_wait(barrier, deadline);
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place place = wi_place_of(self);
    struct wi_place *first = wi_line_lock(&barrier->line);
    bool broken = barrier->broken;
    bool last = barrier->waiting + 1 == barrier->parties;
    if (!broken && last) {
        choose_all(barrier, &first, &chosen);
    } else if (!broken) {
        wi_line_add(&first, &place);
        barrier->waiting++;
    }
    wi_line_unlock(&barrier->line, first);
    if (broken)
        return -WEFT_EBARRIER;
    return last ? end_round(barrier, &chosen)
                : wait_in_line(barrier, &place, deadline);
}

int weft_barrier_wait(struct weft_barrier *barrier)
{
    wi_need(barrier);
    return arrive(barrier, WI_FOREVER);
}

int weft_barrier_wait_for(struct weft_barrier *barrier, double seconds)
{
    wi_need(barrier);
    return arrive(barrier, wi_deadline_in(seconds, __func__));
}

void weft_barrier_reset(struct weft_barrier *barrier)
{
    wi_need(barrier);
    empty(barrier, false);
}

void weft_barrier_abort(struct weft_barrier *barrier)
{
    wi_need(barrier);
    empty(barrier, true);
}

uint32_t weft_barrier_parties(struct weft_barrier *barrier)
{
    wi_need(barrier);
    return barrier->parties;
}

uint32_t weft_barrier_waiting(struct weft_barrier *barrier)
{
    wi_need(barrier);
    if (is_far(barrier))
        return wi_far_barrier_waiting(barrier);
    struct wi_place *first = wi_line_lock(&barrier->line);
    uint32_t waiting = barrier->waiting;
    wi_line_unlock(&barrier->line, first);
    return waiting;
}

bool weft_barrier_broken(struct weft_barrier *barrier)
{
    wi_need(barrier);
    if (is_far(barrier))
        return wi_far_barrier_broken(barrier);
    struct wi_place *first = wi_line_lock(&barrier->line);
    bool broken = barrier->broken;
    wi_line_unlock(&barrier->line, first);
    return broken;
}

void weft_barrier_fini(struct weft_barrier *barrier)
{
    wi_need(barrier);
    wi_require(weft_barrier_waiting(barrier) == 0, barrier,
               "nobody waits at a barrier that ends");
}
