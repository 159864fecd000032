// SPDX-License-Identifier: MIT
//
// To serve a waiter is to store the state of its place, which is its futex, and
// then to take the place off the line. The waiter, once it is awake for
// whatever reason, takes the lock, takes its place off if that still stands
// there, and frees it: under the lock the state is final. If the one who serves
// it dies between the two steps, or before the wake, the waiter is woken by
// that death (shared/keeper.h) and finds itself served.
#include "sync/far.h"

#include <errno.h>

#include <weft/error.h>

#include "os/report.h"
#include "sched/here.h"
#include "sched/scope.h"
#include "shared/keeper.h"
#include "shared/lock.h"
#include "shared/member.h"
#include "sync/owner.h"

enum { ORPHANED = 8, SET = 1 }; // flags beside WI_FAR

enum { WAITING = 0, SERVED = 1 };

// One waiter, in the arena.
struct far_place {
    uint64_t next;  // offset; 0: the last
    uint32_t tag;   // of the process that waits
    uint32_t state; // its futex
};

// The line of an object, as this process sees it.
struct far_line {
    weft_arena *arena;
    struct wi_shared_lock *lock;
    uintptr_t *first; // offset
};

static weft_arena *arena_of(const void *object)
{
    weft_arena *a = wi_arena_of(object);
    wi_require(a != NULL && a->tag != 0, object,
               "a shared object lies in an arena that is open for writing");
    return a;
}

uint32_t wi_far_flag(weft_arena *arena, const void *object,
                     const char *function)
{
    if (arena == NULL)
        return 0;
    if (wi_arena_around(object) != arena)
        wi_panic(function, object, "the object does not lie in that arena");
    return WI_FAR;
}

static struct far_line line_of(const void *object, uint32_t *lock,
                               uintptr_t *first)
{
    return (struct far_line){.arena = arena_of(object),
                             .lock = (struct wi_shared_lock *)lock,
                             .first = first};
}

static void take(struct far_line *line)
{
    wi_shared_lock(line->arena, line->lock); // a dead one leaves no trace
}

static void give(struct far_line *line)
{
    wi_shared_unlock(line->lock);
}

static struct far_place *place_at(struct far_line *line, uint64_t offset)
{
    return offset != 0 ? wi_segment_at(line->arena, offset) : NULL;
}

// Under the lock: takes off those who are served already or have died, until
// one stands first who waits; NULL: nobody does.
static struct far_place *first_waiting(struct far_line *line)
{
    struct far_place *place;
    while ((place = place_at(line, *line->first)) != NULL) {
        bool lives = wi_member_lives(line->arena, place->tag);
        if (lives && place->state == WAITING)
            return place;
        *line->first = place->next;
        if (!lives)
            weft_arena_free(line->arena, place);
    }
    return NULL;
}

// Serves the first one; false: nobody waits.
static bool serve(struct far_line *line)
{
    struct far_place *place = first_waiting(line);
    if (place == NULL)
        return false;
    // release: pairs with the load in stand; what was done before is seen
    __atomic_store_n(&place->state, SERVED, __ATOMIC_RELEASE);
    wi_os_futex_wake(&place->state, 1, true);
    *line->first = place->next;
    return true;
}

static void add(struct far_line *line, struct far_place *place)
{
    uint64_t offset = wi_segment_offset(line->arena, place);
    struct far_place *last = place_at(line, *line->first);
    if (last == NULL) {
        *line->first = offset;
        return;
    }
    while (last->next != 0)
        last = place_at(line, last->next);
    last->next = offset;
}

// Takes the place off, wherever it stands. Whether it was served.
static bool take_off(struct far_line *line, struct far_place *place)
{
    uint64_t offset = wi_segment_offset(line->arena, place);
    take(line);
    struct far_place *before = place_at(line, *line->first);
    if (*line->first == offset)
        *line->first = place->next;
    while (before != NULL && before->next != offset)
        before = place_at(line, before->next);
    if (before != NULL)
        before->next = place->next;
    bool served = place->state == SERVED;
    give(line);
    return served;
}

static struct far_place *place_new(struct far_line *line)
{
    struct far_place *place = weft_arena_alloc(line->arena, sizeof *place);
    if (place != NULL)
        place->tag = line->arena->tag;
    return place;
}

static uint32_t state_of(struct far_place *place)
{
    // acquire: pairs with serve
    return __atomic_load_n(&place->state, __ATOMIC_ACQUIRE);
}

// Waits in line until served, 0, or the wait is ended: a code. The place is
// gone after. `set` (may be NULL): an event that serves as well by being set,
// for whoever set it may have died.
static int stand(struct far_line *line, struct far_place *place,
                 const struct wi_wait *how, const struct weft_event *set)
{
    struct wi_nap nap;
    int rc = 0;
    wi_nap_begin(&nap, line->arena);
    while (rc == 0 && state_of(place) == WAITING &&
           !(set != NULL && wi_far_event_is_set(set))) {
        struct wi_wait wait = *how;
        rc = wi_nap(&nap, &place->state, WAITING, &wait);
        if (rc == -ETIMEDOUT && !wi_wait_is_over(how) &&
            wi_scope_test(wi_self()) != -ETIMEDOUT)
            rc = 0; // an earlier timer's late word
    }
    wi_nap_end(&nap);
    if (take_off(line, place))
        rc = 0;
    weft_arena_free(line->arena, place);
    return rc;
}

bool wi_far_is_waited_for(void *object, uint32_t *lock, uintptr_t *line)
{
    struct far_line l = line_of(object, lock, line);
    take(&l);
    bool waited = first_waiting(&l) != NULL;
    give(&l);
    return waited;
}

// Locks -----------------------------------------------------------------------
// half[0] has the flags, half[1] is the lock, `line` is the id of the task or
// thread that holds it.

static struct wi_shared_lock *word_of(struct weft_lock *lock)
{
    return (struct wi_shared_lock *)&lock->half[1];
}

bool wi_far_lock_is_mine(const struct weft_lock *lock,
                         const struct wi_task *self)
{
    // relaxed, both: nobody else makes it ours or not ours
    uint32_t tag = __atomic_load_n(&lock->half[1], __ATOMIC_RELAXED);
    return self != NULL && (tag & ~WI_TAG_FLAG) == arena_of(lock)->tag &&
           __atomic_load_n(&lock->line, __ATOMIC_RELAXED) == self->id;
}

bool wi_far_lock_locked(const struct weft_lock *lock)
{
    uint32_t tag = __atomic_load_n(&lock->half[1], __ATOMIC_RELAXED);
    return tag != 0 && wi_member_lives(arena_of(lock), tag);
}

bool wi_far_lock_orphaned(const struct weft_lock *lock)
{
    return __atomic_load_n(&lock->half[0], __ATOMIC_RELAXED) & ORPHANED;
}

void wi_far_lock_repaired(struct weft_lock *lock)
{
    // relaxed: the holder's alone; the release of the lock orders it
    __atomic_store_n(&lock->half[0], WI_FAR, __ATOMIC_RELAXED);
}

// The lock has become self's. rc > 0: its last owner has died.
static int took(struct weft_lock *lock, struct wi_task *self, int rc)
{
    // relaxed, all: the holder's alone
    if (rc > 0)
        __atomic_store_n(&lock->half[0], WI_FAR | ORPHANED, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->line, self->id, __ATOMIC_RELAXED);
    self->held++;
    return wi_far_lock_orphaned(lock) ? -EOWNERDEAD : 0;
}

int wi_far_lock_acquire(struct weft_lock *lock, int64_t deadline)
{
    struct wi_task *self = wi_sync_self(lock);
    weft_arena *a = arena_of(lock);
    uint32_t nobody = 0;
    // acquire: pairs with the release in wi_shared_unlock
    if (__atomic_compare_exchange_n(&lock->half[1], &nobody, a->tag, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return took(lock, self, 0);
    if (wi_far_lock_is_mine(lock, self))
        return -WEFT_EDEADLOCK;
    int rc = wi_shared_lock_until(a, word_of(lock), deadline, lock);
    return rc < 0 ? rc : took(lock, self, rc);
}

void wi_far_lock_release(struct weft_lock *lock)
{
    struct wi_task *self = wi_here.self;
    if (!wi_far_lock_is_mine(lock, self))
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
    struct far_line line =
        line_of(semaphore, &semaphore->lock, &semaphore->line);
    take(&line);
    bool mine = take_permit(semaphore);
    give(&line);
    return mine ? 0 : -EAGAIN;
}

int wi_far_semaphore_acquire(struct weft_semaphore *semaphore, int64_t deadline)
{
    if (wi_far_semaphore_try(semaphore) == 0)
        return 0;
    struct far_line line =
        line_of(semaphore, &semaphore->lock, &semaphore->line);
    struct far_place *place = place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    take(&line);
    bool mine = take_permit(semaphore);
    if (!mine)
        add(&line, place);
    give(&line);
    if (mine) {
        weft_arena_free(line.arena, place);
        return 0;
    }
    const struct wi_wait wait = {.object = semaphore,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_SEMAPHORE,
                                 .flags = WI_SCOPED};
    return stand(&line, place, &wait, NULL);
}

int wi_far_semaphore_release(struct weft_semaphore *semaphore, uint32_t n)
{
    struct far_line line =
        line_of(semaphore, &semaphore->lock, &semaphore->line);
    uint32_t bound = semaphore->bound != 0 ? semaphore->bound : UINT32_MAX;
    take(&line);
    bool fits = n <= bound - semaphore->permits;
    if (fits) {
        while (n > 0 && serve(&line))
            n--;
        semaphore->permits += n;
    }
    give(&line);
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
    struct far_line line = line_of(event, &event->lock, &event->line);
    take(&line);
    // release: pairs with wi_far_event_is_set
    __atomic_store_n(&event->flags, WI_FAR | SET, __ATOMIC_RELEASE);
    while (serve(&line))
        ;
    give(&line);
}

void wi_far_event_clear(struct weft_event *event)
{
    struct far_line line = line_of(event, &event->lock, &event->line);
    take(&line);
    // Whoever set it may have died before all were served.
    while (wi_far_event_is_set(event) && serve(&line))
        ;
    __atomic_store_n(&event->flags, WI_FAR, __ATOMIC_RELEASE);
    give(&line);
}

int wi_far_event_wait(struct weft_event *event, int64_t deadline)
{
    if (wi_far_event_is_set(event))
        return 0;
    struct far_line line = line_of(event, &event->lock, &event->line);
    struct far_place *place = place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    take(&line);
    bool set = wi_far_event_is_set(event);
    if (!set)
        add(&line, place);
    give(&line);
    if (set) {
        weft_arena_free(line.arena, place);
        return 0;
    }
    const struct wi_wait wait = {.object = event,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_EVENT,
                                 .flags = WI_SCOPED};
    return stand(&line, place, &wait, event);
}

// Conditions ------------------------------------------------------------------

int wi_far_condition_wait(struct weft_condition *condition,
                          struct weft_lock *lock, int64_t deadline)
{
    struct far_line line =
        line_of(condition, &condition->lock, &condition->line);
    struct far_place *place = place_new(&line);
    if (place == NULL)
        return -ENOMEM;
    take(&line);
    add(&line, place);
    give(&line);
    weft_lock_release(lock);
    const struct wi_wait wait = {.object = condition,
                                 .deadline = deadline,
                                 .kind = WI_WAIT_CONDITION,
                                 .flags = WI_SCOPED};
    int rc = stand(&line, place, &wait, NULL);
    int back = weft_lock_acquire(lock);
    return back < 0 ? back : rc;
}

size_t wi_far_condition_notify(struct weft_condition *condition, size_t n)
{
    struct far_line line =
        line_of(condition, &condition->lock, &condition->line);
    size_t notified = 0;
    take(&line);
    while (notified < n && serve(&line))
        notified++;
    give(&line);
    return notified;
}

size_t wi_far_condition_waiting(struct weft_condition *condition)
{
    struct far_line line =
        line_of(condition, &condition->lock, &condition->line);
    size_t waiting = 0;
    take(&line);
    struct far_place *place = first_waiting(&line);
    while (place != NULL) {
        waiting += place->state == WAITING;
        place = place_at(&line, place->next);
    }
    give(&line);
    return waiting;
}
