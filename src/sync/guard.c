// SPDX-License-Identifier: MIT
//
// What the declarations WEFT_LOCKED and WEFT_RLOCKED call.
#include <errno.h>

#include <weft/error.h>
#include <weft/lock.h>

#include "os/report.h"
#include "sync/lock.h"

static void check(int rc, const void *lock, const char *declaration)
{
    if (rc == -EOWNERDEAD)
        wi_panic(declaration, lock,
                 "an earlier holder ended without releasing this lock; use "
                 "weft_lock_acquire to repair what it guards");
    if (rc == -WEFT_EFORKED)
        wi_panic(declaration, lock,
                 "another thread held this lock at the fork, and does not "
                 "exist in this child; see weft_fork_child");
    if (rc < 0)
        wi_panic(declaration, lock,
                 "waiting for this lock would close a cycle of waits; use "
                 "weft_lock_acquire to handle that");
}

struct weft_lock *weft_lock_guard(struct weft_lock *lock)
{
    wi_need(lock);
    check(wi_lock_acquire_at(lock, __builtin_return_address(0)), lock,
          "WEFT_LOCKED");
    return lock;
}

void weft_lock_guard_leave(struct weft_lock **guard)
{
    weft_lock_release(*guard);
}

struct weft_rlock *weft_rlock_guard(struct weft_rlock *lock)
{
    wi_need(lock);
    check(weft_rlock_acquire(lock), lock, "WEFT_RLOCKED");
    return lock;
}

void weft_rlock_guard_leave(struct weft_rlock **guard)
{
    weft_rlock_release(*guard);
}
