// SPDX-License-Identifier: MIT
//
// sandbox.h: giving up rights for good.
#ifndef WI_OS_SANDBOX_H
#define WI_OS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WI_SANDBOX_PATHS = 2048 };

struct wi_sandbox {
    uint8_t no_new_privs;
    uint8_t compute; // the system calls of a computation only
    uint8_t paths;   // of the file system only what stands in `list`
    uint8_t slack;
    uint16_t size; // of `list`
    // One after another: 'r' or 'w', the path, NUL. What is below each may be
    // read and executed, or written as well.
    char list[WI_SANDBOX_PATHS];
};

// Applies it to the calling process. 0, or a negative code with *what saying
// what failed; -ENOSYS if the kernel cannot, -EBUSY if it cannot for threads
// that run already.
int wi_os_sandbox_enter(const struct wi_sandbox *sandbox, const char **what);

#endif
