// SPDX-License-Identifier: MIT
//
// child.h: another program as a child process, with its input and output.
#ifndef WEFT_CLI_CHILD_H
#define WEFT_CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int in;  // a socket that it has as standard input, -1: /dev/null
    int out; // what it writes to standard output
};

struct child_options {
    bool with_input;  // in is a socket; it ends when this process ends
    bool with_errors; // standard error goes to out too
};

// Starts argv[0], a path. 0, or a negative code.
int child_start(struct child *child, char *const argv[],
                const struct child_options *options);

// Reads standard output to its end, at most size - 1 bytes, and ends text with
// a NUL. Returns the number of bytes or a negative code.
ssize_t child_read_all(struct child *child, char *text, size_t size);

// Closes the pipes, waits for the end for `seconds`, then kills. Returns the
// exit status, or 128 + signal as a shell does.
int child_end(struct child *child, double seconds);

#endif
