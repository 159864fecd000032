// SPDX-License-Identifier: MIT
#include "os/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int outcome(int rc)
{
    return rc < 0 ? -errno : rc;
}

int wi_os_socket(int family, int type)
{
    return outcome(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

int wi_os_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return outcome(bind(fd, addr, len));
}

int wi_os_listen(int fd, int backlog)
{
    return outcome(listen(fd, backlog));
}

int wi_os_shutdown_write(int fd)
{
    return outcome(shutdown(fd, SHUT_WR));
}

int wi_os_local_address(int fd, struct sockaddr *addr, socklen_t *len)
{
    return outcome(getsockname(fd, addr, len));
}

int wi_os_peer_address(int fd, struct sockaddr *addr, socklen_t *len)
{
    return outcome(getpeername(fd, addr, len));
}

int wi_os_set_option(int fd, int level, int name, int value)
{
    return outcome(setsockopt(fd, level, name, &value, sizeof(value)));
}

int wi_os_get_option(int fd, int level, int name)
{
    int value = 0;
    socklen_t size = sizeof(value);

    if (getsockopt(fd, level, name, &value, &size) < 0)
        return -errno;
    return value;
}

int wi_os_linger_never(int fd)
{
    const struct linger never = {.l_onoff = 1, .l_linger = 0};

    return outcome(
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof(never)));
}

int wi_os_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    return outcome(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

static const char *socket_kind(int fd)
{
    int domain = wi_os_get_option(fd, SOL_SOCKET, SO_DOMAIN);
    int type = wi_os_get_option(fd, SOL_SOCKET, SO_TYPE);

    if (domain == AF_UNIX)
        return "unix";
    if (domain == AF_INET || domain == AF_INET6)
        return type == SOCK_STREAM ? "tcp" : type == SOCK_DGRAM ? "udp" : "ip";
    return "socket";
}

const char *wi_os_fd_kind(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return NULL;
    if (S_ISSOCK(st.st_mode))
        return socket_kind(fd);
    if (S_ISFIFO(st.st_mode))
        return "pipe";
    if (S_ISCHR(st.st_mode))
        return isatty(fd) ? "tty" : "device";
    return S_ISREG(st.st_mode) ? "file" : "device";
}

bool wi_os_is_write_only(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY;
}
