// SPDX-License-Identifier: MIT
//
// chunk.h: how many elements of a map go into one chunk. The first chunks have
// one element, and each that comes back says what the next should be.
#ifndef WI_EXEC_CHUNK_H
#define WI_EXEC_CHUNK_H

#include <stddef.h>
#include <stdint.h>

enum {
    WI_CHUNK_MOST = 1 << 16,
    WI_CHUNK_NS = 2000000, // from send to return, about
};

// After one of `count` elements that was back in `took`, the next may be of so
// many.
static inline size_t wi_chunk_after(size_t chunk, size_t count, int64_t took)
{
    if (took < WI_CHUNK_NS / 2)
        chunk = 2 * count;
    else if (took > 2 * WI_CHUNK_NS)
        chunk = count / 2;
    return chunk > WI_CHUNK_MOST ? WI_CHUNK_MOST : chunk > 0 ? chunk : 1;
}

#endif
