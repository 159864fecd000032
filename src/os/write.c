// SPDX-License-Identifier: MIT
#include "os/write.h"

#include <errno.h>
#include <unistd.h>

void wi_os_write_error(const char *text, size_t size)
{
    int saved = errno;
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text += n;
        size -= (size_t)n;
    }
    errno = saved;
}
