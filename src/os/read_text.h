// SPDX-License-Identifier: MIT
#ifndef WI_OS_READ_TEXT_H
#define WI_OS_READ_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// Reads the beginning of a file of the kernel's, which gives all of it by one
// call: at most size - 1 bytes and a NUL. False if there is no such file or
// nothing in it. Takes no lock and no memory.
bool wi_os_read_text(const char *path, char *text, size_t size);

#endif
