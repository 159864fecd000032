// SPDX-License-Identifier: MIT
//
// The lock. `word` is the hint of the holder's record and flags:
//
//     WAITED    the line is not empty; changed under the line's lock
//     WAKING    a waiter was woken and has not looked at the lock since
//     HAND_OVER the first of the line gets the lock from its holder directly
//     ORPHANED  a holder ended without releasing it
//     TRACKED   order is checked: it goes through the slow paths (order.h)
//     WI_FAR    it is shared between processes: far.c
//
// Free and without flags it is 0: then acquire and release are one
// compare-and-swap each. A release with waiters frees the lock and wakes the
// first of the line, unless one is WAKING already: whoever comes first takes
// it, so that a thread which releases and acquires again goes on at full speed
// while the woken one is on its way. The woken one that finds the lock taken
// returns to the head of the line. After LOST such times it asks for
// HAND_OVER, and the next release makes it the holder: every waiter has a
// bounded number of turns before it.
//
// The order in a release: choose under the line's lock, give that back, change
// the word, tell the chosen one. After the word is changed the lock is not
// touched any more: the next holder may free it.
//
// A holder that ended: the generation in the hint tells. Whoever ends with a
// lock wakes all who wait for locks (wi_held_ops), and they look.
#include "sync/lock.h"

#include <errno.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "base/options.h"
#include "base/sanitizer_detect.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/worker.h"
#include "sync/order.h"

enum {
    WAITED = 1,
    WAKING = 2,
    HAND_OVER = 4,
    ORPHANED = 8,
    TRACKED = 16,
};

enum {
    SPINS = 160, // pauses at a lock whose holder runs, before standing in line
    LOST = 4,    // races that a woken waiter loses before it is handed the lock
};

static uint64_t load(const struct weft_lock *lock)
{
    // relaxed: a look; what is done with it is a compare-and-swap
    return __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
}

wi_hint wi_lock_holder(const void *lock)
{
    // seq_cst: among the loads of a walk; pairs with wi_edge_set
    return wi_owner_of(__atomic_load_n(&((const struct weft_lock *)lock)->word,
                                       __ATOMIC_SEQ_CST));
}

// A NULL in the fast paths is a fault, told by overflow.c from where it is:
// which is known only of optimised code.
static inline void need_where_slow(const struct weft_lock *lock,
                                   const char *function)
{
#if !defined(__OPTIMIZE__) || WI_ASAN || WI_TSAN
    wi_require_in(function, lock != NULL, NULL, "lock must not be NULL");
#else
    (void)lock;
    (void)function;
#endif
}

// Taking it -------------------------------------------------------------------

static void track(struct weft_lock *lock, struct wi_task *self,
                  const void *site)
{
    // relaxed: a flag, which the holder itself looks at
    if (!wi_lock_is_far(lock))
        __atomic_fetch_or(&lock->word, TRACKED, __ATOMIC_RELAXED);
    wi_order_hold(self, lock, site);
}

// What acquire returns to one who has the lock now.
static int took(struct weft_lock *lock, struct wi_task *self, const void *site)
{
    self->held++;
    if (wi_order_on())
        track(lock, self, site);
    return load(lock) & ORPHANED ? -EOWNERDEAD : 0;
}

// The word after self has taken a lock that is free or whose holder is gone;
// 0 if it can't be taken.
static uint64_t taken(uint64_t word, wi_hint self)
{
    if (wi_owner_of(word) == 0)
        return word | self;
    if (wi_owner_gone(word))
        return (word & WI_OWNER_FLAGS) | ORPHANED | self;
    return 0;
}

// `off`: flags to take off at the same time.
static bool try_take(struct weft_lock *lock, wi_hint self, uint64_t off)
{
    uint64_t word = load(lock), next;
    while ((next = taken(word, self)) != 0) {
        // acquire: pairs with the release of whoever held it before
        if (__atomic_compare_exchange_n(&lock->word, &word, next & ~off, true,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

// Waits on the CPU while that is likely to be shorter than a sleep. The looks
// get rarer: each one takes the lock's cache line away from its holder, who
// would acquire it again several times in the meantime. Whether the holder runs
// is asked once, for it lies in a line that the holder writes as well.
static bool spin(struct weft_lock *lock, wi_hint self, uint64_t off)
{
    wi_hint owner = wi_owner_of(load(lock));
    if (owner != 0 && !wi_owner_runs(owner))
        return false;
    int pause = 1;
    for (int spins = 0; spins < SPINS; spins += pause) {
        if (wi_owner_of(load(lock)) == 0 && try_take(lock, self, off))
            return true;
        pause = wi_arch_back_off(pause);
    }
    return false;
}

// Standing in line ------------------------------------------------------------

struct wait {
    struct weft_lock *lock;
    struct wi_task *self;
    struct wi_place *place;
    unsigned lost; // how often it was woken and found the lock taken
};

// Takes the lock (true), or goes into its line: the last, or after it was
// woken the first again.
static bool stand_in_line(struct wait *w)
{
    uintptr_t *line = &w->lock->line;
    wi_hint self = wi_hint_of(w->self);
    uint64_t off = w->lost > 0 ? WAKING : 0;
    struct wi_place *first = wi_line_lock(line);
    uint64_t word = load(w->lock), next;
    bool mine;
    do {
        next = taken(word, self);
        mine = next != 0;
        if (!mine)
            next = word | WAITED | (w->lost >= LOST ? HAND_OVER : 0);
        // seq_cst: after wi_edge_set, before wi_edge_check; acquire if taken
    } while (!__atomic_compare_exchange_n(&w->lock->word, &word, next & ~off,
                                          true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (!mine && w->lost > 0)
        wi_line_add_first(&first, w->place);
    else if (!mine)
        wi_line_add(&first, w->place);
    wi_line_unlock(line, first);
    return mine;
}

// A woken one gives up: whoever releases next wakes another. True if it has
// the lock instead, since it was free.
static bool decline(struct wait *w)
{
    wi_hint self = wi_hint_of(w->self);
    uint64_t word = load(w->lock), next;
    bool mine;
    do {
        next = taken(word, self);
        mine = next != 0;
        if (!mine)
            next = word;
        // acquire: as in try_take
    } while (!__atomic_compare_exchange_n(&w->lock->word, &word,
                                          next & ~(uint64_t)WAKING, true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return mine;
}

// Out of the line after a wait that was ended. True if it has the lock anyway.
static bool leave(struct wait *w)
{
    uintptr_t *line = &w->lock->line;
    struct wi_place *first = wi_line_lock(line);
    bool waits = wi_place_state(w->place) == WI_PLACE_WAITING;
    if (waits)
        wi_line_remove(&first, w->place);
    if (waits && first == NULL)
        // relaxed: under the line's lock, by which the next waiter comes
        __atomic_fetch_and(&w->lock->word, ~(uint64_t)(WAITED | HAND_OVER),
                           __ATOMIC_RELAXED);
    wi_line_unlock(line, first);
    if (waits)
        return false;
    wi_place_await(w->place);
    return wi_place_state(w->place) == WI_PLACE_GIVEN || decline(w);
}

// In line until the lock is ours, 0, or the wait is ended.
static int wait_in_line(struct wait *w, int64_t deadline, bool edge)
{
    const struct wi_wait wait = {
        .object = w->lock, .deadline = deadline, .kind = WI_WAIT_LOCK};
    wi_hint self = wi_hint_of(w->self);
    for (;;) {
        int rc = wi_owner_wait(w->self, w->place, &wait, wi_lock_holder, edge);
        if (rc < 0) {
            if (leave(w))
                return 0;
            if (rc != -EOWNERDEAD && !wi_owner_gone(load(w->lock)))
                return rc;
        } else if (wi_place_state(w->place) == WI_PLACE_GIVEN) {
            return 0;
        }
        // Woken, or the holder is gone.
        w->lost = rc == 0 ? w->lost + 1 : 0;
        if (spin(w->lock, self, rc == 0 ? WAKING : 0) || stand_in_line(w))
            return 0;
    }
}

static int acquire_in_line(struct weft_lock *lock, struct wi_task *self,
                           int64_t deadline)
{
    struct wi_place place = wi_place_of(self);
    struct wi_edge_set holder = {.holder = wi_lock_holder, .object = lock};
    struct wait w = {.lock = lock, .self = self, .place = &place};
    bool edge = deadline == WI_FOREVER;
    if (edge)
        wi_owner_edge(self, &holder);
    int rc = stand_in_line(&w) ? 0 : wait_in_line(&w, deadline, edge);
    wi_edge_clear(self);
    return rc;
}

// A shared one was taken, or not: rc.
static int took_far(struct weft_lock *lock, struct wi_task *self, int rc,
                    const void *site)
{
    if (wi_order_on() && (rc == 0 || rc == -EOWNERDEAD))
        track(lock, self, site);
    return rc;
}

// Deadline 0: without waiting.
static int acquire_far(struct weft_lock *lock, struct wi_task *self,
                       int64_t deadline, const void *site)
{
    return took_far(lock, self, wi_far_lock_acquire(lock, deadline), site);
}

__attribute__((noinline)) static int acquire(struct weft_lock *lock,
                                             int64_t deadline, const void *site)
{
    wi_require_in("weft_lock_acquire", lock != NULL, NULL,
                  "lock must not be NULL");
    if (wi_here.self == NULL)
        wi_worker_watch_faults();
    struct wi_task *self = wi_sync_self(lock);
    if (wi_order_on())
        wi_order_want(self, lock, site);
    if (wi_lock_is_far(lock))
        return acquire_far(lock, self, deadline, site);
    wi_hint hint = wi_hint_of(self);
    if (wi_owner_of(load(lock)) == hint)
        return -WEFT_EDEADLOCK;
    if (!try_take(lock, hint, 0) && !spin(lock, hint, 0)) {
        int rc = acquire_in_line(lock, self, deadline);
        if (rc < 0)
            return rc;
    }
    return took(lock, self, site);
}

// The case of every day: a known caller, a free lock. Whether that is shared is
// looked at before the compare-and-swap, which costs as much when it fails; and
// the caller before both, since one that is not known has not yet seen to it
// that a NULL is told.
static inline bool acquire_fast(struct weft_lock *lock)
{
    need_where_slow(lock, "weft_lock_acquire");
    struct wi_task *self = wi_here.self;
    uint64_t nobody = 0;
    // acquire: pairs with the release in weft_lock_release
    if (__builtin_expect((uintptr_t)self <= wi_order_floor, false) ||
        wi_lock_is_far(lock) ||
        !__atomic_compare_exchange_n(&lock->word, &nobody, wi_hint_of(self),
                                     false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    self->held++;
    return true;
}

int wi_lock_acquire_at(struct weft_lock *lock, const void *site)
{
    return acquire_fast(lock) ? 0 : acquire(lock, WI_FOREVER, site);
}

int weft_lock_acquire(struct weft_lock *lock)
{
    if (acquire_fast(lock))
        return 0;
    if (lock != NULL && wi_lock_is_far(lock) && !wi_order_on())
        return wi_far_lock_acquire(lock, WI_FOREVER);
    return acquire(lock, WI_FOREVER, __builtin_return_address(0));
}

int weft_lock_acquire_for(struct weft_lock *lock, double seconds)
{
    wi_need(lock);
    if (acquire_fast(lock))
        return 0;
    return acquire(lock, wi_deadline_in(seconds, __func__),
                   __builtin_return_address(0));
}

int weft_lock_try(struct weft_lock *lock)
{
    wi_need(lock);
    if (acquire_fast(lock))
        return 0;
    const void *site = __builtin_return_address(0);
    struct wi_task *self = wi_sync_self(lock);
    if (wi_lock_is_far(lock)) {
        int rc = acquire_far(lock, self, 0, site);
        return rc == -ETIMEDOUT || rc == -WEFT_EDEADLOCK ? -EAGAIN : rc;
    }
    return try_take(lock, wi_hint_of(self), 0) ? took(lock, self, site)
                                               : -EAGAIN;
}

// Releasing -------------------------------------------------------------------

// Frees a lock for which nobody has to be woken; false: somebody has.
static bool free_quietly(struct weft_lock *lock)
{
    uint64_t word = load(lock);
    while (!(word & WAITED) || (word & (WAKING | HAND_OVER)) == WAKING) {
        // release: pairs with the acquire of the next holder
        if (__atomic_compare_exchange_n(&lock->word, &word,
                                        word & WI_OWNER_FLAGS, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

// Chooses the first of the line, NULL if it has left; *hand_over: to be made
// the holder.
static struct wi_place *choose(struct weft_lock *lock, bool *hand_over)
{
    struct wi_place *first = wi_line_lock(&lock->line);
    struct wi_place *place = first;
    if (place != NULL) {
        wi_line_choose(&first, place);
        uint64_t word = load(lock), next;
        do {
            *hand_over = word & HAND_OVER;
            next = *hand_over ? word & ~(uint64_t)HAND_OVER : word | WAKING;
            if (first == NULL)
                next &= ~(uint64_t)WAITED;
            // relaxed: flags, whose order is that of the line's lock
        } while (!__atomic_compare_exchange_n(&lock->word, &word, next, true,
                                              __ATOMIC_RELAXED,
                                              __ATOMIC_RELAXED));
    }
    wi_line_unlock(&lock->line, first);
    return place;
}

static void pass_on(struct weft_lock *lock, wi_hint next_holder)
{
    uint64_t word = load(lock);
    // release: pairs with the acquire of the next holder
    while (!__atomic_compare_exchange_n(
        &lock->word, &word, (word & WI_OWNER_FLAGS) | next_holder, true,
        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

__attribute__((noinline)) static void release(struct weft_lock *lock,
                                              struct wi_task *self)
{
    wi_require_in("weft_lock_release", lock != NULL, NULL,
                  "lock must not be NULL");
    if (wi_order_on() && self != NULL)
        wi_order_leave(self, lock);
    if (wi_lock_is_far(lock)) {
        wi_far_lock_release(lock);
        return;
    }
    if (!wi_lock_is_mine(lock, self))
        wi_panic("weft_lock_release", lock,
                 "a lock is released by the task or thread that holds it");
    self->held--;
    while (!free_quietly(lock)) {
        bool hand_over;
        struct wi_place *place = choose(lock, &hand_over);
        if (place == NULL)
            continue;
        pass_on(lock, hand_over ? wi_hint_of(place->task) : 0);
        wi_place_end(place, hand_over ? WI_PLACE_GIVEN : WI_PLACE_WOKEN);
        return;
    }
}

void weft_lock_release(struct weft_lock *lock)
{
    need_where_slow(lock, __func__);
    struct wi_task *self = wi_here.self;
    if (self != NULL && !wi_lock_is_far(lock)) {
        uint64_t mine = wi_hint_of(self);
        // release: pairs with the acquire of the next holder
        if (__atomic_compare_exchange_n(&lock->word, &mine, 0, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            self->held--;
            return;
        }
    }
    release(lock, self);
}

// Looking ---------------------------------------------------------------------

bool weft_lock_held(const struct weft_lock *lock)
{
    wi_need(lock);
    return wi_lock_is_mine(lock, wi_here.self);
}

bool weft_lock_locked(const struct weft_lock *lock)
{
    wi_need(lock);
    if (wi_lock_is_far(lock))
        return wi_far_lock_locked(lock);
    return wi_owner_of(load(lock)) != 0;
}

bool wi_lock_orphaned(const struct weft_lock *lock)
{
    if (wi_lock_is_far(lock))
        return wi_far_lock_orphaned(lock);
    return load(lock) & ORPHANED;
}

void weft_lock_repaired(struct weft_lock *lock)
{
    wi_need(lock);
    wi_require(weft_lock_held(lock), lock,
               "a lock is marked repaired by the task or thread that holds it");
    if (wi_lock_is_far(lock)) {
        wi_far_lock_repaired(lock);
        return;
    }
    // relaxed: the release of the lock orders it
    __atomic_fetch_and(&lock->word, ~(uint64_t)ORPHANED, __ATOMIC_RELAXED);
}

void weft_lock_init_with(struct weft_lock *lock,
                         const struct weft_lock_options *options)
{
    wi_need(lock);
    WI_OPTIONS(options);
    *lock = (struct weft_lock){.line = 0};
    lock->word = wi_far_flag(options->arena, lock, "weft_lock_init");
    if (wi_order_on())
        wi_order_name(lock, options->name);
}

void weft_lock_fini(struct weft_lock *lock)
{
    wi_need(lock);
    uint64_t word = load(lock);
    wi_require(!weft_lock_locked(lock), lock, "a lock that ends is not held");
    wi_require(!(word & (WAITED | WAKING)), lock,
               "nobody waits for a lock that ends");
    if (wi_order_on())
        wi_order_forget(lock);
    *lock = (struct weft_lock){.line = 0};
}

// For conditions --------------------------------------------------------------

void wi_lock_line_up(struct weft_lock *lock, struct wi_place *place)
{
    struct wi_place *first = wi_line_lock(&lock->line);
    wi_line_add(&first, place);
    // relaxed: the caller holds the lock, and looks at it when it releases it
    __atomic_fetch_or(&lock->word, WAITED, __ATOMIC_RELAXED);
    wi_line_unlock(&lock->line, first);
}

static int come_back(struct wait *w)
{
    // A re-acquire cannot fail: another one of a cycle must be told.
    wi_edge_stir(w->self);
    int rc = wait_in_line(w, WI_FOREVER, false);
    wi_edge_clear(w->self);
    return rc < 0 ? rc : took(w->lock, w->self, NULL);
}

int wi_lock_come_back(struct weft_lock *lock, struct wi_task *self,
                      struct wi_place *place)
{
    struct wait w = {.lock = lock, .self = self, .place = place};
    if (wi_order_on())
        wi_order_want(self, lock, NULL);
    return come_back(&w);
}

int wi_lock_take_back(struct weft_lock *lock, struct wi_task *self)
{
    if (wi_order_on())
        wi_order_want(self, lock, NULL);
    if (wi_lock_is_far(lock))
        return took_far(lock, self, wi_far_lock_take_back(lock), NULL);
    wi_hint hint = wi_hint_of(self);
    if (try_take(lock, hint, 0) || spin(lock, hint, 0))
        return took(lock, self, NULL);
    struct wi_place place = wi_place_of(self);
    struct wi_edge_set holder = {.holder = wi_lock_holder, .object = lock};
    struct wait w = {.lock = lock, .self = self, .place = &place};
    wi_owner_edge(self, &holder);
    if (!stand_in_line(&w))
        return come_back(&w);
    wi_edge_clear(self);
    return took(lock, self, NULL);
}
