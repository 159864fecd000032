// SPDX-License-Identifier: MIT
//
// A zygote, seen from its parent. There is one for each program and preload
// function, and its record stays for good:
//
//     GONE --> STARTING --> READY --> GONE
//                  |                    ^
//                  +--------------------+
//
//   GONE     -> STARTING  somebody wants it: it is executed as any child
//   STARTING -> READY     it says hello
//   any      -> GONE      the supervisor has reaped it
//
// Orders are given by the launcher's thread or by who wants a process, in a
// socket, and answered in turn; everything else is done by the supervisor's. A
// launch waits (`waiting`) until the zygote is ready and has not too much to
// do, and is then under way (`sent`) until the answer.
//
// A zygote that dies takes nobody with it: its copies are our children, not
// its. What was under way has either become a process, whose number the kernel
// has left in that process's memory before it ran, or will never: then it is
// asked for anew. So no order is lost, and none is served twice. A zygote that
// was ready is replaced at once. One that fails to start is tried again five
// times if it was killed; if it ended by itself, all who wait are told why.
#include "process/zygote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "future/external.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/local.h"
#include "os/process.h"
#include "os/socket.h"
#include "process/boot.h"
#include "process/crash.h"
#include "process/spec.h"
#include "process/supervisor.h"

enum {
    MOST_SENT = 16,    // so many orders fit into the socket
    MOST_FAILURES = 5, // starts in a row
    MOST_TRIES = 3     // zygotes that die of the same order
};
static const int64_t first_pause_ns = 10000000;

enum state { GONE, STARTING, READY };

struct list {
    struct wi_launch *first, **last;
};

// Somebody who has called weft_zygote_start.
struct asker {
    weft_future *future;
    struct asker *next;
};

struct wi_zygote {
    struct wi_launch launch; // first: its own
    struct wi_watch ended, said;
    struct wi_alarm again;
    struct wi_zygote *next; // constant, as what follows
    struct wi_name preload;
    char *program;
    enum state state; // under the lock, as all below
    bool unable;      // copies cannot be made here: execute instead
    bool ending;      // it was told to end
    bool paused;      // `again` is set
    unsigned failures;
    struct wi_os_child child;
    struct wi_boot *boot;
    int memfd, socket;
    char **env;
    struct wi_spec spec;
    struct list waiting, sent;
    unsigned sent_count;
    struct asker *askers;
};

static struct wi_mutex lock;
static struct wi_zygote *zygotes; // under lock

// Lists -----------------------------------------------------------------------

static void clear(struct list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void push(struct list *list, struct wi_launch *launch)
{
    launch->next = NULL;
    *list->last = launch;
    list->last = &launch->next;
}

static struct wi_launch *pop(struct list *list)
{
    struct wi_launch *launch = list->first;
    if (launch == NULL)
        return NULL;
    list->first = launch->next;
    if (list->first == NULL)
        list->last = &list->first;
    return launch;
}

// Appends all of `from`, which is empty then.
static void append(struct list *list, struct list *from)
{
    struct wi_launch *launch;
    while ((launch = pop(from)) != NULL)
        push(list, launch);
}

static struct asker *take_askers(struct wi_zygote *z)
{
    struct asker *askers = z->askers;
    z->askers = NULL;
    return askers;
}

// Without the lock from here on, for these call back.
static void tell_askers(struct asker *asker, int code, const char *text)
{
    while (asker != NULL) {
        struct asker *next = asker->next;
        wi_external_complete(asker->future, code, NULL, 0, false, text);
        free(asker);
        asker = next;
    }
}

static void submit_all(struct list *list)
{
    struct wi_launch *launch;
    while ((launch = pop(list)) != NULL)
        wi_launcher_submit(launch);
}

static void fail(struct wi_launch *launch, int rc, const char *why)
{
    struct wi_os_child none = {0, -1};
    if (launch->tries == 0 && !launch->wanted(launch))
        rc = -ECANCELED;
    snprintf(launch->why, sizeof launch->why, "%s", why);
    launch->done(launch, rc, none);
}

static void fail_all(struct list *list, int rc, const char *why)
{
    struct wi_launch *launch;
    while ((launch = pop(list)) != NULL)
        fail(launch, rc, why);
}

// Its start -------------------------------------------------------------------

static struct wi_zygote *of_launch(struct wi_launch *launch)
{
    return (struct wi_zygote *)launch;
}

static bool always(struct wi_launch *launch)
{
    (void)launch;
    return true;
}

// What is left of it, or of an attempt. Under the lock.
static void clean_up(struct wi_zygote *z)
{
    wi_boot_free(z->boot, WI_BOOT_PAGES, z->memfd);
    if (z->socket >= 0)
        wi_os_close(z->socket);
    wi_os_child_close(&z->child);
    free(z->env);
    wi_spec_free(&z->spec);
    z->boot = NULL;
    z->memfd = z->socket = -1;
    z->env = NULL;
    z->state = GONE;
    z->ending = false;
}

static void launched(struct wi_launch *launch, int rc,
                     struct wi_os_child child);

static int prepare(struct wi_zygote *z, int *their_end)
{
    const struct weft_process_options like = {
        .size = sizeof like, .program = z->program, .in = WEFT_DEV_NULL};
    int ends[2];
    int rc = wi_spec_copy(&z->spec, &like);
    if (rc == 0)
        rc = wi_spec_launch(&z->spec, &z->launch, &z->env);
    if (rc < 0)
        return rc;
    z->memfd = wi_boot_new(WI_BOOT_PAGES, NULL, 0, "weft-zygote", &z->boot);
    if (z->memfd < 0)
        return z->memfd;
    z->boot->kind = WI_BOOT_ZYGOTE;
    z->boot->preload = z->preload;
    rc = wi_os_local_pair(ends);
    if (rc < 0)
        return rc;
    z->socket = ends[0];
    *their_end = ends[1];
    return 0;
}

// Under the lock.
static int start(struct wi_zygote *z)
{
    int rc = prepare(z, &z->launch.fds[2]);
    if (rc < 0) {
        clean_up(z);
        return rc;
    }
    z->launch.fds[0] = z->memfd;
    z->launch.wanted = always;
    z->launch.done = launched;
    z->launch.why[0] = '\0';
    z->state = STARTING;
    wi_launcher_submit(&z->launch);
    return 0;
}

// It could not be started, or has ended before it was ready, and there is no
// use in trying again. Takes the lock with it.
static void give_up(struct wi_zygote *z, int rc, const char *why)
{
    struct list waiting;
    clear(&waiting);
    append(&waiting, &z->waiting);
    struct asker *askers = take_askers(z);
    z->failures = 0;
    wi_mutex_unlock(&lock);
    fail_all(&waiting, rc, why);
    tell_askers(askers, rc, why);
}

// Starts it if somebody wants it. Takes the lock with it.
static void start_if_wanted(struct wi_zygote *z, bool wanted)
{
    wanted |= z->waiting.first != NULL || z->askers != NULL;
    int rc = 0;
    if (wanted && z->state == GONE && !z->paused)
        rc = start(z);
    if (rc < 0)
        give_up(z, rc, weft_strerror(rc));
    else
        wi_mutex_unlock(&lock);
}

static void try_again(struct wi_alarm *alarm)
{
    struct wi_zygote *z =
        (struct wi_zygote *)((char *)alarm - offsetof(struct wi_zygote, again));
    wi_mutex_lock(&lock);
    z->paused = false;
    start_if_wanted(z, false);
}

// After a start that came to nothing. Takes the lock with it.
static void pause_or_give_up(struct wi_zygote *z, int rc, const char *why,
                             bool passing)
{
    if (!passing || ++z->failures >= MOST_FAILURES) {
        give_up(z, rc, why);
        return;
    }
    z->paused = true;
    wi_alarm_set(&z->again,
                 wi_os_now() + (first_pause_ns << (z->failures - 1)));
    wi_mutex_unlock(&lock);
}

// Its end ---------------------------------------------------------------------

static void drain(struct wi_zygote *z);

// Without a pidfd it may already have ended and been reaped by somebody else.
static int find_child(struct wi_os_child *child)
{
    if (child->pid <= 0)
        return child->pid < 0 ? child->pid : -WEFT_EPROTO;
    int rc = child->pidfd >= 0 ? 0 : wi_os_child_adopt(child);
    if (rc == 0 || rc == -ECHILD)
        return 0;
    // No descriptor is left to watch it with.
    struct wi_os_end end;
    wi_os_child_signal(child, wi_os_sigkill);
    wi_os_child_reap(child, &end, true);
    return rc;
}

// The child that an order has become, although no answer came. false: none.
static bool adopt(struct wi_launch *launch)
{
    // relaxed: its number alone
    uint32_t born =
        __atomic_load_n(&wi_boot_words(launch->boot)->born, __ATOMIC_RELAXED);
    struct wi_os_child child = {(pid_t)born, -1};
    if (born == 0)
        return false;
    launch->done(launch, find_child(&child), child);
    return true;
}

// What was under way when it died.
static void settle_sent(struct list *sent, struct list *again)
{
    struct wi_launch *launch;
    while ((launch = pop(sent)) != NULL) {
        if (adopt(launch))
            continue;
        if (++launch->tries > MOST_TRIES)
            fail(launch, -WEFT_ECRASHED,
                 "each zygote died of the order to start it");
        else
            push(again, launch);
    }
}

static bool ended_by_itself(const struct wi_os_end *end)
{
    return end->how != WI_END_SIGNAL || end->status != wi_os_sigkill;
}

// Why it was never ready.
static int verdict(struct wi_zygote *z, const struct wi_os_end *end,
                   char text[WI_LAUNCH_WHY])
{
    struct wi_words *words = wi_boot_words(z->boot);
    uint32_t stage = wi_boot_stage(z->boot);
    char crash[WI_CRASH_TEXT];
    if (stage == WI_STAGE_DONE) {
        snprintf(text, WI_LAUNCH_WHY, "the zygote cannot begin: %.*s",
                 (int)sizeof words->text - 32, words->text);
        return words->code < 0 ? words->code : -WEFT_ECRASHED;
    }
    wi_crash_text(crash, "the zygote", z->child.pid, end, words);
    snprintf(text, WI_LAUNCH_WHY, "%.*s", WI_LAUNCH_WHY - 1, crash);
    return stage == WI_STAGE_NONE && end->how == WI_END_EXIT ? -WEFT_ENOENTRY
                                                             : -WEFT_ECRASHED;
}

static void bury(struct wi_zygote *z, const struct wi_os_end *end)
{
    struct list sent, again;
    char why[WI_LAUNCH_WHY] = "";
    clear(&sent);
    clear(&again);
    wi_mutex_lock(&lock);
    bool was_ready = z->state == READY, told = z->ending;
    int rc = was_ready ? 0 : verdict(z, end, why);
    append(&sent, &z->sent);
    z->sent_count = 0;
    wi_supervisor_forget(z->child.pidfd);
    wi_supervisor_forget(z->socket);
    clean_up(z);
    wi_mutex_unlock(&lock);
    settle_sent(&sent, &again);
    wi_mutex_lock(&lock);
    append(&again, &z->waiting); // these were there first
    append(&z->waiting, &again);
    if (was_ready || told || z->unable)
        start_if_wanted(z, was_ready && !told);
    else
        pause_or_give_up(z, rc, why, !ended_by_itself(end));
}

static void pidfd_heard(struct wi_watch *watch)
{
    struct wi_zygote *z =
        (struct wi_zygote *)((char *)watch - offsetof(struct wi_zygote, ended));
    struct wi_os_end end;
    if (!wi_os_child_reap(&z->child, &end, false))
        return;
    drain(z); // what it had said before
    bury(z, &end);
}

// What it says ----------------------------------------------------------------

static void hear_hello(struct wi_zygote *z, int rc)
{
    struct list waiting;
    clear(&waiting);
    wi_mutex_lock(&lock);
    z->unable = rc < 0;
    z->state = z->unable ? STARTING : READY;
    z->failures = 0;
    append(&waiting, &z->waiting);
    struct asker *askers = take_askers(z);
    wi_mutex_unlock(&lock);
    submit_all(&waiting);
    tell_askers(askers, 0, NULL);
}

static void hear_birth(struct wi_zygote *z, struct wi_os_child child)
{
    struct list waiting;
    clear(&waiting);
    wi_mutex_lock(&lock);
    struct wi_launch *launch = pop(&z->sent);
    if (launch != NULL)
        z->sent_count--;
    append(&waiting, &z->waiting);
    wi_mutex_unlock(&lock);
    submit_all(&waiting);
    if (launch != NULL) // else it has gone mad
        launch->done(launch, find_child(&child), child);
}

static void drain(struct wi_zygote *z)
{
    struct wi_zygote_reply said;
    struct wi_local_fds fds;
    struct iovec part = {&said, sizeof said};
    ssize_t n;
    // -EMSGSIZE: without its descriptor, for there is no room for it.
    while ((n = wi_os_local_receive(z->socket, &part, 1, &fds)) ==
               (ssize_t)sizeof said ||
           n == -EMSGSIZE) {
        int pidfd = fds.n > 0 ? fds.fd[0] : -1; // it sends one at most
        if (said.hello)
            hear_hello(z, said.rc);
        else
            hear_birth(z, (struct wi_os_child){said.rc, pidfd});
    }
    if (n != -EAGAIN)
        wi_supervisor_forget(z->socket); // it is ending: see pidfd_heard
}

static void socket_heard(struct wi_watch *watch)
{
    drain(
        (struct wi_zygote *)((char *)watch - offsetof(struct wi_zygote, said)));
}

static void launched(struct wi_launch *launch, int rc, struct wi_os_child child)
{
    struct wi_zygote *z = of_launch(launch);
    wi_os_close(launch->fds[2]);
    wi_mutex_lock(&lock);
    if (rc < 0) {
        bool passing = rc == -EAGAIN || rc == -ENOMEM || rc == -EMFILE;
        clean_up(z);
        pause_or_give_up(z, rc, weft_strerror(rc), passing);
        return;
    }
    z->child = child;
    wi_mutex_unlock(&lock);
    z->ended.heard = pidfd_heard;
    z->said.heard = socket_heard;
    // The socket first: once its end was heard nothing is watched any more.
    if (wi_supervisor_watch(z->socket, &z->said) == 0 &&
        wi_supervisor_watch(child.pidfd, &z->ended) == 0)
        return;
    wi_os_child_signal(&child, wi_os_sigkill); // nobody would hear of its end
    struct wi_os_end end;
    wi_os_child_reap(&z->child, &end, true);
    wi_mutex_lock(&lock);
    clean_up(z);
    pause_or_give_up(z, -ENOMEM, weft_strerror(-ENOMEM), true);
}

// Orders ----------------------------------------------------------------------

static int8_t add(struct wi_local_fds *fds, int fd)
{
    if (fd < 0 || fds->n == WI_LOCAL_FDS)
        return -1;
    fds->fd[fds->n] = fd;
    return (int8_t)fds->n++;
}

static void write_order(const struct wi_launch *launch,
                        struct wi_zygote_order *order, struct wi_local_fds *fds)
{
    const struct wi_os_launch *os = &launch->os;
    memset(order, 0, sizeof *order);
    order->group = os->group;
    order->fd_count = os->fd_count;
    fds->n = 0;
    for (int i = 0; i < 3; i++) {
        int fd = os->stdio[i];
        if (fd == WI_LAUNCH_SAME) // as here, which may not be as there
            fd = wi_os_fd_kind(i) != NULL ? i : -1;
        order->stdio[i] = fd == WI_LAUNCH_NULL ? WI_LAUNCH_NULL : add(fds, fd);
    }
    for (unsigned i = 0; i < os->fd_count; i++)
        order->fds[i] = add(fds, os->fds[i]);
}

// Under the lock, READY. 0: it is under way; -EAGAIN: it has to wait.
static int send_order(struct wi_zygote *z, struct wi_launch *launch)
{
    struct wi_zygote_order order;
    struct wi_local_fds fds;
    struct iovec part = {&order, sizeof order};
    if (z->sent_count == MOST_SENT)
        return -EAGAIN;
    write_order(launch, &order, &fds);
    int rc = wi_os_local_send(z->socket, &part, 1, &fds);
    if (rc == 0) {
        push(&z->sent, launch);
        z->sent_count++;
    }
    bool later = rc == -EPIPE || rc == -ECONNRESET || // it has died
                 ((rc == -ETOOMANYREFS || rc == -EAGAIN) && z->sent_count > 0);
    return later ? -EAGAIN : rc;
}

bool wi_zygote_take(struct wi_launch *launch)
{
    struct wi_zygote *z = launch->zygote;
    wi_mutex_lock(&lock);
    bool ready = z->state == READY, unable = z->unable;
    wi_mutex_unlock(&lock);
    if (unable)
        return false;
    if (ready && launch->tries == 0) {
        if (!launch->wanted(launch)) {
            launch->done(launch, -ECANCELED, (struct wi_os_child){0, -1});
            return true;
        }
        launch->tries = 1;
    }
    wi_mutex_lock(&lock);
    int rc = -EAGAIN;
    if (z->state == READY && !z->ending && launch->tries > 0)
        rc = send_order(z, launch);
    if (rc == -EAGAIN) {
        push(&z->waiting, launch);
        start_if_wanted(z, false);
        return true;
    }
    wi_mutex_unlock(&lock);
    if (rc < 0)
        fail(launch, rc, weft_strerror(rc));
    return true;
}

void wi_zygote_give_up(struct wi_zygote *z)
{
    wi_mutex_lock(&lock);
    if (z->state != GONE && z->child.pidfd >= 0)
        wi_os_child_signal(&z->child, wi_os_sigkill);
    wi_mutex_unlock(&lock);
}

// All of them -----------------------------------------------------------------

static bool is_of(const struct wi_zygote *z, const char *program,
                  const struct wi_name *preload)
{
    bool same = (program == NULL) == (z->program == NULL) &&
                (program == NULL || strcmp(program, z->program) == 0);
    return same && memcmp(preload, &z->preload, sizeof *preload) == 0;
}

// Under the lock.
static struct wi_zygote *find(const char *program,
                              const struct wi_name *preload)
{
    struct wi_zygote *z = zygotes;
    while (z != NULL && !is_of(z, program, preload))
        z = z->next;
    return z;
}

static struct wi_zygote *make(const char *program,
                              const struct wi_name *preload)
{
    struct wi_zygote *z = calloc(1, sizeof *z);
    if (z == NULL)
        return NULL;
    if (program != NULL) {
        size_t size = strlen(program) + 1;
        z->program = malloc(size);
        if (z->program == NULL) {
            free(z);
            return NULL;
        }
        memcpy(z->program, program, size);
    }
    z->preload = *preload;
    z->memfd = z->socket = -1;
    z->child.pidfd = -1;
    z->again.ring = try_again;
    clear(&z->waiting);
    clear(&z->sent);
    for (int i = 0; i < 3; i++)
        z->spec.stdio[i] = WI_LAUNCH_SAME; // nothing to close
    z->next = zygotes;
    zygotes = z;
    return z;
}

int wi_zygote_of(const char *program, const struct wi_name *preload,
                 struct wi_zygote **zygote)
{
    wi_mutex_lock(&lock);
    struct wi_zygote *z = find(program, preload);
    *zygote = z != NULL ? z : make(program, preload);
    wi_mutex_unlock(&lock);
    return *zygote != NULL ? 0 : -ENOMEM;
}

// What the others do ----------------------------------------------------------

// An asker wants to know no more. The zygote goes on.
static void cancel(weft_future *f, void *owner)
{
    struct wi_zygote *z = owner;
    if (wi_forked())
        return;
    wi_mutex_lock(&lock);
    struct asker **link = &z->askers;
    while (*link != NULL && (*link)->future != f)
        link = &(*link)->next;
    struct asker *asker = *link;
    if (asker != NULL)
        *link = asker->next;
    wi_mutex_unlock(&lock);
    free(asker);
    if (asker != NULL)
        wi_external_complete(f, -WEFT_EJOBCANCELED, NULL, 0, false, "canceled");
}

static const struct wi_external_ops ops = {.cancel = cancel};

static weft_future *ask(struct wi_zygote *z)
{
    bool made;
    struct asker *asker = malloc(sizeof *asker);
    if (asker == NULL)
        return wi_future_failed(-ENOMEM, NULL);
    weft_future *f =
        wi_external_new(WI_KIND_PROMISE, &ops, z, "zygote", NULL, &made);
    if (!made) {
        free(asker);
        return f;
    }
    wi_mutex_lock(&lock);
    asker->future = f;
    asker->next = NULL;
    bool there = z->unable || (z->state == READY && !z->ending);
    if (!there) {
        asker->next = z->askers;
        z->askers = asker;
    }
    start_if_wanted(z, false);
    if (there)
        tell_askers(asker, 0, NULL);
    return f;
}

weft_future *weft_zygote_start(weft_function *preload, const char *program)
{
    struct wi_name name = {.build.size = 0};
    struct wi_zygote *z;
    int rc = wi_process_service(program);
    if (rc == 0 && preload != NULL && !wi_name_function(preload, &name))
        rc = -EINVAL;
    if (rc == 0)
        rc = wi_zygote_of(program, &name, &z);
    return rc == 0 ? ask(z) : wi_future_failed(rc, weft_strerror(rc));
}

int weft_zygote_stop(weft_function *preload, const char *program)
{
    struct wi_name name = {.build.size = 0};
    if (wi_forked())
        return -WEFT_EFORKED; // its socket is open here, too
    if (preload != NULL && !wi_name_function(preload, &name))
        return -ESRCH;
    wi_mutex_lock(&lock);
    struct wi_zygote *z = find(program, &name);
    bool there = z != NULL && z->state != GONE && !z->ending;
    if (there) {
        z->ending = true;
        // It leaves when it has done what it was told before.
        wi_os_shutdown_write(z->socket);
    }
    wi_mutex_unlock(&lock);
    return there ? 0 : -ESRCH;
}

// In a child of fork: none of them is its own.
static void fresh(void)
{
    lock = (struct wi_mutex){0};
    for (struct wi_zygote *z = zygotes; z != NULL; z = z->next) {
        clear(&z->waiting);
        clear(&z->sent);
        z->sent_count = 0;
        z->askers = NULL;
        z->paused = false;
        z->failures = 0;
        z->again.timer.link = NULL;
        z->boot = NULL; // a child of fork does not have the mapping
        clean_up(z);
    }
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
