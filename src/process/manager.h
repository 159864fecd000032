// SPDX-License-Identifier: MIT
//
// manager.h: what a manager and its clients say to each other, in messages of
// a connection.
#ifndef WI_PROCESS_MANAGER_H
#define WI_PROCESS_MANAGER_H

#include <stdint.h>

#include <weft/manager.h>

#include "os/local.h"
#include "process/name.h"

#define WI_CALL_MAGIC  0x6c6c6163u
#define WI_REPLY_MAGIC 0x796c7072u

enum wi_call_kind {
    WI_CALL_JOB = 1, // the argument's bytes follow
    WI_CALL_STOP,    // end when all before is done; from the parent only
};

struct wi_call_head {
    uint32_t magic, kind;
    uint64_t call; // the client's number for it
    uint32_t version, arg_size, result_size;
    uint8_t arg_kind, result_kind, slack[2];
    char name[80]; // of the job; ends with a NUL
};
_Static_assert(sizeof(struct wi_call_head) % 16 == 0,
               "what follows is aligned");

// The result's bytes follow, or, if code < 0, a text.
struct wi_reply_head {
    uint32_t magic;
    int32_t code;
    uint64_t call;
};

// What a manager's process is started with; the bytes for `init` follow.
struct wi_manager_boot {
    char socket[WI_LOCAL_NAME]; // where the listening socket is offered
    struct wi_name init, fini;  // fini.build.size 0: none
    uint64_t size;
};

// The body of a manager's process: manager_serve.c.
int wi_manager_serve(void *boot);

#endif
