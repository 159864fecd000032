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
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer_detect.h"
#include "os/process.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_execveat
#define SYS_execveat __NR_execveat
#endif

enum {
    FIRST_FREE_FD = WI_LAUNCH_FD + WI_LAUNCH_FDS + 1, // above the fixed ones
    MARK_DIGITS = 10,
};

extern char **environ;

void *wi_os_launch_stack(void)
{
    char *stack = mmap(NULL, WI_LAUNCH_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return NULL;
    mprotect(stack, 4096, PROT_NONE);
    return stack;
}

int wi_os_launch_self(void)
{
    int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void wi_os_block_signals(bool all)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof faults / sizeof *faults && !all; i++)
        sigdelset(&set, faults[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool is_entry(const char *entry, const char *name, size_t length)
{
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
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

// The paths by which this program can be named when /proc is not there.
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

static void restore_signals(void)
{
    struct sigaction action;
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigaction(sig, NULL, &action) != 0 ||
            (!(action.sa_flags & SA_SIGINFO) &&
             (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)))
            continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(sig, &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int null_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0; // a bare chroot: keep what there is
    return dup2(fd, STDIN_FILENO) < 0 ? -errno : 0;
}

static void close_range_of(int first, unsigned last)
{
    if (first >= 0 && (unsigned)first <= last)
        syscall(SYS_close_range, (unsigned)first, last, 0);
}

// Closes all but 0, 1, 2 and the n that are kept: there must be free numbers
// for the next step even if the parent has none left. Where the kernel refuses,
// they become close-on-exec later.
static void close_others(int *keep, int n)
{
    for (int i = 1; i < n; i++) { // sort
        for (int k = i; k > 0 && keep[k - 1] > keep[k]; k--) {
            int other = keep[k];
            keep[k] = keep[k - 1];
            keep[k - 1] = other;
        }
    }
    int first = STDERR_FILENO + 1;
    for (int i = 0; i < n; i++) {
        if (keep[i] < first)
            continue;
        close_range_of(first, (unsigned)keep[i] - 1);
        first = keep[i] + 1;
    }
    close_range_of(first, ~0u);
}

static void close_unneeded(const struct wi_os_launch *l)
{
    int keep[WI_LAUNCH_FDS + 1], n = 0;
    for (unsigned i = 0; i < l->fd_count; i++)
        if (l->fds[i] >= 0)
            keep[n++] = l->fds[i];
    if (l->self >= 0)
        keep[n++] = l->self;
    close_others(keep, n);
}

// Moves a descriptor out of the way of the fixed ones. One at a time, so that
// one free number is enough. The table of descriptors is the child's own.
static int move_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int rc = high < 0 ? -errno : high;
    close(fd);
    return rc;
}

// Moves the descriptors to their fixed places. All go high up first, for one
// may lie where another has to go.
static int place_fds(const struct wi_os_launch *l)
{
    int high[WI_LAUNCH_FDS];
    for (unsigned i = 0; i < l->fd_count; i++) {
        high[i] = -1;
        if (l->fds[i] < 0)
            continue;
        high[i] = move_up(l->fds[i]);
        if (high[i] < 0)
            return high[i];
    }
    for (unsigned i = 0; i < l->fd_count; i++) {
        close(WI_LAUNCH_FD + (int)i);
        if (high[i] >= 0 && dup2(high[i], WI_LAUNCH_FD + (int)i) < 0)
            return -errno;
    }
    return l->null_stdin ? null_stdin() : 0;
}

static void write_mark(char *mark, pid_t pid)
{
    for (int i = MARK_DIGITS - 1; i >= 0; i--) {
        mark[i] = (char)('0' + pid % 10);
        pid /= 10;
    }
}

// Set up in the order in which a failure can still be told.
static int prepare(const struct birth *birth)
{
    const struct wi_os_launch *l = birth->launch;
    setpgid(0, 0);
    int rc = wi_os_die_with_parent(birth->parent);
    if (rc == 0)
        rc = place_fds(l);
    if (rc == 0 && l->cwd != NULL && chdir(l->cwd) != 0)
        rc = -errno;
    if (rc < 0)
        return rc;
    wi_os_close_on_exec_from(WI_LAUNCH_FD + (int)l->fd_count);
    if (l->mark != NULL)
        write_mark(l->mark, (pid_t)syscall(SYS_getpid));
    restore_signals();
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
    int self = birth->launch->self;
    close_unneeded(birth->launch);
    if (self >= 0)
        self = move_up(self);
    int rc = prepare(birth);
    birth->error = rc < 0 ? rc : become(birth->launch, self);
    _exit(127);
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
    *child = (struct wi_os_child){pid, pidfd};
    if (birth.error == 0) {
        fcntl(pidfd, F_SETFD, FD_CLOEXEC);
        return 0;
    }
    struct wi_os_end end;
    wi_os_child_reap(child, &end, true);
    wi_os_child_close(child);
    return birth.error;
}

#else

static int spawn_files(const struct wi_os_launch *l, const int *high,
                       posix_spawn_file_actions_t *files)
{
    int rc = 0;
    for (unsigned i = 0; i < l->fd_count && rc == 0; i++)
        if (high[i] >= 0)
            rc = posix_spawn_file_actions_adddup2(files, high[i],
                                                  WI_LAUNCH_FD + (int)i);
    if (rc == 0 && l->null_stdin)
        rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null",
                                              O_RDONLY, 0);
    if (rc == 0 && l->cwd != NULL)
        rc = posix_spawn_file_actions_addchdir_np(files, l->cwd);
    return rc;
}

static int spawn_attributes(posix_spawnattr_t *attr)
{
    sigset_t none;
    sigemptyset(&none);
    int rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP |
                                                POSIX_SPAWN_SETSIGMASK);
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
        rc = spawn_attributes(&attr);
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

int wi_os_launch(const struct wi_os_launch *launch, struct wi_os_child *child)
{
    int high[WI_LAUNCH_FDS] = {-1, -1, -1};
    for (unsigned i = 0; i < launch->fd_count; i++)
        if (launch->fds[i] >= 0)
            high[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (launch->mark != NULL)
        strcpy(launch->mark, "any"); // only the child knows its own id
    int rc = spawn(launch, high, &child->pid);
    for (unsigned i = 0; i < launch->fd_count; i++)
        if (high[i] >= 0)
            close(high[i]);
    if (rc == 0)
        child->pidfd = wi_os_pidfd(child->pid);
    return rc;
}

#endif
