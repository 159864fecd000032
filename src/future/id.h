// SPDX-License-Identifier: MIT
//
// id.h: opening a future by its id.
#ifndef WI_FUTURE_ID_H
#define WI_FUTURE_ID_H

#include <weft/future.h>

// Set in a worker process: opens a future of the parent. NULL: unknown.
extern weft_future *(*wi_future_open_remote)(uint64_t id);

#endif
