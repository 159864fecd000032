// SPDX-License-Identifier: MIT
//
// event.h: something that has happened, or not yet. Whoever waits for it goes
// on when it is set, also if it is cleared at once after that.
//
// An event lives in the caller's storage, is valid when zeroed (it is clear
// then), never allocates, and serves tasks and threads in any mixture. Not for
// signal handlers. It may be freed as soon as a wait for it has returned 0, if
// nobody else uses it.
#ifndef WEFT_EVENT_H
#define WEFT_EVENT_H

#include <weft/arena.h>
#include <weft/base.h>

// The members are Weft's own.
struct weft_event {
    uint32_t flags;
    uint32_t lock;  // of a shared one
    uintptr_t line; // who waits, or that it is set
};

// Shared between processes: an event that lies in an arena (arena.h) and was
// made there, by one of them, with weft_event_init(event, .arena = a). A wait
// needs some memory of the arena then: -ENOMEM.
struct weft_event_options {
    size_t size;
    weft_arena *arena; // where it lies; NULL: in this process alone
};

WEFT_BEGIN

// Makes a clear event; not needed for one in this process that is zeroed.
// Aborts if it does not lie in the arena. Since 0.1.
WEFT_API void weft_event_init_with(struct weft_event *event,
                                   const struct weft_event_options *options);

// Sets the event: all who wait go on, in the order in which they came. Blocks:
// no. Threads: any. Since 0.1.
WEFT_API void weft_event_set(struct weft_event *event);

// Clears it: those who come from now on wait. Since 0.1.
WEFT_API void weft_event_clear(struct weft_event *event);

// Whether it is set. Whoever sees that, sees what was done before the set.
// Since 0.1.
WEFT_API bool weft_event_is_set(const struct weft_event *event);

// Waits until it is set. Blocks: the caller only. Cancels: yes. Threads: any.
// Errors: -ECANCELED, -ETIMEDOUT (of a scope), -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_event_wait(struct weft_event *event);

// The same for at most `seconds`: then -ETIMEDOUT. Since 0.1.
WEFT_API int weft_event_wait_for(struct weft_event *event, double seconds);

// Aborts if somebody waits; there is nothing to give back. Since 0.1.
WEFT_API void weft_event_fini(struct weft_event *event);

WEFT_END

#ifndef __cplusplus
#define weft_event_init(...) WEFT_EVENT_INIT_(__VA_ARGS__, )
#define WEFT_EVENT_INIT_(event, ...)                                           \
    weft_event_init_with((event), WEFT_OPTIONS(weft_event_options, __VA_ARGS__))
#else
inline void weft_event_init(weft_event *event, weft_event_options o = {})
{
    o.size = sizeof o;
    weft_event_init_with(event, &o);
}
#endif

#endif
