// SPDX-License-Identifier: MIT
#include "net/turn.h"

#include <stddef.h>

#include "sched/park.h"

// In the storage of who waits.
struct wi_turn_waiter {
    struct wi_turn_waiter *next;
    struct wi_task *task;
    bool granted; // under the lock
};

static void unlink_waiter(struct wi_turn *turn, struct wi_turn_waiter *waiter)
{
    struct wi_turn_waiter *before = NULL, *at = turn->first;

    while (at != waiter) {
        before = at;
        at = at->next;
    }
    if (before != NULL)
        before->next = waiter->next;
    else
        turn->first = waiter->next;
    if (turn->last == waiter)
        turn->last = before;
}

// Under the lock: the turn goes to the next in line, who is returned.
static struct wi_task *pass_on(struct wi_turn *turn)
{
    struct wi_turn_waiter *next = turn->first;

    turn->taken = next != NULL;
    if (next == NULL)
        return NULL;
    turn->first = next->next;
    if (turn->first == NULL)
        turn->last = NULL;
    next->granted = true;
    return next->task;
}

// The waiter has given up: out of the line, or on to the next one.
static void leave(struct wi_turn *turn, struct wi_turn_waiter *waiter)
{
    struct wi_task *next = NULL;

    wi_mutex_lock(&turn->lock);
    if (waiter->granted)
        next = pass_on(turn);
    else
        unlink_waiter(turn, waiter);
    wi_mutex_unlock(&turn->lock);
    if (next != NULL)
        wi_unpark(next);
}

static bool is_granted(struct wi_turn *turn, struct wi_turn_waiter *waiter)
{
    wi_mutex_lock(&turn->lock);
    bool granted = waiter->granted;
    wi_mutex_unlock(&turn->lock);
    return granted;
}

static int wait_in_line(struct wi_turn *turn, struct wi_turn_waiter *waiter)
{
    const struct wi_wait wait = {
        .object = turn,
        .deadline = WI_FOREVER,
        .kind = WI_WAIT_WRITE,
        .flags = WI_SCOPED,
    };

    while (!is_granted(turn, waiter)) {
        int rc = wi_park(&wait);

        if (rc < 0) {
            leave(turn, waiter);
            return rc;
        }
    }
    return 0;
}

int wi_turn_begin(struct wi_turn *turn)
{
    struct wi_turn_waiter waiter = {0};
    int rc = wi_check_scopes();
    bool mine;

    if (rc < 0)
        return rc;
    waiter.task = wi_self();
    wi_mutex_lock(&turn->lock);
    mine = !turn->taken;
    turn->taken = true;
    if (!mine) {
        if (turn->last != NULL)
            turn->last->next = &waiter;
        else
            turn->first = &waiter;
        turn->last = &waiter;
    }
    wi_mutex_unlock(&turn->lock);
    return mine ? 0 : wait_in_line(turn, &waiter);
}

void wi_turn_end(struct wi_turn *turn)
{
    wi_mutex_lock(&turn->lock);
    struct wi_task *next = pass_on(turn);
    wi_mutex_unlock(&turn->lock);
    if (next != NULL)
        wi_unpark(next);
}
