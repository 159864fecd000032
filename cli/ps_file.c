// SPDX-License-Identifier: MIT
#include "ps_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

// The open of a FIFO would wait for its other end, that of a device may do
// anything.
static bool is_plain(const struct stat *st)
{
    return S_ISREG(st->st_mode);
}

int ps_file_open(struct ps_file *file, const char *path)
{
    struct stat st;

    file->fd = -1;
    if (stat(path, &st) < 0)
        return -errno;
    if (!is_plain(&st))
        return -ENOEXEC;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->fd < 0)
        return -errno;
    int rc = fstat(file->fd, &st) < 0 ? -errno : is_plain(&st) ? 0 : -ENOEXEC;
    file->size = rc == 0 ? (uint64_t)st.st_size : 0;
    if (rc < 0)
        ps_file_close(file);
    return rc;
}

void ps_file_close(struct ps_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int ps_file_read(const struct ps_file *file, uint64_t offset, void *to,
                 size_t size)
{
    char *at = to;

    // No range outside, whose offset might even be none.
    if (offset > file->size || size > file->size - offset)
        return -EFAULT;
    while (size > 0) {
        ssize_t n = pread(file->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EFAULT; // it was cut off meanwhile
        at += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}
