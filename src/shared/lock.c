// SPDX-License-Identifier: MIT
//
// The word is 0, or the owner's tag, with WI_TAG_FLAG if somebody may sleep.
// Who has slept takes it with the flag, since others may still sleep; so one
// wake at each release is enough. A release whose wake is lost because the
// process dies between the two is made good by the keepers: a death wakes all
// who nap.
#include "shared/lock.h"

#include <errno.h>

#include "arch/arch.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/thread.h"
#include "shared/keeper.h"
#include "shared/member.h"

// Looks before a sleep, some microseconds. Not wi_spin: what it learns is for
// waits that last as long as a sleep; a lock is given back before the clock has
// been looked at twice.
enum { SPINS = 200 };

// Takes a lock that is free or whose owner is dead. 1: it was dead; 0: taken;
// -1: not taken, *seen is what stands there.
static int try_take(weft_arena *a, struct wi_shared_lock *lock, uint32_t flag,
                    uint32_t *seen)
{
    *seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    bool dead = *seen != 0 && !wi_member_lives(a, *seen);
    if (*seen != 0 && !dead)
        return -1;
    uint32_t mine = a->tag | flag | (*seen & WI_TAG_FLAG);
    // acquire: pairs with the release in wi_shared_unlock; of a dead owner
    // everything is seen, the kernel has told of its death
    bool taken = __atomic_compare_exchange_n(
        &lock->word, seen, mine, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    return taken ? dead : -1;
}

// Says that somebody sleeps on a lock where `seen` stands. false: something
// else stands there by now.
static bool mark(struct wi_shared_lock *lock, uint32_t seen)
{
    // relaxed: a flag; the release of the lock looks at it
    return seen != 0 && ((seen & WI_TAG_FLAG) ||
                         __atomic_compare_exchange_n(
                             &lock->word, &seen, seen | WI_TAG_FLAG, false,
                             __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

// Looks at it for a while. As try_take.
static int spin(weft_arena *a, struct wi_shared_lock *lock, int spins)
{
    uint32_t seen;
    for (int i = 0; i < spins; i++) {
        // Whether the owner lives is asked last: that touches more memory.
        // relaxed: a look; try_take is the truth
        seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
        int took = seen == 0 ? try_take(a, lock, 0, &seen) : -1;
        if (took >= 0)
            return took;
        wi_arch_relax();
    }
    return try_take(a, lock, 0, &seen);
}

// Whoever leaves, because its wait was ended, looks once more and leaves the
// mark: it may have had a wake which was for another one.
static int sleep_until(weft_arena *a, struct wi_shared_lock *lock,
                       int64_t deadline, const void *object,
                       struct wi_lock_watch *watch)
{
    int64_t look = watch != NULL ? wi_os_now() + watch->pause : WI_FOREVER;
    struct wi_nap nap;
    int took, rc = 0;
    uint32_t seen;
    wi_nap_begin(&nap, a);
    while ((took = try_take(a, lock, WI_TAG_FLAG, &seen)) < 0) {
        if (!mark(lock, seen))
            continue;
        if (rc < 0)
            break;
        struct wi_wait wait = {.object = object,
                               .deadline = look < deadline ? look : deadline,
                               .kind = WI_WAIT_LOCK};
        rc = wi_nap(&nap, &lock->word, seen | WI_TAG_FLAG, &wait);
        if (rc == -ETIMEDOUT && wi_os_now() < deadline)
            rc = 0; // time to look, or an earlier timer's late word
        if (rc == 0 && look != WI_FOREVER && wi_os_now() >= look) {
            rc = watch->look(watch);
            look = wi_os_now() + watch->pause;
        }
    }
    wi_nap_end(&nap);
    return took >= 0 ? took : rc;
}

bool wi_shared_lock_slow(weft_arena *a, struct wi_shared_lock *lock)
{
    int took = spin(a, lock, wi_os_cpu_scarce() ? 0 : SPINS);
    while (took < 0) {
        took = sleep_until(a, lock, WI_FOREVER, lock, NULL);
        if (took < 0)
            wi_os_thread_yield(); // no memory for a record, or a fork's child
    }
    return took;
}

int wi_shared_lock_until(weft_arena *a, struct wi_shared_lock *lock,
                         int64_t deadline, const void *object,
                         struct wi_lock_watch *watch)
{
    bool patient = deadline != 0 && !wi_os_cpu_scarce();
    int took = spin(a, lock, patient ? SPINS : 0);
    if (took >= 0 || deadline == 0)
        return took >= 0 ? took : -ETIMEDOUT;
    return sleep_until(a, lock, deadline, object, watch);
}

void wi_shared_unlock_slow(struct wi_shared_lock *lock)
{
    wi_os_futex_wake(&lock->word, 1, true);
}
