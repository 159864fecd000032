// SPDX-License-Identifier: MIT
//
// channel.h: a pipe for values with two ends, as in Go and trio. A send and a
// receive of an unbuffered channel meet: the send returns when the other side
// has the value. With .capacity up to so many values lie in between.
//
//     weft_channel *c = weft_channel_new(.item = sizeof(double));
//     weft_channel_send(c, &x);
//     weft_channel_receive(c, &x);
//
// Closing is for the senders: from weft_channel_close on sends fail with
// -WEFT_ECLOSED, and so do receives when what was sent has been received.
// Channels whose ends are counted (.senders, .receivers) close by themselves
// when the last sender is done; when the last receiver is done sends fail with
// -EPIPE, and what lies in between is dropped.
//
// Threads: all functions but free may be called by any thread or task at any
// time; none in a signal handler. Memory: as a queue (queue.h). Whoever waits
// is served in the order of coming; an unbuffered channel is strictly so. A
// wait that ended early has sent and received nothing.
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <weft/base.h>

typedef struct weft_channel weft_channel;

struct weft_channel_options {
    size_t size;
    size_t item;              // bytes of one value; 0: sizeof(void *)
    size_t capacity;          // values it holds; 0: none
    unsigned senders;         // ends that will say weft_channel_sender_done
    unsigned receivers;       // ends that will say weft_channel_receiver_done
    void (*drop)(void *item); // called for each value that nobody receives
};

struct weft_channel_wait_options {
    size_t size;
    double timeout; // seconds that this call waits at most; 0: no limit
    bool nowait;    // -EAGAIN instead of waiting
};

WEFT_BEGIN

// A new channel. Never NULL: lack of memory is told by the first call
// (-ENOMEM). Since 0.1.
WEFT_API weft_channel *
weft_channel_new_with(const struct weft_channel_options *options);

// Frees c and drops what is in it. NULL is allowed. Nobody else may be in a
// call on c: who waits there aborts the program. Since 0.1.
WEFT_API void weft_channel_free(weft_channel *c);

// Sends one value, a copy of *item. Returns 0. Blocks: the caller only.
// Cancels: yes; then nothing was sent. Errors: -EAGAIN (nowait), -ETIMEDOUT,
// -ECANCELED, -WEFT_ECLOSED, -EPIPE (all receivers are done), -ENOMEM.
// Since 0.1.
WEFT_API int
weft_channel_send_with(weft_channel *c, const void *item,
                       const struct weft_channel_wait_options *options);

// Receives one value into *item. Returns 0. Blocks: the caller only. Cancels:
// yes; then nothing was received. Errors: -EAGAIN (nowait), -ETIMEDOUT,
// -ECANCELED, -WEFT_ECLOSED, -ENOMEM. Since 0.1.
WEFT_API int
weft_channel_receive_with(weft_channel *c, void *item,
                          const struct weft_channel_wait_options *options);

// No more values come. Who waits to send fails, who waits to receive gets what
// is left. Idempotent. Returns 0. Blocks: no. Since 0.1.
WEFT_API int weft_channel_close(weft_channel *c);

// One end more. Returns 0, or the code that sends return by now. Since 0.1.
WEFT_API int weft_channel_sender_add(weft_channel *c);
WEFT_API int weft_channel_receiver_add(weft_channel *c);

// One end less: see above. More than there were aborts. Returns 0, or -ENOMEM.
// Blocks: no. Since 0.1.
WEFT_API int weft_channel_sender_done(weft_channel *c);
WEFT_API int weft_channel_receiver_done(weft_channel *c);

// How many values lie in c: a snapshot. Since 0.1.
WEFT_API size_t weft_channel_size(weft_channel *c);

WEFT_END

#ifndef __cplusplus
#define weft_channel_new(...)                                                  \
    weft_channel_new_with(WEFT_OPTIONS(weft_channel_options, __VA_ARGS__))
#define weft_channel_send(c, ...) WEFT_CHANNEL_SEND_((c), __VA_ARGS__, )
#define WEFT_CHANNEL_SEND_(c, item, ...)                                       \
    weft_channel_send_with(                                                    \
        c, (item), WEFT_OPTIONS(weft_channel_wait_options, __VA_ARGS__))
#define weft_channel_receive(c, ...) WEFT_CHANNEL_RECEIVE_((c), __VA_ARGS__, )
#define WEFT_CHANNEL_RECEIVE_(c, item, ...)                                    \
    weft_channel_receive_with(                                                 \
        c, (item), WEFT_OPTIONS(weft_channel_wait_options, __VA_ARGS__))
#define weft_channel_try_send(c, item)                                         \
    weft_channel_send_with(                                                    \
        (c), (item), WEFT_OPTIONS(weft_channel_wait_options, .nowait = true))
#define weft_channel_try_receive(c, item)                                      \
    weft_channel_receive_with(                                                 \
        (c), (item), WEFT_OPTIONS(weft_channel_wait_options, .nowait = true))
#else
inline weft_channel *weft_channel_new(weft_channel_options o = {})
{
    o.size = sizeof o;
    return weft_channel_new_with(&o);
}
inline int weft_channel_send(weft_channel *c, const void *item,
                             weft_channel_wait_options o = {})
{
    o.size = sizeof o;
    return weft_channel_send_with(c, item, &o);
}
inline int weft_channel_receive(weft_channel *c, void *item,
                                weft_channel_wait_options o = {})
{
    o.size = sizeof o;
    return weft_channel_receive_with(c, item, &o);
}
inline int weft_channel_try_send(weft_channel *c, const void *item)
{
    weft_channel_wait_options o = {};
    o.nowait = true;
    return weft_channel_send(c, item, o);
}
inline int weft_channel_try_receive(weft_channel *c, void *item)
{
    weft_channel_wait_options o = {};
    o.nowait = true;
    return weft_channel_receive(c, item, o);
}
#endif

#endif
