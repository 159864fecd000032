// SPDX-License-Identifier: MIT
//
// chunk.h: the chunks of a map: how many elements go into one, and what its
// failure as a whole means. The first chunks have one element, and each that
// comes back says what the next should be.
#ifndef WI_EXEC_CHUNK_H
#define WI_EXEC_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/error.h>

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

// A failure of the chunk as a whole that says nothing about the next one.
static inline bool wi_chunk_own_failure(int code)
{
    return code == -WEFT_ECRASHED || code == -WEFT_EJOBTIMEOUT ||
           code == -WEFT_EJOBCANCELED;
}

#endif
