// SPDX-License-Identifier: MIT
#include "os/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

static int code_of(int eai)
{
    switch (eai) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_SERVICE:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
        return -WEFT_ENOHOST;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_FAMILY:
        return -EAFNOSUPPORT;
    case EAI_OVERFLOW:
        return -ENAMETOOLONG;
    case EAI_SYSTEM:
        return errno > 0 ? -errno : -WEFT_ERESOLVE;
    default: // EAI_AGAIN, EAI_FAIL
        return -WEFT_ERESOLVE;
    }
}

static int count(const struct addrinfo *first)
{
    int n = 0;

    for (; first != NULL; first = first->ai_next)
        n++;
    return n;
}

static int copy(const struct addrinfo *first, struct weft_address **list)
{
    int n = count(first);
    struct weft_address *to = calloc(n > 0 ? (size_t)n : 1, sizeof(*to));

    if (to == NULL)
        return -ENOMEM;
    *list = to;
    for (; first != NULL; first = first->ai_next, to++) {
        to->len = first->ai_addrlen;
        memcpy(&to->storage, first->ai_addr, first->ai_addrlen);
    }
    return n;
}

int wi_os_resolve(const char *host, int family, bool passive,
                  struct weft_address **list)
{
    const struct addrinfo hints = {
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = passive ? AI_PASSIVE : 0,
    };
    struct addrinfo *found = NULL;
    int rc =
        code_of(getaddrinfo(host, host == NULL ? "0" : NULL, &hints, &found));

    if (rc < 0)
        return rc;
    rc = copy(found, list);
    freeaddrinfo(found);
    return rc;
}

int wi_os_resolve_name(const struct weft_address *address, char *host,
                       size_t size)
{
    return code_of(getnameinfo((const struct sockaddr *)&address->storage,
                               address->len, host, (socklen_t)size, NULL, 0,
                               NI_NAMEREQD));
}
