// SPDX-License-Identifier: MIT
//
// sigpipe.h: system calls that raise SIGPIPE and cannot be told not to.
#ifndef WI_OS_SIGPIPE_H
#define WI_OS_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct wi_os_sigpipe {
    sigset_t before; // the thread's mask
    bool pending;    // a SIGPIPE was, before
};

// Between begin and end the calling thread gets no SIGPIPE; `raised`: a call in
// between has failed with EPIPE. errno stays as it is.
void wi_os_sigpipe_begin(struct wi_os_sigpipe *quiet);
void wi_os_sigpipe_end(const struct wi_os_sigpipe *quiet, bool raised);

#endif
