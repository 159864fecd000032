// SPDX-License-Identifier: MIT
//
// scope.h: how long and on whose behalf. A scope is a stretch of one task's
// (or thread's) code that a deadline or a cancel request applies to, and a
// group is a scope that owns children.
//
// Cancellation is level-triggered: from the request until the scope is left,
// every blocking call in it returns -ECANCELED at once. Afterwards the task
// is as before. Nested deadlines take the minimum; a passed deadline gives
// -ETIMEDOUT in the same level-triggered way.
//
// WEFT_TIMEOUT, WEFT_SHIELD and WEFT_GROUP are declarations: they hold from
// where they stand to the end of the enclosing block, however it is left
// (end, return, break, goto; not longjmp).
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/base.h>
#include <weft/task.h>

// Caller storage for one scope; its members are Weft's own.
struct weft_scope {
    struct weft_scope *outer; // the scope around this one
    int64_t deadline;         // monotonic ns that hold here, minimum of all
    uint32_t canceled;        // atomic: this scope's own cancel request
    uint32_t flags;
    void *owner; // the task or thread that entered it
    void *slack[2];
};

struct weft_group_options {
    size_t size;
    const char *name; // copied, cut at 31 bytes; for reports
    double grace;     // seconds a canceled child may take before it is
                      // reported; 0 means 10, INFINITY never
};

WEFT_BEGIN

// Enters a scope that ends `seconds` from now. Leave in the reverse order of
// entering, in the same task. Blocks: no. Since 0.1.
WEFT_API void weft_timeout_enter(struct weft_scope *scope, double seconds);

// Enters a scope that cancel requests and deadlines from outside do not
// reach, for cleaning up; after `seconds` blocking calls in it return
// -ETIMEDOUT. Since 0.1.
WEFT_API void weft_shield_enter(struct weft_scope *scope, double seconds);

// Leaves a scope entered by one of the two above. Since 0.1.
WEFT_API void weft_scope_leave(struct weft_scope *scope);

// Opens a group in the caller: a scope that owns what is started in it.
// Tasks started while it is the innermost open group of the caller belong to
// it, as do those started with .group = g, from anywhere. Never NULL: without
// memory for it the program ends.
// The first child that fails (returns a negative code) cancels the other
// children and the rest of the body. Threads: any. Since 0.1.
WEFT_API weft_group *
weft_group_open_with(const struct weft_group_options *options);

// Waits for all children, closes the group and gives its storage back. Returns
// 0, or the first failure of a child or of weft_group_fail. -ECANCELED: none
// has failed, but the caller was canceled, and children with it. That the
// group's own code has canceled children (weft_group_cancel, weft_cancel) is no
// failure. Must be called by the one who opened the group, innermost first.
// Blocks: the caller only. Cancels: no, since the children are waited for in
// any case. A cancel of the caller reaches them. The deadlines that the caller
// stands in are theirs, too: a child that fails of one fails the group with
// -WEFT_EJOBTIMEOUT, for it was the child's time that was up, not that of this
// call; a process, which cannot see a deadline, is canceled here when it has
// passed. -WEFT_EDEADLOCK: the wait closed a cycle of waits, and the children
// were canceled for that; one that waits there where no cancel reaches it (for
// a lock, in a shield) is told the same. Since 0.1.
WEFT_API int weft_group_close(weft_group *g);

// Cancels the children and the body of g. Idempotent. Threads: any, while the
// group is open. Blocks: no. Since 0.1.
WEFT_API void weft_group_cancel(weft_group *g);

// The body has failed: records code (negative; the first one counts), cancels
// the children, returns code. For leaving early:
//     if (rc < 0) return weft_group_fail(g, rc);
// Since 0.1.
WEFT_API int weft_group_fail(weft_group *g, int code);

// How many children have not ended yet. Threads: any. Since 0.1.
WEFT_API size_t weft_group_size(weft_group *g);

// The number of failures collected so far, and the i-th one's code and text
// (in the order in which they came; the first 16 are kept). Valid while the
// group is open; text may be NULL. Returns -ENOENT past the end. Since 0.1.
WEFT_API size_t weft_group_failures(weft_group *g);
WEFT_API int weft_group_failure(weft_group *g, size_t i, const char **text);

// What WEFT_GROUP keeps; its members are Weft's own.
struct weft_group_guard {
    weft_group *group;
    int *rc;
};
WEFT_API void weft_group_guard_leave(struct weft_group_guard *guard);

WEFT_END

#define WEFT_TIMEOUT(seconds) WEFT_TIMEOUT_(WEFT_UNIQUE(weft_scope_), seconds)
#define WEFT_TIMEOUT_(name, seconds)                                           \
    struct weft_scope name WEFT_CLEANUP(weft_scope_leave);                     \
    weft_timeout_enter(&name, (seconds))

#define WEFT_SHIELD(seconds) WEFT_SHIELD_(WEFT_UNIQUE(weft_scope_), seconds)
#define WEFT_SHIELD_(name, seconds)                                            \
    struct weft_scope name WEFT_CLEANUP(weft_scope_leave);                     \
    weft_shield_enter(&name, (seconds))

// WEFT_GROUP(g, &rc, ...options); declares g. Leaving the block, in any way,
// waits for the children and stores the group's code in rc. A cleanup cannot
// know how its block was left: a body that leaves early because of an error
// says so with `return weft_group_fail(g, code)`, which cancels the children.
#ifndef __cplusplus
#define weft_group_open(...)                                                   \
    weft_group_open_with(WEFT_OPTIONS(weft_group_options, __VA_ARGS__))
#define WEFT_GROUP(g, ...)                                                     \
    WEFT_GROUP_(WEFT_UNIQUE(weft_guard_), g, __VA_ARGS__, )
#define WEFT_GROUP_(guard, g, rc_pointer, ...)                                 \
    struct weft_group_guard guard WEFT_CLEANUP(weft_group_guard_leave) = {     \
        weft_group_open(__VA_ARGS__), (rc_pointer)};                           \
    weft_group *const g __attribute__((unused)) = guard.group
#else
inline weft_group *weft_group_open(weft_group_options o = {})
{
    o.size = sizeof o;
    return weft_group_open_with(&o);
}
inline weft_group_guard weft_group_guard_open(int *rc,
                                              weft_group_options o = {})
{
    return weft_group_guard{weft_group_open(o), rc};
}
#define WEFT_GROUP(g, ...) WEFT_GROUP_(WEFT_UNIQUE(weft_guard_), g, __VA_ARGS__)
#define WEFT_GROUP_(guard, g, ...)                                             \
    struct weft_group_guard guard WEFT_CLEANUP(weft_group_guard_leave) =       \
        weft_group_guard_open(__VA_ARGS__);                                    \
    weft_group *const g __attribute__((unused)) = guard.group
#endif

#endif
