// SPDX-License-Identifier: MIT
#include <weft/net.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "os/report.h"
#include "os/socket.h"

int weft_address_parse(struct weft_address *address, const char *host,
                       uint16_t port)
{
    wi_need(address);
    wi_require(host != NULL, address, "the host must not be NULL");
    int saved = errno;
    int rc = wi_os_parse_address(host, port, &address->storage, &address->len);

    errno = saved;
    return rc;
}

int weft_address_unix(struct weft_address *address, const char *path,
                      bool abstract)
{
    wi_need(address);
    wi_need(path);
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t size = strlen(path);

    if (size == 0 || (path[0] == '@' && !abstract))
        return -EINVAL;
    if (size >= sizeof(un->sun_path))
        return -ENAMETOOLONG;
    memset(&address->storage, 0, sizeof(address->storage));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, size);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (path[0] == '@')
        un->sun_path[0] = '\0';
    else
        address->len++; // the NUL at its end
    return 0;
}

uint16_t weft_address_port(const struct weft_address *address)
{
    wi_need(address);
    return wi_os_port(&address->storage);
}

static size_t unix_text(const struct weft_address *address, char *text,
                        size_t size)
{
    const struct sockaddr_un *un =
        (const struct sockaddr_un *)&address->storage;
    size_t length = address->len - offsetof(struct sockaddr_un, sun_path);
    bool named = length > 0 && un->sun_path[0] != '\0';

    if (address->len <= offsetof(struct sockaddr_un, sun_path))
        return (size_t)snprintf(text, size, "unix:");
    if (named)
        return (size_t)snprintf(text, size, "%.*s", (int)length, un->sun_path);
    return (size_t)snprintf(text, size, "@%.*s", (int)length - 1,
                            un->sun_path + 1);
}

size_t weft_address_text(const struct weft_address *address, char *text,
                         size_t size)
{
    wi_need(address);
    wi_need(text);
    int family = address->storage.ss_family;
    char host[64];

    if (address->len == 0)
        return (size_t)snprintf(text, size, "none");
    if (family == AF_UNIX)
        return unix_text(address, text, size);
    if (family != AF_INET && family != AF_INET6)
        return (size_t)snprintf(text, size, "family %d", family);
    wi_os_address_host(&address->storage, host, sizeof(host));
    return (size_t)snprintf(text, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u",
                            host, weft_address_port(address));
}

static int end_of(int fd, struct weft_address *address,
                  int (*ask)(int fd, struct sockaddr *addr, socklen_t *len))
{
    int saved = errno, rc;

    address->len = sizeof(address->storage);
    rc = ask(fd, (struct sockaddr *)&address->storage, &address->len);
    if (rc < 0)
        address->len = 0;
    errno = saved;
    return rc;
}

int weft_socket_peer(int fd, struct weft_address *address)
{
    wi_need(address);
    return end_of(fd, address, wi_os_peer_address);
}

int weft_socket_local(int fd, struct weft_address *address)
{
    wi_need(address);
    return end_of(fd, address, wi_os_local_address);
}

int weft_stream_peer(weft_stream *s, struct weft_address *address)
{
    wi_need(s);
    wi_need(address);
    return weft_socket_peer(weft_stream_fd(s), address);
}

int weft_stream_local(weft_stream *s, struct weft_address *address)
{
    wi_need(s);
    wi_need(address);
    return weft_socket_local(weft_stream_fd(s), address);
}
