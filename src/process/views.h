// SPDX-License-Identifier: MIT
//
// views.h: parts of a memfd that a worker has mapped, and keeps: a part is used
// again, and to map its pages once more would cost about as much as to copy
// them. Not for several threads at once.
#ifndef WI_PROCESS_VIEWS_H
#define WI_PROCESS_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WI_VIEW_PAGE = 4096, WI_VIEW_BYTES = 64 << 20 };

struct wi_view {
    uint64_t at; // where the part begins; 0: this view is none
    size_t size; // that is mapped: whole pages
    char *bytes;
    uint64_t used; // when: a count
    bool busy;     // the user's: it is not given away
};

// More than WI_VIEW_BYTES are only kept while they are busy.
struct wi_views {
    struct wi_view *view;
    unsigned count; // of places
    uint64_t uses;
};

static inline size_t wi_view_pages(size_t size)
{
    return (size + WI_VIEW_PAGE - 1) / WI_VIEW_PAGE * WI_VIEW_PAGE;
}

// A view of the part at `at`, one that is busy or one that is not; or NULL.
struct wi_view *wi_view_find(struct wi_views *views, uint64_t at, bool busy);

// One that is not busy, of size bytes at least, made if there is none. own:
// what is written there is seen by this process alone; else it goes to the
// file, which has room for it then. NULL: it cannot be had, or all places are
// busy.
struct wi_view *wi_view_take(struct wi_views *views, int fd, uint64_t at,
                             size_t size, bool own);

void wi_view_forget(struct wi_view *view);

#endif
