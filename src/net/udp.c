// SPDX-License-Identifier: MIT
#include <weft/net.h>

#include <errno.h>

#include <weft/dns.h>
#include <weft/error.h>
#include <weft/io.h>

#include "base/options.h"
#include "net/socket.h"
#include "os/event.h"
#include "os/report.h"
#include "os/socket.h"

static int new_socket(int family, const struct weft_udp_options *options)
{
    int rc = 0, fd = wi_socket_new(family, SOCK_DGRAM, &options->socket);

    if (fd >= 0 && options->broadcast)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (fd >= 0 && rc == 0 && options->reuse_port)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0)
        return fd;
    wi_os_close(fd);
    return rc;
}

// A socket for the first address of the host with which `attach` works.
static int open_first(const char *host, uint16_t port, bool passive,
                      const struct weft_udp_options *options,
                      int (*attach)(int fd, const struct sockaddr *addr,
                                    socklen_t len))
{
    struct weft_address list[WI_NET_ADDRESSES];
    ssize_t n = weft_resolve(host, port, list, WI_NET_ADDRESSES,
                             .family = options->family, .passive = passive);
    int rc = n < 0 ? (int)n : -WEFT_ENOHOST, saved = errno;

    for (ssize_t i = 0; i < n && i < WI_NET_ADDRESSES; i++) {
        int fd = new_socket(list[i].storage.ss_family, options);

        rc = fd < 0 ? fd : attach(fd, wi_sockaddr(&list[i]), list[i].len);
        if (rc == 0) {
            rc = fd;
            break;
        }
        if (fd >= 0)
            wi_os_close(fd);
    }
    errno = saved;
    return rc;
}

int weft_udp_bind_with(const char *host, uint16_t port,
                       const struct weft_udp_options *options)
{
    WI_OPTIONS(options);
    return open_first(host, port, true, options, wi_os_bind);
}

int weft_udp_connect_with(const char *host, uint16_t port,
                          const struct weft_udp_options *options)
{
    wi_need(host);
    WI_OPTIONS(options);
    return open_first(host, port, false, options, wi_os_connect_begin);
}

ssize_t weft_udp_send(int fd, const void *buf, size_t size,
                      const struct weft_address *to)
{
    struct iovec part = {(void *)buf, size}; // read only
    struct msghdr message = {
        .msg_name = to != NULL ? (void *)&to->storage : NULL,
        .msg_namelen = to != NULL ? to->len : 0,
        .msg_iov = &part,
        .msg_iovlen = 1,
    };

    return weft_sendmsg(fd, &message, 0);
}

ssize_t weft_udp_receive(int fd, void *buf, size_t size,
                         struct weft_address *from)
{
    struct iovec part = {buf, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t n;

    if (from != NULL) {
        message.msg_name = &from->storage;
        message.msg_namelen = sizeof(from->storage);
    }
    n = weft_recvmsg(fd, &message, 0);
    if (n < 0)
        return n;
    if (from != NULL)
        from->len = message.msg_namelen;
    return message.msg_flags & MSG_TRUNC ? -WEFT_ETOOBIG : n;
}
