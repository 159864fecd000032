// SPDX-License-Identifier: MIT
//
// scope.h: what parking and groups need to know of scopes.
#ifndef WI_SCHED_SCOPE_H
#define WI_SCHED_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/scope.h>

#include "sched/task.h"

enum {
    WI_SCOPE_SHIELD = 1,  // requests from outside stop here
    WI_SCOPE_GROUP = 2,   // the scope of a group: struct weft_group begins here
    WI_SCOPE_SHIELDS = 4, // in units of this: shields, with those around it
};

#define WI_LONGEST_SECONDS 1e9 // 31 years: longer is for ever

// The time by which the record's scopes want it to stop waiting.
static inline int64_t wi_scope_deadline(const struct wi_task *t)
{
    return t->scope != NULL ? t->scope->deadline : t->deadline;
}

// Whether a scope of the record, or the record itself, is canceled.
bool wi_scope_walk(const struct wi_task *t);

static inline bool wi_scope_canceled(const struct wi_task *t)
{
    // relaxed: flags; whoever sets one wakes the record afterwards
    const struct weft_scope *s = t->scope;
    if (s == NULL || (s->outer == NULL && (s->flags & WI_SCOPE_SHIELD) == 0 &&
                      !__atomic_load_n(&s->canceled, __ATOMIC_RELAXED)))
        return __atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_CANCELED;
    return wi_scope_walk(t);
}

// How many shields there are from the scope (NULL: the base) outwards.
static inline unsigned wi_scope_shields(const struct weft_scope *scope)
{
    return scope != NULL ? scope->flags / WI_SCOPE_SHIELDS : 0;
}

// Whether a shield keeps cancels from outside away from what the record does.
static inline bool wi_scope_shielded(const struct wi_task *t)
{
    return wi_scope_shields(t->scope) > 0;
}

// Whether the record is not canceled, and has no deadline and no shield. May
// say no to nested scopes where it is so.
static inline bool wi_scope_plain(const struct wi_task *t)
{
    // relaxed: flags; whoever sets one wakes the record afterwards
    const struct weft_scope *s = t->scope;
    if (s != NULL && (s->outer != NULL || s->deadline != WI_FOREVER ||
                      (s->flags & WI_SCOPE_SHIELD) != 0 ||
                      __atomic_load_n(&s->canceled, __ATOMIC_RELAXED) != 0))
        return false;
    return t->deadline == WI_FOREVER &&
           (__atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_CANCELED) == 0;
}

// 0, -ECANCELED or -ETIMEDOUT.
int wi_scope_test_slow(const struct wi_task *t);

static inline int wi_scope_test(const struct wi_task *t)
{
    if (wi_scope_deadline(t) == WI_FOREVER && !wi_scope_canceled(t))
        return 0;
    return wi_scope_test_slow(t);
}

// Whether the owner of a scope is of the process that this one, a child of fork
// that has begun anew, is a copy of.
bool wi_scope_is_parents(const struct wi_task *owner);

// Makes scope the caller's innermost.
void wi_scope_enter(struct weft_scope *scope, int64_t deadline, unsigned flags);

// The deadline that a group's children begin with. A group begins with this.
struct wi_group_head {
    struct weft_scope scope; // of the body
    int64_t base;            // the deadline of the scopes it was opened in
};

static inline int64_t wi_group_deadline(const weft_group *group)
{
    return ((const struct wi_group_head *)group)->base;
}

#endif
