// SPDX-License-Identifier: MIT
//
// segment.h: the memory of an arena: a memfd that may grow, never shrinks, and
// is mapped as a whole at once, far beyond its end. What lies beyond the end
// becomes usable in every mapping when the file grows.
#ifndef WI_OS_SEGMENT_H
#define WI_OS_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Which pages it has.
enum wi_pages {
    WI_PAGES_SMALL,
    WI_PAGES_ADVISED, // huge ones wherever the kernel makes them
    WI_PAGES_HUGE,    // from the kernel's reserve
};
enum { WI_HUGE_PAGE = 2 << 20 };

// Makes one of size zero bytes; huge pages of the reserve are there for
// certain, others come when they are touched. *pages: what is wanted, and what
// it got. A close-on-exec descriptor or a negative code.
int wi_os_segment_new(const char *name, size_t size, enum wi_pages *pages);

// Maps `limit` bytes from the start; a child of fork does not get the mapping.
int wi_os_segment_map(int fd, size_t limit, enum wi_pages pages, bool read_only,
                      void **map);
void wi_os_segment_unmap(void *map, size_t limit);

// Makes the bytes from `from`, where it ends, up to `to` be there for certain.
// 0, -ENOMEM, -EFBIG (RLIMIT_FSIZE), -EPERM (sealed).
int wi_os_segment_grow(int fd, uint64_t from, uint64_t to);

// How long the file is; -WEFT_EPROTO if it is none whose end stays.
int64_t wi_os_segment_size(int fd);
bool wi_os_segment_sealed(int fd); // whether nobody can write it any more

// Makes the file unchangeable for all, and the mapping readable only. -EBUSY:
// somebody else has it mapped for writing; then it is mapped as before.
// Nobody may use the mapping meanwhile.
int wi_os_segment_seal(int fd, void *map, size_t limit);

// Makes a memfd of size bytes that nobody will ever change.
int wi_os_sealed_new(const char *name, const void *data, size_t size);

// Whether fd is such a file of size bytes, all of which were written. What
// another process sends may be anything else: a file that has no end, or that
// makes its reader wait.
bool wi_os_sealed_has(int fd, uint64_t size);

int wi_os_random(void *bytes, size_t size); // at most 256 bytes

#endif
