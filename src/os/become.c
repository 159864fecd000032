// SPDX-License-Identifier: MIT
#include "os/become.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/process.h"

enum { FIRST = 3 };

int wi_os_become(char *const *argv, int from, size_t n)
{
    // Upwards: none is overwritten before it has moved.
    for (int i = 0; i < (int)n; i++) {
        if (from + i != FIRST + i && dup2(from + i, FIRST + i) < 0)
            return -errno;
        if (from + i == FIRST + i && fcntl(from + i, F_SETFD, 0) != 0)
            return -errno;
    }
    wi_os_close_on_exec_from(FIRST + (int)n);
    execvp(argv[0], argv);
    return -errno;
}
