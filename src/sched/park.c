// SPDX-License-Identifier: MIT
//
// Parking. In a task: announce, arm a timer if there is a deadline, leave the
// worker to others. In a plain thread: sleep on the record's `permit` word, or
// in ppoll when descriptors are waited for.
//
// The permit word of a thread's record goes through
//     0 --unpark--> 1            the next park takes it and returns
//     0 --park----> 2 or 3       asleep on the futex, or in ppoll
//     2, 3 --unpark--> 1         and the thread is woken
// by exchanges of any thread; only the owner leaves 1, 2 and 3 for 0.
#include "sched/park.h"

#include <errno.h>

#include <weft/error.h>

#include "arch/arch.h"
#include "base/cold.h"
#include "base/fresh.h"
#include "os/event.h"
#include "os/life.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/idle.h"
#include "sched/roam.h"
#include "sched/scope.h"
#include "sched/timer.h"
#include "sched/worker.h"

enum { SLICE_NS = 10000000 };       // see poll_slice
enum { SHARED_SLICE_NS = 1000000 }; // see park_thread_shared

enum permit { NONE = 0, GIVEN = 1, ON_FUTEX = 2, IN_POLL = 3 };

// A thread's own record -------------------------------------------------------

void (*wi_thread_left)(struct wi_task *t);
void (*wi_thread_values_left)(void);

static unsigned thread_records; // atomic: of threads that live

bool wi_thread_has_others(void)
{
    // relaxed: what another thread has by now a fork finds either way
    unsigned own = wi_here.thread != NULL;
    return __atomic_load_n(&thread_records, __ATOMIC_RELAXED) > own;
}

// The one thread of a fork's child has none either.
static void fresh(void)
{
    thread_records = 0;
}

// The record of a thread that ends; t is its own.
static void record_gone(struct wi_task *t)
{
    wi_here.self = NULL;
    wi_here.thread = NULL;
    if (wi_thread_left != NULL)
        wi_thread_left(t);
    if (wi_here.wake_fd != 0)
        wi_os_close(wi_here.wake_fd - 1);
    wi_here.wake_fd = 0;
    __atomic_store_n(&t->owner, 0, __ATOMIC_RELEASE);
    wi_task_unref(t);
    // relaxed: a count
    __atomic_fetch_sub(&thread_records, 1, __ATOMIC_RELAXED);
}

// Once more if what is called here, or by other destructors of the thread, gets
// it a record.
static void thread_gone(void *value)
{
    if (wi_here.worker != NULL) {
        wi_stack_fell_back(&wi_here.worker->os_point);
        wi_panic("pthread_exit", value,
                 "a task must return; pthread_exit() would end its worker");
    }
    if (wi_here.pool != NULL)
        wi_panic("pthread_exit", value,
                 "a job must return; pthread_exit() would end a thread under "
                 "its pool");
    if (wi_thread_values_left != NULL)
        wi_thread_values_left();
    if (wi_here.thread != NULL) // else it was a worker, or never waited
        record_gone(wi_here.thread);
    wi_records_end(&wi_here);
}

__attribute__((constructor)) static void watch_thread_ends(void)
{
    wi_os_thread_exit_function(thread_gone);
    wi_fresh_add(fresh);
}

void wi_thread_adopt(struct wi_task *t)
{
    if (t->extra != NULL)
        // relaxed: pairs with weft_future_native_id, who wants nothing else
        __atomic_store_n(&t->extra->native, wi_os_thread_id(),
                         __ATOMIC_RELAXED);
    // seq_cst, and the fence: before the first look at a cancel mark, of any
    // order; pairs with wi_mail
    __atomic_store_n(&t->owner, (uintptr_t)&wi_here | WI_THREAD,
                     __ATOMIC_SEQ_CST);
    wi_arch_fence();
    wi_here.self = t;
    wi_here.thread = t;
    // relaxed: a count
    __atomic_fetch_add(&thread_records, 1, __ATOMIC_RELAXED);
    wi_os_thread_watch_exit(t);
}

struct wi_task *wi_self_slow(void)
{
    struct wi_task *t = wi_task_new(WI_KIND_FOREIGN, WI_RUNNING, 1);
    if (t == NULL)
        return NULL;
    t->job = NULL;         // the record may have been a task's
    wi_task_need_extra(t); // without it only the kernel's id is missing
    wi_thread_adopt(t);
    return t;
}

void wi_thread_unpark(struct wi_task *t)
{
    // acq_rel: what the waker did before is seen after the park; pairs with
    // the exchanges below
    uint32_t was = __atomic_exchange_n(&t->permit, GIVEN, __ATOMIC_ACQ_REL);
    if (was == ON_FUTEX)
        wi_os_futex_wake(&t->permit, 1, false);
    else if (was == IN_POLL)
        wi_os_event_set(
            ((struct wi_this_thread *)(t->owner & WI_OWNER_MASK))->wake_fd - 1);
}

// Takes the permit if there is one; else says how the thread sleeps.
static bool take_permit(struct wi_task *t, enum permit sleeping)
{
    uint32_t none = NONE;
    // acq_rel and acquire, here and below: pair with wi_thread_unpark
    if (__atomic_compare_exchange_n(&t->permit, &none, sleeping, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return false;
    __atomic_exchange_n(&t->permit, NONE, __ATOMIC_ACQ_REL);
    return true;
}

const struct wi_sleep_ops *wi_sleep_ops;

static const struct wi_sleep_ops *sleep_ops(void)
{
    // acquire: pairs with the release of the module that sets it
    return __atomic_load_n(&wi_sleep_ops, __ATOMIC_ACQUIRE);
}

static int sleep_on(uint32_t *word, uint32_t value, int64_t deadline)
{
    const struct wi_sleep_ops *ops = sleep_ops();
    return ops != NULL ? ops->sleep(word, value, deadline)
                       : wi_os_futex_wait(word, value, deadline, false);
}

static int park_thread(struct wi_task *self, int64_t deadline)
{
    if (take_permit(self, ON_FUTEX))
        return 0;
    int rc = 0;
    while (rc == 0 &&
           __atomic_load_n(&self->permit, __ATOMIC_ACQUIRE) == ON_FUTEX)
        rc = sleep_on(&self->permit, ON_FUTEX, deadline);
    uint32_t was = __atomic_exchange_n(&self->permit, NONE, __ATOMIC_ACQ_REL);
    return was == GIVEN ? 0 : rc;
}

// As park_thread, on a word of other processes as well. Before Linux 5.16 the
// sleep is cut in slices, after each of which the caller looks at the word.
static int park_thread_shared(struct wi_task *self, int64_t deadline,
                              const struct wi_wait *wait)
{
    if (take_permit(self, ON_FUTEX))
        return 0;
    const struct wi_futex_wait words[] = {
        {&self->permit, ON_FUTEX, false},
        {wait->shared, wait->shared_value, true}};
    int rc = wi_os_futex_wait_many(words, 2, deadline);
    if (rc == -ENOSYS) {
        int64_t slice = wi_os_now() + SHARED_SLICE_NS;
        bool last = deadline <= slice;
        rc = wi_os_futex_wait(&self->permit, ON_FUTEX, last ? deadline : slice,
                              false);
        rc = last ? rc : 0;
    }
    uint32_t was = __atomic_exchange_n(&self->permit, NONE, __ATOMIC_ACQ_REL);
    return was == GIVEN ? 0 : rc;
}

static void begin_sleep(void)
{
    if (wi_here.sleeping != NULL)
        wi_here.sleeping(true);
}

// The sleep ended with rc, unless it is refused.
static int end_sleep(int rc)
{
    if (wi_here.sleeping != NULL)
        wi_here.sleeping(false);
    if (wi_here.refused != 0) {
        rc = wi_here.refused;
        wi_here.refused = 0;
    }
    return rc;
}

static int sleep_thread(struct wi_task *self, int64_t deadline,
                        const struct wi_wait *wait)
{
    begin_sleep();
    if (sleep_ops() != NULL)
        sleep_ops()->help(self);
    return end_sleep(wait->shared != NULL
                         ? park_thread_shared(self, deadline, wait)
                         : park_thread(self, deadline));
}

// Tasks -----------------------------------------------------------------------

void wi_wake_timer_fire(struct wi_worker *worker, struct wi_timer *timer)
{
    struct wi_wake_timer *wake = (struct wi_wake_timer *)timer;
    wake->due = true;
    wi_worker_ready(worker, wake->task);
}

static void park_untimed(struct wi_worker *worker, struct wi_task *self)
{
    // relaxed: see wi_worker_ready
    __atomic_store_n(&self->owner, (uintptr_t)worker | WI_PARKED,
                     __ATOMIC_RELAXED);
    wi_worker_wait(worker, self);
}

static int park_timed(struct wi_worker *worker, struct wi_task *self,
                      int64_t deadline)
{
    struct wi_wake_timer wake = {.task = self, .due = false};
    wi_wheel_add(&worker->wheel, &wake.timer, deadline);
    park_untimed(worker, self);
    wi_wheel_remove(&worker->wheel, &wake.timer);
    return wake.due ? -ETIMEDOUT : 0;
}

// Of libweft-debug.so, where that is (src/debug/mutex.c); else NULL: a task is
// about to leave its thread to others.
extern void weft_debug_waits(uint64_t id, const char *name)
    __attribute__((weak, visibility("default")));

static int park_task(struct wi_worker *worker, struct wi_task *self,
                     const struct wi_wait *wait, int64_t deadline)
{
    if (WI_RARELY((self->flags & WI_ROAMS) != 0))
        return wi_roamer_park(worker, self, wait, deadline);
    // relaxed: a task's permit is its worker's; only a late wake of a thread
    // that had this record before writes it from elsewhere
    if (__atomic_load_n(&self->permit, __ATOMIC_RELAXED) != NONE) {
        __atomic_store_n(&self->permit, NONE, __ATOMIC_RELAXED);
        return 0;
    }
    if (weft_debug_waits != NULL)
        weft_debug_waits(self->id, wi_task_name(self));
    if (deadline != WI_FOREVER)
        return park_timed(worker, self, deadline);
    park_untimed(worker, self);
    return 0;
}

// The door --------------------------------------------------------------------

// Whether the time has come. Reading the clock is half of what a limit costs.
// So a task does not read it again for a limit of this call alone that its
// thread has made from now last, which lay ahead then: should that have passed
// meanwhile, the timer will say so at the worker's next look around.
static inline bool is_over(const struct wi_wait *wait, int64_t deadline)
{
    if (deadline == WI_FOREVER)
        return false;
    if (deadline == wi_here.fresh && deadline == wait->deadline &&
        deadline > 0 && wi_here.worker != NULL)
        return false;
    return deadline <= wi_os_now();
}

// The time by which this wait must end, or a code if it must not begin.
static inline int wait_limit(const struct wi_wait *wait, struct wi_task *self,
                             int64_t *deadline)
{
    *deadline = wait->deadline;
    if (wi_forked())
        return -WEFT_EFORKED;
    if ((wait->flags & WI_CANCELABLE) && wi_scope_canceled(self))
        return -ECANCELED;
    if (wait->flags & WI_DEADLINED) {
        int64_t scope = wi_scope_deadline(self);
        if (scope < *deadline)
            *deadline = scope;
    }
    return is_over(wait, *deadline) ? -ETIMEDOUT : 0;
}

static void announce(struct wi_task *self, const struct wi_wait *wait)
{
    self->wait_object = wait->object;
    // relaxed: read by those who wake the waiters of a kind (sync/lock.c)
    __atomic_store_n(&self->wait_kind, wait->kind, __ATOMIC_RELAXED);
}

static void unannounce(struct wi_task *self)
{
    __atomic_store_n(&self->wait_kind, WI_WAIT_NONE, __ATOMIC_RELAXED);
}

int wi_park(const struct wi_wait *wait)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    int64_t deadline;
    int rc = wait_limit(wait, self, &deadline);
    if (rc < 0)
        return rc;
    announce(self, wait);
    struct wi_worker *worker = wi_here.worker;
    rc = worker != NULL ? park_task(worker, self, wait, deadline)
                        : sleep_thread(self, deadline, wait);
    unannounce(self);
    return rc;
}

static int need_wake_fd(void)
{
    if (wi_here.wake_fd != 0)
        return 0;
    int fd = wi_os_event_new();
    if (fd >= 0)
        wi_here.wake_fd = fd + 1;
    return fd < 0 ? fd : 0;
}

// As park_thread, in ppoll; fds has one free place behind the caller's n.
static int poll_thread(struct wi_task *self, struct pollfd *fds, unsigned n,
                       int64_t deadline)
{
    int fd = wi_here.wake_fd - 1;
    fds[n] = (struct pollfd){.fd = fd, .events = POLLIN};
    if (take_permit(self, IN_POLL))
        return 0;
    int rc = wi_os_poll(fds, n + 1, deadline);
    uint32_t was = __atomic_exchange_n(&self->permit, NONE, __ATOMIC_ACQ_REL);
    if (was == GIVEN) // one waker saw IN_POLL: let it be done with the event
        wi_os_event_take(fd);
    return rc < 0 ? rc : 0;
}

// Without a descriptor to spare there is no eventfd: then the sleep is cut in
// slices, after each of which the caller looks for a wake itself.
static int poll_slice(struct wi_task *self, struct pollfd *fds, unsigned n,
                      int64_t deadline)
{
    int64_t slice = wi_os_now() + SLICE_NS;
    int rc = wi_os_poll(fds, n, slice < deadline ? slice : deadline);
    __atomic_exchange_n(&self->permit, NONE, __ATOMIC_ACQ_REL);
    return rc < 0 ? rc : 0;
}

int wi_park_poll(const struct wi_wait *wait, struct pollfd *fds, unsigned n)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    int64_t deadline;
    int rc = wait_limit(wait, self, &deadline);
    if (rc < 0)
        return rc;
    // A wait for the kernel alone is what a pool of threads has its limit for.
    // A set has others in it, who may need the place.
    bool lends = wait->kind == WI_WAIT_SET;
    announce(self, wait);
    if (lends)
        begin_sleep();
    rc = need_wake_fd() == 0 ? poll_thread(self, fds, n, deadline)
                             : poll_slice(self, fds, n, deadline);
    if (lends)
        rc = end_sleep(rc);
    unannounce(self);
    return rc;
}

void wi_unpark(struct wi_task *t)
{
    struct wi_worker *worker = wi_here.worker;
    if (worker != NULL && (__atomic_load_n(&t->owner, __ATOMIC_RELAXED) &
                           ~WI_PARKED) == (uintptr_t)worker)
        wi_worker_ready(worker, t);
    else
        wi_mail(t);
}
