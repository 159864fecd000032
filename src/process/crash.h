// SPDX-License-Identifier: MIT
//
// crash.h: the text of a failure that a death caused.
#ifndef WI_PROCESS_CRASH_H
#define WI_PROCESS_CRASH_H

#include <stddef.h>

#include "os/process.h"
#include "process/boot.h"
#include "process/capture.h"

enum { WI_CRASH_TEXT = 384 };

// Puts the last line that a child has written behind a text, if there is one.
void wi_crash_quote(char text[WI_CRASH_TEXT], struct wi_capture captures[2]);

// Writes "WHAT: process 17 died of SIGSEGV at address 0x0 (pc ...)". end may be
// NULL while the process has not ended for certain, words may be NULL; what
// they say is used with care.
void wi_crash_text(char text[WI_CRASH_TEXT], const char *what, pid_t pid,
                   const struct wi_os_end *end, const struct wi_words *words);

#endif
