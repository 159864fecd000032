// SPDX-License-Identifier: MIT
//
// place.h: the descriptors of a child, seen from the child.
#ifndef WI_OS_PLACE_H
#define WI_OS_PLACE_H

#include "os/launch.h"

// Moves l->fds and l->stdio to their places and closes all others, but *also
// (-1: none), which may get another number. 0 or a negative code.
int wi_os_place_fds(const struct wi_os_launch *l, int *also);

// The same without closing any: l->fds go to numbers that are free, one after
// another. Returns the first of these or a negative code.
int wi_os_add_fds(const struct wi_os_launch *l);

void wi_os_join_group(enum wi_launch_group group);

#endif
