// SPDX-License-Identifier: MIT
//
// root.h: where a reader from outside (`weft ps`, a debugger, a core file)
// finds the records of a program, and how they are laid out.
//
// The way in: an ELF note of the program or library that holds Weft (owner
// "Weft", type 1) whose 8 bytes are the distance from themselves to the root.
// Program headers and notes are mapped, so a reader needs the memory of the
// target alone: no files, no symbols, nothing that runs in the target.
//
// The root describes itself: a reader takes offsets, widths and names from it
// and knows by heart only this structure. What a reader does not know it
// skips; what it misses it leaves out. `version` changes when a reader that
// follows these rules would be wrong.
//
// The records lie in a chain of chunks that are never freed or moved. A reader
// that races with the program may see a record while it changes, or one that
// is free by now, but never something else in its place.
#ifndef WI_INSPECT_ROOT_H
#define WI_INSPECT_ROOT_H

#include <stdint.h>

#define WI_ROOT_MAGIC     "WEFTROOT"
#define WI_ROOT_VERSION   1u
#define WI_ROOT_NOTE_NAME "Weft"
#define WI_ROOT_NOTE_TYPE 1u

enum {
    WI_ROOT_FIELDS = 32,
    WI_ROOT_NAMES = 32,
    WI_ROOT_NAME_SIZE = 16,
};

// Where a field lies in one of the structures below.
struct wi_root_field {
    char name[WI_ROOT_NAME_SIZE]; // "" ends the list
    uint16_t in;                  // enum wi_root_structure
    uint16_t width;               // bytes
    uint32_t offset;
};

enum wi_root_structure {
    WI_ROOT_CHUNK = 1,  // next, count
    WI_ROOT_RECORD = 2, // id, state, kind, wait_kind, wait_object, edge, ...
    WI_ROOT_EXTRA = 3,  // name, native
    WI_ROOT_JOB = 4,    // name: the address of a text
    WI_ROOT_WORKER = 5, // base: the record of its thread, or 0
};

// The names of the values 0, 1, ... of an enumeration.
struct wi_root_names {
    uint32_t count;
    char name[WI_ROOT_NAMES][WI_ROOT_NAME_SIZE];
};

struct wi_root {
    char magic[8]; // WI_ROOT_MAGIC without its NUL
    uint32_t version;
    uint32_t size;         // of this structure
    uint64_t chunks;       // address of the pointer to the first chunk
    uint32_t chunk_begin;  // offset of the first record in its chunk
    uint32_t record_size;  // distance from one record to the next
    uint32_t phase_mask;   // bits of `state` that say how far it is: phases
    uint32_t generation;   // bits of `state` below the record's generation
    uint32_t hint_bits;    // low bits of `edge`: the address of a record, its
                           // generation above
    uint32_t tag_bits;     // low bits of that address: what the edge names
    uint32_t one_tags;     // bit n: an edge with tag n names one record
    uint32_t owner_parked; // bits of `owner`: it is parked
    uint32_t owner_thread; // it is a plain thread; else above them: the worker
    uint32_t kind_job;     // the `kind` whose `job` is one
    struct wi_root_field fields[WI_ROOT_FIELDS];
    struct wi_root_names phases; // what the bits of phase_mask say
    struct wi_root_names kinds;  // of `kind`
    struct wi_root_names waits;  // of `wait_kind`
    // What some kinds of waits wait for begins with 8 bytes that say whose it
    // is: the hint of a record, as in `edge`, 0 for nobody, and flags below.
    uint32_t owned_waits; // bit n: so it is with `wait_kind` n
    uint32_t owned_flags; // the bits below
    uint32_t owned_far;   // one of them: it says something else
    uint32_t slack;
};

#endif
