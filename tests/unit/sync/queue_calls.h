// SPDX-License-Identifier: MIT
//
// queue_calls.h: short names for calls of a queue of longs.
#ifndef WEFT_QUEUE_CALLS_H
#define WEFT_QUEUE_CALLS_H

#include "queue_world.h"

static const enum weft_queue_kind kinds[] = {WEFT_QUEUE_FIFO, WEFT_QUEUE_LIFO,
                                             WEFT_QUEUE_PRIORITY};

#define EACH_KIND(kind)                                                        \
    for (size_t i_kind = 0, kind; i_kind < 3 && (kind = kinds[i_kind], 1);     \
         i_kind++)

static inline weft_queue *new_queue(size_t kind, size_t maxsize)
{
    return weft_queue_new(.item = sizeof(long), .maxsize = maxsize,
                          .kind = (enum weft_queue_kind)kind);
}

static inline int put(weft_queue *q, long item)
{
    return weft_queue_put(q, &item, .priority = item);
}

static inline int try_put(weft_queue *q, long item)
{
    return weft_queue_try_put(q, &item, .priority = item);
}

// An item, or the code.
static inline long get(weft_queue *q)
{
    long item = 0;
    int rc = weft_queue_get(q, &item);
    return rc < 0 ? rc : item;
}

static inline long try_get(weft_queue *q)
{
    long item = 0;
    int rc = weft_queue_try_get(q, &item);
    return rc < 0 ? rc : item;
}

static inline int put_one(void *arg)
{
    return put(arg, 7);
}

static inline int get_one(void *arg)
{
    return (int)get(arg);
}

#endif
