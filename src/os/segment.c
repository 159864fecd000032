// SPDX-License-Identifier: MIT
#include "os/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/error.h>

#include "os/memfd.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

// The kernel refuses a seal against writing while somebody holds one of the
// pages, and cannot tell a writer from itself, who looks at pages to move them
// or to give them back. That passes; it waits for some of the time itself.
static int seal(int fd, int seals)
{
    enum { TRIES = 10 };
    int rc = -1;
    for (int i = 0; i < TRIES && rc != 0; i++) {
        rc = fcntl(fd, F_ADD_SEALS, seals);
        if (rc != 0 && errno != EBUSY)
            break;
    }
    return rc != 0 ? -errno : 0;
}

static int begin(int fd, size_t size, bool certain)
{
    int rc = certain                           ? wi_os_segment_grow(fd, 0, size)
             : wi_os_file_too_big(size)        ? -EFBIG
             : ftruncate(fd, (off_t)size) != 0 ? -errno
                                               : 0;
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        rc = -errno;
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

int wi_os_segment_new(const char *name, size_t size, enum wi_pages *pages)
{
    if (*pages == WI_PAGES_HUGE) {
        int fd = wi_os_memfd_create(name, MFD_HUGETLB | MFD_HUGE_2MB);
        if (fd >= 0)
            fd = begin(fd, size, true);
        if (fd >= 0)
            return fd;
        *pages = WI_PAGES_ADVISED;
    }
    int fd = wi_os_memfd_create(name, 0);
    return fd < 0 ? fd : begin(fd, size, false);
}

// Address space at a place that suits huge pages.
static void *reserve(size_t limit)
{
    size_t whole = limit + WI_HUGE_PAGE;
    char *at = mmap(NULL, whole, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    size_t front = -(uintptr_t)at & (WI_HUGE_PAGE - 1);
    if (front > 0)
        munmap(at, front);
    munmap(at + front + limit, whole - front - limit);
    return at + front;
}

static int map_at(void *at, int fd, size_t limit, int rights)
{
    void *map =
        mmap(at, limit, rights, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    madvise(map, limit, MADV_DONTFORK);
    return 0;
}

// What is mapped by a descriptor that can write counts as writable, whatever
// its rights are: it would stand in the way of a seal.
static int map_to_read(void *at, int fd, size_t limit)
{
    int reader = wi_os_memfd_reader(fd);
    int rc = map_at(at, reader >= 0 ? reader : fd, limit, PROT_READ);
    if (reader >= 0)
        close(reader);
    return rc;
}

int wi_os_segment_map(int fd, size_t limit, enum wi_pages pages, bool read_only,
                      void **map)
{
    void *at = reserve(limit);
    if (at == NULL)
        return -ENOMEM;
    int rc = read_only ? map_to_read(at, fd, limit)
                       : map_at(at, fd, limit, PROT_READ | PROT_WRITE);
    if (rc < 0) {
        munmap(at, limit);
        return rc;
    }
    if (pages == WI_PAGES_ADVISED)
        madvise(at, limit, MADV_HUGEPAGE);
    *map = at;
    return 0;
}

void wi_os_segment_unmap(void *map, size_t limit)
{
    munmap(map, limit);
}

// Up to Linux 6.18 a signal ends a call and undoes all of it. Those of a timer,
// as profilers have one, would end every call that takes longer than from one
// to the next: so the next one is for less, and what it does stays.
static uint64_t shorter(uint64_t step)
{
    enum { LEAST = 64 << 10 };
    uint64_t half = step / 2 / LEAST * LEAST;
    return half > LEAST ? half : LEAST;
}

int wi_os_segment_grow(int fd, uint64_t from, uint64_t to)
{
    uint64_t step = to - from;
    if (wi_os_file_too_big(to))
        return -EFBIG;
    while (from < to) {
        uint64_t n = step < to - from ? step : to - from;
        if (fallocate(fd, 0, (off_t)from, (off_t)n) == 0)
            from += n;
        else if (errno == EINTR)
            step = shorter(step);
        else
            return errno == ENOSPC ? -ENOMEM : -errno;
    }
    return 0;
}

int64_t wi_os_segment_size(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    int seals = fcntl(fd, F_GET_SEALS);
    return S_ISREG(st.st_mode) && seals >= 0 && (seals & F_SEAL_SHRINK)
               ? st.st_size
               : -WEFT_EPROTO;
}

bool wi_os_segment_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_WRITE);
}

int wi_os_segment_seal(int fd, void *map, size_t limit)
{
    void *empty =
        mmap(map, limit, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (empty == MAP_FAILED)
        return -errno;
    int rc = seal(fd, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL);
    // Before Linux 6.7 a sealed file is not mapped by a descriptor that can
    // write, whatever the rights are.
    int back = rc == 0 ? map_to_read(map, fd, limit)
                       : map_at(map, fd, limit, PROT_READ | PROT_WRITE);
    return rc < 0 ? rc : back;
}

bool wi_os_sealed_has(int fd, uint64_t size)
{
    enum { WHOLE = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & WHOLE) == WHOLE && fstat(fd, &st) == 0 &&
           (uint64_t)st.st_size == size && wi_os_memfd_holds(fd, size);
}

int wi_os_sealed_new(const char *name, const void *data, size_t size)
{
    if (wi_os_file_too_big(size))
        return -EFBIG;
    int fd = wi_os_memfd_create(name, 0);
    if (fd < 0)
        return fd;
    int rc = wi_os_memfd_write(fd, 0, data, size);
    if (rc == 0)
        rc = seal(fd, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

int wi_os_random(void *bytes, size_t size)
{
    ssize_t n;
    do
        n = getrandom(bytes, size, 0);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size ? 0 : n < 0 ? -errno : -EIO;
}
