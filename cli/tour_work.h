// SPDX-License-Identifier: MIT
//
// tour_work.h: the two kinds of work that the tour does in every way.
#ifndef WEFT_CLI_TOUR_WORK_H
#define WEFT_CLI_TOUR_WORK_H

#include "digest.h"
#include "tour_files.h"
#include "tour_ways.h"

// Told of each way when it is done.
typedef void tour_told(void *context, const struct tour_way *way);

// Waiting: fetches `count` resources from a server of its own. Returns 0, or a
// negative code if there is nothing to fetch from.
int tour_fetch_all(struct tour_work *work, const struct tour_files *files,
                   size_t count, tour_told *told, void *context);

struct tour_sums {
    uint64_t words;
    uint8_t digest[DIGEST_SIZE]; // of all the digests, in the files' order
};

// Computing: counts the words of every file, and hashes it. Files that cannot
// be read are noted in files. Returns 0 or a negative code.
int tour_hash_all(struct tour_work *work, struct tour_files *files,
                  struct tour_sums *sums, tour_told *told, void *context);

#endif
