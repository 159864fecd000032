// SPDX-License-Identifier: MIT
//
// A parcel is mapped so that what the job writes goes into pages of this
// process. The mapping is kept: the parcel will be used again, and to map its
// pages once more would cost about as much as to copy them. So when a job has
// ended, what it has written is taken back, page by page; the kernel tells
// which those are.
//
// A page that is written costs a fault and a copy, several times as much as if
// it had been copied with all the others. A job of which that is seen gets a
// copy of its argument from then on, in memory that is used again.
#include "process/unpack.h"

#include <string.h>

#include "base/sanitizer_detect.h"
#include "os/memfd.h"
#include "process/room.h"

enum { VIEWS = 64, KEPT_BYTES = 64 << 20, PAGE = 4096, MANY = 8 };

struct wi_view {
    uint64_t at; // of the parcel; 0: this view is none
    size_t size; // that is mapped
    void *bytes;
    uint64_t used; // when: a count
    bool busy;     // a job has it
};

static struct wi_view views[VIEWS];
static uint64_t uses;

static void forget(struct wi_view *view)
{
    if (view->at != 0)
        wi_os_memfd_unmap(view->bytes, view->size);
    *view = (struct wi_view){.at = 0};
}

// The one that was not used for longest, of those that are not busy; mapped: of
// those that are one. NULL: there is none.
static struct wi_view *oldest(bool mapped)
{
    struct wi_view *old = NULL;
    for (struct wi_view *v = views; v < views + VIEWS; v++)
        if (!v->busy && (v->at != 0 || !mapped) &&
            (old == NULL || v->used < old->used))
            old = v;
    return old;
}

// Forgets old ones until there is room for size bytes more.
static void make_room(size_t size)
{
    size_t total = size;
    for (int i = 0; i < VIEWS; i++)
        total += views[i].size;
    for (int i = 0; i < VIEWS && total > KEPT_BYTES; i++) {
        struct wi_view *old = oldest(true);
        if (old == NULL)
            return;
        total -= old->size;
        forget(old);
    }
}

static struct wi_view *map(int fd, uint64_t at, size_t size)
{
    void *bytes;
    make_room(size);
    struct wi_view *view = oldest(false);
    if (view == NULL || wi_os_memfd_map_part(fd, at, size, true, &bytes) < 0)
        return NULL;
    forget(view);
    *view = (struct wi_view){.at = at, .size = size, .bytes = bytes};
    return view;
}

// The view of a parcel, of all that is wanted.
static struct wi_view *view_of(int fd, uint64_t at, size_t size)
{
    size = (size + PAGE - 1) / PAGE * PAGE;
    for (struct wi_view *v = views; v < views + VIEWS; v++) {
        if (v->at != at || v->busy)
            continue;
        if (v->size >= size)
            return v;
        forget(v);
    }
    return map(fd, at, size);
}

// When no mapping is to be had, or too many jobs wait on each other's top.
static bool read_whole(int fd, uint64_t at, size_t size, struct wi_unpacked *u)
{
    u->bytes = u->room = wi_room_take(size);
    if (u->room != NULL && wi_os_memfd_read(fd, at, u->room, size) == 0)
        return true;
    wi_room_give(u->room);
    u->bytes = u->room = NULL;
    return false;
}

bool wi_unpack(int fd, uint64_t at, size_t size, bool copy,
               struct wi_unpacked *u)
{
    struct wi_view *view = view_of(fd, at, size);
    *u = (struct wi_unpacked){.size = size};
    if (view == NULL)
        return read_whole(fd, at, size, u);
    view->used = ++uses;
    if (copy && (u->room = wi_room_take(size)) != NULL) {
        u->bytes = memcpy(u->room, view->bytes, size);
        return true;
    }
    view->busy = true;
    u->view = view;
    u->bytes = view->bytes;
    return true;
}

bool wi_unpack_end(struct wi_unpacked *u)
{
    struct wi_view *view = u->view;
    wi_room_give(u->room);
    if (view == NULL)
        return false;
    view->busy = false;
    int64_t own = wi_os_memfd_undo(view->bytes, view->size);
    // Under ASan what is used after the job shall be found.
    if (own < 0 || WI_ASAN || view->size > KEPT_BYTES)
        forget(view);
    return own > 0 && (size_t)own > u->size / PAGE / MANY;
}
