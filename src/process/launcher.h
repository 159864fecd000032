// SPDX-License-Identifier: MIT
//
// launcher.h: the thread that starts all child processes.
#ifndef WI_PROCESS_LAUNCHER_H
#define WI_PROCESS_LAUNCHER_H

#include <stdbool.h>

#include "os/launch.h"

// A start that is asked for. Must stay valid until `done` is called.
struct wi_launch {
    struct wi_os_launch os;
    int fds[WI_LAUNCH_FDS];
    struct wi_launch *next; // the launcher's
    // Both on the launcher's thread. Whether it is still wanted:
    bool (*wanted)(struct wi_launch *launch);
    // It runs (rc 0), it could not be started (rc < 0), or it was not wanted
    // (-ECANCELED); child is set only for 0.
    void (*done)(struct wi_launch *launch, int rc, struct wi_os_child child);
};

// Starts the launcher if it does not run. 0 or a negative code.
int wi_launcher_start(void);

// Asks for a start. fds[0] is given; the launcher adds the parent's pidfd.
void wi_launcher_submit(struct wi_launch *launch);

// Tests: called on the launcher's thread when a child has been made, before
// `done` is. NULL: nothing.
extern void (*wi_launcher_made)(struct wi_launch *launch);

#endif
