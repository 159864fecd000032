// SPDX-License-Identifier: MIT
//
// socket.h: sockets with their options set.
#ifndef WI_NET_SOCKET_H
#define WI_NET_SOCKET_H

#include <weft/net.h>

// A socket for addresses of that family, its descriptor or a negative code.
int wi_socket_new(int family, int type,
                  const struct weft_socket_options *options);

// How many addresses of a host are tried, at most.
#define WI_NET_ADDRESSES 16

static inline const struct sockaddr *
wi_sockaddr(const struct weft_address *address)
{
    return (const struct sockaddr *)&address->storage;
}

#endif
