// SPDX-License-Identifier: MIT
#include "process/views.h"

#include "os/memfd.h"
#include "os/segment.h"

struct wi_view *wi_view_find(struct wi_views *views, uint64_t at, bool busy)
{
    for (struct wi_view *v = views->view; v < views->view + views->count; v++)
        if (v->at == at && v->busy == busy)
            return v;
    return NULL;
}

void wi_view_forget(struct wi_view *view)
{
    if (view->at != 0)
        wi_os_memfd_unmap(view->bytes, view->size);
    *view = (struct wi_view){.at = 0};
}

// The one that was not used for longest, of those that are not busy; mapped: of
// those that are one. NULL: there is none.
static struct wi_view *oldest(struct wi_views *views, bool mapped)
{
    struct wi_view *old = NULL;
    for (struct wi_view *v = views->view; v < views->view + views->count; v++)
        if (!v->busy && (v->at != 0 || !mapped) &&
            (old == NULL || v->used < old->used))
            old = v;
    return old;
}

// Forgets old ones until there is room for size bytes more.
static void make_room(struct wi_views *views, size_t size)
{
    struct wi_view *old;
    size_t total = size;
    for (unsigned i = 0; i < views->count; i++)
        total += views->view[i].size;
    while (total > WI_VIEW_BYTES && (old = oldest(views, true)) != NULL) {
        total -= old->size;
        wi_view_forget(old);
    }
}

static struct wi_view *map(struct wi_views *views, int fd, uint64_t at,
                           size_t size, bool own)
{
    void *bytes;
    make_room(views, size);
    struct wi_view *view = oldest(views, false);
    if (view == NULL)
        return NULL;
    // Pages that cannot be had are an error here; in the mapping, a signal.
    if (!own && wi_os_segment_grow(fd, at, at + size) < 0)
        return NULL;
    if (wi_os_memfd_map_part(fd, at, size, own, &bytes) < 0)
        return NULL;
    wi_view_forget(view);
    *view = (struct wi_view){.at = at, .size = size, .bytes = bytes};
    return view;
}

struct wi_view *wi_view_take(struct wi_views *views, int fd, uint64_t at,
                             size_t size, bool own)
{
    struct wi_view *view;
    while ((view = wi_view_find(views, at, false)) != NULL && view->size < size)
        wi_view_forget(view);
    if (view == NULL)
        view = map(views, fd, at, wi_view_pages(size), own);
    if (view != NULL)
        view->used = ++views->uses;
    return view;
}
