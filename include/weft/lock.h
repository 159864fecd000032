// SPDX-License-Identifier: MIT
//
// lock.h: mutual exclusion between tasks and plain threads, in any mixture.
//
//     struct weft_lock lock = {0};          // guards `total`
//     {
//         WEFT_LOCKED(&lock);               // to the end of the block
//         total += n;
//     }
//
// A lock lives in the caller's storage, is valid when zeroed, never allocates,
// and may be held across waits. It belongs to the task or thread that acquired
// it: nobody else may release it. struct weft_rlock is the same, but its owner
// may acquire it again.
//
// Not first in, first out: who comes while the lock is free has it. But who
// has been overtaken several times is handed the lock by its holder, so that
// nobody starves.
//
// Waiting for a lock is never ended by cancel or deadline of a scope. What can
// happen instead is told by the code of the acquire:
//   -WEFT_EDEADLOCK  the lock is not held: waiting for it would close a cycle
//                    of waits (for locks, joins, groups). Exactly one of the
//                    cycle is told.
//   -EOWNERDEAD      the lock is held: an earlier holder ended without
//                    releasing it, so what it guards may be half done. Every
//                    acquire says so until weft_lock_repaired.
//
// Not to be used in signal handlers. A lock that its holder has released last
// may be freed at once; weft_lock_fini sees that nobody uses it any more.
#ifndef WEFT_LOCK_H
#define WEFT_LOCK_H

#include <weft/arena.h>
#include <weft/base.h>

// The members are Weft's own.
struct weft_lock {
    union {
        uint64_t word; // who holds it
        uint32_t half[2];
    };
    uintptr_t line; // who waits for it
};

struct weft_rlock {
    struct weft_lock lock;
    uint32_t depth; // how often its holder has acquired it
    uint32_t slack;
};

// Shared between processes: a lock that lies in an arena (arena.h) and was made
// there, by one of them, with weft_lock_init(lock, .arena = a). The calls are
// the same, from tasks and threads of all processes that have the arena, and
// -EOWNERDEAD also says that its holder's process has died. A cycle that leads
// through shared locks of one arena is found after some 10 milliseconds, in
// whatever processes its tasks and threads are; waits of other kinds (for a
// local lock, a join) may be among them in one of the processes. A task that
// ends with a shared lock leaves it held as long as its process lives.
struct weft_lock_options {
    size_t size;
    weft_arena *arena; // where the lock lies; NULL: in this process alone
    const char *name;  // in reports of lock order; at most 31 bytes. NULL: none
};

WEFT_BEGIN

// Makes a free lock; not needed for one in this process that is zeroed. Aborts
// if it does not lie in the arena. Since 0.1.
WEFT_API void weft_lock_init_with(struct weft_lock *lock,
                                  const struct weft_lock_options *options);
WEFT_API void weft_rlock_init_with(struct weft_rlock *lock,
                                   const struct weft_lock_options *options);

// Acquires the lock; waits as long as another one holds it. Returns 0 or one
// of the codes above, and -WEFT_EFORKED (not held) in a child of fork that
// would wait: for a lock that another thread held at the fork. What the thread
// that forked held itself the child holds: -WEFT_EDEADLOCK.
// Blocks: the caller only. Cancels: no. Threads: any. Since 0.1.
WEFT_API int weft_lock_acquire(struct weft_lock *lock) WEFT_MUST_CHECK;

// The same without waiting: -EAGAIN if another one, or the caller, holds it.
// Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_lock_try(struct weft_lock *lock) WEFT_MUST_CHECK;

// As weft_lock_acquire, for at most `seconds`: then -ETIMEDOUT (not held).
// No cycle is reported for a wait that will end. Since 0.1.
WEFT_API int weft_lock_acquire_for(struct weft_lock *lock, double seconds)
    WEFT_MUST_CHECK;

// Releases the lock, which the caller must hold: aborts otherwise.
// Blocks: no. Since 0.1.
WEFT_API void weft_lock_release(struct weft_lock *lock);

// Whether the caller holds it; for assertions. Since 0.1.
WEFT_API bool weft_lock_held(const struct weft_lock *lock);

// Whether anybody holds it, a moment ago. Since 0.1.
WEFT_API bool weft_lock_locked(const struct weft_lock *lock);

// What the lock guards is whole again; the caller must hold it. Acquires no
// more say -EOWNERDEAD. Since 0.1.
WEFT_API void weft_lock_repaired(struct weft_lock *lock);

// Aborts if the lock is held or waited for; afterwards it is zeroed. There is
// nothing to give back. Since 0.1.
WEFT_API void weft_lock_fini(struct weft_lock *lock);

// The same for a lock that its holder may acquire again: it is released when
// it has been released as often. -WEFT_EDEADLOCK never means the caller
// itself. Aborts at the 2^32nd acquire of one holder. Since 0.1.
WEFT_API int weft_rlock_acquire(struct weft_rlock *lock) WEFT_MUST_CHECK;
WEFT_API int weft_rlock_try(struct weft_rlock *lock) WEFT_MUST_CHECK;
WEFT_API int weft_rlock_acquire_for(struct weft_rlock *lock, double seconds)
    WEFT_MUST_CHECK;
WEFT_API void weft_rlock_release(struct weft_rlock *lock);
WEFT_API bool weft_rlock_held(const struct weft_rlock *lock);
WEFT_API bool weft_rlock_locked(const struct weft_rlock *lock);
WEFT_API void weft_rlock_repaired(struct weft_rlock *lock);
WEFT_API void weft_rlock_fini(struct weft_rlock *lock);

// How often the caller has acquired it and not released it. Since 0.1.
WEFT_API uint32_t weft_rlock_depth(const struct weft_rlock *lock);

// What the declarations below use: the acquire that aborts when it fails, and
// the release of a guard. Since 0.1.
WEFT_API struct weft_lock *weft_lock_guard(struct weft_lock *lock);
WEFT_API void weft_lock_guard_leave(struct weft_lock **guard);
WEFT_API struct weft_rlock *weft_rlock_guard(struct weft_rlock *lock);
WEFT_API void weft_rlock_guard_leave(struct weft_rlock **guard);

WEFT_END

#ifndef __cplusplus
#define weft_lock_init(...) WEFT_LOCK_INIT_(weft_lock_init_with, __VA_ARGS__, )
#define weft_rlock_init(...)                                                   \
    WEFT_LOCK_INIT_(weft_rlock_init_with, __VA_ARGS__, )
#define WEFT_LOCK_INIT_(fn, lock, ...)                                         \
    fn((lock), WEFT_OPTIONS(weft_lock_options, __VA_ARGS__))
#else
inline void weft_lock_init(weft_lock *lock, weft_lock_options o = {})
{
    o.size = sizeof o;
    weft_lock_init_with(lock, &o);
}
inline void weft_rlock_init(weft_rlock *lock, weft_lock_options o = {})
{
    o.size = sizeof o;
    weft_rlock_init_with(lock, &o);
}
#endif

// Declarations: hold the lock from here to the end of the enclosing block,
// however that is left (end, return, break, goto; not longjmp). They abort on
// each code of an acquire: use the calls where those can be handled.
#define WEFT_LOCKED(lock) WEFT_LOCKED_(WEFT_UNIQUE(weft_locked_), lock)
#define WEFT_LOCKED_(name, lock)                                               \
    struct weft_lock *name WEFT_CLEANUP(weft_lock_guard_leave) =               \
        weft_lock_guard(lock)
#define WEFT_RLOCKED(lock) WEFT_RLOCKED_(WEFT_UNIQUE(weft_locked_), lock)
#define WEFT_RLOCKED_(name, lock)                                              \
    struct weft_rlock *name WEFT_CLEANUP(weft_rlock_guard_leave) =             \
        weft_rlock_guard(lock)

#endif
