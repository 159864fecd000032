// SPDX-License-Identifier: MIT
//
// serve.c: the accept loop. Who calls weft_serve waits; the work is done by
// tasks in two groups that it owns:
//
//   acceptors     one task a socket, in a group of their own, so that a stop
//                 can cancel them and nobody else
//   connections   one task a connection
//
// A stop cancels the acceptors, closes the sockets, and waits for the
// connections, first with patience, then having canceled them. A cancel or a
// deadline of the caller cancels both groups at once.
//
// Acceptors pause while there are as many connections as are allowed, or while
// the system has no descriptor or memory for one more. Then new connections
// stand in the kernel's queue, and an acceptor goes on when a connection has
// ended, or after a moment, since others may have given descriptors back. They
// pause as well when accept goes on failing for another reason that may pass.
#include <weft/net.h>

#include <errno.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/task.h>

#include "base/options.h"
#include "future/external.h"
#include "future/group.h"
#include "loop/loop.h"
#include "net/listener.h"
#include "os/report.h"
#include "sched/park.h"

#define PAUSE 0.1 // seconds

struct server;

struct acceptor {
    struct server *server;
    int fd;
    unsigned failures;    // of accept, in a row
    struct wi_task *task; // under the server's lock: pauses
};

struct server {
    weft_listener *listener;
    weft_handler *handler;
    void *arg;
    const struct weft_serve_options *options;
    weft_group *connections;
    struct wi_task *owner; // who called weft_serve
    struct wi_mutex lock;  // for all below
    size_t live;           // connections
    size_t ends;           // connections that have ended, ever
    unsigned accepting;    // acceptors
    int code;              // what ended one of them
    bool reported;         // that descriptors ran out: once is enough
    unsigned count;
    struct acceptor acceptors[];
};

struct connection {
    struct server *server;
    weft_stream *stream;
};

// Connections -----------------------------------------------------------------

static bool is_ordinary(int code)
{
    return code >= 0 || code == -ECANCELED || code == -EPIPE ||
           code == -ECONNRESET || code == -ETIMEDOUT;
}

static void tell_failure(const struct server *server, int code,
                         const struct weft_address *peer)
{
    if (server->options->on_failure != NULL)
        server->options->on_failure(code, peer, server->arg);
    else
        wi_future_unobserved(code, "a connection", "a handler of weft_serve");
}

// The last touch of the server by a connection.
static void connection_ended(struct server *server)
{
    wi_mutex_lock(&server->lock);
    server->live--;
    server->ends++;
    for (unsigned i = 0; i < server->count; i++)
        if (server->acceptors[i].task != NULL)
            wi_unpark(server->acceptors[i].task);
    struct wi_task *owner = server->live == 0 ? server->owner : NULL;
    wi_mutex_unlock(&server->lock);
    if (owner != NULL)
        wi_unpark(owner);
}

static void connection_drop(void *arg)
{
    struct connection *c = arg;
    struct server *server = c->server;

    weft_stream_close(c->stream);
    free(c);
    connection_ended(server);
}

static int connection_body(void *arg)
{
    struct connection *c = arg;
    struct server *server = c->server;
    struct weft_address peer;
    int code = server->handler(c->stream, server->arg);
    bool failed = !is_ordinary(code);

    if (failed)
        weft_stream_peer(c->stream, &peer); // its len is 0 if that fails
    weft_stream_close(c->stream);
    free(c);
    if (failed)
        tell_failure(server, code, &peer);
    connection_ended(server);
    return 0;
}

// Acceptors -------------------------------------------------------------------

static bool is_exhausted(int code)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM ||
           code == -ENOBUFS;
}

static bool is_full(const struct server *server)
{
    return server->options->limit != 0 &&
           server->live >= server->options->limit;
}

static void set_pausing(struct acceptor *a, struct wi_task *task)
{
    wi_mutex_lock(&a->server->lock);
    a->task = task;
    wi_mutex_unlock(&a->server->lock);
}

// Waits while the server is full. `take`: then takes a place.
static int await_place(struct acceptor *a, bool take)
{
    const struct wi_wait wait = {
        .object = a->server->listener,
        .deadline = WI_FOREVER,
        .kind = WI_WAIT_ACCEPT,
        .flags = WI_SCOPED,
    };
    bool full;
    int rc = 0;

    do {
        wi_mutex_lock(&a->server->lock);
        full = is_full(a->server);
        a->task = full ? wi_self() : NULL;
        a->server->live += take && !full;
        wi_mutex_unlock(&a->server->lock);
        if (full)
            rc = wi_park(&wait);
    } while (full && rc == 0);
    if (rc < 0)
        set_pausing(a, NULL);
    return rc;
}

// In a place of its own, which is taken already.
static int start_in_place(struct server *server, int fd)
{
    struct connection *c = malloc(sizeof(*c));
    weft_future *f;
    int rc;

    if (c == NULL) {
        weft_close(fd);
        return -ENOMEM;
    }
    rc = wi_listener_stream(server->listener, fd, &c->stream);
    if (rc < 0) {
        free(c);
        return rc;
    }
    c->server = server;
    f = weft_task_start(connection_body, c, .group = server->connections,
                        .drop = connection_drop, .name = server->options->name);
    weft_future_code(f); // one that was dropped has been told to the peer
    weft_future_unref(f);
    return 0;
}

// Another acceptor may have had the last place meanwhile: then the connection
// waits here.
static int start_connection(struct acceptor *a, int fd)
{
    int rc = await_place(a, true);

    if (rc < 0) {
        weft_close(fd);
        return rc;
    }
    rc = start_in_place(a->server, fd);
    if (rc < 0)
        connection_ended(a->server);
    return rc;
}

// Waits until a connection has ended, or for a moment.
static int await_descriptors(struct acceptor *a)
{
    struct server *server = a->server;
    struct wi_wait wait = {
        .object = server->listener,
        .deadline = wi_deadline_in(PAUSE, "weft_serve"),
        .kind = WI_WAIT_ACCEPT,
        .flags = WI_SCOPED,
    };
    size_t ends;
    bool first, ended;
    int rc = 0;

    wi_mutex_lock(&server->lock);
    ends = server->ends;
    a->task = wi_self();
    first = !server->reported;
    server->reported = true;
    wi_mutex_unlock(&server->lock);
    if (first)
        wi_report("weft_serve: no descriptor or memory for a connection; new "
                  "ones wait until there is");
    do {
        rc = wi_park(&wait);
        wi_mutex_lock(&server->lock);
        ended = server->ends != ends;
        wi_mutex_unlock(&server->lock);
    } while (rc == 0 && !ended);
    set_pausing(a, NULL);
    return rc == -ETIMEDOUT ? wi_check_scopes() : rc;
}

// No connection has come of it, and perhaps none will for a while.
static int try_again(struct acceptor *a, int code)
{
    if (wi_accept_is_failing(++a->failures) &&
        !wi_accept_is_failing(a->failures - 1))
        wi_report("weft_serve: no connection can be accepted: %s (%s); it is "
                  "tried again less and less often",
                  weft_strerror(code), weft_error_name(code));
    return wi_accept_rest(a->failures);
}

static int accept_next(struct acceptor *a)
{
    int rc = await_place(a, false);

    if (rc < 0)
        return rc;
    rc = wi_io_accept_own(a->fd, NULL, NULL);
    if (wi_accept_again(rc))
        return try_again(a, rc);
    a->failures = 0;
    if (rc >= 0)
        rc = start_connection(a, rc);
    return is_exhausted(rc) ? await_descriptors(a) : rc;
}

static int acceptor_body(void *arg)
{
    struct acceptor *a = arg;
    struct server *server = a->server;
    int rc;

    do
        rc = accept_next(a);
    while (rc == 0);
    wi_mutex_lock(&server->lock);
    if (server->code == 0)
        server->code = rc;
    server->accepting--;
    wi_unpark(server->owner);
    wi_mutex_unlock(&server->lock);
    return rc;
}

static void acceptor_drop(void *arg)
{
    struct acceptor *a = arg;

    wi_mutex_lock(&a->server->lock);
    if (a->server->code == 0)
        a->server->code = -ECANCELED;
    a->server->accepting--;
    wi_unpark(a->server->owner);
    wi_mutex_unlock(&a->server->lock);
}

// The server ------------------------------------------------------------------

static bool is_over(struct server *server, bool connections)
{
    wi_mutex_lock(&server->lock);
    bool over = connections ? server->live == 0 : server->accepting == 0;
    wi_mutex_unlock(&server->lock);
    return over;
}

// When the caller's scopes end the wait, it ends the acceptors, and goes on
// waiting for them.
static void await_acceptors(struct server *server, weft_group *group)
{
    struct wi_wait wait = {
        .object = server->listener,
        .deadline = WI_FOREVER,
        .kind = WI_WAIT_GROUP,
        .flags = WI_SCOPED,
    };

    while (!is_over(server, false)) {
        if (wi_park(&wait) < 0 && wait.flags != 0) {
            weft_group_cancel(group);
            wait.flags = 0;
        }
    }
}

// One that was never started is in no group that could hear of it.
static void not_started(struct server *server, weft_group *group, int code)
{
    wi_mutex_lock(&server->lock);
    if (server->code == 0 || server->code == -ECANCELED) // of its drop
        server->code = code;
    wi_mutex_unlock(&server->lock);
    weft_group_cancel(group);
}

static void accept_all(struct server *server, weft_group *group)
{
    for (unsigned i = 0; i < server->count; i++) {
        weft_future *f = weft_task_start(acceptor_body, &server->acceptors[i],
                                         .group = group, .drop = acceptor_drop,
                                         .name = "weft_serve");
        int code = weft_done(f) ? weft_future_code(f) : 0;

        if (code < 0 && code != -WEFT_EJOBCANCELED)
            not_started(server, group, code);
        weft_future_unref(f);
    }
    await_acceptors(server, group);
}

// Lets the connections end in their own time, and cancels those that take too
// much of it.
static void drain(struct server *server)
{
    double wanted = server->options->grace;
    double grace = wanted != 0 ? wanted : WI_DEFAULT_GRACE;
    const struct wi_wait wait = {
        .object = server->listener,
        .deadline = wi_deadline_in(grace, "weft_serve"),
        .kind = WI_WAIT_GROUP,
        .flags = WI_SCOPED,
    };
    int rc = 0;

    while (rc == 0 && !is_over(server, true))
        rc = wi_park(&wait);
    if (rc < 0)
        weft_group_cancel(server->connections);
}

// 0: the listener may be served, and this group accepts from it.
static int enter(weft_listener *listener, weft_group *group)
{
    int rc = 0;

    wi_mutex_lock(&listener->lock);
    wi_require_in("weft_serve_with", listener->serving == NULL, listener,
                  "a listener is served once at a time");
    if (listener->stopped)
        rc = -WEFT_ECLOSED;
    else
        listener->serving = group;
    wi_mutex_unlock(&listener->lock);
    return rc;
}

static void leave(weft_listener *listener)
{
    wi_mutex_lock(&listener->lock);
    listener->serving = NULL;
    wi_mutex_unlock(&listener->lock);
}

// Accepts until it is stopped, which gives 0, or until something ends that.
static int run_acceptors(struct server *server)
{
    weft_listener *listener = server->listener;
    weft_group *group = weft_group_open(.name = "weft_serve");
    int rc = enter(listener, group);

    if (rc == 0) {
        accept_all(server, group);
        leave(listener);
        rc = server->code;
    }
    weft_group_close(group);
    return wi_listener_stopped(listener) && rc != -WEFT_ECLOSED ? 0 : rc;
}

static int run(struct server *server)
{
    int rc, why;

    server->connections =
        weft_group_open(.name = "connections", .grace = server->options->grace);
    wi_group_bear_failures(server->connections);
    rc = run_acceptors(server);
    if (rc == 0) {
        wi_listener_shut(server->listener);
        drain(server);
    } else {
        weft_group_cancel(server->connections);
    }
    weft_group_close(server->connections);
    why = wi_check_scopes();
    return why < 0 ? why : rc;
}

static struct server *new_server(weft_listener *listener, weft_handler *handler,
                                 void *arg,
                                 const struct weft_serve_options *options)
{
    unsigned count = listener->count;
    struct server *server =
        calloc(1, sizeof(*server) + count * sizeof(server->acceptors[0]));

    if (server == NULL)
        return NULL;
    server->listener = listener;
    server->handler = handler;
    server->arg = arg;
    server->options = options;
    server->owner = wi_self();
    server->count = server->accepting = count;
    for (unsigned i = 0; i < count; i++) {
        server->acceptors[i].server = server;
        server->acceptors[i].fd = listener->fds[i];
    }
    return server;
}

int weft_serve_with(weft_listener *listener, weft_handler *handler, void *arg,
                    const struct weft_serve_options *options)
{
    WI_OPTIONS(options);
    wi_require(listener != NULL && handler != NULL, listener,
               "listener and handler must not be NULL");
    int rc = wi_check_scopes();
    struct server *server;

    if (rc == 0 && wi_listener_stopped(listener))
        rc = -WEFT_ECLOSED;
    if (rc < 0)
        return rc;
    server = new_server(listener, handler, arg, options);
    if (server == NULL)
        return -ENOMEM;
    rc = run(server);
    free(server);
    return rc;
}
