// SPDX-License-Identifier: MIT
//
// ps_target.h: the memory of another process, or of one that has ended and left
// a core file, and Weft's root in it. Nothing is stopped, and nothing runs in
// the target.
#ifndef WEFT_CLI_PS_TARGET_H
#define WEFT_CLI_PS_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "inspect/root.h"

enum { PS_ROOTS_MAX = 8 };

struct ps_core;

struct ps_target {
    pid_t pid;
    struct ps_core *core; // NULL: a process
    size_t count;         // of roots: one for each copy of Weft in the process
    struct wi_root roots[PS_ROOTS_MAX];
    unsigned images; // that were searched
    uint64_t notes;  // bytes of them
    bool newer;      // a root was of a version that this program cannot read
};

// Finds the roots. 0; -ESRCH, -EPERM; -ENOENT: it has no memory of its own (a
// kernel thread, or it has ended); -ENOEXEC: no Weft in it.
int ps_target_open(struct ps_target *target, pid_t pid);
// The same in a core file. 0; -ENOEXEC: it is none (then core is NULL), or
// there is no Weft in it; or why the file cannot be read.
int ps_target_open_core(struct ps_target *target, const char *path);
void ps_target_close(struct ps_target *target);

// Reads size bytes at address. 0, or a negative code.
int ps_target_read(const struct ps_target *target, uint64_t address, void *to,
                   size_t size);

// One piece of a batch.
struct ps_piece {
    uint64_t address;
    void *to;
    size_t size;
};

// Reads many small pieces with few system calls, and puts them in the order of
// their addresses. What cannot be read is left as it is.
void ps_target_read_pieces(const struct ps_target *target,
                           struct ps_piece *pieces, size_t n);

#endif
