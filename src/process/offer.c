// SPDX-License-Identifier: MIT
//
// An abstract socket, which the supervisor watches: who connects to it and
// runs as the same user is sent the descriptor. No path, no right to look into
// the other process is needed, and nothing is left when it is killed.
#include "process/offer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <weft/io.h>

#include "os/event.h"
#include "process/supervisor.h"

struct wi_offer {
    struct wi_watch watch;
    struct wi_errand end;
    int socket;
    int fd;
};

// One caller; the socket is told again if there are more.
static void heard(struct wi_watch *watch)
{
    struct wi_offer *offer =
        (struct wi_offer *)((char *)watch - offsetof(struct wi_offer, watch));
    int fd = wi_os_local_accept(offer->socket);
    if (fd < 0)
        return;
    if (wi_os_local_same_user(fd))
        wi_os_local_give(fd, offer->fd); // there is room in a new socket
    wi_os_close(fd);
}

static void end(struct wi_errand *errand)
{
    struct wi_offer *offer =
        (struct wi_offer *)((char *)errand - offsetof(struct wi_offer, end));
    wi_supervisor_forget(offer->socket);
    wi_os_close(offer->socket);
}

int wi_offer_new(const char *name, int fd, struct wi_offer **offer)
{
    int rc = wi_supervisor_start();
    struct wi_offer *o = rc < 0 ? NULL : malloc(sizeof *o);
    if (o == NULL)
        return rc < 0 ? rc : -ENOMEM;
    *o = (struct wi_offer){.watch = {heard}, .end = {.run = end}, .fd = fd};
    o->socket = rc = wi_os_local_listen(name);
    if (rc >= 0)
        rc = wi_supervisor_watch(o->socket, &o->watch);
    if (rc >= 0) {
        *offer = o;
        return 0;
    }
    if (o->socket >= 0)
        wi_os_close(o->socket);
    free(o);
    return rc;
}

void wi_offer_free(struct wi_offer *offer)
{
    if (offer == NULL)
        return;
    if (wi_supervisor_is_self()) { // in a callback, or a .drop
        end(&offer->end);
    } else {
        wi_supervisor_post(&offer->end);
        wi_supervisor_settle();
    }
    free(offer);
}

int wi_offer_take(const char *name)
{
    int socket = wi_os_local_connect(name);
    if (socket < 0)
        return socket == -ECONNREFUSED || socket == -EAGAIN ? -ENOENT : socket;
    int fd = -ENOENT;
    if (wi_os_local_same_user(socket)) {
        do {
            int rc = weft_fd_wait(socket, WEFT_READABLE);
            fd = rc < 0 ? rc : wi_os_local_take(socket);
        } while (fd == -EAGAIN);
    }
    weft_close(socket);
    return fd == -ECONNRESET ? -ENOENT : fd;
}
