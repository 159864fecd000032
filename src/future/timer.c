// SPDX-License-Identifier: MIT
//
// Timers of users. Each runtime has one `service`: a wheel under a lock, which
// any thread may take, and a task that sleeps until the earliest entry is due
// and starts a task for each that is. It is made with the first timer. So
// setting and canceling a timer are a few list operations, and nobody is woken
// unless a timer is earlier than all others.
//
// The state of a timer, under its service's lock:
//
//     IDLE --start--> PENDING --due--> FIRED --begins--> RUNNING --> IDLE
//     PENDING, FIRED --cancel--> IDLE
//     RUNNING --> PENDING            periodic, or started anew meanwhile
//
// The task of a run has a record of its own, `firing`, and a timer that is
// canceled or started anew while FIRED is taken out of it: so the storage is
// the user's again at once, and the task finds nothing to do. A run may last
// longer than its service, which then serves another runtime: so a firing knows
// whose it is.
//
// Whoever makes a timer IDLE for good calls its `over`, without the lock: from
// then on nothing here touches it.
//
// A timer goes to the service of whoever starts it. It leaves its old one, its
// `home`, with the locks of both held: so who holds the lock of its home, and
// has seen then that it is still that, may rely on it.
//
// When the run ends, the service's task is canceled with the rest of the root
// group: then what is pending becomes IDLE. Services are recycled, never freed:
// a timer's `home` may be looked at for ever.
#include <weft/timer.h>

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "base/options.h"
#include "base/wheel.h"
#include "future/run.h"
#include "os/report.h"
#include "sched/scope.h"
#include "sync/waiter.h"

enum timer_state { IDLE = 0, PENDING, FIRED, RUNNING };
enum {
    STOP = 1,  // canceled while RUNNING
    AGAIN = 2, // started anew while RUNNING
};

enum { RETRY_NS = 10000000 }; // when there is no memory for a run

struct service {
    struct wi_mutex lock;
    bool alive; // its task has not ended
    struct wi_wheel wheel;
    int64_t next;         // when its task wakes by itself
    struct wi_task *task; // NULL: it has not begun
    struct wi_runtime *runtime;
    struct service *next_free;
};

struct timer;

// One run; belongs to its task.
struct firing {
    struct timer *timer; // under the lock; NULL: not any more
    struct service *service;
    struct wi_runtime *runtime; // that it is served for
    struct wi_task *runner;
};

// What a weft_timer is inside.
struct timer {
    struct wi_timer entry; // first: the wheel hands this out
    void (*fn)(void *arg);
    void *arg;
    int64_t period;
    struct service *home;
    struct wi_waiters joiners;
    uint32_t state;
    uint32_t flags;
    struct firing *firing; // FIRED, RUNNING
    void (*over)(void *arg);
} __attribute__((may_alias));
_Static_assert(sizeof(struct timer) == sizeof(struct weft_timer) &&
                   offsetof(struct timer, state) ==
                       offsetof(struct weft_timer, state),
               "the same storage");

// Stays what it is as long as its lock is held. acquire: pairs with the
// release in start.
static struct service *home_of(const struct timer *t)
{
    return __atomic_load_n(&t->home, __ATOMIC_ACQUIRE);
}

// The timer's home, locked; NULL: it was never started.
static struct service *lock_home(const struct timer *t)
{
    struct service *home;
    while ((home = home_of(t)) != NULL) {
        wi_mutex_lock(&home->lock);
        if (home_of(t) == home)
            return home;
        wi_mutex_unlock(&home->lock);
    }
    return NULL;
}

static struct wi_mutex services_lock; // also for the timers of a runtime
static struct service *free_services;

static void fresh(void)
{
    services_lock = (struct wi_mutex){0};
    free_services = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// Ends a timer: whoever joins it goes on. With the lock held.
static void become_idle(struct timer *t)
{
    struct wi_task *task;
    t->state = IDLE;
    t->flags = 0;
    while ((task = wi_waiters_wake(&t->joiners)) != NULL)
        wi_unpark(task);
}

// What is to be called when a timer is over.
struct call {
    void (*fn)(void *arg); // NULL: nothing
    void *arg;
};

static void make_call(struct call call)
{
    if (call.fn != NULL)
        call.fn(call.arg);
}

// Ends a timer that is not to be set anew. With the lock held; the call is to
// be made without it.
static struct call end_timer(struct timer *t)
{
    struct call over = {t->over, t->arg};
    become_idle(t);
    return over;
}

// With the lock held. Whom to unpark: the task of the service has to look if
// this is earlier than what it sleeps for.
static struct wi_task *set(struct service *s, struct timer *t, int64_t when)
{
    t->state = PENDING;
    t->flags = 0;
    wi_wheel_add(&s->wheel, &t->entry, when);
    if (when >= s->next)
        return NULL;
    // relaxed: read by the task that is unparked afterwards
    __atomic_store_n(&s->next, when, __ATOMIC_RELAXED);
    return s->task;
}

static void unlock_and_unpark(struct service *s, struct wi_task *task)
{
    wi_mutex_unlock(&s->lock);
    if (task != NULL)
        wi_unpark(task);
}

// A run of a timer ------------------------------------------------------------

// Whether the run that the firing belongs to still has its service. That run
// has not ended, so no other has its runtime.
static bool is_served(const struct firing *firing)
{
    return firing->service->alive &&
           firing->service->runtime == firing->runtime;
}

// The run has ended. With the lock held; whom to unpark.
static struct wi_task *after_run(struct firing *firing, struct call *over)
{
    struct service *s = firing->service;
    struct timer *t = firing->timer;
    int64_t when = t->entry.when;
    bool served = is_served(firing);
    if (served && (t->flags & AGAIN))
        return set(s, t, when);
    if (t->period == 0 || (t->flags & STOP) || !served) {
        *over = end_timer(t);
        return NULL;
    }
    int64_t late = wi_os_now() - when;
    return set(s, t, when + (late > 0 ? late / t->period + 1 : 1) * t->period);
}

static void end_firing(struct firing *firing)
{
    struct service *s = firing->service;
    struct wi_task *task = NULL;
    struct call over = {NULL, NULL};
    wi_mutex_lock(&s->lock);
    if (firing->timer != NULL)
        task = after_run(firing, &over);
    unlock_and_unpark(s, task);
    free(firing);
    make_call(over);
}

static int run(void *arg)
{
    struct firing *firing = arg;
    struct service *s = firing->service;
    wi_mutex_lock(&s->lock);
    struct timer *t = firing->timer;
    if (t == NULL) {
        wi_mutex_unlock(&s->lock);
        free(firing);
        return 0;
    }
    t->state = RUNNING;
    firing->runner = wi_self();
    void (*fn)(void *) = t->fn;
    void *fn_arg = t->arg;
    wi_mutex_unlock(&s->lock);
    fn(fn_arg);
    end_firing(firing);
    return 0;
}

// Its task was not begun: there is no memory for one, and the timer will be due
// again; or the run ends, and the timer with it.
static void not_run(void *arg)
{
    struct firing *firing = arg;
    struct service *s = firing->service;
    struct timer *t;
    struct wi_task *task = NULL;
    struct call over = {NULL, NULL};
    wi_mutex_lock(&s->lock);
    t = firing->timer;
    if (t != NULL && is_served(firing))
        task = set(s, t, wi_os_now() + RETRY_NS);
    else if (t != NULL)
        over = end_timer(t);
    unlock_and_unpark(s, task);
    free(firing);
    make_call(over);
}

// The service -----------------------------------------------------------------

// With the lock held: a timer that is due gets its run. NULL: no memory; then
// it will be due again.
static struct firing *fire(struct service *s, struct timer *t, int64_t now)
{
    struct firing *firing = malloc(sizeof *firing);
    if (firing == NULL) {
        set(s, t, now + RETRY_NS);
        return NULL;
    }
    *firing = (struct firing){.timer = t, .service = s, .runtime = s->runtime};
    t->firing = firing;
    t->state = FIRED;
    return firing;
}

// The next run to start; NULL: none is due.
static struct firing *next_firing(struct service *s)
{
    int64_t now = wi_os_now();
    struct firing *firing = NULL;
    struct wi_timer *due = NULL;
    wi_mutex_lock(&s->lock);
    while (firing == NULL && (due = wi_wheel_pop(&s->wheel, now)) != NULL)
        firing = fire(s, (struct timer *)due, now);
    if (firing == NULL)
        // relaxed: read by this task alone, and under the lock
        __atomic_store_n(&s->next, wi_wheel_next(&s->wheel), __ATOMIC_RELAXED);
    wi_mutex_unlock(&s->lock);
    return firing;
}

// With the lock held, and without it for a while now and then: no timer comes
// in any more.
static void drop_pending(struct service *s)
{
    for (int level = 0; level < WI_WHEEL_LEVELS; level++) {
        for (int slot = 0; slot < WI_WHEEL_SLOTS; slot++) {
            struct wi_timer *entry;
            while ((entry = s->wheel.slots[level][slot]) != NULL) {
                wi_wheel_remove(&s->wheel, entry);
                struct call over = end_timer((struct timer *)entry);
                wi_mutex_unlock(&s->lock);
                make_call(over);
                wi_mutex_lock(&s->lock);
            }
        }
    }
}

// The run ends.
static void end(void *arg)
{
    struct service *s = arg;
    wi_mutex_lock(&s->lock);
    s->alive = false;
    s->task = NULL;
    drop_pending(s);
    struct wi_runtime *runtime = s->runtime;
    wi_mutex_unlock(&s->lock);
    wi_mutex_lock(&services_lock);
    runtime->timers = NULL;
    s->next_free = free_services;
    free_services = s;
    wi_mutex_unlock(&services_lock);
}

static void begin(struct service *s)
{
    wi_mutex_lock(&s->lock);
    s->task = wi_self();
    wi_mutex_unlock(&s->lock);
}

static int serve(void *arg)
{
    struct service *s = arg;
    int rc = 0;
    begin(s);
    while (rc != -ECANCELED) {
        struct firing *firing;
        while ((firing = next_firing(s)) != NULL)
            weft_future_unref(weft_task_start(run, firing, .drop = not_run));
        // relaxed: who makes it earlier unparks this task afterwards
        const struct wi_wait wait = {
            .object = s,
            .deadline = __atomic_load_n(&s->next, __ATOMIC_RELAXED),
            .kind = WI_WAIT_SLEEP,
            .flags = WI_CANCELABLE};
        rc = wi_park(&wait);
    }
    end(s);
    return 0;
}

// With services_lock held. Its task looks when it begins, so nobody need wake
// it before: `next` is earlier than all.
static struct service *service_new(struct wi_runtime *runtime)
{
    struct service *s = free_services;
    if (s != NULL)
        free_services = s->next_free;
    else if ((s = calloc(1, sizeof *s)) == NULL)
        return NULL;
    wi_mutex_lock(&s->lock);
    s->runtime = runtime;
    s->alive = true;
    s->next = INT64_MIN;
    wi_wheel_init(&s->wheel, wi_os_now());
    wi_mutex_unlock(&s->lock);
    return s;
}

static int make_service(struct wi_runtime *runtime, struct service **out)
{
    wi_mutex_lock(&services_lock);
    struct service *s = runtime->timers;
    bool made = s == NULL && (s = service_new(runtime)) != NULL;
    if (made)
        // release: the service is whole; pairs with the acquire in
        // service_of_caller
        __atomic_store_n(&runtime->timers, s, __ATOMIC_RELEASE);
    wi_mutex_unlock(&services_lock);
    *out = s;
    if (!made)
        return s != NULL ? 0 : -ENOMEM;
    const struct weft_task_options options = {
        .size = sizeof options, .name = "timers", .drop = end};
    weft_future *f =
        wi_task_start_at(runtime, runtime->root, serve, s, &options);
    int rc = weft_done(f) ? weft_future_code(f) : 0;
    weft_future_unref(f);
    return rc == -WEFT_EJOBCANCELED ? -WEFT_ECLOSED : rc;
}

// The service of the caller's run, or of the default loop.
static int service_of_caller(struct service **out, struct wi_runtime **runtime)
{
    struct wi_worker *worker = wi_here.worker;
    int rc = 0;
    if (worker != NULL && worker->runtime->executor == NULL)
        *runtime = worker->runtime;
    else
        *runtime = wi_default_runtime(&rc);
    if (rc < 0)
        return rc;
    // acquire: pairs with the release in make_service
    *out = __atomic_load_n(&(*runtime)->timers, __ATOMIC_ACQUIRE);
    return *out != NULL ? 0 : make_service(*runtime, out);
}

// The calls -------------------------------------------------------------------

// With the lock of its home held. Whether a run was prevented.
static bool take_out(struct timer *t)
{
    if (t->state == PENDING)
        wi_wheel_remove(&home_of(t)->wheel, &t->entry);
    else if (t->state == FIRED)
        t->firing->timer = NULL;
    else
        return false;
    return true;
}

// Both locks, in the order of their addresses; or the one.
static void lock_both(struct service *s, struct service *home)
{
    wi_mutex_lock(home < s ? &home->lock : &s->lock);
    if (home != s)
        wi_mutex_lock(home < s ? &s->lock : &home->lock);
}

static void unlock_both(struct service *s, struct service *home)
{
    wi_mutex_unlock(&s->lock);
    if (home != s)
        wi_mutex_unlock(&home->lock);
}

// Locks s and the timer's home, which is s for one that had none.
static struct service *lock_with_home(struct service *s, struct timer *t)
{
    for (;;) {
        struct service *none = NULL, *home = home_of(t);
        // acq_rel: pairs with home_of. Two may start it for the first time
        if (home == NULL &&
            __atomic_compare_exchange_n(&t->home, &none, s, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            home = s;
        else if (home == NULL)
            home = none;
        lock_both(s, home);
        if (home_of(t) == home)
            return home;
        unlock_both(s, home);
    }
}

// With both locks held. 0, or why it cannot be started there just now.
static int may_start(const struct service *s, const struct service *home,
                     const struct wi_runtime *runtime, const struct timer *t)
{
    if (!s->alive || s->runtime != runtime)
        return -WEFT_ECLOSED;
    // In another run, also in one that had this service before.
    if (t->state == RUNNING && (home != s || t->firing->runtime != runtime))
        return -EBUSY;
    return 0;
}

static int start(struct service *s, const struct wi_runtime *runtime,
                 struct timer *t, const struct timer *given)
{
    struct wi_task *task = NULL;
    struct service *home = lock_with_home(s, t);
    int rc = may_start(s, home, runtime, t);
    if (rc < 0) {
        unlock_both(s, home);
        return rc;
    }
    t->fn = given->fn;
    t->arg = given->arg;
    t->period = given->period;
    t->over = given->over;
    if (t->state == RUNNING) {
        t->entry.when = given->entry.when;
        t->flags = AGAIN;
    } else {
        take_out(t);
        // release: pairs with home_of
        __atomic_store_n(&t->home, s, __ATOMIC_RELEASE);
        task = set(s, t, given->entry.when);
    }
    unlock_both(s, home);
    if (task != NULL)
        wi_unpark(task);
    return 0;
}

static int64_t period_of(double seconds)
{
    if (seconds <= 0)
        return 0;
    return seconds > WI_LONGEST_SECONDS ? WI_FOREVER / 4
           : seconds < 1e-9             ? 1
                                        : (int64_t)(seconds * 1e9);
}

// From a time of weft_now.
static int64_t time_of(double at)
{
    return at <= 0 ? 0 : at > 9e9 ? WI_FOREVER : (int64_t)(at * 1e9);
}

int weft_timer_start_with(struct weft_timer *timer, double seconds,
                          void (*fn)(void *arg), void *arg,
                          const struct weft_timer_options *options)
{
    wi_need(timer);
    WI_OPTIONS(options);
    wi_require(fn != NULL, timer, "a timer's function must not be NULL");
    wi_require(!isnan(options->period) && !isnan(options->at), timer,
               "a time must be a number, not NaN");
    struct timer given = {.fn = fn,
                          .arg = arg,
                          .period = period_of(options->period),
                          .over = options->over};
    given.entry.when = options->at != 0
                           ? time_of(options->at)
                           : wi_deadline_in(seconds, "weft_timer_start");
    if (wi_forked())
        return -WEFT_EFORKED;
    struct service *s = NULL;
    struct wi_runtime *runtime;
    int rc = service_of_caller(&s, &runtime);
    if (rc < 0)
        return rc;
    return start(s, runtime, (struct timer *)timer, &given);
}

int weft_timer_cancel(struct weft_timer *timer)
{
    wi_need(timer);
    struct timer *t = (struct timer *)timer;
    struct service *s = lock_home(t);
    if (s == NULL)
        return 0;
    struct call over = {NULL, NULL};
    bool prevented = take_out(t);
    if (prevented)
        over = end_timer(t);
    else if (t->state == RUNNING)
        t->flags = STOP;
    wi_mutex_unlock(&s->lock);
    make_call(over);
    return prevented;
}

// Whether the joiner has to sleep.
static bool list_joiner(struct timer *t, struct wi_waiter *joiner)
{
    struct service *s = lock_home(t);
    bool must = t->state != IDLE;
    wi_require_in("weft_timer_join",
                  t->state != RUNNING || t->firing->runner != joiner->task, t,
                  "a timer's function must not join its own timer");
    if (must)
        wi_waiters_add(&t->joiners, joiner);
    wi_mutex_unlock(&s->lock);
    return must;
}

int weft_timer_join(struct weft_timer *timer)
{
    wi_need(timer);
    struct timer *t = (struct timer *)timer;
    const struct wi_wait wait = {.object = t,
                                 .deadline = WI_FOREVER,
                                 .kind = WI_WAIT_SLEEP,
                                 .flags = WI_SCOPED};
    struct wi_waiter joiner = {.task = wi_self()};
    int rc = wi_check_scopes();
    if (rc < 0 || home_of(t) == NULL || !list_joiner(t, &joiner))
        return rc;
    rc = wi_waiter_sleep(&joiner, &wait);
    // Under the lock in any case: who woke it has left the timer then.
    struct service *s = lock_home(t);
    if (!wi_waiters_remove(&t->joiners, &joiner))
        rc = 0; // it was over, at the latest just now
    wi_mutex_unlock(&s->lock);
    return rc;
}

bool weft_timer_pending(struct weft_timer *timer)
{
    wi_need(timer);
    struct timer *t = (struct timer *)timer;
    struct service *s = lock_home(t);
    if (s == NULL)
        return false;
    bool pending = t->state == PENDING || t->state == FIRED ||
                   (t->state == RUNNING && (t->flags & AGAIN)) ||
                   (t->state == RUNNING && t->period && !(t->flags & STOP));
    wi_mutex_unlock(&s->lock);
    return pending;
}
