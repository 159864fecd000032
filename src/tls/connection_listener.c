// SPDX-License-Identifier: MIT
//
// connection_listener.c: who wants a connection over TLS.
//
// A handshake takes as long as the peer likes. So that a peer which says
// nothing holds up nobody, a thread of the listener's own takes the peers in,
// and tasks of the default loop do the handshakes, each with a deadline;
// weft_connection_accept takes from those that are through. There are PLACES
// for peers that are at it or through and not yet accepted; further ones wait
// in the kernel's queue.
#include "tls/connection.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weft/error.h>
#include <weft/queue.h>
#include <weft/scope.h>
#include <weft/semaphore.h>
#include <weft/thread.h>

#include "base/options.h"
#include "os/report.h"

enum { PLACES = 64 };

struct tls_listener {
    weft_connection_listener base;
    unsigned refs; // the owner's, and one for each that waits in accept
    weft_tls *tls;
    weft_listener *listener;
    double timeout;
    void (*on_failure)(int code, void *arg);
    void *arg;
    weft_queue *ready; // of weft_connection *, with their places
    struct weft_semaphore places;
    weft_future *thread;
};

static struct tls_listener *of(weft_connection_listener *l)
{
    return (struct tls_listener *)l;
}

// One peer --------------------------------------------------------------------

struct peer {
    struct tls_listener *l;
    weft_stream *stream;
};

// Makes the peer's stream one that is verified. It is closed if that fails.
static int shake_hands(struct peer *p)
{
    int rc;
    WEFT_TIMEOUT(p->l->timeout);

    rc = wi_tls_never_ahead(p->stream);
    if (rc == 0)
        rc = weft_tls_start(p->l->tls, &p->stream);
    if (rc == 0)
        rc = wi_tls_check_mutual(p->stream);
    if (rc == 0)
        rc = wi_tls_greet(p->stream);
    if (rc < 0)
        weft_stream_close(p->stream);
    return rc;
}

static int welcome(void *arg)
{
    struct peer p = *(struct peer *)arg;
    weft_connection *c;
    int rc;

    free(arg);
    rc = shake_hands(&p);
    if (rc == 0)
        rc = wi_tls_connection_new(p.stream, &c);
    if (rc == 0 && (rc = weft_queue_put(p.l->ready, &c)) < 0)
        weft_connection_close(c);
    if (rc == 0)
        return 0;
    weft_semaphore_release(&p.l->places, 1);
    if (rc != -ECANCELED && p.l->on_failure != NULL)
        p.l->on_failure(rc, p.l->arg);
    return 0;
}

static void drop(void *arg)
{
    struct peer *p = arg;

    weft_stream_close(p->stream);
    weft_semaphore_release(&p->l->places, 1);
    free(p);
}

// The thread ------------------------------------------------------------------

// Accepts one, in a place that is taken already.
static int begin_one(struct tls_listener *l)
{
    struct peer *p = malloc(sizeof(*p));
    int rc = -ENOMEM;

    if (p != NULL) {
        p->l = l;
        rc = weft_listener_accept(l->listener, &p->stream, NULL);
    }
    if (rc == 0) {
        weft_future_unref(weft_task_start(welcome, p, .drop = drop));
        return 0;
    }
    free(p);
    weft_semaphore_release(&l->places, 1);
    return rc;
}

// What is not for ever: no memory, no descriptor, a peer that went at once.
static bool is_passing(int code)
{
    return code == -ENOMEM || code == -EMFILE || code == -ENFILE ||
           code == -ENOBUFS || code == -ECONNABORTED;
}

static int accept_all(struct tls_listener *l)
{
    int rc = 0;

    while (rc == 0) {
        rc = weft_semaphore_acquire(&l->places);
        if (rc == 0)
            rc = begin_one(l);
        if (is_passing(rc))
            rc = weft_sleep(0.01);
    }
    return rc;
}

// Until the close cancels the thread, or nobody can be accepted ever again.
// Handshakes that are at it are ended then.
static int run(void *arg)
{
    struct tls_listener *l = arg;
    weft_group *group = weft_group_open();
    int rc = accept_all(l);

    weft_group_cancel(group);
    weft_group_close(group);
    weft_queue_shutdown(l->ready, false);
    return rc == -ECANCELED ? 0 : rc;
}

// The calls -------------------------------------------------------------------

static void unref(struct tls_listener *l)
{
    weft_connection *c;

    // acq_rel: the last one sees what the others have done
    if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    while (weft_queue_get(l->ready, &c, .nowait = true) == 0)
        weft_connection_close(c);
    weft_queue_free(l->ready);
    weft_listener_close(l->listener);
    weft_tls_unref(l->tls);
    free(l);
}

static int tls_accept(weft_connection_listener *base, weft_connection **c)
{
    struct tls_listener *l = of(base);
    int rc;

    // relaxed: the owner has a reference while a call begins
    __atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
    rc = weft_queue_get(l->ready, c);
    if (rc == 0)
        weft_semaphore_release(&l->places, 1);
    unref(l);
    // As with a listener of this machine, whose descriptor is closed.
    return rc == -WEFT_ECLOSED ? -ECANCELED : rc;
}

static void tls_close(weft_connection_listener *base)
{
    struct tls_listener *l = of(base);

    weft_cancel(l->thread);
    {
        WEFT_SHIELD((double)INFINITY);
        weft_join(l->thread);
    }
    unref(l);
}

static const struct weft_connection_listener_ops listener_ops = {
    .size = sizeof(listener_ops),
    .kind = "tls",
    .accept = tls_accept,
    .close = tls_close,
};

static int begin(struct tls_listener *l, const char *host, uint16_t port,
                 const struct weft_tls_connection_options *options)
{
    int rc;

    l->base.ops = &listener_ops;
    l->refs = 1;
    l->timeout = options->timeout > 0 ? options->timeout : WI_TLS_GREETING_TIME;
    l->on_failure = options->on_failure;
    l->arg = options->arg;
    weft_semaphore_init(&l->places, PLACES);
    l->ready = weft_queue_new();
    rc = wi_tls_mutual(&l->tls, true, options);
    if (rc == 0)
        rc = weft_tcp_listen(host, port, &l->listener);
    if (rc < 0)
        return rc;
    l->thread = weft_thread_start(run, l, .name = "tls listener",
                                  .on_exit = WEFT_EXIT_CANCEL);
    return weft_done(l->thread) ? weft_join(l->thread) : 0;
}

int weft_tls_connection_listen_with(
    const char *host, uint16_t port, weft_connection_listener **made,
    const struct weft_tls_connection_options *options)
{
    wi_require(made != NULL, NULL, "l must not be NULL");
    WI_OPTIONS(options);
    struct tls_listener *l = calloc(1, sizeof(*l));
    int saved = errno, rc = -ENOMEM;

    if (options->why != NULL && options->why_size > 0)
        options->why[0] = '\0';
    if (l != NULL) {
        rc = begin(l, host, port, options);
        if (rc < 0)
            unref(l);
        else
            *made = &l->base;
    }
    errno = saved;
    return rc < 0 ? wi_tls_explain(options, rc, NULL) : 0;
}

int weft_tls_connection_address(weft_connection_listener *l,
                                struct weft_address *address)
{
    wi_need(l);
    wi_need(address);
    return l->ops == &listener_ops
               ? weft_listener_address(of(l)->listener, 0, address)
               : -EINVAL;
}
