/* SPDX-License-Identifier: MIT
 *
 * A job that may change its worker: src/sched/roam.c, and wi_mail in idle.c.
 * It waits until three others have each made something true and woken it. All
 * that is known of it is in its owner word. Some waits leave it free, for
 * whichever worker is first, some tie it to its worker, where a wake is a
 * message; now and then it yields instead.
 *
 * Two worlds. In one the job waits for messages that are on their way before
 * it is free again, and a worker that it has left may be busy for ever. In the
 * other it gives that up, as the code does after a while, and workers look at
 * their messages some day.
 */
#define NOBODY 2
#define WAKERS 3

/* The owner word, changed as a whole: who has it, */
byte at = 0;
bit roaming = 1; /* whether it is free there, */
bit parked;      /* whether it waits, */
bit again;       /* whether it was woken since */

byte queued;      /* in the queue of the runtime */
bit on_stack = 1; /* a worker is on its stack */
bit inflight;     /* it is in an inbox, or on its way there */
bit inbox[2];
bit ready; /* its worker can go on with it, where it is tied */
byte truths; /* as many as WAKERS: it waits no more */
bit done;
bit patient, busy; /* the world; whether a worker is busy for ever */

inline put_in_queue()
{
    atomic { queued++; assert(queued == 1) }
}

inline roamer_wake()
{
    atomic {
        taken = roaming;
        freed = roaming && parked;
        if
        :: freed -> parked = 0
        :: taken && !freed ->
            skip;
            again = 1 /* NEEDED: it is about to wait */
        :: else
        fi
    }
    if
    :: freed -> put_in_queue()
    :: else
    fi
}

inline mail()
{
    do
    :: roamer_wake();
        if
        :: taken -> break
        :: else
        fi;
        atomic { taken = inflight; inflight = 1 }
        if
        :: taken -> break /* on its way already */
        :: else
        fi;
        atomic { to = at; taken = at != NOBODY && !roaming }
        if
        :: taken -> inbox[to] = 1; break
        :: else
        fi;
        inflight = 0;
        retry = 0;
        if
        :: at != NOBODY || roaming ->
            skip;
            retry = 1 /* NEEDED: who saw our mark relied on it */
        :: else
        fi;
        if
        :: !retry -> break
        :: else
        fi
    od
}

proctype waker()
{
    byte to;
    bit taken, freed, retry;
    truths++;
    mail()
}

/* One look at the inbox. */
inline drain()
{
    if
    :: inbox[me] ->
        inbox[me] = 0;
        inflight = 0; /* NEEDED: before the delivery, so that who finds it set is heard */
        if
        :: at == me && parked && !roaming -> parked = 0; ready = 1
        :: at == me && !(parked && !roaming) -> roamer_wake()
        :: at != me ->
            skip;
            mail() /* NEEDED: it has gone elsewhere, and a sender relied on us */
        fi
    :: else
    fi
}

/* Its stack has been left. `yields`: it can go on at once. */
inline leave()
{
    on_stack = 0;
    atomic {
        freed = yields || again;
        at = NOBODY;
        parked = !freed;
        if
        :: !yields -> again = 0
        :: else
        fi
    }
    if
    :: freed ->
        skip;
        put_in_queue() /* NEEDED: it was woken before its stack was left */
    :: else
    fi
}

inline take()
{
    atomic { assert(roaming && !parked && at == NOBODY); at = me }
    assert(!on_stack);
    on_stack = 1
}

/* A wait that ties it to the worker. */
inline wait_tied()
{
    atomic {
        taken = !again;
        again = 0;
        if
        :: taken -> roaming = 0; parked = 1
        :: else
        fi
    }
    if
    :: taken ->
        do
        :: ready -> ready = 0; break
        :: else -> inbox[me]; drain()
        od;
        roaming = 1;
        late = 0;
        do
        :: skip;
            late = patient && inflight; /* NEEDED: a later wake would rely on it, and its reader may be busy */
            if
            :: late -> inbox[me] || !inflight; drain()
            :: else -> break
            fi
        od
    :: else
    fi
}

inline go_on()
{
    do
    :: truths == WAKERS ->
        atomic { done = 1; at = NOBODY; roaming = 0; on_stack = 0 };
        break
    :: else ->
        yields = 0;
        if
        :: wait_tied()
        :: again -> again = 0 /* no need to wait */
        :: !again -> leave(); break
        :: yields = 1; leave(); break
        fi
    od
}

proctype worker(bit me; bit runs)
{
    byte to;
    bit taken, freed, retry, yields, late;
    if
    :: runs -> go_on()
    :: else
    fi;
    do
    :: done -> break
    :: atomic { queued > 0 -> queued-- }; take(); go_on()
    :: inbox[me] && !done -> drain()
    :: atomic { patient && !busy -> busy = 1 }; done; break
    od
}

init {
    atomic {
        if
        :: patient = 1
        :: skip
        fi;
        run waker();
        run waker();
        run waker();
        run worker(0, 1);
        run worker(1, 0)
    }
    timeout -> assert(done)
}
