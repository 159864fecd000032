// SPDX-License-Identifier: MIT
//
// The kernel walks the list of robust mutexes of a dying thread and, in each
// word that holds its id, sets FUTEX_OWNER_DIED and wakes one sleeper if
// FUTEX_WAITERS is set. libc owns that list, so the word is that of a robust
// pthread mutex, taken and never given back. Where it lies in the mutex
// depends on the libc; it is found as the word that the lock has made the
// thread's id. Another may be the same number: musl's first one is the type,
// 132.
#include "os/life.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv { // struct futex_waitv, since 5.16
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};
enum { WAITV_32 = 2, WAITV_PRIVATE = 128 };

enum { WORDS = 4 }; // of a mutex, where the life word may lie

_Static_assert(sizeof(pthread_mutex_t) <= WI_LIFE_SIZE, "it fits");

static int make(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    if (rc == 0)
        rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (rc == 0)
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (rc == 0)
        rc = pthread_mutex_init(mutex, &attr);
    return -rc;
}

int wi_os_life_hold(void *area)
{
    uint32_t *word = area, before[WORDS];
    uint32_t me = (uint32_t)syscall(SYS_gettid);
    int rc = make(area);
    memcpy(before, area, sizeof before);
    if (rc == 0)
        rc = -pthread_mutex_lock(area);
    if (rc < 0)
        return rc;
    for (int i = 0; i < WORDS; i++) {
        if (word[i] != me || before[i] == me)
            continue;
        // release: pairs with the acquire by which the other side reads it
        __atomic_fetch_or(&word[i], FUTEX_WAITERS, __ATOMIC_RELEASE);
        return i * 4;
    }
    return -ENOTSUP;
}

void wi_os_life_release(void *area)
{
    pthread_mutex_unlock(area);
}

bool wi_os_life_gone(uint32_t value)
{
    return (value & FUTEX_OWNER_DIED) || (value & FUTEX_TID_MASK) == 0;
}

static int wait_any(struct waitv *waits, unsigned n, int64_t deadline)
{
    struct timespec at, *limit = NULL;
    if (deadline != WI_FOREVER) {
        at = wi_os_timespec(deadline);
        limit = &at;
    }
    int saved = errno;
    long rc = syscall(SYS_futex_waitv, waits, n, 0, limit, CLOCK_MONOTONIC);
    int error = rc < 0 ? errno : 0;
    errno = saved;
    if (error == ENOSYS || error == EPERM)
        return -ENOSYS;
    return error == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int wi_os_life_wait(uint32_t *control, uint32_t value,
                    const struct wi_life *lives, unsigned n)
{
    struct waitv waits[WI_LIFE_MAX + 1];
    waits[0] =
        (struct waitv){value, (uintptr_t)control, WAITV_32 | WAITV_PRIVATE, 0};
    for (unsigned i = 0; i < n; i++)
        waits[i + 1] = (struct waitv){lives[i].value, (uintptr_t)lives[i].word,
                                      WAITV_32, 0};
    return wait_any(waits, n + 1, WI_FOREVER);
}

int wi_os_futex_wait_any(uint32_t *own, uint32_t own_value,
                         uint32_t *const *words, unsigned n, int64_t deadline)
{
    struct waitv waits[WI_LIFE_MAX + 1];
    waits[0] =
        (struct waitv){own_value, (uintptr_t)own, WAITV_32 | WAITV_PRIVATE, 0};
    for (unsigned i = 0; i < n; i++)
        waits[i + 1] = (struct waitv){1, (uintptr_t)words[i], WAITV_32, 0};
    return wait_any(waits, n + 1, deadline);
}

int wi_os_futex_wait_many(const struct wi_futex_wait *words, unsigned n,
                          int64_t deadline)
{
    struct waitv waits[WI_LIFE_MAX + 1];
    for (unsigned i = 0; i < n; i++)
        waits[i] =
            (struct waitv){words[i].value, (uintptr_t)words[i].word,
                           WAITV_32 | (words[i].shared ? 0 : WAITV_PRIVATE), 0};
    return wait_any(waits, n, deadline);
}
