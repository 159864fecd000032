// SPDX-License-Identifier: MIT
//
// progress.h: one line on standard error that says what is being done, cut to
// the width of the terminal. Only on one; elsewhere these do nothing.
#ifndef WEFT_CLI_PROGRESS_H
#define WEFT_CLI_PROGRESS_H

#include <stddef.h>

// Begins a line about `what` (not copied). total: how many steps there will
// be; 0: not known. One line at a time.
void progress_begin(const char *what, size_t total);

// One step is done. Any thread.
void progress_step(void);

// Takes the line away.
void progress_end(void);

#endif
