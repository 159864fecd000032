// SPDX-License-Identifier: MIT
//
// The file system: Landlock (since 5.13) takes away every right to files that
// is not given back for a path. Rights that a kernel does not know it leaves
// alone; so later kernels take more away. Descriptors that are open stay so.
//
// System calls: a filter that lets through what a computation with open
// descriptors, threads and Weft's own rings need, and answers EPERM to the
// rest: no new files, sockets or processes, no signals to others. What a filter
// cannot see is what a pointer points to, so every call that takes a path is
// refused.
//
// Both are for good, also for what is executed later; neither needs privileges,
// only the promise not to get any by exec (no_new_privs).
#include "os/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/blocked.h"
#include "os/thread.h"

// Landlock --------------------------------------------------------------------

// The same on all architectures.
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };

enum {
    GET_VERSION = 1,
    PATH_BENEATH = 1,
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_FIRST = (1 << 13) - 1, // all rights of the first version
    FS_REFER = 1 << 13,       // since 2
    FS_TRUNCATE = 1 << 14,    // since 3
    FS_IOCTL_DEV = 1 << 15,   // since 5
    FS_OF_FILES =
        FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    FS_READ = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR,
};

struct path_rule { // struct landlock_path_beneath_attr
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static uint64_t known_rights(void)
{
    long version = syscall(CREATE_RULESET, NULL, 0, GET_VERSION);
    uint64_t rights = version < 1 ? 0 : FS_FIRST;
    rights |= version < 2 ? 0 : FS_REFER;
    rights |= version < 3 ? 0 : FS_TRUNCATE;
    return rights | (version < 5 ? 0 : FS_IOCTL_DEV);
}

static int allow_path(int ruleset, uint64_t rights, const char *path)
{
    struct stat st;
    struct path_rule rule = {rights, open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent < 0)
        return -errno;
    if (fstat(rule.parent, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_FILES;
    long rc = syscall(ADD_RULE, ruleset, PATH_BENEATH, &rule, 0);
    int error = rc < 0 ? -errno : 0;
    close(rule.parent);
    return error;
}

static int allow_paths(int ruleset, uint64_t known,
                       const struct wi_sandbox *sandbox, const char **what)
{
    const char *at = sandbox->list, *end = at + sandbox->size;
    int rc = 0;
    while (at < end && rc == 0) {
        uint64_t rights = *at == 'w' ? known : known & FS_READ;
        rc = allow_path(ruleset, rights, at + 1);
        if (rc < 0)
            *what = at + 1;
        at += strlen(at) + 1;
    }
    return rc;
}

// Landlock confines the calling thread, and those that it starts from then on.
// Weft's own that run already open no files.
static bool has_threads(void)
{
    return wi_os_thread_count() > wi_os_thread_services() + 1;
}

static int restrict_paths(const struct wi_sandbox *sandbox, const char **what)
{
    uint64_t known = known_rights();
    *what = "Landlock";
    if (known == 0)
        return -ENOSYS;
    if (has_threads()) {
        *what = "Landlock, for threads that run already";
        return -EBUSY;
    }
    int ruleset = (int)syscall(CREATE_RULESET, &known, sizeof known, 0);
    if (ruleset < 0)
        return -errno;
    int rc = allow_paths(ruleset, known, sandbox, what);
    if (rc == 0 && syscall(RESTRICT_SELF, ruleset, 0) != 0)
        rc = -errno;
    close(ruleset);
    return rc;
}

// The filter ------------------------------------------------------------------

#if defined(__x86_64__)
enum { ARCH = (int)0xc000003e };
#elif defined(__aarch64__)
enum { ARCH = (int)0xc00000b7 };
#else
enum { ARCH = 0 };
#endif

// Let through whatever their arguments are.
static const int harmless[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_lseek,
    SYS_close,
    SYS_fstat,
    SYS_fallocate,
    SYS_ftruncate,
    SYS_fsync,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_mincore,
    SYS_futex,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_getppid,
    SYS_gettid,
    SYS_getrusage,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_membarrier,
    SYS_ppoll,
    SYS_epoll_pwait,
    SYS_epoll_ctl,
    SYS_exit,
    SYS_exit_group,
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_time
    SYS_time,
#endif
#ifdef SYS_rseq
    SYS_rseq,
#endif
    441, // epoll_pwait2
    449, // futex_waitv
};

enum {
    N_HARMLESS = sizeof harmless / sizeof *harmless,
    MOST = 2 * N_HARMLESS + 32
};

struct program {
    struct sock_filter code[MOST];
    unsigned short n;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes,
                uint8_t no)
{
    p->code[p->n++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *p, size_t offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct program *p, uint32_t what)
{
    add(p, BPF_RET | BPF_K, what, 0, 0);
}

enum { REFUSE = SECCOMP_RET_ERRNO | EPERM, LACK = SECCOMP_RET_ERRNO | ENOSYS };

// The call number is loaded, before and after.
static void allow(struct program *p, int call)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    answer(p, SECCOMP_RET_ALLOW);
}

// Lets the call through if its first argument, or some bits of it, has a value;
// little-endian.
static void allow_if(struct program *p, int call, uint32_t mask, uint32_t value)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 5);
    load(p, offsetof(struct seccomp_data, args[0]));
    add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(p, SECCOMP_RET_ALLOW);
    answer(p, REFUSE);
}

static void build(struct program *p)
{
    p->n = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ARCH, 1, 0);
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N_HARMLESS; i++)
        allow(p, harmless[i]);
    allow_if(p, SYS_clone, CLONE_THREAD, CLONE_THREAD);
    allow_if(p, SYS_tgkill, ~0u, (uint32_t)getpid()); // raise, abort
    allow_if(p, SYS_prctl, ~0u, PR_SET_NAME);
    // Its arguments lie in memory; libraries fall back to clone.
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 435, 0, 1); // clone3
    answer(p, LACK);
    answer(p, REFUSE);
}

// For all threads of the process, should there be others by now; they promise
// with it not to get any privileges.
static int install(struct sock_filter *code, unsigned short n)
{
    struct sock_fprog prog = {n, code};
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_TSYNC, &prog);
    // Above 0: a thread that has a filter of its own. Then none has this one.
    return rc < 0 ? -errno : rc > 0 ? -EBUSY : 0;
}

static int filter_calls(void)
{
    struct program p;
    if (ARCH == 0)
        return -ENOSYS;
    build(&p);
    return install(p.code, p.n);
}

// Each thread promises for itself; others do only with a filter.
static int promise(bool filter_follows)
{
    struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    bool alone = wi_os_thread_count() <= 1;
    return alone || filter_follows ? 0 : install(&all, 1);
}

int wi_os_sandbox_enter(const struct wi_sandbox *sandbox, const char **what)
{
    int rc = 0;
    *what = "no_new_privs";
    if (sandbox->no_new_privs || sandbox->paths || sandbox->compute)
        rc = promise(sandbox->compute);
    if (rc == 0 && sandbox->paths)
        rc = restrict_paths(sandbox, what);
    if (rc < 0 || !sandbox->compute)
        return rc;
    *what = "the system call filter";
    return filter_calls();
}
