// SPDX-License-Identifier: MIT
//
// OS threads as futures. The thread's record is its future: what it waits for
// and what waits for it are seen in one place. Cancel is level-triggered as in
// a task: the mark on the record, and an unpark.
//
// The OS thread itself is detached when it begins: nobody joins it, since its
// future says all there is to know. At exit a hook waits for the futures of the
// threads that still run, but for those that are to be abandoned; those with
// WEFT_EXIT_CANCEL it cancels first.
#include <weft/thread.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "base/options.h"
#include "base/text.h"
#include "future/external.h"
#include "future/future.h"
#include "future/group.h"
#include "future/local.h"
#include "future/run.h"
#include "os/cpu.h"
#include "os/fork.h"
#include "os/memory.h"
#include "os/report.h"
#include "os/thread.h"
#include "sched/here.h"
#include "sched/overflow.h"
#include "sched/park.h"
#include "sched/worker.h"

// A thread that runs; in a list, so that exit can wait for it.
struct thread {
    struct thread *next, **link;
    struct wi_task *task;
    enum weft_thread_exit on_exit;
};

static struct wi_mutex lock;
static struct thread *threads;
static bool exit_hooked;

static void list_add(struct thread *thread)
{
    wi_mutex_lock(&lock);
    thread->next = threads;
    thread->link = &threads;
    if (threads != NULL)
        threads->link = &thread->next;
    threads = thread;
    wi_mutex_unlock(&lock);
}

static void list_remove(struct thread *thread)
{
    wi_mutex_lock(&lock);
    *thread->link = thread->next;
    if (thread->next != NULL)
        thread->next->link = thread->link;
    wi_mutex_unlock(&lock);
}

// One thread that exit must wait for, with a reference; NULL: no more.
static struct wi_task *next_to_join(void)
{
    struct wi_task *found = NULL;
    wi_mutex_lock(&lock);
    for (struct thread *t = threads; t != NULL && found == NULL; t = t->next) {
        if (t->on_exit == WEFT_EXIT_ABANDON || t->task == wi_here.thread)
            continue;
        found = t->task;
        wi_task_ref(found);
    }
    wi_mutex_unlock(&lock);
    return found;
}

// Asks those that are to be canceled, all before the first is waited for.
static void cancel_at_exit(void)
{
    wi_mutex_lock(&lock);
    for (struct thread *t = threads; t != NULL; t = t->next) {
        if (t->on_exit == WEFT_EXIT_CANCEL)
            wi_future_cancel(t->task);
    }
    wi_mutex_unlock(&lock);
}

// As Python does at exit: threads that still run are waited for. Not by a
// callback that one of Weft's own threads has called: what they wait for may be
// that thread's to tell.
static void join_at_exit(void)
{
    if (wi_forked())
        return;
    cancel_at_exit();
    if (wi_os_thread_is_service())
        return;
    struct wi_task *t;
    int rc = 0;
    while (rc == 0 && (t = next_to_join()) != NULL) {
        rc = wi_future_await(t);
        wi_task_unref(t);
    }
}

static void thread_left(struct wi_task *t);

static void fresh(void)
{
    lock = (struct wi_mutex){0};
    threads = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
    wi_thread_left = thread_left;
}

// The thread itself -----------------------------------------------------------

static void end_thread(struct thread *thread, int code)
{
    struct wi_task *t = thread->task;
    wi_local_leave(t);
    wi_overflow_thread_fini();
    t->extra->external = NULL;
    list_remove(thread);
    free(thread);
    wi_task_ref(t); // thread_gone in park.c drops it when the thread is gone
    wi_future_finish(t, wi_future_own_code(code));
}

// The thread has ended without returning from its body: pthread_exit.
static void thread_left(struct wi_task *t)
{
    struct thread *thread = t->kind == WI_KIND_THREAD && t->extra != NULL
                                ? t->extra->external
                                : NULL;
    if (thread == NULL) {
        wi_local_leave(t);
        return;
    }
    t->scope = NULL;
    end_thread(thread, -ECANCELED);
}

static void thread_main(void *arg)
{
    struct thread *thread = arg;
    struct wi_task *t = thread->task;
    t->extra->external = thread;
    wi_thread_adopt(t);
    wi_worker_watch_stack();
    uint32_t number = wi_fresh_number;
    int code = t->fn(t->arg);
    // A child of fork that has begun anew has no records of its parent's, and
    // ends as a thread of its own.
    if (number != wi_fresh_number)
        return;
    if (t->scope != NULL)
        wi_task_panic(t, t->scope, WI_SCOPES_OPEN);
    end_thread(thread, code);
}

static struct wi_task *thread_record(weft_function *fn, void *arg,
                                     const struct weft_thread_options *options)
{
    struct wi_task *t = wi_task_new(WI_KIND_THREAD, WI_RUNNING, 2);
    if (t == NULL)
        return NULL;
    if (wi_task_need_extra(t) && wi_local_inherit(t)) {
        wi_task_set_name(t, options->name);
        t->extra->drop = options->drop;
        t->fn = fn;
        t->arg = arg;
        return t;
    }
    wi_task_unref(t);
    wi_task_unref(t);
    return NULL;
}

static int launch(struct wi_task *t, const struct weft_thread_options *options)
{
    struct thread *thread = malloc(sizeof *thread);
    if (thread == NULL)
        return -ENOMEM;
    *thread = (struct thread){.task = t, .on_exit = options->on_exit};
    struct wi_os_thread_options os = {.name = options->name,
                                      .stack_size = options->stack_size,
                                      .cpus = options->cpus,
                                      .cpu_count = options->cpu_count};
    struct wi_os_thread handle;
    list_add(thread);
    int rc = wi_os_thread_start(&handle, thread_main, thread, &os);
    if (rc == 0) {
        wi_os_thread_detach(&handle);
        return 0;
    }
    list_remove(thread);
    free(thread);
    return rc;
}

static void hook_exit(void)
{
    wi_mutex_lock(&lock);
    bool first = !exit_hooked;
    exit_hooked = true;
    wi_mutex_unlock(&lock);
    if (!first)
        return;
    wi_default_hook_exit();
    wi_os_at_exit(join_at_exit);
}

static weft_future *refuse(void *arg, const struct weft_thread_options *options,
                           int code)
{
    if (options->drop != NULL)
        options->drop(arg);
    return wi_future_failed(code, "the thread could not be started");
}

// The system has refused it: says what it asked for.
static void drop(struct wi_task *t, const struct weft_thread_options *options,
                 int rc)
{
    char text[160];
    if (rc == -EAGAIN)
        snprintf(text, sizeof text,
                 "the thread could not be started: there is no memory for its "
                 "stack of %zu KiB, or there are too many threads (ulimit -u)",
                 wi_os_thread_stack(options->stack_size) >> 10);
    else
        snprintf(text, sizeof text, "the thread could not be started: %s",
                 weft_strerror(rc));
    t->extra->text = wi_text_dup(text);
    wi_future_drop(t, rc);
}

weft_future *weft_thread_start_with(weft_function *fn, void *arg,
                                    const struct weft_thread_options *options)
{
    WI_OPTIONS(options);
    wi_require(fn != NULL, NULL, "a thread's function must not be NULL");
    if (wi_forked())
        return refuse(arg, options, -WEFT_EFORKED);
    wi_fresh_in_use();
    hook_exit();
    struct wi_task *t = thread_record(fn, arg, options);
    if (t == NULL)
        return refuse(arg, options, -ENOMEM);
    bool canceled = false;
    int rc =
        options->group != NULL ? wi_group_add(options->group, t, &canceled) : 0;
    if (rc < 0) {
        wi_local_leave(t);
        wi_task_unref(t);
        wi_task_unref(t);
        return refuse(arg, options, rc);
    }
    if (canceled)
        wi_future_drop(t, -WEFT_EJOBCANCELED);
    else if ((rc = launch(t, options)) < 0)
        drop(t, options, rc);
    return wi_as_future(t);
}

// A thread tells its number when it begins, which may be just after its start
// has returned.
static pid_t thread_id(struct wi_task *t)
{
    pid_t id;
    // relaxed: the number alone
    while ((id = __atomic_load_n(&t->extra->native, __ATOMIC_RELAXED)) == 0 &&
           !wi_future_done(t))
        wi_os_thread_yield();
    return id;
}

pid_t weft_future_native_id(weft_future *f)
{
    struct wi_task *t = wi_future_given(__func__, f);
    if (wi_future_done(t))
        return 0;
    if (t->kind == WI_KIND_THREAD)
        return thread_id(t);
    return wi_future_is_external(t) ? wi_external_native_id(t) : 0;
}

pid_t weft_native_id(void)
{
    return wi_os_thread_id();
}

// What runs -------------------------------------------------------------------

weft_future *weft_current(void)
{
    struct wi_task *self = wi_self();
    if (self == NULL || self->kind == WI_KIND_FOREIGN ||
        (self->kind == WI_KIND_TASK && self->group == NULL))
        return NULL;
    wi_task_ref(self);
    return wi_as_future(self);
}

int weft_set_current_name(const char *name)
{
    wi_need(name);
    struct wi_task *self = wi_self();
    if (self == NULL || !wi_task_set_name(self, name))
        return -ENOMEM;
    if (wi_here.worker == NULL && self == wi_here.thread)
        wi_os_thread_set_name(name);
    return 0;
}

size_t weft_thread_list(weft_future **list, size_t n)
{
    wi_need_some(list, n);
    size_t count = 0;
    wi_mutex_lock(&lock);
    for (struct thread *t = threads; t != NULL; t = t->next, count++) {
        if (count >= n)
            continue;
        wi_task_ref(t->task);
        list[count] = wi_as_future(t->task);
    }
    wi_mutex_unlock(&lock);
    return count;
}

// The caller's stack; false: not known.
static bool stack_of_caller(char **low, char **high)
{
    struct wi_worker *worker = wi_here.worker;
    void *start;
    size_t size;
    if (worker != NULL && worker->point != &worker->os_point) {
        *low = wi_stack_limit((struct wi_stack *)worker->point);
        *high = (char *)worker->point;
        return true;
    }
    if (wi_os_stack_bounds(&start, &size) < 0)
        return false;
    *low = start;
    *high = *low + size;
    return true;
}

size_t weft_stack_high_water(void)
{
    char *low, *high;
    if (!stack_of_caller(&low, &high))
        return 0;
    return (size_t)(high - (char *)wi_os_first_touched(low, high));
}

unsigned weft_cpu_count(void)
{
    return wi_os_cpu_budget();
}
