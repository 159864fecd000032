// SPDX-License-Identifier: MIT
//
// buffer.h: large data that goes to another process without being copied. A
// buffer is memory that is used again and again, so that its pages are there
// already in both processes; what travels is a value of 32 bytes.
//
//     struct weft_buffer b = weft_buffer_new(16 << 20);
//     fill(weft_buffer_data(b));
//     weft_future *f = weft_submit_struct(ex, blur, b);
//
//     WEFT_JOB(long, blur, struct weft_buffer, b)
//     {
//         work(weft_buffer_data(b), b.len);
//         return 0;
//     }
//
// A buffer belongs to the process that made it, and is freed if that dies. A
// job that returns one of its own gives it away: return weft_buffer_give(b).
// Who has the value may read, write and free; who does so when is agreed by
// the program, most simply by the job's start and end.
#ifndef WEFT_BUFFER_H
#define WEFT_BUFFER_H

#include <weft/arena.h>
#include <weft/base.h>

struct weft_buffer {
    struct weft_arena_ref where; // where.at is 0: there is none
    uint64_t len;
};

WEFT_BEGIN

// len bytes, aligned to a page, of any content. where.at is 0 if there is no
// memory. Blocks: no. Threads: any. Since 0.1.
WEFT_API struct weft_buffer weft_buffer_new(size_t len);

// The buffer's bytes in this process; NULL if there are none, or if the process
// that made it, and all that had it, are gone. The first call for a buffer of
// another process asks that for its memory, which then stays mapped.
// Blocks: shortly, then. Threads: any. Since 0.1.
WEFT_API void *weft_buffer_data(struct weft_buffer b);

// It belongs to no process any more: it lives until somebody frees it. Returns
// b. Since 0.1.
WEFT_API struct weft_buffer weft_buffer_give(struct weft_buffer b);

// Gives the memory back, in any process. One that is no buffer (any more)
// aborts; none at all is allowed. Since 0.1.
WEFT_API void weft_buffer_free(struct weft_buffer b);

WEFT_END

#endif
