// SPDX-License-Identifier: MIT
#include "os/biased.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/sanitizer_detect.h"
#include "os/report.h"
#include "os/thread.h"

// From linux/membarrier.h, which musl's include path lacks.
enum {
    MEMBARRIER_PRIVATE_EXPEDITED = 1 << 3,
    MEMBARRIER_REGISTER_PRIVATE_EXPEDITED = 1 << 4,
};

bool wi_biased_fast;

static bool membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

__attribute__((constructor)) static void probe(void)
{
#if !WI_TSAN
    wi_biased_fast = membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED) &&
                     membarrier(MEMBARRIER_PRIVATE_EXPEDITED);
#endif
}

void wi_biased_barrier(void)
{
    if (!membarrier(MEMBARRIER_PRIVATE_EXPEDITED))
        // Without it two threads would be inside at once.
        wi_panic("membarrier", NULL,
                 "this system call worked when the program began, and is "
                 "refused now: a filter that the program installs must let it "
                 "through");
}

static void wait_for_owner(struct wi_biased *lock)
{
    unsigned turns = 0;
    // acquire: pairs with the owner's release
    while (__atomic_load_n(&lock->inside, __ATOMIC_ACQUIRE) != 0) {
        if (++turns % 64 == 0)
            wi_os_thread_yield(); // the owner may have lost its CPU
        wi_arch_relax();
    }
}

void wi_biased_lock_slow(struct wi_biased *lock, bool owner)
{
    if (owner)
        // release: pairs with the acquire in wait_for_owner
        __atomic_store_n(&lock->inside, 0, __ATOMIC_RELEASE);
    wi_mutex_lock(&lock->mutex);
    if (owner || !wi_biased_fast)
        return; // while we have the mutex no foreigner is in
    // relaxed: the barrier orders it before the look at `inside`
    __atomic_store_n(&lock->foreign, 1, __ATOMIC_RELAXED);
    wi_biased_barrier();
    wait_for_owner(lock);
}

void wi_biased_unlock_slow(struct wi_biased *lock)
{
    // release: pairs with the owner's acquire. It was 0 already if we are the
    // owner.
    __atomic_store_n(&lock->foreign, 0, __ATOMIC_RELEASE);
    wi_mutex_unlock(&lock->mutex);
}
