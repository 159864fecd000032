// SPDX-License-Identifier: MIT
//
// process_pool.h: an executor whose jobs run in worker processes, which are
// started as process.h says. A job that crashes its process fails its own
// future only; another worker takes over. A pool is that of the process which
// has made it: in a child of fork each call gives -WEFT_EFORKED.
#ifndef WEFT_PROCESS_POOL_H
#define WEFT_PROCESS_POOL_H

#include <sys/types.h>

#include <weft/base.h>
#include <weft/executor.h>
#include <weft/process.h>

struct weft_process_pool_options {
    size_t size;
    unsigned workers; // jobs that run at once; 0: weft_cpu_count(). One more
                      // process stands by, to take over from one that dies
    const char *name;
    const char *program;           // exec this instead of the program itself
    int (*initializer)(void *arg); // runs first in each worker; a negative
    const void *init_arg;          // code breaks the pool. The argument is
    size_t init_size;              // copied

    // Runs last in a worker that leaves in order, with the initializer's
    // argument; a negative code breaks the pool, or comes out of its close.
    int (*finalizer)(void *arg);
    double leave; // seconds that it may take; 0: 1, or 10 with a finalizer

    // Size. With .idle_timeout workers start when there are jobs for them, and
    // those that were not needed for so many seconds leave, down to
    // .min_workers. 0: always .workers.
    double idle_timeout;
    unsigned min_workers;

    // A worker that has run so many jobs, lived for so many seconds or grown
    // to so many resident bytes leaves after its job. 0: no such limit.
    unsigned max_jobs;
    double max_age;
    size_t max_rss;

    // Back-pressure: submits beyond so many jobs under way, 0: no limit. Jobs
    // that jobs submit are not counted.
    size_t window;
    enum weft_when_full when_full;

    // What its processes are like: all of process.h but .name, .argv, .group,
    // .grace and .drop. Rights are given up after the initializer. NULL: as
    // usual. .program comes from here, too, if it is not given above.
    const struct weft_process_options *process;

    // A job that is canceled or overruns while it runs: seconds from SIGTERM
    // to SIGKILL for its worker. 0: SIGKILL at once.
    double grace;
};

struct weft_process_pool_stats {
    size_t size;
    unsigned workers;   // that take jobs or are starting, with the one that
                        // stands by and one for each that waits
    unsigned starting;  // of these
    unsigned idle;      // of these
    unsigned waiting;   // of these: their job waits for another future
    size_t pending;     // jobs that wait for a worker
    size_t running;     // jobs that a worker has
    uint64_t submitted; // from here on: since the pool was made
    uint64_t done;      // jobs that gave a result
    uint64_t failed;    // that said so themselves
    uint64_t crashed;   // that failed because their worker died
    uint64_t canceled;
    uint64_t overran; // deadlines and timeouts
    uint64_t retried; // runs that began anew because a worker died
    uint64_t started; // workers
    uint64_t died;    // workers that did not leave in order
};

enum weft_worker_state {
    WEFT_WORKER_STARTING,
    WEFT_WORKER_IDLE,
    WEFT_WORKER_BUSY,
    WEFT_WORKER_WAITING, // its job waits for another future
    WEFT_WORKER_LEAVING,
    WEFT_WORKER_DEAD, // and not yet reaped
};

struct weft_worker_stats {
    pid_t pid; // 0: not yet known
    enum weft_worker_state state;
    uint64_t jobs; // that it has ended
    size_t queued; // jobs that it has now
    double mean;   // seconds that its last jobs took
    double age;    // seconds since its start
    double cpu;    // seconds of CPU time
    size_t rss;    // bytes resident
};

WEFT_BEGIN

// A pool of worker processes. Never NULL: a pool that could not start fails
// each submit with the reason. Threads: any. Blocks: no. Since 0.1.
WEFT_API weft_executor *
weft_process_pool_with(const struct weft_process_pool_options *options);

// Changes the number of workers: more start at once, those too many leave when
// they are idle. workers 0: weft_cpu_count(). Returns 0, or -EINVAL if ex is
// no process pool. Threads: any. Blocks: no. Since 0.1.
WEFT_API int weft_process_pool_resize(weft_executor *ex, unsigned workers);

// Fills in *stats as far as its size goes, which the caller has set. Returns
// 0, or -EINVAL if ex is no process pool. Threads: any. Blocks: no. Since 0.1.
WEFT_API int weft_process_pool_stats(weft_executor *ex,
                                     struct weft_process_pool_stats *stats);

// What is known of each worker: at most n are filled in. Returns how many there
// are, or -EINVAL if ex is no process pool. Threads: any. Blocks: no (reads
// /proc). Since 0.1.
WEFT_API ssize_t weft_process_pool_workers(weft_executor *ex,
                                           struct weft_worker_stats *workers,
                                           size_t n);

// The number of a process pool, which may travel in a job's argument; 0 if ex
// is none. Threads: any. Blocks: no. Since 0.1.
WEFT_API uint64_t weft_executor_id(weft_executor *ex);

// In a job of a process pool: the parent's process pool with this number, 0 for
// the pool that runs the job. Jobs may submit to it and wait for what they
// submit, also in a pool of one worker. In the process that has the pool: the
// pool. Never NULL; a pool that is unknown fails each submit with -ESRCH.
// weft_executor_close on a parent's pool does nothing. Threads: any. Blocks:
// no. Since 0.1.
WEFT_API weft_executor *weft_executor_open(uint64_t id);

WEFT_END

#ifndef __cplusplus
#define weft_process_pool(...)                                                 \
    weft_process_pool_with(WEFT_OPTIONS(weft_process_pool_options, __VA_ARGS__))
#else
inline weft_executor *weft_process_pool(weft_process_pool_options o = {})
{
    o.size = sizeof o;
    return weft_process_pool_with(&o);
}
#endif

#endif
