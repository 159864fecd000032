// SPDX-License-Identifier: MIT
//
// unpack.h: parcels (parcel.h) in a worker.
#ifndef WI_PROCESS_UNPACK_H
#define WI_PROCESS_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a job has of a parcel.
struct wi_unpacked {
    void *bytes; // to read and to write
    struct wi_view *view;
    void *room;  // a copy, instead
    size_t size; // of what the job was given
};

// fd: where the pool's parcels lie. copy: the job is known to write all over
// them. false: no memory. The worker's main thread, as below.
bool wi_unpack(int fd, uint64_t at, size_t size, bool copy,
               struct wi_unpacked *u);

// The job has ended. Whether it should have had a copy.
bool wi_unpack_end(struct wi_unpacked *u);

#endif
