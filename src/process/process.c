// SPDX-License-Identifier: MIT
//
// A process that runs one function. Its states, all under the one lock:
//
//     QUEUED --> STARTING --> RUNNING --> ENDED --> FREE
//        |           |                               ^
//        |           +-------------------------------+
//        +------> DROPPED ---------------------------+
//
//   QUEUED   -> STARTING  the launcher, when its turn comes
//   QUEUED   -> DROPPED   weft_cancel: the function never runs
//   STARTING -> RUNNING   the launcher, when the program runs
//   STARTING -> FREE      the launcher, when it could not be started
//   DROPPED  -> FREE      the launcher, when its turn comes
//   RUNNING  -> ENDED     the supervisor, when the pidfd says it has ended
//   ENDED    -> FREE      the supervisor, when what is left stands at the
//   future
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
#include <weft/thread.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fresh.h"
#include "base/options.h"
#include "future/external.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/futex.h"
#include "os/memfd.h"
#include "os/process.h"
#include "os/report.h"
#include "process/boot.h"
#include "process/crash.h"
#include "process/launcher.h"
#include "process/process.h"
#include "process/spec.h"
#include "process/supervisor.h"

enum state { FREE, QUEUED, DROPPED, STARTING, RUNNING, ENDED };

// How it is ended, step by step.
enum stop { STOP_NOT, STOP_ASKED, STOP_TERM, STOP_KILL };

struct process {
    struct wi_launch launch; // first
    struct wi_watch watch;
    struct wi_alarm alarm; // the next step to end it is due
    struct process *next_free;
    struct process *next, *prev; // of all that run, while `listed`
    bool listed;
    weft_future *future; // while not FREE; constant
    uint32_t born;       // wi_fresh_number
    enum state state;
    bool canceled;
    int signal; // to send when it runs, 0: none
    struct wi_os_child child;
    struct wi_boot *boot; // the child may write there: nothing is read again
    int memfd;
    char name[32];
    uint64_t result_at; // where in the file its bytes will lie
    struct wi_spec spec;
    struct wi_capture captures[2]; // of its output, its error
    struct wi_pipes *pipes;        // until its future has them
    struct wi_errand reap;         // its end cannot be watched
    char **env;                    // with the mark; from malloc
    bool foreign; // its function becomes another program: program.h
    double grace;
    enum stop stop; // the last step that was taken to end it
    bool killed;    // SIGKILL was sent to it
    int64_t term;   // ns from SIGTERM to SIGKILL; WI_FOREVER: never
    int64_t due;    // when the alarm rings; WI_FOREVER: never
    void (*drop)(void *arg);
    void *arg;
    uint32_t *copied; // futex word of who waits until it is a copy, or NULL
};

static struct wi_mutex lock;
static struct process *free_list; // under lock
static struct process *processes; // under lock

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
        *p = (struct process){
            .born = wi_fresh_number,
            .memfd = -1,
            .child = {0, -1},
            .term = WI_FOREVER,
            .due = WI_FOREVER,
            .captures = {{.fd = -1}, {.fd = -1}},
            .spec.stdio = {WI_LAUNCH_SAME, WI_LAUNCH_SAME, WI_LAUNCH_SAME}};
    return p;
}

// Under the lock.
static void unlist(struct process *p)
{
    if (!p->listed)
        return;
    *(p->prev != NULL ? &p->prev->next : &processes) = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    p->listed = false;
}

static void list(struct process *p)
{
    p->prev = NULL;
    p->next = processes;
    if (p->next != NULL)
        p->next->prev = p;
    processes = p;
    p->listed = true;
}

static void free_record(struct process *p)
{
    wi_mutex_lock(&lock);
    unlist(p);
    p->state = FREE;
    p->future = NULL;
    wi_mutex_unlock(&lock);
    wi_boot_free(p->boot, WI_BOOT_PAGES, p->memfd);
    wi_os_child_close(&p->child);
    free(p->env);
    wi_spec_close_ends(&p->launch);
    wi_capture_free(&p->captures[0]);
    wi_capture_free(&p->captures[1]);
    wi_pipes_free(p->pipes);
    p->pipes = NULL;
    wi_spec_free(&p->spec);
    wi_mutex_lock(&lock);
    p->next_free = free_list;
    free_list = p;
    wi_mutex_unlock(&lock);
}

// The end ---------------------------------------------------------------------

// A time span in ns; INFINITY: WI_FOREVER.
static int64_t nanoseconds(double seconds)
{
    return seconds > 9e9 ? WI_FOREVER
           : seconds > 0 ? (int64_t)(seconds * 1e9)
                         : 0;
}

// What is left of a process that has ended, in its future's record.
struct ended {
    struct weft_crash crash; // first: see weft_process_crash; size 0: none
    pid_t pid;
    struct wi_os_end end;
    struct {
        bool is;
        size_t at, size; // in `bytes`
        uint64_t lost;
    } output[2];
    char bytes[];
};

static void call_drop(struct process *p)
{
    if (p->drop != NULL)
        p->drop(p->arg);
}

static const char *name_of(const struct process *p)
{
    return p->name[0] != '\0' ? p->name : "process";
}

// What the future says of a process that has ended.
static int verdict(struct process *p, const struct wi_os_end *end,
                   char text[WI_CRASH_TEXT])
{
    struct wi_words *words = wi_boot_words(p->boot);
    uint32_t stage = wi_boot_stage(p->boot);
    const char *name = name_of(p);
    text[0] = '\0';
    if (stage == WI_STAGE_DONE) {
        if (!words->began)
            snprintf(text, WI_CRASH_TEXT, "%s cannot begin: %.*s", name,
                     (int)sizeof words->text, words->text);
        return words->code;
    }
    if (p->foreign && words->began && end->how == WI_END_EXIT)
        return end->status;
    wi_crash_text(text, name, p->child.pid, end, words);
    if (p->canceled)
        return -WEFT_EJOBCANCELED;
    bool by_itself = end->how == WI_END_EXIT;
    return stage == WI_STAGE_NONE && by_itself ? wi_crash_entry(text, end)
                                               : -WEFT_ECRASHED;
}

// What it has left as bytes. The size is its word: the file must have them.
static int fetch_result(struct process *p, struct weft_bytes *bytes)
{
    uint64_t size = wi_boot_words(p->boot)->result_size;
    if (!wi_os_memfd_holds(p->memfd, size))
        return -WEFT_EPROTO;
    if (size >> WI_ID_BITS != 0 || (bytes->data = malloc(size)) == NULL)
        return -ENOMEM;
    bytes->len = size;
    int rc = wi_os_memfd_read(p->memfd, p->result_at, bytes->data, size);
    if (rc < 0)
        free(bytes->data);
    return rc;
}

// For weft_process_info; lack of memory only leaves that without an answer.
static void note_end(struct process *p, const struct wi_os_end *end,
                     const struct weft_crash *crash)
{
    size_t sizes[2], at = 0;
    for (int i = 0; i < 2; i++)
        sizes[i] = wi_capture_kept(&p->captures[i]);
    struct ended *ended = malloc(sizeof *ended + sizes[0] + sizes[1]);
    if (ended == NULL)
        return;
    ended->crash = *crash;
    ended->pid = p->child.pid;
    ended->end = *end;
    for (int i = 0; i < 2; i++) {
        ended->output[i].is = p->spec.capture[1 + i];
        ended->output[i].at = at;
        ended->output[i].size =
            wi_capture_copy(&p->captures[i], ended->bytes + at, sizes[i],
                            &ended->output[i].lost);
        at += sizes[i];
    }
    // release: pairs with the acquire in left_of
    __atomic_store_n(&wi_of_future(p->future)->extra->left, (void *)ended,
                     __ATOMIC_RELEASE);
}

// It has ended: the last step.
static void finish(struct process *p, const struct wi_os_end *end)
{
    wi_mutex_lock(&lock);
    p->state = ENDED; // no signal from now on
    unlist(p);
    wi_mutex_unlock(&lock);
    wi_alarm_stop(&p->alarm);
    wi_capture_close(&p->captures[0]);
    wi_capture_close(&p->captures[1]);
    char text[WI_CRASH_TEXT];
    struct weft_bytes bytes = {NULL, 0};
    int code = verdict(p, end, text);
    struct weft_crash crash = {.size = 0};
    if (code == -WEFT_ECRASHED) {
        wi_crash_report(&crash, p->child.pid, end, wi_boot_words(p->boot),
                        p->killed);
        wi_crash_hint(text, &crash);
    }
    if (text[0] != '\0')
        wi_crash_quote(text, p->captures);
    bool result = code >= 0 && wi_boot_words(p->boot)->result_size > 0;
    if (result) {
        int rc = fetch_result(p, &bytes);
        result = rc == 0;
        code = rc < 0 ? rc : code;
    }
    if (!wi_boot_words(p->boot)->began)
        call_drop(p);
    note_end(p, end, &crash);
    weft_future *f = p->future;
    free_record(p);
    wi_external_complete(f, code, &bytes, result ? sizeof bytes : 0, result,
                         text);
}

static void pidfd_heard(struct wi_watch *watch)
{
    struct process *p =
        (struct process *)((char *)watch - offsetof(struct process, watch));
    struct wi_os_end end;
    wi_mutex_lock(&lock);
    bool stopped = p->canceled || p->killed || p->stop != STOP_NOT;
    wi_mutex_unlock(&lock);
    // What it has started goes with it, as with SIGKILL, if it was to end.
    if (stopped)
        wi_os_child_signal_group(&p->child, wi_os_sigkill);
    if (!wi_os_child_reap(&p->child, &end, false))
        return;
    wi_supervisor_forget(p->child.pidfd);
    finish(p, &end);
}

// The start -------------------------------------------------------------------

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

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? WI_FOREVER : sum;
}

static int64_t after(int64_t pause)
{
    return plus(wi_os_now(), pause);
}

// When the next step is due. Under the lock, RUNNING, as all up to stop_is_due.
static void set_due(struct process *p, int64_t when)
{
    p->due = when;
    if (when != WI_FOREVER)
        wi_alarm_set(&p->alarm, when);
    else
        wi_alarm_stop(&p->alarm);
}

static void hasten(struct process *p, int64_t when)
{
    if (when < p->due)
        set_due(p, when);
}

// Takes the next step towards its end, and sets the alarm for the one after
// that.
static void stop_further(struct process *p, enum stop step, int64_t ask)
{
    int64_t next = WI_FOREVER;
    if (step <= p->stop)
        return;
    p->stop = step;
    if (step == STOP_ASKED) {
        next = after(ask);
    } else if (step == STOP_TERM) {
        wi_os_child_signal(&p->child, wi_os_sigterm);
        next = after(p->term);
    } else {
        p->killed = true;
        wi_os_child_signal_group(&p->child, wi_os_sigkill);
    }
    set_due(p, next);
}

// Asks it to end, from the first of these steps on. If it was asked before, it
// can only be sooner.
static void ask_to_end(struct process *p, enum stop first, int64_t ask,
                       int64_t term)
{
    if (term < p->term)
        p->term = term;
    // relaxed: a flag, nothing comes with it
    __atomic_store_n(&p->boot->asked, 1, __ATOMIC_RELAXED);
    if (p->stop < first)
        stop_further(p, first, ask);
    else if (p->stop == STOP_ASKED)
        hasten(p, after(ask));
    else if (p->stop == STOP_TERM)
        hasten(p, after(plus(ask, term)));
}

static void cancel_running(struct process *p)
{
    double grace = p->grace > 0 ? p->grace : 1;
    ask_to_end(p, STOP_TERM, 0, nanoseconds(grace));
}

// On the supervisor, which alone frees records. While the alarm was about to
// ring it may have been set anew.
static void stop_is_due(struct wi_alarm *alarm)
{
    struct process *p =
        (struct process *)((char *)alarm - offsetof(struct process, alarm));
    wi_mutex_lock(&lock);
    if (p->state == RUNNING && wi_os_now() >= p->due)
        stop_further(p, p->stop + 1, 0);
    wi_mutex_unlock(&lock);
}

static void start_failed(struct process *p, int rc)
{
    weft_future *f = p->future;
    char why[WI_LAUNCH_WHY];
    snprintf(why, sizeof why, "%s", wi_launch_why(&p->launch, rc));
    call_drop(p);
    free_record(p);
    wi_external_complete(f, rc, NULL, 0, false, why);
}

// Nobody will hear of its end, so it was killed.
static void reap_unwatched(struct wi_errand *errand)
{
    struct process *p =
        (struct process *)((char *)errand - offsetof(struct process, reap));
    struct wi_os_end end;
    wi_os_child_reap(&p->child, &end, true);
    finish(p, &end);
}

static void settle_launch(struct process *p, int rc, struct wi_os_child child)
{
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
    if (child.pidfd >= 0) // no signals otherwise: the number is not its own
        p->state = RUNNING;
    list(p);
    // For `weft ps`, which cannot ask native_id().
    wi_of_future(p->future)->extra->native = child.pid;
    if (p->signal != 0 && child.pidfd >= 0)
        wi_os_child_signal(&child, p->signal);
    if (p->canceled && child.pidfd >= 0)
        cancel_running(p);
    wi_mutex_unlock(&lock);
    p->watch.heard = pidfd_heard;
    struct wi_os_end end = {.how = WI_END_UNKNOWN};
    if (child.pidfd < 0) {
        finish(p, &end);
        return;
    }
    // The pidfd last: when it is heard of, the record may go.
    if (rc == 0)
        rc = wi_spec_hear(&p->spec, p->captures, name_of(p), child.pid);
    if (rc == 0)
        rc = wi_supervisor_watch(child.pidfd, &p->watch);
    if (rc == 0)
        return;
    // No memory for one more watch.
    wi_os_child_signal(&child, wi_os_sigkill);
    p->reap.run = reap_unwatched;
    wi_supervisor_post(&p->reap);
}

static void launched(struct wi_launch *launch, int rc, struct wi_os_child child)
{
    uint32_t *copied = of_launch(launch)->copied;
    wi_spec_close_ends(launch);
    settle_launch(of_launch(launch), rc, child);
    if (copied == NULL)
        return;
    // release: pairs with the acquire in launch
    __atomic_store_n(copied, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(copied, 1, false);
}

static int prepare_launch(struct process *p,
                          const struct weft_process_options *o)
{
    int rc = wi_spec_copy(&p->spec, o);
    if (rc == 0)
        rc = wi_spec_launch(&p->spec, &p->launch, &p->env);
    if (rc < 0)
        return rc;
    rc = wi_spec_boot(&p->spec, p->boot, p->memfd);
    p->result_at = wi_boot_result_at(p->boot);
    if (rc == 0)
        rc = wi_spec_capture(&p->spec, &p->launch, p->captures);
    if (rc == 0)
        rc = wi_spec_pipe(&p->spec, &p->launch, &p->pipes);
    p->launch.boot = p->boot;
    p->launch.fds[0] = p->memfd;
    p->launch.fds[2] = -1; // it has no bell
    p->launch.wanted = is_wanted;
    p->launch.done = launched;
    return rc;
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
    memcpy(p->name, p->boot->name, sizeof p->name);
    p->grace = o->grace;
    p->drop = o->drop;
    p->arg = (void *)(uintptr_t)arg;
    p->alarm.ring = stop_is_due;
    return prepare_launch(p, o);
}

// Cancel and signals ----------------------------------------------------------

static void cancel(weft_future *f, void *owner)
{
    struct process *p = owner;
    if (wi_forked())
        return; // it is the parent's
    wi_mutex_lock(&lock);
    bool mine = p->future == f && p->born == wi_fresh_number;
    bool drop = mine && p->state == QUEUED;
    if (drop)
        p->state = DROPPED;
    bool lives = mine && (p->state == STARTING || p->state == RUNNING);
    if (lives && !p->canceled) {
        p->canceled = true;
        if (p->state == RUNNING)
            cancel_running(p);
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
    if (wi_forked())
        return 0;
    wi_mutex_lock(&lock);
    pid_t pid = p->future == f && p->state == RUNNING ? p->child.pid : 0;
    wi_mutex_unlock(&lock);
    return pid;
}

static const struct wi_external_ops ops = {
    .cancel = cancel,
    .native_id = native_id,
};

// The record of a future, under the lock, until what is left stands there; else
// NULL, with *rc set and the lock left: -ESRCH, it has ended.
static struct process *lock_record(weft_future *f, int *rc)
{
    *rc = -EINVAL;
    if (wi_of_future(f)->kind != WI_KIND_PROCESS)
        return NULL;
    *rc = -ESRCH;
    struct process *p = wi_external_owner(f);
    if (p == NULL)
        return NULL;
    *rc = -WEFT_EFORKED; // a child of fork has the handle, but not the process
    if (wi_forked())
        return NULL;
    wi_mutex_lock(&lock);
    if (p->born == wi_fresh_number)
        *rc = -ESRCH;
    if (*rc == -ESRCH && p->future == f && p->state != FREE &&
        p->state != DROPPED)
        return p;
    wi_mutex_unlock(&lock);
    return NULL;
}

// The same of a process that has not ended.
static struct process *lock_process(weft_future *f, int *rc)
{
    struct process *p = lock_record(f, rc);
    if (p == NULL || p->state != ENDED)
        return p;
    wi_mutex_unlock(&lock);
    return NULL;
}

// What is left of it; NULL: nothing yet, or memory was short.
static const struct ended *left_of(weft_future *f)
{
    // acquire: pairs with the release in note_end
    return __atomic_load_n(&wi_of_future(f)->extra->left, __ATOMIC_ACQUIRE);
}

static int send_signal(weft_future *f, int sig)
{
    int rc;
    struct process *p = lock_process(f, &rc);
    if (p == NULL)
        return rc == -EINVAL && weft_done(f) ? -ESRCH : rc;
    rc = 0;
    p->killed |= sig == wi_os_sigkill;
    if (p->state == RUNNING)
        rc = wi_os_child_signal(&p->child, sig);
    else if (p->signal != wi_os_sigkill)
        p->signal = sig;
    wi_mutex_unlock(&lock);
    return rc;
}

int weft_process_interrupt(weft_future *f)
{
    wi_need(f);
    return send_signal(f, wi_os_sigint);
}

int weft_process_terminate(weft_future *f)
{
    wi_need(f);
    return send_signal(f, wi_os_sigterm);
}

int weft_process_kill(weft_future *f)
{
    wi_need(f);
    return send_signal(f, wi_os_sigkill);
}

int weft_process_stop(weft_future *f, double ask, double term)
{
    wi_need(f);
    int rc;
    wi_require(!isnan(ask) && !isnan(term), f,
               "a time must be a number, not NaN");
    struct process *p = lock_process(f, &rc);
    if (p == NULL)
        return rc;
    if (p->state != RUNNING) { // it has done nothing yet
        p->signal = wi_os_sigkill;
        p->killed = true;
    } else {
        ask_to_end(p, STOP_ASKED, nanoseconds(ask), nanoseconds(term));
    }
    wi_mutex_unlock(&lock);
    return 0;
}

int weft_process_pidfd(weft_future *f)
{
    wi_need(f);
    int rc;
    struct process *p = lock_process(f, &rc);
    if (p == NULL)
        return rc;
    if (p->state == RUNNING && p->child.pidfd >= 0)
        rc = wi_os_dup(p->child.pidfd);
    wi_mutex_unlock(&lock);
    return rc;
}

size_t weft_process_children(pid_t *pids, size_t n)
{
    wi_need_some(pids, n);
    size_t count = 0;
    if (wi_forked())
        return 0;
    wi_mutex_lock(&lock);
    for (struct process *p = processes; p != NULL; p = p->next, count++)
        if (count < n)
            pids[count] = p->child.pid;
    wi_mutex_unlock(&lock);
    return count;
}

static void tell_end(const struct ended *ended, struct weft_process_info *info)
{
    const struct wi_os_end *end = &ended->end;
    info->pid = ended->pid;
    if (end->how == WI_END_EXIT)
        info->exit_code = end->status;
    if (end->how == WI_END_SIGNAL)
        info->signal = end->status;
    info->core = end->core;
    info->user = end->user;
    info->system = end->system;
    info->max_rss = end->max_rss;
}

int weft_process_info(weft_future *f, struct weft_process_info *info)
{
    wi_need(f);
    wi_need(info);
    struct weft_process_info now = {.exit_code = -1};
    size_t size = info->size;
    int rc;
    struct process *p = lock_record(f, &rc);
    if (rc != -ESRCH)
        return rc;
    if (p != NULL) {
        now.alive = true;
        now.pid = p->child.pid;
        wi_mutex_unlock(&lock);
    } else if (left_of(f) != NULL) {
        tell_end(left_of(f), &now);
    }
    memcpy(info, &now, size < sizeof now ? size : sizeof now);
    info->size = size;
    return 0;
}

int weft_process_crash(weft_future *f, struct weft_crash *crash)
{
    wi_need(f);
    wi_need(crash);
    size_t size = crash->size;
    struct wi_task *t = wi_of_future(f);
    if (t->kind != WI_KIND_PROCESS && t->kind != WI_KIND_PROCESS_JOB)
        return -EINVAL;
    const struct weft_crash *left = weft_done(f) ? t->extra->left : NULL;
    if (left == NULL || left->size == 0)
        return -ENODATA;
    memcpy(crash, left, size < sizeof *left ? size : sizeof *left);
    crash->size = size;
    return 0;
}

// What is kept of a process that lives (p, under the lock) or has ended (left).
static char *copy_output(struct process *p, const struct ended *left, int i,
                         size_t *size, uint64_t *lost)
{
    *size = p != NULL ? wi_capture_kept(&p->captures[i]) : left->output[i].size;
    char *copy = malloc(*size + 1);
    if (copy == NULL)
        return NULL;
    if (p != NULL) {
        *size = wi_capture_copy(&p->captures[i], copy, *size, lost);
    } else {
        memcpy(copy, left->bytes + left->output[i].at, *size);
        *lost = left->output[i].lost;
    }
    copy[*size] = '\0';
    return copy;
}

int weft_process_output(weft_future *f, int fd, struct weft_bytes *output,
                        uint64_t *lost)
{
    int rc, i = fd - 1;
    wi_need(f);
    wi_need(output);
    wi_require(i == 0 || i == 1, f, "fd must be 1 or 2: what is captured");
    struct process *p = lock_record(f, &rc);
    if (rc != -ESRCH)
        return rc;
    const struct ended *left = p == NULL ? left_of(f) : NULL;
    bool is =
        p != NULL ? p->spec.capture[1 + i] : left != NULL && left->output[i].is;
    uint64_t before = 0;
    if (is)
        output->data = copy_output(p, left, i, &output->len, &before);
    if (p != NULL)
        wi_mutex_unlock(&lock);
    if (!is)
        return -ENODATA;
    if (lost != NULL)
        *lost = before;
    return output->data != NULL ? 0 : -ENOMEM;
}

// Start -----------------------------------------------------------------------

// The first of the descriptors asked for that is none. False: all are.
static bool name_bad_fd(const struct weft_process_options *o, char *text,
                        size_t size)
{
    static const char *const names[] = {".in", ".out", ".err"};
    const int given[] = {o->in, o->out, o->err};
    for (int i = 0; i < 3; i++) {
        // .out knows one mark more than .in, .err one more than .out
        bool mark = (given[i] < 0 && given[i] >= WEFT_DEV_NULL - i) ||
                    given[i] == WEFT_DEV_PIPE;
        if (given[i] == 0 || mark || wi_os_fd_is_open(given[i]))
            continue;
        snprintf(text, size, "%s = %d: no such descriptor is open", names[i],
                 given[i]);
        return true;
    }
    for (size_t i = 0; i < o->fd_count; i++) {
        if (wi_os_fd_is_open(o->fds[i]))
            continue;
        snprintf(text, size, ".fds[%zu] = %d: no such descriptor is open", i,
                 o->fds[i]);
        return true;
    }
    return false;
}

static void explain(int code, const struct weft_process_options *o, char *text,
                    size_t size)
{
    if (code == -EBADF && name_bad_fd(o, text, size))
        return;
    if (code == -EMFILE)
        snprintf(text, size, "%s: the %zu that this process may have are open",
                 weft_strerror(code), wi_os_fd_limit());
    else
        snprintf(text, size, "%s", weft_strerror(code));
}

// What a start that fails at once gives: the argument is dropped.
static weft_future *fail(int code, const struct weft_process_options *o,
                         const void *arg)
{
    if (o->drop != NULL)
        o->drop((void *)(uintptr_t)arg);
    char text[192];
    explain(code, o, text, sizeof text);
    return wi_future_failed(code, text);
}

int wi_process_service(const char *program)
{
    if (wi_forked())
        return -WEFT_EFORKED;
    if (!wi_entry_ready() && program == NULL)
        return -WEFT_ENOENTRY;
    int rc = wi_launcher_start();
    return rc < 0 ? rc : wi_supervisor_start();
}

// A copy is one of the memory as it is at this call, so the caller stays here
// until it is made.
static void launch(struct process *p)
{
    uint32_t copied = 0;
    bool wait = p->spec.method >= WEFT_START_FORK;
    p->copied = wait ? &copied : NULL;
    wi_launcher_send(&p->launch);
    // acquire: pairs with the release in launched
    while (wait && __atomic_load_n(&copied, __ATOMIC_ACQUIRE) == 0)
        wi_os_futex_wait(&copied, 0, WI_FOREVER, false);
}

static weft_future *start(weft_function *fn, const void *arg, size_t size,
                          const struct weft_process_options *o, bool foreign)
{
    int rc = wi_process_service(o->program);
    struct process *p = rc == 0 ? take_record() : NULL;
    if (p == NULL)
        return fail(rc < 0 ? rc : -ENOMEM, o, arg);
    p->foreign = foreign;
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
    if (p->pipes != NULL)
        wi_pipes_leave(f, p->pipes);
    p->pipes = NULL;
    wi_mutex_lock(&lock);
    p->future = f;
    p->state = QUEUED;
    wi_mutex_unlock(&lock);
    if (wi_external_cancel_requested(f)) // by its group, just now
        cancel(f, p);
    launch(p);
    return f;
}

weft_future *weft_process_start_with(weft_function *fn, const void *arg,
                                     size_t size,
                                     const struct weft_process_options *options)
{
    WI_OPTIONS(options);
    wi_require(fn != NULL, NULL, "a function is needed");
    return start(fn, arg, size, options, false);
}

weft_future *wi_process_start_foreign(weft_function *fn, const void *arg,
                                      size_t size,
                                      const struct weft_process_options *o)
{
    return start(fn, arg, size, o, true);
}

// In a child of fork there are none.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    free_list = processes = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}

// In the child ----------------------------------------------------------------

static int exit_status(int code)
{
    return code == 0 ? 0 : (code & 0xff) != 0 ? code & 0xff : 1;
}

bool weft_process_asked(void)
{
    struct wi_boot *boot = wi_entry_boot();
    // relaxed: a flag, nothing comes with it
    return boot != NULL && __atomic_load_n(&boot->asked, __ATOMIC_RELAXED);
}

int weft_process_fd(size_t i)
{
    struct wi_boot *boot = wi_entry_boot();
    if (boot == NULL || i >= boot->fd_count)
        return -EBADF;
    return WI_BOOT_FD + WI_BOOT_FDS + (int)i;
}

int weft_process_return(const void *data, size_t size)
{
    wi_need_some(data, size);
    struct wi_boot *boot = wi_entry_boot();
    if (boot == NULL || boot->kind != WI_BOOT_PROCESS)
        return -EINVAL;
    int rc = wi_os_memfd_write(WI_BOOT_FD, wi_boot_result_at(boot), data, size);
    if (rc == 0)
        wi_boot_words(boot)->result_size = size;
    return rc < 0 ? -ENOMEM : 0;
}

_Noreturn void wi_process_main(struct wi_boot *boot)
{
    const char *what;
    void *arg;
    int rc = wi_spec_settle(boot, &what);
    if (rc < 0)
        wi_boot_cannot(boot, rc, what);
    weft_function *fn = wi_name_find_function(&boot->body);
    if (fn == NULL)
        wi_boot_cannot(boot, -WEFT_ENOJOB, "the function");
    if (!wi_boot_arg(boot, &arg))
        wi_boot_cannot(boot, -ENOMEM, "the argument");
    if (boot->name[0] != '\0') // without memory it has none
        (void)weft_set_current_name(boot->name);
    rc = wi_os_sandbox_enter(&boot->sandbox, &what);
    if (rc < 0)
        wi_boot_cannot(boot, rc, what);
    wi_boot_words(boot)->began = 1;
    wi_boot_reach(boot, WI_STAGE_STARTED);
    int code = fn(arg);
    wi_boot_words(boot)->code = code;
    wi_boot_reach(boot, WI_STAGE_DONE);
    wi_os_leave(exit_status(code));
}
