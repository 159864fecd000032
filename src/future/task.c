// SPDX-License-Identifier: MIT
//
// Tasks: running them, starting them, and what a task may ask of itself.
#include <weft/task.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/cold.h"
#include "base/fresh.h"
#include "base/options.h"
#include "future/external.h"
#include "future/future.h"
#include "future/group.h"
#include "future/interrupt.h"
#include "future/local.h"
#include "future/run.h"
#include "os/fork.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/deadlock.h"
#include "sched/idle.h"
#include "sched/scope.h"
#include "sched/watchdog.h"

int (*wi_run_job)(struct wi_task *t);

static int run_roamer(struct wi_task *t)
{
    struct wi_runtime *runtime = t->home;
    wi_roamer_begins(wi_here.worker, t);
    int code = wi_run_job(t);
    wi_roamer_ends(&runtime->roamers, t);
    return code;
}

static __attribute__((noinline)) int run_job(struct wi_task *t)
{
    struct wi_worker *worker = wi_here.worker;
    if (WI_RARELY((t->flags & WI_ROAMS) != 0))
        return run_roamer(t);
    if (worker != NULL)
        wi_worker_job_begins(worker, t);
    int code = wi_run_job(t);
    if (worker != NULL)
        wi_worker_job_ends(worker, t);
    return code;
}

void wi_run_body(struct wi_task *t)
{
    int code = t->kind == WI_KIND_JOB ? run_job(t) : t->fn(t->arg);
    wi_local_leave(t);
    if (t->scope != NULL)
        wi_task_panic(t, t->scope, WI_SCOPES_OPEN);
    wi_future_finish(t, wi_future_own_code(code));
}

// weft_run --------------------------------------------------------------------

// The body of the main task, while SIGINT cancels its run.
static int run_interruptible(struct wi_task *main_task, weft_group *root)
{
    int rc = wi_interrupt_begin(root);
    if (rc < 0)
        return rc;
    rc = main_task->fn(main_task->arg);
    wi_interrupt_end();
    return rc;
}

// The main task, on the thread's own stack: its body, then its root group. In a
// child of fork, whose body may return too, the group is the parent's.
static int run_main(struct wi_worker *worker, struct wi_task *main_task,
                    const struct weft_run_options *options)
{
    // release: pairs with wi_mail
    __atomic_store_n(&main_task->owner, (uintptr_t)worker, __ATOMIC_RELEASE);
    wi_here_set_self(main_task);
    weft_group *root = wi_group_open_root(main_task, options->grace);
    uint32_t number = wi_fresh_number;
    int code = -ENOMEM;
    if (root != NULL) {
        if (worker->runtime->root == NULL)
            worker->runtime->root = root;
        code = options->interrupt ? run_interruptible(main_task, root)
                                  : main_task->fn(main_task->arg);
        if (wi_is_parents(number))
            return code;
        wi_local_leave(main_task);
        if (main_task->scope != &root->head.scope)
            wi_task_panic(main_task, main_task->scope, WI_SCOPES_OPEN);
        weft_group_cancel(root);
        weft_group_close(root);
    }
    __atomic_store_n(&main_task->owner, 0, __ATOMIC_RELEASE);
    wi_here_set_self(NULL);
    return code;
}

static struct wi_task *main_record(weft_function *fn, void *arg,
                                   const char *name)
{
    struct wi_task *t = wi_task_new(WI_KIND_TASK, WI_RUNNING, 1);
    if (t == NULL)
        return NULL;
    t->fn = fn;
    t->arg = arg;
    if (!wi_task_set_name(t, name != NULL ? name : "main")) {
        wi_task_unref(t);
        return NULL;
    }
    return t;
}

// A child of fork that leaves the run: its thread is what it was before. It
// has begun anew, or is none of Weft's for the rest of its life.
static void leave_parents(struct wi_worker *worker)
{
    if (wi_here.worker != worker)
        return;
    wi_here.worker = worker->outer;
    wi_here_set_self(worker->outer_self);
}

static int run_in(struct wi_runtime *runtime, struct wi_task *t,
                  const struct weft_run_options *options)
{
    uint32_t number = wi_fresh_number;
    t->home = runtime;
    int rc = wi_runtime_start(runtime, 1, "weft");
    if (rc < 0)
        return rc;
    struct wi_worker *worker = wi_worker_enter(runtime, 0);
    rc = run_main(worker, t, options);
    if (wi_is_parents(number)) {
        leave_parents(worker);
        return rc;
    }
    wi_worker_leave(worker);
    wi_runtime_stop(runtime, 1);
    return rc;
}

static int run(weft_function *fn, void *arg,
               const struct weft_run_options *options)
{
    if (wi_forked())
        return -WEFT_EFORKED;
    struct wi_runtime *runtime;
    unsigned workers = options->workers != 0 ? options->workers : 1;
    int rc = wi_runtime_new(&runtime, workers, workers == 1,
                            options->stack_size, wi_run_body);
    if (rc < 0)
        return rc;
    uint32_t number = wi_fresh_number;
    runtime->stall = wi_watchdog_limit(options->stall);
    struct wi_task *t = main_record(fn, arg, options->name);
    if (t == NULL) {
        wi_runtime_free(runtime);
        return -ENOMEM;
    }
    rc = run_in(runtime, t, options);
    if (wi_is_parents(number)) // both are the parent's
        return rc;
    wi_task_unref(t);
    wi_runtime_free(runtime);
    return rc;
}

int weft_run_with(weft_function *fn, void *arg,
                  const struct weft_run_options *options)
{
    WI_OPTIONS(options);
    wi_require(fn != NULL, NULL, "the main task's function must not be NULL");
    wi_require(!isnan(options->stall), NULL, ".stall must not be NaN");
    int saved = errno; // the body's errno is not the caller's
    int rc = run(fn, arg, options);
    errno = saved;
    return rc;
}

// The default loop ------------------------------------------------------------

enum default_state {
    DEFAULT_STARTING = 0,
    DEFAULT_RUNS,
    DEFAULT_FAILED, // no memory for its root group
};

struct default_loop {
    struct wi_mutex lock;
    struct wi_runtime *runtime;
    struct wi_os_thread thread;
    struct wi_task *main;
    uint32_t ready; // enum default_state
    uint32_t stop;
    bool hooked; // to exit
};

static struct default_loop default_loop;

static void default_tell(struct default_loop *loop, uint32_t state)
{
    // release: pairs with the load in default_start
    __atomic_store_n(&loop->ready, state, __ATOMIC_RELEASE);
    wi_os_futex_wake(&loop->ready, 1, false);
}

// The main task of the default loop: waits for the end of the program. Threads
// may run on after that, so the root group and the runtime stay: starting a
// task finds the group closed.
static int default_main(void *arg)
{
    struct default_loop *loop = arg;
    default_tell(loop, DEFAULT_RUNS);
    const struct wi_wait wait = {.deadline = WI_FOREVER, .kind = WI_WAIT_POOL};
    while (!__atomic_load_n(&loop->stop, __ATOMIC_ACQUIRE))
        wi_park(&wait);
    wi_group_finish(loop->runtime->root);
    return 0;
}

static void default_thread(void *arg)
{
    struct default_loop *loop = arg;
    const struct weft_run_options options = {.size = sizeof options};
    struct wi_worker *worker = wi_worker_enter(loop->runtime, 0);
    run_main(worker, loop->main, &options);
    wi_worker_leave(worker);
    if (__atomic_load_n(&loop->ready, __ATOMIC_RELAXED) == DEFAULT_STARTING)
        default_tell(loop, DEFAULT_FAILED);
}

// Whether a task of the loop calls, maybe from a run of its own.
static bool default_is_own(const struct default_loop *loop)
{
    const struct wi_worker *worker = wi_here.worker;
    while (worker != NULL && worker->runtime != loop->runtime)
        worker = worker->outer;
    return worker != NULL;
}

// A task may wait for a lock of the caller, which no cancel ends: by the edge
// it is told so.
static void default_join(struct default_loop *loop)
{
    struct wi_task *self = wi_self();
    if (self != NULL) {
        wi_edge_set(self, (uintptr_t)loop->runtime->root | WI_EDGE_GROUP);
        wi_edge_stir(self);
    }
    wi_os_thread_join(&loop->thread);
    if (self != NULL)
        wi_edge_clear(self);
}

// At exit: what still runs is canceled and joined, as at the end of a run. Not
// if a callback or a .drop has called exit(): its record would be waited for.
static void default_end(void)
{
    struct default_loop *loop = &default_loop;
    if (loop->runtime == NULL || wi_forked() || wi_here.ending > 0)
        return;
    wi_watchdog_remove(loop->runtime);
    __atomic_store_n(&loop->stop, 1, __ATOMIC_RELEASE);
    wi_mail(loop->main);
    if (!default_is_own(loop))
        default_join(loop);
}

static void default_fresh(void)
{
    // The hooks of exit stay set in a child.
    default_loop = (struct default_loop){.hooked = default_loop.hooked};
}

__attribute__((constructor)) static void default_register(void)
{
    wi_fresh_add(default_fresh);
}

static void hook_locked(struct default_loop *loop)
{
    if (!loop->hooked)
        wi_os_at_exit(default_end);
    loop->hooked = true;
}

void wi_default_hook_exit(void)
{
    wi_mutex_lock(&default_loop.lock);
    hook_locked(&default_loop);
    wi_mutex_unlock(&default_loop.lock);
}

// What the loop consists of; false: no memory.
static bool default_parts(struct default_loop *loop, struct wi_runtime *runtime)
{
    runtime->root = wi_group_new_detached();
    if (runtime->root == NULL)
        return false;
    loop->main = main_record(default_main, loop, "default loop");
    if (loop->main == NULL) {
        wi_group_end(runtime->root);
        return false;
    }
    loop->main->home = runtime;
    return true;
}

// Waits until its thread runs it, or cannot.
static int default_await(struct default_loop *loop)
{
    uint32_t state;
    // acquire: pairs with the release in default_tell
    while ((state = __atomic_load_n(&loop->ready, __ATOMIC_ACQUIRE)) ==
           DEFAULT_STARTING)
        wi_os_futex_wait(&loop->ready, DEFAULT_STARTING, WI_FOREVER, false);
    return state == DEFAULT_RUNS ? 0 : -ENOMEM;
}

static int default_start(struct default_loop *loop)
{
    struct wi_runtime *runtime;
    int rc = wi_runtime_new(&runtime, 1, true, 0, wi_run_body);
    if (rc < 0)
        return rc;
    if (!default_parts(loop, runtime)) {
        wi_runtime_free(runtime);
        return -ENOMEM;
    }
    loop->runtime = runtime;
    const struct wi_os_thread_options options = {.name = "weft-default"};
    rc = wi_os_thread_start(&loop->thread, default_thread, loop, &options);
    if (rc == 0) {
        rc = default_await(loop);
        if (rc < 0)
            wi_os_thread_join(&loop->thread);
    }
    if (rc < 0) {
        loop->runtime = NULL;
        loop->ready = DEFAULT_STARTING;
        wi_group_end(runtime->root);
        wi_task_unref(loop->main);
        wi_runtime_free(runtime);
        return rc;
    }
    hook_locked(loop);
    return 0;
}

struct wi_runtime *wi_default_runtime(int *rc)
{
    // acquire: after its end nothing runs there, whatever group it is in
    if (__atomic_load_n(&default_loop.stop, __ATOMIC_ACQUIRE)) {
        *rc = -WEFT_ECLOSED;
        return NULL;
    }
    *rc = 0;
    wi_mutex_lock(&default_loop.lock);
    if (default_loop.runtime == NULL)
        *rc = default_start(&default_loop);
    struct wi_runtime *runtime = default_loop.runtime;
    wi_mutex_unlock(&default_loop.lock);
    return *rc == 0 ? runtime : NULL;
}

// Starting --------------------------------------------------------------------

WI_COLD static weft_future *not_started(void *arg, void (*drop)(void *arg),
                                        int code)
{
    if (drop != NULL)
        drop(arg);
    return wi_future_failed(code, weft_strerror(code));
}

// Where a task runs: where the group was opened that the caller gave, since
// that place outlives the group's close; a run that the caller is in may not.
// NULL: in the default loop.
static inline struct wi_runtime *runtime_of(const weft_group *group)
{
    if (WI_LIKELY(group == NULL))
        return WI_LIKELY(wi_here.worker != NULL) ? wi_here.worker->runtime
                                                 : NULL;
    struct wi_runtime *home = group->owner->home;
    return home != NULL && wi_runtime_count(home) > 0 ? home : NULL;
}

// The group of a task for which none was given.
static inline weft_group *own_group(const struct wi_runtime *runtime)
{
    struct wi_task *self = wi_here.self;
    weft_group *group = self != NULL ? wi_group_innermost(self) : NULL;
    return group != NULL ? group : runtime->root;
}

// A record that will not be queued: both references.
WI_COLD static void give_up(struct wi_task *t)
{
    wi_local_leave(t);
    wi_task_unref(t);
    wi_task_unref(t);
}

WI_COLD static bool add_extra(struct wi_task *t,
                              const struct weft_task_options *options)
{
    if (!wi_task_need_extra(t)) {
        give_up(t);
        return false;
    }
    wi_task_set_name(t, options->name);
    t->extra->drop = options->drop;
    return true;
}

static WI_MERGED struct wi_task *
task_record(weft_function *fn, void *arg,
            const struct weft_task_options *options)
{
    struct wi_task *t = wi_task_new(WI_KIND_TASK, WI_QUEUED, 2);
    if (t == NULL)
        return NULL;
    t->fn = fn;
    t->arg = arg;
    if (WI_RARELY(!wi_local_inherit(t))) {
        give_up(t);
        return NULL;
    }
    if ((options->name != NULL || options->drop != NULL) &&
        !add_extra(t, options))
        return NULL;
    return t;
}

// The record is known to its group: what fails now ends as a future does.
WI_COLD static void drop_queued(struct wi_task *t, int rc)
{
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    if (wi_task_claim(t, gen, WI_CANCELED))
        wi_future_drop(t, rc);
}

// Has t begin in the caller's place; false: it must be queued.
WI_COLD static bool start_now(struct wi_runtime *runtime, struct wi_task *t)
{
    struct wi_worker *worker = wi_here.worker;
    struct wi_task *self = wi_here.self;
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    if (worker == NULL || worker->runtime != runtime || self == NULL)
        return false;
    // In a callback others wait for the caller, who must not leave its stack.
    if (wi_here.ending > 0 || wi_here.canceling != NULL)
        return false;
    // Its group may have been canceled, and it with the group.
    if (!wi_task_claim(t, gen, 0))
        return true;
    if (wi_worker_start_now(worker, self, t))
        return true;
    // release: a cancel of its group waits, with the group's lock, for the
    // owner of what was claimed; pairs with the acquire in wi_future_nudge
    __atomic_store_n(&t->owner, (uintptr_t)worker, __ATOMIC_RELEASE);
    wi_future_drop(t, -ENOMEM);
    return true;
}

static WI_MERGED weft_future *start_at(struct wi_runtime *runtime,
                                       weft_group *group, weft_function *fn,
                                       void *arg,
                                       const struct weft_task_options *options)
{
    struct wi_task *t = task_record(fn, arg, options);
    if (WI_RARELY(t == NULL))
        return not_started(arg, options->drop, -ENOMEM);
    t->home = runtime;
    bool canceled;
    int rc = wi_group_add(group, t, &canceled);
    if (WI_RARELY(rc < 0)) {
        give_up(t);
        return not_started(arg, options->drop, rc);
    }
    if (WI_RARELY(options->eager) && !canceled && start_now(runtime, t))
        return wi_as_future(t);
    // What starts in a canceled group is never queued.
    rc = canceled ? -WEFT_EJOBCANCELED : wi_runtime_submit(runtime, t);
    if (WI_RARELY(rc < 0))
        drop_queued(t, rc);
    return wi_as_future(t);
}

WI_COLD weft_future *wi_task_start_at(struct wi_runtime *runtime,
                                      weft_group *group, weft_function *fn,
                                      void *arg,
                                      const struct weft_task_options *options)
{
    return start_at(runtime, group, fn, arg, options);
}

// Options of another version of the header, or none.
WI_COLD static weft_future *
start_filled(weft_function *fn, void *arg,
             const struct weft_task_options *options)
{
    WI_OPTIONS(options);
    return weft_task_start_with(fn, arg, options);
}

WI_COLD static weft_future *
start_outside(weft_function *fn, void *arg,
              const struct weft_task_options *options)
{
    int rc = -WEFT_EFORKED;
    struct wi_runtime *runtime = wi_forked() ? NULL : wi_default_runtime(&rc);
    if (runtime == NULL)
        return not_started(arg, options->drop, rc);
    weft_group *group =
        options->group != NULL ? options->group : own_group(runtime);
    return wi_task_start_at(runtime, group, fn, arg, options);
}

weft_future *weft_task_start_with(weft_function *fn, void *arg,
                                  const struct weft_task_options *options)
{
    if (WI_RARELY(options == NULL || options->size < sizeof *options))
        return start_filled(fn, arg, options);
    wi_require(fn != NULL, NULL, "a task's function must not be NULL");
    weft_group *group = options->group;
    struct wi_runtime *runtime = runtime_of(group);
    if (WI_RARELY(runtime == NULL || wi_forked()))
        return start_outside(fn, arg, options);
    if (group == NULL)
        group = own_group(runtime);
    return start_at(runtime, group, fn, arg, options);
}

// What a task asks of itself --------------------------------------------------

int weft_yield(void)
{
    struct wi_task *self = wi_self();
    if (self == NULL)
        return -ENOMEM;
    int rc = wi_scope_test(self);
    if (rc < 0)
        return rc;
    if (wi_here.worker != NULL)
        wi_worker_yield(wi_here.worker, self);
    else
        wi_os_thread_yield();
    return 0;
}

int weft_sleep(double seconds)
{
    int64_t deadline = wi_deadline_in(seconds, __func__);
    if (deadline == 0)
        return weft_yield();
    const struct wi_wait wait = {
        .deadline = deadline, .kind = WI_WAIT_SLEEP, .flags = WI_SCOPED};
    for (;;) {
        int rc = wi_park(&wait);
        if (rc == 0)
            continue;
        if (rc != -ETIMEDOUT)
            return rc;
        // Whose time was it? A scope that ends first, or at the same time,
        // is an error; the sleep's own end is success.
        int scope = wi_check_scopes();
        if (scope < 0)
            return scope;
        if (deadline != WI_FOREVER && deadline <= wi_os_now())
            return 0;
    }
}

double weft_now(void)
{
    return (double)wi_os_now() * 1e-9;
}

uint64_t weft_current_id(void)
{
    struct wi_task *self = wi_self();
    return self != NULL ? self->id : 0;
}

size_t weft_current_name(char *name, size_t size)
{
    wi_need_some(name, size);
    struct wi_task *self = wi_self();
    const char *own = self != NULL ? wi_task_name(self) : "";
    size_t length = strlen(own);
    if (size > 0) {
        size_t n = length < size ? length : size - 1;
        memcpy(name, own, n);
        name[n] = '\0';
    }
    return length;
}

weft_waiter *weft_self(void)
{
    return (weft_waiter *)wi_self();
}

int weft_park(double seconds)
{
    const struct wi_wait wait = {.deadline = wi_deadline_in(seconds, __func__),
                                 .kind = WI_WAIT_PARK,
                                 .flags = WI_SCOPED};
    return wi_park(&wait);
}

void weft_unpark(weft_waiter *waiter)
{
    wi_require(waiter != NULL, NULL, "a waiter must not be NULL");
    wi_unpark((struct wi_task *)waiter);
}

void weft_unpark_signal(weft_waiter *waiter)
{
    wi_need(waiter);
    wi_mail((struct wi_task *)waiter);
}
