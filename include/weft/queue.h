// SPDX-License-Identifier: MIT
//
// queue.h: items from many producers to many consumers, which may be tasks and
// plain threads in any mixture. Python's queue.Queue and asyncio.Queue in one,
// with shutdown as in Python 3.13.
//
//     weft_queue *q = weft_queue_new(.item = sizeof(job), .maxsize = 128);
//     weft_queue_put(q, &job);                  // copies the job in
//     weft_queue_get(q, &job, .timeout = 2.5);  // copies one out
//     weft_queue_free(q);
//
// Items are copied, .item bytes each. Who puts pointers (the default size)
// gives the address of the pointer, and hands over what it points to.
//
// Order: items leave in the order of the kind. Those who wait are woken in the
// order in which they came, but who comes just then and need not wait may be
// faster. A wait that ends early (timeout, cancel) has moved no item, and an
// item is never given to somebody who has left.
//
// Shutdown: from weft_queue_shutdown on, puts fail with -WEFT_ECLOSED; gets
// take what is left, then fail too. With `immediate` nothing is left.
//
// Processes: with .arena the queue lies in shared memory, and other processes
// open it by its reference: weft_queue_open. It is a FIFO with a bound (1,024
// items if none is given), from the same calls. There is no thread in between:
// when a put returns, the item can be got. A process that is killed within a
// put or get has put or taken its items or has not; all others go on. With
// .bytes it holds records of any length: weft_queue_put_bytes.
//
// Threads: all functions but free may be called by any thread or task at any
// time; none in a signal handler. Memory: a queue with a bound of up to 65,536
// items has all of it from the start; others grow and shrink in put. Waiting
// needs none.
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <weft/arena.h>
#include <weft/base.h>

typedef struct weft_queue weft_queue;

// Which item leaves first.
enum weft_queue_kind {
    WEFT_QUEUE_FIFO = 0,
    WEFT_QUEUE_LIFO,
    WEFT_QUEUE_PRIORITY,   // the lowest .priority; of equal ones the oldest
    WEFT_QUEUE_RENDEZVOUS, // holds none: a put ends when a get has the item
};

struct weft_queue_options {
    size_t size;
    size_t item;    // bytes of one item; 0: sizeof(void *)
    size_t maxsize; // items it holds; 0: no limit
    enum weft_queue_kind kind;
    unsigned producers;       // who will call weft_queue_producer_done
    void (*drop)(void *item); // called for each item that nobody will get:
                              // immediate shutdown, weft_queue_free
    weft_arena *arena; // where it lies; NULL: in this process. It must stay
                       // open as long as the queue is
    size_t bytes;      // with .arena: holds records of up to so many bytes
                       // together, with 8 bytes each; .item and .maxsize are 0
};

struct weft_queue_put_options {
    size_t size;
    double timeout;   // seconds that this call waits at most; 0: no limit
    int64_t priority; // of WEFT_QUEUE_PRIORITY
    bool nowait;      // -EAGAIN instead of waiting
};

struct weft_queue_get_options {
    size_t size;
    double timeout; // seconds that this call waits at most; 0: no limit
    bool nowait;    // -EAGAIN instead of waiting
};

WEFT_BEGIN

// A new queue. Never NULL: lack of memory is told by the first call (-ENOMEM).
// Since 0.1.
WEFT_API weft_queue *
weft_queue_new_with(const struct weft_queue_options *options);

// The queue of a reference, as weft_arena_open; and a reference to one in an
// arena (its id is 0: see weft_arena_ref; for a queue without an arena too).
// weft_queue_open is never NULL: a failure is told by the first call, with the
// code of weft_arena_open. Threads: any. Since 0.1.
WEFT_API weft_queue *weft_queue_open(struct weft_arena_ref ref);
WEFT_API struct weft_arena_ref weft_queue_ref(weft_queue *q);

// Frees q and drops what is in it; one that was opened is given back only, and
// one that was made in an arena is gone for all. NULL is allowed. Nobody else
// may be in a call on q: who waits there aborts the program. Since 0.1.
WEFT_API void weft_queue_free(weft_queue *q);

// Copies one item in; waits while q is full. Returns 0. Blocks: the caller
// only. Cancels: yes; then the item was not put. Errors: -EAGAIN (nowait and
// full), -ETIMEDOUT, -ECANCELED, -WEFT_ECLOSED, -ENOMEM. Since 0.1.
WEFT_API int weft_queue_put_with(weft_queue *q, const void *item,
                                 const struct weft_queue_put_options *options);

// Takes one item and copies it to *item; waits while q is empty. Returns 0.
// Blocks: the caller only. Cancels: yes; then no item was taken. Errors:
// -EAGAIN (nowait and empty), -ETIMEDOUT, -ECANCELED, -WEFT_ECLOSED (shut down
// and empty), -ENOMEM. Since 0.1.
WEFT_API int weft_queue_get_with(weft_queue *q, void *item,
                                 const struct weft_queue_get_options *options);

// Puts n items that stand one after another, waiting as often as it must.
// Returns how many were put: fewer than n only if the wait ended early or q
// was shut down, a negative code only if none was. All have one priority.
// They stand together in q unless q was full in between. Errors: as put.
// Since 0.1.
WEFT_API ssize_t
weft_queue_put_n_with(weft_queue *q, const void *items, size_t n,
                      const struct weft_queue_put_options *options);

// Takes 1 to n items: waits for the first, then takes what else is there.
// Returns how many. Errors: as get. Since 0.1.
WEFT_API ssize_t
weft_queue_get_n_with(weft_queue *q, void *items, size_t n,
                      const struct weft_queue_get_options *options);

// Puts a record of size bytes (0 too), or takes one into a place of size bytes
// and returns its length: queues made with .bytes, which other calls may not
// put to or get from. As put and get otherwise. Errors: -WEFT_ETOOBIG (larger
// than the queue; larger than the place: then it is still there). Since 0.1.
WEFT_API int
weft_queue_put_bytes_with(weft_queue *q, const void *data, size_t size,
                          const struct weft_queue_put_options *options);
WEFT_API ssize_t
weft_queue_get_bytes_with(weft_queue *q, void *data, size_t size,
                          const struct weft_queue_get_options *options);

// How many items are in q, whether it has none, whether a put would wait: a
// snapshot, which other threads may outdate at once. A rendezvous has none and
// is always full. Blocks: no. Since 0.1.
WEFT_API size_t weft_queue_size(weft_queue *q);
WEFT_API bool weft_queue_empty(weft_queue *q);
WEFT_API bool weft_queue_full(weft_queue *q);

// Says that one item that was got has been worked off. Returns 0. Calling it
// more often than items were put aborts the program. Blocks: no. Since 0.1.
WEFT_API int weft_queue_task_done(weft_queue *q);

// How many items were put and not yet told of by weft_queue_task_done.
// Since 0.1.
WEFT_API size_t weft_queue_unfinished(weft_queue *q);

// Waits until that number is 0. Returns 0. Blocks: the caller only. Cancels:
// yes. Errors: -ETIMEDOUT, -ECANCELED. Since 0.1.
WEFT_API int weft_queue_join(weft_queue *q);

// Shuts q down, see above; everybody who waits looks again. `immediate` drops
// the items in q and takes them off the number of unfinished ones. A second
// call may add `immediate`, and cannot take it back. Returns 0. Blocks: no.
// Since 0.1.
WEFT_API int weft_queue_shutdown(weft_queue *q, bool immediate);
WEFT_API bool weft_queue_is_shutdown(weft_queue *q);

// One producer more; one less. When the last one is done q is shut down, not
// immediately. Returns 0, -WEFT_ECLOSED for a producer that comes after
// shutdown, or why q could not be made. More done than there were aborts.
// Blocks: no. Since 0.1.
WEFT_API int weft_queue_producer_add(weft_queue *q);
WEFT_API int weft_queue_producer_done(weft_queue *q);

WEFT_END

#ifndef __cplusplus
#define weft_queue_new(...)                                                    \
    weft_queue_new_with(WEFT_OPTIONS(weft_queue_options, __VA_ARGS__))
// weft_queue_put(q, &item) or (q, &item, .timeout = 1); the others likewise
#define weft_queue_put(q, ...) WEFT_QUEUE_PUT_((q), __VA_ARGS__, )
#define WEFT_QUEUE_PUT_(q, item, ...)                                          \
    weft_queue_put_with(q, (item),                                             \
                        WEFT_OPTIONS(weft_queue_put_options, __VA_ARGS__))
#define weft_queue_get(q, ...) WEFT_QUEUE_GET_((q), __VA_ARGS__, )
#define WEFT_QUEUE_GET_(q, item, ...)                                          \
    weft_queue_get_with(q, (item),                                             \
                        WEFT_OPTIONS(weft_queue_get_options, __VA_ARGS__))
#define weft_queue_put_n(q, items, ...)                                        \
    WEFT_QUEUE_PUT_N_((q), (items), __VA_ARGS__, )
#define WEFT_QUEUE_PUT_N_(q, items, n, ...)                                    \
    weft_queue_put_n_with(q, items, (n),                                       \
                          WEFT_OPTIONS(weft_queue_put_options, __VA_ARGS__))
#define weft_queue_get_n(q, items, ...)                                        \
    WEFT_QUEUE_GET_N_((q), (items), __VA_ARGS__, )
#define WEFT_QUEUE_GET_N_(q, items, n, ...)                                    \
    weft_queue_get_n_with(q, items, (n),                                       \
                          WEFT_OPTIONS(weft_queue_get_options, __VA_ARGS__))
#define weft_queue_put_bytes(q, data, ...)                                     \
    WEFT_QUEUE_PUT_BYTES_((q), (data), __VA_ARGS__, )
#define WEFT_QUEUE_PUT_BYTES_(q, data, bytes, ...)                             \
    weft_queue_put_bytes_with(                                                 \
        q, data, (bytes), WEFT_OPTIONS(weft_queue_put_options, __VA_ARGS__))
#define weft_queue_get_bytes(q, data, ...)                                     \
    WEFT_QUEUE_GET_BYTES_((q), (data), __VA_ARGS__, )
#define WEFT_QUEUE_GET_BYTES_(q, data, bytes, ...)                             \
    weft_queue_get_bytes_with(                                                 \
        q, data, (bytes), WEFT_OPTIONS(weft_queue_get_options, __VA_ARGS__))
#define weft_queue_try_put(q, ...) WEFT_QUEUE_TRY_PUT_((q), __VA_ARGS__, )
#define WEFT_QUEUE_TRY_PUT_(q, item, ...)                                      \
    weft_queue_put_with(                                                       \
        q, (item),                                                             \
        WEFT_OPTIONS(weft_queue_put_options, .nowait = true, __VA_ARGS__))
#define weft_queue_try_get(q, item)                                            \
    weft_queue_get_with((q), (item),                                           \
                        WEFT_OPTIONS(weft_queue_get_options, .nowait = true))
#else
inline weft_queue *weft_queue_new(weft_queue_options o = {})
{
    o.size = sizeof o;
    return weft_queue_new_with(&o);
}
inline int weft_queue_put(weft_queue *q, const void *item,
                          weft_queue_put_options o = {})
{
    o.size = sizeof o;
    return weft_queue_put_with(q, item, &o);
}
inline int weft_queue_get(weft_queue *q, void *item,
                          weft_queue_get_options o = {})
{
    o.size = sizeof o;
    return weft_queue_get_with(q, item, &o);
}
inline ssize_t weft_queue_put_n(weft_queue *q, const void *items, size_t n,
                                weft_queue_put_options o = {})
{
    o.size = sizeof o;
    return weft_queue_put_n_with(q, items, n, &o);
}
inline ssize_t weft_queue_get_n(weft_queue *q, void *items, size_t n,
                                weft_queue_get_options o = {})
{
    o.size = sizeof o;
    return weft_queue_get_n_with(q, items, n, &o);
}
inline int weft_queue_put_bytes(weft_queue *q, const void *data, size_t size,
                                weft_queue_put_options o = {})
{
    o.size = sizeof o;
    return weft_queue_put_bytes_with(q, data, size, &o);
}
inline ssize_t weft_queue_get_bytes(weft_queue *q, void *data, size_t size,
                                    weft_queue_get_options o = {})
{
    o.size = sizeof o;
    return weft_queue_get_bytes_with(q, data, size, &o);
}
inline int weft_queue_try_put(weft_queue *q, const void *item,
                              weft_queue_put_options o = {})
{
    o.nowait = true;
    return weft_queue_put(q, item, o);
}
inline int weft_queue_try_get(weft_queue *q, void *item)
{
    weft_queue_get_options o = {};
    o.nowait = true;
    return weft_queue_get(q, item, o);
}
#endif

#endif
