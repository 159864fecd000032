// SPDX-License-Identifier: MIT
#include "sync/far.h"

#include <errno.h>

#include <weft/error.h>

#include "os/report.h"
#include "sched/here.h"
#include "shared/member.h"
#include "sync/far_cycle.h"
#include "sync/far_line.h"
#include "sync/lock.h"

enum { ORPHANED = 8, SET = 1 }; // flags beside WI_FAR

uint32_t wi_far_flag(weft_arena *arena, const void *object,
                     const char *function)
{
    if (arena == NULL)
        return 0;
    if (wi_arena_around(object) != arena)
        wi_panic(function, object, "the object does not lie in that arena");
    return WI_FAR;
}

bool wi_far_is_waited_for(void *object, uint32_t *lock, uintptr_t *line)
{
    struct wi_far_line l = wi_far_line_of(object, lock, line);
    wi_far_take(&l);
    bool waited = wi_far_first(&l) != NULL;
    wi_far_give(&l);
    return waited;
}

// Locks -----------------------------------------------------------------------
// half[0] has the flags, half[1] is the lock, `line` says who holds it: its id,
// salted (segment.h). It is written after the lock is taken and cleared before
// it is given back; of one who died it stays until the next holder writes it.

static struct wi_shared_lock *word_of(struct weft_lock *lock)
{
    return (struct wi_shared_lock *)&lock->half[1];
}

static inline bool is_mine(const struct weft_lock *lock,
                           const struct wi_task *self)
{
    // relaxed: nobody else makes it ours or not ours
    return self != NULL && __atomic_load_n(&lock->line, __ATOMIC_RELAXED) ==
                               wi_far_who(wi_far_arena(lock), self);
}

bool wi_far_lock_is_mine(const struct weft_lock *lock,
                         const struct wi_task *self)
{
    return is_mine(lock, self);
}

bool wi_far_lock_locked(const struct weft_lock *lock)
{
    uint32_t tag = __atomic_load_n(&lock->half[1], __ATOMIC_RELAXED);
    return tag != 0 && wi_member_lives(wi_far_arena(lock), tag);
}

bool wi_far_lock_orphaned(const struct weft_lock *lock)
{
    return __atomic_load_n(&lock->half[0], __ATOMIC_RELAXED) & ORPHANED;
}

void wi_far_lock_repaired(struct weft_lock *lock)
{
    // relaxed: the holder's alone; the release of the lock orders it
    __atomic_fetch_and(&lock->half[0], ~(uint32_t)ORPHANED, __ATOMIC_RELAXED);
}

// The lock has become self's. rc > 0: its last owner has died.
static inline int took(weft_arena *a, struct weft_lock *lock,
                       struct wi_task *self, int rc)
{
    wi_shared_seen();
    // relaxed, all: the holder's alone
    if (rc > 0)
        __atomic_fetch_or(&lock->half[0], ORPHANED, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->line, wi_far_who(a, self), __ATOMIC_RELAXED);
    self->held++;
    return wi_far_lock_orphaned(lock) ? -EOWNERDEAD : 0;
}

__attribute__((noinline)) static int acquire_slow(weft_arena *a,
                                                  struct weft_lock *lock,
                                                  struct wi_task *self,
                                                  int64_t deadline, bool tell)
{
    if (is_mine(lock, self))
        return -WEFT_EDEADLOCK;
    struct wi_far_watch watch;
    wi_far_watch_begin(&watch, a, lock, self, tell);
    int rc = wi_shared_lock_until(a, word_of(lock), deadline, lock,
                                  deadline == WI_FOREVER ? &watch.base : NULL);
    if (rc >= 0)
        rc = took(a, lock, self, rc);
    wi_far_watch_end(&watch);
    return rc;
}

static inline int acquire(struct weft_lock *lock, int64_t deadline, bool tell)
{
    struct wi_task *self =
        wi_here.self != NULL ? wi_here.self : wi_sync_self(lock);
    weft_arena *a = wi_far_arena(lock);
    uint32_t nobody = 0;
    // acquire: pairs with the release in wi_shared_unlock
    if (__atomic_compare_exchange_n(&lock->half[1], &nobody, a->tag, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return took(a, lock, self, 0);
    return acquire_slow(a, lock, self, deadline, tell);
}

int wi_far_lock_acquire(struct weft_lock *lock, int64_t deadline)
{
    return acquire(lock, deadline, true);
}

int wi_far_lock_take_back(struct weft_lock *lock)
{
    return acquire(lock, WI_FOREVER, false);
}

void wi_far_lock_release(struct weft_lock *lock)
{
    struct wi_task *self = wi_here.self;
    if (!is_mine(lock, self))
        wi_panic("weft_lock_release", lock,
                 "a lock is released by the task or thread that holds it");
    self->held--;
    __atomic_store_n(&lock->line, 0, __ATOMIC_RELAXED);
    wi_shared_unlock(word_of(lock));
}

// Semaphores ------------------------------------------------------------------

static bool take_permit(struct weft_semaphore *semaphore)
{
    if (semaphore->permits == 0)
        return false;
    semaphore->permits--;
    return true;
}

int wi_far_semaphore_try(struct weft_semaphore *semaphore)
{
    struct wi_far_line line =
        wi_far_line_of(semaphore, &semaphore->lock, &semaphore->line);
    wi_far_take(&line);
    bool mine = take_permit(semaphore);
    wi_far_give(&line);
    return mine ? 0 : -EAGAIN;
}

int wi_far_semaphore_acquire(struct weft_semaphore *semaphore, int64_t deadline)
{
    if (wi_far_semaphore_try(semaphore) == 0)
        return 0;
    struct wi_far_line line =
        wi_far_line_of(semaphore, &semaphore->lock, &semaphore->line);
    struct wi_far_place *place = wi_far_place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    wi_far_take(&line);
    bool mine = take_permit(semaphore);
    if (!mine)
        wi_far_add(&line, place);
    wi_far_give(&line);
    if (mine) {
        weft_arena_free(line.arena, place);
        return 0;
    }
    const struct wi_wait wait = {.object = semaphore,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_SEMAPHORE,
                                 .flags = WI_SCOPED};
    return wi_far_stand(&line, place, &wait, NULL);
}

int wi_far_semaphore_release(struct weft_semaphore *semaphore, uint32_t n)
{
    struct wi_far_line line =
        wi_far_line_of(semaphore, &semaphore->lock, &semaphore->line);
    uint32_t bound = semaphore->bound != 0 ? semaphore->bound : UINT32_MAX;
    wi_far_take(&line);
    bool fits = n <= bound - semaphore->permits;
    if (fits) {
        while (n > 0 && wi_far_serve(&line))
            n--;
        semaphore->permits += n;
    }
    wi_far_give(&line);
    return fits ? 0 : -EOVERFLOW;
}

// Events ----------------------------------------------------------------------

bool wi_far_event_is_set(const struct weft_event *event)
{
    // acquire: pairs with the release in wi_far_event_set
    return __atomic_load_n(&event->flags, __ATOMIC_ACQUIRE) & SET;
}

void wi_far_event_set(struct weft_event *event)
{
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    wi_far_take(&line);
    // release: pairs with wi_far_event_is_set
    __atomic_store_n(&event->flags, WI_FAR | SET, __ATOMIC_RELEASE);
    while (wi_far_serve(&line))
        ;
    wi_far_give(&line);
}

void wi_far_event_clear(struct weft_event *event)
{
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    wi_far_take(&line);
    // Whoever set it may have died before all were served.
    while (wi_far_event_is_set(event) && wi_far_serve(&line))
        ;
    __atomic_store_n(&event->flags, WI_FAR, __ATOMIC_RELEASE);
    wi_far_give(&line);
}

static bool is_set(const void *event)
{
    return wi_far_event_is_set(event);
}

// A new place in line: 0. 1: the event is set, there is none. Or -ENOMEM.
static int stand(struct weft_event *event, struct wi_far_line *line,
                 struct wi_far_place **place)
{
    *place = wi_far_place_new(line);
    if (*place == NULL)
        return -ENOMEM;
    wi_far_take(line);
    bool set = wi_far_event_is_set(event);
    if (!set)
        wi_far_add(line, *place);
    wi_far_give(line);
    if (set)
        weft_arena_free(line->arena, *place);
    return set;
}

void wi_far_event_let_out(struct weft_event *event)
{
    // acquire: pairs with the release in wi_shared_unlock. One whose mark was
    // seen has the lock still, or has given it back.
    if (__atomic_load_n(&event->lock, __ATOMIC_ACQUIRE) == 0)
        return;
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    wi_far_take(&line);
    wi_far_give(&line);
}

int wi_far_event_wait(struct weft_event *event, int64_t deadline)
{
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    struct wi_far_place *place;
    int rc = stand(event, &line, &place);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    const struct wi_wait wait = {.object = event,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_EVENT,
                                 .flags = WI_SCOPED};
    return wi_far_stand(&line, place, &wait, is_set);
}

int wi_far_event_watch(struct weft_event *event, union wi_event_watch *watch)
{
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    int rc = stand(event, &line, &watch->far.place);
    if (rc != 0)
        return rc;
    wi_nap_begin(&watch->far.nap, line.arena);
    wi_nap_arm(&watch->far.nap, &watch->far.place->state, WI_FAR_WAITING);
    return 0;
}

bool wi_far_event_unwatch(struct weft_event *event, union wi_event_watch *watch)
{
    struct wi_far_line line = wi_far_line_of(event, &event->lock, &event->line);
    wi_nap_end(&watch->far.nap);
    return wi_far_leave(&line, watch->far.place);
}

// Conditions ------------------------------------------------------------------

int wi_far_condition_wait(struct weft_condition *condition,
                          struct weft_lock *lock, int64_t deadline)
{
    struct wi_far_line line =
        wi_far_line_of(condition, &condition->lock, &condition->line);
    struct wi_far_place *place = wi_far_place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    wi_far_take(&line);
    wi_far_add(&line, place);
    wi_far_give(&line);
    weft_lock_release(lock);
    const struct wi_wait wait = {.object = condition,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_CONDITION,
                                 .flags = WI_SCOPED};
    int rc = wi_far_stand(&line, place, &wait, NULL);
    int back = wi_lock_take_back(lock, wi_here.self);
    return back < 0 ? back : rc;
}

size_t wi_far_condition_notify(struct weft_condition *condition, size_t n)
{
    struct wi_far_line line =
        wi_far_line_of(condition, &condition->lock, &condition->line);
    size_t notified = 0;
    wi_far_take(&line);
    while (notified < n && wi_far_serve(&line))
        notified++;
    wi_far_give(&line);
    return notified;
}

size_t wi_far_condition_waiting(struct weft_condition *condition)
{
    struct wi_far_line line =
        wi_far_line_of(condition, &condition->lock, &condition->line);
    size_t waiting = 0;
    wi_far_take(&line);
    struct wi_far_place *place = wi_far_first(&line);
    while (place != NULL) {
        waiting += place->state == WI_FAR_WAITING;
        place = wi_far_place_at(&line, place->next);
    }
    wi_far_give(&line);
    return waiting;
}
