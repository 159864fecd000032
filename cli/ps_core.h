// SPDX-License-Identifier: MIT
//
// ps_core.h: the memory of a program that has ended, in a core file.
#ifndef WEFT_CLI_PS_CORE_H
#define WEFT_CLI_PS_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ps_core;

// Opens the core file at `path`. 0 or a negative code; -ENOEXEC: it is none, or
// one of another kind of machine. *pid: of the program, 0: not known.
int ps_core_open(struct ps_core **core, const char *path, pid_t *pid);
void ps_core_close(struct ps_core *core);

// Reads size bytes at address. What the kernel left out of the core because it
// is unchanged in a file, is read from that file. 0 or -EFAULT.
int ps_core_read(struct ps_core *core, uint64_t address, void *to, size_t size);

// The file that was mapped at address, where its mapping begins and from which
// offset on; NULL: none.
const char *ps_core_file(const struct ps_core *core, uint64_t address,
                         uint64_t *begin, uint64_t *offset);

// Calls fn with the address of each program and library that was mapped.
void ps_core_images(struct ps_core *core,
                    void (*fn)(void *arg, uint64_t address), void *arg);

#endif
