// SPDX-License-Identifier: MIT
//
// listener.c: sockets that listen, and single connections from them.
//
// A listener on several addresses has several sockets, and who accepts from it
// waits for all of them at once, by a descriptor set. Such sockets are shared
// from the first (fd.h), so that no loop takes connections from them that
// nobody has asked for yet. The usual server has one socket, for IPv6 and IPv4.
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include <weft/dns.h>
#include <weft/error.h>
#include <weft/io.h>
#include <weft/task.h>

#include "base/options.h"
#include "future/group.h"
#include "loop/fd.h"
#include "net/fd_stream.h"
#include "net/socket.h"
#include "os/event.h"
#include "os/last_errno.h"
#include "os/report.h"
#include "os/watch.h"
#include "sched/idle.h"

enum {
    BACKLOG = 4096,
    FAILURES = 8, // of accept in a row that are taken for as many connections
    PORT_TRIES = 16, // to find one port that is free on several addresses
};

#define MOST_PAUSE 1.0 // seconds

// -EPERM is what a firewall's rule makes of one connection; and of every wait,
// a machine that refuses the backend which was asked for.
static bool has_loop(void)
{
    int rc;

    return wi_loop_here(&rc) != NULL || rc == 0;
}

bool wi_accept_again(int code)
{
    switch (-code) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    case EPERM:
        return has_loop();
    default:
        return false;
    }
}

bool wi_accept_is_failing(unsigned failures)
{
    return failures > FAILURES;
}

int wi_accept_rest(unsigned failures)
{
    double pause = 0.001;

    if (!wi_accept_is_failing(failures))
        return 0;
    for (; failures > FAILURES + 1 && pause < MOST_PAUSE; failures--)
        pause *= 2;
    return weft_sleep(pause < MOST_PAUSE ? pause : MOST_PAUSE);
}

bool wi_listener_stopped(weft_listener *listener)
{
    wi_mutex_lock(&listener->lock);
    bool stopped = listener->stopped;
    wi_mutex_unlock(&listener->lock);
    return stopped;
}

// Making ----------------------------------------------------------------------

static weft_listener *new_listener(unsigned room, bool tcp)
{
    weft_listener *l = calloc(1, sizeof(*l) + room * sizeof(l->fds[0]));

    if (l != NULL) {
        l->tcp = tcp;
        l->set = -1;
    }
    return l;
}

static int add_socket(weft_listener *l, const struct weft_address *address,
                      bool only_v6, const struct weft_listen_options *options)
{
    int family = address->storage.ss_family;
    int fd = wi_socket_new(family, SOCK_STREAM, &options->socket), rc = 0;

    if (fd < 0)
        return fd;
    if (l->tcp)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && options->reuse_port)
        rc = wi_os_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0 && family == AF_INET6)
        rc = wi_os_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
    if (rc == 0 && options->mode != 0)
        rc = wi_os_set_mode(fd, options->mode);
    if (rc == 0)
        rc = wi_os_bind(fd, wi_sockaddr(address), address->len);
    if (rc == 0)
        rc =
            wi_os_listen(fd, options->backlog > 0 ? options->backlog : BACKLOG);
    if (rc < 0)
        wi_os_close(fd);
    else
        l->fds[l->count++] = fd;
    return rc;
}

static int watch_all(weft_listener *l)
{
    int rc = 0;

    if (l->count < 2)
        return 0;
    l->set = wi_os_watch_open();
    for (unsigned i = 0; l->set >= 0 && rc == 0 && i < l->count; i++) {
        struct wi_fd *record = wi_fd_get(l->fds[i]);

        rc =
            record != NULL ? wi_os_watch_add(l->set, l->fds[i], NULL) : -ENOMEM;
        if (rc == 0)
            wi_fd_share(record, NULL);
    }
    return l->set < 0 ? l->set : rc;
}

static int finish(weft_listener *l, int rc, weft_listener **listener)
{
    if (rc == 0)
        rc = watch_all(l);
    if (rc == 0)
        *listener = l;
    else
        weft_listener_close(l);
    return rc;
}

// TCP -------------------------------------------------------------------------

static void close_sockets(weft_listener *l)
{
    while (l->count > 0)
        weft_close(l->fds[--l->count]);
}

// All addresses get the same port: that of the first, if the caller leaves it
// to the system.
static int bind_all(weft_listener *l, struct weft_address *list, unsigned n,
                    const struct weft_listen_options *options)
{
    for (unsigned i = 0; i < n; i++) {
        struct weft_address first;
        int rc;

        if (i > 0 && weft_address_port(&list[i]) == 0 &&
            weft_listener_address(l, 0, &first) == 0)
            wi_os_set_port(&list[i].storage, weft_address_port(&first));
        rc = add_socket(l, &list[i], true, options);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int bind_all_or_retry(weft_listener *l, const struct weft_address *list,
                             unsigned n,
                             const struct weft_listen_options *options)
{
    struct weft_address copy[WI_NET_ADDRESSES];
    int rc = -EADDRINUSE;

    for (int i = 0; i < PORT_TRIES && rc == -EADDRINUSE; i++) {
        close_sockets(l);
        memcpy(copy, list, n * sizeof(*list));
        rc = bind_all(l, copy, n, options);
        if (n == 1 || weft_address_port(&list[0]) != 0)
            break; // the port is as asked for
    }
    return rc;
}

// The addresses of one more host, without those that stand there already.
static int add_host(const char *host, uint16_t port, int family,
                    struct weft_address *list, unsigned *n)
{
    struct weft_address found[WI_NET_ADDRESSES];
    ssize_t count = weft_resolve(host, port, found, WI_NET_ADDRESSES,
                                 .family = family, .passive = true);

    if (count > WI_NET_ADDRESSES)
        count = WI_NET_ADDRESSES;
    for (ssize_t i = 0; i < count; i++) {
        bool known = false;

        for (unsigned k = 0; k < *n; k++)
            known |= list[k].len == found[i].len &&
                     !memcmp(&list[k].storage, &found[i].storage, found[i].len);
        if (known)
            continue;
        if (*n == WI_NET_ADDRESSES)
            return -E2BIG;
        list[(*n)++] = found[i];
    }
    return count < 0 ? (int)count : 0;
}

// One socket for all addresses of the machine; without IPv6, of IPv4.
static int listen_everywhere(weft_listener *l, uint16_t port,
                             const struct weft_listen_options *options)
{
    struct weft_address any;
    int rc = -EAFNOSUPPORT;

    if (options->family != AF_INET) {
        weft_address_parse(&any, "::", port);
        rc = add_socket(l, &any, options->family == AF_INET6, options);
    }
    if (options->family == AF_INET ||
        (options->family == 0 &&
         (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))) {
        weft_address_parse(&any, "0.0.0.0", port);
        rc = add_socket(l, &any, false, options);
    }
    return rc;
}

static int listen_tcp(weft_listener *l, const char *host, uint16_t port,
                      const struct weft_listen_options *options)
{
    struct weft_address list[WI_NET_ADDRESSES];
    unsigned n = 0;
    int rc;

    if (host == NULL)
        return listen_everywhere(l, port, options);
    rc = add_host(host, port, options->family, list, &n);
    for (size_t i = 0; rc == 0 && i < options->also_count; i++)
        rc = add_host(options->also[i], port, options->family, list, &n);
    if (rc == 0)
        rc = bind_all_or_retry(l, list, n, options);
    return rc;
}

int weft_tcp_listen_with(const char *host, uint16_t port,
                         weft_listener **listener,
                         const struct weft_listen_options *options)
{
    wi_need(listener);
    WI_OPTIONS(options);
    wi_require(host != NULL || options->also_count == 0, listener,
               "every address and others beside them: leave .also empty");
    int saved = wi_os_errno(), rc = wi_check_scopes();
    weft_listener *l = rc == 0 ? new_listener(WI_NET_ADDRESSES, true) : NULL;

    if (l == NULL)
        return rc < 0 ? rc : -ENOMEM;
    rc = finish(l, listen_tcp(l, host, port, options), listener);
    wi_os_set_errno(saved);
    return rc;
}

// Unix sockets ----------------------------------------------------------------

// Whether the file at `path` is a stream socket that nobody listens on any
// more. Asked with a socket of another type, so that a listener which is alive
// sees no connection: it makes the answer EPROTOTYPE.
static bool is_stale(const struct weft_address *address, const char *path)
{
    struct wi_os_identity identity;
    int rc, fd;

    if (wi_os_path_identity(path, &identity) < 0)
        return false;
    fd = wi_os_socket(AF_UNIX, SOCK_DGRAM);
    if (fd < 0)
        return false;
    rc = wi_os_connect_begin(fd, wi_sockaddr(address), address->len);
    wi_os_close(fd);
    return rc == -ECONNREFUSED;
}

static int listen_unix(weft_listener *l, const char *path,
                       const struct weft_listen_options *options)
{
    struct weft_address address;
    int rc = weft_address_unix(&address, path, options->abstract);

    if (rc < 0)
        return rc;
    rc = add_socket(l, &address, false, options);
    if (path[0] == '@')
        return rc;
    if (rc == -EADDRINUSE && is_stale(&address, path)) {
        wi_os_unlink(path);
        rc = add_socket(l, &address, false, options);
    }
    if (rc < 0)
        return rc;
    l->path = malloc(strlen(path) + 1);
    if (l->path == NULL) {
        wi_os_unlink(path);
        return -ENOMEM;
    }
    memcpy(l->path, path, strlen(path) + 1);
    return wi_os_path_identity(path, &l->identity);
}

int weft_unix_listen_with(const char *path, weft_listener **listener,
                          const struct weft_listen_options *options)
{
    wi_need(listener);
    WI_OPTIONS(options);
    wi_require(path != NULL, listener, "the path must not be NULL");
    int saved = errno, rc;
    weft_listener *l = new_listener(1, false);

    if (l == NULL)
        return -ENOMEM;
    rc = finish(l, listen_unix(l, path, options), listener);
    errno = saved;
    return rc;
}

// Any -------------------------------------------------------------------------

int weft_listener_open(int fd, weft_listener **listener)
{
    wi_need(listener);
    int saved = errno;
    int listens = wi_os_get_option(fd, SOL_SOCKET, SO_ACCEPTCONN);
    int domain = wi_os_get_option(fd, SOL_SOCKET, SO_DOMAIN);
    weft_listener *l = listens > 0 ? new_listener(1, domain != AF_UNIX) : NULL;

    errno = saved;
    if (listens <= 0)
        return listens < 0 ? listens : -EINVAL;
    if (l == NULL)
        return -ENOMEM;
    wi_os_set_nonblocking(fd);
    if (l->tcp) { // a refusal only makes the connections slower
        // They inherit it, but for those that are there already.
        wi_os_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        l->early = wi_os_pending(fd);
    }
    errno = saved;
    l->fds[l->count++] = fd;
    *listener = l;
    return 0;
}

int weft_listener_address(weft_listener *l, size_t i,
                          struct weft_address *address)
{
    wi_require(l != NULL, NULL, "listener must not be NULL");
    wi_need(address);
    int saved = errno, rc;

    if (i >= l->count)
        return -ENOENT;
    address->len = sizeof(address->storage);
    rc = wi_os_local_address(l->fds[i], (struct sockaddr *)&address->storage,
                             &address->len);
    errno = saved;
    return rc;
}

// Accepting -------------------------------------------------------------------

// Whether it is one of the connections that came early.
static bool is_early(weft_listener *l)
{
    unsigned left = __atomic_load_n(&l->early, __ATOMIC_RELAXED);

    // relaxed: it is a count, and nothing else depends on it
    while (left > 0 &&
           !__atomic_compare_exchange_n(&l->early, &left, left - 1, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return left > 0;
}

int wi_listener_stream(weft_listener *l, int fd, weft_stream **stream)
{
    int saved = errno;

    if (is_early(l))
        wi_os_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    errno = saved;
    return wi_stream_of_socket(fd, l->tcp, stream);
}

// One attempt at each socket, from another one each time: one that is always
// busy does not keep the others waiting.
static int try_each(weft_listener *l, struct weft_address *peer)
{
    // relaxed: any of them will do
    unsigned turn = __atomic_fetch_add(&l->turn, 1, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < l->count; i++) {
        struct wi_io io = {
            .code = WI_IO_ACCEPT,
            .fd = l->fds[(turn + i) % l->count],
            .addr = (struct sockaddr *)&peer->storage,
            .addr_len = &peer->len,
            .own = true,
        };
        ssize_t n;
        int rc;

        peer->len = sizeof(peer->storage);
        n = wi_try(&io, WI_FD_TCP);
        if (n >= 0)
            wi_fd_adopt((int)n, WI_FD_TCP, wi_loop_here(&rc));
        if (n != -EAGAIN)
            return (int)n;
    }
    return -EAGAIN;
}

static int try_all(weft_listener *l, struct weft_address *peer)
{
    int saved = wi_os_errno(), rc = try_each(l, peer);

    wi_os_set_errno(saved);
    return rc;
}

static int accept_any(weft_listener *l, struct weft_address *peer)
{
    int rc = wi_check_scopes();

    while (rc >= 0) {
        rc = try_all(l, peer);
        if (rc != -EAGAIN)
            return rc;
        rc = weft_fd_wait(l->set, WEFT_READABLE);
    }
    return rc;
}

static int accept_one(weft_listener *l, struct weft_address *peer)
{
    if (l->set >= 0)
        return accept_any(l, peer);
    peer->len = sizeof(peer->storage);
    return wi_io_accept_own(l->fds[0], (struct sockaddr *)&peer->storage,
                            &peer->len);
}

// What a stop makes of an accept, unless its caller's scopes end it as well.
static int stopped_code(void)
{
    int rc = wi_check_scopes();

    return rc < 0 ? rc : -WEFT_ECLOSED;
}

// From here to `leave` a stop cancels the caller's waits.
static int enter(weft_listener *l, struct wi_visit *visit)
{
    visit->scope = wi_group_try_open();
    if (visit->scope == NULL)
        return -ENOMEM;
    wi_mutex_lock(&l->lock);
    bool stopped = l->stopped;
    if (!stopped) {
        visit->prev = NULL;
        visit->next = l->visits;
        if (visit->next != NULL)
            visit->next->prev = visit;
        l->visits = visit;
    }
    wi_mutex_unlock(&l->lock);
    if (!stopped)
        return 0;
    weft_group_close(visit->scope);
    return stopped_code();
}

// Gives what has become of the visit: code, unless a stop made it of nothing.
static ssize_t leave(weft_listener *l, struct wi_visit *visit, ssize_t code)
{
    wi_mutex_lock(&l->lock);
    if (visit->next != NULL)
        visit->next->prev = visit->prev;
    if (visit->prev != NULL)
        visit->prev->next = visit->next;
    else
        l->visits = visit->next;
    bool stopped = l->stopped;
    wi_mutex_unlock(&l->lock);
    weft_group_close(visit->scope);
    return code == -ECANCELED && stopped ? stopped_code() : code;
}

static int accept_next(weft_listener *l, struct weft_address *peer)
{
    unsigned failures = 0;
    int fd;

    do {
        fd = wi_accept_rest(failures++);
        if (fd == 0)
            fd = accept_one(l, peer);
    } while (fd < 0 && wi_accept_again(fd));
    return fd;
}

int weft_listener_accept(weft_listener *l, weft_stream **stream,
                         struct weft_address *peer)
{
    wi_require(l != NULL, NULL, "listener must not be NULL");
    wi_need(stream);
    struct weft_address unused;
    struct wi_visit visit;
    int fd = enter(l, &visit);

    if (fd == 0)
        fd = (int)leave(l, &visit,
                        accept_next(l, peer != NULL ? peer : &unused));
    return fd < 0 ? fd : wi_listener_stream(l, fd, stream);
}

ssize_t weft_listener_await(weft_listener *l, weft_stream *stream)
{
    wi_require(l != NULL, NULL, "listener must not be NULL");
    wi_need(stream);
    struct wi_visit visit;
    bool there = weft_stream_buffered(stream) > 0;
    int rc = there ? 0 : enter(l, &visit);
    ssize_t n = rc < 0 ? rc : weft_stream_await(stream);

    return there || rc < 0 ? n : leave(l, &visit, n);
}

// Ending ----------------------------------------------------------------------

void wi_listener_shut(weft_listener *l)
{
    struct wi_os_identity now;
    int saved = errno;

    if (l->path != NULL && wi_os_path_identity(l->path, &now) == 0 &&
        now.device == l->identity.device && now.number == l->identity.number)
        wi_os_unlink(l->path);
    free(l->path);
    l->path = NULL;
    if (l->set >= 0)
        weft_close(l->set);
    l->set = -1;
    close_sockets(l);
    errno = saved;
}

void weft_listener_stop(weft_listener *l)
{
    wi_require(l != NULL, NULL, "listener must not be NULL");
    wi_mutex_lock(&l->lock);
    l->stopped = true;
    if (l->serving != NULL)
        weft_group_cancel(l->serving);
    for (struct wi_visit *v = l->visits; v != NULL; v = v->next)
        weft_group_cancel(v->scope);
    wi_mutex_unlock(&l->lock);
}

void weft_listener_close(weft_listener *l)
{
    if (l == NULL)
        return;
    wi_mutex_lock(&l->lock);
    bool served = l->serving != NULL, visited = l->visits != NULL;
    wi_mutex_unlock(&l->lock);
    wi_require(!served, l,
               "the listener is still served: stop it, and let weft_serve end");
    wi_require(!visited, l,
               "somebody is still in weft_listener_accept or _await: stop the "
               "listener, and wait until they have left");
    wi_listener_shut(l);
    free(l);
}
