// SPDX-License-Identifier: MIT
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/event.h"
#include "os/sigpipe.h"

// From linux/fs.h; neither musl of this age nor its include path has it, nor
// the call.
enum { NOWAIT = 8 };

int wi_os_pipe(bool to_child, int *ours, int *theirs)
{
    int ends[2];
    int rc = wi_os_own_pair(pipe2(ends, O_CLOEXEC), ends);
    if (rc < 0)
        return rc;
    *ours = ends[to_child];
    *theirs = ends[!to_child];
    fcntl(*ours, F_SETFL, O_NONBLOCK); // the other end stays as it is
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

ssize_t wi_os_pipe_write(int fd, const void *bytes, size_t size)
{
    struct wi_os_sigpipe quiet;
    ssize_t n;
    wi_os_sigpipe_begin(&quiet);
    do
        n = write(fd, bytes, size);
    while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : n;
    wi_os_sigpipe_end(&quiet, n == -EPIPE);
    return n;
}

// Not every kernel can refuse to wait on a pipe (6.5), and none on a terminal:
// there a look before must do, which a second writer could make vain.
ssize_t wi_os_pipe_offer(int fd, const void *bytes, size_t size)
{
    struct iovec part = {(void *)bytes, size};
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    ssize_t n = syscall(SYS_pwritev2, fd, &part, 1, -1L, -1L, NOWAIT);
    if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS))
        n = poll(&one, 1, 0) > 0 ? write(fd, bytes, size)
                                 : (errno = EAGAIN, -1);
    return n < 0 ? -errno : n;
}
