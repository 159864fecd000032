// SPDX-License-Identifier: MIT
//
// signal.h: waiting for signals as for anything else. Between open and close
// the signals of the set do not do what they otherwise would: they are
// remembered, and given to whoever waits, in a task or thread of its choice,
// where every call is allowed.
//
//     weft_signals *s = weft_signals_open((int[]){SIGTERM, SIGHUP}, 2);
//     while ((rc = weft_signals_wait(s)) == SIGHUP)
//         reload();
//     weft_signals_close(s);
//
// As with all signals, one that comes again before it was taken is the same
// one. Several sets may have the same signal: each is told. They must not be
// blocked in all threads of the program.
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/base.h>

typedef struct weft_signals weft_signals;

WEFT_BEGIN

// Begins to take the n signals. Never NULL: a failure is told by
// weft_signals_wait. Threads: any. Blocks: no. Errors: -EINVAL (no signal, or
// one that cannot be waited for: SIGKILL, SIGSTOP, those of faults), -EMFILE,
// -ENOSPC (more than 64 sets are open), -ENOMEM. Since 0.1.
WEFT_API weft_signals *weft_signals_open(const int *signals, size_t n);

// Waits for one of the signals; returns its number. The lowest comes first.
// Each is given to one of those who wait. Blocks: the caller only. Cancels:
// yes; then none was taken. Threads: any. Errors: -ECANCELED, -ETIMEDOUT, and
// those of open. Since 0.1.
WEFT_API int weft_signals_wait(weft_signals *s);

// Ends it: when no other set has them, the signals do again what they did
// before. NULL is allowed. Nobody may be in a call on s. Since 0.1.
WEFT_API void weft_signals_close(weft_signals *s);

WEFT_END

#endif
