// SPDX-License-Identifier: MIT
//
// group.h: what owns children.
#ifndef WI_FUTURE_GROUP_H
#define WI_FUTURE_GROUP_H

#include <weft/scope.h>

#include "sched/scope.h"
#include "sched/task.h"

enum { WI_GROUP_FAILURES = 16 };

struct weft_group {
    struct wi_group_head head; // first: scope.c knows it as this
    struct wi_mutex lock;      // for all below
    struct wi_task *children;  // by `sibling`
    size_t count;
    struct wi_task *owner;  // who opened it
    struct wi_task *waiter; // who waits in close
    int code;               // of the first failure
    uint8_t root;           // failures do not cancel
    uint8_t canceled;
    uint8_t closed;
    uint8_t failures;
    struct {
        int code;
        char *text;
    } failure[WI_GROUP_FAILURES];
    double grace;
    char name[32];
};

// The root group of a run, opened in the main task; closed by
// weft_group_close. NULL: no memory.
weft_group *wi_group_open_root(struct wi_task *owner, double grace);

// The innermost open group of t, or the one that t belongs to.
weft_group *wi_group_innermost(struct wi_task *t);

// Makes t a child. 0 or -WEFT_ECLOSED; *canceled: the group is canceled, so
// must the child be, once it is queued.
int wi_group_add(weft_group *group, struct wi_task *t, bool *canceled);

// t, a child that is ending, has failed: collects it, cancels the others.
void wi_group_failed(weft_group *group, struct wi_task *t, int code);

// t has ended: the last touch of the group by t.
void wi_group_leave(weft_group *group, struct wi_task *t);

#endif
