// SPDX-License-Identifier: MIT
#include "process/pipes.h"

#include <errno.h>
#include <stdlib.h>

#include "future/external.h"
#include "os/event.h"
#include "os/pipe.h"

int wi_pipes_open(const bool want[3], int ours[3], int theirs[3],
                  struct wi_pipes **pipes)
{
    struct wi_pipes *all = malloc(sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    *all = (struct wi_pipes){{-1, -1, -1}};
    *pipes = all;
    for (int i = 0; i < 3; i++) {
        int rc = want[i] ? wi_os_pipe(i == 0, &ours[i], &theirs[i]) : 0;
        if (rc < 0)
            return rc;
        if (want[i])
            all->fd[i] = ours[i];
    }
    return 0;
}

void wi_pipes_free(void *pipes)
{
    struct wi_pipes *all = pipes;
    for (int i = 0; i < 3 && all != NULL; i++)
        if (all->fd[i] >= 0)
            wi_os_close(all->fd[i]);
    free(all);
}

void wi_pipes_leave(weft_future *f, struct wi_pipes *pipes)
{
    struct wi_extra *extra = wi_of_future(f)->extra;
    extra->kept = pipes;
    extra->let_go = wi_pipes_free;
}

int wi_pipes_take(weft_future *f, int i)
{
    struct wi_task *t = wi_of_future(f);
    if (t->kind != WI_KIND_PROCESS)
        return -EINVAL;
    struct wi_pipes *pipes = t->extra->kept;
    // relaxed: a number, of which one caller gets hold
    int fd = pipes == NULL
                 ? -1
                 : __atomic_exchange_n(&pipes->fd[i], -1, __ATOMIC_RELAXED);
    return fd < 0 ? -ENODATA : fd;
}

void wi_pipes_return(weft_future *f, int i, int fd)
{
    struct wi_pipes *pipes = wi_of_future(f)->extra->kept;
    __atomic_store_n(&pipes->fd[i], fd, __ATOMIC_RELAXED);
}
