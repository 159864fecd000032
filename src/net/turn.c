// SPDX-License-Identifier: MIT
//
// turn.c: who comes alone, which is usual, takes the turn and gives it back by
// one compare-and-swap each. Who finds it taken says so in the state, under the
// lock, and from then on the turn goes through the lock until nobody is in
// line: nobody gets past those who wait.
#include "net/turn.h"

#include <stdbool.h>
#include <stddef.h>

#include "sched/park.h"

// FREE and TAKEN become each other without the lock; IN_LINE is made and left
// under it.
enum wi_turn_state {
    FREE, // 0: see turn.h
    TAKEN,
    IN_LINE, // taken, and the end of the turn looks at the line
};

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

    if (next == NULL) {
        // release: pairs with the acquire of the next one's beginning
        __atomic_store_n(&turn->state, FREE, __ATOMIC_RELEASE);
        return NULL;
    }
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

// True: the turn has become free meanwhile, and is the caller's.
static bool line_up(struct wi_turn *turn, struct wi_turn_waiter *waiter)
{
    bool mine;

    wi_mutex_lock(&turn->lock);
    // acquire: pairs with the release of the last turn's end
    mine = __atomic_exchange_n(&turn->state, IN_LINE, __ATOMIC_ACQUIRE) == FREE;
    if (!mine) {
        if (turn->last != NULL)
            turn->last->next = waiter;
        else
            turn->first = waiter;
        turn->last = waiter;
    }
    wi_mutex_unlock(&turn->lock);
    return mine;
}

int wi_turn_begin(struct wi_turn *turn)
{
    struct wi_turn_waiter waiter = {0};
    int rc = wi_check_scopes();
    unsigned state = FREE;

    if (rc < 0)
        return rc;
    // acquire: pairs with the release of the last turn's end
    if (__atomic_compare_exchange_n(&turn->state, &state, TAKEN, false,
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return 0;
    waiter.task = wi_self();
    return line_up(turn, &waiter) ? 0 : wait_in_line(turn, &waiter);
}

void wi_turn_end(struct wi_turn *turn)
{
    struct wi_task *next;
    unsigned state = TAKEN;

    // release: pairs with the acquire of the next one's beginning
    if (__atomic_compare_exchange_n(&turn->state, &state, FREE, false,
                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        return;
    wi_mutex_lock(&turn->lock);
    next = pass_on(turn);
    wi_mutex_unlock(&turn->lock);
    if (next != NULL)
        wi_unpark(next);
}
