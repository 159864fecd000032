// SPDX-License-Identifier: MIT
//
// common_pool.h: pools that the process has one of: made at their first use,
// and never closed.
#ifndef WI_EXEC_COMMON_POOL_H
#define WI_EXEC_COMMON_POOL_H

#include <weft/executor.h>

#include "os/futex.h"

struct wi_common_pool {
    struct wi_mutex lock; // for the next two
    weft_executor *executor;
    weft_executor *broken; // what there was before, if it could not be made
    struct wi_common_pool *next; // among those that were used
};

// The pool, made with these options if this is the first use, or if it could
// not be made before. Any thread.
weft_executor *
wi_common_pool_get(struct wi_common_pool *pool,
                   const struct weft_thread_pool_options *options);

#endif
