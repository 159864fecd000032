// SPDX-License-Identifier: MIT
//
// Three passes: the records of all chunks; the names, which lie elsewhere, in
// batches; the records once more, to see which of them changed meanwhile.
#include "ps_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

// The target may be broken, and may be somebody else's: its numbers are
// bounded.
enum {
    ROWS_MAX = 1 << 22,
    CHUNK_HEAD_MAX = 1 << 16,
    CHUNK_BYTES_MAX = 1 << 24,
    EXTRA_MAX = 1024,
    EXTRAS_MAX = 1 << 29,
    READ_COST = 1024, // of a chunk, in bytes
};
// Of all chunks of a root together: one that is small may be read as if it were
// as large as the one before.
#define READ_MAX ((uint64_t)1 << 32)

// Where the fields lie --------------------------------------------------------

// The fields that this program knows, and their structures.
#define FIELDS(X)                                                              \
    X(CHUNK, next)                                                             \
    X(CHUNK, count)                                                            \
    X(RECORD, id)                                                              \
    X(RECORD, state)                                                           \
    X(RECORD, kind)                                                            \
    X(RECORD, code)                                                            \
    X(RECORD, wait_kind)                                                       \
    X(RECORD, wait_object)                                                     \
    X(RECORD, edge)                                                            \
    X(RECORD, owner)                                                           \
    X(RECORD, group)                                                           \
    X(RECORD, extra)                                                           \
    X(RECORD, job)                                                             \
    X(EXTRA, name)                                                             \
    X(EXTRA, native)

#define FIELD_ENUM(in, name) in##_##name,
enum field { FIELDS(FIELD_ENUM) FIELD_COUNT };

// A root together with the places of the fields; width 0: it has none such.
struct layout {
    const struct wi_root *root;
    const struct ps_model *model;
    struct {
        uint32_t offset;
        uint16_t width;
    } at[FIELD_COUNT];
    size_t extra_size; // as far as the fields in it reach
};

static void place(struct layout *layout, enum field field, unsigned in,
                  const char *name, size_t size)
{
    const struct wi_root_field *at = ps_field(layout->root, in, name);

    if (at && at->width <= size && at->offset <= size - at->width) {
        layout->at[field].offset = at->offset;
        layout->at[field].width = at->width;
    }
}

static struct layout make_layout(const struct ps_model *model)
{
    const struct wi_root *root = model->root;
    struct layout layout = {.root = root, .model = model};
    const size_t sizes[] = {[WI_ROOT_CHUNK] = root->chunk_begin,
                            [WI_ROOT_RECORD] = root->record_size,
                            [WI_ROOT_EXTRA] = EXTRA_MAX};

#define FIELD_PLACE(in, name)                                                  \
    place(&layout, in##_##name, WI_ROOT_##in, #name, sizes[WI_ROOT_##in]);
    FIELDS(FIELD_PLACE)
    for (enum field f = EXTRA_name; f <= EXTRA_native; f++)
        if (layout.at[f].offset + layout.at[f].width > layout.extra_size)
            layout.extra_size = layout.at[f].offset + layout.at[f].width;
    return layout;
}

// The number in a field of the structure at `from`, 0 if there is none.
// Little endian: the low bytes come first.
static uint64_t get(const struct layout *layout, enum field field,
                    const char *from)
{
    const char *at = from + layout->at[field].offset;
    uint64_t value = 0;

    switch (layout->at[field].width) {
    case 8:
        memcpy(&value, at, 8);
        break;
    case 4:
        memcpy(&value, at, 4);
        break;
    case 2:
        memcpy(&value, at, 2);
        break;
    case 1:
        memcpy(&value, at, 1);
        break;
    default: // no number that this program knows
        break;
    }
    return value;
}

// A number that is too large for its place is one that nobody knows.
static uint16_t get_short(const struct layout *layout, enum field field,
                          const char *from)
{
    uint64_t value = get(layout, field, from);
    return value < UINT16_MAX ? (uint16_t)value : UINT16_MAX;
}

static void to_row(const struct layout *layout, const char *record,
                   uint64_t address, struct ps_row *row)
{
    *row = (struct ps_row){
        .model = layout->model,
        .name = "",
        .address = address,
        .id = get(layout, RECORD_id, record),
        .state = (uint32_t)get(layout, RECORD_state, record),
        .kind = get_short(layout, RECORD_kind, record),
        .code = (int32_t)get(layout, RECORD_code, record),
        .wait_kind = get_short(layout, RECORD_wait_kind, record),
        .wait_object = get(layout, RECORD_wait_object, record),
        .edge = get(layout, RECORD_edge, record),
        .owner = get(layout, RECORD_owner, record),
        .group = get(layout, RECORD_group, record),
        .extra = get(layout, RECORD_extra, record),
        .job = get(layout, RECORD_job, record),
    };
}

// The chunks ------------------------------------------------------------------

typedef int chunk_reader(struct ps_table *table, const struct layout *layout,
                         const char *records, size_t count, uint64_t address);

// A buffer that grows to the largest chunk, which is read into it at once: most
// chunks are as large as the one before.
struct chunk {
    char *bytes;
    size_t size;   // of the last chunk, its head included
    uint64_t read; // bytes, until now
};

// Reads `size` bytes of a chunk. 0 or a negative code.
static int read_bytes(struct chunk *chunk, const struct ps_target *target,
                      uint64_t address, size_t size)
{
    if (size > chunk->size) {
        void *moved = realloc(chunk->bytes, size);
        if (!moved)
            return -ENOMEM;
        chunk->bytes = moved;
        chunk->size = size;
    }
    chunk->read += size + READ_COST;
    if (chunk->read > READ_MAX)
        return -E2BIG;
    return ps_target_read(target, address, chunk->bytes, size);
}

// Reads a whole chunk; *count: its records.
static int read_chunk(struct chunk *chunk, const struct ps_target *target,
                      const struct layout *layout, uint64_t address,
                      size_t *count)
{
    const struct wi_root *root = layout->root;
    size_t begin = root->chunk_begin, read = chunk->size;

    if (begin > CHUNK_HEAD_MAX || root->record_size == 0)
        return -EPROTO;
    int rc = read ? read_bytes(chunk, target, address, read) : -ENODATA;
    if (rc < 0) {
        read = begin;
        rc = read_bytes(chunk, target, address, read);
    }
    if (rc < 0)
        return rc;
    *count = get(layout, CHUNK_count, chunk->bytes);
    if (*count > CHUNK_BYTES_MAX / root->record_size)
        return -EPROTO;
    size_t size = begin + *count * root->record_size;
    return size <= read ? 0 : read_bytes(chunk, target, address, size);
}

static int read_chunks(struct ps_table *table, const struct ps_target *target,
                       const struct ps_model *model, chunk_reader *fn)
{
    struct layout layout = make_layout(model);
    struct chunk chunk = {0};
    size_t begin = model->root->chunk_begin, count;
    uint64_t address = 0;
    int rc = ps_target_read(target, model->root->chunks, &address,
                            sizeof(uintptr_t));

    // A chain that leads back to itself meets `mark`, which follows in ever
    // longer steps.
    uint64_t mark = 0;
    for (uint64_t i = 1; rc == 0 && address; i++) {
        rc = read_chunk(&chunk, target, &layout, address, &count);
        if (rc < 0)
            break;
        rc = fn(table, &layout, chunk.bytes + begin, count, address + begin);
        address = get(&layout, CHUNK_next, chunk.bytes);
        if (address && address == mark)
            rc = -ELOOP;
        if ((i & (i - 1)) == 0)
            mark = address;
    }
    free(chunk.bytes);
    return rc;
}

static int make_room(struct ps_table *table, size_t more)
{
    size_t room = table->room ? table->room : 1024;

    if (table->count + more > ROWS_MAX)
        return -E2BIG;
    while (room < table->count + more)
        room *= 2;
    if (room == table->room)
        return 0;
    void *moved = realloc(table->rows, room * sizeof(*table->rows));
    if (!moved)
        return -ENOMEM;
    table->rows = moved;
    table->room = room;
    return 0;
}

static int add_rows(struct ps_table *table, const struct layout *layout,
                    const char *records, size_t count, uint64_t address)
{
    size_t size = layout->root->record_size;
    uint32_t mask = layout->root->phase_mask;
    int rc = make_room(table, count);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const char *record = records + i * size;
        if (get(layout, RECORD_state, record) & mask)
            to_row(layout, record, address + i * size,
                   &table->rows[table->count++]);
    }
    return rc;
}

// Names -----------------------------------------------------------------------

static void take_extra(struct ps_row *row, const struct layout *layout,
                       char *extra)
{
    size_t width = layout->at[EXTRA_name].width;

    row->native = (uint32_t)get(layout, EXTRA_native, extra);
    if (width == 0)
        return;
    char *name = extra + layout->at[EXTRA_name].offset;
    name[width - 1] = '\0';
    make_plain(name);
    row->name = name;
}

// Those of the rows from `first` on, which are all of one root.
static int read_extras(struct ps_table *table, const struct ps_target *target,
                       const struct ps_model *model, size_t first)
{
    struct layout layout = make_layout(model);
    size_t size = layout.extra_size, n = 0;

    for (size_t i = first; i < table->count; i++)
        n += table->rows[i].extra != 0;
    if (size > 0 && n > EXTRAS_MAX / size) {
        table->cut = true;
        return 0;
    }
    struct ps_piece *pieces = calloc(n + 1, sizeof(*pieces));
    char *extras = ps_table_text(table, (n + 1) * size);
    if (!pieces || !extras) {
        free(pieces);
        return -ENOMEM;
    }
    n = 0;
    for (size_t i = first; i < table->count; i++)
        if (table->rows[i].extra) {
            pieces[n] = (struct ps_piece){table->rows[i].extra,
                                          extras + n * size, size};
            n++;
        }
    ps_target_read_pieces(target, pieces, n);
    n = 0;
    for (size_t i = first; i < table->count; i++)
        if (table->rows[i].extra)
            take_extra(&table->rows[i], &layout, extras + n++ * size);
    free(pieces);
    return 0;
}

// Owners ----------------------------------------------------------------------

static bool waits_for_owned(const struct ps_row *row)
{
    return row->wait_object != 0 && row->wait_kind < 32 &&
           row->model->root->owned_waits >> row->wait_kind & 1;
}

// Of the locks that rows from `first` on wait for. Without memory they are not
// known.
static void read_owners(struct ps_table *table, const struct ps_target *target,
                        size_t first)
{
    size_t n = 0;

    for (size_t i = first; i < table->count; i++)
        n += waits_for_owned(&table->rows[i]);
    struct ps_piece *pieces = n ? calloc(n, sizeof(*pieces)) : NULL;
    if (!pieces)
        return;
    n = 0;
    for (size_t i = first; i < table->count; i++) {
        struct ps_row *row = &table->rows[i];
        if (waits_for_owned(row))
            pieces[n++] = (struct ps_piece){row->wait_object, &row->owned,
                                            sizeof(row->owned)};
    }
    ps_target_read_pieces(target, pieces, n);
    free(pieces);
}

// Once more -------------------------------------------------------------------

static bool differs(const struct ps_row *row, const struct layout *layout,
                    const char *record)
{
    uint32_t state = (uint32_t)get(layout, RECORD_state, record);

    return row->id != get(layout, RECORD_id, record) ||
           row->wait_kind != get_short(layout, RECORD_wait_kind, record) ||
           row->wait_object != get(layout, RECORD_wait_object, record) ||
           ((row->state ^ state) & layout->root->phase_mask) != 0;
}

static int compare_rows(struct ps_table *table, const struct layout *layout,
                        const char *records, size_t count, uint64_t address)
{
    size_t size = layout->root->record_size;
    struct ps_place *place = ps_table_from(table, address);
    struct ps_place *end = table->by_address + table->count;

    // Chunks that overlap have records that begin elsewhere in this one: those
    // are no records of its own.
    for (; place < end && place->key - address < count * size; place++)
        if ((place->key - address) % size == 0 &&
            place->row->model == layout->model)
            place->row->changing =
                differs(place->row, layout, records + (place->key - address));
    return 0;
}

// The whole -------------------------------------------------------------------

static int read_root(struct ps_table *table, const struct ps_target *target,
                     const struct ps_model *model)
{
    size_t first = table->count;
    int rc = read_chunks(table, target, model, add_rows);

    if (rc == -ENOMEM || (rc < 0 && table->count == 0))
        return rc;
    table->cut = table->cut || rc < 0;
    read_owners(table, target, first);
    return read_extras(table, target, model, first);
}

int ps_table_read(struct ps_table *table, const struct ps_target *target)
{
    int rc = 0;

    *table = (struct ps_table){
        .models = calloc(target->count + 1, sizeof(*table->models))};
    if (!table->models)
        return -ENOMEM;
    for (size_t i = 0; i < target->count; i++)
        table->models[i] = ps_model_of(&target->roots[i]);
    for (size_t i = 0; rc == 0 && i < target->count; i++)
        rc = read_root(table, target, &table->models[i]);
    if (rc == 0)
        rc = ps_table_sort(table);
    for (size_t i = 0; rc == 0 && !target->core && i < target->count; i++)
        read_chunks(table, target, &table->models[i], compare_rows);
    if (rc == 0)
        ps_table_details(table, target);
    return rc;
}
