// SPDX-License-Identifier: MIT
//
// parcel.h: large arguments on their way to a job, which are copied once: at
// the submit, into pages of a file that all workers have and can only read. The
// job gets them in place (unpack.h).
//
//   made      by the submitter, filled, and the job's from then on
//   held      once more by each worker that it was given to, until the worker
//             has said what came of the job, or is gone for certain
//   kept      when nobody holds it: the next argument of about that size is
//             written into the same pages, which are there already
//   given up  when too many are kept, and when the last pool is closed
//
// What a job writes there goes into pages of its own worker (copy on write). So
// a parcel is whole for as long as it is held: a job whose worker has died gets
// the same again, and no worker can reach what is another's.
#ifndef WI_PROCESS_PARCEL_H
#define WI_PROCESS_PARCEL_H

#include <stddef.h>
#include <stdint.h>

// From so many bytes on. Of less two copies more cost no more, when so many
// wait for a worker that the pages of most were given up.
enum { WI_PARCEL_LEAST = 32 << 10 };

struct wi_parcel {
    struct wi_parcel *next; // kept
    uint64_t at;            // where in the file
    size_t size;            // whole pages
    void *bytes;
    uint32_t refs; // atomic
};

// Opens the file, for a first pool. Without it, there are no parcels.
void wi_parcel_open(void);

// For workers: a descriptor that can only read; -1: there is none.
int wi_parcel_fd(void);

// One for size bytes, held once; NULL: none is to be had, or size is too small.
// Any thread.
struct wi_parcel *wi_parcel_new(size_t size);
struct wi_parcel *wi_parcel_hold(struct wi_parcel *parcel);
void wi_parcel_drop(struct wi_parcel *parcel); // NULL is allowed

// Gives up all that are kept.
void wi_parcel_trim(void);

#endif
