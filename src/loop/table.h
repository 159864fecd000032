// SPDX-License-Identifier: MIT
//
// table.h: what one loop knows of each descriptor, found by its number. Chunks
// of records that never move, so that a record's address may be kept; only the
// list of chunks grows. Used by the loop's own thread only.
#ifndef WI_LOOP_TABLE_H
#define WI_LOOP_TABLE_H

#include <stddef.h>

#define WI_TABLE_CHUNK 64

struct wi_table {
    void **chunks;
    unsigned count;
};

// The record of fd, zeroed if it is new; NULL if there is no memory.
void *wi_table_make(struct wi_table *table, int fd, size_t record_size);
void wi_table_free(struct wi_table *table);

// The record of fd, or NULL if its chunk was never needed.
static inline void *wi_table_find(const struct wi_table *table, int fd,
                                  size_t record_size)
{
    unsigned chunk = (unsigned)fd / WI_TABLE_CHUNK;

    if (chunk >= table->count || !table->chunks[chunk])
        return NULL;
    return (char *)table->chunks[chunk] +
           (unsigned)fd % WI_TABLE_CHUNK * record_size;
}

#endif
