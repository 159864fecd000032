// SPDX-License-Identifier: MIT
//
// mapped.h: what the kernel has mapped where, as it says itself.
#ifndef WI_OS_MAPPED_H
#define WI_OS_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Which file is mapped at an address: the last part of its name, cut to size,
// and the address's offset in it as a module. false: none, or /proc is not
// there. For handlers of signals: allocates nothing and takes no lock.
bool wi_os_mapped(uint64_t address, char *name, size_t size, uint64_t *offset);

#endif
