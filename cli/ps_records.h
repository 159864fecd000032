// SPDX-License-Identifier: MIT
//
// ps_records.h: the records of a program, as one table.
#ifndef WEFT_CLI_PS_RECORDS_H
#define WEFT_CLI_PS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ps_target.h"

struct ps_row {
    uint64_t id;
    uint64_t address; // of the record
    uint64_t state;
    uint64_t kind;
    int64_t code;
    uint64_t wait_kind;
    uint64_t wait_object;
    uint64_t edge; // what alone can end the wait
    uint64_t owner;
    uint64_t group; // that joins it
    uint64_t extra;
    uint64_t job;    // what a job runs
    uint64_t native; // the kernel's id of a process, or of the thread that
                     // it is or runs on; 0: not known
    char name[32];
    bool changing; // it changed while it was read
    const struct wi_root *root;
};

// A row in a list that is sorted by `key`.
struct ps_place {
    uint64_t key;
    struct ps_row *row;
};

struct ps_table {
    struct ps_row *rows; // as they were read
    size_t count, room;
    struct ps_place *by_id;
    struct ps_place *by_address;
    bool cut; // the chain of chunks was broken
};

// Reads all records that are not free. 0 or a negative code.
int ps_table_read(struct ps_table *table, const struct ps_target *target);
void ps_table_free(struct ps_table *table);

// The one record that row waits for, or NULL: none, or several, or it ended.
const struct ps_row *ps_table_awaited(const struct ps_table *table,
                                      const struct ps_row *row);
// How many records, not yet done, the group at address waits for.
size_t ps_table_children(const struct ps_table *table, uint64_t address);

// Where a field of a structure lies, or NULL: the root does not tell.
const struct wi_root_field *ps_field(const struct wi_root *root, unsigned in,
                                     const char *name);

// The row whose record lies at address, or NULL.
const struct ps_row *ps_table_find(const struct ps_table *table,
                                   uint64_t address);

// Completes the rows from outside the records: jobs without a name get that of
// their function, tasks and jobs the thread that they run on.
void ps_table_details(struct ps_table *table, const struct ps_target *target);

// How far it is: "queued", "running", "ready", "waiting", "done".
const char *ps_state(const struct ps_row *row);

// What the root calls a value; "?" if it has no name for it.
const char *ps_name(const struct wi_root_names *names, uint64_t value);

#endif
