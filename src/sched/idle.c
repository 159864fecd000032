// SPDX-License-Identifier: MIT
//
// Sleeping and waking workers.
//
// A worker that finds nothing announces its sleep with a read-modify-write of
// its sleep word, sets its bit in the runtime's idle mask, and then looks
// again at everything that could have come meanwhile. Whoever brings something
// publishes it first and looks at the sleep word or the mask second. Both
// sides have a full barrier between their two steps, so at least one sees the
// other: nothing is slept through.
//
// A message to the inbox wakes its one owner. Work that anybody may take wakes
// one idle worker, unless one searches already: one that was woken for work and
// has found none yet, or that spins a little before it sleeps. A worker that
// takes some work and sees more wakes the next: wakes are a chain, never a
// herd. There is one searcher at most. Whoever clears a worker's bit in the
// mask hands the search on to that worker, who sees it by the cleared bit. The
// searcher ends its search before it looks for the last time, so whoever
// relied on it is heard. (The Go scheduler does so with its spinning threads:
// D. Vyukov, "Scalable Go Scheduler Design Doc", 2012.) A spare that rests
// stays out of the mask; a wake that it got although it takes nothing it
// passes on.
//
// The sleep is on a futex when no descriptor is waited for, else in the loop's
// own wait, which `wake` ends.
#include "sched/idle.h"

#include <errno.h>

#include "arch/arch.h"
#include "loop/loop.h"
#include "os/cpu.h"
#include "sched/fork_join.h"
#include "sched/timer.h"
#include "sched/watchdog.h"

// Idle stacks go back to the kernel after half a second, in strokes of 2 ms
// with as much in between.
enum { TRIM_AFTER_NS = 500000000, TRIM_STROKE_NS = 2000000 };

// Inbox -----------------------------------------------------------------------

// Pushes t; false if the worker runs no more.
static bool inbox_push(struct wi_worker *worker, struct wi_task *t)
{
    struct wi_task *head = __atomic_load_n(&worker->inbox, __ATOMIC_ACQUIRE);
    do {
        if (head == WI_INBOX_CLOSED)
            return false;
        t->mail = head;
        // seq_cst: before the look at the sleep word; release for `mail`;
        // pairs with the exchange in wi_inbox_drain
    } while (!__atomic_compare_exchange_n(&worker->inbox, &head, t, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
    if (head == NULL) {
        wi_fork_ask_worker(worker); // children that it runs let others go on
        wi_worker_wake(worker);
    }
    return true;
}

// Whether t, whose owner could not be told, can be told by now: it has
// another owner, or its worker is in use again.
static bool can_be_told(struct wi_task *t, uintptr_t before)
{
    uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_ACQUIRE);
    if (owner != before || (owner & (WI_THREAD | WI_ROAMING)))
        return true;
    struct wi_worker *worker = (struct wi_worker *)(owner & WI_OWNER_MASK);
    return worker != NULL &&
           __atomic_load_n(&worker->inbox, __ATOMIC_ACQUIRE) != WI_INBOX_CLOSED;
}

void wi_mail(struct wi_task *t)
{
    for (;;) {
        // seq_cst, here and below: the caller's store comes before the look at
        // the owner; pairs with the stores of whoever takes a record over,
        // which come before its look at what the caller stored
        uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_SEQ_CST);
        if (owner & WI_THREAD) {
            wi_thread_unpark(t);
            return;
        }
        if ((owner & WI_ROAMING) && wi_roamer_wake(t))
            return;
        // acquire and release: pairs with the exchange that takes the mark off.
        // seq_cst: before the look at the owner; pairs with unpin in roam.c
        if (__atomic_exchange_n(&t->inflight, 1, __ATOMIC_SEQ_CST) != 0)
            return; // on its way already
        owner = __atomic_load_n(&t->owner, __ATOMIC_SEQ_CST);
        struct wi_worker *worker = (struct wi_worker *)(owner & WI_OWNER_MASK);
        if (worker != NULL && !(owner & (WI_THREAD | WI_ROAMING)) &&
            inbox_push(worker, t))
            return;
        // Nobody to tell. But whoever saw our mark relied on it: look again
        // after taking it off.
        __atomic_exchange_n(&t->inflight, 0, __ATOMIC_ACQ_REL);
        if (!can_be_told(t, owner))
            return;
    }
}

// One message: its record is ours, or has gone to somebody else meanwhile.
static void deliver(struct wi_worker *worker, struct wi_task *t)
{
    // acq_rel: a sender that finds the mark gone will send again; pairs with
    // the exchange in wi_mail
    __atomic_exchange_n(&t->inflight, 0, __ATOMIC_ACQ_REL);
    uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_ACQUIRE);
    if ((owner & WI_OWNER_MASK) == (uintptr_t)worker)
        wi_worker_ready(worker, t);
    else if (owner != 0)
        wi_mail(t);
}

void wi_inbox_close(struct wi_worker *worker)
{
    // acq_rel: pairs with the push
    struct wi_task *t =
        __atomic_exchange_n(&worker->inbox, WI_INBOX_CLOSED, __ATOMIC_ACQ_REL);
    // What is here is for records that have ended. But a record may live again
    // elsewhere by now, and a sender that saw the mark relies on us.
    while (t != NULL && t != WI_INBOX_CLOSED) {
        struct wi_task *next = t->mail;
        // acq_rel: as in deliver
        __atomic_exchange_n(&t->inflight, 0, __ATOMIC_ACQ_REL);
        uintptr_t owner = __atomic_load_n(&t->owner, __ATOMIC_ACQUIRE);
        if (owner != 0 && (owner & WI_OWNER_MASK) != (uintptr_t)worker)
            wi_mail(t);
        t = next;
    }
}

bool wi_inbox_drain(struct wi_worker *worker)
{
    // relaxed: a look; the exchange below is the truth
    if (__atomic_load_n(&worker->inbox, __ATOMIC_RELAXED) == NULL)
        return false;
    // acq_rel: pairs with the push
    struct wi_task *t =
        __atomic_exchange_n(&worker->inbox, NULL, __ATOMIC_ACQ_REL);
    struct wi_task *first = NULL; // oldest first
    while (t != NULL) {
        struct wi_task *next = t->mail;
        t->mail = first;
        first = t;
        t = next;
    }
    while (first != NULL) {
        struct wi_task *next = first->mail; // deliver lets it be pushed again
        deliver(worker, first);
        first = next;
    }
    return worker->ready != NULL;
}

// Looking around --------------------------------------------------------------

static void run_timers(struct wi_worker *worker)
{
    // relaxed: see the essay of roam.c
    int64_t due =
        __atomic_load_n(&worker->runtime->roamers.due, __ATOMIC_RELAXED);
    if (worker->wheel.count == 0 && due == WI_FOREVER)
        return;
    int64_t now = wi_os_now();
    if (due <= now)
        wi_roamers_fire(worker->runtime, now);
    struct wi_timer *timer;
    while ((timer = wi_wheel_pop(&worker->wheel, now)) != NULL)
        wi_wake_timer_fire(worker, timer);
}

static bool has_descriptors(const struct wi_worker *worker)
{
    return worker->loop != NULL &&
           (worker->loop->active | worker->loop->queued) != 0;
}

// Sleeping --------------------------------------------------------------------

bool wi_worker_wake(struct wi_worker *worker)
{
    // seq_cst: after the caller's publication; pairs with announce
    uint32_t was = __atomic_load_n(&worker->sleep, __ATOMIC_SEQ_CST);
    uint32_t next;
    do {
        if (was == WI_AWAKE || was == WI_WAKING)
            return false;
        next = was == WI_POLLING ? WI_WAKING : WI_AWAKE;
    } while (!__atomic_compare_exchange_n(&worker->sleep, &was, next, true,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    if (next == WI_AWAKE) {
        wi_os_futex_wake(&worker->sleep, 1, false);
        return true;
    }
    worker->loop->ops->wake(worker->loop);
    // release: we are done with the loop; pairs with unannounce
    __atomic_store_n(&worker->sleep, WI_AWAKE, __ATOMIC_RELEASE);
    return true;
}

static void announce(struct wi_worker *worker, enum wi_sleep how)
{
    uint64_t bit = 1ull << (worker->index % 64);
    // seq_cst: before the second look; pairs with wi_worker_wake
    __atomic_exchange_n(&worker->sleep, how, __ATOMIC_SEQ_CST);
    // seq_cst: the same; pairs with wi_runtime_wake_one
    worker->in_mask = !wi_worker_rests(worker);
    if (worker->in_mask)
        __atomic_fetch_or(&worker->runtime->idle[worker->index / 64], bit,
                          __ATOMIC_SEQ_CST);
    wi_arch_fence();
}

// Takes our bit out of the mask. If it is gone already, so has somebody who
// has handed us the search.
static void leave_mask(struct wi_worker *worker)
{
    uint64_t bit = 1ull << (worker->index % 64);
    if (!worker->in_mask)
        return;
    worker->in_mask = false;
    uint64_t was = __atomic_fetch_and(
        &worker->runtime->idle[worker->index / 64], ~bit, __ATOMIC_SEQ_CST);
    if ((was & bit) == 0)
        worker->searching = true;
}

static void leave_sleep(struct wi_worker *worker)
{
    leave_mask(worker);
    // A waker that found us polling uses the loop until it says AWAKE.
    uint32_t was = __atomic_load_n(&worker->sleep, __ATOMIC_ACQUIRE);
    while (was != WI_AWAKE) {
        if (was == WI_WAKING)
            was = __atomic_load_n(&worker->sleep, __ATOMIC_ACQUIRE);
        else if (__atomic_compare_exchange_n(&worker->sleep, &was, WI_AWAKE,
                                             true, __ATOMIC_SEQ_CST,
                                             __ATOMIC_ACQUIRE))
            return;
    }
}

static void unannounce(struct wi_worker *worker)
{
    leave_sleep(worker);
    wi_watchdog_poke();
}

// When to look again at the latest: a timer, or stacks to give back.
static int64_t sleep_limit(struct wi_worker *worker)
{
    int64_t limit = wi_wheel_next(&worker->wheel);
    if (!wi_worker_wants_trim(worker)) {
        worker->trim_at = 0;
        return limit;
    }
    if (worker->trim_at == 0)
        worker->trim_at = wi_os_now() + TRIM_AFTER_NS;
    return worker->trim_at < limit ? worker->trim_at : limit;
}

static void trim_if_due(struct wi_worker *worker)
{
    if (worker->trim_at == 0)
        return;
    int64_t now = wi_os_now();
    if (now < worker->trim_at)
        return;
    int64_t end = now + TRIM_STROKE_NS;
    bool more = true;
    while (more && now < end && worker->ready == NULL) {
        more = wi_worker_trim(worker);
        now = wi_os_now();
    }
    worker->trim_at = more ? now + TRIM_STROKE_NS : 0;
}

// What woke us may have been meant for work that anybody may take. If we go
// on with a task of our own instead, or were sent to rest just then, somebody
// else must come for that.
static void pass_wake_on(struct wi_worker *worker)
{
    if (worker->runtime->solo ||
        (worker->ready == NULL && !wi_worker_rests(worker)))
        return;
    wi_worker_end_search(worker);
    if (wi_runtime_has_open_work(worker->runtime))
        wi_runtime_wake_one(worker->runtime);
}

// Searching -------------------------------------------------------------------

// Whether the caller is the one searcher now.
static bool begin_search(struct wi_runtime *runtime)
{
    uint32_t none = 0;
    // relaxed: the caller had a barrier after what it relies on; acquire: pairs
    // with the release in end_search
    return __atomic_load_n(&runtime->searching, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(&runtime->searching, &none, 1, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void end_search(struct wi_runtime *runtime)
{
    __atomic_store_n(&runtime->searching, 0, __ATOMIC_RELEASE);
    wi_arch_fence(); // before the last look for work; pairs with the fence
                     // between a publication and wi_runtime_wake_one
}

void wi_worker_end_search(struct wi_worker *worker)
{
    if (!worker->searching)
        return;
    worker->searching = false;
    end_search(worker->runtime);
}

static bool sees_work(void *arg)
{
    struct wi_worker *worker = arg;
    return __atomic_load_n(&worker->inbox, __ATOMIC_RELAXED) != NULL ||
           __atomic_load_n(&worker->runtime->stop, __ATOMIC_RELAXED) != 0 ||
           wi_runtime_has_open_work(worker->runtime);
}

// Spins a little, if nobody else does; whether something has come.
static bool spin(struct wi_worker *worker)
{
    struct wi_runtime *runtime = worker->runtime;
    if (runtime->solo || wi_worker_rests(worker) || wi_os_cpu_scarce())
        return false;
    if (!worker->searching && !begin_search(runtime))
        return false;
    worker->searching = true;
    return wi_spin(&worker->spin, sees_work, worker);
}

void wi_worker_look_around(struct wi_worker *worker)
{
    wi_inbox_drain(worker);
    run_timers(worker);
    if (has_descriptors(worker) && wi_loop_is_due(worker->loop, WI_FAIR))
        worker->loop->ops->poll(worker->loop, 0);
    if (worker->searching)
        pass_wake_on(worker);
}

// Whether others run children that they may share.
static bool is_forking(struct wi_worker *worker)
{
    return !worker->runtime->solo && !wi_worker_rests(worker) &&
           wi_fork_is_on(worker->runtime);
}

// Whether something has come since the announcement, which is then taken back.
static bool has_come(struct wi_worker *worker, bool poll)
{
    // seq_cst: after the announcement; pairs with inbox_push
    if (__atomic_load_n(&worker->inbox, __ATOMIC_SEQ_CST) == NULL &&
        !wi_runtime_has_work(worker))
        return false;
    unannounce(worker);
    if (poll) // a wake-up of the loop may be on its way: no harm
        worker->loop->ops->poll(worker->loop, 0);
    return true;
}

static void sleep_until(struct wi_worker *worker, bool poll, int64_t limit)
{
    int64_t due = wi_roamers_keep(worker);
    limit = due < limit ? due : limit;
    if (wi_here.idling != NULL)
        wi_here.idling(true, poll);
    if (poll)
        worker->loop->ops->poll(worker->loop, limit);
    else
        wi_os_futex_wait(&worker->sleep, WI_ASLEEP, limit, false);
    if (wi_here.idling != NULL)
        wi_here.idling(false, poll);
    wi_roamers_unkeep(worker);
}

void wi_worker_idle(struct wi_worker *worker)
{
    wi_inbox_drain(worker);
    run_timers(worker);
    if (worker->ready != NULL) {
        pass_wake_on(worker);
        return;
    }
    bool forking = is_forking(worker);
    if (forking && wi_fork_spin(worker))
        return;
    bool poll = has_descriptors(worker);
    int64_t limit = sleep_limit(worker);
    if (!poll && !forking && limit - wi_os_now() > WI_SPIN_MOST && spin(worker))
        return;
    wi_worker_end_search(worker);
    announce(worker, poll ? WI_POLLING : WI_ASLEEP);
    if (is_forking(worker))
        wi_fork_ask(worker->runtime);
    bool come = has_come(worker, poll);
    pass_wake_on(worker);
    if (come)
        return;
    sleep_until(worker, poll, limit);
    unannounce(worker);
    worker->turns++;
    wi_inbox_drain(worker);
    run_timers(worker);
    pass_wake_on(worker);
    trim_if_due(worker);
}

struct wi_loop *wi_loop_here(int *rc)
{
    struct wi_worker *worker = wi_here.worker;
    *rc = 0;
    if (worker == NULL)
        return NULL;
    if (worker->loop == NULL)
        *rc = wi_loop_open(&worker->loop);
    return worker->loop;
}

// Hands the search to an idle worker; false if there is none.
static bool hand_search_on(struct wi_runtime *runtime)
{
    for (unsigned i = 0; i < wi_runtime_mask_words(runtime); i++) {
        uint64_t mask = __atomic_load_n(&runtime->idle[i], __ATOMIC_RELAXED);
        while (mask != 0) {
            uint64_t bit = mask & -mask;
            // seq_cst: pairs with announce and leave_mask
            uint64_t was =
                __atomic_fetch_and(&runtime->idle[i], ~bit, __ATOMIC_SEQ_CST);
            if (was & bit) {
                // One that is awake already sees that its bit has gone, and
                // may have left since.
                unsigned at = i * 64 + (unsigned)__builtin_ctzll(bit);
                struct wi_worker *worker = wi_runtime_worker(runtime, at);
                if (worker != NULL)
                    wi_worker_wake(worker);
                return true;
            }
            mask = was;
        }
    }
    return false;
}

// Nobody may fall asleep between the look at the mask and the end of a search
// that others have relied on: so it is looked at again after that.
static void wake_one(struct wi_runtime *runtime)
{
    do {
        if (hand_search_on(runtime))
            return;
        end_search(runtime);
        if (!wi_runtime_has_open_work(runtime))
            return;
    } while (wi_runtime_has_idle(runtime) && begin_search(runtime));
}

void wi_runtime_wake_idle(struct wi_runtime *runtime)
{
    if (begin_search(runtime))
        wake_one(runtime);
}
