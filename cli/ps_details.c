// SPDX-License-Identifier: MIT
//
// What lies outside the records. Many rows share few jobs and workers, so what
// was read once is remembered.
#include <string.h>

#include "plain.h"
#include "ps_records.h"
#include "ps_symbols.h"

enum {
    MEMO_BITS = 10,
    MEMO_SIZE = 1 << MEMO_BITS,
    MEMO_TRIES = 16,
    NAME_SIZE = 32,
    FUNCTION_SIZE = 64
};

struct memo {
    uint64_t key; // an address in the target
    const char *name;
    uint32_t native;
};

// The memo of key, or a free place for it within MEMO_TRIES; else that of
// another one.
static struct memo *place_of(struct memo memos[MEMO_SIZE], uint64_t key)
{
    size_t first = (key >> 4) * 0x9e3779b97f4a7c15u >> (64 - MEMO_BITS);

    for (size_t i = 0; i < MEMO_TRIES; i++) {
        struct memo *memo = &memos[(first + i) % MEMO_SIZE];
        if (memo->key == key || memo->key == 0)
            return memo;
    }
    return &memos[first];
}

// *fresh: its contents have to be read.
static struct memo *remember(struct memo memos[MEMO_SIZE], uint64_t key,
                             bool *fresh)
{
    struct memo *memo = place_of(memos, key);

    *fresh = memo->key != key;
    if (*fresh)
        *memo = (struct memo){.key = key};
    return memo;
}

// The pointer in a field of the structure at `from`, or 0.
static uint64_t read_pointer(const struct ps_target *target,
                             const struct wi_root *root, unsigned in,
                             const char *name, uint64_t from)
{
    const struct wi_root_field *field = ps_field(root, in, name);
    uint64_t pointer = 0;

    if (!field || field->width != sizeof(pointer) || from == 0 ||
        ps_target_read(target, from + field->offset, &pointer,
                       sizeof(pointer)) < 0)
        return 0;
    return pointer;
}

// A text of unknown length may end just before memory that is not there.
static void read_text(const struct ps_target *target, uint64_t from, char *text,
                      size_t size)
{
    if (from == 0 || ps_target_read(target, from, text, size - 1) == 0)
        return;
    for (size_t i = 0; i < size - 1; i++)
        if (ps_target_read(target, from + i, &text[i], 1) < 0 || !text[i])
            return;
}

static void add_job(struct ps_table *table, struct ps_row *row,
                    const struct ps_target *target,
                    struct memo memos[MEMO_SIZE])
{
    bool fresh;
    struct memo *memo = remember(memos, row->job, &fresh);

    if (fresh) {
        uint64_t at = read_pointer(target, row->model->root, WI_ROOT_JOB,
                                   "name", row->job);
        char *name = ps_table_text(table, NAME_SIZE);
        if (name) {
            read_text(target, at, name, NAME_SIZE);
            make_plain(name);
        }
        memo->name = name ? name : "";
    }
    row->name = memo->name;
}

// What has no name is called by what it runs.
static void add_function(struct ps_table *table, struct ps_row *row,
                         const struct ps_target *target,
                         struct memo memos[MEMO_SIZE], uint64_t *looks)
{
    bool fresh;
    struct memo *memo = remember(memos, row->job, &fresh);

    if (fresh) {
        char *name = ps_table_text(table, FUNCTION_SIZE);
        if (name && ps_symbol(target, row->job, name, FUNCTION_SIZE, looks))
            make_plain(name);
        memo->name = name ? name : "";
    }
    row->name = memo->name;
}

static bool has_function(const struct ps_row *row)
{
    const char *kind = ps_kind(row);

    return row->job && !ps_is_done(row) &&
           (strcmp(kind, "task") == 0 || strcmp(kind, "thread") == 0);
}

static void add_thread(struct ps_table *table, struct ps_row *row,
                       const struct ps_target *target,
                       struct memo memos[MEMO_SIZE])
{
    const struct wi_root *root = row->model->root;
    uint64_t worker = row->owner & ~(uint64_t)63; // flags are below a worker
    bool fresh;
    struct memo *memo = remember(memos, worker, &fresh);

    if (fresh) {
        const struct ps_row *base = ps_table_find(
            table, read_pointer(target, root, WI_ROOT_WORKER, "base", worker));
        memo->native = base ? base->native : 0;
    }
    row->native = memo->native;
}

void ps_table_details(struct ps_table *table, const struct ps_target *target)
{
    struct memo jobs[MEMO_SIZE] = {0}, workers[MEMO_SIZE] = {0};
    uint64_t looks = 0;

    for (size_t i = 0; i < table->count; i++) {
        struct ps_row *row = &table->rows[i];
        if (row->name[0] == '\0' && row->job &&
            row->kind == row->model->root->kind_job)
            add_job(table, row, target, jobs);
        else if (row->name[0] == '\0' && has_function(row))
            add_function(table, row, target, jobs, &looks);
        if (row->native == 0 && row->owner &&
            !(row->owner & row->model->root->owner_thread))
            add_thread(table, row, target, workers);
    }
}
