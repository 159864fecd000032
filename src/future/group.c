// SPDX-License-Identifier: MIT
//
// A group is a scope of its owner's code and a list of children under a lock.
// The group lives until close, which waits until the list is empty; a child
// takes itself off the list as its very last act, with the group's lock, so
// that the group may be freed the moment close finds the list empty.
//
// Nothing is completed under the lock: completing a child takes the same lock.
// A cancel therefore collects the children that it must end itself (unstarted
// ones, and external ones that have a cancel function), each with a reference,
// and ends them after unlocking.
#include "future/group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft/error.h>

#include "base/options.h"
#include "base/text.h"
#include "base/fresh.h"
#include "sched/deadlock.h"
#include "future/external.h"
#include "future/future.h"
#include "os/report.h"
#include "sched/here.h"
#include "sched/worker.h"

static weft_group *group_new(struct wi_task *owner, const char *name,
                             double grace)
{
    weft_group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->owner = owner;
    if (wi_biased_fast && wi_here.worker != NULL &&
        wi_here.worker->runtime->solo)
        group->worker = wi_here.worker;
    group->grace = grace == 0 ? WI_DEFAULT_GRACE : grace;
    if (name != NULL)
        wi_text_copy(group->name, sizeof group->name, name);
    group->head.base = wi_scope_deadline(owner);
    wi_scope_enter(&group->head.scope, group->head.base, WI_SCOPE_GROUP);
    return group;
}

// Where a group that found no memory is made up for: opening never fails, so
// the program ends, as it must when not even 512 bytes are left.
weft_group *weft_group_open_with(const struct weft_group_options *options)
{
    WI_OPTIONS(options);
    struct wi_task *self = wi_self();
    weft_group *group =
        self == NULL ? NULL : group_new(self, options->name, options->grace);
    if (group == NULL)
        wi_panic(__func__, NULL, "no memory for a group");
    return group;
}

weft_group *wi_group_try_open(void)
{
    struct wi_task *self = wi_self();
    return self == NULL ? NULL : group_new(self, NULL, 0);
}

weft_group *wi_group_open_root(struct wi_task *owner, double grace)
{
    weft_group *group = group_new(owner, "root", grace);
    if (group != NULL)
        group->root = 1;
    return group;
}

weft_group *wi_group_new_detached(void)
{
    weft_group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return NULL;
    group->root = 1;
    group->grace = WI_DEFAULT_GRACE;
    group->head.base = WI_FOREVER;
    wi_text_copy(group->name, sizeof group->name, "pool");
    return group;
}

void wi_group_leave(weft_group *group, struct wi_task *t)
{
    bool fast = wi_group_lock(group);
    struct wi_task *waiter = wi_group_detach(group, t);
    wi_group_unlock(group, fast);
    // The group may be gone; the waiter's record never is.
    if (waiter != NULL)
        wi_unpark(waiter);
}

static void group_each(weft_group *group,
                       bool (*fn)(struct wi_task *child, void *arg), void *arg)
{
    bool fast = wi_group_lock(group);
    for (struct wi_task *t = group->children; t != NULL; t = t->sibling) {
        if (fn(t, arg))
            break;
    }
    wi_group_unlock(group, fast);
}

__attribute__((constructor)) static void register_each(void)
{
    wi_edge_group_each = group_each;
}

// Canceling -------------------------------------------------------------------

// Marks one child under the lock. True if it must be ended after unlocking.
static bool mark_child(struct wi_task *t)
{
    uint32_t gen = __atomic_load_n(&t->state, __ATOMIC_RELAXED) >> 16;
    if (wi_task_claim(t, gen, WI_CANCELED))
        return true;
    // seq_cst: as in cancel_running
    uint32_t was = __atomic_fetch_or(&t->state, WI_CANCELED, __ATOMIC_SEQ_CST);
    if ((was & WI_CANCELED) || (was & WI_PHASE) == WI_DONE)
        return false;
    if (wi_future_is_external(t))
        return true;
    wi_future_nudge(t);
    return false;
}

// One that mark_child has handed out, with a reference.
static void end_child(struct wi_task *t)
{
    if (wi_future_is_external(t))
        wi_external_cancel(t);
    else
        wi_future_drop(t, -WEFT_EJOBCANCELED);
    wi_task_unref(t);
}

// Collected children are linked by `next`, which neither an unstarted record
// nor an external one uses.
static struct wi_task *cancel_locked(weft_group *group)
{
    struct wi_task *collected = NULL;
    if (group->canceled)
        return NULL;
    group->canceled = 1;
    // seq_cst: before the look at the body's edge; pairs with call_inside
    __atomic_store_n(&group->head.scope.canceled, 1, __ATOMIC_SEQ_CST);
    for (struct wi_task *t = group->children; t != NULL; t = t->sibling) {
        if (mark_child(t)) {
            wi_task_ref(t);
            t->next = collected;
            collected = t;
        }
    }
    return collected;
}

static void cancel_group(weft_group *group)
{
    bool fast = wi_group_lock(group);
    struct wi_task *collected = cancel_locked(group);
    struct wi_task *owner = group->owner;
    unsigned shields = wi_scope_shields(&group->head.scope);
    wi_group_unlock(group, fast);
    if (owner != NULL) {
        wi_edge_cancel(owner, shields);
        wi_future_nudge(owner);
    }
    while (collected != NULL) {
        struct wi_task *next = collected->next;
        end_child(collected);
        collected = next;
    }
}

void weft_group_cancel(weft_group *g)
{
    wi_require(g != NULL, g, "a group must not be NULL");
    cancel_group(g);
}

// Failures --------------------------------------------------------------------

static void collect(weft_group *group, int code, const char *text)
{
    bool fast = wi_group_lock(group);
    if (group->code == 0)
        group->code = code;
    if (group->failures < WI_GROUP_FAILURES) {
        group->failure[group->failures].code = code;
        group->failure[group->failures].text =
            text != NULL && *text != '\0' ? wi_text_dup(text) : NULL;
        group->failures++;
    }
    wi_group_unlock(group, fast);
}

// A child that was canceled has not failed.
void wi_group_failed(weft_group *group, struct wi_task *t, int code)
{
    if (code == -WEFT_EJOBCANCELED) {
        // relaxed: the close that reads it has seen the child end
        __atomic_store_n(&group->lost, 1, __ATOMIC_RELAXED);
        __atomic_fetch_or(&t->state, WI_OBSERVED, __ATOMIC_RELAXED);
        return;
    }
    if (group->root)
        return; // its handle's holder may ask; else it is reported
    __atomic_fetch_or(&t->state, WI_OBSERVED, __ATOMIC_RELAXED);
    collect(group, code, t->extra != NULL ? t->extra->text : NULL);
    cancel_group(group);
}

int weft_group_fail(weft_group *g, int code)
{
    wi_require(g != NULL, g, "a group must not be NULL");
    wi_require(code < 0, g, "a failure has a negative code");
    collect(g, code, NULL);
    cancel_group(g);
    return code;
}

size_t weft_group_failures(weft_group *g)
{
    wi_need(g);
    bool fast = wi_group_lock(g);
    size_t n = g->failures;
    wi_group_unlock(g, fast);
    return n;
}

int weft_group_failure(weft_group *g, size_t i, const char **text)
{
    wi_need(g);
    bool fast = wi_group_lock(g);
    int code = -ENOENT;
    if (i < g->failures) {
        code = g->failure[i].code;
        if (text != NULL)
            *text = g->failure[i].text != NULL ? g->failure[i].text : "";
    }
    wi_group_unlock(g, fast);
    return code;
}

size_t weft_group_size(weft_group *g)
{
    wi_need(g);
    bool fast = wi_group_lock(g);
    size_t n = g->count;
    wi_group_unlock(g, fast);
    return n;
}

// Closing ---------------------------------------------------------------------

enum { DESCRIPTION = 128 };

// True once there is no child and there will be none.
static bool try_close(weft_group *group, struct wi_task *self)
{
    bool fast = wi_group_lock(group);
    group->waiter = self;
    bool empty = group->count == 0;
    if (empty)
        group->closed = 1;
    wi_group_unlock(group, fast);
    return empty;
}

static bool report_child(struct wi_task *t, void *arg)
{
    weft_group *group = arg;
    wi_report("group %s: child %llu %s has not ended %g s after it was "
              "canceled; still waiting for it",
              group->name, (unsigned long long)t->id, wi_task_name(t),
              group->grace);
    return false;
}

static bool name_process(struct wi_task *t, void *who)
{
    if (!wi_future_is_external(t) || wi_future_done(t))
        return false;
    wi_task_describe(t, who, DESCRIPTION);
    return true;
}

// The deadline around the group has passed. Tasks and threads hear of it in
// their own waits; what runs in another process does not. False if there is no
// such child.
static bool end_processes(weft_group *group)
{
    char who[DESCRIPTION] = "", text[DESCRIPTION + 64];
    group_each(group, name_process, who);
    if (who[0] == '\0')
        return false;
    snprintf(text, sizeof text, "%s ran past the deadline around its group",
             who);
    collect(group, -WEFT_EJOBTIMEOUT, text);
    cancel_group(group);
    return true;
}

// What a wait for the children, that has ended with rc, is to do next.
static void pass_on(weft_group *group, struct wi_wait *wait, int rc)
{
    bool was_told = !(wait->flags & WI_CANCELABLE);
    wait->deadline = WI_FOREVER;
    if (was_told) {
        group_each(group, report_child, group);
        return;
    }
    if (rc == -ECANCELED)
        cancel_group(group);
    else if (!end_processes(group))
        return;
    wait->flags = 0;
    wait->deadline = wi_deadline_in(group->grace, "weft_group_close");
}

// Whether the wait for the children, whose edge is set, closes a cycle. Then
// they are canceled, and since that does not end each wait (a lock's, one in a
// shield), the edge is set again for those who look, and the others are woken
// to look.
static bool breaks_cycle(weft_group *group, struct wi_task *self)
{
    if (wi_edge_check(self) == 0)
        return false;
    weft_group_fail(group, -WEFT_EDEADLOCK);
    wi_edge_set(self, (uintptr_t)group | WI_EDGE_GROUP);
    wi_edge_stir(self);
    return true;
}

// Waits for the children. Neither cancel nor deadline ends this: both are
// passed on to the children, once each. `edge`: there is one, and a cycle is to
// be broken, once.
static void wait_children(weft_group *group, struct wi_task *self,
                          int64_t deadline, bool edge)
{
    struct wi_wait wait = {.object = group,
                           .deadline = deadline,
                           .kind = WI_WAIT_GROUP,
                           .flags = WI_CANCELABLE};
    while (!try_close(group, self)) {
        if (edge) // also after a wake, which may be that of wi_edge_stir
            edge = !breaks_cycle(group, self);
        int rc = wi_park(&wait);
        if (rc != 0)
            pass_on(group, &wait, rc);
    }
}

static void leave_scope(weft_group *group, struct wi_task *self)
{
    wi_require_in("weft_group_close", self == group->owner, group,
                  "a group is closed by the task that opened it");
    wi_require_in("weft_group_close", self->scope == &group->head.scope, group,
                  "groups and scopes are left in the reverse order of opening");
    self->scope = group->head.scope.outer;
}

// What a close returns, outside of the group. Children whose work is not done
// are a success only if the group's own code has canceled them.
static int outcome(const weft_group *group, struct wi_task *self)
{
    // relaxed: see wi_group_failed
    bool lost = __atomic_load_n(&group->lost, __ATOMIC_RELAXED);
    if (group->code == 0 && lost && !group->root && wi_scope_canceled(self))
        return -ECANCELED;
    return group->code;
}

static void group_free(weft_group *group)
{
    for (unsigned i = 0; i < group->failures; i++)
        free(group->failure[i].text);
    wi_biased_fini(&group->lock);
    free(group);
}

int weft_group_close(weft_group *g)
{
    wi_require(g != NULL, g, "a group must not be NULL");
    struct wi_task *self = wi_self();
    if (self != g->owner && wi_scope_is_parents(g->owner))
        return -WEFT_EFORKED;
    wi_require(self == g->owner, g,
               "a group is closed by the task that opened it");
    if (wi_forked()) { // the children run in the parent, if at all
        leave_scope(g, self);
        return -WEFT_EFORKED;
    }
    if (!try_close(g, self)) {
        int64_t deadline = wi_scope_deadline(self);
        bool edge = deadline == WI_FOREVER;
        if (edge)
            wi_edge_set(self, (uintptr_t)g | WI_EDGE_GROUP);
        wait_children(g, self, deadline, edge);
        wi_edge_clear(self);
    }
    leave_scope(g, self);
    int rc = outcome(g, self);
    group_free(g);
    return rc;
}

void wi_group_finish(weft_group *group)
{
    cancel_group(group);
    wait_children(group, wi_self(), WI_FOREVER, false);
}

void wi_group_end(weft_group *group)
{
    wi_group_finish(group);
    group_free(group);
}

void weft_group_guard_leave(struct weft_group_guard *guard)
{
    int code = weft_group_close(guard->group);
    if (guard->rc != NULL)
        *guard->rc = code;
}
