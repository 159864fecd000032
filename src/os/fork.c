// SPDX-License-Identifier: MIT
#include "os/fork.h"

#include <pthread.h>
#include <stdlib.h>

void wi_os_at_fork(void (*fn)(void))
{
    pthread_atfork(NULL, NULL, fn);
}

void wi_os_at_exit(void (*fn)(void))
{
    atexit(fn);
}
