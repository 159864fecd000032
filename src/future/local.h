// SPDX-License-Identifier: MIT
//
// local.h: where values of tasks and threads come and go. What is inherited is
// one block that starter and started share until one of them changes it, so
// that starting costs one count, and nothing where nobody uses it.
#ifndef WI_FUTURE_LOCAL_H
#define WI_FUTURE_LOCAL_H

#include "sched/task.h"

// child, which the caller is making, begins with what the caller has. false:
// no memory.
bool wi_local_inherit_slow(struct wi_task *child, struct wi_locals *from);
// Whether the caller has values that its children get.
static inline bool wi_local_inherits(void)
{
    const struct wi_task *self = wi_here.self;
    return self != NULL && self->extra != NULL &&
           self->extra->inherited != NULL;
}
static inline bool wi_local_inherit(struct wi_task *child)
{
    return !wi_local_inherits() ||
           wi_local_inherit_slow(child, wi_here.self->extra->inherited);
}

// t, the caller, ends: gives up its values.
void wi_local_leave_slow(struct wi_task *t);
static inline void wi_local_leave(struct wi_task *t)
{
    if (__builtin_expect(t->extra != NULL, false) &&
        (t->extra->own != NULL || t->extra->inherited != NULL))
        wi_local_leave_slow(t);
}

// For a job whose body runs as part of its runner's record. hold: what the
// caller's children get (may be NULL), with one more reference.
struct wi_locals *wi_local_hold(void);
void wi_local_drop(struct wi_locals *block);

// The runner's own values, while the job's are in their place.
struct wi_local_guest {
    struct wi_locals *own, *inherited;
};

// The caller's record begins anew with `inherited`, whose reference it takes.
// false: no memory, and it has not taken it.
bool wi_local_enter(struct wi_local_guest *guest, struct wi_locals *inherited);
// What the job has is given up; the caller has its own again.
void wi_local_exit(struct wi_local_guest *guest);

#endif
