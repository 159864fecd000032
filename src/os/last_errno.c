// SPDX-License-Identifier: MIT
#include "os/last_errno.h"

#include <errno.h>

__attribute__((noinline)) int wi_os_errno(void)
{
    return errno;
}

__attribute__((noinline)) void wi_os_set_errno(int value)
{
    errno = value;
}
