// SPDX-License-Identifier: MIT
//
// queue.h: operations in the order in which they came, linked through the
// operations themselves.
#ifndef WI_LOOP_QUEUE_H
#define WI_LOOP_QUEUE_H

#include "loop/loop.h"

struct wi_io_queue {
    struct wi_io *head, *tail;
};

static inline void wi_io_queue_push(struct wi_io_queue *queue, struct wi_io *io)
{
    io->next = NULL;
    io->prev = queue->tail;
    if (queue->tail)
        queue->tail->next = io;
    else
        queue->head = io;
    queue->tail = io;
}

static inline void wi_io_queue_remove(struct wi_io_queue *queue,
                                      struct wi_io *io)
{
    if (io->prev)
        io->prev->next = io->next;
    else
        queue->head = io->next;
    if (io->next)
        io->next->prev = io->prev;
    else
        queue->tail = io->prev;
}

static inline struct wi_io *wi_io_queue_pop(struct wi_io_queue *queue)
{
    struct wi_io *io = queue->head;

    if (io)
        wi_io_queue_remove(queue, io);
    return io;
}

#endif
