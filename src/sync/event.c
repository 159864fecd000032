// SPDX-License-Identifier: MIT
//
// Nobody stands in line for an event that is set. So the word of the line says
// that too, by a value that is no place: whoever sees the event set sees a line
// that its setter has done with, and may free it.
#include "sync/event.h"

#include "base/options.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sync/far.h"
#include "sync/owner.h"

#define SET ((struct wi_place *)2)

static bool is_far(const struct weft_event *event)
{
    // relaxed: this flag is constant from the init on
    return __atomic_load_n(&event->flags, __ATOMIC_RELAXED) & WI_FAR;
}

void weft_event_init_with(struct weft_event *event,
                          const struct weft_event_options *options)
{
    wi_need(event);
    WI_OPTIONS(options);
    *event = (struct weft_event){
        .flags = wi_far_flag(options->arena, event, "weft_event_init")};
}

void weft_event_set(struct weft_event *event)
{
    wi_need(event);
    if (is_far(event)) {
        wi_far_event_set(event);
        return;
    }
    struct wi_place *first = wi_line_lock(&event->line);
    struct wi_chosen chosen = {.last = &chosen.first};
    while (first != NULL && first != SET)
        wi_chosen_add(&chosen, &first, first);
    wi_line_unlock(&event->line, SET);
    wi_chosen_end(&chosen, WI_PLACE_GIVEN);
}

void weft_event_clear(struct weft_event *event)
{
    wi_need(event);
    if (is_far(event)) {
        wi_far_event_clear(event);
        return;
    }
    struct wi_place *first = wi_line_lock(&event->line);
    wi_line_unlock(&event->line, first == SET ? NULL : first);
}

bool weft_event_is_set(const struct weft_event *event)
{
    wi_need(event);
    if (is_far(event))
        return wi_far_event_is_set(event);
    // acquire: pairs with the release in weft_event_set. While the lock is
    // held the answer is that of before.
    uintptr_t line = __atomic_load_n(&event->line, __ATOMIC_ACQUIRE);
    return (line & ~(uintptr_t)WI_LINE_LOCKED) == (uintptr_t)SET;
}

// The last of the line. false: the event is set.
static bool stand(struct weft_event *event, struct wi_place *place)
{
    struct wi_place *first = wi_line_lock(&event->line);
    bool set = first == SET;
    if (!set)
        wi_line_add(&first, place);
    wi_line_unlock(&event->line, first);
    return !set;
}

bool wi_event_has_come(struct weft_event *event)
{
    bool set = weft_event_is_set(event);
    if (set && is_far(event))
        wi_far_event_let_out(event);
    return set;
}

static int wait_for(struct weft_event *event, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(event);
    int rc = wi_scope_test(self);
    if (rc < 0 || wi_event_has_come(event))
        return rc;
    if (is_far(event))
        return wi_far_event_wait(event, deadline);
    struct wi_place place = wi_place_of(self);
    if (!stand(event, &place))
        return 0;
    const struct wi_wait wait = {.object = event,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_EVENT,
                                 .flags = WI_SCOPED};
    return wi_line_wait(&event->line, &place, &wait);
}

int weft_event_wait(struct weft_event *event)
{
    wi_need(event);
    return wait_for(event, WI_FOREVER);
}

int weft_event_wait_for(struct weft_event *event, double seconds)
{
    wi_need(event);
    return wait_for(event, wi_deadline_in(seconds, __func__));
}

int wi_event_watch(struct weft_event *event, union wi_event_watch *watch,
                   struct wi_task *self)
{
    if (is_far(event))
        return wi_far_event_watch(event, watch);
    watch->place = wi_place_of(self);
    return stand(event, &watch->place) ? 0 : 1;
}

bool wi_event_is_told(const struct weft_event *event,
                      union wi_event_watch *watch)
{
    return is_far(event) ? wi_far_state(watch->far.place) != WI_FAR_WAITING
                         : !wi_place_waits(&watch->place);
}

bool wi_event_unwatch(struct weft_event *event, union wi_event_watch *watch)
{
    if (is_far(event))
        return wi_far_event_unwatch(event, watch);
    // One that was told looks no more at the event, which may be gone.
    return !wi_place_waits(&watch->place) ||
           !wi_line_leave(&event->line, &watch->place);
}

static bool is_waited_for(struct weft_event *event)
{
    if (is_far(event))
        return wi_far_is_waited_for(event, &event->lock, &event->line);
    struct wi_place *first = wi_line_lock(&event->line);
    wi_line_unlock(&event->line, first);
    return first != NULL && first != SET;
}

void weft_event_fini(struct weft_event *event)
{
    wi_need(event);
    wi_require(!is_waited_for(event), event,
               "nobody waits for an event that ends");
}
