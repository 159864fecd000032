// SPDX-License-Identifier: MIT
//
// A waiter stands in the condition's line until it is notified. If whoever
// notifies it holds its lock, the place moves over to the line of the lock: the
// waiter sleeps on, and the release of the lock wakes it. Otherwise it is woken
// and takes the lock itself; so is a task of the notifier's own worker, which
// does not run before the notifier waits, and that is after the release mostly.
//
// Being chosen and moving are decided under the lock of the condition's line.
// So a waiter whose wait is ended looks there: still in that line, it leaves,
// and nothing has been notified; else it has been, and only the lock is waited
// for. One that has moved and wakes before it has the lock waits on as others
// do who want it: its holder may have ended.
#include <weft/condition.h>

#include <errno.h>

#include "base/options.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/scope.h"
#include "sync/lock.h"

struct waiter {
    struct wi_place place; // first: the line's
    struct weft_lock *lock;
    struct wi_edge_set holder; // of the lock, for the wait after the move
    bool moved; // to the line of the lock; set under the condition's line
};

// What a wait gives up and gets back.
struct held {
    struct weft_lock *lock;
    uint32_t *depth; // of a recursive one, or NULL
};

void weft_condition_init_with(struct weft_condition *condition,
                              const struct weft_condition_options *options)
{
    wi_need(condition);
    WI_OPTIONS(options);
    *condition = (struct weft_condition){
        .flags = wi_far_flag(options->arena, condition, "weft_condition_init")};
}

static bool has_moved(const struct waiter *waiter)
{
    // acquire: pairs with the release in choose_first; the edge is set
    return __atomic_load_n(&waiter->moved, __ATOMIC_ACQUIRE);
}

// Leaves the condition's line: true. False: it has been notified.
static bool leave(struct weft_condition *condition, struct waiter *waiter)
{
    struct wi_place *first = wi_line_lock(&condition->line);
    bool moved = has_moved(waiter);
    bool here = !moved && wi_place_state(&waiter->place) == WI_PLACE_WAITING;
    if (here)
        wi_line_remove(&first, &waiter->place);
    wi_line_unlock(&condition->line, first);
    if (!here && !moved)
        wi_place_await(&waiter->place);
    return here;
}

// 0: notified, and woken or in line for the lock. Or the code that ended it.
static int await_notice(struct waiter *waiter, const struct wi_wait *wait)
{
    int rc = 0;
    while (rc == 0 && wi_place_waits(&waiter->place) && !has_moved(waiter))
        rc = wi_place_park(wait);
    return rc;
}

// One wait without the lock: 0 if notified, or the code that ended it. Then
// the lock is back, unless the result is -WEFT_EFORKED.
static int wait_unlocked(struct weft_condition *condition, struct wi_task *self,
                         struct weft_lock *lock, int64_t deadline)
{
    struct waiter waiter = {
        .place = wi_place_of(self),
        .lock = lock,
        .holder = {.holder = wi_lock_holder, .object = lock}};
    const struct wi_wait wait = {.object = condition,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_CONDITION,
                                 .flags = WI_SCOPED};
    struct wi_place *first = wi_line_lock(&condition->line);
    wi_line_add(&first, &waiter.place);
    wi_line_unlock(&condition->line, first);
    weft_lock_release(lock);
    int rc = await_notice(&waiter, &wait);
    bool left = rc < 0 && leave(condition, &waiter);
    int back = !left && has_moved(&waiter)
                   ? wi_lock_come_back(lock, self, &waiter.place)
                   : wi_lock_take_back(lock, self);
    if (back < 0)
        return back;
    return left ? rc : 0;
}

static int wait_until(struct weft_condition *condition, struct held held,
                      int64_t deadline)
{
    struct wi_task *self = wi_sync_self(condition);
    wi_require_in("weft_condition_wait", wi_lock_is_mine(held.lock, self),
                  condition, "whoever waits for a condition holds the lock");
    int rc = wi_scope_test(self);
    if (rc < 0)
        return rc;
    uint32_t depth = held.depth != NULL ? *held.depth : 0;
    rc = condition->flags & WI_FAR
             ? wi_far_condition_wait(condition, held.lock, deadline)
             : wait_unlocked(condition, self, held.lock, deadline);
    if (held.depth != NULL && wi_lock_is_mine(held.lock, self))
        *held.depth = depth;
    return rc;
}

static int wait_for(struct weft_condition *condition, struct held held,
                    weft_predicate *predicate, void *arg, int64_t deadline)
{
    if (predicate == NULL)
        return wait_until(condition, held, deadline);
    struct wi_task *self = wi_sync_self(condition);
    wi_require_in("weft_condition_wait", wi_lock_is_mine(held.lock, self),
                  condition, "whoever waits for a condition holds the lock");
    int rc = wi_scope_test(self);
    while (rc == 0 && !predicate(arg))
        rc = wait_until(condition, held, deadline);
    return rc == -ETIMEDOUT && predicate(arg) ? 0 : rc;
}

int weft_condition_wait(struct weft_condition *condition,
                        struct weft_lock *lock)
{
    wi_need(condition);
    wi_need(lock);
    return wait_until(condition, (struct held){.lock = lock}, WI_FOREVER);
}

int weft_condition_wait_for(struct weft_condition *condition,
                            struct weft_lock *lock, weft_predicate *predicate,
                            void *arg, double seconds)
{
    wi_need(condition);
    wi_need(lock);
    return wait_for(condition, (struct held){.lock = lock}, predicate, arg,
                    wi_deadline_in(seconds, __func__));
}

int weft_condition_wait_rlock(struct weft_condition *condition,
                              struct weft_rlock *lock)
{
    wi_need(condition);
    wi_need(lock);
    return wait_until(condition, (struct held){&lock->lock, &lock->depth},
                      WI_FOREVER);
}

int weft_condition_wait_rlock_for(struct weft_condition *condition,
                                  struct weft_rlock *lock,
                                  weft_predicate *predicate, void *arg,
                                  double seconds)
{
    wi_need(condition);
    wi_need(lock);
    return wait_for(condition, (struct held){&lock->lock, &lock->depth},
                    predicate, arg, wi_deadline_in(seconds, __func__));
}

// Notifying -------------------------------------------------------------------

// Whether t is a task of the caller's worker.
static bool is_beside(const struct wi_task *t)
{
    // relaxed: only we make it ours or not ours
    return wi_here.worker != NULL &&
           (__atomic_load_n(&t->owner, __ATOMIC_RELAXED) & WI_OWNER_MASK) ==
               (uintptr_t)wi_here.worker;
}

// Chooses the first of the line; it is to move if the caller holds its lock.
// The waiter cannot set its edge itself: it sleeps on.
static void choose_first(struct wi_chosen *chosen, struct wi_place **first)
{
    struct waiter *waiter = (struct waiter *)*first;
    wi_chosen_add(chosen, first, *first);
    if (is_beside(waiter->place.task) || wi_lock_is_far(waiter->lock) ||
        !wi_lock_is_mine(waiter->lock, wi_here.self))
        return;
    wi_owner_edge(waiter->place.task, &waiter->holder);
    // release: pairs with has_moved
    __atomic_store_n(&waiter->moved, true, __ATOMIC_RELEASE);
}

static void end_or_move(struct wi_chosen *chosen)
{
    struct wi_place *place = chosen->first;
    while (place != NULL) {
        struct wi_place *next = place->next;
        struct waiter *waiter = (struct waiter *)place;
        if (waiter->moved)
            wi_lock_line_up(waiter->lock, place);
        else
            wi_place_end(place, WI_PLACE_WOKEN);
        place = next;
    }
}

size_t weft_condition_notify(struct weft_condition *condition, size_t n)
{
    wi_need(condition);
    if (condition->flags & WI_FAR)
        return wi_far_condition_notify(condition, n);
    // relaxed: a waiter that this does not see yet has released its lock after
    // it, or not at all: it began to wait after this call
    if (__atomic_load_n(&condition->line, __ATOMIC_RELAXED) == 0)
        return 0;
    size_t notified = 0;
    struct wi_chosen chosen = {.last = &chosen.first};
    struct wi_place *first = wi_line_lock(&condition->line);
    for (; notified < n && first != NULL; notified++)
        choose_first(&chosen, &first);
    wi_line_unlock(&condition->line, first);
    end_or_move(&chosen);
    return notified;
}

size_t weft_condition_notify_all(struct weft_condition *condition)
{
    wi_need(condition);
    return weft_condition_notify(condition, SIZE_MAX);
}

size_t weft_condition_waiting(struct weft_condition *condition)
{
    wi_need(condition);
    if (condition->flags & WI_FAR)
        return wi_far_condition_waiting(condition);
    size_t waiting = 0;
    struct wi_place *first = wi_line_lock(&condition->line);
    struct wi_place *place = first;
    while (place != NULL) {
        waiting++;
        place = place->next != first ? place->next : NULL;
    }
    wi_line_unlock(&condition->line, first);
    return waiting;
}

void weft_condition_fini(struct weft_condition *condition)
{
    wi_need(condition);
    wi_require(weft_condition_waiting(condition) == 0, condition,
               "nobody waits for a condition that ends");
}
