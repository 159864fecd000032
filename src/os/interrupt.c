// SPDX-License-Identifier: MIT
#include "os/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/fresh.h"

// Written before the handler is installed.
static struct sigaction before;
static void (*on_first)(void);
static pid_t owner;
static uint32_t seen; // interrupts; any thread, atomically

static void on_interrupt(int sig)
{
    int saved = errno;

    // A child of fork() has this handler too, but not the run.
    // relaxed: a count; on_first was written before the handler was installed
    if (getpid() == owner &&
        __atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED) == 0) {
        on_first();
    } else {
        // Blocked until this handler has returned; then as it was before.
        sigaction(sig, &before, NULL);
        raise(sig);
    }
    errno = saved;
}

int wi_os_interrupt_begin(void (*first)(void))
{
    // Other calls of the program go on after it, as if it had not come.
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = SA_RESTART | SA_ONSTACK};

    if (sigaction(SIGINT, NULL, &before) < 0)
        return -errno;
    if (before.sa_handler == SIG_IGN)
        return 0;
    sigemptyset(&action.sa_mask);
    on_first = first;
    owner = getpid();
    // relaxed: before the handler is installed
    __atomic_store_n(&seen, 0, __ATOMIC_RELAXED);
    return sigaction(SIGINT, &action, NULL) < 0 ? -errno : 1;
}

void wi_os_interrupt_end(void)
{
    struct sigaction now;

    if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == on_interrupt)
        sigaction(SIGINT, &before, NULL);
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(wi_os_interrupt_end);
}
