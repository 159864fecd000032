// SPDX-License-Identifier: MIT
//
// A parcel is mapped so that what the job writes goes into pages of this
// process. The mapping is kept (views.h). So when a job has ended, what it has
// written is taken back, page by page; the kernel tells which those are.
//
// A page that is written costs a fault and a copy, several times as much as if
// it had been copied with all the others. A job of which that is seen gets a
// copy of its argument from then on, in memory that is used again.
#include "process/unpack.h"

#include <string.h>

#include "base/sanitizer_detect.h"
#include "os/memfd.h"
#include "process/room.h"
#include "process/views.h"

enum { VIEWS = 64, MANY = 8 };

static struct wi_view places[VIEWS];
static struct wi_views views = {places, VIEWS, 0};

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
    struct wi_view *view = wi_view_take(&views, fd, at, size, true);
    *u = (struct wi_unpacked){.size = size};
    if (view == NULL)
        return read_whole(fd, at, size, u);
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
    if (own < 0 || WI_ASAN || view->size > WI_VIEW_BYTES)
        wi_view_forget(view);
    return own > 0 && (size_t)own > u->size / WI_VIEW_PAGE / MANY;
}
