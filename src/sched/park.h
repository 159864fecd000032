// SPDX-License-Identifier: MIT
//
// park.h: the one waiting primitive. Every blocking call of Weft, in a task
// or in a plain thread, comes down to wi_park; whatever ends a wait comes down
// to wi_unpark.
//
// A wake is a hint: it may be spurious, and it may belong to an earlier wait
// of the same record. So every wait is a loop over the caller's own condition:
//
//     while (!atomically(condition)) {
//         int rc = wi_park(&wait);
//         if (rc < 0) { withdraw; return rc; }
//     }
//
// The waker makes the condition true first and calls wi_unpark second. A wake
// that comes between the test and the park is not lost: see task.h.
#ifndef WI_SCHED_PARK_H
#define WI_SCHED_PARK_H

#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"
#include "sched/here.h"

struct wi_task; // the record of a task, a thread or a job: task.h

// What a wait is for; shown by `weft ps`.
enum wi_wait_kind {
    WI_WAIT_NONE = 0,
    WI_WAIT_SLEEP,
    WI_WAIT_PARK, // weft_park
    WI_WAIT_YIELD,
    WI_WAIT_FUTURE, // object: the future; owner: the same record
    WI_WAIT_SET,    // weft_wait and friends; object: the set
    WI_WAIT_GROUP,  // object: the group
    WI_WAIT_READ,   // object: the fd as a number, as for the next four
    WI_WAIT_WRITE,
    WI_WAIT_ACCEPT,
    WI_WAIT_CONNECT,
    WI_WAIT_FD,
    WI_WAIT_LOCK, // object: the lock; owner: its holder
    WI_WAIT_QUEUE,
    WI_WAIT_POOL, // object: the executor
    WI_WAIT_CONDITION,
    WI_WAIT_SEMAPHORE,
    WI_WAIT_EVENT,
    WI_WAIT_BARRIER,
    WI_WAIT_ONCE,
    WI_WAIT_CHILD, // of fork-join; object: its slot
    WI_WAIT_KINDS
};

enum wi_wait_flags {
    WI_CANCELABLE = 1, // cancel requests of the caller's scopes end it
    WI_DEADLINED = 2,  // their deadlines end it
    WI_SCOPED = WI_CANCELABLE | WI_DEADLINED,
    WI_STAYS = 4, // something of this wait belongs to the worker: roam.c
};

struct wi_wait {
    const void *object;
    struct wi_task *owner; // who must act, or NULL
    int64_t deadline;      // of this call itself; WI_FOREVER: none
    uint16_t kind;         // enum wi_wait_kind
    uint16_t flags;        // enum wi_wait_flags
    // A plain thread also wakes when this word, which other processes write,
    // has not this value any more (NULL: none). A task does not look at it.
    uint32_t *shared;
    uint32_t shared_value;
};

// Parks the caller until wi_unpark, the deadline or (as the flags say) the
// caller's scopes end it. 0: woken, look again. -ETIMEDOUT: the call's own
// deadline or that of a scope has passed; -ECANCELED: a scope is canceled.
// Tests scopes and deadline before it parks.
int wi_park(const struct wi_wait *wait);

// As wi_park for a plain thread that also waits for file descriptors: sleeps
// in ppoll on fds and on the thread's wake-up descriptor. Never in a task.
struct pollfd;
int wi_park_poll(const struct wi_wait *wait, struct pollfd *fds, unsigned n);

// Wakes t, or lets its next park return at once. Any thread; in a signal
// handler wi_mail does it. t may have ended or been recycled: then somebody
// sees a spurious wake.
void wi_unpark(struct wi_task *t);

// What a plain thread does before it sleeps and in place of sleeping, while a
// module has work for those who wait (process/help.c). NULL: nothing.
struct wi_sleep_ops {
    void (*help)(struct wi_task *self); // may unpark self
    // As wi_os_futex_wait; self is unparked by a change of *word.
    int (*sleep)(uint32_t *word, uint32_t value, int64_t deadline);
};
extern const struct wi_sleep_ops *wi_sleep_ops;

// The caller's record; a plain thread gets one at its first call. NULL only if
// there is no memory for a thread's first record.
struct wi_task *wi_self_slow(void);

static inline struct wi_task *wi_self(void)
{
    return wi_here.self != NULL ? wi_here.self : wi_self_slow();
}

// Makes t the record of the calling plain thread, which takes a reference.
void wi_thread_adopt(struct wi_task *t);

// Whether threads beside the caller have records: they may hold something.
bool wi_thread_has_others(void);

// Called when a plain thread with a record ends, before its record goes.
extern void (*wi_thread_left)(struct wi_task *t);

// Called when any thread with values of its own may end.
extern void (*wi_thread_values_left)(void);

// Wakes the plain thread of this record. Signal-safe.
void wi_thread_unpark(struct wi_task *t);

// 0, -ECANCELED or -ETIMEDOUT as the caller's scopes stand now.
int wi_check_scopes(void);

// An absolute deadline from seconds as the API takes them: negative is 0,
// INFINITY is WI_FOREVER, NaN panics in the name of `function`.
int64_t wi_deadline_in(double seconds, const char *function);

#endif
