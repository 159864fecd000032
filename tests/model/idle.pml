/* SPDX-License-Identifier: MIT
 *
 * Idle workers: src/sched/idle.c. Publishers bring work that any worker may
 * take; at most one worker searches, and who brings work wakes nobody then.
 * While there is work nobody may stay asleep, though the others be busy.
 */
#define WORKERS    2
#define PUBLISHERS 2

byte work;           /* what has not been taken */
bit idle[WORKERS];   /* the mask */
bit asleep[WORKERS]; /* the sleep words */
bit searching;       /* one of them looks for work, or was woken to */

inline begin_search(won)
{
    atomic { won = !searching; searching = 1 }
}

inline wake_one()
{
    do
    :: !(idle[0] || idle[1]) -> break
    :: else ->
        begin_search(won);
        if
        :: !won -> break /* who searches will see the work */
        :: else
        fi;
        if
        :: atomic { idle[0] -> idle[0] = 0 }; asleep[0] = 0; break
        :: atomic { idle[1] -> idle[1] = 0 }; asleep[1] = 0; break
        :: !idle[0] && !idle[1]
        fi;
        searching = 0;
        if
        :: work == 0 -> break
        :: else /* NEEDED: others relied on this search: is there an idle one now? */
        fi
    od
}

inline leave_mask()
{
    atomic {
        if
        :: !idle[me] -> mine = 1 /* NEEDED: who cleared it has handed us the search */
        :: else -> idle[me] = 0
        fi
    }
}

inline end_search()
{
    if
    :: mine -> mine = 0; searching = 0
    :: else
    fi
}

proctype worker(bit me)
{
    bit mine; /* this one searches */
    bit won, took;
again:
    atomic {
        took = work > 0;
        if
        :: took -> work--
        :: else
        fi
    }
    if
    :: took ->
        end_search(); /* NEEDED: it searches no more, and may take long */
        if
        :: work > 0 -> wake_one()
        :: else
        fi;
        work == 0; /* it takes until others have taken what is left */
        goto again
    :: else
    fi;
    if
    :: mine || searching
    :: else -> /* it spins a little */
        begin_search(won);
        mine = won;
        if
        :: work > 0 -> goto again
        :: skip
        fi
    fi;
    end_search(); /* NEEDED: before the last look for work */
    asleep[me] = 1;
    idle[me] = 1;
    if
    :: work > 0 -> skip /* NEEDED: the second look */
    :: else ->
end_asleep:
        !asleep[me]
    fi;
    leave_mask();
    asleep[me] = 0;
    goto again
}

proctype publisher()
{
    bit won;
    work++;
    wake_one()
}

init {
    byte i;
    atomic {
        for (i : 0 .. WORKERS - 1) { run worker(i) }
        for (i : 1 .. PUBLISHERS) { run publisher() }
    }
    timeout -> assert(work == 0 && !searching)
}
