// SPDX-License-Identifier: MIT
//
// base.h: what every public header of Weft needs: export marks, the rules
// that hold for every call, and the form of an options structure.
//
// The rules, once:
//  - A function returns >= 0 for success or a negative code (error.h). Weft
//    never reports through errno, and leaves errno as it found it.
//  - Options come last, as in .name = "io", of macros over a function whose
//    name ends in _with. An argument with a comma that no parentheses enclose,
//    as that of a compound literal, is to be put into some:
//    weft_queue_put(q, (&(struct pair){1, 2}), .timeout = 1).
//  - Times are seconds in a double. Negative means 0, INFINITY (math.h) "no
//    limit", NaN aborts the program: it is always a mistake.
//  - "Blocks" in a contract comment means: a task parks and its worker runs
//    other tasks; a plain thread sleeps. Both may make every call.
//  - A blocking call first tests the scopes it stands in (scope.h), even when
//    it need not block: -ECANCELED if one of them is canceled, -ETIMEDOUT if
//    the deadline of one has passed. Cancel wins over timeout.
//  - A programming error (a NULL where an object or a function is asked for, a
//    lock given back by another than its holder) aborts with a message that
//    names the function, the object and the rule. So does the use of a handle
//    after its last reference was given back, unless its memory serves another
//    one by then.
//    Where NULL has a meaning, the contract says so.
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define WEFT_API                 __attribute__((visibility("default")))
#define WEFT_MUST_CHECK          __attribute__((warn_unused_result))
#define WEFT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define WEFT_CLEANUP(fn)         __attribute__((cleanup(fn), unused))
#else
#error "Weft needs gcc or clang: WEFT_GROUP and WEFT_TIMEOUT use attributes"
#endif

#ifdef __cplusplus
#define WEFT_BEGIN extern "C" {
#define WEFT_END   }
#else
#define WEFT_BEGIN
#define WEFT_END
#endif

#define WEFT_PASTE_(a, b) a##b
#define WEFT_PASTE(a, b)  WEFT_PASTE_(a, b)

// A name that no other line of the translation unit has.
#define WEFT_UNIQUE(stem) WEFT_PASTE(stem, __COUNTER__)

// The options of a call: keyword arguments in C. Every options structure
// begins with its size, so that it can grow, and the zero of every member is
// its default. WEFT_OPTIONS(weft_thread_options, .name = "io") is a pointer
// to one that lives to the end of the enclosing block.
#ifndef __cplusplus
#define WEFT_OPTIONS(type, ...)                                                \
    (&(const struct type){.size = sizeof(struct type), __VA_ARGS__})
#endif

#endif
