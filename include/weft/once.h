// SPDX-License-Identifier: MIT
//
// once.h: something that is done once, by whoever needs it first.
//
//     static struct weft_once once;      // zeroed: not done
//     int rc = weft_once_call(&once, open_database, path);
//
// Lives in the caller's storage and never allocates. Not for signal handlers.
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/base.h>
#include <weft/task.h>

// The members are Weft's own.
struct weft_once {
    uint64_t word;
    uintptr_t line;
};

WEFT_BEGIN

// Calls fn(arg) unless a call of this once has succeeded before; if another
// one is at it, waits for that. When it returns 0 or more, fn has succeeded,
// and what it did is seen. Returns fn's code to the one who called it, 0 to
// the others. A failure (a negative code) goes to its caller only, and leaves
// the work to the next one: those who waited try it in turn.
// Blocks: the caller only. Cancels: no. Threads: any. Errors: those of fn,
// -WEFT_EDEADLOCK (fn calls the same once, or waits for one who waits for it),
// -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_once_call(struct weft_once *once, weft_function *fn,
                            void *arg);

// Whether it has been done. Since 0.1.
WEFT_API bool weft_once_done(const struct weft_once *once);

WEFT_END

#endif
