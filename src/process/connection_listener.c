// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>
#include <weft/io.h>
#include <weft/task.h>

#include "base/fresh.h"
#include "os/event.h"
#include "os/local.h"
#include "os/report.h"
#include "process/connection.h"
#include "sched/park.h"

enum { MOST_NAME = 79 };

struct local_listener {
    weft_connection_listener base;
    int fd;
    char *path; // to be removed; NULL: none
};

static bool is_path(const char *name)
{
    return strchr(name, '/') != NULL;
}

static int whole_name(char whole[WI_LOCAL_NAME], const char *name)
{
    size_t n = strnlen(name, MOST_NAME + 1);
    if (n == 0 || n > MOST_NAME)
        return -EINVAL;
    snprintf(whole, WI_LOCAL_NAME, "weft-at/%u/%s", wi_os_user(), name);
    return 0;
}

static int listen_at(const char *name)
{
    char whole[WI_LOCAL_NAME];
    if (is_path(name))
        return wi_os_local_listen_at(name);
    int rc = whole_name(whole, name);
    return rc < 0 ? rc : wi_os_local_listen(whole);
}

static int connect_to(const char *name)
{
    char whole[WI_LOCAL_NAME];
    int rc = 0;
    if (is_path(name))
        rc = wi_os_local_connect_at(name);
    else if ((rc = whole_name(whole, name)) == 0)
        rc = wi_os_local_connect(whole);
    return rc == -ECONNREFUSED ? -ENOENT : rc;
}

static struct local_listener *of(weft_connection_listener *l)
{
    return (struct local_listener *)l;
}

static void local_close(weft_connection_listener *base)
{
    struct local_listener *l = of(base);
    if (l->path != NULL)
        wi_os_local_unlink(l->path);
    weft_close(l->fd);
    free(l);
}

static int local_fd(weft_connection_listener *l)
{
    return of(l)->fd;
}

// l may be gone once a wait was ended by its close.
static int local_accept(weft_connection_listener *l, weft_connection **c)
{
    int at = of(l)->fd, rc = wi_check_scopes();
    while (rc >= 0) {
        int fd = wi_os_local_accept(at);
        if (fd == -EAGAIN) {
            rc = weft_fd_wait(at, WEFT_READABLE);
        } else if (fd == -ECONNABORTED || fd == -EINTR) {
            continue;
        } else if (fd < 0) {
            return fd;
        } else if (wi_os_local_same_user(fd)) {
            return wi_connection_new(fd, c);
        } else {
            wi_os_close(fd);
        }
    }
    return rc;
}

static const struct weft_connection_listener_ops local_ops = {
    .size = sizeof local_ops,
    .kind = "local",
    .accept = local_accept,
    .fd = local_fd,
    .close = local_close,
};

int weft_connection_listen(const char *name, weft_connection_listener **l)
{
    wi_need(name);
    wi_need(l);
    if (wi_forked())
        return -WEFT_EFORKED;
    size_t size = strlen(name) + 1;
    struct local_listener *made = malloc(sizeof *made + size);
    if (made == NULL)
        return -ENOMEM;
    made->base.ops = &local_ops;
    made->path = is_path(name) ? memcpy(made + 1, name, size) : NULL;
    made->fd = listen_at(name);
    if (made->fd >= 0) {
        *l = &made->base;
        return 0;
    }
    int rc = made->fd;
    free(made);
    return rc;
}

// A listener with too many in its queue cannot be waited for.
int weft_connection_open(const char *name, weft_connection **c)
{
    wi_need(name);
    wi_need(c);
    if (wi_forked())
        return -WEFT_EFORKED;
    int rc = wi_check_scopes(), fd = -EAGAIN;
    for (double pause = 0.001; rc == 0 && fd == -EAGAIN; pause *= 2) {
        fd = connect_to(name);
        if (fd == -EAGAIN)
            rc = weft_sleep(pause < 0.1 ? pause : 0.1);
    }
    if (rc < 0)
        return rc;
    if (fd < 0)
        return fd;
    if (wi_os_local_same_user(fd))
        return wi_connection_new(fd, c);
    wi_os_close(fd);
    return -EACCES;
}
