// SPDX-License-Identifier: MIT
//
// heap.h: the allocator of an arena. Offsets are those of the memory that the
// user gets.
#ifndef WI_SHARED_HEAP_H
#define WI_SHARED_HEAP_H

#include "shared/segment.h"

// The first block of a new segment, whose file ends at `end`.
void wi_heap_init(weft_arena *a, uint64_t end);

// size zeroed bytes. With `where` (may be NULL) the offset is stored there in
// the same step. 0: no memory.
uint64_t wi_heap_alloc(weft_arena *a, uint64_t size, uint64_t align,
                       uint64_t *where);

// The same without zeroing, as a block of this process: it is freed when the
// process dies, unless it was given away before.
uint64_t wi_heap_alloc_own(weft_arena *a, uint64_t size, uint64_t align);
int wi_heap_give(weft_arena *a, uint64_t offset); // -EINVAL: no such block

// Frees a block, and sets *where (may be NULL) to 0 in the same step.
// -EINVAL: there is no such block.
int wi_heap_free(weft_arena *a, uint64_t offset, uint64_t *where);

// Undoes what the dead had half done.
void wi_heap_recover(weft_arena *a);

// Whether it has no blocks, and nobody is at it; frees those of the dead first.
// Waits for nobody.
bool wi_heap_is_empty(weft_arena *a);

// Walks all blocks. NULL, or what is wrong.
const char *wi_heap_check(weft_arena *a);

// Tests: called before each word that an operation changes, with its number
// within the operation. NULL: nothing.
extern void (*wi_heap_at_word)(unsigned n);

#endif
