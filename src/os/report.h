// SPDX-License-Identifier: MIT
//
// report.h: the end of a program that broke a rule, and lines on standard
// error. Both write with one system call from a buffer on the stack, so they
// work in a signal handler and on a nearly full stack.
#ifndef WI_OS_REPORT_H
#define WI_OS_REPORT_H

#include <weft/base.h>

// Writes "weft: FUNCTION: OBJECT: RULE" to standard error and aborts.
_Noreturn void wi_panic(const char *function, const void *object,
                        const char *rule);

// Writes "weft: ..." as one line.
void wi_report(const char *format, ...) WEFT_PRINTF(1, 2);

// In the function that the user called; in one that serves several of those or
// has a name of the library's own, wi_require_in says which one was called.
#define wi_require(condition, object, rule)                                    \
    wi_require_in(__func__, (condition), (object), (rule))

#define wi_require_in(function, condition, object, rule)                       \
    ((condition) ? (void)0 : wi_panic((function), (object), (rule)))

#endif
