// SPDX-License-Identifier: MIT
//
// futex.h: sleeping on a word.
#ifndef WI_OS_FUTEX_H
#define WI_OS_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

// Sleeps while *word == value, at most until deadline (monotonic ns,
// WI_FOREVER for none). May return for no reason. Returns 0 or -ETIMEDOUT.
// `shared`: the word lies in memory that several processes map.
int wi_os_futex_wait(uint32_t *word, uint32_t value, int64_t deadline,
                     bool shared);

// Wakes up to n sleepers; returns how many.
int wi_os_futex_wake(uint32_t *word, int n, bool shared);

// A small lock for the library's own short sections: one word, zero is free,
// spins briefly, then sleeps. Never held across a park or a callback.
struct wi_mutex {
    uint32_t word; // 0 free, 1 held, 2 held and somebody sleeps
};
// Whether this thread sleeps for one: it is the library's doing, and short.
extern __thread uint32_t wi_mutex_sleeps
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
void wi_mutex_lock_slow(struct wi_mutex *mutex);
void wi_mutex_unlock_slow(struct wi_mutex *mutex);

static inline void wi_mutex_lock(struct wi_mutex *mutex)
{
    uint32_t free = 0;
    // acquire: pairs with the release in wi_mutex_unlock
    if (!__atomic_compare_exchange_n(&mutex->word, &free, 1, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        wi_mutex_lock_slow(mutex);
}

static inline bool wi_mutex_try(struct wi_mutex *mutex)
{
    uint32_t free = 0;
    // acquire: pairs with the release in wi_mutex_unlock
    return __atomic_load_n(&mutex->word, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&mutex->word, &free, 1, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void wi_mutex_unlock(struct wi_mutex *mutex)
{
    // release: pairs with the acquire of the next holder
    if (__atomic_exchange_n(&mutex->word, 0, __ATOMIC_RELEASE) == 2)
        wi_mutex_unlock_slow(mutex);
}

#endif
