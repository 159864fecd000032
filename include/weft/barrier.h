// SPDX-License-Identifier: MIT
//
// barrier.h: a place where a fixed number of tasks and threads, in any mixture,
// wait for each other. When the last one has come all go on, and the barrier
// begins anew.
//
// A broken barrier lets nobody wait: it is broken by weft_barrier_abort, by a
// waiter whose own time limit is over (weft_barrier_wait_for), and by an action
// that fails; whoever waits then, or comes later, gets -WEFT_EBARRIER.
// weft_barrier_reset mends it. A waiter that a cancel or a scope's deadline
// ends leaves as if it had not come: the others go on waiting.
//
// A barrier lives in the caller's storage and never allocates. Not for signal
// handlers.
#ifndef WEFT_BARRIER_H
#define WEFT_BARRIER_H

#include <weft/arena.h>
#include <weft/base.h>
#include <weft/task.h>

// The members are Weft's own.
struct weft_barrier {
    uint32_t flags;
    uint32_t parties;
    uintptr_t line;
    union {
        uint32_t waiting;
        uint32_t round; // of a shared one
    };
    uint32_t broken;
    union {
        weft_function *action;
        uint32_t lock; // of a shared one
    };
    void *arg;
};

// Shared between processes: a barrier that lies in an arena (arena.h) and was
// made there, by one of them, with .arena = a. It has no action: a function
// lies elsewhere in another process. (The one whose number is parties - 1 may
// do the work between two waits.) A wait needs some memory of the arena:
// -ENOMEM. A process that dies while it waits breaks the barrier.

struct weft_barrier_options {
    size_t size;
    weft_function *action; // called by the last to come, before the others go
                           // on; a negative code breaks the barrier
    void *arg;             // its argument
    weft_arena *arena;     // where it lies; NULL: in this process alone
};

// An initializer: a barrier for so many, without an action.
#define WEFT_BARRIER(parties)                                                  \
    {                                                                          \
        0, (parties), 0, {0}, 0, {0}, 0                                        \
    }

WEFT_BEGIN

// Makes a barrier for so many; aborts if that is 0, if it does not lie in the
// arena, or if a shared one is given an action. Since 0.1.
WEFT_API void
weft_barrier_init_with(struct weft_barrier *barrier, uint32_t parties,
                       const struct weft_barrier_options *options);

// Waits until all have come. Returns a number from 0 to parties - 1, another
// one to each: the order in which they came. The last one to come gets the
// action's code if that is negative. Blocks: the caller only. Cancels: yes.
// Threads: any. Errors: -WEFT_EBARRIER, -ECANCELED, -ETIMEDOUT,
// -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_barrier_wait(struct weft_barrier *barrier);

// The same for at most `seconds`: then breaks the barrier, -ETIMEDOUT.
// Since 0.1.
WEFT_API int weft_barrier_wait_for(struct weft_barrier *barrier,
                                   double seconds);

// Makes the barrier whole and empty; whoever waits gets -WEFT_EBARRIER.
// Blocks: no. Threads: any. Since 0.1.
WEFT_API void weft_barrier_reset(struct weft_barrier *barrier);

// Breaks the barrier. Since 0.1.
WEFT_API void weft_barrier_abort(struct weft_barrier *barrier);

// How many must come, how many wait, whether it is broken. Since 0.1.
WEFT_API uint32_t weft_barrier_parties(struct weft_barrier *barrier);
WEFT_API uint32_t weft_barrier_waiting(struct weft_barrier *barrier);
WEFT_API bool weft_barrier_broken(struct weft_barrier *barrier);

// Aborts if somebody waits; there is nothing to give back. Since 0.1.
WEFT_API void weft_barrier_fini(struct weft_barrier *barrier);

WEFT_END

#ifndef __cplusplus
#define weft_barrier_init(barrier, ...)                                        \
    WEFT_BARRIER_INIT_((barrier), __VA_ARGS__, )
#define WEFT_BARRIER_INIT_(barrier, parties, ...)                              \
    weft_barrier_init_with((barrier), (parties),                               \
                           WEFT_OPTIONS(weft_barrier_options, __VA_ARGS__))
#else
inline void weft_barrier_init(weft_barrier *barrier, uint32_t parties,
                              weft_barrier_options o = {})
{
    o.size = sizeof o;
    weft_barrier_init_with(barrier, parties, &o);
}
#endif

#endif
