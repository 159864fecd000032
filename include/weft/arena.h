// SPDX-License-Identifier: MIT
//
// arena.h: memory that processes share, and an allocator in it. It lives as
// long as a process has it open and leaves nothing behind, however they end:
// there is no file, and a name goes with the process that gave it.
//
//     weft_arena *a;
//     weft_arena_new(64 << 20, &a, .name = "prices");
//     struct table *t = weft_arena_alloc(a, sizeof *t);
//     weft_submit(ex, update, .where = weft_arena_ref(a, t));
//
//     WEFT_JOB(int, update, struct work, w)
//     {
//         weft_arena *a;
//         struct table *t = weft_arena_open(w.where, &a);
//         ...
//         weft_arena_close(a);
//     }
//
// Each process has it at another address: keep offsets in it, not pointers.
// The processes trust one another; for those that do not there are
// connections (connection.h) and jobs.
//
// A process may die at any instant, also within a call here: the next caller
// undoes what was half done. Memory that it had, and had stored nowhere, stays
// taken; weft_arena_alloc_into leaves no such gap.
#ifndef WEFT_ARENA_H
#define WEFT_ARENA_H

#include <weft/base.h>

typedef struct weft_arena weft_arena;

// A place in an arena as a value, which may travel to other processes: in a
// job's argument, in a message, in another arena.
struct weft_arena_ref {
    uint64_t id[2]; // of the arena; random
    uint64_t at;    // offset of the place; 0: none
};

struct weft_arena_options {
    size_t size;
    const char *name; // other processes of this user find the arena by it, as
                      // long as this process has it open; at most 79 bytes,
                      // no '/'. NULL: none
    bool huge;        // pages of 2 MiB: those the system has in reserve, else
                      // wherever it makes some
    bool read_only;   // to attach: a view. It takes no place in the arena;
                      // writing to it is a fault
};

struct weft_arena_stat {
    size_t size;
    uint64_t limit;  // bytes that it may grow to
    uint64_t memory; // bytes that it has from the system
    uint64_t used;   // bytes in blocks, with their heads
    uint64_t blocks; // that are allocated
    unsigned participants;
    bool sealed;
    bool huge; // pages from the reserve
};

WEFT_BEGIN

// Makes an arena that may grow to `limit` bytes (rounded up to pages of 2 MiB;
// memory is taken as it is needed). Blocks: no. Threads: any. Errors: -EINVAL
// (limit 0 or 2^46 and more, name), -ENOMEM, -EMFILE, -EADDRINUSE (name),
// -EFBIG, -WEFT_EFORKED. Since 0.1.
WEFT_API int weft_arena_new_with(size_t limit, weft_arena **arena,
                                 const struct weft_arena_options *options);

// Opens the arena that a reference names: in the process that gave the
// reference or has given it away, its own; in others, one more attachment.
// Returns the place as a pointer (the arena's start for offset 0), or NULL:
// then *error (may be NULL) is the reason. The macro weft_arena_open(ref, &a,
// ...) does not ask for it. Blocks: the caller only, until that process has
// answered. Cancels: yes. Threads: any. Errors: -ENOENT (the process that gave
// the reference has closed it, has ended, or runs as another user), -ENOMEM,
// -EUSERS (1,023 processes have it), -WEFT_EPROTO, -ECANCELED, -ETIMEDOUT.
// Since 0.1.
WEFT_API void *weft_arena_open_with(struct weft_arena_ref ref,
                                    weft_arena **arena, int *error,
                                    const struct weft_arena_options *options);

// Opens the arena of that name: one that a process of this user has named.
// Returns 0 or as weft_arena_open. Since 0.1.
WEFT_API int weft_arena_find_with(const char *name, weft_arena **arena,
                                  const struct weft_arena_options *options);

// Attaches the arena of a descriptor that another process has sent; fd stays
// the caller's. Options: read_only. Errors: -EBADF, -WEFT_EPROTO (no arena, or
// that of another build), -EUSERS, -ENOMEM. Since 0.1.
WEFT_API int weft_arena_attach_with(int fd, weft_arena **arena,
                                    const struct weft_arena_options *options);

// The arena's descriptor, to be sent to another process; it stays the arena's.
// Since 0.1.
WEFT_API int weft_arena_fd(weft_arena *a);

// Gives one opening back; the last one of the process unmaps it, and pointers
// into it are void. The memory goes with the last process. NULL is allowed.
// Since 0.1.
WEFT_API void weft_arena_close(weft_arena *a);

// A reference to p, which lies in a; NULL: to the arena alone. From the first
// call on until this process closes a, processes of the same user can open it
// (where eight others give references as well, until the last of them does).
// Errors: a reference whose id is 0 (no descriptor or memory left). Threads:
// any. Since 0.1.
WEFT_API struct weft_arena_ref weft_arena_ref(weft_arena *a, const void *p);

// size bytes, zeroed, aligned to 16; NULL: the limit or the system's memory is
// reached. weft_arena_alloc_aligned: align is a power of two up to 4096.
// Blocks: for the time of another allocation. Cancels: no. Threads: any.
// Since 0.1.
WEFT_API void *weft_arena_alloc(weft_arena *a, size_t size);
WEFT_API void *weft_arena_alloc_aligned(weft_arena *a, size_t size,
                                        size_t align);

// As weft_arena_alloc, and stores the offset at *where, which lies in a, in
// one step: a process that dies on the way has done both or neither.
// Returns 0 or -ENOMEM. Since 0.1.
WEFT_API int weft_arena_alloc_into(weft_arena *a, uint64_t *where, size_t size);

// Gives memory back; p NULL is allowed. What is no block of a, or free
// already, aborts. Since 0.1.
WEFT_API void weft_arena_free(weft_arena *a, void *p);

// Frees the block whose offset stands at *where, and makes that 0, in one
// step. 0 there is allowed. Since 0.1.
WEFT_API void weft_arena_free_from(weft_arena *a, uint64_t *where);

// Offsets: of a pointer into a (0 for NULL), and the pointer of one (NULL for
// 0). One that lies beyond the end gives NULL. Since 0.1.
WEFT_API uint64_t weft_arena_offset(const weft_arena *a, const void *p);
WEFT_API void *weft_arena_at(const weft_arena *a, uint64_t offset);

// The arena's root: one place by which those who attach it find the rest;
// NULL: none.
// Release and acquire: what was written before the root is seen after.
// Since 0.1.
WEFT_API void weft_arena_set_root(weft_arena *a, const void *p);
WEFT_API void *weft_arena_root(const weft_arena *a);

// Makes the arena unchangeable for all and for ever, this process included.
// -EBUSY if another process has it open for writing; then nothing has changed.
// No other thread may use the arena meanwhile. Since 0.1.
WEFT_API int weft_arena_seal(weft_arena *a);

// Frees what processes that have died held half done, and their places.
// Others do that by themselves when they need it. Returns how many had died.
// Since 0.1.
WEFT_API int weft_arena_recover(weft_arena *a);

// Fills in stat up to its size; 0. Since 0.1.
WEFT_API int weft_arena_stat(weft_arena *a, struct weft_arena_stat *stat);

// Walks all of the heap. 0, or -WEFT_EPROTO and a line on standard error if
// somebody has written where nobody may. Since 0.1.
WEFT_API int weft_arena_check(weft_arena *a);

WEFT_END

// n elements of size bytes; too many are more than any arena has.
static inline size_t weft_arena_array_size_(size_t n, size_t size)
{
    size_t whole;
    return __builtin_mul_overflow(n, size, &whole) ? SIZE_MAX : whole;
}

#ifndef __cplusplus
// A zeroed value or array of a type; NULL: no memory.
#define weft_arena_value(a, type) ((type *)weft_arena_alloc((a), sizeof(type)))
#define weft_arena_array(a, type, n)                                           \
    ((type *)weft_arena_alloc((a), weft_arena_array_size_((n), sizeof(type))))
#define weft_arena_new(limit, ...) WEFT_ARENA_NEW_((limit), __VA_ARGS__, )
#define WEFT_ARENA_NEW_(limit, arena, ...)                                     \
    weft_arena_new_with((limit), (arena),                                      \
                        WEFT_OPTIONS(weft_arena_options, __VA_ARGS__))
#define weft_arena_open(ref, ...) WEFT_ARENA_OPEN_((ref), __VA_ARGS__, )
#define WEFT_ARENA_OPEN_(ref, arena, ...)                                      \
    weft_arena_open_with((ref), (arena), NULL,                                 \
                         WEFT_OPTIONS(weft_arena_options, __VA_ARGS__))
#define weft_arena_find(name, ...) WEFT_ARENA_FIND_((name), __VA_ARGS__, )
#define WEFT_ARENA_FIND_(text, arena, ...)                                     \
    weft_arena_find_with((text), (arena),                                      \
                         WEFT_OPTIONS(weft_arena_options, __VA_ARGS__))
#define weft_arena_attach(fd, ...) WEFT_ARENA_ATTACH_((fd), __VA_ARGS__, )
#define WEFT_ARENA_ATTACH_(fd, arena, ...)                                     \
    weft_arena_attach_with((fd), (arena),                                      \
                           WEFT_OPTIONS(weft_arena_options, __VA_ARGS__))
#else
template <class T> inline T *weft_arena_value(weft_arena *a)
{
    return static_cast<T *>(weft_arena_alloc(a, sizeof(T)));
}
template <class T> inline T *weft_arena_array(weft_arena *a, size_t n)
{
    return static_cast<T *>(
        weft_arena_alloc(a, weft_arena_array_size_(n, sizeof(T))));
}
inline int weft_arena_new(size_t limit, weft_arena **arena,
                          weft_arena_options o = {})
{
    o.size = sizeof o;
    return weft_arena_new_with(limit, arena, &o);
}
inline void *weft_arena_open(struct weft_arena_ref ref, weft_arena **arena,
                             weft_arena_options o = {})
{
    o.size = sizeof o;
    return weft_arena_open_with(ref, arena, nullptr, &o);
}
inline int weft_arena_find(const char *name, weft_arena **arena,
                           weft_arena_options o = {})
{
    o.size = sizeof o;
    return weft_arena_find_with(name, arena, &o);
}
inline int weft_arena_attach(int fd, weft_arena **arena,
                             weft_arena_options o = {})
{
    o.size = sizeof o;
    return weft_arena_attach_with(fd, arena, &o);
}
#endif

// An atomic counter, anywhere in memory, also in an arena; zero at first.
struct weft_counter {
    int64_t value;
};

// Adds n and returns the new value. Sequentially consistent, as the others.
static inline int64_t weft_counter_add(struct weft_counter *c, int64_t n)
{
    return __atomic_add_fetch(&c->value, n, __ATOMIC_SEQ_CST);
}
static inline int64_t weft_counter_get(const struct weft_counter *c)
{
    return __atomic_load_n(&c->value, __ATOMIC_SEQ_CST);
}
// Sets it and returns what it was.
static inline int64_t weft_counter_set(struct weft_counter *c, int64_t value)
{
    return __atomic_exchange_n(&c->value, value, __ATOMIC_SEQ_CST);
}
// Sets it if it is `expected`; whether it was.
static inline bool weft_counter_swap(struct weft_counter *c, int64_t expected,
                                     int64_t value)
{
    return __atomic_compare_exchange_n(&c->value, &expected, value, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif
