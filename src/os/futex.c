// SPDX-License-Identifier: MIT
//
// The three-state mutex is the one of Ulrich Drepper, "Futexes are tricky"
// (2011), with a short spin in front.
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "os/clock.h"

enum { SPINS = 40 };

__thread uint32_t wi_mutex_sleeps
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

int wi_os_futex_wait(uint32_t *word, uint32_t value, int64_t deadline,
                     bool shared)
{
    struct timespec at, *limit = NULL;
    if (deadline != WI_FOREVER) {
        at = wi_os_timespec(deadline);
        limit = &at;
    }
    // The BITSET form takes an absolute monotonic time.
    int op = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    int saved = errno;
    long rc = syscall(SYS_futex, word, op, value, limit, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    int error = rc < 0 ? errno : 0;
    errno = saved;
    return error == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int wi_os_futex_wake(uint32_t *word, int n, bool shared)
{
    int op = FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG);
    int saved = errno;
    long rc = syscall(SYS_futex, word, op, n, NULL, NULL, 0);
    errno = saved;
    return rc < 0 ? 0 : (int)rc;
}

void wi_mutex_lock_slow(struct wi_mutex *mutex)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t free = 0;
        // acquire: pairs with the release in wi_mutex_unlock
        if (__atomic_load_n(&mutex->word, __ATOMIC_RELAXED) == 0 &&
            __atomic_compare_exchange_n(&mutex->word, &free, 1, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        wi_arch_relax();
    }
    // relaxed: the watchdog's hint
    __atomic_store_n(&wi_mutex_sleeps, 1, __ATOMIC_RELAXED);
    // acquire: as above; 2 says that somebody may sleep, and stays until the
    // holder that saw it has woken one.
    while (__atomic_exchange_n(&mutex->word, 2, __ATOMIC_ACQUIRE) != 0)
        wi_os_futex_wait(&mutex->word, 2, WI_FOREVER, false);
    __atomic_store_n(&wi_mutex_sleeps, 0, __ATOMIC_RELAXED);
}

void wi_mutex_unlock_slow(struct wi_mutex *mutex)
{
    wi_os_futex_wake(&mutex->word, 1, false);
}
