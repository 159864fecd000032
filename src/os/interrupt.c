// SPDX-License-Identifier: MIT
#include "os/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stddef.h>

// Written before the handler is installed.
static struct sigaction before;
static void (*on_first)(void);
static uint32_t seen; // interrupts; any thread, atomically

static void on_interrupt(int sig)
{
    int saved = errno;

    // relaxed: a count; on_first was written before the handler was installed
    if (__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED) == 0) {
        on_first();
    } else {
        // Blocked until this handler has returned; then as it was before.
        sigaction(sig, &before, NULL);
        raise(sig);
    }
    errno = saved;
}

bool wi_os_interrupt_begin(void (*first)(void))
{
    // Other calls of the program go on after it, as if it had not come.
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = SA_RESTART | SA_ONSTACK};

    sigaction(SIGINT, NULL, &before);
    if (before.sa_handler == SIG_IGN)
        return false;
    sigemptyset(&action.sa_mask);
    on_first = first;
    __atomic_store_n(&seen, 0, __ATOMIC_RELAXED);
    sigaction(SIGINT, &action, NULL);
    return true;
}

void wi_os_interrupt_end(void)
{
    sigaction(SIGINT, &before, NULL);
}
