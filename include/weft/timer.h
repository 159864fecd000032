// SPDX-License-Identifier: MIT
//
// timer.h: calling a function later, once or again and again. A timer is an
// entry in a wheel, not a thread: a million pending ones are cheap. Python's
// threading.Timer, and asyncio's call_later.
//
//     static struct weft_timer timer;
//     weft_timer_start(&timer, 1.5, save, &document);
//     weft_timer_start(&timer, 1, tick, NULL, .period = 1);
//
// The function runs as a task of the run in which the timer was started (from a
// plain thread or a job of a pool: of the process-wide default loop), so it may
// wait like any task, and it stands in the run's root group. Timers begin in
// the order of their times; those less than some 2 ms apart in any order.
// Timers that are pending when their run ends never fire.
//
// Storage is the caller's, valid when zeroed, and must stay until the timer is
// over: weft_timer_cancel returned 1, weft_timer_join 0, or .over is called.
// The timer's own function has not ended when it frees the storage: .over may.
//
//     weft_timer_start(&entry->timer, 60, expire, entry, .over = free);
//
// Threads: all functions may be called by any thread or task; none in a signal
// handler.
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include <weft/base.h>

// The members are Weft's own.
struct weft_timer {
    void *place[3];
    void (*fn)(void *arg);
    void *arg;
    int64_t period;
    void *home;
    void *waiting[2];
    uint32_t state;
    uint32_t flags;
    void *slack[2];
};

struct weft_timer_options {
    size_t size;
    double period; // seconds between runs; 0: once
    double at;     // seconds on the clock of weft_now(), instead of `seconds`
    void (*over)(void *arg); // called with arg, once, when the timer is over:
                             // behind its last run, inside the cancel that
                             // prevents it, or at the end of its run. Weft does
                             // not touch the storage any more. A timer that is
                             // set anew is not over. NULL: nothing
};

WEFT_BEGIN

// Calls fn(arg) in `seconds` from now, and then every .period. A run that is
// late does not move the next ones, one that takes longer than the period
// leaves out those that it missed; runs never overlap. A timer that is pending
// is set anew, also one that runs just now, from its own function too: then it
// fires after that. Returns 0. Blocks: no. Errors: -EBUSY (fn runs just now, in
// another run than the caller's), -WEFT_ECLOSED (the run is ending), -ENOMEM,
// -EAGAIN (no thread for the default loop), -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_timer_start_with(struct weft_timer *timer, double seconds,
                                   void (*fn)(void *arg), void *arg,
                                   const struct weft_timer_options *options);

// Stops a timer. Returns 1 if a run of fn that would have come does not, 0 if
// there was none: it is over, never started, or running just now (then
// weft_timer_join waits for its end). Of a periodic timer that is running just
// now the later runs are stopped, and 0 is returned. Blocks: no. Since 0.1.
WEFT_API int weft_timer_cancel(struct weft_timer *timer);

// Waits until the timer is over: has run, if not periodic, or was canceled,
// and fn has returned. Returns 0. Not in fn itself, and not for one whose .over
// frees it. Blocks: the caller only.
// Cancels: yes. Errors: -ETIMEDOUT, -ECANCELED. Since 0.1.
WEFT_API int weft_timer_join(struct weft_timer *timer);

// Whether fn is still to be called; a snapshot. Since 0.1.
WEFT_API bool weft_timer_pending(struct weft_timer *timer);

WEFT_END

#ifndef __cplusplus
#define weft_timer_start(timer, seconds, fn, ...)                              \
    WEFT_TIMER_START_((timer), (seconds), (fn), __VA_ARGS__, )
#define WEFT_TIMER_START_(timer, seconds, fn, arg, ...)                        \
    weft_timer_start_with(timer, seconds, fn, (arg),                           \
                          WEFT_OPTIONS(weft_timer_options, __VA_ARGS__))
#else
inline int weft_timer_start(weft_timer *timer, double seconds,
                            void (*fn)(void *arg), void *arg,
                            weft_timer_options o = {})
{
    o.size = sizeof o;
    return weft_timer_start_with(timer, seconds, fn, arg, &o);
}
#endif

#endif
