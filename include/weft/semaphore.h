// SPDX-License-Identifier: MIT
//
// semaphore.h: a number of permits, which are acquired one by one and may be
// released by anybody.
//
//     struct weft_semaphore slots = WEFT_SEMAPHORE(8);
//
// A semaphore lives in the caller's storage, never allocates, serves tasks and
// threads in any mixture, and is valid when zeroed: it has no permit then.
//
// First in, first out: a permit goes to whoever has waited longest; nobody
// overtakes those who wait. A wait that was ended has taken no permit; one that
// was given a permit first returns 0.
//
// Not for signal handlers. A semaphore may be freed as soon as the last acquire
// that anybody needs has returned.
#ifndef WEFT_SEMAPHORE_H
#define WEFT_SEMAPHORE_H

#include <weft/arena.h>
#include <weft/base.h>

// The members are Weft's own.
struct weft_semaphore {
    uint32_t flags;
    uint32_t permits;
    uintptr_t line;
    uint32_t bound; // 0: none
    uint32_t lock;  // of a shared one
};

// Shared between processes: a semaphore that lies in an arena (arena.h) and was
// made there, by one of them, with .arena = a. A wait needs some memory of the
// arena then: -ENOMEM. The permits of a process that dies are gone.
struct weft_semaphore_options {
    size_t size;
    uint32_t bound;    // the most permits there can be; 0: 2^32 - 1
    weft_arena *arena; // where it lies; NULL: in this process alone
};

// An initializer: so many permits.
#define WEFT_SEMAPHORE(permits)                                                \
    {                                                                          \
        0, (permits), 0, 0, 0                                                  \
    }

// The same, and there can never be more than these.
#define WEFT_SEMAPHORE_BOUNDED(permits)                                        \
    {                                                                          \
        0, (permits), 0, (permits), 0                                          \
    }

WEFT_BEGIN

// Makes a semaphore with so many permits. Aborts if they are more than the
// bound. Since 0.1.
WEFT_API void
weft_semaphore_init_with(struct weft_semaphore *semaphore, uint32_t permits,
                         const struct weft_semaphore_options *options);

// Acquires a permit; waits for one. Blocks: the caller only. Cancels: yes.
// Threads: any. Errors: -ECANCELED, -ETIMEDOUT, -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_semaphore_acquire(struct weft_semaphore *semaphore);

// The same for at most `seconds`: then -ETIMEDOUT. Since 0.1.
WEFT_API int weft_semaphore_acquire_for(struct weft_semaphore *semaphore,
                                        double seconds);

// The same without waiting: -EAGAIN if there is none. Since 0.1.
WEFT_API int weft_semaphore_try(struct weft_semaphore *semaphore);

// Gives n permits (0 is allowed). Returns 0, or -EOVERFLOW if there would be
// more than the bound: then none is given. Blocks: no. Threads: any.
// Since 0.1.
WEFT_API int weft_semaphore_release(struct weft_semaphore *semaphore,
                                    uint32_t n);

// How many permits there are, a moment ago. Since 0.1.
WEFT_API uint32_t weft_semaphore_permits(struct weft_semaphore *semaphore);

// Aborts if somebody waits; there is nothing to give back. Since 0.1.
WEFT_API void weft_semaphore_fini(struct weft_semaphore *semaphore);

WEFT_END

#ifndef __cplusplus
#define weft_semaphore_init(semaphore, ...)                                    \
    WEFT_SEMAPHORE_INIT_((semaphore), __VA_ARGS__, )
#define WEFT_SEMAPHORE_INIT_(semaphore, permits, ...)                          \
    weft_semaphore_init_with(                                                  \
        (semaphore), (permits),                                                \
        WEFT_OPTIONS(weft_semaphore_options, __VA_ARGS__))
#else
inline void weft_semaphore_init(weft_semaphore *semaphore, uint32_t permits,
                                weft_semaphore_options o = {})
{
    o.size = sizeof o;
    weft_semaphore_init_with(semaphore, permits, &o);
}
#endif

#endif
