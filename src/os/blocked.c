// SPDX-License-Identifier: MIT
//
// /proc/self/task/N/syscall tells which system call a thread sleeps in.
#include "os/blocked.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/read_text.h"

int64_t wi_os_thread_cpu(pid_t thread)
{
    // As pthread_getcpuclockid does: the id, with "a thread" and "precise".
    clockid_t clock = (clockid_t)(~(unsigned)thread << 3 | 6);
    struct timespec used;
    if (clock_gettime(clock, &used) != 0)
        return -1;
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

// Reads a file of /proc/self/task/N; false if there is none or nothing in it.
static bool read_task(pid_t thread, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)thread, file);
    return wi_os_read_text(path, text, size);
}

// What no program waits in: for the memory map that other threads change, or
// for nothing.
static bool harmless(long call)
{
    static const long calls[] = {
        SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise,     SYS_mremap,
        SYS_brk,  SYS_mlock,  SYS_clone,    SYS_sched_yield, SYS_membarrier};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i] == call)
            return true;
    }
    return false;
}

// Where the number of the call is not told: a kernel without it, or a program
// that may not be traced.
static bool is_asleep(pid_t thread)
{
    char text[512];
    if (!read_task(thread, "stat", text, sizeof text))
        return false;
    // The state follows the name, which may hold any character.
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && (name_end[2] == 'S' || name_end[2] == 'D');
}

bool wi_os_thread_blocked(pid_t thread, long *call)
{
    char text[256], *end;
    *call = -1;
    if (!read_task(thread, "syscall", text, sizeof text))
        return is_asleep(thread);
    // "running", or "-1 ..." outside of a call, or "0 0x3 ..."
    long number = strtol(text, &end, 10);
    if (end == text || number < 0 || harmless(number))
        return false;
    *call = number;
    return true;
}

// A number in the status of the process, behind a name that is a line's start.
static bool read_status(const char *name, int base, uint64_t *value)
{
    char text[4096];
    if (!read_task(getpid(), "status", text, sizeof text))
        return false;
    const char *line = strstr(text, name);
    if (line == NULL)
        return false;
    *value = strtoull(line + strlen(name), NULL, base);
    return true;
}

unsigned wi_os_thread_count(void)
{
    uint64_t n;
    return read_status("\nThreads:", 10, &n) ? (unsigned)n : 0;
}

bool wi_os_catches_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
                                 SIGTRAP, SIGABRT, SIGSYS};
    uint64_t caught;
    if (!read_status("\nSigCgt:", 16, &caught))
        return true;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        caught &= ~(1ull << (faults[i] - 1));
    for (int s = 32; s < SIGRTMIN; s++) // the C library's
        caught &= ~(1ull << (s - 1));
    return caught != 0;
}

struct call_name {
    long call;
    const char *name;
};

#define CALL(name)                                                             \
    {                                                                          \
        SYS_##name, #name                                                      \
    }

static const struct call_name call_names[] = {
    CALL(read),       CALL(write),         CALL(pread64),
    CALL(pwrite64),   CALL(readv),         CALL(writev),
    CALL(ppoll),      CALL(pselect6),      CALL(epoll_pwait),
    CALL(futex),      CALL(nanosleep),     CALL(clock_nanosleep),
    CALL(accept),     CALL(accept4),       CALL(connect),
    CALL(recvfrom),   CALL(recvmsg),       CALL(sendto),
    CALL(sendmsg),    CALL(wait4),         CALL(waitid),
    CALL(flock),      CALL(fcntl),         CALL(fsync),
    CALL(fdatasync),  CALL(sync),          CALL(openat),
    CALL(ioctl),      CALL(rt_sigsuspend), CALL(rt_sigtimedwait),
    CALL(sendfile),   CALL(splice),        CALL(getrandom),
#ifdef SYS_poll
    CALL(poll),
#endif
#ifdef SYS_select
    CALL(select),
#endif
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#endif
#ifdef SYS_pause
    CALL(pause),
#endif
#ifdef SYS_open
    CALL(open),
#endif
};

const char *wi_os_call_name(long call)
{
    for (size_t i = 0; i < sizeof call_names / sizeof *call_names; i++) {
        if (call_names[i].call == call)
            return call_names[i].name;
    }
    return NULL;
}

struct place {
    uintptr_t code;
    char *text;
    size_t size;
};

static bool holds(const struct dl_phdr_info *module, uintptr_t code)
{
    for (size_t i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];
        if (part->p_type == PT_LOAD &&
            code - module->dlpi_addr - part->p_vaddr < part->p_memsz)
            return true;
    }
    return false;
}

// dladdr would take the loader's lock, which a library's constructor that
// waits for us holds; this takes only the lock of the list.
static int place_in(struct dl_phdr_info *module, size_t size, void *arg)
{
    (void)size;
    struct place *place = arg;
    if (!holds(module, place->code))
        return 0;
    const char *path = module->dlpi_name;
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : path;
    if (name == NULL || *name == '\0')
        name = program_invocation_short_name;
    snprintf(place->text, place->size, "%s+0x%lx", name,
             (unsigned long)(place->code - module->dlpi_addr));
    return 1;
}

void wi_os_code_place(uintptr_t code, char *text, size_t size)
{
    struct place place = {code, text, size};
    snprintf(text, size, "0x%lx", (unsigned long)code);
    dl_iterate_phdr(place_in, &place);
}
