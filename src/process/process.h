// SPDX-License-Identifier: MIT
//
// process.h: starting a process whose function becomes another program.
#ifndef WI_PROCESS_PROCESS_H
#define WI_PROCESS_PROCESS_H

#include <weft/process.h>

// As weft_process_start_with. When fn has begun, the exit status of the process
// is the future's code.
weft_future *wi_process_start_foreign(weft_function *fn, const void *arg,
                                      size_t size,
                                      const struct weft_process_options *o);

#endif
