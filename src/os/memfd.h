// SPDX-License-Identifier: MIT
//
// memfd.h: memory that two processes share. It has no name, so there is
// nothing to unlink: it is gone when the last descriptor and mapping are.
#ifndef WI_OS_MEMFD_H
#define WI_OS_MEMFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Makes size zero bytes; the file cannot shrink, so that the other side cannot
// make a mapping fault, and cannot be sealed against writing or growing.
// Returns a close-on-exec descriptor or a negative code.
int wi_os_memfd_new(const char *name, size_t size);

// An empty one that may be sealed; `more`: MFD_ flags. A close-on-exec
// descriptor or a negative code.
int wi_os_memfd_create(const char *name, unsigned more);

// Whether a file up to `end` is beyond RLIMIT_FSIZE. A write there would raise
// SIGXFSZ: it is an error code here.
bool wi_os_file_too_big(uint64_t end);

// Maps size bytes from the start, shared and writable; a child of fork does
// not get the mapping. 0 or a negative code.
int wi_os_memfd_map(int fd, size_t size, void **map);
void wi_os_memfd_unmap(void *map, size_t size);

// The same for a range, which begins at a page. own: what is written there is
// seen by this process alone, and the file stays as it is; a descriptor that
// can only read is enough for that, and a child of fork has it as any memory.
int wi_os_memfd_map_part(int fd, uint64_t offset, size_t size, bool own,
                         void **map);

// A close-on-exec descriptor of the same file that can only read, or a
// negative code.
int wi_os_memfd_reader(int fd);

// Of a range that was mapped as `own`: takes back what this process has written
// there, so that it is as the file again. Returns how many pages that were;
// negative: it cannot be told.
int64_t wi_os_memfd_undo(void *map, size_t size);

// All size bytes at offset, beyond the mapped part too. 0 or a negative code;
// -WEFT_EPROTO if the file ends before.
int wi_os_memfd_write(int fd, uint64_t offset, const void *data, size_t size);
int wi_os_memfd_read(int fd, uint64_t offset, void *data, size_t size);

// The same into memory that is zero: what the file has no pages for, needs none
// there either.
int wi_os_memfd_read_sparse(int fd, uint64_t offset, void *data, size_t size);

// Whether the file has pages for so many bytes: what somebody says to have
// written there, he has paid for.
bool wi_os_memfd_holds(int fd, uint64_t size);

// Gives the pages of a range back to the system; it reads as zeros again.
void wi_os_memfd_punch(int fd, uint64_t offset, uint64_t size);

bool wi_os_close_on_exec(int fd); // false: fd is not open

#endif
