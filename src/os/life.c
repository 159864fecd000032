// SPDX-License-Identifier: MIT
//
// The kernel walks the list of robust mutexes of a dying thread and, in each
// word that holds its id, sets FUTEX_OWNER_DIED and wakes one sleeper if
// FUTEX_WAITERS is set. libc owns that list, so the word is that of a robust
// pthread mutex, taken and never given back. Where it lies in the mutex
// depends on the libc; it is found as the word that holds the thread's id.
#include "os/life.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

_Static_assert(sizeof(pthread_mutex_t) <= WI_LIFE_SIZE, "it fits");

static int take(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);
    if (rc == 0)
        rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (rc == 0)
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (rc == 0)
        rc = pthread_mutex_init(mutex, &attr);
    return rc != 0 ? -rc : -pthread_mutex_lock(mutex);
}

int wi_os_life_hold(void *area)
{
    int rc = take(area);
    if (rc < 0)
        return rc;
    uint32_t me = (uint32_t)syscall(SYS_gettid);
    uint32_t *word = area;
    for (int i = 0; i < 4; i++) {
        if (word[i] != me)
            continue;
        // release: pairs with the acquire by which the other side reads it
        __atomic_fetch_or(&word[i], FUTEX_WAITERS, __ATOMIC_RELEASE);
        return i * 4;
    }
    return -ENOTSUP;
}

bool wi_os_life_gone(uint32_t value)
{
    return (value & FUTEX_OWNER_DIED) || (value & FUTEX_TID_MASK) == 0;
}

int wi_os_life_wait(uint32_t *control, uint32_t value, uint32_t *const *words,
                    unsigned n)
{
    struct waitv waits[WI_LIFE_MAX + 1];
    waits[0] =
        (struct waitv){value, (uintptr_t)control, WAITV_32 | WAITV_PRIVATE, 0};
    for (unsigned i = 0; i < n; i++) {
        // acquire: pairs with the holder's release
        uint32_t now = __atomic_load_n(words[i], __ATOMIC_ACQUIRE);
        if (wi_os_life_gone(now))
            return 0;
        waits[i + 1] = (struct waitv){now, (uintptr_t)words[i], WAITV_32, 0};
    }
    long rc = syscall(SYS_futex_waitv, waits, n + 1, 0, NULL, 0);
    return rc < 0 && (errno == ENOSYS || errno == EPERM) ? -ENOSYS : 0;
}
