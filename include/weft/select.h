// SPDX-License-Identifier: MIT
//
// select.h: waiting for the first of several different things.
//
//     struct weft_case cases[] = {
//         WEFT_CASE_RECEIVE(channel, &value),
//         WEFT_CASE_PUT(queue, &item),
//         WEFT_CASE_FUTURE(process),
//         WEFT_CASE_READY(fd, WEFT_READABLE),
//         WEFT_CASE_EVENT(&stop),
//         WEFT_CASE_AFTER(2.5),
//     };
//     switch (weft_select(cases, 6)) {
//     case 0: ... // value is there
//
// Just one case happens: what it does (put, get, send, receive) has been done
// when weft_select returns, and nothing of the others has. Of several cases
// that could, one is taken at random, so that none starves.
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include <weft/base.h>
#include <weft/channel.h>
#include <weft/event.h>
#include <weft/future.h>
#include <weft/queue.h>
#include <weft/signal.h>

enum weft_case_kind {
    WEFT_CASE_IS_NONE = 0, // never happens: how a case is switched off
    WEFT_CASE_IS_PUT,
    WEFT_CASE_IS_GET,
    WEFT_CASE_IS_FUTURE,
    WEFT_CASE_IS_AFTER,
    WEFT_CASE_IS_READY,
    WEFT_CASE_IS_SIGNAL,
    WEFT_CASE_IS_EVENT,
};

// To be made by the macros below. Weft writes `code` only.
struct weft_case {
    enum weft_case_kind kind;
    int code;         // of the case that happened: see weft_select_with
    void *object;     // queue, channel, future, set of signals or event
    void *item;       // of put and get
    int64_t priority; // of put
    double seconds;   // of after, from the call on
    int fd;           // of ready
    unsigned events;
    void *slack[2];
};

struct weft_select_options {
    size_t size;
    double timeout; // seconds that the call waits at most; 0: no limit
    bool nowait;    // -EAGAIN instead of waiting
};

WEFT_BEGIN

// Waits until one of the n cases has happened and returns its index. Its code
// is 0, or
//   put, get, send, receive: what the call would return (-WEFT_ECLOSED)
//   future: the future's code; the handle stays the caller's
//   ready: the events that hold, or a negative code (-EBADF; -ECANCELED if the
//     descriptor was closed meanwhile)
//   signal: the signal's number, or a negative code
//   event: 0, also if it was cleared since; -ENOMEM (it is shared, and there is
//     no room in its arena to wait)
// Blocks: the caller only. Cancels: yes; then no case has happened. Threads:
// any. Allocates for more than 8 cases. Errors: -EAGAIN (nowait), -ETIMEDOUT,
// -ECANCELED, -EINVAL (a case of no kind), -ENOMEM. Since 0.1.
WEFT_API int weft_select_with(struct weft_case *cases, size_t n,
                              const struct weft_select_options *options);

WEFT_END

#define WEFT_CASE_(kind, object, item, priority, seconds, fd, events)          \
    {                                                                          \
        WEFT_CASE_IS_##kind, 0, (void *)(object), (void *)(item), (priority),  \
            (seconds), (fd), (events),                                         \
        {                                                                      \
            0, 0                                                               \
        }                                                                      \
    }
#define WEFT_CASE_NONE() WEFT_CASE_(NONE, 0, 0, 0, 0, 0, 0)
// The first argument's type is checked.
#define WEFT_CASE_PUT(q, item)                                                 \
    WEFT_CASE_(PUT, 1 ? (q) : (weft_queue *)0, item, 0, 0, 0, 0)
#define WEFT_CASE_PUT_PRIORITY(q, item, priority)                              \
    WEFT_CASE_(PUT, 1 ? (q) : (weft_queue *)0, item, priority, 0, 0, 0)
#define WEFT_CASE_GET(q, item)                                                 \
    WEFT_CASE_(GET, 1 ? (q) : (weft_queue *)0, item, 0, 0, 0, 0)
#define WEFT_CASE_SEND(c, item)                                                \
    WEFT_CASE_(PUT, 1 ? (c) : (weft_channel *)0, item, 0, 0, 0, 0)
#define WEFT_CASE_RECEIVE(c, item)                                             \
    WEFT_CASE_(GET, 1 ? (c) : (weft_channel *)0, item, 0, 0, 0, 0)
#define WEFT_CASE_FUTURE(f)                                                    \
    WEFT_CASE_(FUTURE, 1 ? (f) : (weft_future *)0, 0, 0, 0, 0, 0)
#define WEFT_CASE_AFTER(seconds)    WEFT_CASE_(AFTER, 0, 0, 0, seconds, 0, 0)
#define WEFT_CASE_READY(fd, events) WEFT_CASE_(READY, 0, 0, 0, 0, fd, events)
#define WEFT_CASE_SIGNAL(s)                                                    \
    WEFT_CASE_(SIGNAL, 1 ? (s) : (weft_signals *)0, 0, 0, 0, 0, 0)
#define WEFT_CASE_EVENT(e)                                                     \
    WEFT_CASE_(EVENT, 1 ? (e) : (struct weft_event *)0, 0, 0, 0, 0, 0)

#ifndef __cplusplus
#define weft_select(cases, ...) WEFT_SELECT_((cases), __VA_ARGS__, )
#define WEFT_SELECT_(cases, n, ...)                                            \
    weft_select_with(cases, (n), WEFT_OPTIONS(weft_select_options, __VA_ARGS__))
#else
inline int weft_select(weft_case *cases, size_t n, weft_select_options o = {})
{
    o.size = sizeof o;
    return weft_select_with(cases, n, &o);
}
#endif

#endif
