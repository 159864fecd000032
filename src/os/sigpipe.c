// SPDX-License-Identifier: MIT
//
// The signal is blocked, and taken if the call has raised it; one that had been
// pending before stays.
#include "os/sigpipe.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static void only_pipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void wi_os_sigpipe_begin(struct wi_os_sigpipe *quiet)
{
    sigset_t set;
    only_pipe(&set);
    pthread_sigmask(SIG_BLOCK, &set, &quiet->before);
    quiet->pending = false;
    // Only one that is blocked can be pending.
    if (sigismember(&quiet->before, SIGPIPE) && sigpending(&set) == 0)
        quiet->pending = sigismember(&set, SIGPIPE);
}

void wi_os_sigpipe_end(const struct wi_os_sigpipe *quiet, bool raised)
{
    const struct timespec none = {0};
    int saved = errno;
    sigset_t set;
    only_pipe(&set);
    while (raised && !quiet->pending && sigtimedwait(&set, NULL, &none) < 0 &&
           errno == EINTR)
        continue;
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}
