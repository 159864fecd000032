// SPDX-License-Identifier: MIT
//
// program.h: programs that are not Weft's as processes: as Python's
// subprocess.run.
//
//     struct weft_program_end end = {.size = sizeof end};
//     int status = weft_program_run(WEFT_ARGV("git", "status", "-s"), &end,
//                                   .out = WEFT_DEV_CAPTURE);
//     if (status == 0)
//         printf("%s", (char *)end.out.data);
//     weft_program_end_free(&end);
#ifndef WEFT_PROGRAM_H
#define WEFT_PROGRAM_H

#include <weft/base.h>
#include <weft/process.h>

// How a program has ended.
struct weft_program_end {
    size_t size;
    pid_t pid;             // 0: it was not started
    int exit_code;         // of its exit; -1: it did not exit
    int signal;            // that ended it; 0: none
    bool core;             // it left a core file
    double user, system;   // seconds of CPU time
    size_t max_rss;        // bytes
    struct weft_bytes out; // what it wrote to 1 and 2, if that was captured,
    struct weft_bytes err; // each with a NUL behind it; data NULL: it was not
    uint64_t out_lost, err_lost; // bytes before that: see .capture
    char text[WEFT_TEXT_SIZE];   // of a failure
};

WEFT_BEGIN

// Starts the program argv[0], which is looked for in PATH if there is no slash
// in it, with the arguments argv, which end with NULL and are copied. Its exit
// status, 0 to 255, is the future's code; a signal gives -WEFT_ECRASHED, with
// the signal in the text. It is a process as that of weft_process_start: it can
// be canceled, killed, asked for its output, and does not outlive its parent.
// The options are the same, too, but for .program, .argv and .drop (-EINVAL);
// .compute_only allows no program (-EPERM), and where .readable and .writable
// are given it must lie below them, with its libraries. What .fds[i] is has
// number 3 + i in it. Never NULL. Blocks: no; as weft_process_start.
// Threads: any. Errors: a failed future with -ENOENT, -EACCES, -ENOEXEC, ... if
// it cannot be executed, -EINVAL (no argv[0]), -E2BIG, and those of
// weft_process_start. Since 0.1.
WEFT_API weft_future *
weft_program_start_with(const char *const *argv,
                        const struct weft_process_options *options);

// The same to its end. Returns its exit status, or a negative code: that of the
// future, or what ended the wait, -ECANCELED or -ETIMEDOUT; the program is then
// canceled, and the call returns when it has ended, after its .grace at the
// latest, with what it wrote until then in *end. WEFT_DEV_PIPE is refused
// (-EINVAL): with input, take weft_program_start and weft_process_communicate.
// *end (may be NULL) is filled in as far as its size goes, which the caller has
// set, and is to be given to weft_program_end_free. Blocks: until the program
// has ended; cancelable. Threads: any. Since 0.1.
WEFT_API int weft_program_run_with(const char *const *argv,
                                   struct weft_program_end *end,
                                   const struct weft_process_options *options);

// Frees what was captured. NULL is allowed. Since 0.1.
WEFT_API void weft_program_end_free(struct weft_program_end *end);

WEFT_END

#ifndef __cplusplus
// The arguments of a program, to the end of the enclosing block.
#define WEFT_ARGV(...)          ((const char *const[]){__VA_ARGS__, NULL})
#define weft_program_start(...) WEFT_PROGRAM_START_(__VA_ARGS__, )
#define WEFT_PROGRAM_START_(argv, ...)                                         \
    weft_program_start_with((argv),                                            \
                            WEFT_OPTIONS(weft_process_options, __VA_ARGS__))
#define weft_program_run(argv, ...) WEFT_PROGRAM_RUN_((argv), __VA_ARGS__, )
#define WEFT_PROGRAM_RUN_(argv, end, ...)                                      \
    weft_program_run_with((argv), (end),                                       \
                          WEFT_OPTIONS(weft_process_options, __VA_ARGS__))
#else
inline weft_future *weft_program_start(const char *const *argv,
                                       weft_process_options o = {})
{
    o.size = sizeof o;
    return weft_program_start_with(argv, &o);
}
inline int weft_program_run(const char *const *argv, weft_program_end *end,
                            weft_process_options o = {})
{
    o.size = sizeof o;
    return weft_program_run_with(argv, end, &o);
}
#endif

#endif
