// SPDX-License-Identifier: MIT
//
// handle.h: executors of the parent, in a worker.
#ifndef WI_PROCESS_HANDLE_H
#define WI_PROCESS_HANDLE_H

#include <weft/executor.h>

// Set in a worker: the parent's pool with this id (0: its own), and the id.
extern weft_executor *(*wi_executor_open_remote)(uint64_t id);
extern uint64_t (*wi_executor_id_remote)(weft_executor *ex);

#endif
