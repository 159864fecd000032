/* SPDX-License-Identifier: MIT
 *
 * A future's life: src/future/future.c. A record is queued; a worker claims it
 * and runs its body, or a canceller claims it and drops it, whoever is first.
 * The body waits until it is told to stop, by a mark and an unpark. One waits
 * for the end meanwhile, with a node in the list of waiters. The node lies in
 * its frame, which goes when the wait is over.
 */
#define QUEUED  0
#define RUNNING 1
#define DONE    2

byte phase = QUEUED;
bit canceled;     /* the mark, in the same word */
bit locked;       /* the list of waiters is being edited */
bit node;         /* it has the one waiter's node */
bit granted;      /* the completer has done with the node */
bit gone;         /* the waiter's frame, where the node was */
bit permit[2];    /* of the body's thread and of the waiter */
byte runs, drops; /* how often the body ran, and was dropped */

#define BODY   0
#define WAITER 1

inline claim(won)
{
    atomic { won = phase == QUEUED; phase = (won -> RUNNING : phase) }
}

inline lock_list()
{
    atomic { !locked -> locked = 1 }
}

inline finish()
{
    atomic {
        closed = !locked && !node; /* NEEDED: somebody may be joining the list */
        phase = (closed -> DONE : phase)
    }
    if
    :: closed
    :: else ->
        lock_list();
        told = node;
        node = 0;
        phase = DONE;
        locked = 0;
        if
        :: told -> assert(!gone); granted = 1; permit[WAITER] = 1
        :: else
        fi
    fi
}

active proctype worker()
{
    bit won, closed = 1, told;
    claim(won);
    if
    :: !won -> goto out
    :: else
    fi;
    runs++;
    do
    :: canceled -> break
    :: else -> permit[BODY] -> permit[BODY] = 0
    od;
    finish();
out:
    skip
}

active proctype canceller()
{
    bit won, closed = 1, told, was;
    claim(won);
    if
    :: won -> drops++; finish()
    :: else ->
        canceled = 1;
        permit[BODY] = 1 /* NEEDED: the body may be parked */
    fi
}

active proctype waiter()
{
    bit open, ended;
    lock_list();
    open = phase != DONE;
    if
    :: open -> node = 1
    :: else
    fi;
    locked = 0;
    if
    :: !open -> goto out
    :: else
    fi;
    if
    :: permit[WAITER] -> permit[WAITER] = 0 /* woken */
    :: /* its own wait was ended: it takes its node off, if that is still there */
        lock_list();
        ended = phase == DONE;
        if
        :: !ended -> node = 0
        :: else
        fi;
        locked = 0;
        if
        :: ended -> granted /* NEEDED: the completer has the node yet */
        :: else
        fi
    fi;
out:
    gone = 1
}

active proctype end()
{
    timeout -> assert(runs + drops == 1 && phase == DONE && !node)
}
