// SPDX-License-Identifier: MIT
//
// A tray is the window of a ticket's result (ring.h), which the worker maps for
// once. The parent reads it as it reads any window: it maps nothing, believes
// nothing, and copies once. What is in a tray is in the file, so that a result
// that was said survives the worker.
//
//   kept     a view (views.h) of no job
//   lent     the job with that ticket has it, until it ends: the view is busy.
//            One for each job, the next piece that it asks for is from malloc
//
// A ticket is used again only when the parent has read its window. So a view is
// nobody's from the end of its job on, though the parent is still to read it.
// Pages that are not part of a result are given back by the worker at once,
// those of a result by the parent, when it keeps too many (wi_kept_note).
#include "process/tray.h"

#include <stdint.h>

#include "base/fresh.h"
#include "exec/job.h"
#include "os/futex.h"
#include "os/memfd.h"
#include "process/ring.h"
#include "process/views.h"
#include "process/worker.h"
#include "sched/park.h"
#include "sched/task.h"

enum { VIEWS = 8 };

static struct wi_mutex lock; // for all: any thread may call weft_bytes_free
static struct wi_view places[VIEWS];
static struct wi_views views = {places, VIEWS, 0};

// A view of that many bytes; NULL: none is to be had, or the job had one.
static struct wi_view *lend(unsigned ticket, size_t len)
{
    uint64_t at = wi_window_result(ticket);
    if (wi_view_find(&views, at, true) != NULL)
        return NULL;
    struct wi_view *tray = wi_view_take(&views, WI_BOOT_FD, at, len, false);
    if (tray != NULL)
        tray->busy = true;
    return tray;
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
    if (len < WI_TRAY_LEAST || len >> WI_WINDOW_BITS != 0 || wi_forked() ||
        !is_body())
        return NULL;
    wi_mutex_lock(&lock);
    struct wi_view *tray = lend(wi_worker_self.ticket, len);
    void *bytes = tray != NULL ? tray->bytes : NULL;
    wi_mutex_unlock(&lock);
    return bytes;
}

// For weft_bytes_free: whether data is a tray, which stays the job's. In a
// child of fork the lock may be a thread's that is not here.
static bool is_tray(const void *data)
{
    bool is = false, alone = wi_forked();
    if (!alone)
        wi_mutex_lock(&lock);
    for (int i = 0; i < VIEWS; i++)
        is |= places[i].at != 0 && data == places[i].bytes;
    if (!alone)
        wi_mutex_unlock(&lock);
    return is;
}

static const struct wi_bytes_ops ops = {.take = take, .is_taken = is_tray};

void wi_tray_start(void)
{
    wi_bytes_ops = &ops;
}

// Ends the loan. What the parent will not read goes back to the system.
static bool end(struct wi_view *tray, const void *data, size_t size)
{
    bool result = data == tray->bytes;
    size_t said = result ? wi_view_pages(size) : 0;
    if (said + WI_TRAY_LEAST <= tray->size)
        wi_os_memfd_punch(WI_BOOT_FD, tray->at + said, tray->size - said);
    tray->busy = false;
    return result;
}

bool wi_tray_end(unsigned ticket, const void *data, size_t size)
{
    wi_mutex_lock(&lock);
    struct wi_view *tray = wi_view_find(&views, wi_window_result(ticket), true);
    bool result = tray != NULL && end(tray, data, size);
    wi_mutex_unlock(&lock);
    return result;
}

// In a child of fork there are none.
static void fresh(void)
{
    wi_bytes_ops = NULL;
    lock = (struct wi_mutex){0};
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
