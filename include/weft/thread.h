// SPDX-License-Identifier: MIT
//
// thread.h: OS threads as futures. They run truly in parallel, may call
// blocking C code, and every Weft call works in them.
#ifndef WEFT_THREAD_H
#define WEFT_THREAD_H

#include <weft/base.h>
#include <weft/task.h>

// What becomes of a thread that is still running when the program exits: when
// main returns, or by exit(). (pthread_exit() in main is no exit: Weft's own
// threads run on, and with them the program.) A callback that runs on one of
// Weft's own threads must not block: an exit() there asks, and waits for none.
enum weft_thread_exit {
    WEFT_EXIT_JOIN = 0, // exit waits for it, as in Python
    WEFT_EXIT_CANCEL,   // exit asks it to cancel, then waits
    WEFT_EXIT_ABANDON,  // exit does not wait (Python's daemon)
};

struct weft_thread_options {
    size_t size;
    const char *name;     // copied; the first 15 bytes are also the OS's name
    size_t stack_size;    // bytes, rounded up to pages; 0: the system's default
    const unsigned *cpus; // CPUs it may run on; NULL: as the caller
    size_t cpu_count;     // how many numbers stand in cpus
    weft_group *group;    // a group that joins it; NULL: none, see on_exit
    void (*drop)(void *arg); // called once if the body never runs
    enum weft_thread_exit on_exit;
};

WEFT_BEGIN

// Starts fn(arg) in a new OS thread. The thread is running or has failed to
// start when this returns. Never NULL. Unlike a task, a thread belongs to a
// group only if .group says so. Blocks: no. Threads: any. Errors: a failed
// future with -EAGAIN (the system's limit), -ENOMEM, -EINVAL (a CPU that does
// not exist), -WEFT_EFORKED. Since 0.1.
WEFT_API weft_future *
weft_thread_start_with(weft_function *fn, void *arg,
                       const struct weft_thread_options *options);

// The kernel's id of a running thread or process, 0 when it has ended or f is
// neither. Since 0.1.
WEFT_API pid_t weft_future_native_id(weft_future *f);

// A handle on the task, job or thread that runs; the caller's. NULL in the main
// task of a run and in a thread that Weft did not start: nobody can join these.
// Threads: any. Since 0.1.
WEFT_API weft_future *weft_current(void);

// Names the running task or thread (copied, cut at 31 bytes); the operating
// system shows the first 15 bytes of a thread's. Returns 0 or -ENOMEM.
// Since 0.1.
WEFT_API int weft_set_current_name(const char *name);

// The kernel's id of the calling thread. Since 0.1.
WEFT_API pid_t weft_native_id(void);

// Handles on the threads that weft_thread_start has started and that still run,
// the latest first; at most n, which are the caller's to give back. Returns how
// many there are. Threads: any. Since 0.1.
WEFT_API size_t weft_thread_list(weft_future **threads, size_t n);

// How many bytes of the stack that the caller runs on have ever been used, in
// whole pages: by the caller and, since stacks are used again, by others before
// it. 0 if it cannot be told. Since 0.1.
WEFT_API size_t weft_stack_high_water(void);

// How many CPUs this process may use: affinity and every cgroup quota above
// it, rounded up, at least 1; WEFT_NPROC overrides. Since 0.1.
WEFT_API unsigned weft_cpu_count(void);

WEFT_END

#ifndef __cplusplus
#define weft_thread_start(fn, ...) WEFT_THREAD_START_((fn), __VA_ARGS__, )
#define WEFT_THREAD_START_(fn, arg, ...)                                       \
    weft_thread_start_with((fn), (arg),                                        \
                           WEFT_OPTIONS(weft_thread_options, __VA_ARGS__))
#else
inline weft_future *weft_thread_start(weft_function *fn, void *arg,
                                      weft_thread_options o = {})
{
    o.size = sizeof o;
    return weft_thread_start_with(fn, arg, &o);
}
#endif

#endif
