// SPDX-License-Identifier: MIT
//
// task.h: running, starting and pausing tasks. A task is a function on its
// own stack that parks instead of blocking its thread. It is called directly
// on the worker's stack, so one that never waits costs a function call; once
// started it never changes thread, so errno and thread-locals keep their
// addresses (thread-locals are shared by the tasks of the thread).
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/base.h>
#include <weft/future.h>

typedef struct weft_group weft_group;
typedef struct weft_waiter weft_waiter;

// The body of a task, a thread or a process: returns >= 0 for success or a
// negative code. The code is what weft_join gives.
typedef int weft_function(void *arg);

struct weft_run_options {
    size_t size;
    const char *name;  // of the main task
    unsigned workers;  // threads that run tasks, this one included, at most
                       // 256 (else -EINVAL); 0 means 1
    size_t stack_size; // of each task: bytes; 0 means 256 KiB
    double grace;      // seconds before a child that will not end is reported;
                       // 0 means 10, INFINITY never
    bool interrupt;    // SIGINT cancels the root group and the main task, and
                       // a second one does what it did before: it ends the
                       // program. Not where the process ignores SIGINT
    double stall;      // seconds that a task may have its worker to itself;
                       // one that does longer is reported once, with its
                       // stack as module+offset. It is interrupted for that
                       // by a real-time signal: a call that sleeps may end
                       // with EINTR. 0: what WEFT_STALL in the environment
                       // says, else never, as INFINITY
};

struct weft_task_options {
    size_t size;
    const char *name;  // copied, cut at 31 bytes; shown by `weft ps`
    weft_group *group; // who owns the task; NULL: the innermost open group
    void (*drop)(void *arg); // called once if the body never runs
    bool eager; // begin at once: the caller goes on when the task has ended or
                // waits for the first time. Not for a task of another run, from
                // a plain thread, or in a callback (weft_future_on_done, .drop,
                // .on_cancel): those begin as without it
};

WEFT_BEGIN

// Runs fn(arg) as the main task, with this thread as a worker, until it and
// every task of its root group have ended: when fn returns, what still runs
// is canceled and joined, as with asyncio.run. Returns fn's code, or a
// negative code if the run could not start. Inside a task: a nested run,
// which blocks the worker; start a group instead. In C++ an exception must not
// leave the body of a task or job: it ends the program. One that leaves fn
// passes through this call, and the run with its tasks is left as it is.
// Blocks: the calling thread. Threads: any plain thread. Errors: -ENOMEM,
// -EMFILE, -EAGAIN (no thread for one of .workers), -EINVAL (options), -EBUSY
// (.interrupt: another run of this process has it; or why the system refuses a
// handler), -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_run_with(weft_function *fn, void *arg,
                           const struct weft_run_options *options);

// Starts fn(arg) as a task of the current run; from a plain thread outside any
// run, of the process-wide default loop. With .group, of the run in which that
// was opened, or of that loop. It begins while the caller waits: in
// the order of starting, behind those tasks that can go on, except that a join
// may run its own child first.
// Never NULL. The task belongs to a group even when its handle is dropped.
// Blocks: no. Threads: any. Errors: a failed future with -ENOMEM, -EAGAIN (no
// thread for the default loop), -WEFT_ECLOSED (the group is closed, or the
// default loop is, as the program ends), -WEFT_EFORKED. Since 0.1.
WEFT_API weft_future *
weft_task_start_with(weft_function *fn, void *arg,
                     const struct weft_task_options *options);

// Lets the other tasks of this worker that can go on do so, or if there are
// none the next that has not begun, then goes on; in a plain thread yields the
// CPU. Returns 0, -ECANCELED or -ETIMEDOUT. Since 0.1.
WEFT_API int weft_yield(void);

// Sleeps for `seconds`. 0 or less is weft_yield. Returns 0 when the time has
// passed. Blocks: the caller only. Cancels: yes. Threads: any.
// Errors: -ECANCELED, -ETIMEDOUT. Since 0.1.
WEFT_API int weft_sleep(double seconds);

// Tests the caller's scopes without blocking or yielding, for loops that
// compute: 0, -ECANCELED or -ETIMEDOUT. Costs a few instructions. Since 0.1.
WEFT_API int weft_check(void);

// The monotonic clock in seconds; the zero is arbitrary. Since 0.1.
WEFT_API double weft_now(void);

// The id of the running task, thread or job, as in weft_future_id. Since 0.1.
WEFT_API uint64_t weft_current_id(void);

// Copies the name of the running task, job, thread or process ("" if it has
// none; a job of a process pool has that of its record); cut to size - 1 bytes.
// Returns the name's whole length. Since 0.1.
WEFT_API size_t weft_current_name(char *name, size_t size);

// The caller as something that can be unparked. Valid for ever: a waiter
// whose task has ended is never freed, unparking it does nothing of harm.
// Since 0.1.
WEFT_API weft_waiter *weft_self(void);

// Parks until weft_unpark(self), for at most `seconds`. Returns 0 when
// unparked, -ETIMEDOUT when the time or a scope's deadline passed, -ECANCELED.
// A wake is a hint and may be spurious: wait in a loop on a condition. An
// unpark that comes first is remembered: the next park returns at once.
// Blocks: the caller only. Threads: any. Since 0.1.
WEFT_API int weft_park(double seconds);

// Wakes a waiter. Blocks: no. Threads: any; not in a signal handler.
// Since 0.1.
WEFT_API void weft_unpark(weft_waiter *waiter);

// As weft_unpark, for signal handlers: async-signal-safe. Since 0.1.
WEFT_API void weft_unpark_signal(weft_waiter *waiter);

// After fork() in the child: makes a fresh runtime. Handles of the parent are
// dead, what its tasks held is poisoned. A body that has forked may return in
// the child if it is a thread's or the main task's of a run; those of other
// tasks and of jobs must not: what called them is the parent's. Returns 0 or
// -EINVAL outside such a child. Since 0.1.
WEFT_API int weft_fork_child(void);

WEFT_END

#ifndef __cplusplus
#define weft_run(fn, ...) WEFT_RUN_((fn), __VA_ARGS__, )
#define WEFT_RUN_(fn, arg, ...)                                                \
    weft_run_with((fn), (arg), WEFT_OPTIONS(weft_run_options, __VA_ARGS__))
#define weft_task_start(fn, ...) WEFT_TASK_START_((fn), __VA_ARGS__, )
#define WEFT_TASK_START_(fn, arg, ...)                                         \
    weft_task_start_with((fn), (arg),                                          \
                         WEFT_OPTIONS(weft_task_options, __VA_ARGS__))
#else
inline int weft_run(weft_function *fn, void *arg, weft_run_options o = {})
{
    o.size = sizeof o;
    return weft_run_with(fn, arg, &o);
}
inline weft_future *weft_task_start(weft_function *fn, void *arg,
                                    weft_task_options o = {})
{
    o.size = sizeof o;
    return weft_task_start_with(fn, arg, &o);
}
#endif

#endif
