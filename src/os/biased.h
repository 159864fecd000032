// SPDX-License-Identifier: MIT
//
// biased.h: a lock that one thread takes nearly always. Its owner pays two
// plain stores and a load; everybody else pays a membarrier(2), which puts a
// full barrier between the owner's store and load (the asymmetric form of
// Dekker's lock; Dice, Moir and Scherer, "Quickly reacquirable locks", 2003).
// Where membarrier is refused, and under TSan, which does not know it, all
// sides take the mutex.
#ifndef WI_OS_BIASED_H
#define WI_OS_BIASED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cold.h"
#include "os/futex.h"

struct wi_biased {
    uint32_t inside;  // the owner is in; written by the owner
    uint32_t foreign; // somebody else is in or wants in; under the mutex
    struct wi_mutex mutex;
};

// Whether a lock can have an owner: membarrier works here. Constant from before
// main on.
extern bool wi_biased_fast;

void wi_biased_lock_slow(struct wi_biased *lock, bool owner);
void wi_biased_unlock_slow(struct wi_biased *lock);

// A full barrier in every running thread of the process, where wi_biased_fast.
void wi_biased_barrier(void);

// The owner's fast way in, where wi_biased_fast; false: somebody else is in,
// or wants in, and the owner must take the slow one.
static inline bool wi_biased_enter(struct wi_biased *lock)
{
    // relaxed, and only the compiler is held: the foreign side's membarrier
    // does the rest
    __atomic_store_n(&lock->inside, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    // acquire: pairs with the release by which the foreign side leaves
    return __atomic_load_n(&lock->foreign, __ATOMIC_ACQUIRE) == 0;
}

static inline void wi_biased_leave(struct wi_biased *lock)
{
    // release: pairs with the foreign side's acquire of `inside`
    __atomic_store_n(&lock->inside, 0, __ATOMIC_RELEASE);
}

// `owner`: the caller is the lock's one owner thread, and wi_biased_fast.
// Returns whether it went the owner's fast way, for unlock.
static WI_MERGED bool wi_biased_lock(struct wi_biased *lock, bool owner)
{
    if (owner && wi_biased_enter(lock))
        return true;
    wi_biased_lock_slow(lock, owner);
    return false;
}

static WI_MERGED void wi_biased_unlock(struct wi_biased *lock, bool fast)
{
    if (fast)
        wi_biased_leave(lock);
    else
        wi_biased_unlock_slow(lock);
}

// Owner, before the lock's memory goes: who left the lock last may still be
// about to leave the mutex too.
static inline void wi_biased_fini(struct wi_biased *lock)
{
    // acquire: pairs with the release in wi_mutex_unlock; `foreign` was
    // cleared under the mutex, so a word that is free is so since then
    if (__atomic_load_n(&lock->mutex.word, __ATOMIC_ACQUIRE) != 0) {
        wi_mutex_lock(&lock->mutex);
        wi_mutex_unlock(&lock->mutex);
    }
}

#endif
