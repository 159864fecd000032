// SPDX-License-Identifier: MIT
//
// connect.c: Happy Eyeballs (RFC 8305). The addresses of a host are put in an
// order that alternates between the families. Attempts are sockets that are
// being connected, all watched by one descriptor set, so that a single wait of
// the caller sees them all; no tasks are needed, and a plain thread does the
// same as a task. The next attempt begins when the last one has had its head
// start, or at once when one fails; the first that succeeds ends the race.
#include <weft/net.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <weft/dns.h>
#include <weft/error.h>
#include <weft/io.h>
#include <weft/scope.h>

#include "base/options.h"
#include "loop/fd.h"
#include "net/fd_stream.h"
#include "net/socket.h"
#include "os/event.h"
#include "os/last_errno.h"
#include "os/report.h"
#include "os/socket.h"
#include "os/watch.h"

#define STAGGER 0.25

struct race {
    const struct weft_connect_options *options;
    struct weft_address list[WI_NET_ADDRESSES];
    int fds[WI_NET_ADDRESSES]; // of attempts under way; -1: none
    unsigned count, next;      // addresses; the next one to try
    unsigned flying;           // attempts under way
    int set;                   // watches them
    int code;                  // of the preferred address that has failed
    unsigned failed;           // its place
};

// A socket that connects to an address of its own machine from the very port
// that it wants to reach gets through to itself. Nobody listens there.
static bool is_connected_to_itself(int fd, const struct weft_address *to)
{
    struct weft_address from = {.len = sizeof(from.storage)};

    if (to->storage.ss_family == AF_UNIX || weft_address_port(to) < 1024)
        return false;
    if (wi_os_local_address(fd, (struct sockaddr *)&from.storage, &from.len) <
            0 ||
        weft_address_port(&from) != weft_address_port(to))
        return false;
    if (to->storage.ss_family == AF_INET6)
        return !memcmp(&((struct sockaddr_in6 *)&from.storage)->sin6_addr,
                       &((const struct sockaddr_in6 *)&to->storage)->sin6_addr,
                       sizeof(struct in6_addr));
    return ((struct sockaddr_in *)&from.storage)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)&to->storage)->sin_addr.s_addr;
}

static int open_socket(const struct weft_address *to,
                       const struct weft_connect_options *options)
{
    const struct weft_address *local = options->local;
    int rc, fd = wi_socket_new(to->storage.ss_family, SOCK_STREAM,
                               &options->socket);

    if (fd < 0 || local == NULL)
        return fd;
    rc = wi_os_bind(fd, wi_sockaddr(local), local->len);
    if (rc == 0)
        return fd;
    wi_os_close(fd);
    return rc;
}

// One address: no race --------------------------------------------------------

static int connect_one(const struct weft_address *to, weft_stream **stream,
                       const struct weft_connect_options *options)
{
    int rc, fd = open_socket(to, options);

    if (fd < 0)
        return fd;
    rc = weft_connect(fd, wi_sockaddr(to), to->len);
    if (rc == 0 && is_connected_to_itself(fd, to))
        rc = -ECONNREFUSED;
    if (rc == 0)
        return wi_stream_of_socket(fd, to->storage.ss_family != AF_UNIX,
                                   stream);
    weft_close(fd);
    return rc;
}

// The race --------------------------------------------------------------------

static void lost(struct race *r, unsigned i, int code)
{
    if (r->fds[i] >= 0) {
        wi_os_close(r->fds[i]);
        r->flying--;
    }
    r->fds[i] = -1;
    if (r->code == 0 || i < r->failed) {
        r->code = code;
        r->failed = i;
    }
}

// Begins the next attempt. A failure of it is noted, not returned.
static void begin_next(struct race *r)
{
    unsigned i = r->next++;
    int rc, fd = open_socket(&r->list[i], r->options);

    if (fd < 0) {
        lost(r, i, fd);
        return;
    }
    r->fds[i] = fd;
    r->flying++;
    rc = wi_os_connect_begin(fd, wi_sockaddr(&r->list[i]), r->list[i].len);
    if (rc == 0 || rc == -EINPROGRESS)
        rc = wi_os_watch_add_writer(r->set, fd);
    if (rc < 0)
        lost(r, i, rc);
}

// Looks at all attempts: the descriptor of one that has won, or -1.
static int look(struct race *r)
{
    for (unsigned i = 0; i < r->next; i++) {
        int rc, fd = r->fds[i];

        if (fd < 0)
            continue;
        rc = wi_os_connect_result(fd);
        if (rc == 0 && is_connected_to_itself(fd, &r->list[i]))
            rc = -ECONNREFUSED;
        if (rc == 0) {
            r->fds[i] = -1;
            return fd;
        }
        if (rc != -EINPROGRESS)
            lost(r, i, rc);
    }
    return -1;
}

// Until an attempt is decided, or the head start of the last one is over.
static int await_news(struct race *r)
{
    double stagger = r->options->stagger > 0 ? r->options->stagger : STAGGER;
    struct weft_scope scope;
    int rc;

    if (r->next == r->count)
        return weft_fd_wait(r->set, WEFT_READABLE);
    weft_timeout_enter(&scope, stagger);
    rc = weft_fd_wait(r->set, WEFT_READABLE);
    weft_scope_leave(&scope);
    if (rc != -ETIMEDOUT)
        return rc;
    rc = wi_check_scopes();
    if (rc == 0)
        begin_next(r);
    return rc;
}

// The descriptor of the winner, or a negative code.
static int run_race(struct race *r)
{
    for (;;) {
        int fd, rc;

        while (r->flying == 0 && r->next < r->count)
            begin_next(r);
        fd = look(r);
        if (fd >= 0)
            return fd;
        if (r->flying == 0 && r->next == r->count)
            return r->code;
        if (r->flying == 0)
            continue;
        rc = await_news(r);
        if (rc < 0)
            return rc;
    }
}

// Alternates between the families, beginning with that of the first.
static void put_in_order(struct weft_address *list, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        unsigned k = i;

        while (k < n &&
               list[k].storage.ss_family == list[i - 1].storage.ss_family)
            k++;
        if (k == n)
            return;
        struct weft_address other = list[k];
        memmove(&list[i + 1], &list[i], (k - i) * sizeof(*list));
        list[i] = other;
    }
}

static int race(struct race *r, weft_stream **stream)
{
    int fd;

    r->set = wi_os_watch_open();
    if (r->set < 0)
        return r->set;
    put_in_order(r->list, r->count);
    fd = run_race(r);
    for (unsigned i = 0; i < r->next; i++)
        if (r->fds[i] >= 0)
            wi_os_close(r->fds[i]);
    weft_close(r->set);
    if (fd < 0)
        return fd;
    struct wi_fd *record = wi_fd_get(fd);
    if (record != NULL)
        wi_fd_adopt_client(record);
    return wi_stream_of_socket(fd, true, stream);
}

int weft_tcp_connect_with(const char *host, uint16_t port, weft_stream **stream,
                          const struct weft_connect_options *options)
{
    WI_OPTIONS(options);
    wi_require(host != NULL && stream != NULL, stream,
               "host and stream must not be NULL");
    struct race r = {.options = options};
    int saved = wi_os_errno(), rc;
    ssize_t n = weft_resolve(host, port, r.list, WI_NET_ADDRESSES,
                             .family = options->family);

    if (n <= 0)
        return n < 0 ? (int)n : -WEFT_ENOHOST;
    r.count = n < WI_NET_ADDRESSES ? (unsigned)n : WI_NET_ADDRESSES;
    rc = r.count == 1 ? connect_one(&r.list[0], stream, options)
                      : race(&r, stream);
    wi_os_set_errno(saved);
    return rc;
}

int weft_address_connect_with(const struct weft_address *address,
                              weft_stream **stream,
                              const struct weft_connect_options *options)
{
    WI_OPTIONS(options);
    wi_require(address != NULL && stream != NULL, stream,
               "address and stream must not be NULL");
    int saved = errno, rc = wi_check_scopes();

    if (rc == 0)
        rc = connect_one(address, stream, options);
    errno = saved;
    return rc;
}

int weft_unix_connect_with(const char *path, weft_stream **stream,
                           const struct weft_connect_options *options)
{
    wi_need(stream);
    WI_OPTIONS(options);
    wi_require(path != NULL, stream, "the path must not be NULL");
    struct weft_address address;
    int rc = weft_address_unix(&address, path, options->abstract);

    if (rc < 0)
        return rc;
    return weft_address_connect_with(&address, stream, options);
}
