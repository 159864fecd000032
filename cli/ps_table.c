// SPDX-License-Identifier: MIT
// The rows in order, how they hang together, and what their numbers mean.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ps_records.h"

// Order -----------------------------------------------------------------------

enum { DIGIT = 11, DIGITS = 1 << DIGIT };

// By one digit of the keys. Returns where the places are then: nothing moves if
// all have the same one, as most digits of addresses and ids have.
static struct ps_place *sort_digit(struct ps_place *from, struct ps_place *to,
                                   size_t n, unsigned shift)
{
    size_t start[DIGITS] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++)
        start[from[i].key >> shift & (DIGITS - 1)]++;
    if (start[from[0].key >> shift & (DIGITS - 1)] == n)
        return from;
    for (size_t i = 0; i < DIGITS; i++) {
        size_t many = start[i];
        start[i] = sum;
        sum += many;
    }
    for (size_t i = 0; i < n; i++)
        to[start[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
    return to;
}

// From the lowest digit to the highest, to and fro; the result is malloc'd,
// NULL: no memory. Frees `places`.
static struct ps_place *sort(struct ps_place *places, size_t n)
{
    struct ps_place *other = malloc((n + 1) * sizeof(*other));

    for (unsigned shift = 0; places && other && n && shift < 64;
         shift += DIGIT) {
        struct ps_place *sorted = sort_digit(places, other, n, shift);
        if (sorted == other) {
            other = places;
            places = sorted;
        }
    }
    if (!other) {
        free(places);
        places = NULL;
    }
    free(other);
    return places;
}

static struct ps_place *places_of(const struct ps_table *table,
                                  uint64_t (*key)(const struct ps_row *row))
{
    struct ps_place *places = malloc((table->count + 1) * sizeof(*places));

    for (size_t i = 0; places && i < table->count; i++)
        places[i] = (struct ps_place){key(&table->rows[i]), &table->rows[i]};
    return sort(places, table->count);
}

static uint64_t id_of(const struct ps_row *row)
{
    return row->id;
}

static uint64_t address_of(const struct ps_row *row)
{
    return row->address;
}

static uint64_t group_of(const struct ps_row *row)
{
    return row->group;
}

static uint32_t *count_undone(const struct ps_table *table)
{
    uint32_t *undone = malloc((table->count + 1) * sizeof(*undone));

    if (!undone)
        return NULL;
    undone[0] = 0;
    for (size_t i = 0; i < table->count; i++)
        undone[i + 1] = undone[i] + !ps_is_done(table->by_group[i].row);
    return undone;
}

int ps_table_sort(struct ps_table *table)
{
    table->by_id = places_of(table, id_of);
    table->by_address = places_of(table, address_of);
    table->by_group = places_of(table, group_of);
    table->undone = table->by_group ? count_undone(table) : NULL;
    return table->by_id && table->by_address && table->undone ? 0 : -ENOMEM;
}

static struct ps_place *lower_bound(struct ps_place *places, size_t n,
                                    uint64_t key)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (places[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return &places[low];
}

struct ps_place *ps_table_from(const struct ps_table *table, uint64_t address)
{
    return lower_bound(table->by_address, table->count, address);
}

struct ps_row *ps_table_find(const struct ps_table *table, uint64_t address)
{
    if (address == 0)
        return NULL;
    const struct ps_place *place = ps_table_from(table, address);
    return place < table->by_address + table->count && place->key == address
               ? place->row
               : NULL;
}

size_t ps_table_children(const struct ps_table *table, uint64_t address)
{
    const struct ps_place *all = table->by_group;
    size_t first =
        (size_t)(lower_bound(table->by_group, table->count, address) - all);
    size_t past = table->count;

    if (address != UINT64_MAX)
        past =
            (size_t)(lower_bound(table->by_group, table->count, address + 1) -
                     all);
    return table->undone[past] - table->undone[first];
}

// Waits -----------------------------------------------------------------------

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
    const struct ps_row *row = ps_table_find(table, address);
    if (!row || row->state >> root->generation != edge >> root->hint_bits)
        return NULL;
    return row;
}

const struct ps_row *ps_table_awaited(const struct ps_table *table,
                                      const struct ps_row *row)
{
    if (row->wait_kind == 0)
        return NULL;
    const struct wi_root *root = row->model->root;
    const struct ps_row *owner = follow(table, root, row->edge);
    if (!owner && !(row->owned & root->owned_far))
        owner = follow(table, root, row->owned & ~(uint64_t)root->owned_flags);
    return owner ? owner : ps_table_find(table, row->wait_object);
}

// Numbers and their names -----------------------------------------------------

const struct wi_root_field *ps_field(const struct wi_root *root, unsigned in,
                                     const char *name)
{
    for (size_t i = 0; i < WI_ROOT_FIELDS && root->fields[i].name[0]; i++)
        if (root->fields[i].in == in &&
            !strncmp(root->fields[i].name, name, WI_ROOT_NAME_SIZE))
            return &root->fields[i];
    return NULL;
}

const char *ps_name(const struct wi_root_names *names, uint64_t value)
{
    // The names come from another process: they may lack their end.
    if (value >= names->count || value >= WI_ROOT_NAMES ||
        !memchr(names->name[value], '\0', WI_ROOT_NAME_SIZE))
        return "?";
    return names->name[value];
}

static enum ps_object object_of(const char *wait)
{
    static const char *const with_fd[] = {"read", "write", "accept", "connect",
                                          "fd"};

    for (size_t i = 0; i < sizeof(with_fd) / sizeof(*with_fd); i++)
        if (!strcmp(wait, with_fd[i]))
            return PS_FD;
    return !strcmp(wait, "future")  ? PS_FUTURE
           : !strcmp(wait, "group") ? PS_GROUP
                                    : PS_ADDRESS;
}

struct ps_model ps_model_of(const struct wi_root *root)
{
    struct ps_model model = {.root = root};

    for (size_t i = 0; i < WI_ROOT_NAMES; i++) {
        const char *phase = ps_name(&root->phases, i);
        model.done[i] = !strcmp(phase, "done");
        model.running[i] = !strcmp(phase, "running");
        model.object[i] = (uint8_t)object_of(ps_name(&root->waits, i));
    }
    return model;
}

bool ps_is_done(const struct ps_row *row)
{
    uint32_t phase = row->state & row->model->root->phase_mask;
    return phase < WI_ROOT_NAMES && row->model->done[phase];
}

const char *ps_state(const struct ps_row *row)
{
    const struct wi_root *root = row->model->root;
    uint32_t phase = row->state & root->phase_mask;
    bool parked = row->owner & root->owner_parked;
    bool thread = row->owner & root->owner_thread;
    unsigned tag = row->edge & ((1u << (root->tag_bits & 3)) - 1);

    if (phase >= WI_ROOT_NAMES || !row->model->running[phase])
        return ps_name(&root->phases, phase);
    if (row->wait_kind == 0)
        return parked ? "ready" : "running";
    // One that runs its child inside a join waits, though it is not parked.
    return parked || thread || tag != 0 ? "waiting" : "ready";
}

const char *ps_kind(const struct ps_row *row)
{
    return ps_name(&row->model->root->kinds, row->kind);
}

const char *ps_wait(const struct ps_row *row)
{
    return ps_name(&row->model->root->waits, row->wait_kind);
}

enum ps_object ps_wait_object(const struct ps_row *row)
{
    return row->wait_kind < WI_ROOT_NAMES
               ? (enum ps_object)row->model->object[row->wait_kind]
               : PS_ADDRESS;
}

// Texts -----------------------------------------------------------------------

char *ps_table_text(struct ps_table *table, size_t size)
{
    struct ps_texts *texts = calloc(1, sizeof(*texts) + size);

    if (!texts)
        return NULL;
    texts->next = table->texts;
    table->texts = texts;
    return texts->text;
}

void ps_table_free(struct ps_table *table)
{
    struct ps_texts *next;

    for (struct ps_texts *texts = table->texts; texts; texts = next) {
        next = texts->next;
        free(texts);
    }
    free(table->rows);
    free(table->by_id);
    free(table->by_address);
    free(table->by_group);
    free(table->undone);
    free(table->models);
}
