// SPDX-License-Identifier: MIT
//
// dns.h: names to addresses and back. The C library does it, with all that the
// machine is set up for, on a few threads of its own; whoever waits can give up
// at any time.
#ifndef WEFT_DNS_H
#define WEFT_DNS_H

#include <weft/base.h>
#include <weft/net.h>

struct weft_resolve_options {
    size_t size;
    int family;   // AF_INET, AF_INET6; 0: both
    bool passive; // addresses to listen on; host may then be NULL: any
};

WEFT_BEGIN

// Looks up a host, by name or number, and fills in up to `room` addresses, the
// preferred ones first, each with the port. Returns how many the host has,
// which may be more than room. Numbers are answered at once. Blocks: the caller
// only. Cancels: yes. Threads: any. Errors: -WEFT_ENOHOST, there is no such
// name, or it has no address of the family; -WEFT_ERESOLVE, the answer cannot
// be had at present; -ENAMETOOLONG, no name can be that long, or a part of it;
// -EINVAL, it is empty; -ENOMEM, -EAGAIN (no thread); -ECANCELED, -ETIMEDOUT.
// Since 0.1.
WEFT_API ssize_t weft_resolve_with(const char *host, uint16_t port,
                                   struct weft_address *list, size_t room,
                                   const struct weft_resolve_options *options);

// The name of an address; size 1025 is enough for any. Returns 0; -WEFT_ENOHOST
// if it has none, -ENAMETOOLONG; otherwise as weft_resolve_with. Since 0.1.
WEFT_API int weft_resolve_name(const struct weft_address *address, char *host,
                               size_t size);

WEFT_END

#ifndef __cplusplus
#define weft_resolve(...) WEFT_RESOLVE_(__VA_ARGS__, )
#define WEFT_RESOLVE_(host, port, list, room, ...)                             \
    weft_resolve_with((host), (port), (list), (room),                          \
                      WEFT_OPTIONS(weft_resolve_options, __VA_ARGS__))
#else
inline ssize_t weft_resolve(const char *host, uint16_t port, weft_address *list,
                            size_t room, weft_resolve_options o = {})
{
    o.size = sizeof o;
    return weft_resolve_with(host, port, list, room, &o);
}
#endif

#endif
