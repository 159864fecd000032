// SPDX-License-Identifier: MIT
//
// rwlock.h: a lock that many may hold for reading, or one for writing; between
// tasks and plain threads in any mixture.
//
// First in, first out: nobody overtakes who waits, so neither readers nor
// writers starve; readers who stand side by side in the line go in together. A
// reader that acquires it again while a writer waits would wait for itself:
// do not.
//
// The rules and codes of struct weft_lock hold (lock.h): waits are never ended
// by cancel or deadline of a scope, -WEFT_EDEADLOCK means not held, -EOWNERDEAD
// held after a writer that ended without releasing it. Readers are counted, not
// known: a cycle over them is not found, and one that ends with the lock keeps
// it for ever (which is reported).
//
// Lives in the caller's storage, is valid when zeroed, never allocates. Not for
// signal handlers.
#ifndef WEFT_RWLOCK_H
#define WEFT_RWLOCK_H

#include <weft/arena.h>
#include <weft/base.h>

// The members are Weft's own.
struct weft_rwlock {
    union {
        uint64_t writer;
        uint32_t half[2]; // of a shared one: flags, and the lock of the rest
    };
    uintptr_t line;
    union {
        uint32_t readers;
        uint64_t shares; // of a shared one: who has it, by processes
    };
};

// Shared between processes: a lock that lies in an arena (arena.h) and was made
// there, by one of them, with weft_rwlock_init(lock, .arena = a). The calls are
// the same, from tasks and threads of all processes that have the arena; an
// acquire needs some memory of the arena then: -ENOMEM. What a process had dies
// with it: its readers are none any more, and after its writer the next ones
// are told -EOWNERDEAD. Cycles that lead through a shared lock are not found.
struct weft_rwlock_options {
    size_t size;
    weft_arena *arena; // where the lock lies; NULL: in this process alone
    const char *name;  // in reports of lock order; at most 31 bytes. NULL: none
};

WEFT_BEGIN

// Makes a free lock; not needed for one in this process that is zeroed. Aborts
// if it does not lie in the arena. Since 0.1.
WEFT_API void weft_rwlock_init_with(struct weft_rwlock *lock,
                                    const struct weft_rwlock_options *options);

// Acquires the lock for reading: while no one has it for writing. Returns 0,
// -EOWNERDEAD (held), -WEFT_EDEADLOCK, -WEFT_EFORKED. Blocks: the caller only.
// Cancels: no. Threads: any. Since 0.1.
WEFT_API int weft_rwlock_read_acquire(struct weft_rwlock *lock) WEFT_MUST_CHECK;

// The same without waiting (-EAGAIN), or for at most `seconds` (-ETIMEDOUT).
// Since 0.1.
WEFT_API int weft_rwlock_read_try(struct weft_rwlock *lock) WEFT_MUST_CHECK;
WEFT_API int weft_rwlock_read_acquire_for(struct weft_rwlock *lock,
                                          double seconds) WEFT_MUST_CHECK;

// Releases it; by the task or thread that acquired it. Aborts if nobody has it
// for reading. Blocks: no. Since 0.1.
WEFT_API void weft_rwlock_read_release(struct weft_rwlock *lock);

// The same for writing: while nobody else has it in any way. Since 0.1.
WEFT_API int weft_rwlock_write_acquire(struct weft_rwlock *lock)
    WEFT_MUST_CHECK;
WEFT_API int weft_rwlock_write_try(struct weft_rwlock *lock) WEFT_MUST_CHECK;
WEFT_API int weft_rwlock_write_acquire_for(struct weft_rwlock *lock,
                                           double seconds) WEFT_MUST_CHECK;
WEFT_API void weft_rwlock_write_release(struct weft_rwlock *lock);

// Turns the caller's lock for writing into one for reading, without letting a
// writer in between. Since 0.1.
WEFT_API void weft_rwlock_downgrade(struct weft_rwlock *lock);

// Whether the caller has it for writing. Since 0.1.
WEFT_API bool weft_rwlock_write_held(const struct weft_rwlock *lock);

// What it guards is whole again, says one who has it for writing. Since 0.1.
WEFT_API void weft_rwlock_repaired(struct weft_rwlock *lock);

// Aborts if it is held or waited for; there is nothing to give back.
// Since 0.1.
WEFT_API void weft_rwlock_fini(struct weft_rwlock *lock);

WEFT_END

#ifndef __cplusplus
#define weft_rwlock_init(...) WEFT_RWLOCK_INIT_(__VA_ARGS__, )
#define WEFT_RWLOCK_INIT_(lock, ...)                                           \
    weft_rwlock_init_with((lock),                                              \
                          WEFT_OPTIONS(weft_rwlock_options, __VA_ARGS__))
#else
inline void weft_rwlock_init(weft_rwlock *lock, weft_rwlock_options o = {})
{
    o.size = sizeof o;
    weft_rwlock_init_with(lock, &o);
}
#endif

#endif
