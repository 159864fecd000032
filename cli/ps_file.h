// SPDX-License-Identifier: MIT
//
// ps_file.h: a file of somebody else's: a core, a program, a library. It is
// read, not mapped: who cuts it off meanwhile makes a read fail, where a look
// at a mapping would end the tool by SIGBUS.
#ifndef WEFT_CLI_PS_FILE_H
#define WEFT_CLI_PS_FILE_H

#include <stddef.h>
#include <stdint.h>

struct ps_file {
    int fd;
    uint64_t size; // when it was opened
};

// Opens a regular file. 0 or a negative code; -ENOEXEC: it is something else.
int ps_file_open(struct ps_file *file, const char *path);
void ps_file_close(struct ps_file *file);

// Reads size bytes at offset. 0, a negative code; -EFAULT: it has not so many.
int ps_file_read(const struct ps_file *file, uint64_t offset, void *to,
                 size_t size);

#endif
