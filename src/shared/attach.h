// SPDX-License-Identifier: MIT
//
// attach.h: arenas in this process: made, attached, one handle for each.
#ifndef WI_SHARED_ATTACH_H
#define WI_SHARED_ATTACH_H

#include "shared/segment.h"

// A new segment, attached. 0 or a negative code.
int wi_arena_make(uint64_t limit, enum wi_pages pages, weft_arena **arena);

// The segment of a descriptor, which stays the caller's.
int wi_arena_attach(int fd, bool read_only, weft_arena **arena);

// One more reference to the arena of that id if this process has it, with the
// same rights; NULL: it has not.
weft_arena *wi_arena_known(const uint64_t id[2], bool read_only);

// Gives a reference back; the last one detaches, after `gone` was called.
void wi_arena_unref(weft_arena *a, void (*gone)(weft_arena *a));

#endif
