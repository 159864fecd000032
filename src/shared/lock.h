// SPDX-License-Identifier: MIT
//
// lock.h: the lock of Weft's own objects in an arena, for sections of some
// hundred instructions. The owner is the attachment of a process; if that
// dies, the next who wants the lock gets it, and is told. An object under it
// either writes last the one word that makes a change count (a queue), or
// keeps a journal (the heap).
#ifndef WI_SHARED_LOCK_H
#define WI_SHARED_LOCK_H

#include "base/sanitizer_detect.h"
#include "shared/segment.h"

#if WI_TSAN
#include <sanitizer/tsan_interface.h>
#endif

// TSan knows of this process only: what one thread of it hands to another by
// way of a third process would look like a race to it. So for TSan whoever
// takes a shared lock has seen all that was done before any of them was given
// back.
static inline void wi_shared_seen(void)
{
#if WI_TSAN
    __tsan_acquire(&wi_arenas_gone);
#endif
}

static inline void wi_shared_shown(void)
{
#if WI_TSAN
    __tsan_release(&wi_arenas_gone);
#endif
}

// Takes it. Whether its last owner has died within. Never fails.
bool wi_shared_lock_slow(weft_arena *a, struct wi_shared_lock *lock);
void wi_shared_unlock_slow(struct wi_shared_lock *lock);

// Looks at a wait that lasts.
struct wi_lock_watch {
    int64_t pause; // until the next look, in ns; look may change it
    int (*look)(struct wi_lock_watch *watch); // a code ends the wait
};

// Takes it until the deadline (0: tries it). 0; 1: its last owner has died
// within; -ETIMEDOUT; -WEFT_EFORKED; what a look has said. `object` is what the
// wait is for, `watch` may be NULL.
int wi_shared_lock_until(weft_arena *a, struct wi_shared_lock *lock,
                         int64_t deadline, const void *object,
                         struct wi_lock_watch *watch);

static inline bool wi_shared_lock(weft_arena *a, struct wi_shared_lock *lock)
{
    uint32_t free = 0;
    // acquire: pairs with the release in wi_shared_unlock
    if (__builtin_expect(__atomic_compare_exchange_n(&lock->word, &free, a->tag,
                                                     false, __ATOMIC_ACQUIRE,
                                                     __ATOMIC_RELAXED),
                         true)) {
        wi_shared_seen();
        return false;
    }
    bool died = wi_shared_lock_slow(a, lock);
    wi_shared_seen();
    return died;
}

// seq_cst: also orders what was published before against the looks at waiters
// that follow.
static inline void wi_shared_unlock(struct wi_shared_lock *lock)
{
    wi_shared_shown();
    if (__builtin_expect(__atomic_exchange_n(&lock->word, 0, __ATOMIC_SEQ_CST) &
                             WI_TAG_FLAG,
                         false))
        wi_shared_unlock_slow(lock);
}

#endif
