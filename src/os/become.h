// SPDX-License-Identifier: MIT
//
// become.h: another program in place of this one.
#ifndef WI_OS_BECOME_H
#define WI_OS_BECOME_H

#include <stddef.h>

// Executes argv[0], which is looked for in PATH, with the descriptors from
// `from` on as its 3, 4, ..., n of them, and none else but 0, 1 and 2. Returns
// a negative code if that cannot be; the descriptors may have moved then.
int wi_os_become(char *const *argv, int from, size_t n);

#endif
