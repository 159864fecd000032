// SPDX-License-Identifier: MIT
//
// open_pools.h: the pools that the program has made and not closed. At its
// exit those that still have jobs are told of: nobody waits for these, and
// what they were to do is not done.
#ifndef WI_EXEC_OPEN_POOLS_H
#define WI_EXEC_OPEN_POOLS_H

#include <stddef.h>

#include <weft/executor.h>

#include "os/futex.h"

// In a pool's object.
struct wi_open_pool {
    struct wi_open_pool *next;
    weft_executor *executor;
    char name[32];
    // How many jobs it has that have not ended, but for the caller's own. At
    // exit, on any thread: what is under a lock by wi_open_pools_read.
    size_t (*jobs)(weft_executor *executor);
};

// Adds a pool.
void wi_open_pools_add(struct wi_open_pool *pool, weft_executor *executor,
                       const char *name,
                       size_t (*jobs)(weft_executor *executor));

// Takes a pool out, if it is there: it is being closed, or Weft's own.
void wi_open_pools_remove(weft_executor *executor);

// A number that is under a pool's lock; 0 if that cannot be had.
size_t wi_open_pools_read(struct wi_mutex *lock, const size_t *number);

#endif
