// SPDX-License-Identifier: MIT
//
// The loop of a worker and the switch between stacks.
//
// Every stack of a worker but the thread's own has a loop frame at its base.
// The loop calls an unstarted task directly, on the stack it runs on; when the
// task returns, it falls back into that loop, which goes on. When a task has
// to wait, its stack stays with it, and the worker goes on elsewhere: straight
// on the stack of a ready task if there is one, else on a loop frame, a
// suspended one from `loops` or one on a fresh stack. A loop that finds a
// ready task suspends itself into `loops`. So a stack is, at each moment, one
// of: running, parked with a task (reached through the record's `point`), or a
// suspended loop frame, which holds nothing and can be made fresh.
//
// With nothing to run, whoever is at it polls and sleeps right there, a
// parked task on its own stack too. A task that waits for a descriptor while
// nothing else goes on is resumed without any switch.
//
// The thread's own stack has no loop frame: it belongs to the main task of
// weft_run, or to the record of a pool's thread, which waits for the end.
//
// Tasks start only from a loop frame or inside a join that runs its child
// inline, so no unrelated task is ever buried under a waiting one.
#include "sched/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "loop/loop.h"
#include "os/report.h"
#include "os/thread_image.h"
#include "sched/fork_join.h"
#include "sched/idle.h"
#include "sched/overflow.h"
#include "sched/watchdog.h"

// Workers are never freed: a late wake may still look at one. Its sleep word
// is AWAKE as long as nobody runs it.
static struct wi_mutex free_lock;
static struct wi_worker *free_workers;

static void fresh(void)
{
    free_lock = (struct wi_mutex){0};
    free_workers = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

static struct wi_worker *worker_alloc(void)
{
    wi_mutex_lock(&free_lock);
    struct wi_worker *worker = free_workers;
    if (worker != NULL)
        free_workers = worker->next_free;
    wi_mutex_unlock(&free_lock);
    if (worker != NULL)
        return worker;
    worker = aligned_alloc(64, (sizeof *worker + 63) & ~(size_t)63);
    if (worker != NULL) {
        memset(worker, 0, sizeof *worker);
        worker->inbox = WI_INBOX_CLOSED;
    }
    return worker;
}

static void worker_release(struct wi_worker *worker)
{
    wi_mutex_lock(&free_lock);
    worker->next_free = free_workers;
    free_workers = worker;
    wi_mutex_unlock(&free_lock);
}

// Who ran over the end of a stack: whoever runs on this thread.
static void describe(struct wi_stack *stack, char *text, size_t size)
{
    struct wi_worker *worker = wi_here.worker;
    struct wi_task *t = wi_here.self;
    if (stack == NULL && t == NULL)
        snprintf(text, size, "a thread");
    else if (stack != NULL &&
             (worker == NULL || t == NULL || worker->point != &stack->point))
        snprintf(text, size, "a stack that nobody runs on");
    else
        wi_task_describe(t, text, size);
}

static struct wi_stack *running(void)
{
    struct wi_worker *worker = wi_here.worker;
    if (worker == NULL || worker->point == NULL ||
        worker->point == &worker->os_point)
        return NULL;
    return (struct wi_stack *)worker->point;
}

void wi_worker_watch_faults(void)
{
    wi_overflow_init(describe, running);
}

void wi_worker_watch_stack(void)
{
    wi_worker_watch_faults();
    wi_overflow_thread_init();
}

// A nested run's own stack is the one that the outer task runs on.
static void inherit_stack(struct wi_worker *worker, struct wi_worker *outer)
{
    worker->os_point = *outer->point;
    worker->os_low = outer->os_low;
    if (outer->point != &outer->os_point)
        worker->os_low = wi_stack_limit((struct wi_stack *)outer->point);
}

uintptr_t wi_worker_os_low(struct wi_worker *worker)
{
    void *start;
    size_t size;
    if (worker->os_low == NULL && wi_os_stack_bounds(&start, &size) == 0)
        worker->os_low = start;
    // Unknown bounds leave no room.
    return worker->os_low != NULL ? (uintptr_t)worker->os_low : UINTPTR_MAX;
}

struct wi_worker *wi_worker_enter(struct wi_runtime *runtime, unsigned index)
{
    struct wi_worker *worker = runtime->workers[index];
    worker->ready = NULL;
    worker->ready_tail = &worker->ready;
    worker->outer = wi_here.worker;
    worker->outer_self = wi_here.self;
    wi_wheel_init(&worker->wheel, wi_os_now());
    wi_stack_cache_init(&worker->stacks, runtime->stack_size);
    worker->os_low = NULL;
    if (worker->outer == NULL)
        wi_switch_point_thread(&worker->os_point);
    else
        inherit_stack(worker, worker->outer);
    worker->point = &worker->os_point;
    worker->errno_at = &errno;
    if (worker->outer == NULL)
        wi_worker_watch_stack();
    if (wi_here.thread == NULL)
        wi_os_thread_watch_exit(&wi_here); // for pthread_exit in a task
    wi_here.worker = worker;
    wi_here_set_self(NULL);
    wi_watchdog_enter(worker);
    return worker;
}

// The suspended loop frames become fresh stacks again.
static void drop_loops(struct wi_worker *worker)
{
    while (worker->loops != NULL) {
        struct wi_stack *stack = worker->loops;
        worker->loops = stack->owner;
        stack->owner = NULL;
        wi_stack_put(&worker->stacks, stack);
    }
    worker->parked_stacks = 0;
}

void wi_worker_leave(struct wi_worker *worker)
{
    wi_require(worker->point == &worker->os_point, worker,
               "a worker ends on its own stack");
    wi_watchdog_leave(worker);
    wi_worker_end_search(worker);
    wi_inbox_close(worker);
    drop_loops(worker);
    wi_stack_cache_fini(&worker->stacks);
    wi_os_thread_image_free(worker->image);
    worker->image = NULL;
    if (worker->loop != NULL)
        worker->loop->ops->close(worker->loop);
    worker->loop = NULL;
    if (worker->outer == NULL)
        wi_overflow_thread_fini();
    wi_here.worker = worker->outer;
    wi_here_set_self(worker->outer_self);
}

// Only now can anybody be held up: a run that starts no task needs no watchdog.
static void first_task(struct wi_deque *deque)
{
    wi_watchdog_add(wi_here.worker->runtime);
    (void)deque;
}

struct wi_worker *wi_worker_new(struct wi_runtime *runtime, unsigned index)
{
    struct wi_worker *worker = worker_alloc();
    if (worker == NULL)
        return NULL;
    if (wi_deque_init(&worker->jobs, runtime->solo,
                      runtime->solo ? first_task : NULL) != 0) {
        worker_release(worker);
        return NULL;
    }
    worker->runtime = runtime;
    worker->index = index;
    worker->random = index * 2654435761u + 1;
    worker->switches = 0;
    worker->new_turn = false;
    worker->searching = false;
    worker->in_mask = false;
    worker->departing = NULL;
    worker->spin = (struct wi_spin){0};
    worker->base = NULL;
    worker->submitted = 0;
    worker->ended = 0;
    worker->fork_runs = 0;
    worker->forks_shared = 0;
    worker->forks_stolen = 0;
    // relaxed: a late push may look at it; a mark that it leaves does no harm,
    // as a range that begins then is asked
    __atomic_store_n(&worker->forks_asked, false, __ATOMIC_RELAXED);
    worker->watch = (struct wi_watched){.here = NULL};
    // release: pairs with the acquire of a late push in wi_mail
    __atomic_store_n(&worker->inbox, NULL, __ATOMIC_RELEASE);
    return worker;
}

void wi_worker_free(struct wi_worker *worker)
{
    wi_inbox_close(worker); // of one that nobody entered
    wi_forks_free(worker);
    wi_deque_fini(&worker->jobs);
    worker->runtime = NULL;
    worker_release(worker);
}

// Switching -------------------------------------------------------------------

static void check_canary(struct wi_worker *worker)
{
    if (worker->point == &worker->os_point)
        return;
    struct wi_stack *stack = (struct wi_stack *)worker->point;
    if (!wi_stack_check(stack))
        wi_overflow_panic(stack);
}

static void switch_to(struct wi_worker *worker, struct wi_switch_point *to)
{
    struct wi_switch_point *from = worker->point;
    check_canary(worker);
    worker->point = to;
    worker->turns++;
    wi_stack_switch(from, to);
}

static void loop(struct wi_worker *worker);

static void loop_entry(void *arg)
{
    wi_stack_arrived(&((struct wi_stack *)arg)->point);
    loop(((struct wi_stack *)arg)->owner);
}

// A loop frame that is suspended, or NULL.
static struct wi_stack *pop_loop(struct wi_worker *worker)
{
    struct wi_stack *stack = worker->loops;
    if (stack == NULL)
        return NULL;
    worker->loops = stack->owner;
    worker->parked_stacks--;
    return stack;
}

// Goes on in a loop frame; false if there is no memory for one.
static bool switch_to_loop(struct wi_worker *worker)
{
    struct wi_stack *stack = pop_loop(worker);
    if (stack == NULL) {
        stack = wi_stack_new(&worker->stacks);
        if (stack == NULL)
            return false;
        stack->owner = worker;
        wi_stack_prepare(stack, wi_stack_top(stack), loop_entry, stack);
    }
    switch_to(worker, &stack->point);
    return true;
}

static void first_entry(void *arg)
{
    struct wi_worker *worker = ((struct wi_stack *)arg)->owner;
    struct wi_task *t = worker->first;
    wi_stack_arrived(&((struct wi_stack *)arg)->point);
    wi_worker_call(worker, t);
    loop(worker);
}

// The caller's next turn comes before all ready tasks, as after a call.
static void ready_push_front(struct wi_worker *worker, struct wi_task *t)
{
    t->next = worker->ready;
    if (worker->ready == NULL)
        worker->ready_tail = &t->next;
    worker->ready = t;
}

bool wi_worker_start_now(struct wi_worker *worker, struct wi_task *self,
                         struct wi_task *t)
{
    struct wi_stack *stack = pop_loop(worker);
    if (stack != NULL) // it holds nothing, and is the newest now
        wi_stack_put(&worker->stacks, stack);
    stack = wi_stack_new(&worker->stacks);
    if (stack == NULL)
        return false;
    int saved = *worker->errno_at;
    stack->owner = worker;
    wi_stack_prepare(stack, wi_stack_top(stack), first_entry, stack);
    worker->first = t;
    self->point = worker->point;
    ready_push_front(worker, self); // not parked: a wake leaves its permit
    switch_to(worker, &stack->point);
    wi_here_set_self(self);
    *worker->errno_at = saved;
    return true;
}

static struct wi_task *ready_pop(struct wi_worker *worker)
{
    struct wi_task *t = worker->ready;
    if (t == NULL)
        return NULL;
    worker->ready = t->next;
    if (worker->ready == NULL)
        worker->ready_tail = &worker->ready;
    else
        __builtin_prefetch(worker->ready->point);
    worker->switches++;
    return t;
}

static void ready_push(struct wi_worker *worker, struct wi_task *t)
{
    t->next = NULL;
    *worker->ready_tail = t;
    worker->ready_tail = &t->next;
}

void wi_worker_ready(struct wi_worker *worker, struct wi_task *t)
{
    // relaxed: only we make it ours and parked; see below for the rest
    if (__atomic_load_n(&t->owner, __ATOMIC_RELAXED) !=
        ((uintptr_t)worker | WI_PARKED)) {
        if (wi_roamer_wake(t))
            return;
        // It runs: its next park will see this. Or it has ended and is a
        // thread's record by now, whose sleep must stand in the word as long
        // as it lasts: so 0 alone is replaced. relaxed: see park_task.
        uint32_t none = 0;
        if (__atomic_load_n(&t->permit, __ATOMIC_RELAXED) == 0)
            __atomic_compare_exchange_n(&t->permit, &none, 1, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        return;
    }
    // relaxed: others only compare it, to find where to send a message
    __atomic_store_n(&t->owner, (uintptr_t)worker, __ATOMIC_RELAXED);
    ready_push(worker, t);
}

// Looks at what comes from outside; and what has begun and what has not change
// places. With one new task at each look, those of a thousand connections that
// come while others are busy would begin sixty switches apart.
static void look_around(struct wi_worker *worker)
{
    worker->switches = 0;
    wi_worker_look_around(worker);
    worker->new_turn = !worker->new_turn && wi_runtime_has_work(worker);
}

// Whether it is the turn of the new tasks.
static inline bool is_new_turn(struct wi_worker *worker)
{
    if (worker->switches >= WI_FAIR)
        look_around(worker);
    return worker->new_turn;
}

// Finds something to go on with for a parked `self`, and goes there. Returns
// when self has been resumed.
static void go_elsewhere(struct wi_worker *worker, struct wi_task *self)
{
    for (;;) {
        if (is_new_turn(worker) && switch_to_loop(worker))
            return;
        struct wi_task *t = ready_pop(worker);
        if (t == self)
            return;
        if (t != NULL) {
            switch_to(worker, t->point);
            return;
        }
        if (wi_runtime_has_work(worker) && switch_to_loop(worker))
            return;
        wi_worker_idle(worker);
    }
}

void wi_worker_wait(struct wi_worker *worker, struct wi_task *self)
{
    int saved = *worker->errno_at;
    self->point = worker->point;
    go_elsewhere(worker, self);
    wi_here_set_self(self);
    *worker->errno_at = saved;
}

void wi_worker_yield(struct wi_worker *worker, struct wi_task *self)
{
    if (WI_RARELY((self->flags & WI_ROAMS) != 0) &&
        wi_roamer_yield(worker, self))
        return;
    if (worker->ready == NULL) // with nobody else ready
        worker->new_turn = wi_runtime_has_work(worker);
    ready_push(worker, self); // not parked: a wake leaves its permit
    wi_worker_wait(worker, self);
}

void wi_worker_give_way(struct wi_worker *worker, struct wi_task *self)
{
    int saved = *worker->errno_at;
    look_around(worker);
    *worker->errno_at = saved;
    wi_worker_yield(worker, self);
}

__attribute__((noinline)) struct wi_worker *wi_worker_here(void)
{
    return wi_here.worker;
}

bool wi_worker_depart(struct wi_worker *worker, struct wi_task *self,
                      bool ready)
{
    int saved = *worker->errno_at;
    self->point = worker->point;
    worker->departing = self;
    worker->departs_ready = ready;
    if (!switch_to_loop(worker)) {
        worker->departing = NULL;
        return false;
    }
    struct wi_worker *now = wi_worker_here();
    if (now != worker)
        // relaxed: a figure
        __atomic_fetch_add(&now->runtime->roamers.moves, 1, __ATOMIC_RELAXED);
    wi_here_set_self(self);
    *now->errno_at = saved;
    return true;
}

// Suspends this loop frame and goes on with a ready task.
static void resume_from_loop(struct wi_worker *worker, struct wi_task *t)
{
    struct wi_stack *stack = (struct wi_stack *)worker->point;
    stack->owner = worker->loops;
    worker->loops = stack;
    worker->parked_stacks++;
    switch_to(worker, t->point);
}

// A roamer that can go on goes before a new task, except at the turn of the
// new ones. NULL: there is none.
static struct wi_task *next_roamer(struct wi_worker *worker)
{
    if (!wi_roamers_ready(&worker->runtime->roamers) || is_new_turn(worker))
        return NULL;
    return wi_roamer_take(worker);
}

// Goes on with what is any worker's; false: there is nothing.
static bool go_on(struct wi_worker *worker, struct wi_task *roamer)
{
    if (roamer == NULL)
        return false;
    worker->switches++;
    worker->new_turn = false;
    wi_worker_end_search(worker);
    if (wi_runtime_has_work(worker))
        wi_runtime_wake_one(worker->runtime);
    resume_from_loop(worker, roamer);
    return true;
}

static void loop(struct wi_worker *worker)
{
    bool solo = worker->runtime->solo; // then nothing roams
    for (;;) {
        struct wi_task *t = NULL;
        if (WI_RARELY(worker->departing != NULL))
            wi_roamer_leaves(worker);
        // Also where nobody is ready: tasks that never wait, each of which
        // starts the next, would keep the timers and the rest from their turn.
        if (is_new_turn(worker) || worker->ready == NULL) {
            if (!solo && go_on(worker, next_roamer(worker)))
                continue;
            t = wi_runtime_next(worker);
            worker->new_turn = worker->new_turn && t != NULL;
            if (t == NULL && !solo && go_on(worker, wi_roamer_take(worker)))
                continue;
        }
        if (t != NULL) {
            worker->switches++;
            wi_worker_call(worker, t);
            if (!solo)
                worker = wi_worker_here(); // it may have come here on its way
        } else if ((t = ready_pop(worker)) != NULL) {
            resume_from_loop(worker, t);
        } else {
            wi_worker_idle(worker);
        }
    }
}

// Depth -----------------------------------------------------------------------

// A call that goes on on another stack, in its caller's frame.
struct detour {
    void (*fn)(void *);
    void *arg;
    struct wi_worker *worker;
    struct wi_switch_point *back;
};

static void take_detour(struct detour *detour)
{
    detour->fn(detour->arg);
    switch_to(detour->worker, detour->back);
}

static void detour_entry(void *arg)
{
    wi_stack_arrived(&((struct wi_stack *)arg)->point);
    take_detour(((struct wi_stack *)arg)->owner);
}

bool wi_worker_call_on_new_stack(struct wi_worker *worker, void (*fn)(void *),
                                 void *arg)
{
    struct wi_stack *stack = wi_stack_new(&worker->stacks);
    if (stack == NULL)
        return false;
    struct detour detour = {fn, arg, worker, worker->point};
    stack->owner = &detour;
    wi_stack_prepare(stack, wi_stack_top(stack), detour_entry, stack);
    switch_to(worker, &stack->point);
    stack->owner = NULL;
    wi_stack_put(&worker->stacks, stack);
    return true;
}

// Progress --------------------------------------------------------------------

uint64_t wi_worker_progress(const struct wi_worker *worker)
{
    uint64_t turns = *(const volatile uint64_t *)&worker->turns;
    unsigned switches = *(const volatile unsigned *)&worker->switches;
    // Who yields to itself alone makes no turn.
    return turns << 6 ^ switches;
}

// Trimming --------------------------------------------------------------------

enum { KEEP_STACKS = 32 };

bool wi_worker_wants_trim(const struct wi_worker *worker)
{
    return worker->parked_stacks + worker->stacks.warm > KEEP_STACKS ||
           wi_records_want_trim();
}

bool wi_worker_trim(struct wi_worker *worker)
{
    // The loop that runs this is none of the suspended ones.
    drop_loops(worker);
    if (wi_stack_trim(&worker->stacks, KEEP_STACKS) > 0)
        return true;
    wi_deque_discard(&worker->jobs);
    if (wi_records_want_trim())
        wi_records_trim(&wi_here);
    return false;
}
