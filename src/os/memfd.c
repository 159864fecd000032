// SPDX-License-Identifier: MIT
#include "os/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/error.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u // since 6.3
#endif

static int create(const char *name)
{
    int fd =
        memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

// A write beyond RLIMIT_FSIZE would raise SIGXFSZ: it is an error code here.
static bool too_big(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur;
}

int wi_os_memfd_new(const char *name, size_t size)
{
    if (too_big(size))
        return -EFBIG;
    int fd = create(name);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int wi_os_memfd_map(int fd, size_t size, void **map)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    madvise(at, size, MADV_DONTFORK);
    *map = at;
    return 0;
}

void wi_os_memfd_unmap(void *map, size_t size)
{
    munmap(map, size);
}

int wi_os_memfd_write(int fd, uint64_t offset, const void *data, size_t size)
{
    if (too_big(offset + size))
        return -EFBIG;
    const char *at = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int wi_os_memfd_read(int fd, uint64_t offset, void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t n = pread(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -WEFT_EPROTO;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

void wi_os_memfd_punch(int fd, uint64_t offset, uint64_t size)
{
    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
              (off_t)size);
}

bool wi_os_close_on_exec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}
