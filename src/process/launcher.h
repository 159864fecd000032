// SPDX-License-Identifier: MIT
//
// launcher.h: the thread that starts all child processes.
#ifndef WI_PROCESS_LAUNCHER_H
#define WI_PROCESS_LAUNCHER_H

#include <stdbool.h>

#include <weft/process.h>

#include "os/launch.h"

struct wi_boot;
struct wi_zygote;

enum { WI_LAUNCH_WHY = 192 };

// A start that is asked for. Must stay valid until `done` is called.
struct wi_launch {
    struct wi_os_launch os;
    int fds[WI_LAUNCH_FDS];
    int ends[3]; // of pipes, for its stdio: closed after the launch; or 0
    int ours[3]; // the other ends, which a copy of this process closes; or 0
    enum weft_start_method method;
    struct wi_zygote *zygote; // that shall make it
    struct wi_boot *boot;     // for a zygote
    struct wi_launch *next;   // whose list it is on: the launcher's, a zygote's
    unsigned tries;           // the zygote's: how often it was asked for
    char why[WI_LAUNCH_WHY];  // of rc < 0, if it is not empty
    // Both on the launcher's thread or on the supervisor's, or in
    // wi_launcher_send. Whether it is still wanted:
    bool (*wanted)(struct wi_launch *launch);
    // It runs (rc 0), it could not be started (rc < 0), or it was not wanted
    // (-ECANCELED); child is set only for 0. Without a pidfd it has ended and
    // been reaped by somebody else.
    void (*done)(struct wi_launch *launch, int rc, struct wi_os_child child);
};

// What is said of a start that has failed.
const char *wi_launch_why(const struct wi_launch *launch, int rc);

// Starts the launcher if it does not run. 0 or a negative code.
int wi_launcher_start(void);

// Starts the threads that processes need, if children may be started from this
// program, or else from `program`. 0 or a negative code.
int wi_process_service(const char *program);

// Asks for a start. fds[0] is given; the launcher adds the parent's pidfd.
void wi_launcher_submit(struct wi_launch *launch);

// The same without a way by the launcher's thread if a zygote shall make it:
// that is sent its order by the caller, who holds no lock.
void wi_launcher_send(struct wi_launch *launch);

// Tests: called on the launcher's thread when a child has been made, before
// `done` is. NULL: nothing.
extern void (*wi_launcher_made)(struct wi_launch *launch);

#endif
