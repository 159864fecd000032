// SPDX-License-Identifier: MIT
//
// connection_listener.c: who wants a connection over TLS.
//
// A handshake takes as long as the peer likes. So that a peer which says
// nothing holds up nobody, a thread of the listener's own takes the peers in,
// and tasks of the default loop do the handshakes, each with a deadline;
// weft_connection_accept takes from those that are through. There are PLACES
// for peers that are at it or through and not yet accepted; the next one waits
// in the thread, where it may have another give way (handshakes.h), and further
// ones in the kernel's queue.
#include "tls/config.h"
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
#include "os/last_errno.h"
#include "os/report.h"
#include "tls/handshakes.h"

enum {
    PLACES = 256, // a quarter of the descriptors that a process mostly may have
    SHARES = 4,   // so many, one after the other, in the time that a peer has
};

struct tls_listener {
    weft_connection_listener base;
    unsigned refs; // the owner's, and one for each that waits in accept
    weft_tls *tls;
    weft_listener *listener;
    double timeout;
    void (*on_failure)(int code, const struct weft_address *peer, void *arg);
    void *arg;
    weft_queue *ready; // of weft_connection *, with their places
    struct weft_semaphore places;
    struct wi_handshakes handshakes;
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
    struct weft_address address;
    struct wi_handshake handshake;
};

// Makes the peer's stream one that is verified.
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
    return rc;
}

// The same as one of many, of whom some may have to give way. The stream is
// closed if that fails.
static int shake_hands_in_turn(struct peer *p)
{
    struct wi_handshakes *all = &p->l->handshakes;
    int rc = -EBUSY;

    if (wi_handshakes_start(all, &p->handshake))
        rc = shake_hands(p);
    if (wi_handshakes_end(all, &p->handshake))
        rc = -EBUSY;
    if (rc < 0)
        weft_stream_close(p->stream);
    return rc;
}

// What it calls shall work as ever, also in the task of one that gave way.
static void tell_failure(const struct tls_listener *l, int code,
                         const struct weft_address *peer)
{
    WEFT_SHIELD((double)INFINITY);

    if (l->on_failure != NULL)
        l->on_failure(code, peer, l->arg);
}

static int welcome(void *arg)
{
    struct peer *p = arg;
    struct tls_listener *l = p->l;
    struct weft_address address = p->address;
    weft_connection *c;
    int rc = shake_hands_in_turn(p);

    if (rc == 0)
        rc = wi_tls_connection_new(p->stream, &c);
    free(p);
    if (rc == 0 && (rc = weft_queue_put(l->ready, &c)) < 0)
        weft_connection_close(c);
    if (rc == 0)
        return 0;
    weft_semaphore_release(&l->places, 1);
    if (rc != -ECANCELED)
        tell_failure(l, rc, &address);
    return 0;
}

static void drop(void *arg)
{
    struct peer *p = arg;

    wi_handshakes_end(&p->l->handshakes, &p->handshake);
    weft_stream_close(p->stream);
    weft_semaphore_release(&p->l->places, 1);
    free(p);
}

// The thread ------------------------------------------------------------------

// A place for the peer that was accepted.
static int find_place(struct tls_listener *l, const struct peer *p)
{
    int rc = weft_semaphore_try(&l->places);

    if (rc != -EAGAIN)
        return rc;
    do {
        double share = l->timeout / SHARES;

        share = wi_handshakes_give_way(&l->handshakes, &p->address, share);
        rc = weft_semaphore_acquire_for(&l->places, share);
    } while (rc == -ETIMEDOUT);
    return rc;
}

static int begin_one(struct tls_listener *l)
{
    struct peer *p = malloc(sizeof(*p));
    int rc = -ENOMEM;

    if (p != NULL) {
        p->l = l;
        rc = weft_listener_accept(l->listener, &p->stream, &p->address);
    }
    if (rc < 0) {
        free(p);
        return rc;
    }
    rc = find_place(l, p);
    if (rc < 0) {
        weft_stream_close(p->stream);
        free(p);
        return rc;
    }
    wi_handshakes_begin(&l->handshakes, &p->handshake, &p->address);
    weft_future_unref(weft_task_start(welcome, p, .drop = drop));
    return 0;
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
        rc = begin_one(l);
        if (is_passing(rc))
            rc = weft_sleep(0.01);
    }
    return rc;
}

// Handshakes that are at it are ended with it. A task that cannot be queued
// fails the group of all, and cancels whoever accepts for it.
static int accept_in_group(struct tls_listener *l)
{
    weft_group *group = weft_group_open();
    int rc = accept_all(l);

    weft_group_cancel(group);
    weft_group_close(group);
    return rc;
}

// Until the close cancels the thread, or nobody can be accepted ever again.
static int run(void *arg)
{
    struct tls_listener *l = arg;
    int rc;

    do
        rc = accept_in_group(l);
    while (rc == -ECANCELED && weft_check() == 0);
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
    pthread_mutex_destroy(&l->handshakes.lock);
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
    pthread_mutex_init(&l->handshakes.lock, NULL);
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
    int saved = wi_os_errno(), rc = -ENOMEM;

    wi_tls_no_reason(options->why, options->why_size);
    if (l != NULL) {
        rc = begin(l, host, port, options);
        if (rc < 0)
            unref(l);
        else
            *made = &l->base;
    }
    wi_os_set_errno(saved);
    return rc < 0 ? wi_tls_explain(options->why, options->why_size, rc, NULL)
                  : 0;
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
