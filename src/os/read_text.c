// SPDX-License-Identifier: MIT
#include "os/read_text.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

bool wi_os_read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}
