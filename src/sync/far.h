// SPDX-License-Identifier: MIT
//
// far.h: the objects of this folder in memory that processes share. Whether an
// object is such a one stands in its flags; then these functions do its work.
#ifndef WI_SYNC_FAR_H
#define WI_SYNC_FAR_H

#include <weft/barrier.h>
#include <weft/condition.h>
#include <weft/event.h>
#include <weft/lock.h>
#include <weft/once.h>
#include <weft/rwlock.h>
#include <weft/semaphore.h>

#include "sched/deadlock.h"
#include "sync/event.h"

enum { WI_FAR = WI_OWNED_FAR }; // flag of the first word of an object

// What an init with an arena does: aborts unless object lies in it. 0 or
// WI_FAR, the flag.
uint32_t wi_far_flag(weft_arena *arena, const void *object,
                     const char *function);

static inline bool wi_lock_is_far(const struct weft_lock *lock)
{
    // relaxed: constant from the init on. The flags' half alone: the whole word
    // would wait for the last store to the other half.
    return __atomic_load_n(&lock->half[0], __ATOMIC_RELAXED) & WI_FAR;
}

int wi_far_lock_acquire(struct weft_lock *lock, int64_t deadline);

// The same for a wait that can't be ended, with no limit: of a cycle, another
// one is told.
int wi_far_lock_take_back(struct weft_lock *lock);
void wi_far_lock_release(struct weft_lock *lock);
bool wi_far_lock_is_mine(const struct weft_lock *lock,
                         const struct wi_task *self);
bool wi_far_lock_locked(const struct weft_lock *lock);
bool wi_far_lock_orphaned(const struct weft_lock *lock);
void wi_far_lock_repaired(struct weft_lock *lock);

int wi_far_semaphore_acquire(struct weft_semaphore *semaphore,
                             int64_t deadline);
int wi_far_semaphore_try(struct weft_semaphore *semaphore);
int wi_far_semaphore_release(struct weft_semaphore *semaphore, uint32_t n);

void wi_far_event_set(struct weft_event *event);
void wi_far_event_clear(struct weft_event *event);
bool wi_far_event_is_set(const struct weft_event *event);
int wi_far_event_wait(struct weft_event *event, int64_t deadline);

// Of one that is set: whoever set it is inside no more when this returns.
void wi_far_event_let_out(struct weft_event *event);
int wi_far_event_watch(struct weft_event *event, union wi_event_watch *watch);
bool wi_far_event_unwatch(struct weft_event *event,
                          union wi_event_watch *watch);

// One wait, lock held before and after, as weft_condition_wait.
int wi_far_condition_wait(struct weft_condition *condition,
                          struct weft_lock *lock, int64_t deadline);
size_t wi_far_condition_notify(struct weft_condition *condition, size_t n);
size_t wi_far_condition_waiting(struct weft_condition *condition);

// The purpose of one who wants a read-write lock.
enum wi_rwlock_purpose { WI_RWLOCK_READ, WI_RWLOCK_WRITE };

int wi_far_rwlock_acquire(struct weft_rwlock *lock,
                          enum wi_rwlock_purpose purpose, int64_t deadline);
int wi_far_rwlock_try(struct weft_rwlock *lock, enum wi_rwlock_purpose purpose);
void wi_far_rwlock_read_release(struct weft_rwlock *lock);
bool wi_far_rwlock_write_held(const struct weft_rwlock *lock);
void wi_far_rwlock_repaired(struct weft_rwlock *lock);
void wi_far_rwlock_fini(struct weft_rwlock *lock);

// The writer gives it up, and goes on with so many readers' shares. false: the
// caller is not the writer.
bool wi_far_rwlock_end_writing(struct weft_rwlock *lock, uint32_t readers);

int wi_far_barrier_wait(struct weft_barrier *barrier, int64_t deadline);
void wi_far_barrier_empty(struct weft_barrier *barrier, bool broken);
uint32_t wi_far_barrier_waiting(struct weft_barrier *barrier);
bool wi_far_barrier_broken(struct weft_barrier *barrier);

// Whether somebody who lives stands in the line of an object.
bool wi_far_is_waited_for(void *object, uint32_t *lock, uintptr_t *line);

#endif
