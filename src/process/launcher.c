// SPDX-License-Identifier: MIT
//
// One thread starts all children and lives as long as the process. That is
// what makes "kill me when my parent ends" right: the kernel means the thread
// that made the child, not its process. It has every signal blocked, and a
// stack for the short life of a child before its exec. Starts are done one
// after another, in the order in which they were asked for.
#include "process/launcher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/fresh.h"
#include "os/futex.h"
#include "os/blocked.h"
#include "os/clock.h"
#include "os/event.h"
#include "os/place.h"
#include "os/process.h"
#include "os/thread.h"
#include "process/boot.h"
#include "process/zygote.h"

static struct {
    struct wi_mutex lock;
    uint32_t rung;           // futex word: counts submits
    pid_t process;           // that the thread belongs to; 0: it does not run
    struct wi_launch *first; // under lock
    struct wi_launch **last; // under lock
    int self, parent;        // descriptors: this program, a pidfd of it
    void *stack;
} launcher;

void (*wi_launcher_made)(struct wi_launch *launch);

static struct wi_launch *next_launch(void)
{
    wi_mutex_lock(&launcher.lock);
    struct wi_launch *launch = launcher.first;
    if (launch != NULL) {
        launcher.first = launch->next;
        if (launcher.first == NULL)
            launcher.last = &launcher.first;
    }
    wi_mutex_unlock(&launcher.lock);
    return launch;
}

const char *wi_launch_why(const struct wi_launch *launch, int rc)
{
    return launch->why[0] != '\0' ? launch->why : weft_strerror(rc);
}

// In the copy. Its descriptors lie behind those that it has a copy of.
static _Noreturn void be_copy(struct wi_launch *launch)
{
    for (int i = 0; i < 3; i++)
        if (launch->ours[i] > 0)
            wi_os_close(launch->ours[i]);
    wi_os_join_group(launch->os.group);
    wi_os_restore_signals(false); // those of faults belong to the memory
    int at = wi_os_add_fds(&launch->os);
    if (at < 0)
        wi_os_exit_now(127);
    wi_entry_reborn(at, false);
}

// Threads of the user's besides the one that asks for the copy would be
// missing in it, with whatever they hold.
static int copy_self(struct wi_launch *launch, struct wi_os_child *child)
{
    unsigned services = wi_os_thread_services(), all = wi_os_thread_count();
    if (launch->method == WEFT_START_FORK && all > services + 1) {
        snprintf(launch->why, sizeof launch->why,
                 "%u threads run, a copy would have one of them",
                 all - services);
        return -EBUSY;
    }
    int rc = wi_os_launch_copy(child);
    if (rc == 0 && child->pid == 0)
        be_copy(launch);
    return rc;
}

// What was not found, or may not be run or entered.
static void explain(struct wi_launch *launch, int rc)
{
    const char *program = launch->os.program, *cwd = launch->os.cwd;
    if (rc != -ENOENT && rc != -ENOTDIR && rc != -EACCES)
        return;
    if (program == NULL && cwd == NULL)
        return;
    snprintf(launch->why, sizeof launch->why, "%.70s%s%s%.70s: %.30s",
             program != NULL ? program : "",
             program != NULL ? " cannot be executed" : "",
             cwd != NULL ? program != NULL ? " in folder " : "folder " : "",
             cwd != NULL ? cwd : "", weft_strerror(rc));
}

// Whether a zygote makes it.
static bool give_away(struct wi_launch *launch)
{
    launch->fds[1] = launcher.parent;
    launch->os.fds = launch->fds;
    return launch->method == WEFT_START_ZYGOTE && wi_zygote_take(launch);
}

static void serve(struct wi_launch *launch)
{
    struct wi_os_child child = {0, -1};
    if (give_away(launch))
        return;
    // What a zygote had taken before it could not make it was wanted then.
    if (launch->tries == 0 && !launch->wanted(launch)) {
        launch->done(launch, -ECANCELED, child);
        return;
    }
    launch->os.stack = launcher.stack;
    launch->os.self = launcher.self;
    bool copy = launch->method >= WEFT_START_FORK;
    int rc =
        copy ? copy_self(launch, &child) : wi_os_launch(&launch->os, &child);
    if (wi_launcher_made != NULL)
        wi_launcher_made(launch);
    if (!copy)
        explain(launch, rc);
    launch->done(launch, rc, child);
}

static void run(void *arg)
{
    (void)arg;
    wi_os_block_signals(true);
    for (;;) {
        // acquire: pairs with the release in wi_launcher_submit
        uint32_t rung = __atomic_load_n(&launcher.rung, __ATOMIC_ACQUIRE);
        struct wi_launch *launch;
        while ((launch = next_launch()) != NULL)
            serve(launch);
        wi_os_futex_wait(&launcher.rung, rung, WI_FOREVER, false);
    }
}

// Under the lock.
static int start(void)
{
    struct wi_os_thread_options options = {.name = "weft-launcher",
                                           .service = true};
    struct wi_os_thread thread;
    launcher.last = &launcher.first;
    launcher.self = wi_os_launch_self();
    launcher.parent = wi_os_pidfd(wi_os_pid());
    if (launcher.stack == NULL)
        launcher.stack = wi_os_launch_stack();
    int rc = launcher.stack == NULL ? -ENOMEM : 0;
    if (rc == 0)
        rc = wi_os_thread_start(&thread, run, NULL, &options);
    if (rc < 0) {
        wi_os_close(launcher.self);
        wi_os_close(launcher.parent);
        return rc;
    }
    wi_os_thread_detach(&thread);
    launcher.process = wi_os_pid();
    wi_fresh_in_use();
    return 0;
}

int wi_launcher_start(void)
{
    wi_mutex_lock(&launcher.lock);
    int rc = launcher.process == 0 ? start() : 0;
    wi_mutex_unlock(&launcher.lock);
    return rc;
}

void wi_launcher_submit(struct wi_launch *launch)
{
    launch->next = NULL;
    wi_mutex_lock(&launcher.lock);
    *launcher.last = launch;
    launcher.last = &launch->next;
    wi_mutex_unlock(&launcher.lock);
    // release: pairs with the acquire in run
    __atomic_fetch_add(&launcher.rung, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&launcher.rung, 1, false);
}

void wi_launcher_send(struct wi_launch *launch)
{
    if (!give_away(launch))
        wi_launcher_submit(launch);
}

// In a child of fork there is no launcher.
static void fresh(void)
{
    if (launcher.process != 0) {
        wi_os_close(launcher.self);
        wi_os_close(launcher.parent);
    }
    launcher.process = 0;
    launcher.lock = (struct wi_mutex){0};
    launcher.first = NULL;
}

__attribute__((constructor)) static void register_fresh(void)
{
    wi_fresh_add(fresh);
}
