// SPDX-License-Identifier: MIT
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int wi_os_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK); // the writer's end stays as it is
    return 0;
}

ssize_t wi_os_pipe_read(int fd, void *bytes, size_t size)
{
    ssize_t n;
    do
        n = read(fd, bytes, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
