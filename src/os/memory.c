// SPDX-License-Identifier: MIT
#include "os/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sanitizer_detect.h"

// Newer than the headers of the oldest distribution.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 // Linux 6.13
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440 // Linux 5.10, the same on all CPUs
#endif
#define PIDFD_SELF_PROCESS -10001 // Linux 6.14

enum { LOOK = 256 }; // pages that mincore is asked for at once

_Static_assert(sizeof(struct wi_os_range) == sizeof(struct iovec) &&
                   offsetof(struct wi_os_range, size) ==
                       offsetof(struct iovec, iov_len),
               "a range is an iovec");

size_t wi_os_page_size(void)
{
    static size_t size;
    // Relaxed: every thread finds the same value.
    size_t known = __atomic_load_n(&size, __ATOMIC_RELAXED);

    if (known)
        return known;
    known = (size_t)sysconf(_SC_PAGESIZE);
    __atomic_store_n(&size, known, __ATOMIC_RELAXED);
    return known;
}

// The functions of libc, not the bare calls: TSan watches them to forget what
// it knew about memory that is used again. MAP_STACK is left out because some
// kernels take it for a wish to have huge pages or none; NOHUGEPAGE says it.
void *wi_os_map(size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    // Fails on kernels without huge pages, which is as good.
    (void)madvise(base, size, MADV_NOHUGEPAGE);
    return base;
}

void *wi_os_map_aligned(size_t size)
{
    char *base = wi_os_map(2 * size);
    if (base == NULL)
        return NULL;
    char *at = (char *)(((uintptr_t)base + size - 1) & ~(size - 1));
    size_t before = (size_t)(at - base);
    if (before > 0)
        wi_os_unmap(base, before);
    wi_os_unmap(at + size, size - before);
    return at;
}

void wi_os_unmap(void *base, size_t size)
{
    (void)munmap(base, size);
}

// One call for many ranges: 0.5 us a range in place of 1.4 us for a discard,
// and one flush of the other CPUs' TLBs. Returns false where the kernel cannot.
static bool advise_at_once(const struct wi_os_range *ranges, int n, int advice)
{
    static int refused;
    size_t size = 0;
    long done;

    // Relaxed: only saves calls that would fail again. Valgrind 3.19 complains
    // at length before it refuses.
    if (n == 1 || __atomic_load_n(&refused, __ATOMIC_RELAXED) || WI_ON_VALGRIND)
        return false;
    for (int i = 0; i < n; i++)
        size += ranges[i].size;
    done = syscall(SYS_process_madvise, PIDFD_SELF_PROCESS, ranges, (size_t)n,
                   advice, 0);
    if (done < 0)
        __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
    return done >= 0 && (size_t)done == size;
}

// Both advices may be given twice, so a batch that stopped half way is given
// again one by one.
static int advise(const struct wi_os_range *ranges, int n, int advice)
{
    if (advise_at_once(ranges, n, advice))
        return 0;
    for (int i = 0; i < n; i++)
        if (madvise(ranges[i].base, ranges[i].size, advice) < 0)
            return -errno;
    return 0;
}

// Emulators (qemu-user 7.2) take any advice and ignore it. One that no kernel
// knows finds them out.
static bool advice_is_real(void *page)
{
    static int known; // 1: real, -1: ignored
    // Relaxed: each thread would find the same.
    int real = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (real == 0) {
        real = madvise(page, wi_os_page_size(), 0x57454654) < 0 ? 1 : -1;
        __atomic_store_n(&known, real, __ATOMIC_RELAXED);
    }
    return real > 0;
}

int wi_os_guard(const struct wi_os_range *ranges, int n)
{
    if (!advice_is_real(ranges[0].base))
        return -EINVAL;
    return advise(ranges, n, MADV_GUARD_INSTALL);
}

int wi_os_forbid(void *base, size_t size)
{
    return mprotect(base, size, PROT_NONE) < 0 ? -errno : 0;
}

void wi_os_discard(const struct wi_os_range *ranges, int n)
{
    (void)advise(ranges, n, MADV_DONTNEED);
}

// The first of n pages from `at` on that has memory, n: none has. -1: they are
// not all mapped.
static ssize_t first_with_memory(char *at, size_t n)
{
    unsigned char there[LOOK];
    size_t i = 0;

    if (mincore(at, n * wi_os_page_size(), there) < 0)
        return -1;
    while (i < n && !(there[i] & 1))
        i++;
    return (ssize_t)i;
}

// Downwards, up to where nothing is mapped: the bounds of a stack that grows
// without a limit may be terabytes apart.
void *wi_os_first_touched(void *low, void *high)
{
    size_t page = wi_os_page_size(), many = LOOK;
    char *bottom = (char *)((uintptr_t)low & ~(page - 1)); // NOLINT: an address
    char *at = (char *)(((uintptr_t)high + page - 1) & ~(page - 1)); // the same
    char *found = high;
    int saved = errno;

    while (at > bottom && many > 0) {
        size_t left = (size_t)(at - bottom) / page;
        many = many < left ? many : left;
        ssize_t first = first_with_memory(at - many * page, many);
        if (first < 0) {
            many /= 2;
            continue;
        }
        at -= many * page;
        if ((size_t)first < many)
            found = at + (size_t)first * page;
    }
    errno = saved;
    return found > (char *)low ? found : low;
}
