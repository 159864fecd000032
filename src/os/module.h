// SPDX-License-Identifier: MIT
//
// module.h: the program and its loaded libraries, as another process of the
// same build would know them again.
#ifndef WI_OS_MODULE_H
#define WI_OS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WI_BUILD_ID = 20 };

// A build: the linker's build-id, or what identifies a build without one.
struct wi_build {
    uint8_t size; // of the id, at most WI_BUILD_ID; 0: no build
    uint8_t id[WI_BUILD_ID];
};

struct wi_os_module {
    struct wi_build build;
    uintptr_t base;
};

// The module that address lies in; false: none (generated code, the heap).
bool wi_os_module_at(const void *address, struct wi_os_module *module);

// Where a place of a build lies in this process, if size bytes there belong to
// one segment of it, which is executable if `code` says so. NULL: the build is
// not loaded, or the place is none of its own.
void *wi_os_module_place(const struct wi_build *build, uint64_t offset,
                         size_t size, bool code);

// Bytes of the thread-local variables of the program and of the libraries that
// it was started with.
size_t wi_os_module_locals(void);

#endif
