// SPDX-License-Identifier: MIT
//
// echo.h: what a child writes, line by line, to the standard output or error of
// its parent, behind the name of who wrote it.
#ifndef WI_PROCESS_ECHO_H
#define WI_PROCESS_ECHO_H

#include <stddef.h>
#include <sys/types.h>

struct wi_echo;

// To descriptor `to` of this process; `name` is copied. NULL: no memory.
struct wi_echo *wi_echo_new(int to, const char *name, pid_t pid);

// Takes bytes in, and writes the lines that are whole.
void wi_echo_put(struct wi_echo *echo, const char *bytes, size_t n);

// Writes what is left, and frees it; NULL is allowed.
void wi_echo_free(struct wi_echo *echo);

#endif
