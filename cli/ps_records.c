// SPDX-License-Identifier: MIT
//
// Three passes: the records of all chunks; the names, which lie elsewhere, in
// batches; the records once more, to see which of them changed meanwhile.
#include "ps_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The target may be broken, and may be somebody else's: its numbers are
// bounded.
enum {
    ROWS_MAX = 1 << 22,
    CHUNK_BYTES_MAX = 1 << 24,
    EXTRA_MAX = 1024,
};

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
    struct {
        uint32_t offset;
        uint16_t width;
    } at[FIELD_COUNT];
    size_t extra_size; // as far as the fields in it reach
};

const struct wi_root_field *ps_field(const struct wi_root *root, unsigned in,
                                     const char *name)
{
    for (size_t i = 0; i < WI_ROOT_FIELDS && root->fields[i].name[0]; i++)
        if (root->fields[i].in == in &&
            !strncmp(root->fields[i].name, name, WI_ROOT_NAME_SIZE))
            return &root->fields[i];
    return NULL;
}

static void place(struct layout *layout, enum field field, unsigned in,
                  const char *name, size_t size)
{
    const struct wi_root_field *at = ps_field(layout->root, in, name);

    if (at && at->width <= size && at->offset <= size - at->width) {
        layout->at[field].offset = at->offset;
        layout->at[field].width = at->width;
    }
}

static struct layout make_layout(const struct wi_root *root)
{
    struct layout layout = {.root = root};
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
static uint64_t get(const struct layout *layout, enum field field,
                    const char *from)
{
    uint64_t value = 0; // little endian: the low bytes come first
    size_t width = layout->at[field].width;

    if (width <= sizeof(value))
        memcpy(&value, from + layout->at[field].offset, width);
    return value;
}

static struct ps_row to_row(const struct layout *layout, const char *record,
                            uint64_t address)
{
    return (struct ps_row){
        .root = layout->root,
        .address = address,
        .id = get(layout, RECORD_id, record),
        .state = get(layout, RECORD_state, record),
        .kind = get(layout, RECORD_kind, record),
        .code = (int32_t)get(layout, RECORD_code, record),
        .wait_kind = get(layout, RECORD_wait_kind, record),
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

// Calls fn for the records of one chunk; *next becomes the address of the
// next one.
static int read_chunk(struct ps_table *table, const struct ps_target *target,
                      const struct layout *layout, uint64_t address,
                      uint64_t *next, chunk_reader *fn)
{
    const struct wi_root *root = layout->root;
    char head[256] = {0};
    size_t begin = root->chunk_begin;

    if (begin > sizeof(head) || root->record_size == 0)
        return -EPROTO;
    int rc = ps_target_read(target, address, head, begin);
    if (rc < 0)
        return rc;
    *next = get(layout, CHUNK_next, head);
    size_t count = get(layout, CHUNK_count, head);
    if (count > CHUNK_BYTES_MAX / root->record_size)
        return -EPROTO;
    char *records = malloc(count * root->record_size + 1);
    if (!records)
        return -ENOMEM;
    rc = ps_target_read(target, address + begin, records,
                        count * root->record_size);
    if (rc == 0)
        rc = fn(table, layout, records, count, address + begin);
    free(records);
    return rc;
}

static int read_chunks(struct ps_table *table, const struct ps_target *target,
                       const struct wi_root *root, chunk_reader *fn)
{
    struct layout layout = make_layout(root);
    uint64_t address = 0;
    int rc = ps_target_read(target, root->chunks, &address, sizeof(uintptr_t));

    // A chain that leads back to itself meets `mark`, which follows in ever
    // longer steps.
    uint64_t mark = 0;
    for (uint64_t i = 1; rc == 0 && address; i++) {
        rc = read_chunk(table, target, &layout, address, &address, fn);
        if (address && address == mark)
            rc = -ELOOP;
        if ((i & (i - 1)) == 0)
            mark = address;
    }
    return rc;
}

static int add_row(struct ps_table *table, const struct ps_row *row)
{
    if (table->count == ROWS_MAX)
        return -E2BIG;
    if (table->count == table->room) {
        size_t room = table->room ? table->room * 2 : 256;
        void *moved = realloc(table->rows, room * sizeof(*table->rows));
        if (!moved)
            return -ENOMEM;
        table->rows = moved;
        table->room = room;
    }
    table->rows[table->count++] = *row;
    return 0;
}

static int add_rows(struct ps_table *table, const struct layout *layout,
                    const char *records, size_t count, uint64_t address)
{
    const struct wi_root *root = layout->root;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct ps_row row = to_row(layout, records + i * root->record_size,
                                   address + i * root->record_size);
        if ((row.state & root->phase_mask) != 0)
            rc = add_row(table, &row);
    }
    return rc;
}

// Names -----------------------------------------------------------------------

static void take_extra(struct ps_row *row, const struct layout *layout,
                       const char *extra)
{
    size_t width = layout->at[EXTRA_name].width;

    row->native = get(layout, EXTRA_native, extra);
    memcpy(row->name, extra + layout->at[EXTRA_name].offset,
           width < sizeof(row->name) ? width : sizeof(row->name) - 1);
}

// Those of the rows from `first` on, which are all of one root.
static int read_extras(struct ps_table *table, const struct ps_target *target,
                       const struct wi_root *root, size_t first)
{
    struct layout layout = make_layout(root);
    size_t size = layout.extra_size, n = 0, count = table->count - first;
    struct ps_row *rows = table->rows + first;
    struct ps_piece *pieces = calloc(count + 1, sizeof(*pieces));
    char *extras = calloc(count + 1, size + 1);

    if (pieces && extras) {
        for (size_t i = 0; i < count; i++)
            if (rows[i].extra)
                pieces[n++] =
                    (struct ps_piece){rows[i].extra, extras + i * size, size};
        ps_target_read_pieces(target, pieces, n);
        for (size_t i = 0; i < count; i++)
            if (rows[i].extra)
                take_extra(&rows[i], &layout, extras + i * size);
    }
    int rc = pieces && extras ? 0 : -ENOMEM;
    free(pieces);
    free(extras);
    return rc;
}

// Order -----------------------------------------------------------------------

static int by_key(const void *a, const void *b)
{
    const struct ps_place *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

static int sort(struct ps_table *table)
{
    size_t n = table->count;

    table->by_id = calloc(n + 1, sizeof(*table->by_id));
    table->by_address = calloc(n + 1, sizeof(*table->by_address));
    if (!table->by_id || !table->by_address)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct ps_row *row = &table->rows[i];
        table->by_id[i] = (struct ps_place){row->id, row};
        table->by_address[i] = (struct ps_place){row->address, row};
    }
    qsort(table->by_id, n, sizeof(*table->by_id), by_key);
    qsort(table->by_address, n, sizeof(*table->by_address), by_key);
    return 0;
}

// The first place that is not below address, or the end.
static struct ps_place *lower_bound(const struct ps_table *table,
                                    uint64_t address)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->by_address[middle].key < address)
            low = middle + 1;
        else
            high = middle;
    }
    return &table->by_address[low];
}

static struct ps_row *find(const struct ps_table *table, uint64_t address)
{
    const struct ps_place *place = lower_bound(table, address);

    return place < table->by_address + table->count && place->key == address
               ? place->row
               : NULL;
}

static bool differs(const struct ps_row *a, const struct ps_row *b)
{
    return a->id != b->id || a->wait_kind != b->wait_kind ||
           a->wait_object != b->wait_object ||
           ((a->state ^ b->state) & a->root->phase_mask) != 0;
}

static int compare_rows(struct ps_table *table, const struct layout *layout,
                        const char *records, size_t count, uint64_t address)
{
    size_t size = layout->root->record_size;
    struct ps_place *place = lower_bound(table, address);
    struct ps_place *end = table->by_address + table->count;

    for (; place < end && place->key < address + count * size; place++) {
        uint64_t at = place->key - address;
        struct ps_row now = to_row(layout, records + at, place->key);
        place->row->changing = differs(&now, place->row);
    }
    return 0;
}

// The whole -------------------------------------------------------------------

static int read_root(struct ps_table *table, const struct ps_target *target,
                     const struct wi_root *root)
{
    size_t first = table->count;
    int rc = read_chunks(table, target, root, add_rows);

    if (rc == -ENOMEM || (rc < 0 && table->count == 0))
        return rc;
    table->cut = table->cut || rc < 0;
    return read_extras(table, target, root, first);
}

int ps_table_read(struct ps_table *table, const struct ps_target *target)
{
    int rc = 0;

    *table = (struct ps_table){0};
    for (size_t i = 0; rc == 0 && i < target->count; i++)
        rc = read_root(table, target, &target->roots[i]);
    if (rc == 0)
        rc = sort(table);
    for (size_t i = 0; rc == 0 && i < target->count; i++)
        read_chunks(table, target, &target->roots[i], compare_rows);
    if (rc == 0)
        ps_table_details(table, target);
    return rc;
}

void ps_table_free(struct ps_table *table)
{
    free(table->rows);
    free(table->by_id);
    free(table->by_address);
}

const struct ps_row *ps_table_find(const struct ps_table *table,
                                   uint64_t address)
{
    return find(table, address);
}

const char *ps_state(const struct ps_row *row)
{
    const struct wi_root *root = row->root;
    const char *phase = ps_name(&root->phases, row->state & root->phase_mask);
    bool parked = row->owner & root->owner_parked;
    bool thread = row->owner & root->owner_thread;
    unsigned tag = row->edge & ((1u << (root->tag_bits & 3)) - 1);

    if (strcmp(phase, "running") != 0)
        return phase;
    if (row->wait_kind == 0)
        return parked ? "ready" : phase;
    // One that runs its child inside a join waits, though it is not parked.
    return parked || thread || tag != 0 ? "waiting" : "ready";
}

// The record that an edge names, if it is one and the same still.
static const struct ps_row *follow(const struct ps_table *table,
                                   const struct wi_root *root, uint64_t edge)
{
    if (root->hint_bits > 63 || root->generation > 31 || root->tag_bits > 4)
        return NULL;
    uint64_t tag = edge & ((1u << root->tag_bits) - 1);
    uint64_t address = (edge & ((1ull << root->hint_bits) - 1)) - tag;
    if (address == 0 || !(root->one_tags >> tag & 1))
        return NULL;
    const struct ps_row *row = find(table, address);
    if (!row ||
        (uint32_t)row->state >> root->generation != edge >> root->hint_bits)
        return NULL;
    return row;
}

const struct ps_row *ps_table_awaited(const struct ps_table *table,
                                      const struct ps_row *row)
{
    if (row->wait_kind == 0)
        return NULL;
    const struct ps_row *owner = follow(table, row->root, row->edge);
    return owner ? owner : find(table, row->wait_object);
}

size_t ps_table_children(const struct ps_table *table, uint64_t address)
{
    size_t n = 0;

    for (size_t i = 0; i < table->count; i++)
        n += table->rows[i].group == address &&
             strcmp(ps_state(&table->rows[i]), "done") != 0;
    return n;
}

const char *ps_name(const struct wi_root_names *names, uint64_t value)
{
    // The names come from another process: they may lack their end.
    if (value >= names->count || value >= WI_ROOT_NAMES ||
        !memchr(names->name[value], '\0', WI_ROOT_NAME_SIZE))
        return "?";
    return names->name[value];
}
