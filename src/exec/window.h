// SPDX-License-Identifier: MIT
//
// window.h: a bound for the jobs of a thread pool that are under way.
#ifndef WI_EXEC_WINDOW_H
#define WI_EXEC_WINDOW_H

#include <stdbool.h>

#include <weft/executor.h>

// pool, or an executor around it if the options ask for a window; the pool is
// closed with it. is_own: whether a job of the pool calls. Never NULL.
weft_executor *wi_window(weft_executor *pool, bool (*is_own)(weft_executor *),
                         const struct weft_thread_pool_options *options);

// The pool in it; what is no window is returned as it is.
weft_executor *wi_window_inner(weft_executor *ex);

#endif
