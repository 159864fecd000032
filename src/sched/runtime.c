// SPDX-License-Identifier: MIT
//
// Workers together. Unstarted records come from three places: the worker's
// own deque, the runtime's injector (what other threads submitted) and the
// deques of the other workers. What is queued is a hint: the claim on the
// record's state decides who runs it, and a hint to a record that somebody
// else claimed, or that lives another life by now, is dropped.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "base/fresh.h"
#include "base/text.h"
#include "os/thread.h"
#include "sched/fork_join.h"
#include "sched/idle.h"
#include "sched/watchdog.h"
#include "sched/worker.h"

enum { GRAB = 64 };

static void free_workers(struct wi_runtime *runtime)
{
    for (unsigned i = 0; i < WI_MAX_LIVE && runtime->workers[i]; i++) {
        wi_worker_free(runtime->workers[i]);
        // relaxed: who comes late finds either; see wi_runtime_worker
        __atomic_store_n(&runtime->workers[i], NULL, __ATOMIC_RELAXED);
    }
}

static struct wi_mutex free_lock;
static struct wi_runtime *free_runtimes;

static void fresh(void)
{
    free_lock = (struct wi_mutex){0};
    free_runtimes = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

static struct wi_runtime *runtime_alloc(void)
{
    wi_mutex_lock(&free_lock);
    struct wi_runtime *runtime = free_runtimes;
    if (runtime != NULL)
        free_runtimes = runtime->next_free;
    wi_mutex_unlock(&free_lock);
    if (runtime != NULL)
        return runtime;
    runtime = aligned_alloc(64, (sizeof *runtime + 63) & ~(size_t)63);
    if (runtime != NULL)
        memset(runtime, 0, sizeof *runtime);
    return runtime;
}

// No bit of the idle mask is set in a new or freed one, nor is there a worker;
// how many live may be read by a late wi_runtime_wake_one at any time.
static void reset(struct wi_runtime *runtime, unsigned count)
{
    // relaxed: a late reader finds no idle worker under the old count either
    __atomic_store_n(&runtime->count, count, __ATOMIC_RELAXED);
    __atomic_store_n(&runtime->live, count, __ATOMIC_RELAXED);
    runtime->spares_on = 0;
    runtime->stop = 0;
    runtime->cancel_all = 0;
    runtime->forks_timed = 0;
    runtime->dropping = 0;
    runtime->alone = count == 1 && wi_biased_fast;
    runtime->stall = 0;
    runtime->job_ended = NULL;
    runtime->begin = NULL;
    runtime->end = NULL;
    runtime->cpus = NULL;
    runtime->executor = NULL;
    runtime->root = NULL;
    runtime->timers = NULL;
    runtime->injected = 0;
    wi_roamers_init(&runtime->roamers);
}

int wi_runtime_new(struct wi_runtime **out, unsigned count, bool solo,
                   size_t stack_size, void (*run)(struct wi_task *t))
{
    if (count == 0 || count > WI_MAX_WORKERS || wi_stack_round(stack_size) == 0)
        return -EINVAL;
    wi_fresh_in_use();
    struct wi_runtime *runtime = runtime_alloc();
    if (runtime == NULL)
        return -ENOMEM;
    reset(runtime, count);
    runtime->run = run;
    runtime->solo = solo;
    runtime->stack_size = stack_size;
    bool made = true;
    for (unsigned i = 0; made && i < count; i++) {
        runtime->workers[i] = wi_worker_new(runtime, i);
        made = runtime->workers[i] != NULL;
    }
    *out = runtime;
    if (made)
        return 0;
    wi_runtime_free(runtime);
    return -ENOMEM;
}

void wi_runtime_free(struct wi_runtime *runtime)
{
    free_workers(runtime);
    for (unsigned i = 0; i < WI_LANES; i++)
        wi_lane_fini(&runtime->lanes[i]);
    wi_mutex_lock(&free_lock);
    runtime->next_free = free_runtimes;
    free_runtimes = runtime;
    wi_mutex_unlock(&free_lock);
}

// Threads ---------------------------------------------------------------------

static void worker_thread(void *arg)
{
    struct wi_worker *worker = arg;
    struct wi_runtime *runtime = worker->runtime;
    struct wi_task *base = worker->base;
    // As a plain thread: no job may run here before.
    if (runtime->begin != NULL && runtime->begin(runtime) < 0) {
        wi_task_unref(base);
        return;
    }
    wi_worker_enter(runtime, worker->index);
    base->extra->native = wi_os_thread_id();
    // seq_cst: before the look at `stop`; pairs with wi_mail
    __atomic_store_n(&base->owner, (uintptr_t)worker, __ATOMIC_SEQ_CST);
    wi_here_set_self(base);
    const struct wi_wait wait = {
        .object = runtime, .deadline = WI_FOREVER, .kind = WI_WAIT_POOL};
    // seq_cst: pairs with wi_runtime_stop
    while (!__atomic_load_n(&runtime->stop, __ATOMIC_SEQ_CST))
        wi_park(&wait);
    __atomic_store_n(&base->owner, 0, __ATOMIC_RELEASE);
    wi_worker_leave(worker);
    if (runtime->end != NULL)
        runtime->end(runtime);
    wi_task_unref(base);
}

static int start_worker(struct wi_worker *worker, const char *what,
                        unsigned number)
{
    struct wi_runtime *runtime = worker->runtime;
    struct wi_task *base = wi_task_new(WI_KIND_THREAD, WI_RUNNING, 1);
    if (base == NULL)
        return -ENOMEM;
    char text[32];
    snprintf(text, sizeof text, "%s-%s%u", runtime->name, what, number);
    if (!wi_task_set_name(base, text)) {
        wi_task_unref(base);
        return -ENOMEM;
    }
    worker->base = base;
    struct wi_os_thread_options options = {.name = text,
                                           .blocked = &runtime->signals};
    if (runtime->cpus != NULL)
        wi_os_thread_place(&options, runtime->cpus,
                           *what == '\0' ? (int)number : -1);
    int rc =
        wi_os_thread_start(&worker->thread, worker_thread, worker, &options);
    if (rc < 0) {
        worker->base = NULL;
        wi_task_unref(base);
    }
    return rc;
}

int wi_runtime_start(struct wi_runtime *runtime, unsigned from,
                     const char *name)
{
    wi_text_copy(runtime->name, sizeof runtime->name, name);
    if (!runtime->solo)
        runtime->signals = wi_os_thread_blocked_signals();
    for (unsigned i = from; i < runtime->count; i++) {
        int rc = start_worker(runtime->workers[i], "", i);
        if (rc < 0) {
            wi_runtime_stop(runtime, from);
            return rc;
        }
    }
    if (!runtime->solo) // else at its first task
        wi_watchdog_add(runtime);
    return 0;
}

static int add_worker(struct wi_runtime *runtime, const char *what,
                      unsigned number)
{
    unsigned index = runtime->live;
    struct wi_worker *worker = runtime->workers[index];
    if (worker == NULL) // else its thread could not be started, then
        worker = wi_worker_new(runtime, index);
    if (worker == NULL)
        return -ENOMEM;
    // seq_cst: before it ends a job; pairs with the sums of a closing pool
    __atomic_store_n(&runtime->workers[index], worker, __ATOMIC_SEQ_CST);
    int rc = start_worker(worker, what, number);
    if (rc < 0)
        return rc;
    // seq_cst: before the wake; pairs with the look at the queues after the
    // announcement of sleep. release: who sees it sees the worker
    __atomic_store_n(&runtime->live, index + 1, __ATOMIC_SEQ_CST);
    // What the first one has queued without a barrier of its own is seen from
    // here on; what it queues later has one.
    if (__atomic_exchange_n(&runtime->alone, false, __ATOMIC_SEQ_CST))
        wi_biased_barrier();
    wi_worker_wake(worker); // it may have gone to sleep where nobody saw it
    return 0;
}

int wi_runtime_add_spare(struct wi_runtime *runtime)
{
    unsigned number = runtime->live - runtime->count;
    return number < WI_MAX_SPARES ? add_worker(runtime, "spare", number)
                                  : -EAGAIN;
}

int wi_runtime_resize(struct wi_runtime *runtime, unsigned count)
{
    unsigned before = runtime->count;
    while (runtime->live < count) {
        int rc = add_worker(runtime, "", runtime->live);
        if (rc < 0)
            return rc;
    }
    // seq_cst: before the wakes; pairs with wi_worker_rests
    __atomic_store_n(&runtime->count, count, __ATOMIC_SEQ_CST);
    for (unsigned i = before; i < count; i++)
        wi_worker_wake(runtime->workers[i]);
    return 0;
}

void wi_runtime_stop(struct wi_runtime *runtime, unsigned from)
{
    wi_watchdog_remove(runtime); // no more spares
    // seq_cst: before the look at the owner of each base (wi_mail); pairs with
    // the load in worker_thread
    __atomic_store_n(&runtime->stop, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = from; i < wi_runtime_live(runtime); i++) {
        struct wi_worker *worker = runtime->workers[i];
        if (worker->base == NULL)
            continue;
        wi_unpark(worker->base);
        wi_worker_wake(worker);
        wi_os_thread_join(&worker->thread);
        worker->base = NULL;
    }
}

// The injector ----------------------------------------------------------------

// The caller has the lock; it is given back.
static inline void put_and_wake(struct wi_runtime *runtime,
                                struct wi_lane *lane, wi_hint hint)
{
    wi_lane_put(lane, hint);
    // relaxed: who takes the record out sees it by the lock
    __atomic_store_n(&runtime->injected, runtime->injected + 1,
                     __ATOMIC_RELAXED);
    wi_mutex_unlock(&runtime->lock);
    // The work before the idle mask; pairs with announce. The mutex was left
    // by an exchange.
    wi_arch_fence_after_rmw();
    wi_runtime_wake_one(runtime);
}

static WI_COLD int make_room_and_put(struct wi_runtime *runtime,
                                     struct wi_lane *lane, wi_hint hint)
{
    int rc = wi_lane_make_room(lane);
    if (rc == 0)
        put_and_wake(runtime, lane, hint);
    else
        wi_mutex_unlock(&runtime->lock);
    return rc;
}

int wi_runtime_submit_lane(struct wi_runtime *runtime, struct wi_task *t,
                           unsigned which)
{
    struct wi_lane *lane = &runtime->lanes[which];
    wi_hint hint = wi_hint_of(t);
    wi_mutex_lock(&runtime->lock);
    if (WI_RARELY(wi_lane_is_full(lane)))
        return make_room_and_put(runtime, lane, hint);
    put_and_wake(runtime, lane, hint);
    return 0;
}

int wi_worker_submit_shared(struct wi_worker *worker, struct wi_task *t)
{
    int rc = wi_deque_push(&worker->jobs, wi_hint_of(t));
    if (WI_RARELY(rc < 0))
        return rc;
    if (wi_worker_may_wake(worker))
        wi_runtime_wake_idle(worker->runtime);
    return 0;
}

// Jobs ------------------------------------------------------------------------

void wi_worker_job_begins(struct wi_worker *worker, struct wi_task *t)
{
    bool fast = wi_biased_lock(&worker->jobs_lock, wi_biased_fast);
    t->sibling = worker->jobs_running;
    t->sibling_link = &worker->jobs_running;
    if (t->sibling != NULL)
        t->sibling->sibling_link = &t->sibling;
    worker->jobs_running = t;
    // relaxed: set before the lock was taken for the walk that missed t
    if (__atomic_load_n(&worker->runtime->cancel_all, __ATOMIC_RELAXED))
        __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_RELAXED);
    wi_biased_unlock(&worker->jobs_lock, fast);
}

void wi_worker_job_ends(struct wi_worker *worker, struct wi_task *t)
{
    bool fast = wi_biased_lock(&worker->jobs_lock, wi_biased_fast);
    *t->sibling_link = t->sibling;
    if (t->sibling != NULL)
        t->sibling->sibling_link = t->sibling_link;
    t->sibling = NULL;
    wi_biased_unlock(&worker->jobs_lock, fast);
}

void wi_runtime_each_job(struct wi_runtime *runtime,
                         void (*visit)(struct wi_task *t, void *arg), void *arg)
{
    for (unsigned i = 0; i < wi_runtime_live(runtime); i++) {
        struct wi_worker *worker = runtime->workers[i];
        wi_biased_lock(&worker->jobs_lock, false);
        for (struct wi_task *t = worker->jobs_running; t; t = t->sibling)
            visit(t, arg);
        wi_biased_unlock(&worker->jobs_lock, false);
    }
    wi_roamers_each(&runtime->roamers, visit, arg);
}

static struct wi_task *take_canceled(struct wi_deque *deque)
{
    for (;;) {
        bool busy;
        wi_hint hint = wi_deque_take(deque, &busy);
        if (hint == 0 && !busy)
            return NULL;
        struct wi_task *t = wi_hint_task(hint);
        if (hint != 0 && wi_task_claim(t, wi_hint_gen(hint), WI_CANCELED))
            return t;
    }
}

static wi_hint lane_pop(struct wi_runtime *runtime, unsigned lane)
{
    wi_mutex_lock(&runtime->lock);
    wi_hint hint = wi_lane_take(&runtime->lanes[lane]);
    wi_mutex_unlock(&runtime->lock);
    return hint;
}

static struct wi_task *take_unstarted(struct wi_runtime *runtime)
{
    wi_hint hint;
    for (unsigned i = 0; i < WI_LANES; i++) {
        while ((hint = lane_pop(runtime, i)) != 0) {
            struct wi_task *t = wi_hint_task(hint);
            if (wi_task_claim(t, wi_hint_gen(hint), WI_CANCELED))
                return t;
        }
    }
    struct wi_task *t = NULL;
    for (unsigned i = 0; t == NULL && i < wi_runtime_live(runtime); i++)
        t = take_canceled(&runtime->workers[i]->jobs);
    return t;
}

// A thief may move several from a deque that is looked at later to one that was
// looked at before. So thieves take one at a time meanwhile, and as each may be
// in the middle of a theft that began before, each can make us look once more.
void wi_runtime_drop_unstarted(struct wi_runtime *runtime,
                               void (*drop)(struct wi_task *t, int code),
                               int code)
{
    struct wi_task *t;
    // seq_cst: before the first look; pairs with rob
    __atomic_fetch_add(&runtime->dropping, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i <= wi_runtime_live(runtime); i++)
        while ((t = take_unstarted(runtime)) != NULL)
            drop(t, code);
    // relaxed: a late thief takes one
    __atomic_fetch_sub(&runtime->dropping, 1, __ATOMIC_RELAXED);
}

// Taking ----------------------------------------------------------------------

// Claims what a hint stands for; NULL if there is nothing to claim any more.
static struct wi_task *claim(wi_hint hint)
{
    struct wi_task *t = wi_hint_task(hint);
    return wi_task_claim(t, wi_hint_gen(hint), 0) ? t : NULL;
}

static struct wi_task *take_from(struct wi_deque *deque)
{
    for (;;) {
        bool busy;
        wi_hint hint = wi_deque_take(deque, &busy);
        if (hint == 0 && !busy)
            return NULL;
        struct wi_task *t = hint != 0 ? claim(hint) : NULL;
        if (t != NULL)
            return t;
    }
}

// Takes up to half of what waits in the injector, at most GRAB: the first to be
// run, the others into the worker's deque (of a solo runtime the first too, as
// it is watched from the first push on). Whoever submits waits for the lock
// meanwhile: it is one copy. What moves is in both for a moment, never in none,
// as others look there before they sleep.
static struct wi_task *grab(struct wi_worker *worker)
{
    struct wi_runtime *runtime = worker->runtime;
    struct wi_lane *lane = &runtime->lanes[WI_LANE_USUAL];
    if (wi_lane_waiting(lane) == 0 || wi_worker_rests(worker))
        return NULL;
    wi_mutex_lock(&runtime->lock);
    size_t waiting = wi_lane_waiting(lane);
    size_t n = wi_runtime_count(runtime) == 1 ? waiting : (waiting + 1) / 2;
    const wi_hint *hints;
    n = wi_lane_look(lane, n < GRAB ? n : GRAB, &hints);
    size_t direct = n > 0 && !runtime->solo ? 1 : 0;
    wi_hint first = direct ? hints[0] : 0;
    if (n > direct &&
        wi_deque_push_all(&worker->jobs, hints + direct, n - direct) < 0)
        n = direct;
    wi_lane_drop(lane, n);
    wi_mutex_unlock(&runtime->lock);
    // What is ours now before the idle mask, at which wi_runtime_next looks;
    // pairs with announce. The mutex was left by an exchange.
    wi_arch_fence_after_rmw();
    struct wi_task *t = direct ? claim(first) : NULL;
    return t != NULL || n == direct ? t : take_from(&worker->jobs);
}

// The oldest of what the victim has, and more of it for later.
static struct wi_task *rob(struct wi_worker *worker, struct wi_worker *victim)
{
    for (;;) {
        bool busy;
        // seq_cst: pairs with wi_runtime_drop_unstarted
        wi_hint hint =
            __atomic_load_n(&worker->runtime->dropping, __ATOMIC_SEQ_CST) == 0
                ? wi_deque_steal(&victim->jobs, &worker->jobs, &busy)
                : wi_deque_take(&victim->jobs, &busy);
        if (hint != 0 || busy) // as in grab; left by a compare-and-swap
            wi_arch_fence_after_rmw();
        struct wi_task *t = hint != 0 ? claim(hint) : NULL;
        if (t == NULL && !wi_deque_empty(&worker->jobs))
            t = take_from(&worker->jobs);
        if (t != NULL || (hint == 0 && !busy))
            return t;
    }
}

static struct wi_task *steal(struct wi_worker *worker)
{
    struct wi_runtime *runtime = worker->runtime;
    unsigned count = wi_runtime_live(runtime);
    // xorshift, George Marsaglia (2003)
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 17;
    worker->random ^= worker->random << 5;
    for (unsigned i = 0; i < count; i++) {
        struct wi_worker *victim =
            runtime->workers[(worker->random + i) % count];
        struct wi_task *t = victim == worker ? NULL : rob(worker, victim);
        if (t != NULL)
            return t;
    }
    return NULL;
}

static struct wi_task *take_lane(struct wi_worker *worker, unsigned lane)
{
    struct wi_runtime *runtime = worker->runtime;
    wi_hint hint;
    if (wi_lane_waiting(&runtime->lanes[lane]) == 0 || wi_worker_rests(worker))
        return NULL;
    while ((hint = lane_pop(runtime, lane)) != 0) {
        struct wi_task *t = claim(hint);
        if (t != NULL)
            return t;
    }
    return NULL;
}

// Of the usual priority.
static struct wi_task *take_usual(struct wi_worker *worker)
{
    struct wi_task *t =
        wi_deque_empty(&worker->jobs) ? NULL : take_from(&worker->jobs);
    if (t == NULL)
        t = grab(worker);
    if (t != NULL || worker->runtime->solo || wi_worker_rests(worker))
        return t;
    t = steal(worker);
    return t != NULL ? t : wi_fork_take(worker);
}

static bool has_priorities(const struct wi_runtime *runtime)
{
    return (wi_lane_waiting(&runtime->lanes[WI_LANE_HIGH]) |
            wi_lane_waiting(&runtime->lanes[WI_LANE_LOW])) != 0;
}

static __attribute__((noinline)) struct wi_task *
take_in_order(struct wi_worker *worker)
{
    const uint8_t *order = wi_lane_order(++worker->picks);
    struct wi_task *t = NULL;
    for (unsigned i = 0; t == NULL && i < WI_LANES; i++)
        t = order[i] == WI_LANE_USUAL ? take_usual(worker)
                                      : take_lane(worker, order[i]);
    return t;
}

struct wi_task *wi_runtime_next(struct wi_worker *worker)
{
    struct wi_runtime *runtime = worker->runtime;
    if (runtime->solo) // only pools have priorities
        return take_usual(worker);
    struct wi_task *t =
        has_priorities(runtime) ? take_in_order(worker) : take_usual(worker);
    if (t == NULL)
        return t;
    wi_worker_end_search(worker);
    if (wi_runtime_has_work(worker))
        wi_runtime_wake_one(runtime);
    return t;
}

bool wi_runtime_has_open_work(struct wi_runtime *runtime)
{
    if (wi_lane_waiting(&runtime->lanes[WI_LANE_USUAL]) != 0 ||
        has_priorities(runtime))
        return true;
    if (runtime->solo) // what its worker has it runs itself
        return false;
    for (unsigned i = 0; i < wi_runtime_live(runtime); i++) {
        const struct wi_worker *worker = wi_runtime_worker(runtime, i);
        if (worker != NULL &&
            (!wi_deque_empty(&worker->jobs) || wi_worker_shares(worker)))
            return true;
    }
    return wi_roamers_ready(&runtime->roamers);
}

bool wi_runtime_has_work(struct wi_worker *worker)
{
    struct wi_runtime *runtime = worker->runtime;
    if (!wi_deque_empty(&worker->jobs))
        return true;
    if (runtime->solo)
        return wi_lane_waiting(&runtime->lanes[WI_LANE_USUAL]) != 0;
    return !wi_worker_rests(worker) && wi_runtime_has_open_work(runtime);
}
