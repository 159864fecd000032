// SPDX-License-Identifier: MIT
//
// system KIND PROGRAM [ARGUMENT...]: runs a program as on another system. A
// filter answers the calls that are not there, or that are refused, and the
// flags of those that have learned them later.
//
//     old        Linux 5.10
//     container  a kernel of today whose calls a careful profile refuses
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than the headers of the oldest distribution; the same on all CPUs.
enum {
    CLONE3 = 435,
    CLOSE_RANGE = 436,
    PROCESS_MADVISE = 440,
    EPOLL_PWAIT2 = 441,
    PIDFD_SEND_SIGNAL = 424,
};

static struct sock_filter code[128];
static unsigned short length;

static void add(uint16_t what, uint32_t value, uint8_t yes, uint8_t no)
{
    code[length++] = (struct sock_filter){what, yes, no, value};
}

static void load(size_t offset)
{
    add(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(int error)
{
    add(BPF_RET | BPF_K,
        error == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (unsigned)error, 0,
        0);
}

// The number of the call is loaded before each of these, and after.

static void refuse(unsigned call, int error)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    answer(error);
}

static void refuse_from(unsigned call, int error)
{
    add(BPF_JMP | BPF_JGE | BPF_K, call, 0, 1);
    answer(error);
}

// If one of the bits of an argument is set; little-endian.
static void refuse_bits(unsigned call, unsigned argument, uint32_t bits,
                        int error)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
    load(offsetof(struct seccomp_data, args) + 8 * argument);
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    answer(error);
    load(offsetof(struct seccomp_data, nr));
}

// If an argument has this value.
static void refuse_value(unsigned call, unsigned argument, uint32_t value,
                         int error)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
    load(offsetof(struct seccomp_data, args) + 8 * argument);
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(error);
    load(offsetof(struct seccomp_data, nr));
}

static void be_old(void)
{
    enum {
        CLOEXEC = 4,            // close_range, 5.11
        NOEXEC_SEAL = 8,        // memfd_create, 6.3
        EXEC = 16,              // the same
        GROUP = 7,              // pidfd_send_signal, 6.9
        NOWAIT = 8,             // pwritev2 on a pipe, 6.5
        GUARD_INSTALL = 102,    // madvise, 6.13
        PIDFD_MINE = 0xffffd8ef // PIDFD_SELF_PROCESS, 6.14: -10001
    };
    refuse_from(EPOLL_PWAIT2, ENOSYS); // and futex_waitv, Landlock, ...
    refuse_bits(CLOSE_RANGE, 2, CLOEXEC, EINVAL);
    refuse_bits(SYS_memfd_create, 1, NOEXEC_SEAL | EXEC, EINVAL);
    refuse_bits(PIDFD_SEND_SIGNAL, 3, GROUP, EINVAL);
    refuse_bits(SYS_pwritev2, 5, NOWAIT, EOPNOTSUPP);
    refuse_value(SYS_madvise, 2, GUARD_INSTALL, EINVAL);
    refuse_value(PROCESS_MADVISE, 0, PIDFD_MINE, EBADF);
    refuse_value(SYS_ioctl, 1, 0xc040ff0b, ENOTTY); // PIDFD_GET_INFO, 6.13
}

static void be_contained(void)
{
    refuse_from(EPOLL_PWAIT2, EPERM);
    refuse(CLONE3, ENOSYS);
    refuse(CLOSE_RANGE, EPERM);
    refuse(PIDFD_SEND_SIGNAL, EPERM);
    refuse(PROCESS_MADVISE, EPERM);
    refuse(SYS_membarrier, EPERM);
    refuse(SYS_process_vm_readv, EPERM);
}

int main(int argc, char **argv)
{
    if (argc < 3 ||
        (strcmp(argv[1], "old") != 0 && strcmp(argv[1], "container") != 0)) {
        fputs("usage: system old|container PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    load(offsetof(struct seccomp_data, nr));
    if (strcmp(argv[1], "old") == 0)
        be_old();
    else
        be_contained();
    answer(0);
    struct sock_fprog program = {length, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        printf("SKIP: no filter of system calls: %s\n", strerror(errno));
        return 77;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
