// SPDX-License-Identifier: MIT
//
// crash.h: the text of a failure that a death caused.
#ifndef WI_PROCESS_CRASH_H
#define WI_PROCESS_CRASH_H

#include <stddef.h>

#include "os/process.h"
#include "process/boot.h"

enum { WI_CRASH_TEXT = 256 };

// Writes "WHAT: process 17 died of SIGSEGV at address 0x0 (pc ...)". end may be
// NULL while the process has not ended for certain, words may be NULL; what
// they say is used with care.
void wi_crash_text(char text[WI_CRASH_TEXT], const char *what, pid_t pid,
                   const struct wi_os_end *end, const struct wi_words *words);

#endif
