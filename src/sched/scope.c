// SPDX-License-Identifier: MIT
//
// Scopes form a chain from the innermost outwards, in their owners' frames.
// Deadlines are combined when a scope is entered, so that `deadline` of the
// innermost scope is the minimum of all. Cancel requests are looked up by a
// walk to the base, which is the record's own WI_CANCELED bit; a shield ends
// the walk. Children of a group have the group's deadline as their base.
#include <weft/scope.h>

#include <errno.h>
#include <math.h>

#include "base/fresh.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/scope.h"
#include "sched/task.h"

int64_t wi_deadline_in(double seconds, const char *function)
{
    if (isnan(seconds))
        wi_panic(function, NULL, "a time must be a number, not NaN");
    if (seconds <= 0)
        return 0;
    if (seconds > WI_LONGEST_SECONDS)
        return WI_FOREVER;
    wi_here.fresh = wi_os_now() + (int64_t)(seconds * 1e9);
    return wi_here.fresh;
}

bool wi_scope_walk(const struct wi_task *t)
{
    for (struct weft_scope *s = t->scope; s != NULL; s = s->outer) {
        // relaxed: a flag; what it refers to is read under the group's lock
        if (__atomic_load_n(&s->canceled, __ATOMIC_RELAXED))
            return true;
        if (s->flags & WI_SCOPE_SHIELD)
            return false;
    }
    return __atomic_load_n(&t->state, __ATOMIC_RELAXED) & WI_CANCELED;
}

int wi_scope_test_slow(const struct wi_task *t)
{
    if (wi_scope_canceled(t))
        return -ECANCELED;
    int64_t deadline = wi_scope_deadline(t);
    if (deadline != WI_FOREVER && deadline <= wi_os_now())
        return -ETIMEDOUT;
    return 0;
}

int wi_check_scopes(void)
{
    struct wi_task *self = wi_self();
    return self == NULL ? -ENOMEM : wi_scope_test(self);
}

int weft_check(void)
{
    return wi_check_scopes();
}

void wi_scope_enter(struct weft_scope *scope, int64_t deadline, unsigned flags)
{
    struct wi_task *self = wi_self();
    wi_require(self != NULL, scope, "no memory for this thread's record");
    scope->outer = self->scope;
    scope->deadline = deadline;
    scope->canceled = 0;
    unsigned shields = wi_scope_shields(self->scope);
    shields += (flags & WI_SCOPE_SHIELD) != 0;
    scope->flags = flags | shields * WI_SCOPE_SHIELDS;
    scope->owner = self;
    self->scope = scope;
}

void weft_timeout_enter(struct weft_scope *scope, double seconds)
{
    int64_t deadline = wi_deadline_in(seconds, __func__);
    struct wi_task *self = wi_self();
    if (self != NULL && wi_scope_deadline(self) < deadline)
        deadline = wi_scope_deadline(self);
    wi_scope_enter(scope, deadline, 0);
}

void weft_shield_enter(struct weft_scope *scope, double seconds)
{
    wi_scope_enter(scope, wi_deadline_in(seconds, __func__), WI_SCOPE_SHIELD);
}

// All records of the parent were buried, and live no more.
bool wi_scope_is_parents(const struct wi_task *owner)
{
    // relaxed: written before by this thread
    return wi_fresh_number != 0 && owner != NULL &&
           (__atomic_load_n(&owner->state, __ATOMIC_RELAXED) & WI_PHASE) ==
               WI_FREE;
}

void weft_scope_leave(struct weft_scope *scope)
{
    struct wi_task *self = wi_self();
    if (scope->owner != self && wi_scope_is_parents(scope->owner))
        return;
    wi_require(scope->owner == self, scope,
               "a scope is left by the task that entered it");
    wi_require(self->scope == scope, scope,
               "scopes are left in the reverse order of entering");
    self->scope = scope->outer;
}
