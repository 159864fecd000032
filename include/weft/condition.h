// SPDX-License-Identifier: MIT
//
// condition.h: waiting under a lock until something guarded by it has changed.
//
//     struct weft_lock lock; struct weft_condition filled;   // zeroed
//
//     WEFT_LOCKED(&lock);                      WEFT_LOCKED(&lock);
//     while (count == 0) {                     count++;
//         int rc = weft_condition_wait(        weft_condition_notify(
//             &filled, &lock);                     &filled, 1);
//         if (rc < 0) return rc;
//     }
//
// A condition lives in the caller's storage, is valid when zeroed, never
// allocates, and serves tasks and threads in any mixture.
//
// First in, first out: a notification goes to those who have waited longest,
// and to nobody who begins to wait after it. A wait returns 0 only when it was
// notified. One that is ended by cancel, deadline or its time limit has taken
// no notification; one that was notified first returns 0.
//
// Every wait returns with the lock held, with one exception: -WEFT_EFORKED.
// Taking the lock back is never ended by cancel or deadline. If an earlier
// holder of the lock has ended with it, the wait returns -EOWNERDEAD.
//
// Not for signal handlers.
#ifndef WEFT_CONDITION_H
#define WEFT_CONDITION_H

#include <weft/arena.h>
#include <weft/base.h>
#include <weft/lock.h>

// The members are Weft's own.
struct weft_condition {
    uint32_t flags;
    uint32_t lock;  // of a shared one
    uintptr_t line; // who waits
};

// What a wait is for: called with the lock held, must not release it.
typedef bool weft_predicate(void *arg);

// Shared between processes: a condition that lies in an arena (arena.h) and was
// made there, by one of them, with weft_condition_init(condition, .arena = a).
// A wait needs some memory of the arena then: -ENOMEM.
struct weft_condition_options {
    size_t size;
    weft_arena *arena; // where it lies; NULL: in this process alone
};

WEFT_BEGIN

// Makes a condition; not needed for one in this process that is zeroed.
// Aborts if it does not lie in the arena. Since 0.1.
WEFT_API void
weft_condition_init_with(struct weft_condition *condition,
                         const struct weft_condition_options *options);

// Releases the lock, waits until notified, acquires it again. The caller must
// hold the lock: aborts otherwise. Blocks: the caller only. Cancels: yes.
// Threads: any. Errors: -ECANCELED, -ETIMEDOUT (of a scope), -EOWNERDEAD,
// -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_condition_wait(struct weft_condition *condition,
                                 struct weft_lock *lock);

// Waits until predicate(arg), for at most `seconds`. 0: it is true.
// -ETIMEDOUT: it is still false after that time. Without a predicate (NULL)
// waits for one notification. Otherwise as weft_condition_wait. Since 0.1.
WEFT_API int weft_condition_wait_for(struct weft_condition *condition,
                                     struct weft_lock *lock,
                                     weft_predicate *predicate, void *arg,
                                     double seconds);

// The same with a lock that its owner may have acquired several times: it is
// released entirely, and acquired as often again. Since 0.1.
WEFT_API int weft_condition_wait_rlock(struct weft_condition *condition,
                                       struct weft_rlock *lock);
WEFT_API int weft_condition_wait_rlock_for(struct weft_condition *condition,
                                           struct weft_rlock *lock,
                                           weft_predicate *predicate, void *arg,
                                           double seconds);

// Notifies the n that have waited longest, or all; returns how many those are.
// The caller should hold the lock: then they line up for it, and threads sleep
// on until it is released. Blocks: no. Threads: any. Since 0.1.
WEFT_API size_t weft_condition_notify(struct weft_condition *condition,
                                      size_t n);
WEFT_API size_t weft_condition_notify_all(struct weft_condition *condition);

// How many wait, a moment ago. Since 0.1.
WEFT_API size_t weft_condition_waiting(struct weft_condition *condition);

// Aborts if somebody waits; there is nothing to give back. Since 0.1.
WEFT_API void weft_condition_fini(struct weft_condition *condition);

WEFT_END

#ifndef __cplusplus
#define weft_condition_init(...) WEFT_CONDITION_INIT_(__VA_ARGS__, )
#define WEFT_CONDITION_INIT_(condition, ...)                                   \
    weft_condition_init_with(                                                  \
        (condition), WEFT_OPTIONS(weft_condition_options, __VA_ARGS__))
#else
inline void weft_condition_init(weft_condition *condition,
                                weft_condition_options o = {})
{
    o.size = sizeof o;
    weft_condition_init_with(condition, &o);
}
#endif

#endif
