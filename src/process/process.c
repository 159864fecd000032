// SPDX-License-Identifier: MIT
//
// A process that runs one function. Its states, all under the one lock:
//
//     QUEUED --> STARTING --> RUNNING --> FREE
//        |           |                     ^
//        |           +---------------------+
//        +------> DROPPED -----------------+
//
//   QUEUED   -> STARTING  the launcher, when its turn comes
//   QUEUED   -> DROPPED   weft_cancel: the function never runs
//   STARTING -> RUNNING   the launcher, when the program runs
//   STARTING -> FREE      the launcher, when it could not be started
//   DROPPED  -> FREE      the launcher, when its turn comes
//   RUNNING  -> FREE      the supervisor, when the pidfd says it has ended
//
// Cancel and signals that come while it is STARTING are kept until it runs.
// The future is completed by whoever makes the last step for it: the canceller
// for DROPPED, else the one that frees it. Records are never given back to the
// heap, so a late weft_cancel may look at one: it finds another future there.
//
// The function's result travels in the memory of boot.h, not in the exit
// status, which has 8 bits.
#include <weft/error.h>
#include <weft/process.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "base/options.h"
#include "future/external.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/process.h"
#include "os/report.h"
#include "process/boot.h"
#include "process/crash.h"
#include "process/launcher.h"
#include "process/supervisor.h"
#include "sched/park.h"

enum state { FREE, QUEUED, DROPPED, STARTING, RUNNING };

struct process {
    struct wi_launch launch; // first
    struct wi_watch watch;
    struct wi_alarm alarm; // SIGKILL after the grace of a cancel
    struct process *next_free;
    weft_future *future; // while not FREE; constant
    enum state state;
    bool canceled;
    int signal; // to send when it runs, 0: none
    struct wi_os_child child;
    struct wi_boot *boot;
    int memfd;
    char **argv, **env; // from malloc, one piece each
    char *cwd, *program;
    double grace;
    void (*drop)(void *arg);
    void *arg;
};

static struct wi_mutex lock;
static struct process *free_list; // under lock

static struct process *of_launch(struct wi_launch *launch)
{
    return (struct process *)launch;
}

static struct process *take_record(void)
{
    wi_mutex_lock(&lock);
    struct process *p = free_list;
    if (p != NULL)
        free_list = p->next_free;
    wi_mutex_unlock(&lock);
    if (p == NULL)
        p = malloc(sizeof *p);
    if (p != NULL)
        *p = (struct process){.memfd = -1, .child = {0, -1}};
    return p;
}

static void free_record(struct process *p)
{
    wi_boot_free(p->boot, WI_BOOT_PAGES, p->memfd);
    wi_os_child_close(&p->child);
    free(p->argv);
    free(p->env);
    free(p->cwd);
    free(p->program);
    wi_mutex_lock(&lock);
    p->state = FREE;
    p->future = NULL;
    p->next_free = free_list;
    free_list = p;
    wi_mutex_unlock(&lock);
}

// The end -------------------------------------------------------------------

static void call_drop(struct process *p)
{
    if (p->drop != NULL)
        p->drop(p->arg);
}

// What the future says of a process that has ended.
static int verdict(struct process *p, const struct wi_os_end *end,
                   char text[WI_CRASH_TEXT])
{
    struct wi_words *words = wi_boot_words(p->boot);
    uint32_t stage = wi_boot_stage(p->boot);
    const char *name = p->boot->name[0] != '\0' ? p->boot->name : "process";
    text[0] = '\0';
    if (stage == WI_STAGE_DONE)
        return words->code;
    wi_crash_text(text, name, p->child.pid, end, words);
    if (p->canceled)
        return -WEFT_EJOBCANCELED;
    bool by_itself = end->how == WI_END_EXIT;
    return stage == WI_STAGE_NONE && by_itself ? -WEFT_ENOENTRY
                                               : -WEFT_ECRASHED;
}

// It has ended: the last step.
static void finish(struct process *p, const struct wi_os_end *end)
{
    wi_mutex_lock(&lock);
    p->state = FREE; // no signal from now on
    wi_mutex_unlock(&lock);
    wi_alarm_stop(&p->alarm);
    char text[WI_CRASH_TEXT];
    int code = verdict(p, end, text);
    if (wi_boot_stage(p->boot) < WI_STAGE_STARTED)
        call_drop(p);
    weft_future *f = p->future;
    free_record(p);
    wi_external_complete(f, code, NULL, 0, false, text);
}

static void pidfd_heard(struct wi_watch *watch)
{
    struct process *p =
        (struct process *)((char *)watch - offsetof(struct process, watch));
    struct wi_os_end end;
    if (!wi_os_child_reap(&p->child, &end, false))
        return;
    wi_supervisor_forget(p->child.pidfd);
    finish(p, &end);
}

// The start -----------------------------------------------------------------

static bool is_wanted(struct wi_launch *launch)
{
    struct process *p = of_launch(launch);
    wi_mutex_lock(&lock);
    bool wanted = p->state == QUEUED;
    if (wanted)
        p->state = STARTING;
    wi_mutex_unlock(&lock);
    return wanted;
}

// Asks it to end, kindly at first. Under the lock, RUNNING.
static void ask_to_end(struct process *p)
{
    double grace = p->grace > 0 ? p->grace : 1;
    wi_os_child_signal(&p->child, wi_os_sigterm);
    if (grace < 1e9)
        wi_alarm_set(&p->alarm, wi_os_now() + (int64_t)(grace * 1e9));
}

static void kill_after_grace(struct wi_alarm *alarm)
{
    struct process *p =
        (struct process *)((char *)alarm - offsetof(struct process, alarm));
    wi_os_child_signal_group(&p->child, wi_os_sigkill);
}

static void start_failed(struct process *p, int rc)
{
    weft_future *f = p->future;
    call_drop(p);
    free_record(p);
    wi_external_complete(f, rc, NULL, 0, false, weft_strerror(rc));
}

static void launched(struct wi_launch *launch, int rc, struct wi_os_child child)
{
    struct process *p = of_launch(launch);
    if (rc == -ECANCELED) {
        free_record(p);
        return;
    }
    if (rc < 0) {
        start_failed(p, rc);
        return;
    }
    wi_mutex_lock(&lock);
    p->child = child;
    p->state = RUNNING;
    // For `weft ps`, which cannot ask native_id().
    wi_of_future(p->future)->extra->native = child.pid;
    if (p->signal != 0)
        wi_os_child_signal(&child, p->signal);
    if (p->canceled)
        ask_to_end(p);
    wi_mutex_unlock(&lock);
    p->watch.heard = pidfd_heard;
    if (wi_supervisor_watch(child.pidfd, &p->watch) == 0)
        return;
    // Nobody would hear of its end (no memory for one more watch).
    struct wi_os_end end;
    wi_os_child_signal(&child, wi_os_sigkill);
    wi_os_child_reap(&p->child, &end, true);
    finish(p, &end);
}

// A NULL-terminated list of strings in one piece of memory.
static char **copy_strings(const char *const *from)
{
    size_t count = 0, bytes = 0;
    for (; from[count] != NULL; count++)
        bytes += strlen(from[count]) + 1;
    char **copy = malloc((count + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    char *at = (char *)&copy[count + 1];
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(from[i]) + 1;
        copy[i] = memcpy(at, from[i], size);
        at += size;
    }
    copy[count] = NULL;
    return copy;
}

static bool copy_string(const char *from, char **to)
{
    if (from == NULL)
        return true;
    size_t size = strlen(from) + 1;
    *to = malloc(size);
    if (*to != NULL)
        memcpy(*to, from, size);
    return *to != NULL;
}

static bool prepare_launch(struct process *p,
                           const struct weft_process_options *o)
{
    const char *name = o->program ? o->program : wi_os_program_name();
    const char *const alone[] = {name, NULL};
    p->argv = copy_strings(o->argv != NULL ? o->argv : alone);
    p->env = wi_os_environ_with(o->env, WI_WORKER_MARK, "0000000000",
                                &p->launch.os.mark);
    if (p->argv == NULL || p->env == NULL || !copy_string(o->cwd, &p->cwd) ||
        !copy_string(o->program, &p->program))
        return false;
    p->launch.os.program = p->program;
    p->launch.os.argv = p->argv;
    p->launch.os.env = p->env;
    p->launch.os.cwd = p->cwd;
    p->launch.os.fd_count = 2;
    // In a process group of its own it would be stopped when it reads.
    p->launch.os.null_stdin = wi_os_is_terminal(0);
    p->launch.fds[0] = p->memfd;
    p->launch.wanted = is_wanted;
    p->launch.done = launched;
    return true;
}

static int prepare(struct process *p, weft_function *fn, const void *arg,
                   size_t size, const struct weft_process_options *o)
{
    struct wi_name body;
    if (!wi_name_function(fn, &body))
        return -EINVAL;
    p->memfd = wi_boot_new(WI_BOOT_PAGES, arg, size, o->name, &p->boot);
    if (p->memfd < 0)
        return p->memfd;
    p->boot->kind = WI_BOOT_PROCESS;
    p->boot->body = body;
    p->grace = o->grace;
    p->drop = o->drop;
    p->arg = (void *)(uintptr_t)arg;
    p->alarm.ring = kill_after_grace;
    return prepare_launch(p, o) ? 0 : -ENOMEM;
}

// Cancel and signals --------------------------------------------------------

static void cancel(weft_future *f, void *owner)
{
    struct process *p = owner;
    wi_mutex_lock(&lock);
    bool mine = p->future == f;
    bool drop = mine && p->state == QUEUED;
    if (drop)
        p->state = DROPPED;
    if (mine && p->state >= STARTING && !p->canceled) {
        p->canceled = true;
        if (p->state == RUNNING)
            ask_to_end(p);
    }
    void (*call)(void *) = drop ? p->drop : NULL;
    void *arg = p->arg;
    wi_mutex_unlock(&lock);
    if (call != NULL)
        call(arg);
    if (drop)
        wi_external_complete(f, -WEFT_EJOBCANCELED, NULL, 0, false,
                             "canceled before it started");
}

static pid_t native_id(weft_future *f, void *owner)
{
    struct process *p = owner;
    wi_mutex_lock(&lock);
    pid_t pid = p->future == f && p->state == RUNNING ? p->child.pid : 0;
    wi_mutex_unlock(&lock);
    return pid;
}

static const struct wi_external_ops ops = {
    .cancel = cancel,
    .native_id = native_id,
};

static int send_signal(weft_future *f, int sig)
{
    wi_require(f != NULL, f, "a future is needed");
    if (wi_of_future(f)->kind != WI_KIND_PROCESS)
        return weft_done(f) ? -ESRCH : -EINVAL;
    struct process *p = wi_external_owner(f);
    if (p == NULL)
        return -ESRCH;
    int rc = -ESRCH;
    wi_mutex_lock(&lock);
    if (p->future == f && p->state == RUNNING) {
        rc = wi_os_child_signal(&p->child, sig);
    } else if (p->future == f && p->state != FREE && p->state != DROPPED) {
        p->signal = sig;
        rc = 0;
    }
    wi_mutex_unlock(&lock);
    return rc;
}

int weft_process_terminate(weft_future *f)
{
    return send_signal(f, wi_os_sigterm);
}

int weft_process_kill(weft_future *f)
{
    return send_signal(f, wi_os_sigkill);
}

// Start ---------------------------------------------------------------------

// What a start that fails at once gives: the argument is dropped.
static weft_future *fail(int code, const struct weft_process_options *o,
                         const void *arg)
{
    if (o->drop != NULL)
        o->drop((void *)(uintptr_t)arg);
    return wi_future_failed(code, weft_strerror(code));
}

static int start_service(const struct weft_process_options *o)
{
    if (wi_forked())
        return -WEFT_EFORKED;
    if (!wi_entry_ready() && o->program == NULL)
        return -WEFT_ENOENTRY;
    int rc = wi_launcher_start();
    return rc < 0 ? rc : wi_supervisor_start();
}

weft_future *weft_process_start_with(weft_function *fn, const void *arg,
                                     size_t size,
                                     const struct weft_process_options *options)
{
    WI_OPTIONS(options);
    static const struct weft_process_options none = {.size = sizeof none};
    wi_require(fn != NULL, NULL, "a function is needed");
    const struct weft_process_options *o = options != NULL ? options : &none;
    wi_require(o->size == sizeof *o, o, "the options begin with their size");
    int rc = start_service(o);
    struct process *p = rc == 0 ? take_record() : NULL;
    if (p == NULL)
        return fail(rc < 0 ? rc : -ENOMEM, o, arg);
    rc = prepare(p, fn, arg, size, o);
    if (rc < 0) {
        free_record(p);
        return fail(rc, o, arg);
    }
    bool made;
    weft_future *f =
        wi_external_new(WI_KIND_PROCESS, &ops, p, o->name, o->group, &made);
    if (!made) {
        free_record(p);
        if (o->drop != NULL)
            o->drop((void *)(uintptr_t)arg);
        return f;
    }
    wi_mutex_lock(&lock);
    p->future = f;
    p->state = QUEUED;
    wi_mutex_unlock(&lock);
    if (wi_external_cancel_requested(f)) // by its group, just now
        cancel(f, p);
    wi_launcher_submit(&p->launch);
    return f;
}

// In the child --------------------------------------------------------------

static int exit_status(int code)
{
    return code == 0 ? 0 : (code & 0xff) != 0 ? code & 0xff : 1;
}

static _Noreturn void cannot(struct wi_boot *boot, int code)
{
    wi_boot_words(boot)->code = code;
    wi_boot_reach(boot, WI_STAGE_DONE);
    wi_os_exit_now(127);
}

_Noreturn void wi_process_main(struct wi_boot *boot)
{
    weft_function *fn = wi_name_find_function(&boot->body);
    void *arg;
    if (fn == NULL)
        cannot(boot, -WEFT_ENOJOB);
    if (!wi_boot_arg(boot, &arg))
        cannot(boot, -ENOMEM);
    wi_boot_reach(boot, WI_STAGE_STARTED);
    int code = fn(arg);
    wi_boot_words(boot)->code = code;
    wi_boot_reach(boot, WI_STAGE_DONE);
    wi_os_leave(exit_status(code));
}
