// SPDX-License-Identifier: MIT
//
// The handler puts the default action back and returns: a fault then happens
// again and kills the process with its true signal, core and debugger; a
// signal that was sent is sent again. Only system calls, plain stores and the
// unwinder (backtrace.c), which walks what may be in ruins: before it begins
// all else is known, a second fault ends the process as the first would have,
// and an alarm ends it if it does not come back.
#include "os/fault.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/backtrace.h"
#include "os/event.h"
#include "os/oom.h"
#include "os/own_stack.h"
#include "os/registers.h"

enum { ALT_STACK = 64 << 10, UNWIND_SECONDS = 2 };

static struct wi_fault *page;
static pid_t owner; // a child of fork has not the page
static int fault_bell = -1;

static void begin_alarm(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(UNWIND_SECONDS);
}

static void write_page(int sig, const siginfo_t *info, void *context)
{
    struct wi_os_registers at = wi_os_registers(context);
    page->sig = sig;
    page->code = info->si_code;
    page->address = (uintptr_t)info->si_addr;
    page->pc = at.pc;
    page->thread = (int32_t)syscall(SYS_gettid);
    page->sender = info->si_code <= 0 ? info->si_pid : 0;
    page->stack = sig == SIGSEGV && info->si_code > 0
                      ? wi_os_own_stack_used_up(page->address, at.sp)
                      : 0;
    page->used_up = wi_os_memory_used_up();
    // release, both: pair with the acquires of the parent
    __atomic_store_n(&page->known, 1, __ATOMIC_RELEASE);
    begin_alarm();
    wi_os_backtrace(at.pc, at.fp, page->frames, &page->frame_count);
    alarm(0);
    __atomic_store_n(&page->written, 1, __ATOMIC_RELEASE);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    // relaxed: only who is first matters
    if (getpid() == owner &&
        !__atomic_exchange_n(&page->claimed, 1, __ATOMIC_RELAXED)) {
        write_page(sig, info, context);
        if (fault_bell >= 0)
            wi_os_event_set(fault_bell);
    }
    signal(sig, SIG_DFL);
    if (info->si_code <= 0) // sent, not a fault: it would not come again
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

static void use_alternate_stack(void)
{
    stack_t stack = {.ss_size = ALT_STACK};
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        return;
    stack.ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
}

void wi_os_fault_install(struct wi_fault *fault, int bell)
{
    static const int signals[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                                  SIGABRT, SIGTRAP, SIGSYS};
    page = fault;
    owner = getpid();
    fault_bell = bell;
    use_alternate_stack();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action, old;
        if (sigaction(signals[i], NULL, &old) != 0 ||
            (old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
            continue;
        action = (struct sigaction){.sa_sigaction = on_fault,
                                    .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i], &action, NULL);
    }
}
