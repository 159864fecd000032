// SPDX-License-Identifier: MIT
#include "process/ring.h"

#include "os/futex.h"

void wi_ring_wake(uint32_t *word)
{
    wi_arch_fence(); // pairs with the one in wi_ring_sleep
    // relaxed: the fence orders it after what was published
    if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0)
        return;
    // acq_rel: only one caller wakes for one sleep
    if (__atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL) != 0)
        wi_os_futex_wake(word, 1, true);
}

void wi_ring_sleep(uint32_t *word, bool (*ready)(void *arg), void *arg,
                   int64_t deadline)
{
    // relaxed: the fence orders it before the look
    __atomic_store_n(word, 1, __ATOMIC_RELAXED);
    wi_arch_fence(); // pairs with the one in wi_ring_wake
    if (!ready(arg))
        wi_os_futex_wait(word, 1, deadline, true);
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}
