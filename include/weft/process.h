// SPDX-License-Identifier: MIT
//
// process.h: processes as futures. A process is started by exec of the
// program itself, from one launcher thread: its cost does not depend on the
// parent's size, and it is safe in a program with threads. The child's main
// never runs: weft_main_hook() at its top, or the --wrap=main that the
// pkg-config and CMake files carry, takes over first.
//
// A child of fork has its parent's futures, but not the processes: the calls
// here give -WEFT_EFORKED for those.
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <sys/types.h>

#include <weft/base.h>
#include <weft/job.h>
#include <weft/task.h>

#define WEFT_DEV_NULL    (-1)           // as a descriptor: /dev/null
#define WEFT_DEV_CAPTURE (-2)           // as .out or .err: kept in memory
#define WEFT_DEV_OUT     (-3)           // as .err: the same as .out
#define WEFT_DEV_PIPE    (-4)           // a pipe: weft_process_stream
#define WEFT_NO_LIMIT    ((uint64_t)-1) // as a limit: none

// A limit as setrlimit knows it: RLIMIT_CPU, RLIMIT_NOFILE, ...
struct weft_limit {
    int resource;
    uint64_t soft, hard; // or WEFT_NO_LIMIT
};

// The process group of a child. In one of its own the keys of a terminal do not
// reach it, and what it has started is killed with it when it is canceled,
// stopped or killed from here. What it has started goes on when it ends by
// itself, and at the end of this process, which ends the child alone.
enum weft_process_group {
    WEFT_GROUP_OWN = 0,
    WEFT_GROUP_PARENT, // the one of this process
    WEFT_GROUP_SESSION // a session of its own
};

// How a child comes to be.
enum weft_start_method {
    // The program is executed anew.
    WEFT_START_EXEC = 0,
    // A copy of a process that has been executed early, has run .preload, and
    // waits to be copied: sooner there, and with what .preload has set up. Its
    // environment and working directory are those of that process unless given.
    WEFT_START_ZYGOTE,
    // A copy of this process as it is now, of one of its threads alone: it has
    // a copy of all memory and of all descriptors, but other threads' locks
    // stay locked for ever. So it is refused while there are other threads than
    // the caller and those of Weft itself (-EBUSY). Handlers are installed for
    // faults alone.
    WEFT_START_FORK,
    // The same, although there are: the caller knows that it can be done.
    WEFT_START_FORK_ANYWAY
};

struct weft_process_options {
    size_t size;
    const char *name;        // copied; shown by `weft ps` and in error texts,
                             // and weft_current_name of the child
    const char *program;     // path of another program to exec instead of this
                             // one; it must have the same build of fn in it
    const char *const *argv; // NULL-terminated arguments the child sees; NULL:
                             // the program's name alone
    const char *const *env;  // NULL-terminated "NAME=value"; NULL: as here
    const char *cwd;         // NULL: as here
    weft_group *group;       // a group that joins it; NULL: none
    double grace;            // cancel: seconds from SIGTERM to SIGKILL; 0: 1
    void (*drop)(void *arg); // called once if the body never runs

    // Its descriptors 0, 1 and 2: numbers of this process (0: as here; but
    // standard input is /dev/null in a worker of a pool, and where a terminal
    // would stop its reader), or WEFT_DEV_NULL. With WEFT_DEV_CAPTURE the last
    // bytes are kept (weft_process_output), and the last line stands in the
    // text of a failure, in a pool in that of the job that failed. With
    // WEFT_DEV_PIPE, which is not for pools, the other end of a pipe is here:
    // see weft_process_communicate and weft_process_stream (stream.h). These
    // and .fds are duplicated by the call: the caller may close its own at
    // once.
    int in, out, err;
    const int *fds;  // more for it: fds[i] is weft_process_fd(i) there
    size_t fd_count; // at most 32; no others are inherited
    enum weft_process_group process_group;

    // Set in the child before anything of the program but its constructors.
    int nice;             // to be added to the nice value
    const unsigned *cpus; // that it may run on; NULL: as here
    size_t cpu_count;
    const struct weft_limit *limits; // at most 16
    size_t limit_count;
    size_t memory; // bytes of heap and other private memory; 0: no limit

    // Given up for good before the function runs, in a worker after the
    // initializer. What the kernel cannot do fails the start: -EBUSY where it
    // cannot for threads that run by then.
    bool no_new_privs; // exec of set-uid programs gives no rights
    bool compute_only; // no new files, sockets or processes, no signals to
                       // others: such calls fail with EPERM
    const char *const *readable; // of the file system only these paths and what
    const char *const *writable; // is below; each ends with NULL. Both NULL:
                                 // all. Open descriptors stay usable

    // How it comes to be. Copies have the arguments of what they are copied
    // from (.argv gives -EINVAL), and with fork its program, too (.program).
    enum weft_start_method start;
    weft_function *preload; // runs before all else, with NULL: once in the
                            // zygote; with other ways to start, in each child.
                            // A negative code fails the start
    size_t capture;         // with WEFT_DEV_CAPTURE: so many bytes; 0: 65,536
    bool echo; // with WEFT_DEV_CAPTURE: each line also goes to descriptor 1 or
               // 2 of this process, behind "[name pid] ". Nobody waits for who
               // reads there: lines without room are left out, and counted
};

// What is known of a process.
struct weft_process_info {
    size_t size;
    pid_t pid;     // 0: not started yet
    bool alive;    // it has not ended, or nobody has noticed yet
    int exit_code; // of its exit; -1: it did not exit, or that is not known
    int signal;    // that ended it; 0: none
    bool core;     // it left a core file
    double user, system; // seconds of CPU time; 0 while it is alive
    size_t max_rss;      // bytes; 0 while it is alive
};

// Where a thread was: an address, and how addr2line and its like know it.
struct weft_frame {
    uint64_t pc;
    uint64_t offset; // in the module
    char module[32]; // the last part of its name; "": not known
};

// How a process died that had not returned.
struct weft_crash {
    size_t size;
    pid_t pid;
    int signal;          // that ended it; 0: none, or not known
    int exit_code;       // of its exit; -1: it did not exit, or not known
    bool core;           // it left a core file
    bool out_of_memory;  // likely: killed by the kernel for want of memory, or
                         // at its memory limit
    double user, system; // seconds of CPU time
    size_t max_rss;      // bytes
    // Of a fault or an abort, from its own last words; all zero if there are
    // none. frames[0] is where, the next ones who called it.
    int code;         // si_code
    pid_t sender;     // that sent the signal; 0: a fault
    pid_t thread;     // the kernel's id
    uint64_t address; // that it has touched
    unsigned frame_count;
    struct weft_frame frames[16];
};

WEFT_BEGIN

// Starts fn in a new process with a copy of the size bytes at arg (NULL and 0
// for none; pointers inside do not travel). The returned int travels whole:
// -EINVAL is -EINVAL in weft_join (but see future.h for -ECANCELED and
// -ETIMEDOUT). A death without a return gives
// -WEFT_ECRASHED with the signal or the exit status in the text. Cancel sends
// SIGTERM, then SIGKILL after .grace. It does not outlive this process, whose
// exit does not wait for it, as it does for a thread: join it. Never NULL.
// Blocks: no; with WEFT_START_FORK until the copy is made. Threads: any.
// Errors: a failed future with -WEFT_ENOENTRY,
// -EAGAIN, -ENOMEM, -ENOENT (.program or .cwd), -EBADF (.in, .out, .err or
// .fds has a number that is not open), -EFAULT (NULL with a size), -EBUSY (a
// fork with threads), -WEFT_EPROTO (.program has another version of Weft),
// -WEFT_EFORKED. Since 0.1.
WEFT_API weft_future *
weft_process_start_with(weft_function *fn, const void *arg, size_t size,
                        const struct weft_process_options *options);

// Starts the zygote of preload (NULL: the one without) for the program .program
// (NULL: this one), unless it runs. It comes by itself with the first process
// that wants it, and anew when it dies. The future is done when it is ready; it
// fails with the code of preload, -EBUSY if preload has left threads behind,
// and else as for weft_process_start. Blocks: no. Threads: any. Since 0.1.
WEFT_API weft_future *weft_zygote_start(weft_function *preload,
                                        const char *program);

// Ends that zygote; its copies live on. The next start that wants it starts it
// anew. 0, or -ESRCH if there is none. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_zygote_stop(weft_function *preload, const char *program);

// Sends SIGTERM (terminate) or SIGKILL (kill) to a process started here; the
// future then fails with -WEFT_ECRASHED. Returns 0, -ESRCH if it has ended,
// -EINVAL if f is no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_terminate(weft_future *f);
WEFT_API int weft_process_kill(weft_future *f);

// Sends SIGINT, as the keyboard does. Otherwise as weft_process_terminate.
WEFT_API int weft_process_interrupt(weft_future *f);

// Asks a process to end, step by step: weft_process_asked() is true in it at
// once; SIGTERM after `ask` seconds, SIGKILL after `term` more. 0 leaves out
// the waiting, INFINITY the next steps. Who asks again, or cancels, can only
// hasten that. Returns at once; the future tells the end. Errors: -ESRCH if it
// has ended, -EINVAL if f is no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_stop(weft_future *f, double ask, double term);

// In a child: whether its parent has asked it to end (weft_process_stop). Cheap
// enough for a loop. Threads: any. Since 0.1.
WEFT_API bool weft_process_asked(void);

// Fills in *info as far as its size goes, which the caller has set. Returns 0,
// or -EINVAL if f is no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_info(weft_future *f, struct weft_process_info *info);

// How the process of f died, or the worker that ran the job f: fills in *crash
// as far as its size goes, which the caller has set. What the dead process has
// said itself is to be taken with care. 0, -ENODATA if f has not failed with
// -WEFT_ECRASHED (or memory was short), -EINVAL if f is neither process nor job
// of a process pool. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_crash(weft_future *f, struct weft_crash *crash);

// What a process has written to fd (1 or 2) if that is captured, as far as it
// is kept: *output gets a copy, with a NUL behind it, to be freed by
// weft_bytes_free; *lost (may be NULL) the number of bytes before that. All of
// it is there when the future is done. 0, -ENOMEM, -ENODATA if it is not
// captured, -EINVAL if f is no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_output(weft_future *f, int fd,
                                 struct weft_bytes *output, uint64_t *lost);

// What weft_process_communicate may be told.
struct weft_communicate_options {
    size_t size;
    size_t limit; // bytes of each output that are taken; 0: 64 MiB
};

// Writes size bytes of input to a process, and the end, and reads what it
// writes until the ends of that, all at once, so that no side waits for the
// other for ever; then waits for the process. All this for what is
// WEFT_DEV_PIPE there and has not been taken by weft_process_stream. *out and
// *err (each may be NULL: thrown away) get the output, in any case, with a NUL
// behind it, to be freed by weft_bytes_free; data is NULL if it is no pipe. A
// process that does not read all of its input is no error. The end of an output
// comes when all that have the pipe have closed it, who it has started too.
// Returns the code of f, as weft_get, and f stays the caller's. Errors: that of
// f; -WEFT_ETOOBIG, an output has more bytes than the limit; -ENOMEM;
// -ECANCELED, -ETIMEDOUT: then the process is canceled. -ENODATA, there is
// input, but no pipe for it; -EINVAL, f is no process. Blocks: the caller only.
// Cancels: yes. Threads: any. Since 0.1.
WEFT_API int
weft_process_communicate_with(weft_future *f, const void *input, size_t size,
                              struct weft_bytes *out, struct weft_bytes *err,
                              const struct weft_communicate_options *options);

// A pidfd of a running process: readable when it has ended. Close-on-exec, the
// caller's to close. -ESRCH if it has not started or has ended, -EINVAL if f is
// no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_pidfd(weft_future *f);

// The processes that this process has started by weft_process_start and that
// live: up to n of their ids. Returns how many there are. What has ended is
// reaped without being asked for. Threads: any. Blocks: no. Since 0.1.
WEFT_API size_t weft_process_children(pid_t *pids, size_t n);

// In a child: the bytes that its future shall have as result, if its function
// returns 0 or more: a struct weft_bytes. Copied; the last call counts. 0,
// -ENOMEM, -EINVAL outside of a child. Threads: any. Since 0.1.
WEFT_API int weft_process_return(const void *data, size_t size);

// In a child: the descriptor that .fds[i] has here; -EBADF if there is none.
// Threads: any. Since 0.1.
WEFT_API int weft_process_fd(size_t i);

// At the top of main, before anything else: in a worker or child process runs
// what it was started for and never returns; elsewhere returns at once.
// Since 0.1.
WEFT_API void weft_main_hook(void);

// Whether this process is a child or worker started by Weft; right from the
// earliest constructor on. Since 0.1.
WEFT_API bool weft_is_worker(void);

WEFT_END

#ifndef __cplusplus
#define weft_process_start(fn, arg, ...)                                       \
    WEFT_PROCESS_START_((fn), (arg), __VA_ARGS__, )
#define WEFT_PROCESS_START_(fn, arg, bytes, ...)                               \
    weft_process_start_with((fn), (arg), (bytes),                              \
                            WEFT_OPTIONS(weft_process_options, __VA_ARGS__))
#define weft_process_communicate(f, input, bytes, out, ...)                    \
    WEFT_PROCESS_COMMUNICATE_((f), (input), (bytes), (out), __VA_ARGS__, )
#define WEFT_PROCESS_COMMUNICATE_(f, input, bytes, out, err, ...)              \
    weft_process_communicate_with(                                             \
        (f), (input), (bytes), (out), (err),                                   \
        WEFT_OPTIONS(weft_communicate_options, __VA_ARGS__))
#else
inline weft_future *weft_process_start(weft_function *fn, const void *arg,
                                       size_t size, weft_process_options o = {})
{
    o.size = sizeof o;
    return weft_process_start_with(fn, arg, size, &o);
}
inline int weft_process_communicate(weft_future *f, const void *input,
                                    size_t size, weft_bytes *out,
                                    weft_bytes *err,
                                    weft_communicate_options o = {})
{
    o.size = sizeof o;
    return weft_process_communicate_with(f, input, size, out, err, &o);
}
#endif

#endif
