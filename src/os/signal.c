// SPDX-License-Identifier: MIT
//
// A host program may have a SIGSEGV handler of its own: a crash reporter, a
// garbage collector, a sanitizer. It must see what it would have seen without
// us: the same arguments, the same signal mask, and the fault once more if it
// returns without having repaired it. Only the stack is another one.
#include "os/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "os/memory.h"
#include "os/registers.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51 // glibc 2.34
#endif

#define HANDLER_ROOM ((size_t)64 << 10) // for the handler of the host
#define OLD_FRAME    ((size_t)8 << 10)

enum { SPARES = 8 };

// What was installed before, of SIGSEGV and SIGBUS. Written once before the
// handler that reads it is installed.
static struct sigaction previous[2];
static void (*watcher)(const struct wi_os_fault *fault);

static struct sigaction *previous_of(int sig)
{
    return &previous[sig == SIGBUS];
}

// Whether the instruction will fault again when the handler returns. Signals
// that were sent do not, nor does memory that was found bad in the background.
static bool comes_again(int sig, const siginfo_t *info)
{
#ifdef BUS_MCEERR_AO
    if (sig == SIGBUS && info->si_code == BUS_MCEERR_AO)
        return false;
#endif
    return info->si_code > 0;
}

static void do_default(int sig, const siginfo_t *info)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    sigaction(sig, &action, NULL);
    // It is blocked now and comes when the handler returns.
    if (!comes_again(sig, info))
        raise(sig);
}

static void call(const struct sigaction *action, int sig, siginfo_t *info,
                 void *context)
{
    sigset_t set;

    if (action->sa_flags & SA_NODEFER) {
        sigemptyset(&set);
        sigaddset(&set, sig);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(sig, info, context);
    else
        action->sa_handler(sig);
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
    struct sigaction *action = previous_of(sig);
    struct sigaction once = *action;

    if (action->sa_handler == SIG_IGN && !comes_again(sig, info))
        return;
    if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        do_default(sig, info);
        return;
    }
    if (action->sa_flags & (int)SA_RESETHAND)
        action->sa_handler = SIG_DFL;
    call(&once, sig, info, context);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    struct wi_os_registers at = wi_os_registers(context);
    struct wi_os_fault fault = {
        .address = (uintptr_t)info->si_addr, .sp = at.sp, .pc = at.pc};
    int saved = errno;

    if (comes_again(sig, info))
        watcher(&fault);
    errno = saved;
    pass_on(sig, info, context);
}

static int watch(int sig)
{
    struct sigaction action = {.sa_sigaction = on_fault};

    if (sigaction(sig, NULL, previous_of(sig)) < 0)
        return -errno;
    action.sa_mask = previous_of(sig)->sa_mask;
    action.sa_flags =
        SA_SIGINFO | SA_ONSTACK | (previous_of(sig)->sa_flags & SA_RESTART);
    return sigaction(sig, &action, NULL) < 0 ? -errno : 0;
}

int wi_os_fault_watch(void (*look)(const struct wi_os_fault *fault))
{
    int rc;

    watcher = look;
    rc = watch(SIGSEGV);
    return rc < 0 ? rc : watch(SIGBUS);
}

// Alternate stacks ------------------------------------------------------------

static __thread void *own_stack;
static __thread unsigned own_uses; // how often it was asked for

// The kernel's frame has the vector registers and may be 10 KiB.
static size_t handler_size(void)
{
    size_t frame = getauxval(AT_MINSIGSTKSZ), page = wi_os_page_size();

    // Kernels before 5.14 do not say.
    if (frame < OLD_FRAME)
        frame = OLD_FRAME;
    return (frame + HANDLER_ROOM + page - 1) / page * page;
}

// Those of threads that have ended, for the next ones: a thread that starts
// shall not pay for mappings.
static void *spare[SPARES];

static void *take_stack(void)
{
    size_t guard = wi_os_page_size();
    char *base;

    for (int i = 0; i < SPARES; i++) {
        // relaxed: a look; acquire: pairs with give_stack
        if (__atomic_load_n(&spare[i], __ATOMIC_RELAXED) &&
            (base = __atomic_exchange_n(&spare[i], NULL, __ATOMIC_ACQUIRE)))
            return base;
    }
    base = wi_os_map(guard + handler_size());
    if (base)
        (void)wi_os_forbid(base, guard);
    return base;
}

static void give_stack(void *base)
{
    for (int i = 0; i < SPARES; i++) {
        void *none = NULL;
        // release: pairs with take_stack
        if (__atomic_compare_exchange_n(&spare[i], &none, base, false,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
    }
    wi_os_unmap(base, wi_os_page_size() + handler_size());
}

int wi_os_signal_stack_init(void)
{
    stack_t stack = {.ss_size = handler_size()}, had;
    char *base;

    if (own_stack) {
        own_uses++;
        return 0;
    }
    base = take_stack();
    if (!base)
        return -ENOMEM;
    stack.ss_sp = base + wi_os_page_size();
    if (sigaltstack(&stack, &had) < 0) {
        int rc = -errno;
        give_stack(base);
        return rc;
    }
    if (!(had.ss_flags & SS_DISABLE)) { // the host's own
        sigaltstack(&had, NULL);
        give_stack(base);
        return 0;
    }
    own_stack = base;
    own_uses = 1;
    return 0;
}

void wi_os_signal_stack_fini(void)
{
    stack_t off = {.ss_flags = SS_DISABLE}, had;

    if (!own_stack || --own_uses > 0)
        return;
    // The host may have set up another one since.
    if (sigaltstack(&off, &had) == 0 &&
        had.ss_sp != (char *)own_stack + wi_os_page_size())
        sigaltstack(&had, NULL);
    give_stack(own_stack);
    own_stack = NULL;
}
