// SPDX-License-Identifier: MIT
#include "os/fork.h"

#include <pthread.h>
#include <stdlib.h>

void wi_os_at_fork(void (*fn)(void))
{
    pthread_atfork(NULL, NULL, fn);
}

enum { MOST = 8 };

static void (*at_exit[MOST])(void);
static unsigned count;

void wi_os_at_exit(void (*fn)(void))
{
    // relaxed: whoever leaves has joined or ordered what it knows of
    unsigned i = __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    if (i < MOST)
        // release: pairs with wi_os_run_at_exit
        __atomic_store_n(&at_exit[i], fn, __ATOMIC_RELEASE);
    atexit(fn);
}

void wi_os_run_at_exit(void)
{
    for (unsigned i = MOST; i-- > 0;) {
        // acquire: pairs with wi_os_at_exit
        void (*fn)(void) =
            __atomic_exchange_n(&at_exit[i], NULL, __ATOMIC_ACQUIRE);
        if (fn != NULL)
            fn();
    }
}
