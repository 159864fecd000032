// SPDX-License-Identifier: MIT
//
// spec.h: what a child shall be like: a copy of what the caller of
// weft_process_start or weft_process_pool has said.
#ifndef WI_PROCESS_SPEC_H
#define WI_PROCESS_SPEC_H

#include <weft/process.h>

#include "process/boot.h"
#include "process/capture.h"
#include "process/launcher.h"
#include "process/pipes.h"

enum { WI_SPEC_FDS = 32 };

struct wi_spec {
    char *program, *cwd;
    char **argv, **env; // one piece of memory each; env without the mark
    int stdio[3];       // as in wi_os_launch; numbers are the spec's own
    int fds[WI_SPEC_FDS];
    unsigned fd_count;
    enum wi_launch_group group;
    struct wi_settings settings;
    struct wi_sandbox sandbox;
    bool capture[3];     // what it writes there is taken in
    bool pipe[3];        // the other end is for the user
    bool err_to_out;     // its 2 is as its 1
    size_t capture_size; // of each at most
    bool echo;           // its lines go to ours, too
    enum weft_start_method method;
    struct wi_name preload;
    struct wi_zygote *zygote;
};

// Copies what the options say; descriptors are duplicated. 0 or a negative
// code; then there is nothing to free.
int wi_spec_copy(struct wi_spec *spec, const struct weft_process_options *o);
void wi_spec_free(struct wi_spec *spec);

// Fills in what a launch needs; the spec must stay while it is under way. The
// environment, with its mark, is *env, from malloc. 0 or -ENOMEM.
int wi_spec_launch(const struct wi_spec *spec, struct wi_launch *launch,
                   char ***env);

// The same for what the child is told by its memory. 0 or a negative code.
int wi_spec_boot(const struct wi_spec *spec, struct wi_boot *boot, int memfd);

// Opens what is to be captured of a child: captures[0] is its standard output,
// [1] its error. What wi_spec_launch has filled in is changed. 0 or a negative
// code.
int wi_spec_capture(const struct wi_spec *spec, struct wi_launch *launch,
                    struct wi_capture captures[2]);

// Opens its pipes, in the same way, and no *pipes (NULL) if it has none.
int wi_spec_pipe(const struct wi_spec *spec, struct wi_launch *launch,
                 struct wi_pipes **pipes);

// Closes the ends that are for the child, after the launch or instead of it.
void wi_spec_close_ends(struct wi_launch *launch);

// Takes in what the child writes from now on, and echoes it if that was asked
// for. The supervisor. 0 or a negative code.
int wi_spec_hear(const struct wi_spec *spec, struct wi_capture captures[2],
                 const char *name, pid_t pid);

// In the child. 0, or a negative code with *what saying what failed.
int wi_spec_settle(const struct wi_boot *boot, const char **what);

#endif
