// SPDX-License-Identifier: MIT
//
// One request at a time:
//     NONE --asker--> ASKED --thread--> TAKEN --thread--> DONE --asker--> NONE
//                     ASKED --asker, out of patience--> NONE
// by compare-and-swap, so that a handler that comes late finds nothing to do
// and the asker never leaves while a handler writes.
//
// The stack is walked by the compiler's unwinder, from the handler down through
// the frame of the signal; frames up to where the thread was interrupted are
// the handler's own. The unwinder is loaded and takes memory at its first use
// only, so it is used once before. Without glibc a program may have none: then
// no frames are seen.
#include "os/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <execinfo.h>
#else
#include <unwind.h>
#pragma weak _Unwind_Backtrace
#pragma weak _Unwind_GetIP
#endif

#include "os/clock.h"
#include "os/futex.h"
#include "os/registers.h"

enum { NONE = 0, ASKED, TAKEN, DONE };

enum { OWN = 8 }; // frames of the handler, at most

static struct {
    uint32_t state; // atomic, see above; the rest is the asker's while NONE
    pid_t thread;
    struct wi_os_trace *trace;
} request;

static int trace_signal; // 0: none yet

// The return addresses of the caller's stack, innermost first; returns how
// many.
#if defined(__GLIBC__)
// It loads the compiler's unwinder at its first call: no other program has to.
static unsigned walk(void **codes, unsigned most)
{
    int n = backtrace(codes, (int)most);
    return n > 0 ? (unsigned)n : 0;
}
#else
struct walk {
    void **codes;
    unsigned count, most;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    if (walk->count == walk->most)
        return _URC_END_OF_STACK;
    walk->codes[walk->count++] = (void *)_Unwind_GetIP(context);
    return _URC_NO_REASON;
}

static unsigned walk(void **codes, unsigned most)
{
    struct walk walk = {codes, 0, most};
    if (_Unwind_Backtrace != NULL && _Unwind_GetIP != NULL)
        _Unwind_Backtrace(on_frame, &walk);
    return walk.count;
}
#endif

// From where the thread was interrupted on: what comes before are the handler's
// own. A return address may stand behind the end of the function that called.
static void keep(struct wi_os_trace *trace, void *const *codes, unsigned n,
                 uintptr_t from)
{
    unsigned i = 0;
    while (from != 0 && i < n && (uintptr_t)codes[i] != from)
        i++;
    for (; i < n && trace->count < WI_TRACE_MOST; i++)
        trace->frames[trace->count++] =
            (uintptr_t)codes[i] - ((uintptr_t)codes[i] != from);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    uint32_t asked = ASKED;
    (void)sig;
    (void)info;
    // acquire: pairs with the asker's release; only one that is asked takes it
    if (__atomic_load_n(&request.state, __ATOMIC_ACQUIRE) == ASKED &&
        request.thread == (pid_t)syscall(SYS_gettid) &&
        __atomic_compare_exchange_n(&request.state, &asked, TAKEN, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        struct wi_os_trace *trace = request.trace;
        void *codes[WI_TRACE_MOST + OWN];
        trace->look(trace);
        keep(trace, codes, walk(codes, WI_TRACE_MOST + OWN),
             wi_os_registers(context).pc);
        // release: pairs with the asker's load
        __atomic_store_n(&request.state, DONE, __ATOMIC_RELEASE);
        wi_os_futex_wake(&request.state, 1, false);
    }
    errno = saved;
}

static int free_signal(void)
{
    for (int sig = SIGRTMAX; sig >= SIGRTMIN; sig--) {
        struct sigaction now;
        if (sigaction(sig, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
            now.sa_handler == SIG_DFL)
            return sig;
    }
    return 0;
}

int wi_os_trace_init(void)
{
    if (trace_signal != 0)
        return 0;
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags =
                                   SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    void *first[1];
    int sig = free_signal();
    sigfillset(&action.sa_mask);
    if (sig == 0 || sigaction(sig, &action, NULL) < 0)
        return -EAGAIN;
    (void)walk(first, 1);
    trace_signal = sig;
    return 0;
}

// Until the thread has answered or the time is over; true if it has.
static bool await(int64_t deadline)
{
    uint32_t state;
    int rc = 0;
    // acquire: pairs with the release of the handler
    while ((state = __atomic_load_n(&request.state, __ATOMIC_ACQUIRE)) !=
           DONE) {
        uint32_t asked = ASKED;
        if (rc == -ETIMEDOUT && state == ASKED &&
            // relaxed: nothing was written
            __atomic_compare_exchange_n(&request.state, &asked, NONE, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return false;
        rc = wi_os_futex_wait(&request.state, state,
                              state == ASKED ? deadline : WI_FOREVER, false);
    }
    // relaxed: the asker's own again
    __atomic_store_n(&request.state, NONE, __ATOMIC_RELAXED);
    return true;
}

int wi_os_trace_take(pid_t thread, struct wi_os_trace *trace, int64_t wait_ns)
{
    int64_t deadline = wi_os_now() + wait_ns;
    if (trace_signal == 0)
        return -EAGAIN;
    trace->count = 0;
    request.thread = thread;
    request.trace = trace;
    // release: pairs with the acquire of the handler
    __atomic_store_n(&request.state, ASKED, __ATOMIC_RELEASE);
    if (syscall(SYS_tgkill, getpid(), thread, trace_signal) < 0) {
        int code = -errno;
        __atomic_store_n(&request.state, NONE, __ATOMIC_RELAXED);
        return code;
    }
    return await(deadline) ? 0 : -ETIMEDOUT;
}
