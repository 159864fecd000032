// SPDX-License-Identifier: MIT
#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
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

// Of a socket that listens, the kernel puts that count there (Linux 2.6.24).
unsigned wi_os_pending(int listener)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);

    if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return 0;
    return info.tcpi_unacked;
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

// Addresses -------------------------------------------------------------------

static int parse_v6(const char *host, uint16_t port, struct sockaddr_in6 *in6)
{
    char text[INET6_ADDRSTRLEN];
    size_t size = strcspn(host, "%");

    if (size >= sizeof(text))
        return -EINVAL;
    memcpy(text, host, size);
    text[size] = '\0';
    *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                 .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return -EINVAL;
    if (host[size] == '%') {
        in6->sin6_scope_id = if_nametoindex(host + size + 1);
        if (in6->sin6_scope_id == 0)
            return -EINVAL;
    }
    return 0;
}

int wi_os_parse_address(const char *host, uint16_t port,
                        struct sockaddr_storage *to, socklen_t *len)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6;

    memset(to, 0, sizeof(*to));
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(to, &in, sizeof(in));
        *len = sizeof(in);
        return 0;
    }
    if (parse_v6(host, port, &in6) < 0)
        return -EINVAL;
    memcpy(to, &in6, sizeof(in6));
    *len = sizeof(in6);
    return 0;
}

uint16_t wi_os_port(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)addr)->sin_port);
    if (addr->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
    return 0;
}

void wi_os_set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    else if (addr->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
}

void wi_os_address_host(const struct sockaddr_storage *addr, char *text,
                        size_t size)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
    const void *bytes = &in6->sin6_addr;
    int family = addr->ss_family;

    if (family == AF_INET) {
        bytes = &((const struct sockaddr_in *)addr)->sin_addr;
    } else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        bytes = &in6->sin6_addr.s6_addr[12];
        family = AF_INET;
    }
    if (inet_ntop(family, bytes, text, (socklen_t)size) == NULL)
        text[0] = '\0';
}

// Connecting ------------------------------------------------------------------

int wi_os_connect_begin(int fd, const struct sockaddr *addr, socklen_t len)
{
    int rc;

    do
        rc = outcome(connect(fd, addr, len));
    while (rc == -EINTR);
    return rc;
}

int wi_os_connect_result(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int code;

    if (poll(&p, 1, 0) <= 0)
        return -EINPROGRESS;
    code = wi_os_get_option(fd, SOL_SOCKET, SO_ERROR);
    return code > 0 ? -code : code;
}

// Unix sockets ----------------------------------------------------------------

int wi_os_set_mode(int fd, unsigned mode)
{
    return outcome(fchmod(fd, (mode_t)mode));
}

int wi_os_path_identity(const char *path, struct wi_os_identity *identity)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    identity->device = st.st_dev;
    identity->number = st.st_ino;
    return 0;
}

int wi_os_unlink(const char *path)
{
    return outcome(unlink(path));
}
