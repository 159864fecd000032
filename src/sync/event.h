// SPDX-License-Identifier: MIT
//
// event.h: waiting for an event beside other things. Whoever stands in line
// looks again when its task is unparked.
#ifndef WI_SYNC_EVENT_H
#define WI_SYNC_EVENT_H

#include <weft/event.h>

#include "shared/keeper.h"
#include "sync/far_line.h"
#include "sync/line.h"

// One of the two, by where the event lies.
union wi_event_watch {
    struct wi_place place;
    struct {
        struct wi_far_place *place;
        struct wi_nap nap;
    } far;
};

// Whether it is set, by one who has done with it: a wait for it is over, after
// which it may be freed.
bool wi_event_has_come(struct weft_event *event);

// Stands in line for the event: 0. 1: it is set. -ENOMEM: no room in the arena.
int wi_event_watch(struct weft_event *event, union wi_event_watch *watch,
                   struct wi_task *self);

// Whether the event was set since.
bool wi_event_is_told(const struct weft_event *event,
                      union wi_event_watch *watch);

// Leaves the line; whether the event was set meanwhile.
bool wi_event_unwatch(struct weft_event *event, union wi_event_watch *watch);

#endif
