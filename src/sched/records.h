// SPDX-License-Identifier: MIT
//
// records.h: where records come from. The essay is in records.c.
#ifndef WI_SCHED_RECORDS_H
#define WI_SCHED_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

struct wi_this_thread;
struct wi_task;
struct wi_task_chunk;

enum {
    WI_RECORD_BATCH = 64,    // records that move between threads at once
    WI_RECORDS_MOST = 256,   // free ones that a thread keeps
    WI_RECORDS_BEGIN = 4096, // the first record's offset in its chunk
    WI_RECORD_BLOCKS = 341,  // in a chunk
};

// Sixty-four records, which come and go together.
struct wi_record_block {
    uint16_t first; // generation that its records begin with, or higher
    uint16_t idle;  // while trimming: its records that nobody uses
};

// Read by `weft ps`: inspect/root.h.
struct wi_task_chunk {
    struct wi_task_chunk *next;
    uint32_t count; // records that have been made, in order
    // The rest under the lock of records.c.
    struct wi_task_chunk *next_bare; // in the list of those with bare blocks
    uint64_t bare[(WI_RECORD_BLOCKS + 63) / 64]; // bit i: block i has no memory
    uint32_t bare_count;
    struct wi_record_block blocks[WI_RECORD_BLOCKS];
};
_Static_assert(sizeof(struct wi_task_chunk) <= WI_RECORDS_BEGIN,
               "the records begin after the head");

extern struct wi_task_chunk *wi_task_chunks;

// More records and ids for this thread; false: no memory.
bool wi_task_refill(struct wi_this_thread *here);

// For the first free record of a thread, whose end gives it back from now on.
// Else gives the first batch of a full free list to the common pool.
void wi_records_spill(struct wi_this_thread *here);

// The calling thread's free list goes to the common pool.
void wi_records_leave(struct wi_this_thread *here);

// The same at its end, after which it may yet begin anew.
void wi_records_end(struct wi_this_thread *here);

// Whether there are enough free records to make a trim worth while.
bool wi_records_want_trim(void);

// Gives back the memory of free records, including the calling thread's.
// Takes some 100 ns a record; no other thread waits for it.
void wi_records_trim(struct wi_this_thread *here);

// Ids of this process begin here: in a worker process, so that its ids differ
// from those of its parent. Before the first record of another thread.
void wi_task_number_from(uint64_t first);

// Calls fn for every record ever made, free ones too.
void wi_task_each(void (*fn)(struct wi_task *t, void *arg), void *arg);

#endif
