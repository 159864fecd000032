// SPDX-License-Identifier: MIT
#include "net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "os/event.h"
#include "os/socket.h"

// Asks after `seconds` of silence, and then three times in as many seconds.
static int set_keepalive(int fd, double seconds)
{
    int idle = seconds < 1 ? 1 : seconds > 32767 ? 32767 : (int)seconds;
    int between = idle / 3 > 0 ? idle / 3 : 1;
    int rc = wi_os_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);

    if (rc == 0)
        rc = wi_os_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    if (rc == 0)
        rc = wi_os_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, between);
    if (rc == 0)
        rc = wi_os_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    return rc;
}

static int set_options(int fd, bool tcp,
                       const struct weft_socket_options *options)
{
    int rc = 0;

    if (tcp && !options->nagle)
        rc = wi_os_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rc == 0 && tcp && options->keepalive > 0)
        rc = set_keepalive(fd, options->keepalive);
    if (rc == 0 && options->send_buffer > 0)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_SNDBUF, options->send_buffer);
    if (rc == 0 && options->receive_buffer > 0)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_RCVBUF,
                              options->receive_buffer);
    return rc;
}

int wi_socket_new(int family, int type,
                  const struct weft_socket_options *options)
{
    int fd = wi_os_socket(family, type), rc;

    if (fd < 0)
        return fd;
    rc = set_options(fd, type == SOCK_STREAM && family != AF_UNIX, options);
    if (rc == 0)
        return fd;
    wi_os_close(fd);
    return rc;
}
