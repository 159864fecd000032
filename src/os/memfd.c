// SPDX-License-Identifier: MIT
#include "os/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/error.h>

#include "os/event.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u // since 6.3
#endif

enum { PAGE_BITS = 12 };

int wi_os_memfd_create(const char *name, unsigned more)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | more;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, flags);
    return wi_os_own_fd(fd);
}

bool wi_os_file_too_big(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur;
}

int wi_os_memfd_new(const char *name, size_t size)
{
    if (wi_os_file_too_big(size))
        return -EFBIG;
    int fd = wi_os_memfd_create(name, 0);
    if (fd < 0)
        return fd;
    if (ftruncate(fd, (off_t)size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
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

int wi_os_memfd_map_part(int fd, uint64_t offset, size_t size, bool own,
                         void **map)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                    own ? MAP_PRIVATE : MAP_SHARED, fd, (off_t)offset);
    if (at == MAP_FAILED)
        return -errno;
    if (!own) // else a child has what fork copies, as of any memory
        madvise(at, size, MADV_DONTFORK);
    *map = at;
    return 0;
}

int wi_os_memfd_reader(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return wi_os_own_fd(open(path, O_RDONLY | O_CLOEXEC));
}

// Of a page's entry in pagemap: it is there, in memory or swapped out, and is
// none of a file's.
static bool is_own(uint64_t entry)
{
    return entry >> 62 != 0 && (entry >> 61 & 1) == 0;
}

// Takes back which of n pages from map on are the process's own, in runs;
// returns how many, or a negative code.
static int64_t undo_some(char *map, const uint64_t *entries, size_t n)
{
    int64_t own = 0;
    for (size_t i = 0, end; i < n; i = end + 1) {
        for (end = i; end < n && is_own(entries[end]); end++)
            ;
        if (end > i && madvise(map + (i << PAGE_BITS), (end - i) << PAGE_BITS,
                               MADV_DONTNEED) != 0)
            return -errno;
        own += (int64_t)(end - i);
    }
    return own;
}

int64_t wi_os_memfd_undo(void *map, size_t size)
{
    uint64_t entries[512];
    int64_t own = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || sysconf(_SC_PAGESIZE) != 1 << PAGE_BITS) {
        close(fd);
        return -ENOSYS;
    }
    size_t pages = (size + (1 << PAGE_BITS) - 1) >> PAGE_BITS;
    for (size_t done = 0, n; done < pages && own >= 0; done += n) {
        n = pages - done < 512 ? pages - done : 512;
        char *at = (char *)map + (done << PAGE_BITS);
        off_t where = (off_t)(((uintptr_t)at >> PAGE_BITS) * 8);
        ssize_t got = pread(fd, entries, n * 8, where);
        int64_t more =
            got == (ssize_t)(n * 8) ? undo_some(at, entries, n) : -ENOSYS;
        own = more < 0 ? more : own + more;
    }
    close(fd);
    return own;
}

int wi_os_memfd_write(int fd, uint64_t offset, const void *data, size_t size)
{
    if (wi_os_file_too_big(offset + size))
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

int wi_os_memfd_read_sparse(int fd, uint64_t offset, void *data, size_t size)
{
    struct stat st;
    uint64_t end = offset + size;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < end)
        return -WEFT_EPROTO;
    for (uint64_t at = offset; at < end;) {
        off_t from = lseek(fd, (off_t)at, SEEK_DATA);
        if (from < 0 && errno == ENXIO)
            return 0; // a hole up to the end
        off_t to = from < 0 ? from : lseek(fd, from, SEEK_HOLE);
        if (to < 0)
            return wi_os_memfd_read(fd, at, (char *)data + (at - offset),
                                    end - at);
        uint64_t first = (uint64_t)from < end ? (uint64_t)from : end;
        uint64_t last = (uint64_t)to < end ? (uint64_t)to : end;
        int rc = wi_os_memfd_read(fd, first, (char *)data + (first - offset),
                                  last - first);
        if (rc < 0)
            return rc;
        at = last;
    }
    return 0;
}

bool wi_os_memfd_holds(int fd, uint64_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_blocks >= size / 512;
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
