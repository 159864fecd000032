// SPDX-License-Identifier: MIT
#include "os/become.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { FIRST = 3, CLOSE_ON_EXEC = 1 << 2 };

int wi_os_become(char *const *argv, int from, size_t n)
{
    // Upwards: none is overwritten before it has moved.
    for (int i = 0; i < (int)n; i++) {
        if (from + i != FIRST + i && dup2(from + i, FIRST + i) < 0)
            return -errno;
        if (from + i == FIRST + i && fcntl(from + i, F_SETFD, 0) != 0)
            return -errno;
    }
    // Without the call (before 5.11) they are close-on-exec as they are.
    syscall(SYS_close_range, FIRST + (unsigned)n, ~0u, CLOSE_ON_EXEC);
    execvp(argv[0], argv);
    return -errno;
}
