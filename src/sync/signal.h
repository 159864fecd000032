// SPDX-License-Identifier: MIT
//
// signal.h: the inside of a set of signals, for select.
#ifndef WI_SYNC_SIGNAL_H
#define WI_SYNC_SIGNAL_H

#include <weft/signal.h>

#include "os/signal_watch.h"

struct weft_signals {
    struct wi_os_signal_watch watch;
    int code; // what open met with
};

#endif
