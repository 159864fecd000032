// SPDX-License-Identifier: MIT
#include "sync/channel.h"

#include <errno.h>
#include <stdlib.h>

#include "base/options.h"
#include "os/report.h"

weft_channel *weft_channel_new_with(const struct weft_channel_options *options)
{
    WI_OPTIONS(options);
    const struct weft_queue_options of_queue = {
        .size = sizeof of_queue,
        .item = options->item,
        .maxsize = options->capacity,
        .kind = options->capacity > 0 ? WEFT_QUEUE_FIFO : WEFT_QUEUE_RENDEZVOUS,
        .producers = options->senders,
        .drop = options->drop};
    weft_channel *c = aligned_alloc(64, sizeof *c);
    if (c == NULL || !wi_queue_init(&c->queue, &of_queue)) {
        free(c);
        return (weft_channel *)&wi_queue_nomem;
    }
    c->receivers = options->receivers;
    return c;
}

void weft_channel_free(weft_channel *c)
{
    if (c == NULL || wi_channel_queue(c) == &wi_queue_nomem)
        return;
    wi_queue_fini(&c->queue);
    free(c);
}

static __attribute__((noinline)) int64_t
limit_of(const struct weft_channel_wait_options *options, const char *function)
{
    WI_OPTIONS(options);
    return wi_queue_limit(options->nowait, options->timeout, function);
}

static inline int64_t limit(const struct weft_channel_wait_options *options,
                            const char *function)
{
    if (__builtin_expect(options != NULL && options->size >= sizeof *options &&
                             !options->nowait && options->timeout == 0,
                         true))
        return WI_FOREVER;
    return limit_of(options, function);
}

// Of one that holds items.
static __attribute__((noinline)) int transfer(weft_queue *q, char *item,
                                              bool put, int64_t deadline)
{
    struct wi_transfer t = {.items = item, .n = 1, .put = put};
    ssize_t moved = wi_queue_transfer(q, &t, deadline);
    return moved > 0 ? 0 : (int)moved;
}

static inline int move(weft_queue *q, char *item, bool put, int64_t deadline)
{
    return q->kind == WEFT_QUEUE_RENDEZVOUS
               ? wi_queue_meet(q, item, put, deadline)
               : transfer(q, item, put, deadline);
}

int weft_channel_send_with(weft_channel *c, const void *item,
                           const struct weft_channel_wait_options *options)
{
    wi_need(c);
    wi_need(item);
    return move(wi_channel_queue(c), (char *)item, true,
                limit(options, __func__));
}

int weft_channel_receive_with(weft_channel *c, void *item,
                              const struct weft_channel_wait_options *options)
{
    wi_need(c);
    wi_need(item);
    return move(wi_channel_queue(c), item, false, limit(options, __func__));
}

int weft_channel_close(weft_channel *c)
{
    wi_need(c);
    return weft_queue_shutdown(wi_channel_queue(c), false);
}

int weft_channel_sender_add(weft_channel *c)
{
    wi_need(c);
    return weft_queue_producer_add(wi_channel_queue(c));
}

int weft_channel_sender_done(weft_channel *c)
{
    wi_need(c);
    return weft_queue_producer_done(wi_channel_queue(c));
}

int weft_channel_receiver_add(weft_channel *c)
{
    wi_need(c);
    // relaxed: who comes at the same time as the end may be before or after
    int closed =
        __atomic_load_n(&wi_channel_queue(c)->closed, __ATOMIC_RELAXED);
    if (closed != 0)
        return closed;
    // relaxed: a count
    __atomic_fetch_add(&c->receivers, 1, __ATOMIC_RELAXED);
    return 0;
}

int weft_channel_receiver_done(weft_channel *c)
{
    wi_need(c);
    if (wi_queue_failed(wi_channel_queue(c))) // and no more than a queue
        return wi_channel_queue(c)->closed;
    // acq_rel: the last one comes after all others
    uint32_t was = __atomic_fetch_sub(&c->receivers, 1, __ATOMIC_ACQ_REL);
    wi_require(was != 0, c, "more receivers are done than there were");
    return was == 1 ? wi_queue_close(wi_channel_queue(c), -EPIPE, true) : 0;
}

size_t weft_channel_size(weft_channel *c)
{
    wi_need(c);
    return weft_queue_size(wi_channel_queue(c));
}
