// SPDX-License-Identifier: MIT
#include "loop/table.h"

#include <stdlib.h>
#include <string.h>

static int grow(struct wi_table *table, unsigned chunk)
{
    unsigned count = table->count ? table->count : 16;
    void **chunks;

    while (count <= chunk)
        count *= 2;
    chunks = realloc(table->chunks, count * sizeof(*chunks));
    if (!chunks)
        return -1;
    memset(chunks + table->count, 0, (count - table->count) * sizeof(*chunks));
    table->chunks = chunks;
    table->count = count;
    return 0;
}

void *wi_table_make(struct wi_table *table, int fd, size_t record_size)
{
    unsigned chunk = (unsigned)fd / WI_TABLE_CHUNK;

    if (chunk >= table->count && grow(table, chunk) < 0)
        return NULL;
    if (!table->chunks[chunk])
        table->chunks[chunk] = calloc(WI_TABLE_CHUNK, record_size);
    return wi_table_find(table, fd, record_size);
}

void wi_table_free(struct wi_table *table)
{
    for (unsigned i = 0; i < table->count; i++)
        free(table->chunks[i]);
    free(table->chunks);
}
