// SPDX-License-Identifier: MIT
//
// A tray is the window of a ticket's result (ring.h), which the worker maps for
// once. The parent reads it as it reads any window: it maps nothing, believes
// nothing, and copies once. What is in a tray is in the file, so that a result
// that was said survives the worker.
//
//   mapped   a view, of no job; kept, for to map its pages once more would cost
//            about as much as to copy them
//   lent     the job with that ticket has it, until it ends; one for each job,
//            the next piece that it asks for is from malloc
//
// A ticket is used again only when the parent has read its window. So a view is
// nobody's from the end of its job on, though the parent is still to read it.
// Pages that are not part of a result are given back by the worker at once,
// those of a result by the parent, when it keeps too many (wi_kept_note).
#include "process/tray.h"

#include <stdint.h>

#include <weft/job.h>

#include "exec/job.h"
#include "os/futex.h"
#include "os/memfd.h"
#include "os/segment.h"
#include "process/ring.h"
#include "process/worker.h"
#include "sched/park.h"
#include "sched/task.h"

enum { VIEWS = 8, KEPT_BYTES = 64 << 20, PAGE = 4096 };

struct view {
    char *bytes; // NULL: this view is none
    size_t size;
    unsigned ticket;
    bool lent;
    uint64_t used; // when: a count
};

static struct wi_mutex lock; // for all: any thread may call weft_bytes_free
static struct view views[VIEWS];
static uint64_t uses;

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

static void forget(struct view *view)
{
    if (view->bytes != NULL)
        wi_os_memfd_unmap(view->bytes, view->size);
    *view = (struct view){.bytes = NULL};
}

static struct view *view_of(unsigned ticket)
{
    for (struct view *v = views; v < views + VIEWS; v++)
        if (v->bytes != NULL && v->ticket == ticket)
            return v;
    return NULL;
}

// A free one, or the one that was not used for longest. NULL: all are in use.
static struct view *oldest(bool mapped)
{
    struct view *old = NULL;
    for (struct view *v = views; v < views + VIEWS; v++)
        if (!v->lent && (v->bytes != NULL || !mapped) &&
            (old == NULL || v->used < old->used))
            old = v;
    return old;
}

static void make_room(size_t size)
{
    size_t total = size;
    for (struct view *v = views; v < views + VIEWS; v++)
        total += v->size;
    while (total > KEPT_BYTES) {
        struct view *old = oldest(true);
        if (old == NULL)
            return;
        total -= old->size;
        forget(old);
    }
}

static struct view *map(unsigned ticket, size_t size)
{
    uint64_t at = wi_window_result(ticket);
    void *bytes;
    make_room(size);
    struct view *view = oldest(false);
    // Pages that cannot be had are an error here; in the mapping, a signal.
    if (view == NULL || wi_os_segment_grow(WI_BOOT_FD, at, at + size) < 0 ||
        wi_os_memfd_map_part(WI_BOOT_FD, at, size, false, &bytes) < 0)
        return NULL;
    forget(view);
    *view = (struct view){.bytes = bytes, .size = size, .ticket = ticket};
    return view;
}

// A view of that many bytes; NULL: none is to be had, or the job had one.
static struct view *lend(unsigned ticket, size_t len)
{
    struct view *view = view_of(ticket);
    if (view != NULL && view->lent)
        return NULL;
    if (view != NULL && view->size < len) {
        forget(view);
        view = NULL;
    }
    if (view == NULL)
        view = map(ticket, whole_pages(len));
    if (view != NULL) {
        view->used = ++uses;
        view->lent = true;
    }
    return view;
}

// Whether the caller is the body of the job on top, and no other one that runs
// here, in a task or on another thread, whose result stays in this process.
static bool is_body(void)
{
    struct wi_worker_self *self = &wi_worker_self;
    struct wi_task *caller = wi_self();
    return caller == self->record && self->frame != NULL &&
           caller->frame == self->frame;
}

// For weft_bytes_new. NULL: malloc will do.
static void *take(size_t len)
{
    if (len < WI_TRAY_LEAST || len >> WI_WINDOW_BITS != 0 || !is_body())
        return NULL;
    wi_mutex_lock(&lock);
    struct view *view = lend(wi_worker_self.ticket, len);
    void *bytes = view != NULL ? view->bytes : NULL;
    wi_mutex_unlock(&lock);
    return bytes;
}

// For weft_bytes_free: whether data is a tray, which stays the job's.
static bool is_tray(const void *data)
{
    bool is = false;
    wi_mutex_lock(&lock);
    for (struct view *v = views; v < views + VIEWS; v++)
        is |= v->bytes != NULL && data == v->bytes;
    wi_mutex_unlock(&lock);
    return is;
}

static const struct wi_bytes_ops ops = {.take = take, .is_taken = is_tray};

void wi_tray_start(void)
{
    wi_bytes_ops = &ops;
}

// Ends the loan. What the parent will not read goes back to the system.
static bool end(struct view *view, const void *data, size_t size)
{
    bool result = data == view->bytes;
    size_t said = result ? whole_pages(size) : 0;
    if (said + WI_TRAY_LEAST <= view->size)
        wi_os_memfd_punch(WI_BOOT_FD, wi_window_result(view->ticket) + said,
                          view->size - said);
    view->lent = false;
    return result;
}

bool wi_tray_end(unsigned ticket, const void *data, size_t size)
{
    wi_mutex_lock(&lock);
    struct view *view = view_of(ticket);
    bool result = view != NULL && view->lent && end(view, data, size);
    wi_mutex_unlock(&lock);
    return result;
}
