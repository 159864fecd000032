// SPDX-License-Identifier: MIT
//
// ps_records.h: the records of a program, as one table.
#ifndef WEFT_CLI_PS_RECORDS_H
#define WEFT_CLI_PS_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ps_target.h"

// What is worked out once for all records of a root.
struct ps_model;

struct ps_row {
    const struct ps_model *model;
    const char *name; // "": none. What is no text in it is made so
    uint64_t id;
    uint64_t address; // of the record
    uint64_t wait_object;
    uint64_t edge;  // what alone can end the wait
    uint64_t owned; // the first word of an object that says whose it is
    uint64_t owner;
    uint64_t group; // that joins it
    uint64_t extra;
    uint64_t job; // what a job runs, or the function of a task or thread
    uint32_t state;
    int32_t code;
    uint32_t native; // the kernel's id of a process, or of the thread that
                     // it is or runs on; 0: not known
    uint16_t kind;
    uint16_t wait_kind;
    bool changing; // it changed while it was read
};

// A row in a list that is sorted by `key`.
struct ps_place {
    uint64_t key;
    struct ps_row *row;
};

// Texts that rows point to.
struct ps_texts {
    struct ps_texts *next;
    char text[];
};

struct ps_table {
    struct ps_row *rows; // as they were read
    size_t count, room;
    struct ps_place *by_id;
    struct ps_place *by_address;
    struct ps_place *by_group;
    uint32_t *undone; // [i]: how many of the first i of these are not done
    struct ps_model *models; // one for each root
    struct ps_texts *texts;
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

// The row whose record lies at address, or NULL.
struct ps_row *ps_table_find(const struct ps_table *table, uint64_t address);
// The first of the rows, by address, that is not below it, or the end.
struct ps_place *ps_table_from(const struct ps_table *table, uint64_t address);

// Sorts the rows. 0 or -ENOMEM.
int ps_table_sort(struct ps_table *table);

// Completes the rows from outside the records: jobs, tasks and threads without
// a name get that of their function, tasks and jobs the thread that they run
// on.
void ps_table_details(struct ps_table *table, const struct ps_target *target);

// Room for texts, which lives as long as the table, or NULL.
char *ps_table_text(struct ps_table *table, size_t size);

// Of a row --------------------------------------------------------------------

// How far it is: "queued", "running", "ready", "waiting", "done".
const char *ps_state(const struct ps_row *row);
bool ps_is_done(const struct ps_row *row);
const char *ps_kind(const struct ps_row *row);
// What it waits for: "sleep", "read", ...; and what its object is, then.
const char *ps_wait(const struct ps_row *row);
enum ps_object { PS_ADDRESS, PS_FD, PS_FUTURE, PS_GROUP };
enum ps_object ps_wait_object(const struct ps_row *row);

// Of a root -------------------------------------------------------------------

struct ps_model {
    const struct wi_root *root;
    bool done[WI_ROOT_NAMES], running[WI_ROOT_NAMES]; // phases
    uint8_t object[WI_ROOT_NAMES];                    // of waits: ps_object
};

struct ps_model ps_model_of(const struct wi_root *root);

// Where a field of a structure lies, or NULL: the root does not tell.
const struct wi_root_field *ps_field(const struct wi_root *root, unsigned in,
                                     const char *name);

// What the root calls a value; "?" if it has no name for it.
const char *ps_name(const struct wi_root_names *names, uint64_t value);

#endif
