// SPDX-License-Identifier: MIT
//
// Queues in an arena, by reference.
#include <errno.h>
#include <stdlib.h>

#include <weft/queue.h>

#include "os/report.h"
#include "sync/queue.h"

// What stands in for one that could not be opened: the code is told by the
// first call. The usual reasons need no memory.
static weft_queue *failed(weft_queue *q, int code)
{
    if (q == NULL)
        return &wi_queue_nomem;
    *q = (weft_queue){.item = 1, .limit = 1, .closed = code};
    q->put.lock = q->get.lock = &q->put.own;
    return q;
}

weft_queue *weft_queue_open(struct weft_arena_ref ref)
{
    weft_queue *q = aligned_alloc(64, sizeof *q);
    weft_arena *a;
    int rc = -ENOMEM;
    void *place = q != NULL ? weft_arena_open_with(ref, &a, &rc, NULL) : NULL;
    if (place == NULL)
        return failed(q, rc);
    rc = a->read_only ? -EROFS : wi_queue_open_shared(a, place, q);
    if (rc == 0)
        return q;
    weft_arena_close(a);
    return failed(q, rc);
}

struct weft_arena_ref weft_queue_ref(weft_queue *q)
{
    wi_require(q != NULL, q, "a queue is needed");
    if (!q->shared)
        return (struct weft_arena_ref){{0, 0}, 0};
    return weft_arena_ref(q->handle.arena, q->handle.q);
}
