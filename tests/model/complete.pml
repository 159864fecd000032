/* SPDX-License-Identifier: MIT
 *
 * The end of a future (src/future/future.c) against waiters that give up: two
 * wait, with a node each in their frames; both may be canceled. The completer
 * never touches a node whose frame is gone, and nobody waits for ever. */
bool done = false;
bool listed[2];
bool granted[2];
bool frame[2];
bool canceled = false;
bool list_locked = false;

inline lock_list()
{
    atomic { !list_locked -> list_locked = true }
}

inline unlock_list()
{
    list_locked = false
}

proctype waiter(byte me)
{
    bool waits = false;
    frame[me] = true;
    lock_list();
    if
    :: !done -> listed[me] = true; waits = true
    :: else
    fi;
    unlock_list();
    do
    :: !waits -> break
    :: waits && granted[me] -> break
    :: waits && canceled ->
        lock_list();
        if
        :: !done -> listed[me] = false; waits = false /* it has left */
        :: else
        fi;
        unlock_list();
        if
        :: waits -> granted[me] /* cut: the completer has the node until then */
        :: else
        fi;
        break
    od;
    frame[me] = false
}

active proctype completer()
{
    bool mine[2];
    byte i = 0;
    lock_list();
    mine[0] = listed[0];
    mine[1] = listed[1];
    done = true; /* cut: who comes now must not be listed, who leaves must see */
    unlock_list();
    do
    :: i < 2 ->
        if
        :: mine[i] ->
            assert(frame[i]); /* reads the next one and the task */
            granted[i] = true /* the last touch */
        :: else
        fi;
        i++
    :: else -> break
    od
}

active proctype canceler()
{
    if
    :: canceled = true
    :: skip
    fi
}

init
{
    run waiter(0);
    run waiter(1)
}
