// SPDX-License-Identifier: MIT
//
// once.h: something that is done once, by whoever needs it first.
//
//     static struct weft_once once;      // zeroed: not done
//     int rc = weft_once_call(&once, open_database, path);
//
// Lives in the caller's storage and never allocates. Not for signal handlers.
//
// Shared between processes: one that lies in an arena (arena.h) and was made
// there with weft_once_init(once, .arena = a); by the process that makes the
// arena, before others have it. Then it is done once by all of them. If the
// process that is at it dies, the next one does it from the beginning.
#ifndef WEFT_ONCE_H
#define WEFT_ONCE_H

#include <weft/base.h>
#include <weft/lock.h>
#include <weft/task.h>

// The members are Weft's own.
struct weft_once_state {
    uint64_t word;
    uintptr_t line;
};

struct weft_once {
    union {
        struct weft_once_state state;
        struct weft_lock lock; // of a shared one
    };
};

struct weft_once_options {
    size_t size;
    weft_arena *arena; // where it lies; NULL: in this process alone
};

WEFT_BEGIN

// Makes one that is not done; not needed for one in this process that is
// zeroed. Aborts if it does not lie in the arena. Since 0.1.
WEFT_API void weft_once_init_with(struct weft_once *once,
                                  const struct weft_once_options *options);

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

#ifndef __cplusplus
#define weft_once_init(...) WEFT_ONCE_INIT_(__VA_ARGS__, )
#define WEFT_ONCE_INIT_(once, ...)                                             \
    weft_once_init_with((once), WEFT_OPTIONS(weft_once_options, __VA_ARGS__))
#else
inline void weft_once_init(weft_once *once, weft_once_options o = {})
{
    o.size = sizeof o;
    weft_once_init_with(once, &o);
}
#endif

#endif
