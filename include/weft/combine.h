// SPDX-License-Identifier: MIT
//
// combine.h: futures made of futures.
//
//     weft_future *f = weft_then(weft_submit(ex, load, id), parse, ctx,
//                                .result_size = sizeof(struct page));
//     int i = weft_join(weft_any(mirrors, n)); // which one succeeded first
//
// The futures that go in stay the caller's; each combination has references of
// its own. Canceling a combination cancels what it waits for. A task can do all
// this by waiting; these are for code that has no task to wait in.
#ifndef WEFT_COMBINE_H
#define WEFT_COMBINE_H

#include <weft/base.h>
#include <weft/executor.h>
#include <weft/future.h>

// Called when f is done: returns a code, and fills in *result, which has
// .result_size bytes that begin as zero; NULL if that is 0.
typedef int weft_then_function(weft_future *f, void *result, void *arg);

struct weft_then_options {
    size_t size;
    weft_executor *executor; // runs fn as a job; it must run jobs in this
                             // process. NULL: inline in whoever completes f,
                             // or in the caller if f is done: then fn must not
                             // block
    size_t result_size;      // of the new future's result
    bool always;             // fn is called when f has failed, too
    const char *name;        // of the new future; copied
};

struct weft_combine_options {
    size_t size;
    bool cancel_rest; // when the outcome is known, cancel what is not done
    const char *name; // of the new future; copied
};

WEFT_BEGIN

// A future for what fn makes of f. If f fails (and .always is not set) the new
// future fails with the same code and text, and fn is not called. Never NULL.
// Blocks: no, but for a full .window of the executor if f is done already.
// Threads: any. Errors, of the new future: those of f and fn, those of submit,
// -ENOTSUP if the executor runs its jobs in another process, -ENOMEM.
// Since 0.1.
WEFT_API weft_future *weft_then_with(weft_future *f, weft_then_function *fn,
                                     void *arg,
                                     const struct weft_then_options *options);

// A future that is done with 0 when all n have succeeded, or with the first
// failure that comes (code and text). n may be 0. Never NULL. Blocks: no.
// Threads: any. Since 0.1.
WEFT_API weft_future *weft_all_with(weft_future *const *set, size_t n,
                                    const struct weft_combine_options *options);

// A future that is done with the index of the first that succeeds, or, when
// all have failed, with the failure of the last to fail. -EINVAL for n == 0.
// Everything else as weft_all. Since 0.1.
WEFT_API weft_future *weft_any_with(weft_future *const *set, size_t n,
                                    const struct weft_combine_options *options);

// A future that is done with the outcome of the first that is done: its index,
// or its failure. -EINVAL for n == 0. Everything else as weft_all. Since 0.1.
WEFT_API weft_future *
weft_race_with(weft_future *const *set, size_t n,
               const struct weft_combine_options *options);

WEFT_END

#ifndef __cplusplus
#define weft_then(f, fn, ...) WEFT_THEN_((f), (fn), __VA_ARGS__, )
#define WEFT_THEN_(f, fn, arg, ...)                                            \
    weft_then_with(f, fn, (arg), WEFT_OPTIONS(weft_then_options, __VA_ARGS__))
#define weft_all(set, ...)  WEFT_COMBINE_(all, (set), __VA_ARGS__, )
#define weft_any(set, ...)  WEFT_COMBINE_(any, (set), __VA_ARGS__, )
#define weft_race(set, ...) WEFT_COMBINE_(race, (set), __VA_ARGS__, )
#define WEFT_COMBINE_(how, set, n, ...)                                        \
    weft_##how##_with(set, (n), WEFT_OPTIONS(weft_combine_options, __VA_ARGS__))
#else
inline weft_future *weft_then(weft_future *f, weft_then_function *fn, void *arg,
                              weft_then_options o = {})
{
    o.size = sizeof o;
    return weft_then_with(f, fn, arg, &o);
}
inline weft_future *weft_all(weft_future *const *set, size_t n,
                             weft_combine_options o = {})
{
    o.size = sizeof o;
    return weft_all_with(set, n, &o);
}
inline weft_future *weft_any(weft_future *const *set, size_t n,
                             weft_combine_options o = {})
{
    o.size = sizeof o;
    return weft_any_with(set, n, &o);
}
inline weft_future *weft_race(weft_future *const *set, size_t n,
                              weft_combine_options o = {})
{
    o.size = sizeof o;
    return weft_race_with(set, n, &o);
}
#endif

#endif
