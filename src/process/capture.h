// SPDX-License-Identifier: MIT
//
// capture.h: what a child writes to its standard output or error, as its parent
// takes it in: the last bytes of it.
#ifndef WI_PROCESS_CAPTURE_H
#define WI_PROCESS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/futex.h"
#include "process/echo.h"
#include "process/supervisor.h"

enum { WI_CAPTURE_LINE = 96 };

struct wi_capture {
    struct wi_watch watch; // first
    struct wi_mutex lock;  // for all below but fd, which is the supervisor's
    int fd;                // -1: not open
    char *ring;            // from malloc
    size_t size;           // of it
    size_t limit;          // that it may grow to
    uint64_t total;        // bytes that came
    struct wi_echo *echo;  // NULL: none; the supervisor's
};

// Makes the pipe. *end is what the child writes to. 0 or a negative code.
int wi_capture_open(struct wi_capture *c, size_t limit, int *end);

// Writes the lines to descriptor `to` of this process, too. Before the watch; 0
// or -ENOMEM.
int wi_capture_echo(struct wi_capture *c, int to, const char *name, pid_t pid);

// Takes in what comes from now on. 0 or a negative code. Any thread.
int wi_capture_watch(struct wi_capture *c);

// Takes in what has come. The supervisor.
void wi_capture_take(struct wi_capture *c);

// The same, and no more. The supervisor, or nobody watches.
void wi_capture_close(struct wi_capture *c);
void wi_capture_free(struct wi_capture *c);

// How much is kept; a copy of that.
size_t wi_capture_kept(struct wi_capture *c);
size_t wi_capture_copy(struct wi_capture *c, char *to, size_t size,
                       uint64_t *lost);

// The last line that is not empty, cut, without what would not print.
void wi_capture_line(struct wi_capture *c, char line[WI_CAPTURE_LINE]);

#endif
