// SPDX-License-Identifier: MIT
//
// executor.h: something that runs jobs. The same job runs on threads or on
// processes (process_pool.h) by changing the line that makes the executor.
//
//     weft_executor *ex = weft_thread_pool(); // or: weft_process_pool()
//     weft_future *f = weft_submit(ex, square, 7);
//     weft_future *g = weft_submit(weft_executor_with(ex, .deadline = 2),
//                                  render, .x = 3, .y = 4);
//     weft_map(ex, square, in, n, out, .chunk = 64);
//     weft_executor_close(ex);
#ifndef WEFT_EXECUTOR_H
#define WEFT_EXECUTOR_H

#include <weft/base.h>
#include <weft/future.h>
#include <weft/job.h>
#include <weft/task.h>

typedef struct weft_executor weft_executor;

// Options of one submit; bound to an executor by weft_executor_with.
struct weft_submit_options {
    size_t size;
    double deadline;  // seconds from submit; the job then fails with
                      // -WEFT_EJOBTIMEOUT. 0: none; negative: it has passed
    const char *name; // copied; the job's name if NULL
    // Of process pools only:
    double timeout;   // seconds that it may run once a worker has it; its
                      // worker is then killed, and it fails with
                      // -WEFT_EJOBTIMEOUT. 0: none
    unsigned retries; // how often it runs again when its worker died: for
                      // jobs that may run twice. 0: it fails then
    // Of pools: above 0: before jobs of 0; below: after them. Jobs of each of
    // the three kinds begin in the order of their submits, more or less. In a
    // pool of threads each kind has the first choice in one of 61.
    int priority;
    // Of thread pools without .blocking: once it has begun, the job may change
    // its thread in each of its waits, and so goes on as soon as any worker is
    // free. For code that keeps nothing in thread-local variables over a wait:
    // no address of one (errno is one), no lock of pthread's, no value that
    // another thread would not find. The value of errno is kept.
    bool migrate;
};

struct weft_map_options {
    size_t size;
    bool ordered;  // stop at the first failure in input order; else at the
                   // first that is seen
    size_t chunk;  // elements a job; 0: chosen from the time they take
    size_t window; // elements under way at most; 0: chosen by the executor
    int *codes;    // n codes, one an element; then a failure does not stop
                   // the rest. Where a whole job has failed, for its worker
                   // died or it ran too long, each of its elements has the code
};

// The two ends of weft_map_stream, called by the caller of the map. The first
// writes the next element to *in and returns 1; 0: there is none; or a negative
// code, which ends the map.
typedef int weft_map_make(void *in, void *arg);

// Gets the result of element `index`, counted from 0, or the code (below 0) by
// which it failed, and out is NULL then. A struct weft_bytes is its own from
// then on. Returns 0, or a negative code, which ends the map.
typedef int weft_map_take(size_t index, int code, const void *out, void *arg);

// How weft_executor_close_with ends an executor.
enum weft_close_mode {
    WEFT_CLOSE_DRAIN = 0,      // everything submitted runs first
    WEFT_CLOSE_CANCEL_PENDING, // what has not started is canceled
    WEFT_CLOSE_CANCEL_ALL,     // what runs is canceled too
};

struct weft_close_options {
    size_t size;
    enum weft_close_mode mode;
    double deadline; // seconds; then the mode becomes CANCEL_ALL. 0: none
    double grace;    // seconds a canceled job may take before standard error
                     // tells of it; it is waited for all the same. 0: 10
};

struct weft_blocking_options {
    size_t size;
    const char *name; // of the call, for `weft ps`; copied
    bool abandon;     // do not wait for fn once the caller's scopes have ended
};

// The interface of an executor. A user's own executor puts struct
// weft_executor first in its object and fills in these functions.
struct weft_executor_ops {
    size_t size;      // sizeof(struct weft_executor_ops)
    const char *kind; // "thread pool", "process pool", ...
    // Runs job with a copy of the argument. Never NULL. Any thread.
    weft_future *(*submit)(weft_executor *ex, const struct weft_job *job,
                           const void *arg,
                           const struct weft_submit_options *options);
    // Runs job on count elements one after another as one unit; results go to
    // out when the future is done. May be NULL: then submit is used. in and out
    // stay valid until the future is done. options (may be NULL) are those of
    // the unit.
    weft_future *(*submit_chunk)(weft_executor *ex, const struct weft_job *job,
                                 const void *in, size_t count, void *out,
                                 int *codes,
                                 const struct weft_submit_options *options);
    // How many jobs can run at once. 0, if it cannot tell, is taken for 1.
    size_t (*width)(weft_executor *ex);
    // Ends it and frees it.
    int (*close)(weft_executor *ex, const struct weft_close_options *options);
};

struct weft_executor {
    const struct weft_executor_ops *ops;
};

// An executor together with submit options: see weft_executor_with.
struct weft_bound_executor {
    weft_executor base;
    weft_executor *target;
    struct weft_submit_options options;
};

// What a submit does when .window jobs are under way.
enum weft_when_full {
    WEFT_FULL_WAIT = 0, // waits; the caller's cancel and deadlines end that,
                        // and the future fails with -ECANCELED or -ETIMEDOUT
    WEFT_FULL_FAIL,     // the future fails with -EAGAIN
    WEFT_FULL_RUN,      // the job runs in the caller
    WEFT_FULL_DROP,     // the oldest one that has not begun is canceled for it,
                        // of those of the least priority, and not one of a
                        // higher than its own; -EAGAIN if there is none
};

struct weft_thread_pool_options {
    size_t size;
    unsigned workers;  // 0: weft_cpu_count(), or 64 with .blocking. Without
                       // .blocking more than 256 count as 256
    bool blocking;     // a thread a job, at most .workers, for jobs that block;
                       // not counted: what sleeps in Weft, but for descriptors
    const char *name;  // threads are called name-0, name-1, ...
    size_t stack_size; // of a job that parks: bytes; 0: 256 KiB
    // Runs first in each thread of the pool, as in a plain thread. A negative
    // code breaks the pool: all jobs fail with -WEFT_EBROKEN, and their text
    // names the code. Without .blocking the pool is there when the first
    // .workers threads have run it.
    int (*initializer)(void *arg);
    void *init_arg;
    // Back-pressure: submits beyond so many jobs under way, 0: no limit. Jobs
    // that jobs of the pool submit are not counted, nor what a map submits,
    // which has a window of its own. Callbacks of futures do not wait: they get
    // -EAGAIN.
    size_t window;
    enum weft_when_full when_full;
    double idle_timeout;  // of .blocking: seconds until idle ones leave; 0: 10
    unsigned min_workers; // of .blocking: so many do not leave
    // CPUs that its threads may run on, copied; NULL: as the caller. With .pin
    // each has one of them, in turn; without .workers there are no more threads
    // than CPUs.
    const unsigned *cpus;
    size_t cpu_count;
    bool pin;
    // Runs last in each thread whose initializer has not failed, as in a plain
    // thread, with .init_arg. A negative code comes out of the pool's close.
    int (*finalizer)(void *arg);
};

struct weft_thread_pool_stats {
    size_t size;
    unsigned workers;   // threads, without those that stand in for blocked ones
    unsigned spares;    // these, and those that rest since it became smaller
    unsigned idle;      // threads that have nothing to do
    size_t pending;     // jobs that wait for a thread. Some may be canceled
    uint64_t submitted; // jobs since the pool was made
    uint64_t ended;     // of these
    uint64_t migrations; // times that a job has gone on on another thread
};

WEFT_BEGIN

// A pool of worker threads that steal unstarted jobs from each other. A job
// that waits parks, and its worker goes on; jobs that block in the kernel
// belong in a pool with .blocking. One that does elsewhere is named once on
// standard error, and after some 10 ms a spare thread takes what has not
// started (WEFT_WATCHDOG=0 in the environment: neither). Never NULL: a pool
// that could not start fails each submit with the reason. Since 0.1.
WEFT_API weft_executor *
weft_thread_pool_with(const struct weft_thread_pool_options *options);

// What a thread pool does, as it was at some moments of the call; ex may be
// bound. Set stats->size. Blocks: no. Threads: any. Returns 0; -EINVAL if ex is
// no thread pool. Since 0.1.
WEFT_API int weft_thread_pool_stats(weft_executor *ex,
                                    struct weft_thread_pool_stats *stats);

// Changes the size of a thread pool, up to 256. A smaller one drains: jobs that
// have begun end on their threads, which then rest until the pool grows again
// or is closed (with .blocking they end), and what waits for them the others
// take. A larger one has its new workers when this returns. Blocks: no, except
// for the initializers of new threads. Threads: any. Returns 0; -EINVAL (ex is
// no thread pool, none or too many workers), -EAGAIN, -ENOMEM (it is as large
// as before), -EBUSY (somebody else does the same just now), -WEFT_EBROKEN (an
// initializer has failed: so does the pool), -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_thread_pool_resize(weft_executor *ex, unsigned workers);

// Submits a job with a copy of its argument. The macro weft_submit(ex, job,
// value...) fills in the record, and checks the argument's type. Never NULL.
// Blocks: no, but for a pool whose .window is full. Threads: any, also
// jobs of the same executor. Errors: a failed future with -WEFT_ECLOSED,
// -WEFT_ENOJOB, -WEFT_ENOENTRY, -WEFT_EBROKEN, -WEFT_ETOOBIG, -ENOMEM. Since
// 0.1.
WEFT_API weft_future *
weft_submit_job(weft_executor *ex, const struct weft_job *job, const void *arg);

// Runs the job on each of the n elements of in, results in out, which has the
// same order. Returns 0 or the first failure; then what has not started is
// canceled and out holds the results that came. Options that are bound to ex
// are those of each job, which is a chunk of .chunk elements; with .deadline,
// .timeout or .retries and no .chunk it is one element. Blocks: the caller
// only. Cancels: yes; in and out are the caller's again when it returns.
// Threads: any. Errors: those of submit and of the jobs, -ECANCELED,
// -ETIMEDOUT. Since 0.1.
WEFT_API int weft_map_job(weft_executor *ex, const struct weft_job *job,
                          const void *in, size_t n, void *out,
                          const struct weft_map_options *options);

// As weft_map_job for elements that a function makes, as they are needed, and
// results that another one takes: in the order of the elements with .ordered,
// else as they come. So neither end need be in memory as a whole; .window
// bounds what is under way, .codes is not used. Both are called by the caller
// alone; while make waits, results wait too. What the bytes of a struct
// weft_bytes as an element point to must stay until its result was taken.
// Returns 0, or the negative code of make or take; then what is under way is
// canceled. Blocks, Cancels, Threads: as weft_map_job. Errors: those, -ENOMEM,
// -ECANCELED, -ETIMEDOUT; a job's failure is for take to judge. Since 0.1.
WEFT_API int weft_map_stream_job(weft_executor *ex, const struct weft_job *job,
                                 weft_map_make *make, weft_map_take *take,
                                 void *arg,
                                 const struct weft_map_options *options);

// Closes an executor: what was submitted ends as the mode says, then its own
// threads do, with the destructors of their thread-locals, and it is freed. The
// exit of a program does not wait for one that is open: what it has
// is lost, which a line on standard error tells (weft_on_unobserved). A submit
// that comes while it closes fails with -WEFT_ECLOSED, unless one of its own
// jobs makes it, or, on threads, a task that a job has left behind (such are
// canceled once all jobs have ended), or, on a loop, any task of the run: what
// they submit ends as well, canceled where all are canceled. After this
// has returned ex must not be used any more, as memory after free(). NULL is
// allowed. Blocks: the caller only, but its thread while those of the pool take
// their last steps, such as those destructors; not ended by cancel. Threads:
// any but its own jobs. Returns 0, -ETIMEDOUT if the deadline made it cancel,
// or the code of a .finalizer. Since 0.1.
WEFT_API int weft_executor_close_with(weft_executor *ex,
                                      const struct weft_close_options *options);

// What WEFT_EXECUTOR calls: closes *ex as weft_executor_close. Since 0.1.
WEFT_API void weft_executor_leave(weft_executor *const *ex);

// How many jobs ex can run at once: at least 1. Since 0.1.
WEFT_API size_t weft_executor_width(weft_executor *ex);

// Fills in a bound executor and returns it as an executor; it lives as long
// as *bound. Since 0.1.
WEFT_API weft_executor *weft_executor_bind(struct weft_bound_executor *bound);

// Runs fn(arg) on a thread of its own, while other tasks of this worker go on:
// for a function that blocks in the kernel or computes for long. In a plain
// thread it is just called. Returns what fn returned. When the caller's scopes
// end the wait, fn is asked to cancel (its own calls of Weft then fail) and is
// waited for all the same; with .abandon it is left to itself, and arg must
// stay valid until it ends. Threads come from one pool of the process: they
// start as they are needed, up to the limit, and leave when they are idle;
// beyond it callers wait. Blocks: the caller only. Cancels: yes. Threads: any.
// Errors: those of fn; -ECANCELED, -ETIMEDOUT (it was abandoned, or had not
// begun), -EAGAIN (no thread), -ENOMEM, -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_blocking_with(weft_function *fn, void *arg,
                                const struct weft_blocking_options *options);

// Says that the calling task or job is going to block its thread, or to compute
// for long, in calls that are not Weft's: until weft_blocking_end a spare
// thread runs what has not started and would wait for this one, and the
// watchdog does not name the caller. What has started on this thread and waits
// there goes on after it; so does everything in a run of one worker, where
// weft_blocking helps instead. They nest, and are ended by who has begun them;
// a run that is left with one open aborts the program. In a thread that runs no
// tasks they do nothing. If no thread can be had, things are as without.
// Blocks: no. Cancels: no. Threads: any. Since 0.1.
WEFT_API void weft_blocking_begin(void);
WEFT_API void weft_blocking_end(void);

// How many threads weft_blocking may use at once: 64 unless this is called
// before its first use. Returns 0; -EBUSY after that, -EINVAL (0). Since 0.1.
WEFT_API int weft_blocking_limit(unsigned threads);

WEFT_END

// WEFT_EXECUTOR(ex, weft_thread_pool(.workers = 4)); declares ex, which is
// closed at the end of the enclosing block, however that is left (not by
// longjmp): what was submitted has ended then. As Python's `with`.
#define WEFT_EXECUTOR(name, ...)                                               \
    weft_executor *const name WEFT_CLEANUP(weft_executor_leave) = (__VA_ARGS__)

#ifndef __cplusplus
#define weft_blocking(...) WEFT_BLOCKING_(__VA_ARGS__, )
#define WEFT_BLOCKING_(fn, arg, ...)                                           \
    weft_blocking_with((fn), (arg),                                            \
                       WEFT_OPTIONS(weft_blocking_options, __VA_ARGS__))
#define weft_thread_pool(...)                                                  \
    weft_thread_pool_with(WEFT_OPTIONS(weft_thread_pool_options, __VA_ARGS__))
#define weft_executor_close(...) WEFT_CLOSE_(__VA_ARGS__, )
#define WEFT_CLOSE_(ex, ...)                                                   \
    weft_executor_close_with((ex),                                             \
                             WEFT_OPTIONS(weft_close_options, __VA_ARGS__))
#define weft_executor_with(ex, ...)                                            \
    weft_executor_bind(&(struct weft_bound_executor){                          \
        .target = (ex),                                                        \
        .options = {.size = sizeof(struct weft_submit_options), __VA_ARGS__}})
// weft_submit(ex, job), (ex, job, value) or (ex, job, .x = 1, .y = 2)
#define weft_submit(ex, ...) WEFT_SUBMIT_((ex), __VA_ARGS__, )
#define WEFT_SUBMIT_(ex, job, ...)                                             \
    weft_submit_job((ex), &weft_job_##job, WEFT_JOB_ARG_(job, __VA_ARGS__))
// The same when the argument is a structure and the caller has one.
#define weft_submit_struct(ex, job, value)                                     \
    weft_submit_job((ex), &weft_job_##job, WEFT_JOB_WHOLE_(job, value))
#define weft_map(ex, job, in, n, ...) WEFT_MAP_(ex, job, in, n, __VA_ARGS__, )
#define WEFT_MAP_(ex, job, in, n, out, ...)                                    \
    weft_map_job((ex), &weft_job_##job,                                        \
                 1 ? (in) : (const weft_arg_of_##job *)0, (n),                 \
                 1 ? (out) : (weft_result_of_##job *)0,                        \
                 WEFT_OPTIONS(weft_map_options, __VA_ARGS__))
// weft_map_stream(ex, job, make, take, arg, ...)
#define weft_map_stream(ex, job, make, take, ...)                              \
    WEFT_MAP_STREAM_(ex, job, make, take, __VA_ARGS__, )
#define WEFT_MAP_STREAM_(ex, job, make, take, arg, ...)                        \
    weft_map_stream_job((ex), &weft_job_##job, (make), (take), (arg),          \
                        WEFT_OPTIONS(weft_map_options, __VA_ARGS__))
#else
inline int weft_blocking(weft_function *fn, void *arg,
                         weft_blocking_options o = {})
{
    o.size = sizeof o;
    return weft_blocking_with(fn, arg, &o);
}
inline weft_executor *weft_thread_pool(weft_thread_pool_options o = {})
{
    o.size = sizeof o;
    return weft_thread_pool_with(&o);
}
inline int weft_executor_close(weft_executor *ex, weft_close_options o = {})
{
    o.size = sizeof o;
    return weft_executor_close_with(ex, &o);
}
struct weft_executor_bound_value : weft_bound_executor {
    operator weft_executor *()
    {
        return weft_executor_bind(this);
    }
};
inline weft_executor_bound_value weft_executor_with(weft_executor *ex,
                                                    weft_submit_options o)
{
    weft_executor_bound_value bound;
    o.size = sizeof o;
    bound.target = ex;
    bound.options = o;
    return bound;
}
template <class T>
inline weft_future *weft_submit_value(weft_executor *ex, const weft_job *job,
                                      const T &value)
{
    return weft_submit_job(ex, job, &value);
}
#define weft_submit(ex, ...) WEFT_SUBMIT_((ex), __VA_ARGS__, )
#define WEFT_SUBMIT_(ex, job, ...)                                             \
    weft_submit_value((ex), &weft_job_##job, weft_arg_of_##job{__VA_ARGS__})
#define weft_submit_struct(ex, job, value)                                     \
    weft_submit_value((ex), &weft_job_##job, weft_arg_of_##job(value))
template <class A, class R>
inline int weft_map_values(weft_executor *ex, const weft_job *job, const A *in,
                           size_t n, R *out, weft_map_options o = {})
{
    o.size = sizeof o;
    return weft_map_job(ex, job, in, n, out, &o);
}
inline int weft_map_streamed(weft_executor *ex, const weft_job *job,
                             weft_map_make *make, weft_map_take *take,
                             void *arg, weft_map_options o = {})
{
    o.size = sizeof o;
    return weft_map_stream_job(ex, job, make, take, arg, &o);
}
#define weft_map_stream(ex, job, ...)                                          \
    weft_map_streamed((ex), &weft_job_##job, __VA_ARGS__)
#define weft_map(ex, job, in, n, ...)                                          \
    weft_map_values<weft_arg_of_##job, weft_result_of_##job>(                  \
        (ex), &weft_job_##job, (in), (n), __VA_ARGS__)
#endif

#endif
