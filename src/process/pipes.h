// SPDX-License-Identifier: MIT
//
// pipes.h: our ends of the pipes that are a child's standard input, output and
// error (WEFT_DEV_PIPE). They belong to its future until somebody takes them,
// so that what a child has written can be read when it has ended.
#ifndef WI_PROCESS_PIPES_H
#define WI_PROCESS_PIPES_H

#include <stdbool.h>

#include <weft/future.h>

struct wi_pipes {
    int fd[3]; // atomic; -1: none, or taken
};

// Makes those that are wanted: ours[i], theirs[i]; others stay as they are.
// What is made is noted in both also when one fails. 0 or a negative code.
int wi_pipes_open(const bool want[3], int ours[3], int theirs[3],
                  struct wi_pipes **pipes);

// Closes what nobody has taken. NULL is allowed.
void wi_pipes_free(void *pipes);

// Leaves them to f, a process that nobody else knows yet.
void wi_pipes_leave(weft_future *f, struct wi_pipes *pipes);

// Our end of descriptor i of the process f, which the caller owns from now on.
// -ENODATA: it is no pipe, or was taken; -EINVAL: f is no process.
int wi_pipes_take(weft_future *f, int i);

// Gives it back. Whoever has taken it.
void wi_pipes_return(weft_future *f, int i, int fd);

#endif
