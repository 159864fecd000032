// SPDX-License-Identifier: MIT
//
// A child shares the parent's memory until it has become another program
// (CLONE_VM), and the calling thread sleeps until then (CLONE_VFORK). So the
// cost does not grow with the parent, and no page is copied. The price: between
// clone and exec the child may only make system calls, on a stack of its own,
// and must write nothing that the parent reads afterwards but its error.
//
// All signals are blocked in the caller, hence in the child; before the child
// opens its mask again it has put back every handler to the default, since a
// handler of the parent would run in the memory of both.
//
// The child asks to be killed when the thread that made it ends, and looks once
// whether that has happened already. The request survives exec, unless the
// program is set-uid; the program repeats it in weft_main_hook.
//
// The pidfd comes out of clone itself: no time passes in which the process
// could be reaped by somebody else and its number reused.
//
// Under the sanitizers, which know posix_spawn but not this, it is
// posix_spawn; then the program does the rest in its hook.
#include "os/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer_detect.h"
#include "os/event.h"
#include "os/memory.h"
#include "os/place.h"
#include "os/process.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_execveat
#define SYS_execveat __NR_execveat
#endif

enum {
    MARK_DIGITS = 10,
};

extern char **environ;

// For a child that clone has not given one for. Without a free descriptor it
// could not be watched, so it ends.
static int open_pidfd(struct wi_os_child *child)
{
    struct wi_os_end end;
    int rc = wi_os_child_adopt(child);
    if (rc == 0 || rc == -ECHILD) // reaped by others already
        return 0;
    wi_os_child_signal(child, SIGKILL);
    wi_os_child_reap(child, &end, true);
    return rc;
}

void *wi_os_launch_stack(void)
{
    size_t guard = wi_os_page_size(); // of 64 KiB on some machines
    char *low = mmap(NULL, guard + WI_LAUNCH_STACK, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (low == MAP_FAILED)
        return NULL;
    mprotect(low, guard, PROT_NONE);
    return low + guard;
}

int wi_os_launch_self(void)
{
    return wi_os_own_fd(open("/proc/self/exe", O_PATH | O_CLOEXEC));
}

static bool is_fault(int sig)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    bool is = false;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        is |= sig == faults[i];
    return is;
}

void wi_os_block_signals(bool all)
{
    sigset_t set;
    sigfillset(&set);
    for (int sig = 1; sig < NSIG && !all; sig++)
        if (is_fault(sig))
            sigdelset(&set, sig);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void wi_os_unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void wi_os_restore_signals(bool all)
{
    struct sigaction action;
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigaction(sig, NULL, &action) != 0 || (!all && is_fault(sig)) ||
            (!(action.sa_flags & SA_SIGINFO) &&
             (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)))
            continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(sig, &action, NULL);
    }
    wi_os_unblock_signals();
}

static bool is_entry(const char *entry, const char *name, size_t length)
{
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

const char *const *wi_os_environ(void)
{
    static const char *const none[] = {NULL};
    return environ != NULL ? (const char *const *)environ : none;
}

char **wi_os_environ_with(const char *const *base, const char *name,
                          const char *value, char **copied)
{
    char *const *from = base != NULL ? (char *const *)base : environ;
    size_t length = strlen(name), count = 0, n = 0;
    size_t bytes = length + strlen(value) + 2;
    for (; from != NULL && from[count] != NULL; count++)
        bytes += strlen(from[count]) + 1;
    char **env = malloc((count + 2) * sizeof *env + bytes);
    if (env == NULL)
        return NULL;
    char *at = (char *)&env[count + 2];
    for (size_t i = 0; i < count; i++) {
        if (is_entry(from[i], name, length))
            continue; // getenv finds the first
        env[n++] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    env[n++] = at;
    at = stpcpy(stpcpy(at, name), "=");
    *copied = at;
    strcpy(at, value);
    env[n] = NULL;
    return env;
}

// The path by which this program was executed, for when /proc is not there.
static const char *own_path(void)
{
    return (const char *)(uintptr_t)getauxval(AT_EXECFN);
}

#if !WI_ASAN && !WI_TSAN

// What parent and child share.
struct birth {
    const struct wi_os_launch *launch;
    pid_t parent;
    volatile int error; // written by the child, before it ends
};

static void write_mark(char *mark, pid_t pid)
{
    for (int i = MARK_DIGITS - 1; i >= 0; i--) {
        mark[i] = (char)('0' + pid % 10);
        pid /= 10;
    }
}

// Set up in the order in which a failure can still be told.
static int prepare(const struct birth *birth, int *self)
{
    const struct wi_os_launch *l = birth->launch;
    int rc = wi_os_place_fds(l, self);
    wi_os_join_group(l->group);
    if (rc == 0)
        rc = wi_os_die_with_parent(birth->parent);
    if (rc == 0 && l->cwd != NULL && chdir(l->cwd) != 0)
        rc = -errno;
    if (rc < 0)
        return rc;
    wi_os_close_on_exec_from(WI_LAUNCH_FD + (int)l->fd_count);
    if (l->mark != NULL)
        write_mark(l->mark, (pid_t)syscall(SYS_getpid));
    wi_os_restore_signals(true);
    return 0;
}

// Becomes the program; returns only with an error. /proc/self/exe is the
// program also when its file was replaced or deleted; without /proc, the
// descriptor opened before is. Under Valgrind it is Valgrind.
static int become(const struct wi_os_launch *l, int self)
{
    if (l->program != NULL) {
        execve(l->program, l->argv, l->env);
        return -errno;
    }
    if (!WI_ON_VALGRIND)
        execve("/proc/self/exe", l->argv, l->env);
    int rc = -errno;
    if (self >= 0)
        syscall(SYS_execveat, self, "", l->argv, l->env, AT_EMPTY_PATH);
    if (own_path() != NULL)
        execve(own_path(), l->argv, l->env);
    return rc;
}

static int child_main(void *arg)
{
    struct birth *birth = arg;
    const struct wi_os_launch *l = birth->launch;
    int self = l->self;
    int rc = prepare(birth, &self);
    birth->error = rc < 0 ? rc : become(l, self);
    _exit(127);
}

// The child is there already, so that a want of numbers is no reason to fail.
static int above_standard(int pidfd)
{
    int higher = pidfd > STDERR_FILENO ? -1 : wi_os_dup(pidfd);
    if (higher < 0)
        return pidfd;
    close(pidfd);
    return higher;
}

int wi_os_launch(const struct wi_os_launch *launch, struct wi_os_child *child)
{
    struct birth birth = {.launch = launch, .parent = getpid()};
    int pidfd = -1;
    pid_t pid = clone(child_main, (char *)launch->stack + WI_LAUNCH_STACK,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &birth,
                      &pidfd, NULL, NULL);
    if (pid < 0)
        return -errno;
    *child = (struct wi_os_child){pid, above_standard(pidfd)};
    if (birth.error == 0) {
        fcntl(child->pidfd, F_SETFD, FD_CLOEXEC);
        return 0;
    }
    struct wi_os_end end;
    wi_os_child_reap(child, &end, true);
    wi_os_child_close(child);
    return birth.error;
}

#else

static int spawn_stdio(const struct wi_os_launch *l, const int *high,
                       posix_spawn_file_actions_t *files)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        if (l->stdio[i] == WI_LAUNCH_NULL)
            rc = posix_spawn_file_actions_addopen(files, i, "/dev/null", O_RDWR,
                                                  0);
        else if (high[i] >= 0)
            rc = posix_spawn_file_actions_adddup2(files, high[i], i);
    }
    return rc;
}

static int spawn_files(const struct wi_os_launch *l, const int *high,
                       posix_spawn_file_actions_t *files)
{
    int rc = spawn_stdio(l, high, files);
    for (unsigned i = 0; i < l->fd_count && rc == 0; i++)
        if (high[3 + i] >= 0)
            rc = posix_spawn_file_actions_adddup2(files, high[3 + i],
                                                  WI_LAUNCH_FD + (int)i);
    if (rc == 0 && l->cwd != NULL)
        rc = posix_spawn_file_actions_addchdir_np(files, l->cwd);
    return rc;
}

static int spawn_attributes(const struct wi_os_launch *l,
                            posix_spawnattr_t *attr)
{
    sigset_t none;
    short flags = POSIX_SPAWN_SETSIGMASK;
    if (l->group == WI_LAUNCH_OWN_GROUP)
        flags |= POSIX_SPAWN_SETPGROUP;
    if (l->group == WI_LAUNCH_SESSION)
        flags |= POSIX_SPAWN_SETSID;
    sigemptyset(&none);
    int rc = posix_spawnattr_setflags(attr, flags);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attr, 0);
    return rc != 0 ? rc : posix_spawnattr_setsigmask(attr, &none);
}

static int spawn(const struct wi_os_launch *l, const int *high, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    int rc = spawn_files(l, high, &files);
    if (rc == 0)
        rc = spawn_attributes(l, &attr);
    if (rc == 0)
        rc =
            posix_spawn(pid, l->program != NULL ? l->program : "/proc/self/exe",
                        &files, &attr, l->argv, l->env);
    if (rc == ENOENT && l->program == NULL && own_path() != NULL)
        rc = posix_spawn(pid, own_path(), &files, &attr, l->argv, l->env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return -rc;
}

// All sources, high above the places where they go. 0 or a negative code.
static int raise_all(const struct wi_os_launch *l, int high[3 + WI_LAUNCH_FDS])
{
    int rc = 0;
    for (unsigned i = 0; i < 3 + l->fd_count; i++) {
        int fd = i < 3 ? l->stdio[i] : l->fds[i - 3];
        high[i] = fd < 0 ? -1
                         : fcntl(fd, F_DUPFD_CLOEXEC,
                                 WI_LAUNCH_FD + (int)l->fd_count + 1);
        if (fd >= 0 && high[i] < 0)
            rc = -errno;
    }
    return rc;
}

int wi_os_launch(const struct wi_os_launch *launch, struct wi_os_child *child)
{
    int high[3 + WI_LAUNCH_FDS];
    int rc = raise_all(launch, high);
    if (launch->mark != NULL)
        strcpy(launch->mark, "any"); // only the child knows its own id
    if (rc == 0)
        rc = spawn(launch, high, &child->pid);
    for (unsigned i = 0; i < 3 + launch->fd_count; i++)
        if (high[i] >= 0)
            close(high[i]);
    return rc == 0 ? open_pidfd(child) : rc;
}

#endif

// A copy of this process ------------------------------------------------------

int wi_os_launch_copy(struct wi_os_child *child)
{
    fflush(stdout); // else both would write what stands there
    fflush(stderr);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    *child = (struct wi_os_child){pid, -1};
    return pid > 0 ? open_pidfd(child) : 0;
}
