// SPDX-License-Identifier: MIT
//
// fork() would make a child of this process. Its death would kill that child,
// if it is to be killed with its parent (PR_SET_PDEATHSIG); its end could be
// waited for by this process only; the one that asked for it would learn
// neither exit status nor resource usage at first hand. With CLONE_PARENT the
// copy is a child of our parent instead, down to the thread that made us, so
// for the parent it is in every respect a child that it has made itself.
//
// fork() does more than the system call: libc keeps the thread's id (its
// mutexes compare it) and a list of robust mutexes, which the kernel forgets
// for a copy. Both are told anew here. Where libc keeps the id is not said
// anywhere. For glibc it is where the kernel shall write at the thread's end;
// otherwise it is looked for in the first words of the thread's descriptor. A
// place is believed only if a mutex takes its owner from there.
//
// The kernel writes the copy's id to *born (CLONE_PARENT_SETTID) before it lets
// the copy run and before this process sees another signal, a SIGKILL too.
#include "os/sibling.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitizer_detect.h"

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

enum { LOOK = 32 }; // words of a thread's descriptor

static int *tid_place;  // where libc keeps the id of this thread
static void *tid_clear; // where the kernel writes at its end
static void *robust;    // the head of its list
static size_t robust_size;

// Whether a mutex takes its owner from *place.
static bool is_used_for_owners(int *place)
{
    enum { ODD = 0x3ffffff };
    int words[sizeof(pthread_mutex_t) / sizeof(int)];
    pthread_mutexattr_t attr;
    pthread_mutex_t mutex;
    int saved = *place;
    if (pthread_mutexattr_init(&attr) != 0 ||
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) != 0 ||
        pthread_mutex_init(&mutex, &attr) != 0)
        return false;
    *(volatile int *)place = ODD;
    pthread_mutex_lock(&mutex);
    memcpy(words, &mutex, sizeof words);
    pthread_mutex_unlock(&mutex);
    *(volatile int *)place = saved;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((words[i] & ODD) == ODD)
            return true;
    return false;
}

static int *find_place(int me)
{
    if (tid_clear != NULL && *(int *)tid_clear == me &&
        is_used_for_owners(tid_clear))
        return tid_clear;
    int *descriptor = (int *)(uintptr_t)pthread_self();
    for (int i = 0; i < LOOK; i++)
        if (descriptor[i] == me && is_used_for_owners(&descriptor[i]))
            return &descriptor[i];
    return NULL;
}

int wi_os_sibling_prepare(void)
{
    if (WI_TSAN || WI_ON_VALGRIND)
        return -ENOTSUP; // they follow fork only
    int me = (int)syscall(SYS_gettid);
    // Without CONFIG_CHECKPOINT_RESTORE the kernel does not tell.
    if (prctl(PR_GET_TID_ADDRESS, &tid_clear, 0, 0, 0) != 0 ||
        syscall(SYS_get_robust_list, 0, &robust, &robust_size) != 0)
        return -ENOTSUP;
    tid_place = find_place(me);
    return tid_place != NULL ? 0 : -ENOTSUP;
}

struct clone_args_0 { // struct clone_args, first version
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal;
    uint64_t stack, stack_size, tls;
};

// Only clone3 has a place for both the pidfd and *born. The exit signal is
// that of this process.
static long clone_with_pidfd(unsigned long flags, uint32_t *born, int *pidfd)
{
    struct clone_args_0 args = {.flags = flags | CLONE_PIDFD,
                                .pidfd = (uintptr_t)pidfd,
                                .child_tid = (uintptr_t)tid_place,
                                .parent_tid = (uintptr_t)born};
    return syscall(SYS_clone3, &args, sizeof args);
}

// flags, stack, the parent's place for the id; then the order differs.
static long clone_without(unsigned long flags, uint32_t *born)
{
#if defined(__x86_64__)
    return syscall(SYS_clone, flags | SIGCHLD, NULL, born, tid_place, 0);
#else
    return syscall(SYS_clone, flags | SIGCHLD, NULL, born, 0, tid_place);
#endif
}

pid_t wi_os_sibling(uint32_t *born, int *pidfd)
{
    const unsigned long flags =
        CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID;
    *pidfd = -1;
    long pid = clone_with_pidfd(flags, born, pidfd);
    if (pid < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL)) {
        *pidfd = -1;
        pid = clone_without(flags, born);
    }
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        syscall(SYS_set_tid_address, tid_clear);
        if (robust != NULL)
            syscall(SYS_set_robust_list, robust, robust_size);
    }
    return (pid_t)pid;
}
