// SPDX-License-Identifier: MIT
//
// group.h: what owns children.
#ifndef WI_FUTURE_GROUP_H
#define WI_FUTURE_GROUP_H

#include <weft/error.h>
#include <weft/scope.h>

#include "base/cold.h"
#include "os/biased.h"
#include "sched/scope.h"
#include "sched/task.h"

enum { WI_GROUP_FAILURES = 16 };

// Seconds that what was canceled may take before it is reported.
#define WI_DEFAULT_GRACE 10.0

struct weft_group {
    struct wi_group_head head; // first: scope.c knows it as this
    struct wi_worker *worker;  // that owns the lock; NULL: none
    struct wi_biased lock;     // for all below
    struct wi_task *children;  // by `sibling`
    size_t count;
    struct wi_task *owner;  // who opened it
    struct wi_task *waiter; // who waits in close
    int code;               // of the first failure
    uint8_t root;           // failures do not cancel
    uint8_t canceled;
    uint8_t closed;
    uint8_t failures;
    uint8_t lost; // a child was canceled; atomic
    struct {
        int code;
        char *text;
    } failure[WI_GROUP_FAILURES];
    double grace;
    char name[32];
};

// weft_group_open for those who can do without. NULL: no memory.
weft_group *wi_group_try_open(void);

// The root group of a run, opened in the main task; closed by
// weft_group_close. NULL: no memory.
weft_group *wi_group_open_root(struct wi_task *owner, double grace);

// A root group that is no scope of its owner's code: for tasks that the jobs of
// a pool start. Ended by wi_group_end from any task. NULL: no memory.
weft_group *wi_group_new_detached(void);
void wi_group_end(weft_group *group);

// As wi_group_end, but the group stays, closed: for one that any thread may
// still find.
void wi_group_finish(weft_group *group);

// From now on a child that fails, which one may that could not be started,
// cancels nobody: as in a root group.
static inline void wi_group_bear_failures(weft_group *group)
{
    group->root = 1;
}

// The innermost open group of t, or the one that t belongs to.
static inline weft_group *wi_group_innermost(struct wi_task *t)
{
    for (struct weft_scope *s = t->scope; s != NULL; s = s->outer) {
        if (s->flags & WI_SCOPE_GROUP)
            return (weft_group *)s;
    }
    return t->group;
}

// The lock belongs to the worker that the group was opened on, if that runs
// all its tasks and locks can have an owner here.
static inline bool wi_group_mine(const weft_group *group)
{
    return group->worker != NULL && group->worker == wi_here.worker;
}

static WI_MERGED bool wi_group_lock(weft_group *group)
{
    return wi_biased_lock(&group->lock, wi_group_mine(group));
}

// fast: what the lock returned.
static inline void wi_group_unlock(weft_group *group, bool fast)
{
    wi_biased_unlock(&group->lock, fast);
}

// Makes t a child. 0 or -WEFT_ECLOSED; *canceled: the group is canceled, so
// must the child be, once it is queued.
static WI_MERGED int wi_group_add(weft_group *group, struct wi_task *t,
                                  bool *canceled)
{
    bool fast = wi_group_lock(group);
    bool open = !group->closed;
    if (open) {
        t->group = group;
        t->deadline = group->head.base;
        t->sibling = group->children;
        t->sibling_link = &group->children;
        if (t->sibling != NULL)
            t->sibling->sibling_link = &t->sibling;
        group->children = t;
        group->count++;
        *canceled = group->canceled;
    }
    wi_group_unlock(group, fast);
    return open ? 0 : -WEFT_ECLOSED;
}

// Takes t off the list, under the lock. Returns who waits for the last one.
static inline struct wi_task *wi_group_detach(weft_group *group,
                                              struct wi_task *t)
{
    *t->sibling_link = t->sibling;
    if (t->sibling != NULL)
        t->sibling->sibling_link = t->sibling_link;
    t->sibling = NULL;
    return --group->count == 0 ? group->waiter : NULL;
}

// t has ended: the last touch of the group by t.
void wi_group_leave(weft_group *group, struct wi_task *t);

// The same for the lock's owner, unless it must go the long way: then nothing
// was done.
static inline bool wi_group_leave_fast(weft_group *group, struct wi_task *t)
{
    if (!wi_group_mine(group) || !wi_biased_enter(&group->lock))
        return false;
    if (group->count == 1 && group->waiter != NULL)
        return false; // the slow way goes in again
    wi_group_detach(group, t);
    wi_biased_leave(&group->lock);
    return true;
}

// t, a child that is ending, has failed: collects it, cancels the others.
void wi_group_failed(weft_group *group, struct wi_task *t, int code);

#endif
