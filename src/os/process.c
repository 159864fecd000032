// SPDX-License-Identifier: MIT
//
// The rule of the house: the program's own children are its own. Nothing here
// waits for "any child" or installs a handler for SIGCHLD, and everything must
// work when the program does either. A child is known by its pidfd; if somebody
// else has reaped it, the kernel still tells how it ended by an ioctl on the
// pidfd (since 6.15).
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/event.h"
#include "os/fork.h"
#include "os/read_text.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP 4 // since 6.9
#endif
enum { PIDFD_WAIT = 3 }; // P_PIDFD, which musl has not

// struct pidfd_info of linux/pidfd.h, first version with exit_code's place.
struct pidfd_info_0 {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_0) == 64, "PIDFD_INFO_SIZE_VER0");
#define GET_INFO  _IOWR(0xff, 11, struct pidfd_info_0)
#define INFO_EXIT 8u

extern char **environ;

const int wi_os_sigint = SIGINT, wi_os_sigterm = SIGTERM,
          wi_os_sigkill = SIGKILL;

static void end_from_status(struct wi_os_end *end, int status)
{
    if (WIFEXITED(status)) {
        end->how = WI_END_EXIT;
        end->status = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
        end->how = WI_END_SIGNAL;
        end->status = WTERMSIG(status);
        end->core = WCOREDUMP(status);
    }
}

// How a process ended that somebody else has reaped.
static void end_from_pidfd(struct wi_os_end *end, int pidfd)
{
    struct pidfd_info_0 info = {.mask = INFO_EXIT};
    if (ioctl(pidfd, GET_INFO, &info) == 0 && (info.mask & INFO_EXIT))
        end_from_status(end, info.exit_code);
}

static void end_from_siginfo(struct wi_os_end *end, const siginfo_t *info)
{
    end->how = info->si_code == CLD_EXITED ? WI_END_EXIT : WI_END_SIGNAL;
    end->status = info->si_status;
    end->core = info->si_code == CLD_DUMPED;
}

// waitid as the kernel has it: with what the process has used.
static int wait_with_usage(int kind, int id, siginfo_t *info, int flags,
                           struct wi_os_end *end)
{
    struct rusage usage = {0};
    int rc = (int)syscall(SYS_waitid, kind, id, info, flags, &usage);
    end->user =
        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6;
    end->system =
        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec * 1e-6;
    end->max_rss = (size_t)usage.ru_maxrss * 1024;
    return rc;
}

static void wait_for_end(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    while (poll(&fd, 1, -1) < 0 && errno == EINTR)
        ;
}

bool wi_os_child_reap(struct wi_os_child *child, struct wi_os_end *end,
                      bool block)
{
    siginfo_t info = {0};
    *end = (struct wi_os_end){0};
    bool by_fd = child->pidfd >= 0;
    int flags = WEXITED | (block ? 0 : WNOHANG), rc;
    do
        rc = wait_with_usage(by_fd ? PIDFD_WAIT : P_PID,
                             by_fd ? child->pidfd : child->pid, &info, flags,
                             end);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 && info.si_pid != 0) {
        end_from_siginfo(end, &info);
        return true;
    }
    if (rc == 0)
        return false;
    // ECHILD: reaped by others, or about to be reaped by the kernel.
    if (by_fd && block)
        wait_for_end(child->pidfd);
    if (by_fd && !wi_os_pidfd_ended(child->pidfd))
        return false;
    if (by_fd)
        end_from_pidfd(end, child->pidfd);
    return true;
}

// Reads /proc/PID/stat; NULL: it cannot be read. The text begins behind the
// name, which may hold anything: " S ...", the state first.
static const char *read_stat(pid_t pid, char text[1024])
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!wi_os_read_text(path, text, 1024))
        return NULL;
    const char *name_end = strrchr(text, ')');
    return name_end != NULL ? name_end + 1 : NULL;
}

// The last number of /proc/PID/stat is the exit code in the form of waitpid;
// the kernel sets it before it takes the process's memory apart. To who may not
// trace the process (PR_SET_DUMPABLE) it says 0, so 0 says nothing.
bool wi_os_child_peek(const struct wi_os_child *child, struct wi_os_end *end)
{
    char text[1024];
    const char *stat = read_stat(child->pid, text);
    const char *last = stat != NULL ? strrchr(stat, ' ') : NULL;
    if (last == NULL)
        return false;
    *end = (struct wi_os_end){0};
    int status = atoi(last + 1);
    if (status != 0)
        end_from_status(end, status);
    return end->how != WI_END_UNKNOWN;
}

// The number in place n of stat, where the state is place 3; 0: none.
static uint64_t stat_number(pid_t pid, int n)
{
    char text[1024];
    const char *at = read_stat(pid, text);
    for (int i = 3; at != NULL && i < n; i++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

size_t wi_os_child_rss(const struct wi_os_child *child)
{
    enum { RSS = 24 };
    return (size_t)stat_number(child->pid, RSS) * (size_t)sysconf(_SC_PAGESIZE);
}

double wi_os_child_cpu(const struct wi_os_child *child)
{
    enum { UTIME = 14, STIME = 15 };
    uint64_t ticks =
        stat_number(child->pid, UTIME) + stat_number(child->pid, STIME);
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

uint64_t wi_os_start_time(pid_t pid)
{
    enum { START = 22 };
    return stat_number(pid, START);
}

bool wi_os_child_stopped(const struct wi_os_child *child)
{
    char text[1024];
    const char *stat = read_stat(child->pid, text);
    return stat != NULL && (stat[1] == 'T' || stat[1] == 't');
}

bool wi_os_child_dumps(const struct wi_os_child *child)
{
    char path[32], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)child->pid);
    return wi_os_read_text(path, text, sizeof text) &&
           strstr(text, "\nCoreDumping:\t1") != NULL;
}

void wi_os_child_close(struct wi_os_child *child)
{
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
    child->pid = 0;
}

int wi_os_child_signal(const struct wi_os_child *child, int sig)
{
    if (child->pidfd < 0)
        return kill(child->pid, sig) == 0 ? 0 : -errno;
    long rc = syscall(SYS_pidfd_send_signal, child->pidfd, sig, NULL, 0);
    if (rc != 0 && (errno == ENOSYS || errno == EPERM) &&
        !wi_os_pidfd_ended(child->pidfd))
        rc = kill(child->pid, sig);
    return rc == 0 ? 0 : -errno;
}

// Whether the child still stands in the table of processes.
static bool is_not_reaped(const struct wi_os_child *child)
{
    siginfo_t info;
    bool by_fd = child->pidfd >= 0;
    return waitid(by_fd ? (idtype_t)PIDFD_WAIT : P_PID,
                  by_fd ? (id_t)child->pidfd : (id_t)child->pid, &info,
                  WEXITED | WNOHANG | WNOWAIT) == 0 ||
           (by_fd && !wi_os_pidfd_ended(child->pidfd));
}

int wi_os_child_signal_group(const struct wi_os_child *child, int sig)
{
    if (child->pidfd >= 0 && syscall(SYS_pidfd_send_signal, child->pidfd, sig,
                                     NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0)
        return 0;
    // Before 6.9. The group's number is safe while its leader is not reaped.
    if (!is_not_reaped(child))
        return -ESRCH;
    if (kill(-child->pid, sig) == 0)
        return 0;
    return wi_os_child_signal(child, sig);
}

// The number could belong to another process by now only if somebody else has
// reaped the child meanwhile; then it is no child of ours.
int wi_os_child_adopt(struct wi_os_child *child)
{
    siginfo_t info;
    int fd = wi_os_pidfd(child->pid);
    if (fd < 0)
        return fd == -ESRCH ? -ECHILD : fd;
    child->pidfd = fd;
    if (waitid((idtype_t)PIDFD_WAIT, (id_t)fd, &info,
               WEXITED | WNOHANG | WNOWAIT) == 0)
        return 0;
    close(fd);
    child->pidfd = -1;
    return -ECHILD;
}

void wi_os_host_name(char *name, size_t size)
{
    name[0] = '\0';
    gethostname(name, size);
    name[size - 1] = '\0';
}

pid_t wi_os_pid(void)
{
    return getpid();
}

pid_t wi_os_parent(void)
{
    return getppid();
}

int wi_os_pidfd(pid_t pid)
{
    // always close-on-exec
    return wi_os_own_fd((int)syscall(SYS_pidfd_open, pid, 0));
}

bool wi_os_pidfd_ended(int pidfd)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

int wi_os_die_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t now = (pid_t)syscall(SYS_getppid);
    // 0: the parent lies in an outer pid namespace.
    return now == parent || now == 0 ? 0 : -ESRCH;
}

struct entry64 { // struct linux_dirent64
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static int number_of(const char *name)
{
    int n = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        n = n * 10 + (*name - '0');
    return *name == '\0' ? n : -1;
}

// For kernels before 5.11 and for container profiles that refuse close_range.
// Only system calls: it runs between clone and exec.
static void close_on_exec_by_proc(int first)
{
    _Alignas(8) char buffer[1024];
    int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    long n;
    while ((n = syscall(SYS_getdents64, dir, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < n;) {
            struct entry64 *entry = (struct entry64 *)(buffer + at);
            at += entry->size;
            int fd = number_of(entry->name);
            if (fd >= first)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    close(dir);
}

void wi_os_close_on_exec_from(int fd)
{
    if (syscall(SYS_close_range, fd, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        close_on_exec_by_proc(fd);
}

void wi_os_be_victim(void)
{
    char text[16];
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n > 0) {
        text[n] = '\0';
        int score = atoi(text) + 100;
        n = snprintf(text, sizeof text, "%d", score < 1000 ? score : 1000);
        n = pwrite(fd, text, (size_t)n, 0);
    }
    close(fd);
}

void wi_os_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}

void wi_os_unsetenv(const char *name)
{
    unsetenv(name);
}

void wi_os_set_environ(char **env)
{
    environ = env;
}

int wi_os_chdir(const char *path)
{
    return chdir(path) == 0 ? 0 : -errno;
}

const char *wi_os_program_name(void)
{
    return program_invocation_name;
}

const char *wi_os_program_short_name(void)
{
    return program_invocation_short_name;
}

void wi_os_flush(void)
{
    fflush(NULL);
}

bool wi_os_is_terminal(int fd)
{
    int saved = errno;
    bool yes = isatty(fd);
    errno = saved;
    return yes;
}

_Noreturn void wi_os_leave(int status)
{
    wi_os_run_at_exit();
    fflush(NULL);
    _exit(status);
}

_Noreturn void wi_os_exit_now(int status)
{
    _exit(status);
}

const char *wi_os_signal_name(int sig)
{
    static const char *const names[] = {
        [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",
        [SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",
        [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",   [SIGKILL] = "SIGKILL",
        [SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
        [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM",
        [SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ", [SIGSYS] = "SIGSYS",
    };
    bool known = sig > 0 && sig < (int)(sizeof names / sizeof *names);
    return known && names[sig] != NULL ? names[sig] : "an unusual signal";
}
