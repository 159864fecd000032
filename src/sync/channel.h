// SPDX-License-Identifier: MIT
//
// channel.h: a channel is a queue with ends that are counted: a rendezvous, or
// a bounded FIFO. One that found no memory is wi_queue_nomem.
#ifndef WI_SYNC_CHANNEL_H
#define WI_SYNC_CHANNEL_H

#include <weft/channel.h>

#include "sync/queue.h"

struct weft_channel {
    struct weft_queue queue; // first; its producers are the senders
    uint32_t receivers;      // any, atomically
};

static inline weft_queue *wi_channel_queue(weft_channel *c)
{
    return (weft_queue *)c;
}

#endif
