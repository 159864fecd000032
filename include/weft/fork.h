// SPDX-License-Identifier: MIT
//
// fork.h: fork-join, for recursive algorithms whose steps take nanoseconds.
// Not part of weft.h, since its fast paths are inline: include it by name.
//
//     WEFT_FORKABLE(long, fib, w, long, n)
//     {
//         if (n < 2)
//             return n;
//         weft_fork(w, fib, n - 1);       // may run elsewhere
//         long b = fib(w, n - 2);         // meanwhile
//         return weft_join_child(w, fib) + b;
//     }
//     ...
//     long out;
//     int rc = weft_fork_run(ex, &out, fib, 40);
//
// A forked child that no other worker has taken is called by the join itself,
// for the price of a few instructions more than a call. The rules:
//
//  - Every child is joined by the function that forked it, the last one first,
//    under the name it was forked with, before the function returns.
//  - A child must not depend on the progress of its siblings or its parent: it
//    may run at any time between fork and join, on any worker of the pool.
//  - A body is no task: it may block (its worker then runs other work, but see
//    weft_fork_share), but it has no identity of its own, and what it starts
//    must end inside it. A lock that is held across a join must not be wanted
//    by a child.
//  - fork and join are points at which the worker may run something else.
//  - When the run is canceled, children that have not started and calls of
//    forkable functions return zero at once, and weft_fork_run says so. A body
//    that relies on what its children left in memory asks weft_fork_canceled
//    after the join: if a child was left out, it says true.
#ifndef WEFT_FORK_H
#define WEFT_FORK_H

#include <string.h>

#include <weft/base.h>
#include <weft/executor.h>

// A worker, as a forkable function sees it: the place of its next child. fork
// moves it on, join moves it back.
typedef struct weft_fork_slot weft_worker;

// The function of a child in its general form: data holds the arguments, then
// the result.
typedef void weft_fork_function(weft_worker *w, void *data);

enum {
    WEFT_FORK_DATA = 48,          // bytes for all arguments, or the result
    WEFT_FORK_CHILDREN = 1048000, // forked by one run and not joined, at most
};

// Frozen: compiled into programs.
struct weft_fork_slot {
    weft_fork_function *run;
    uintptr_t state; // 0, unless it was stolen
    char data[WEFT_FORK_DATA] __attribute__((aligned(16)));
};

// At the start of the aligned range that the slots lie in. Frozen.
struct weft_fork_head {
    weft_worker *ask;    // a fork from here on asks the library. Written by any
                         // thread, atomically
    weft_worker *split;  // children below may be stolen
    uintptr_t stack_low; // calls below go on on another stack
    uintptr_t slack[5];
};

#define WEFT_FORK_RANGE ((uintptr_t)1 << 26)

WEFT_BEGIN

// What follows is for the macros and for other languages.

// Runs run(w, data) on the workers of ex: the first fork of a run. ex is a
// thread pool or, NULL, the caller's own workers if it is on one of several,
// else a pool of as many workers as CPUs that the process shares. On a worker
// of ex it runs in place. data has WEFT_FORK_DATA bytes. Blocks: the caller
// only. Cancels: yes: children that have not started are dropped, those that
// run are waited for. Threads: any. Returns 0, -ECANCELED or -ETIMEDOUT from
// the caller's scopes (then data is zero), -ENOMEM, -ENOTSUP if ex runs its
// jobs in other processes, and the errors of submit. Since 0.1.
WEFT_API int weft_fork_run_on(weft_executor *ex, weft_fork_function *run,
                              void *data);

// Forks run with a copy of size bytes of args (at most WEFT_FORK_DATA).
// Returns the place of the next child: what the next call takes as w.
// Blocks: no. Threads: the worker that w is of. Since 0.1.
WEFT_API weft_worker *weft_fork_bytes(weft_worker *w, weft_fork_function *run,
                                      const void *args, size_t size);

// Joins the last child that was forked and not joined; result (size bytes) is
// what it left in its data. Returns the place of the next child. Blocks: the
// caller only; not ended by cancel. Since 0.1.
WEFT_API weft_worker *weft_join_bytes(weft_worker *w, void *result,
                                      size_t size);

// Lets others steal the children that were forked so far, though nobody has
// asked yet: before a body blocks for long. Blocks: no. Since 0.1.
WEFT_API void weft_fork_share(weft_worker *w);

// Whether the run that w belongs to is canceled: long loops that do not fork
// ask this now and then. Blocks: no. Since 0.1.
WEFT_API bool weft_fork_canceled(weft_worker *w);

// The slow halves of the macros: a fork that was asked for something; a join
// of what may have been stolen (true: call it, false: the result is there); a
// call with too little stack. Since 0.1.
WEFT_API void weft_fork_asked(weft_worker *w);
WEFT_API bool weft_fork_reclaim(weft_worker *w);
WEFT_API void weft_fork_deep(weft_worker *w, weft_fork_function *run,
                             void *data);

WEFT_END

#define WEFT_FORK_RARE_(cond) __builtin_expect(!!(cond), 0)
#define WEFT_FORK_INLINE_     static inline __attribute__((unused))

WEFT_FORK_INLINE_ struct weft_fork_head *weft_fork_head_of(weft_worker *w)
{
    return (struct weft_fork_head *)((uintptr_t)w & ~(WEFT_FORK_RANGE - 1));
}

// The caller's stack pointer, or nearly.
WEFT_FORK_INLINE_ uintptr_t weft_fork_sp(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

WEFT_FORK_INLINE_ weft_worker *weft_fork_push(weft_worker *w)
{
    // relaxed: a request is seen at this fork or at a later one
    weft_worker *ask =
        __atomic_load_n(&weft_fork_head_of(w)->ask, __ATOMIC_RELAXED);
    if (WEFT_FORK_RARE_(w >= ask))
        weft_fork_asked(w);
    return w + 1;
}

// Whether the child at w is called by its join.
WEFT_FORK_INLINE_ bool weft_fork_mine(weft_worker *w)
{
    return !WEFT_FORK_RARE_(w < weft_fork_head_of(w)->split) ||
           weft_fork_reclaim(w);
}

// WEFT_FORKABLE(result, name, w) { body }             no argument
// WEFT_FORKABLE(result, name, w, type, arg...) { body }     up to six
// defines `static result name(weft_worker *w, type arg...)`. The result is
// never void. To declare one before its definition, for two that call each
// other: WEFT_FORKABLE_DECLARE with the same arguments, and then the bodies as
// WEFT_FORKABLE_BODY.
#define WEFT_FORKABLE(...)                                                     \
    WEFT_FORKABLE_DECLARE(__VA_ARGS__);                                        \
    WEFT_FORKABLE_BODY(__VA_ARGS__)
#define WEFT_FORKABLE_DECLARE(...)                                             \
    WEFT_FORK_PICK_(__VA_ARGS__, WEFT_FORKABLE_6_, , WEFT_FORKABLE_5_, ,       \
                    WEFT_FORKABLE_4_, , WEFT_FORKABLE_3_, , WEFT_FORKABLE_2_,  \
                    , WEFT_FORKABLE_1_, , WEFT_FORKABLE_0_, , )                \
    (__VA_ARGS__)
#define WEFT_FORKABLE_BODY(...)                                                \
    WEFT_FORK_PICK_(__VA_ARGS__, WEFT_FORK_BODY_6_, , WEFT_FORK_BODY_5_, ,     \
                    WEFT_FORK_BODY_4_, , WEFT_FORK_BODY_3_, ,                  \
                    WEFT_FORK_BODY_2_, , WEFT_FORK_BODY_1_, ,                  \
                    WEFT_FORK_BODY_0_, , )                                     \
    (__VA_ARGS__)
#define WEFT_FORK_PICK_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, name,     \
                        ...)                                                   \
    name

#define WEFT_FORK_BODY_0_(r, n, w) static r weft_body_##n(weft_worker *w)
#define WEFT_FORK_BODY_1_(r, n, w, t, a)                                       \
    static r weft_body_##n(weft_worker *w, t a)
#define WEFT_FORK_BODY_2_(r, n, w, t, a, u, b)                                 \
    static r weft_body_##n(weft_worker *w, t a, u b)
#define WEFT_FORK_BODY_3_(r, n, w, t, a, u, b, v, c)                           \
    static r weft_body_##n(weft_worker *w, t a, u b, v c)
#define WEFT_FORK_BODY_4_(r, n, w, t, a, u, b, v, c, x, d)                     \
    static r weft_body_##n(weft_worker *w, t a, u b, v c, x d)
#define WEFT_FORK_BODY_5_(r, n, w, t, a, u, b, v, c, x, d, y, e)               \
    static r weft_body_##n(weft_worker *w, t a, u b, v c, x d, y e)
#define WEFT_FORK_BODY_6_(r, n, w, t, a, u, b, v, c, x, d, y, e, z, f)         \
    static r weft_body_##n(weft_worker *w, t a, u b, v c, x d, y e, z f)

#define WEFT_FORK_LIST_(...) __VA_ARGS__
// One by one, as a copy of all at once would go by way of the stack.
#define WEFT_FORK_PUT_(a) memcpy((void *)&weft_a_->a, &a, sizeof a);
#define WEFT_FORKABLE_0_(r, n, w)                                              \
    WEFT_FORKABLE_(r, n, w, WEFT_FORK_BODY_0_(r, n, w), char none;             \
                   , (), (0), (), (w), (w))
#define WEFT_FORKABLE_1_(r, n, w, t, a)                                        \
    WEFT_FORKABLE_(r, n, w, WEFT_FORK_BODY_1_(r, n, w, t, a), t a;             \
                   , (, t a), (a), (WEFT_FORK_PUT_(a)), (w, a),                \
                   (w, weft_a_->a))
#define WEFT_FORKABLE_2_(r, n, w, t, a, u, b)                                  \
    WEFT_FORKABLE_(r, n, w, WEFT_FORK_BODY_2_(r, n, w, t, a, u, b), t a; u b;  \
                   , (, t a, u b), (a, b),                                     \
                   (WEFT_FORK_PUT_(a) WEFT_FORK_PUT_(b)), (w, a, b),           \
                   (w, weft_a_->a, weft_a_->b))
#define WEFT_FORKABLE_3_(r, n, w, t, a, u, b, v, c)                            \
    WEFT_FORKABLE_(r, n, w, WEFT_FORK_BODY_3_(r, n, w, t, a, u, b, v, c), t a; \
                   u b; v c;                                                   \
                   , (, t a, u b, v c), (a, b, c),                             \
                   (WEFT_FORK_PUT_(a) WEFT_FORK_PUT_(b) WEFT_FORK_PUT_(c)),    \
                   (w, a, b, c), (w, weft_a_->a, weft_a_->b, weft_a_->c))
#define WEFT_FORKABLE_4_(r, n, w, t, a, u, b, v, c, x, d)                      \
    WEFT_FORKABLE_(                                                            \
        r, n, w, WEFT_FORK_BODY_4_(r, n, w, t, a, u, b, v, c, x, d), t a; u b; \
        v c; x d;                                                              \
        , (, t a, u b, v c, x d), (a, b, c, d),                                \
        (WEFT_FORK_PUT_(a) WEFT_FORK_PUT_(b) WEFT_FORK_PUT_(c)                 \
             WEFT_FORK_PUT_(d)),                                               \
        (w, a, b, c, d), (w, weft_a_->a, weft_a_->b, weft_a_->c, weft_a_->d))
#define WEFT_FORKABLE_5_(r, n, w, t, a, u, b, v, c, x, d, y, e)                \
    WEFT_FORKABLE_(                                                            \
        r, n, w, WEFT_FORK_BODY_5_(r, n, w, t, a, u, b, v, c, x, d, y, e),     \
        t a;                                                                   \
        u b; v c; x d; y e;                                                    \
        , (, t a, u b, v c, x d, y e), (a, b, c, d, e),                        \
        (WEFT_FORK_PUT_(a) WEFT_FORK_PUT_(b) WEFT_FORK_PUT_(c)                 \
             WEFT_FORK_PUT_(d) WEFT_FORK_PUT_(e)),                             \
        (w, a, b, c, d, e),                                                    \
        (w, weft_a_->a, weft_a_->b, weft_a_->c, weft_a_->d, weft_a_->e))
#define WEFT_FORKABLE_6_(r, n, w, t, a, u, b, v, c, x, d, y, e, z, f)          \
    WEFT_FORKABLE_(                                                            \
        r, n, w,                                                               \
        WEFT_FORK_BODY_6_(r, n, w, t, a, u, b, v, c, x, d, y, e, z, f), t a;   \
        u b; v c; x d; y e; z f;                                               \
        , (, t a, u b, v c, x d, y e, z f), (a, b, c, d, e, f),                \
        (WEFT_FORK_PUT_(a) WEFT_FORK_PUT_(b) WEFT_FORK_PUT_(c)                 \
             WEFT_FORK_PUT_(d) WEFT_FORK_PUT_(e) WEFT_FORK_PUT_(f)),           \
        (w, a, b, c, d, e, f),                                                 \
        (w, weft_a_->a, weft_a_->b, weft_a_->c, weft_a_->d, weft_a_->e,        \
         weft_a_->f))

#ifndef __cplusplus
#define WEFT_FORK_ASSERT_(cond, text) _Static_assert(cond, text)
#else
#define WEFT_FORK_ASSERT_(cond, text) static_assert(cond, text)
#endif

// params, values and puts are lists in parentheses; params begins with a comma.
#define WEFT_FORKABLE_(result, name, w, body, fields, params, values, puts,    \
                       direct, call)                                           \
    struct weft_args_##name {                                                  \
        fields                                                                 \
    } __attribute__((may_alias));                                              \
    WEFT_FORK_ASSERT_(__alignof__(struct weft_args_##name) <= 16,              \
                      "the arguments of a forkable function are aligned to "   \
                      "16 bytes at most: pass a pointer");                     \
    WEFT_FORK_ASSERT_(sizeof(struct weft_args_##name) <= WEFT_FORK_DATA,       \
                      "the arguments of a forkable function have 48 bytes "    \
                      "at most: pass a pointer to a structure");               \
    WEFT_FORK_ASSERT_(sizeof(result) <= WEFT_FORK_DATA,                        \
                      "the result of a forkable function has 48 bytes at "     \
                      "most: pass a pointer to where it goes");                \
    __attribute__((unused)) body;                                              \
    __attribute__((unused)) static void weft_run_##name(weft_worker *w,        \
                                                        void *weft_d_);        \
    __attribute__((unused, noinline, cold)) static result weft_deep_##name(    \
        weft_worker *w, struct weft_args_##name weft_a_)                       \
    {                                                                          \
        char weft_d_[WEFT_FORK_DATA] __attribute__((aligned(16)));             \
        result weft_v_;                                                        \
        memcpy(weft_d_, &weft_a_, sizeof weft_a_);                             \
        weft_fork_deep(w, weft_run_##name, weft_d_);                           \
        memcpy(&weft_v_, weft_d_, sizeof weft_v_);                             \
        return weft_v_;                                                        \
    }                                                                          \
    WEFT_FORK_INLINE_ result name(weft_worker *w WEFT_FORK_LIST_ params)       \
    {                                                                          \
        if (WEFT_FORK_RARE_(weft_fork_sp() <                                   \
                            weft_fork_head_of(w)->stack_low)) {                \
            struct weft_args_##name weft_a_ = {WEFT_FORK_LIST_ values};        \
            return weft_deep_##name(w, weft_a_);                               \
        }                                                                      \
        return weft_body_##name direct;                                        \
    }                                                                          \
    static void weft_run_##name(weft_worker *w, void *weft_d_)                 \
    {                                                                          \
        struct weft_args_##name weft_c_;                                       \
        const struct weft_args_##name *weft_a_ = &weft_c_;                     \
        memcpy(&weft_c_, weft_d_, sizeof weft_c_);                             \
        (void)weft_a_;                                                         \
        result weft_v_ = name call;                                            \
        memcpy(weft_d_, &weft_v_, sizeof weft_v_);                             \
    }                                                                          \
    WEFT_FORK_INLINE_ weft_worker *weft_fork_of_##name(                        \
        weft_worker *w WEFT_FORK_LIST_ params)                                 \
    {                                                                          \
        struct weft_args_##name *weft_a_ =                                     \
            (struct weft_args_##name *)(void *)w->data;                        \
        (void)weft_a_;                                                         \
        WEFT_FORK_LIST_ puts w->run = weft_run_##name;                         \
        return weft_fork_push(w);                                              \
    }                                                                          \
    WEFT_FORK_INLINE_ result weft_join_of_##name(weft_worker **at)             \
    {                                                                          \
        weft_worker *w = --*at;                                                \
        if (weft_fork_mine(w)) {                                               \
            const struct weft_args_##name *weft_a_ =                           \
                (const struct weft_args_##name *)(const void *)w->data;        \
            (void)weft_a_;                                                     \
            return name call;                                                  \
        }                                                                      \
        result weft_v_;                                                        \
        memcpy(&weft_v_, w->data, sizeof weft_v_);                             \
        return weft_v_;                                                        \
    }                                                                          \
    WEFT_FORK_INLINE_ int weft_root_of_##name(                                 \
        weft_executor *weft_x_, result *weft_o_ WEFT_FORK_LIST_ params)        \
    {                                                                          \
        struct weft_args_##name weft_a_ = {WEFT_FORK_LIST_ values};            \
        char weft_d_[WEFT_FORK_DATA] __attribute__((aligned(16)));             \
        memcpy(weft_d_, &weft_a_, sizeof weft_a_);                             \
        int weft_rc_ = weft_fork_run_on(weft_x_, weft_run_##name, weft_d_);    \
        if (weft_rc_ == 0 && weft_o_ != NULL)                                  \
            memcpy(weft_o_, weft_d_, sizeof *weft_o_);                         \
        return weft_rc_;                                                       \
    }                                                                          \
    WEFT_FORK_ASSERT_(1, "")

// Which of two macros a call is for: with values behind two other arguments,
// or without. ISO C has no way to leave out the comma before no values.
#define WEFT_FORK_WHICH_(stem, ...)                                            \
    WEFT_FORK_NINTH_(__VA_ARGS__, stem##SOME_, stem##SOME_, stem##SOME_,       \
                     stem##SOME_, stem##SOME_, stem##SOME_, stem##NONE_, )
#define WEFT_FORK_NINTH_(a, b, c, d, e, f, g, h, name, ...) name

// weft_fork(w, name, value...): a child; w moves on.
#define weft_fork(...)           WEFT_FORK_WHICH_(WEFT_FORK_, __VA_ARGS__)(__VA_ARGS__)
#define WEFT_FORK_NONE_(w, name) ((void)((w) = weft_fork_of_##name((w))))
#define WEFT_FORK_SOME_(w, name, ...)                                          \
    ((void)((w) = weft_fork_of_##name((w), __VA_ARGS__)))

// The result of the last child that was forked and not joined; w moves back.
#define weft_join_child(w, name) weft_join_of_##name(&(w))

// int weft_fork_run(ex, result *out, name, value...): see weft_fork_run_on; out
// may be NULL.
#define weft_fork_run(ex, ...)                                                 \
    WEFT_FORK_WHICH_(WEFT_FORK_RUN_, __VA_ARGS__)((ex), __VA_ARGS__)
#define WEFT_FORK_RUN_NONE_(ex, out, name) weft_root_of_##name(ex, (out))
#define WEFT_FORK_RUN_SOME_(ex, out, name, ...)                                \
    weft_root_of_##name(ex, (out), __VA_ARGS__)

#endif
