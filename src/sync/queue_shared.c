// SPDX-License-Identifier: MIT
//
// Queues in an arena: the calls of queue.h on the storage of src/shared. The
// rest of the record is that of a queue which is closed with -ENOTSUP, for who
// takes it for another one.
#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"
#include "sync/queue.h"

enum { LIMIT = 1024 }; // if none is given

static void be_shared(weft_queue *q, void (*drop)(void *item))
{
    *q = (weft_queue){.shared = true, .closed = -ENOTSUP, .drop = drop};
    q->put.lock = &q->put.own;
    q->get.lock = &q->get.own;
}

bool wi_queue_new_shared(weft_queue *q, const struct weft_queue_options *o)
{
    bool records = o->bytes != 0;
    static const char function[] = "weft_queue_new_with";
    wi_require_in(function, o->kind == WEFT_QUEUE_FIFO, NULL,
                  "a queue in an arena is a FIFO");
    wi_require_in(function, !records || (o->item == 0 && o->maxsize == 0), NULL,
                  "a queue of records has no .item and no .maxsize");
    wi_require_in(
        function, records || o->item != 0, NULL,
        "items in an arena have a size: pointers mean nothing elsewhere");
    be_shared(q, o->drop);
    size_t limit = records ? o->bytes : o->maxsize ? o->maxsize : LIMIT;
    q->item = o->item;
    return wi_shared_queue_new(o->arena, o->item, limit, o->producers,
                               &q->handle) == 0;
}

int wi_queue_open_shared(weft_arena *a, void *place, weft_queue *q)
{
    be_shared(q, NULL);
    q->opened = true;
    int rc = wi_shared_queue_open(a, place, &q->handle);
    q->item = q->handle.item;
    return rc;
}

ssize_t wi_queue_move_shared(weft_queue *q, struct wi_transfer *t,
                             int64_t deadline)
{
    wi_require_in(t->put ? "weft_queue_put_with" : "weft_queue_get_with",
                  q->handle.item != 0, q,
                  "this queue holds records: use weft_queue_put_bytes and "
                  "weft_queue_get_bytes");
    struct wi_shared_transfer move = {
        .items = t->items, .n = t->n, .put = t->put};
    return wi_shared_queue_move(&q->handle, &move, deadline);
}

// Records ---------------------------------------------------------------------

static ssize_t move_record(weft_queue *q, struct wi_shared_transfer *move,
                           int64_t deadline)
{
    if (!q->shared && q->closed != 0 && q->closed != -WEFT_ECLOSED)
        return q->closed; // it could not be made or opened
    wi_require_in(move->put ? "weft_queue_put_bytes_with"
                            : "weft_queue_get_bytes_with",
                  q->shared && q->handle.item == 0, q,
                  "this queue holds items: it was made without .bytes");
    return wi_shared_queue_move(&q->handle, move, deadline);
}

int weft_queue_put_bytes_with(weft_queue *q, const void *data, size_t size,
                              const struct weft_queue_put_options *options)
{
    wi_need(q);
    wi_need_some(data, size);
    WI_OPTIONS(options);
    struct wi_shared_transfer move = {
        .items = (char *)data, .n = 1, .size = size, .put = true};
    ssize_t moved = move_record(
        q, &move, wi_queue_limit(options->nowait, options->timeout, __func__));
    return moved > 0 ? 0 : (int)moved;
}

ssize_t weft_queue_get_bytes_with(weft_queue *q, void *data, size_t size,
                                  const struct weft_queue_get_options *options)
{
    wi_need(q);
    wi_need_some(data, size);
    WI_OPTIONS(options);
    struct wi_shared_transfer move = {.items = data, .n = 1, .size = size};
    ssize_t moved = move_record(
        q, &move, wi_queue_limit(options->nowait, options->timeout, __func__));
    return moved > 0 ? moved - 1 : moved;
}

// Shutdown --------------------------------------------------------------------

// Takes out what is left, one item after the other.
static void drain(weft_queue *q)
{
    if (q->drop == NULL || q->handle.item == 0)
        return;
    struct wi_shared_transfer move = {
        .items = malloc(q->handle.item), .n = 1, .rest = true};
    while (move.items != NULL &&
           wi_shared_queue_move(&q->handle, &move, WI_NOWAIT) > 0)
        q->drop(move.items);
    free(move.items);
}

int wi_queue_shutdown_shared(weft_queue *q, bool immediate)
{
    wi_shared_queue_close(&q->handle, immediate);
    if (!immediate)
        return 0;
    drain(q);
    wi_shared_queue_discard(&q->handle);
    return 0;
}

// Nobody will get what is in one that is gone for all.
void wi_queue_fini_shared(weft_queue *q)
{
    if (q->opened) {
        weft_arena_close(q->handle.arena);
        return;
    }
    drain(q);
    wi_shared_queue_free(&q->handle);
}
