/* SPDX-License-Identifier: MIT
 *
 * A condition (src/sync/condition.c): two wait, one of them is canceled at some
 * time; one is notified, then all who are left. As many have been notified as
 * were chosen, and nobody waits for ever. */
#define OUT     0
#define WAITING 1
#define CHOSEN  2
#define WOKEN   3

bool locked = false;
byte state[2];
byte entered = 0, finished = 0;
byte chosen = 0, notified = 0;
bool canceled = false;

inline acquire()
{
    atomic { !locked -> locked = true }
}

inline release()
{
    locked = false
}

proctype waiter(byte me; bool may_cancel)
{
    bool left = false;
    acquire();
    entered++;
    state[me] = WAITING; /* NEEDED: in line before the lock is free */
    release();
    do
    :: state[me] == WOKEN -> break
    :: may_cancel && canceled ->
        /* Its wait is ended; under the lock of the line it looks. */
        atomic {
            if
            :: state[me] != WAITING -> skip /* NEEDED: it was chosen before */
            :: else -> state[me] = OUT; left = true
            fi
        }
        if
        :: left
        :: else -> state[me] == WOKEN
        fi;
        break
    od;
    acquire();
    if
    :: left
    :: else -> notified++
    fi;
    finished++;
    release()
}

/* Under the lock of the line somebody is chosen; without it comes the last
 * word, which may be late. */
inline notify()
{
    atomic {
        if
        :: state[0] == WAITING -> state[0] = CHOSEN; who = 0; chosen++
        :: state[1] == WAITING -> state[1] = CHOSEN; who = 1; chosen++
        :: else -> who = 2
        fi
    }
    if
    :: who < 2 -> state[who] = WOKEN /* NEEDED: the last word */
    :: else
    fi
}

active proctype notifier()
{
    byte who;
    run waiter(0, true);
    run waiter(1, false);
    entered == 2;
    acquire();
    notify();
    release();
    acquire();
    notify();
    notify();
    release();
    finished == 2;
    assert(notified == chosen)
}

active proctype canceler()
{
    canceled = true
}
