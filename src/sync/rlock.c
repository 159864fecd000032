// SPDX-License-Identifier: MIT
//
// A lock and how often its holder has it. `depth` is the holder's alone.
#include <errno.h>

#include <weft/error.h>

#include "os/report.h"
#include "sched/here.h"
#include "sync/lock.h"

// Whether the caller has it already; then once more.
static bool deeper(struct weft_rlock *lock)
{
    if (!wi_lock_is_mine(&lock->lock, wi_here.self))
        return false;
    wi_require_in("weft_rlock_acquire", lock->depth < UINT32_MAX, lock,
                  "a lock is acquired at most 2^32 - 1 times at once");
    lock->depth++;
    return true;
}

static int orphan_code(const struct weft_rlock *lock)
{
    return wi_lock_orphaned(&lock->lock) ? -EOWNERDEAD : 0;
}

// The first time, if rc says that the lock is held.
static int first(struct weft_rlock *lock, int rc)
{
    if (rc == 0 || rc == -EOWNERDEAD)
        lock->depth = 1;
    return rc;
}

void weft_rlock_init_with(struct weft_rlock *lock,
                          const struct weft_lock_options *options)
{
    wi_need(lock);
    lock->depth = 0;
    weft_lock_init_with(&lock->lock, options);
}

int weft_rlock_acquire(struct weft_rlock *lock)
{
    wi_need(lock);
    if (deeper(lock))
        return orphan_code(lock);
    return first(lock,
                 wi_lock_acquire_at(&lock->lock, __builtin_return_address(0)));
}

int weft_rlock_acquire_for(struct weft_rlock *lock, double seconds)
{
    wi_need(lock);
    if (deeper(lock))
        return orphan_code(lock);
    return first(lock, weft_lock_acquire_for(&lock->lock, seconds));
}

int weft_rlock_try(struct weft_rlock *lock)
{
    wi_need(lock);
    if (deeper(lock))
        return orphan_code(lock);
    return first(lock, weft_lock_try(&lock->lock));
}

void weft_rlock_release(struct weft_rlock *lock)
{
    wi_need(lock);
    wi_require(wi_lock_is_mine(&lock->lock, wi_here.self), lock,
               "a lock is released by the task or thread that holds it");
    if (--lock->depth == 0)
        weft_lock_release(&lock->lock);
}

bool weft_rlock_held(const struct weft_rlock *lock)
{
    wi_need(lock);
    return weft_lock_held(&lock->lock);
}

bool weft_rlock_locked(const struct weft_rlock *lock)
{
    wi_need(lock);
    return weft_lock_locked(&lock->lock);
}

uint32_t weft_rlock_depth(const struct weft_rlock *lock)
{
    wi_need(lock);
    return weft_lock_held(&lock->lock) ? lock->depth : 0;
}

void weft_rlock_repaired(struct weft_rlock *lock)
{
    wi_need(lock);
    weft_lock_repaired(&lock->lock);
}

void weft_rlock_fini(struct weft_rlock *lock)
{
    wi_need(lock);
    weft_lock_fini(&lock->lock);
    *lock = (struct weft_rlock){.depth = 0};
}
