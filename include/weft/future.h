// SPDX-License-Identifier: MIT
//
// future.h: the one handle. A task, a thread, a process and a job are all a
// weft_future: something that will end with a code, some result bytes and a
// text. Anything can wait for any of them.
//
// Handles are counted. What starts something returns a handle that is yours;
// weft_join and weft_result wait and give the handle back, weft_get waits and
// keeps it, weft_future_unref gives it back without waiting. Starting never
// returns NULL: a start that failed is a future that has failed.
//
// Two families of codes are never confused:
//   -ETIMEDOUT, -ECANCELED                     the waiter gave up
//   -WEFT_EJOBTIMEOUT, -WEFT_EJOBCANCELED      the thing waited for did
// So where a function returns one of the first two, or a job fails or a promise
// is kept with it, the future has the one below. Only a start that has to wait,
// and was ended in that by the caller's scope, gives a future with the first.
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <weft/base.h>

typedef struct weft_future weft_future;
typedef struct weft_promise weft_promise;

// How weft_wait decides that it has waited enough (asyncio's three).
enum weft_wait_mode {
    WEFT_ALL_COMPLETED = 0, // every future is done
    WEFT_FIRST_COMPLETED,   // at least one is done
    WEFT_FIRST_FAILED,      // one has failed or was canceled, or all are done
};

WEFT_BEGIN

// Waits until f is done and gives the handle back, also when it fails.
// Returns f's code: what a task, thread or process function returned, 0 for
// a job that succeeded, or f's failure. When the caller's own scope ends the
// wait (-ETIMEDOUT, -ECANCELED), f is asked to cancel and the handle is
// given back all the same; f's group still joins it.
// Blocks: the caller only. Cancels: yes. Threads: any. Owns: takes the handle.
// Errors: -ETIMEDOUT, -ECANCELED, -WEFT_EDEADLOCK, and every code of f.
// Since 0.1.
WEFT_API int weft_join(weft_future *f);

// As weft_join, and copies f's result to out (size bytes) when f succeeded.
// size must be the size of the result: -WEFT_ETYPE otherwise, a line on
// standard error with both sizes, and out is not touched. NULL and 0 take no
// result. The macro weft_result(f, &value) fills in the size. A struct
// weft_bytes that comes out is the caller's: give it to weft_bytes_free.
// Returns 0 or more as weft_join. Since 0.1.
WEFT_API int weft_result_into(weft_future *f, void *out, size_t size);

// As weft_result_into, but keeps the handle, and does not cancel f when the
// wait ends early. May be called again: a result can be read many times,
// except struct weft_bytes, whose memory goes to the first reader. Since 0.1.
WEFT_API int weft_get_into(weft_future *f, void *out, size_t size);

// Waits for n futures as mode says, for at most timeout seconds (INFINITY for
// no limit, 0 to look only). Handles stay the caller's. Returns the number of
// futures of the set that are done; 0 if the time ran out with none done.
// The time limit is an answer, as in Python, not an error.
// Blocks: the caller only. Cancels: yes. Threads: any. Errors: -ETIMEDOUT and
// -ECANCELED from the caller's scopes, -WEFT_EDEADLOCK (mode all only),
// -ENOMEM, -EINVAL (no such mode). Since 0.1.
WEFT_API int weft_wait(weft_future *const *set, size_t n,
                       enum weft_wait_mode mode, double timeout);

// Waits for all n futures and gives every handle back. results (may be NULL)
// is an array of n elements of size bytes for the results, codes (may be
// NULL) an array of n codes; an element whose future failed is not touched.
// Returns 0, or the first failure in the order of the set. When the caller's
// scope ends the wait, all futures are asked to cancel. Since 0.1.
WEFT_API int weft_gather_into(weft_future **set, size_t n, void *results,
                              size_t size, int *codes);

// An iterator over futures in the order in which they end. One allocation
// for the whole set; each completion costs O(1).
typedef struct weft_as_completed weft_as_completed;

// Opens the iterator. The handles stay the caller's. Each must stay valid until
// it was returned (weft_result may take it then), or until the iterator is
// closed. Never NULL: lack of memory is told by the first
// weft_as_completed_next. Threads: any. Since 0.1.
WEFT_API weft_as_completed *weft_as_completed_open(weft_future *const *set,
                                                   size_t n);

// Adds a future to those that are still to come: while one goes through them,
// also after all have been returned. The same holds for its handle. Returns
// its index, which goes on behind those of the set, or -ENOMEM. Threads: one at
// a time, with next and close. Blocks: no. Since 0.1.
WEFT_API ssize_t weft_as_completed_add(weft_as_completed *it, weft_future *f);

// Waits for the next future to end. Returns its index in the set, -ENOENT
// when all have been returned, -ETIMEDOUT / -ECANCELED from the caller's
// scopes. Threads: one at a time. Blocks: the caller only. Since 0.1.
WEFT_API ssize_t weft_as_completed_next(weft_as_completed *it);

// Frees the iterator. NULL is allowed. Blocks: no. Since 0.1.
WEFT_API void weft_as_completed_close(weft_as_completed *it);

// Asks f to cancel. What has not started never runs and is done at once; a
// task or thread gets -ECANCELED from its blocking calls from now on; a job in
// a worker process is recalled, or its worker is ended; a promise's on_cancel
// is called. Returns 0, or -EALREADY if f was done. The handle is kept.
// Blocks: no. Threads: any. Since 0.1.
WEFT_API int weft_cancel(weft_future *f);

// Whether f is done; never blocks. Threads: any. Since 0.1.
WEFT_API bool weft_done(weft_future *f);

// f's code if it is done, -EAGAIN if not. Never blocks. Since 0.1.
WEFT_API int weft_future_code(weft_future *f);

// What went wrong, for people. Of a job that failed: its name, what it said,
// and where it ran (its id or that of the task that ran it, thread, process,
// host); of a process that died: the signal, and where. "" while f is not done
// or did not fail with a text. Valid while the caller holds a handle. Threads:
// any. Since 0.1.
WEFT_API const char *weft_future_text(weft_future *f);

// The process-wide number of f: never reused, the one `weft ps` prints, and
// what weft_future_open takes in a worker process. 0 for the future of a
// start that found no memory. Threads: any. Since 0.1.
WEFT_API uint64_t weft_future_id(weft_future *f);

// In a worker process: a future that the parent completes when its future
// `id` is done. In the process that owns the id: one more handle on it.
// Never NULL; an id that is unknown gives a failed future (-ESRCH). Since 0.1.
WEFT_API weft_future *weft_future_open(uint64_t id);

// One more handle on f: returns f. Threads: any. Since 0.1.
WEFT_API weft_future *weft_future_ref(weft_future *f);

// Gives a handle back without waiting. NULL is allowed. When the last handle
// of a failed future goes and nobody has asked for its code, the failure is
// reported (weft_on_unobserved). Threads: any. Since 0.1.
WEFT_API void weft_future_unref(weft_future *f);

// Calls fn(f, arg) once when f is done: inline in whoever completes it, or
// at once if it is done. fn must not block, and may start and cancel things.
// Returns 0 or -ENOMEM. Threads: any. Since 0.1.
WEFT_API int weft_future_on_done(weft_future *f,
                                 void (*fn)(weft_future *f, void *arg),
                                 void *arg);

// Who hears of a failure that nobody asked for, at exit also of the jobs of
// each pool that was not closed (-WEFT_EJOBCANCELED); NULL restores the
// default, which writes one line to standard error. Since 0.1.
WEFT_API void weft_on_unobserved(void (*fn)(int code, const char *text));

// The producer side: a future that the program itself completes.
struct weft_promise_options {
    size_t size;
    const char *name;             // copied; shown by `weft ps`
    void (*on_cancel)(void *arg); // called at most once, inline in weft_cancel
    void *arg;                    // for on_cancel
};

// A new promise. Never NULL: lack of memory is told by weft_promise_keep.
// Since 0.1.
WEFT_API weft_promise *
weft_promise_new_with(const struct weft_promise_options *options);

// A handle on the promise's future; the caller's. Since 0.1.
WEFT_API weft_future *weft_promise_future(weft_promise *p);

// Completes the future with code and, if code >= 0, a result of size bytes
// (copied). text may be NULL. Gives the promise back. Returns 0, -EALREADY
// if it was canceled before, -ENOMEM. Threads: any. Blocks: no, but while the
// promise's on_cancel runs on another thread: so afterwards .arg is the
// caller's alone, and the caller must hold no lock that on_cancel takes. Inside
// an on_cancel it does not wait for another one. Since 0.1.
WEFT_API int weft_promise_keep(weft_promise *p, int code, const void *result,
                               size_t size, const char *text);

// Gives the promise back without keeping it: the future fails with
// -WEFT_EABANDONED. NULL is allowed. Since 0.1.
WEFT_API void weft_promise_drop(weft_promise *p);

WEFT_END

#ifndef __cplusplus
#define weft_result(f, out) weft_result_into((f), (out), sizeof *(out))
#define weft_get(f, out)    weft_get_into((f), (out), sizeof *(out))
#define weft_gather(set, n, results)                                           \
    weft_gather_into((set), (n), (results), sizeof *(results), NULL)
#define weft_promise_new(...)                                                  \
    weft_promise_new_with(WEFT_OPTIONS(weft_promise_options, __VA_ARGS__))
#else
template <class T> inline int weft_result(weft_future *f, T *out)
{
    return weft_result_into(f, out, sizeof *out);
}
template <class T> inline int weft_get(weft_future *f, T *out)
{
    return weft_get_into(f, out, sizeof *out);
}
template <class T> inline int weft_gather(weft_future **set, size_t n, T *out)
{
    return weft_gather_into(set, n, out, sizeof *out, nullptr);
}
inline weft_promise *weft_promise_new(weft_promise_options o = {})
{
    o.size = sizeof o;
    return weft_promise_new_with(&o);
}
#endif

#endif
