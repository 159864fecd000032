// SPDX-License-Identifier: MIT
//
// resolve.h: the C library's resolver. Both calls block their thread, perhaps
// for many seconds.
#ifndef WI_OS_RESOLVE_H
#define WI_OS_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/net.h>

// The addresses of host (NULL with `passive`: any) in *list, from malloc, with
// port 0. Their number or a negative code.
int wi_os_resolve(const char *host, int family, bool passive,
                  struct weft_address **list);

// The name of an address. 0 or a negative code.
int wi_os_resolve_name(const struct weft_address *address, char *host,
                       size_t size);

#endif
