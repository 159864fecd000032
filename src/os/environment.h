// SPDX-License-Identifier: MIT
//
// environment.h: what the environment sets for the library.
#ifndef WI_OS_ENVIRONMENT_H
#define WI_OS_ENVIRONMENT_H

#include <stdbool.h>

// The value of one of Weft's variables, or NULL: it is not set, is empty, has a
// value that is not one of those allowed (reported once, at the start), or the
// program has more rights than its user. `name` is one of the table's.
const char *wi_os_environment(const char *name);

// The same of one that holds a time in seconds. false: NULL.
bool wi_os_environment_seconds(const char *name, double *seconds);

#endif
