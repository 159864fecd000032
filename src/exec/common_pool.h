// SPDX-License-Identifier: MIT
//
// common_pool.h: pools that the process has one of: made at their first use,
// and never closed.
#ifndef WI_EXEC_COMMON_POOL_H
#define WI_EXEC_COMMON_POOL_H

#include <weft/executor.h>

#include "os/futex.h"

struct wi_common_pool {
    struct wi_mutex lock;
    weft_executor *executor;     // under the lock
    struct wi_common_pool *next; // among those that were made
};

// The pool, made with these options if this is the first use. Any thread.
weft_executor *
wi_common_pool_get(struct wi_common_pool *pool,
                   const struct weft_thread_pool_options *options);

#endif
