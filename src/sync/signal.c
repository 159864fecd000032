// SPDX-License-Identifier: MIT
#include "sync/signal.h"

#include <errno.h>
#include <stdlib.h>

#include <weft/io.h>

#include "os/report.h"
#include "sched/park.h"

static weft_signals no_memory = {.code = -ENOMEM};

weft_signals *weft_signals_open(const int *signals, size_t n)
{
    wi_need_some(signals, n);
    weft_signals *s = calloc(1, sizeof *s);
    if (s == NULL)
        return &no_memory;
    for (size_t i = 0; i < n; i++) {
        if (signals[i] < 1 || signals[i] > 64)
            s->code = -EINVAL;
        else
            s->watch.mask |= (uint64_t)1 << (signals[i] - 1);
    }
    if (s->code == 0)
        s->code = wi_os_signal_watch(&s->watch);
    return s;
}

int weft_signals_wait(weft_signals *s)
{
    wi_need(s);
    int sig, rc = s->code < 0 ? s->code : wi_check_scopes();
    if (rc < 0)
        return rc;
    while ((sig = wi_os_signal_take(&s->watch)) == 0) {
        rc = weft_fd_wait(s->watch.fd, WEFT_READABLE);
        if (rc < 0)
            return rc;
        wi_os_signal_seen(&s->watch);
    }
    return sig;
}

void weft_signals_close(weft_signals *s)
{
    if (s == NULL || s == &no_memory)
        return;
    if (s->code == 0) {
        wi_os_signal_unwatch(&s->watch);
        weft_close(s->watch.fd);
    }
    free(s);
}
