// SPDX-License-Identifier: MIT
//
// report.h: the end of a program that broke a rule, and lines on standard
// error. Both write with one system call from a buffer on the stack, so they
// work in a signal handler and on a nearly full stack.
#ifndef WI_OS_REPORT_H
#define WI_OS_REPORT_H

#include <weft/base.h>

// Writes "weft: FUNCTION: OBJECT: RULE" to standard error and aborts; without
// the object where that is NULL.
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

// A pointer that a public call cannot do without: its first lines say so of
// each, so that a NULL is told by the name of the call and of the parameter.
#define wi_need(pointer)                                                       \
    wi_require((pointer) != NULL, NULL, #pointer " must not be NULL")

// The same of a pointer to `n` things, which may be NULL if there are none.
#define wi_need_some(pointer, n)                                               \
    wi_require((pointer) != NULL || (n) == 0, NULL,                            \
               #pointer " must not be NULL")

#endif
