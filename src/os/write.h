// SPDX-License-Identifier: MIT
//
// write.h: a line on standard error, from anywhere.
#ifndef WI_OS_WRITE_H
#define WI_OS_WRITE_H

#include <stddef.h>

// Writes all of it to standard error, or gives up at the first error.
void wi_os_write_error(const char *text, size_t size);

#endif
