// SPDX-License-Identifier: MIT
//
// What every kind of connection and of listener has in common: the calls, with
// what is asked of their arguments.
#include <weft/connection.h>

#include <string.h>

#include <weft/error.h>

#include "base/options.h"
#include "os/report.h"

void weft_connection_close(weft_connection *c)
{
    if (c != NULL)
        c->ops->close(c);
}

int weft_connection_send_with(weft_connection *c, const void *data, size_t size,
                              const struct weft_send_options *o)
{
    wi_need_some(data, size);
    WI_OPTIONS(o);
    wi_require(c != NULL, c, "a connection is needed");
    wi_require(o->fd_count <= WEFT_MESSAGE_FDS - (o->arena != NULL), c,
               "too many descriptors in a message");
    wi_require(o->fds != NULL || o->fd_count == 0, c,
               ".fds must not be NULL: .fd_count tells of some");
    return c->ops->send(c, data, size, o);
}

ssize_t weft_connection_receive_with(weft_connection *c, void *data,
                                     size_t size,
                                     const struct weft_receive_options *o)
{
    wi_need_some(data, size);
    WI_OPTIONS(o);
    wi_require(c != NULL, c, "a connection is needed");
    wi_require(o->fds != NULL || o->fd_room == 0, c,
               ".fds must not be NULL: .fd_room tells of some");
    return c->ops->receive(c, data, size, o);
}

ssize_t weft_connection_next(weft_connection *c)
{
    wi_require(c != NULL, c, "a connection is needed");
    return c->ops->next(c);
}

int weft_connection_poll(weft_connection *c, double timeout)
{
    wi_require(c != NULL, c, "a connection is needed");
    return c->ops->poll(c, timeout);
}

int weft_connection_fd(weft_connection *c)
{
    wi_require(c != NULL, c, "a connection is needed");
    return c->ops->fd != NULL ? c->ops->fd(c) : -WEFT_ENOTLOCAL;
}

int weft_connection_peer(weft_connection *c, struct weft_peer *peer)
{
    wi_need(c);
    wi_need(peer);
    struct weft_peer whole = {.size = peer->size};
    int rc = c->ops->peer != NULL ? c->ops->peer(c, &whole) : -WEFT_ENOTLOCAL;
    if (rc == 0)
        memcpy(peer, &whole,
               peer->size < sizeof whole ? peer->size : sizeof whole);
    return rc;
}

int weft_connection_accept(weft_connection_listener *l, weft_connection **c)
{
    wi_need(c);
    wi_require(l != NULL, l, "a listener is needed");
    return l->ops->accept(l, c);
}

int weft_connection_listener_fd(weft_connection_listener *l)
{
    wi_require(l != NULL, l, "a listener is needed");
    return l->ops->fd != NULL ? l->ops->fd(l) : -WEFT_ENOTLOCAL;
}

void weft_connection_listener_close(weft_connection_listener *l)
{
    if (l != NULL)
        l->ops->close(l);
}
