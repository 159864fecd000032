// SPDX-License-Identifier: MIT
//
// process.h: processes as futures. A process is started by exec of the
// program itself, from one launcher thread: its cost does not depend on the
// parent's size, and it is safe in a program with threads. The child's main
// never runs: weft_main_hook() at its top, or the --wrap=main that the
// pkg-config and CMake files carry, takes over first.
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <weft/base.h>
#include <weft/task.h>

struct weft_process_options {
    size_t size;
    const char *name;        // copied; shown by `weft ps` and in error texts
    const char *program;     // path of another program to exec instead of this
                             // one; it must have the same build of fn in it
    const char *const *argv; // NULL-terminated arguments the child sees; NULL:
                             // the program's name alone
    const char *const *env;  // NULL-terminated "NAME=value"; NULL: as here
    const char *cwd;         // NULL: as here
    weft_group *group;       // a group that joins it; NULL: none
    double grace;            // cancel: seconds from SIGTERM to SIGKILL; 0: 1
    void (*drop)(void *arg); // called once if the body never runs
};

WEFT_BEGIN

// Starts fn in a new process with a copy of the size bytes at arg (NULL and 0
// for none; pointers inside do not travel). The returned int travels whole:
// -EINVAL is -EINVAL in weft_join. A death without a return gives
// -WEFT_ECRASHED with the signal or the exit status in the text. Cancel sends
// SIGTERM, then SIGKILL after .grace. Never NULL.
// Blocks: no. Threads: any. Errors: a failed future with -WEFT_ENOENTRY,
// -EAGAIN, -ENOMEM, -ENOENT (.program), -WEFT_EFORKED. Since 0.1.
WEFT_API weft_future *
weft_process_start_with(weft_function *fn, const void *arg, size_t size,
                        const struct weft_process_options *options);

// Sends SIGTERM (terminate) or SIGKILL (kill) to a process started here; the
// future then fails with -WEFT_ECRASHED. Returns 0, -ESRCH if it has ended,
// -EINVAL if f is no process. Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_process_terminate(weft_future *f);
WEFT_API int weft_process_kill(weft_future *f);

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
    WEFT_PROCESS_START_((fn), (arg), __VA_ARGS__)
#define WEFT_PROCESS_START_(fn, arg, bytes, ...)                               \
    weft_process_start_with((fn), (arg), (bytes),                              \
                            WEFT_OPTIONS(weft_process_options, __VA_ARGS__))
#else
inline weft_future *weft_process_start(weft_function *fn, const void *arg,
                                       size_t size, weft_process_options o = {})
{
    o.size = sizeof o;
    return weft_process_start_with(fn, arg, size, &o);
}
#endif

#endif
