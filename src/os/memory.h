// SPDX-License-Identifier: MIT
// Address space for stacks and arenas.
#ifndef WI_OS_MEMORY_H
#define WI_OS_MEMORY_H

#include <stddef.h>

struct wi_os_range {
    void *base;
    size_t size;
};

size_t wi_os_page_size(void);

// Reserve private zeroed memory that takes room when it is first touched, one
// small page at a time. Returns NULL if the kernel refuses.
void *wi_os_map(size_t size);
// The same at an address that is a multiple of the size, a power of two.
void *wi_os_map_aligned(size_t size);
void wi_os_unmap(void *base, size_t size);

// Make every access to the ranges fault, without a mapping of its own for
// each. Returns 0, or a negative code: -EINVAL below Linux 6.13.
int wi_os_guard(const struct wi_os_range *ranges, int n);

// Make every access to one range fault, on every kernel. Splits the mapping:
// -ENOMEM when vm.max_map_count is reached.
int wi_os_forbid(void *base, size_t size);

// The lowest page between low and high that has memory of its own, if all from
// there up to high are mapped; high if none has.
void *wi_os_first_touched(void *low, void *high);

// Give the memory of the ranges back; they read as zero again. Keeps guards.
void wi_os_discard(const struct wi_os_range *ranges, int n);

#endif
