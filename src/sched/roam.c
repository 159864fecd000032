// SPDX-License-Identifier: MIT
//
// Roamers: jobs that were submitted with .migrate. When one of them waits, it
// belongs to no worker, and whichever worker is free first goes on with it. So
// it is not held up by what its worker has begun meanwhile.
//
// The protocol of task.h, where parking is private to the owner, does not do
// for that. All that is known of a roamer is in its owner word, which goes
// through these states by compare-and-swap of anybody:
//
//     worker | ROAMING            runs there
//     worker | ROAMING | AGAIN    was woken since: its next wait is over
//     ROAMING | PARKED            waits, its stack is left
//     ROAMING                     woken: in the queue of the runtime
//     ROAMING | AGAIN             woken once more since
//
// Nothing goes through an inbox, where it could lie behind a busy worker.
//
// A roamer that waits switches to a loop frame first, and only there, when
// its stack is left, becomes PARKED (wi_roamer_leaves): nobody can go on with
// a stack that is still in use. If it was woken by then, it is queued at once.
//
// Some waits tie the thread: for a descriptor, which belongs to its worker's
// loop, for a child of fork-join, whose range belongs to its worker, and any
// wait while the job runs inside a join or has a fork-join run of its own
// (WI_PINNED). For such a wait the word becomes worker | PARKED, and all is as
// with any other record, until it runs again and is a roamer again. By then no
// message for it may be left in the inbox, or a later wake would rely on it.
//
// The timers of roamers are in a wheel of the runtime. One worker that sleeps,
// the keeper, sleeps no longer than until the first is due. If that one is
// busy by then, the watchdog sees to it at its next look; without one, the next
// worker that looks around does.
#include "sched/roam.h"

#include <errno.h>

#include "arch/arch.h"
#include "sched/idle.h"
#include "sched/park.h"
#include "sched/roam_check.h"
#include "sched/timer.h"
#include "sched/worker.h"

enum { MAIL_SPINS = 64 }; // for a sender to push what it has announced

// Those during which nothing of the wait belongs to the worker.
static const uint64_t free_waits =
    1ull << WI_WAIT_SLEEP | 1ull << WI_WAIT_PARK | 1ull << WI_WAIT_FUTURE |
    1ull << WI_WAIT_SET | 1ull << WI_WAIT_GROUP | 1ull << WI_WAIT_LOCK |
    1ull << WI_WAIT_QUEUE | 1ull << WI_WAIT_CONDITION |
    1ull << WI_WAIT_SEMAPHORE | 1ull << WI_WAIT_EVENT |
    1ull << WI_WAIT_BARRIER | 1ull << WI_WAIT_ONCE;

void wi_roamers_init(struct wi_roamers *roamers)
{
    roamers->arrived = NULL;
    roamers->first = NULL;
    roamers->last = &roamers->first;
    roamers->jobs = NULL;
    roamers->timed = false;
    roamers->due = WI_FOREVER;
    roamers->kept = WI_FOREVER;
    roamers->keeper = NULL;
    roamers->moves = 0;
}

// Not in a region either, in which a task has said that it blocks: it is the
// worker's.
static bool is_free(const struct wi_worker *worker, const struct wi_task *t)
{
    return (t->flags & (WI_ROAMS | WI_PINNED)) == WI_ROAMS &&
           worker->watch.regions == 0;
}

// Changes the owner word if it is `was`.
static bool change(struct wi_task *t, uintptr_t was, uintptr_t to)
{
    // acq_rel, here and in set: who takes a roamer over sees all that it did,
    // and who was woken what the waker did before
    return __atomic_compare_exchange_n(&t->owner, &was, to, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void set(struct wi_task *t, uintptr_t to)
{
    __atomic_exchange_n(&t->owner, to, __ATOMIC_ACQ_REL);
}

// Waking ----------------------------------------------------------------------

// t is ROAMING, by the caller.
static void queue(struct wi_task *t)
{
    // Read first: t may have ended before this returns.
    struct wi_runtime *runtime = t->home;
    struct wi_roamers *roamers = &runtime->roamers;
    struct wi_task *head = __atomic_load_n(&roamers->arrived, __ATOMIC_RELAXED);
    do
        t->next = head;
    // release: pairs with the exchange in pop
    while (!__atomic_compare_exchange_n(&roamers->arrived, &head, t, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    wi_arch_fence(); // before the idle mask; pairs with announce
    wi_runtime_wake_one(runtime);
}

bool wi_roamer_wake(struct wi_task *t)
{
    // seq_cst: after what the caller has stored, as in wi_mail
    uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_SEQ_CST);
    while (owner & WI_ROAMING) {
        uintptr_t next =
            owner & WI_PARKED ? WI_ROAMING : owner | WI_WOKEN_AGAIN;
        // seq_cst: as the load; it pairs with change. Also where it changes
        // nothing: who takes the mark away sees what was stored before this
        if (__atomic_compare_exchange_n(&t->owner, &owner, next, true,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            if (owner & WI_PARKED)
                queue(t);
            return true;
        }
    }
    return false;
}

// Going on --------------------------------------------------------------------

// Under the lock.
static struct wi_task *pop(struct wi_roamers *roamers)
{
    if (roamers->first == NULL) {
        // acquire: pairs with the push
        struct wi_task *t =
            __atomic_exchange_n(&roamers->arrived, NULL, __ATOMIC_ACQUIRE);
        struct wi_task *oldest = NULL;
        while (t != NULL) {
            struct wi_task *next = t->next;
            t->next = oldest;
            oldest = t;
            t = next;
        }
        __atomic_store_n(&roamers->first, oldest, __ATOMIC_RELAXED);
    }
    struct wi_task *t = roamers->first;
    if (t != NULL)
        // relaxed: others only look whether there is one
        __atomic_store_n(&roamers->first, t->next, __ATOMIC_RELAXED);
    return t;
}

struct wi_task *wi_roamer_take(struct wi_worker *worker)
{
    struct wi_roamers *roamers = &worker->runtime->roamers;
    if (!wi_roamers_ready(roamers) || wi_worker_rests(worker))
        return NULL;
    wi_mutex_lock(&roamers->lock);
    struct wi_task *t = pop(roamers);
    wi_mutex_unlock(&roamers->lock);
    if (t == NULL)
        return NULL;
    // The others, which for a moment stood nowhere, before the idle mask, at
    // which go_on looks; pairs with announce. The mutex was left by an
    // exchange.
    wi_arch_fence_after_rmw();
    uintptr_t here = (uintptr_t)worker | WI_ROAMING;
    if (!change(t, WI_ROAMING, here))
        set(t, here | WI_WOKEN_AGAIN);
    return t;
}

void wi_roamer_leaves(struct wi_worker *worker)
{
    struct wi_task *t = worker->departing;
    uintptr_t here = (uintptr_t)worker | WI_ROAMING;
    worker->departing = NULL;
    if (!worker->departs_ready && change(t, here, WI_ROAMING | WI_PARKED))
        return;
    // It yields, and keeps a mark, or it waits and has one, which is the end of
    // this wait.
    if (!worker->departs_ready)
        set(t, WI_ROAMING);
    else if (!change(t, here, WI_ROAMING))
        set(t, WI_ROAMING | WI_WOKEN_AGAIN);
    queue(t);
}

// Waiting ---------------------------------------------------------------------

// Whether a wake came since the last wait; takes it.
static bool take_wake(struct wi_task *self)
{
    // relaxed: a look
    if (!(__atomic_load_n(&self->owner, __ATOMIC_RELAXED) & WI_WOKEN_AGAIN))
        return false;
    // acquire: what the waker did before is seen
    __atomic_fetch_and(&self->owner, ~WI_WOKEN_AGAIN, __ATOMIC_ACQUIRE);
    return true;
}

// The record becomes one like any other.
static bool pin(struct wi_worker *worker, struct wi_task *self, uintptr_t bits)
{
    return change(self, (uintptr_t)worker | WI_ROAMING,
                  (uintptr_t)worker | bits);
}

// The reverse. A message that is on its way to this worker must not stay there
// when the job has gone; one of an earlier life of the record may be elsewhere,
// and is not waited for. A wake that came by other ways is kept.
static void unpin(struct wi_worker *worker, struct wi_task *self)
{
    // seq_cst: before the look at `inflight`; pairs with wi_mail, where the
    // mark is set before the owner is read
    __atomic_exchange_n(&self->owner, (uintptr_t)worker | WI_ROAMING,
                        __ATOMIC_SEQ_CST);
    for (int i = 0; i < MAIL_SPINS &&
                    __atomic_load_n(&self->inflight, __ATOMIC_SEQ_CST) != 0;
         i++) {
        wi_inbox_drain(worker);
        wi_arch_relax();
    }
    // relaxed, both: a task's permit is its worker's
    if (__atomic_load_n(&self->permit, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&self->permit, 0, __ATOMIC_RELAXED);
        __atomic_fetch_or(&self->owner, WI_WOKEN_AGAIN, __ATOMIC_RELAXED);
    }
}

static void wait_pinned(struct wi_worker *worker, struct wi_task *self)
{
    if (pin(worker, self, WI_PARKED)) {
        wi_worker_wait(worker, self);
        unpin(worker, self);
    } else {
        take_wake(self);
    }
}

static int park_pinned(struct wi_worker *worker, struct wi_task *self,
                       int64_t deadline)
{
    struct wi_wake_timer wake = {.task = self, .due = false};
    if (deadline == WI_FOREVER) {
        wait_pinned(worker, self);
        return 0;
    }
    wi_wheel_add(&worker->wheel, &wake.timer, deadline);
    wait_pinned(worker, self);
    wi_wheel_remove(&worker->wheel, &wake.timer);
    return wake.due ? -ETIMEDOUT : 0;
}

// Timers ----------------------------------------------------------------------

// Under the lock.
static void look_at_wheel(struct wi_roamers *roamers)
{
    // relaxed: see the essay for who looks at it, and when
    __atomic_store_n(&roamers->due, wi_wheel_next(&roamers->wheel),
                     __ATOMIC_RELAXED);
}

static void arm(struct wi_roamers *roamers, struct wi_wake_timer *wake,
                int64_t deadline)
{
    wi_mutex_lock(&roamers->lock);
    if (!roamers->timed)
        wi_wheel_init(&roamers->wheel, wi_os_now());
    roamers->timed = true;
    wi_wheel_add(&roamers->wheel, &wake->timer, deadline);
    look_at_wheel(roamers);
    wi_mutex_unlock(&roamers->lock);
}

static bool disarm(struct wi_roamers *roamers, struct wi_wake_timer *wake)
{
    wi_mutex_lock(&roamers->lock);
    wi_wheel_remove(&roamers->wheel, &wake->timer);
    look_at_wheel(roamers);
    bool due = wake->due;
    wi_mutex_unlock(&roamers->lock);
    return due;
}

void wi_roamers_fire(struct wi_runtime *runtime, int64_t now)
{
    struct wi_roamers *roamers = &runtime->roamers;
    struct wi_timer *timer;
    wi_mutex_lock(&roamers->lock);
    while (roamers->timed &&
           (timer = wi_wheel_pop(&roamers->wheel, now)) != NULL) {
        struct wi_wake_timer *wake = (struct wi_wake_timer *)timer;
        wake->due = true;
        wi_unpark(wake->task); // it needs the lock before it goes on
    }
    if (roamers->timed)
        look_at_wheel(roamers);
    wi_mutex_unlock(&roamers->lock);
}

int64_t wi_roamers_keep(struct wi_worker *worker)
{
    struct wi_roamers *roamers = &worker->runtime->roamers;
    int64_t limit = WI_FOREVER;
    // One that rests too: what it ran last may have armed a timer, and the
    // others may sleep already.
    if (__atomic_load_n(&roamers->due, __ATOMIC_RELAXED) == WI_FOREVER)
        return limit;
    wi_mutex_lock(&roamers->lock);
    if (roamers->due < roamers->kept) {
        limit = roamers->kept = roamers->due;
        __atomic_store_n(&roamers->keeper, worker, __ATOMIC_RELAXED);
    }
    wi_mutex_unlock(&roamers->lock);
    return limit;
}

void wi_roamers_unkeep(struct wi_worker *worker)
{
    struct wi_roamers *roamers = &worker->runtime->roamers;
    // relaxed: nobody but the worker makes itself the keeper
    if (__atomic_load_n(&roamers->keeper, __ATOMIC_RELAXED) != worker)
        return;
    wi_mutex_lock(&roamers->lock);
    if (roamers->keeper == worker) {
        __atomic_store_n(&roamers->keeper, NULL, __ATOMIC_RELAXED);
        roamers->kept = WI_FOREVER;
    }
    wi_mutex_unlock(&roamers->lock);
}

// The doors -------------------------------------------------------------------

static int park_free(struct wi_worker *worker, struct wi_task *self,
                     int64_t deadline)
{
    struct wi_roamers *roamers = &worker->runtime->roamers;
    struct wi_wake_timer wake = {.task = self, .due = false};
    if (deadline != WI_FOREVER)
        arm(roamers, &wake, deadline);
    if (!wi_worker_depart(worker, self, false)) // no memory for a stack
        wait_pinned(worker, self);
    return deadline != WI_FOREVER && disarm(roamers, &wake) ? -ETIMEDOUT : 0;
}

int wi_roamer_park(struct wi_worker *worker, struct wi_task *self,
                   const struct wi_wait *wait, int64_t deadline)
{
    if (take_wake(self))
        return 0;
    bool free = is_free(worker, self) && !(wait->flags & WI_STAYS) &&
                (free_waits >> wait->kind & 1);
    bool checked = wi_roam_check_wanted();
    if (checked && free)
        wi_roam_check_waits(worker, self);
    int rc = free ? park_free(worker, self, deadline)
                  : park_pinned(worker, self, deadline);
    if (checked)
        wi_roam_check_goes_on(wi_worker_here());
    return rc;
}

bool wi_roamer_yield(struct wi_worker *worker, struct wi_task *self)
{
    if (!is_free(worker, self))
        return false;
    worker->new_turn = true;
    bool checked = wi_roam_check_wanted();
    if (checked)
        wi_roam_check_waits(worker, self);
    bool left = wi_worker_depart(worker, self, true);
    if (checked)
        wi_roam_check_goes_on(wi_worker_here());
    return left;
}

void wi_roamer_begins(struct wi_worker *worker, struct wi_task *t)
{
    struct wi_roamers *roamers = &worker->runtime->roamers;
    wi_mutex_lock(&roamers->lock);
    t->sibling = roamers->jobs;
    t->sibling_link = &roamers->jobs;
    if (t->sibling != NULL)
        t->sibling->sibling_link = &t->sibling;
    roamers->jobs = t;
    // relaxed: as in wi_worker_job_begins
    if (__atomic_load_n(&worker->runtime->cancel_all, __ATOMIC_RELAXED))
        __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_RELAXED);
    wi_mutex_unlock(&roamers->lock);
    unpin(worker, t);
    if (wi_roam_check_wanted())
        wi_roam_check_goes_on(worker);
}

void wi_roamer_ends(struct wi_roamers *roamers, struct wi_task *t)
{
    wi_mutex_lock(&roamers->lock);
    *t->sibling_link = t->sibling;
    if (t->sibling != NULL)
        t->sibling->sibling_link = t->sibling_link;
    t->sibling = NULL;
    wi_mutex_unlock(&roamers->lock);
}

void wi_roamers_each(struct wi_roamers *roamers,
                     void (*visit)(struct wi_task *t, void *arg), void *arg)
{
    wi_mutex_lock(&roamers->lock);
    for (struct wi_task *t = roamers->jobs; t != NULL; t = t->sibling)
        visit(t, arg);
    wi_mutex_unlock(&roamers->lock);
}
