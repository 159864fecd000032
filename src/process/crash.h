// SPDX-License-Identifier: MIT
//
// crash.h: the text of a failure that a death caused.
#ifndef WI_PROCESS_CRASH_H
#define WI_PROCESS_CRASH_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/process.h>

#include "os/process.h"
#include "process/boot.h"
#include "process/capture.h"

enum { WI_CRASH_TEXT = 384 };

// Writes "WHAT: process 17 died of signal 11 (SIGSEGV) at address 0x0, pc ...".
// end may be NULL while the process has not ended for certain, words may be
// NULL; what they say is used with care.
void wi_crash_text(char text[WI_CRASH_TEXT], const char *what, pid_t pid,
                   const struct wi_os_end *end, const struct wi_words *words);

// Puts the last line that a child has written behind a text, if there is one.
void wi_crash_quote(char text[WI_CRASH_TEXT], struct wi_capture captures[2]);

// Why a child has ended by exit before it reached the hook: a code, and a text
// that replaces that above.
int wi_crash_entry(char text[WI_CRASH_TEXT], const struct wi_os_end *end);

// The same as data. killed: by this process; else a SIGKILL may be the
// kernel's.
void wi_crash_report(struct weft_crash *crash, pid_t pid,
                     const struct wi_os_end *end, const struct wi_words *words,
                     bool killed);

// Puts that likely cause behind a text.
void wi_crash_hint(char text[WI_CRASH_TEXT], const struct weft_crash *crash);

// From now on processes that the kernel kills for want of memory are noticed:
// what it has killed before is none of ours.
void wi_crash_begin(void);

#endif
