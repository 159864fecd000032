/* SPDX-License-Identifier: MIT
 *
 * Parking: src/sched/task.h, park.c, idle.c. A task waits until two others
 * have each made something true and unparked it. Its worker alone writes
 * whether it is parked; a wake is a message.
 */
bit truth[2];
bit inflight; /* the record is in the inbox, or on its way there */
bit inbox;
bit parked, permit; /* the worker's own */
bit asleep;

inline unpark()
{
    atomic { was = inflight; inflight = 1 }
    if
    :: was /* on its way already */
    :: else ->
        inbox = 1;
        asleep = 0 /* NEEDED: the worker may sleep */
    fi
}

proctype waker(bit me)
{
    bit was;
    truth[me] = 1;
    unpark()
}

inline drain()
{
    if
    :: inbox ->
        inbox = 0;
        inflight = 0; /* NEEDED: before the delivery, so that who finds it set is heard */
        if
        :: parked -> parked = 0
        :: else ->
            skip;
            permit = 1 /* NEEDED: it is about to park */
        fi
    :: else
    fi
}

inline idle()
{
    drain();
    if
    :: !parked
    :: else ->
        asleep = 1;
        if
        :: inbox -> asleep = 0 /* NEEDED: the second look, after the announcement */
        :: else -> !asleep
        fi
    fi
}

inline park()
{
    if
    :: permit -> permit = 0
    :: else ->
        parked = 1;
        do
        :: parked -> idle()
        :: else -> break
        od
    fi
}

active proctype task()
{
    run waker(0);
    run waker(1);
    do
    :: truth[0] && truth[1] -> break
    :: else ->
        if
        :: drain() /* the worker looks around while the task runs */
        :: skip
        fi;
        park()
    od
}
