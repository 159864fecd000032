/* SPDX-License-Identifier: MIT
 *
 * Fork-join, how the owner of private children learns that somebody wants some:
 * src/sched/fork_join.c, `ask` in the head of a range and `forks_asked` of its
 * worker. One owner begins and ends ranges and forks in them, in any order, as
 * its stacks take turns. Two others, or one and a sender of a message to the
 * owner: they take what it makes public or find other work, which may take for
 * ever, and sleep when there is nothing. At each fork for which nobody has
 * asked, nobody may be in want: no worker may sleep, and no message may wait,
 * with nobody about to ask. How one sleeper is woken is in idle.pml, how a
 * child is stolen in fork_join.pml; here each is one step.
 */
#define RANGES  2
#define WORKERS 2
#define TURNS   4

byte newest;        /* a range + 1; 0: none */
byte below[RANGES]; /* the same; stays when the range has ended */
byte above[RANGES];
bit asked[RANGES];  /* the request: `ask` is NULL */
bit mark;           /* all have been asked, and none has taken its request */
byte open;          /* public children */
bit idle[WORKERS];  /* the mask; also that it sleeps, when it does */
bit asleep[WORKERS];
bit looks[WORKERS]; /* it is about to ask, if need be */
byte walks;         /* so many are on their way to all ranges */
bit inbox;
bit sends;

#define ANY_IDLE (idle[0] || idle[1])

/* wi_fork_ask_worker */
inline ask_all()
{
    if
    :: mark || newest == 0
    :: else ->
        atomic { mark = 1; walks++ }
        at = newest;
        do
        :: at == 0 -> break
        :: else ->
            if
            :: asked[at - 1]
            :: else -> asked[at - 1] = 1 /* NEEDED: the request */
            fi;
            at = below[at - 1]
        od;
        walks--
    fi
}

inline range_begin(r)
{
    d_step {
        live = live | (1 << r);
        asked[r] = 0;
        above[r] = 0;
        if
        :: newest != 0 -> above[newest - 1] = r + 1
        :: else
        fi
    }
    below[r] = newest;
    newest = r + 1;
    if
    :: mark -> asked[r] = 1 /* NEEDED: who found the mark has not asked this one */
    :: else
    fi;
    if
    :: ANY_IDLE -> asked[r] = 1 /* NEEDED: its request was taken by another range */
    :: else
    fi;
    if
    :: inbox -> asked[r] = 1 /* NEEDED: there was no range to ask when it came */
    :: else
    fi
}

inline range_end(r)
{
    d_step {
        live = live & ~(1 << r);
        if
        :: below[r] != 0 -> above[below[r] - 1] = above[r]
        :: else
        fi;
        if
        :: above[r] != 0 -> below[above[r] - 1] = below[r]
        :: else -> newest = below[r]
        fi
    }
    if
    :: newest == 0 && mark -> mark = 0
    :: else
    fi
}

/* weft_fork_asked */
inline answer(r)
{
    asked[r] = 0;
    if
    :: mark -> mark = 0 /* NEEDED: a mark that stays lies about this range */
    :: else
    fi;
    if
    :: open < 2 -> open++
    :: else
    fi;
    if /* one of them is woken */
    :: atomic { idle[0] -> idle[0] = 0; asleep[0] = 0; looks[0] = 1 }
    :: atomic { idle[1] -> idle[1] = 0; asleep[1] = 0; looks[1] = 1 }
    :: !ANY_IDLE
    fi;
    if
    :: ANY_IDLE -> asked[r] = 1 /* NEEDED: the others sleep on */
    :: else
    fi;
    inbox = 0 /* NEEDED: the look at the inbox */
}

inline fork(r)
{
    if
    :: asked[r] -> answer(r)
    :: atomic {
        !asked[r] ->
        assert(!asleep[0] || looks[1] || walks > 0);
        assert(!asleep[1] || looks[0] || walks > 0);
        assert(!inbox || sends || walks > 0)
    }
    fi
}

active proctype owner()
{
    byte turns, live;
    do
    :: turns == TURNS -> break
    :: else ->
        turns++;
        if
        :: !(live & 1) -> range_begin(0)
        :: !(live & 2) -> range_begin(1)
        :: live & 1 -> fork(0)
        :: live & 2 -> fork(1)
        :: live & 1 -> range_end(0)
        :: live & 2 -> range_end(1)
        :: open > 0 -> /* a join takes one back */
            atomic {
                if
                :: open > 0 -> open--
                :: else
                fi
            }
        fi
    od
}

proctype worker(bit me)
{
    byte at;
    bit took;
again:
    looks[me] = 1;
    atomic {
        took = open > 0;
        if
        :: took -> open--
        :: else
        fi
    }
    if
    :: took -> goto busy
    :: else
    fi;
    if
    :: goto busy /* a job, not of any run */
    :: ask_all() /* while it spins */
    :: skip
    fi;
    idle[me] = 1;
    ask_all(); /* NEEDED: before it sleeps */
    if
    :: open > 0 ->
        /* who cleared it has woken us: then we look again just the same */
        idle[me] = 0;
        goto again
    :: else
    fi;
    atomic {
        if
        :: idle[me] -> asleep[me] = 1
        :: else
        fi;
        looks[me] = 0
    }
end_asleep:
    !asleep[me];
    goto again;
busy:
    looks[me] = 0;
end_busy:
    if
    :: goto again
    :: false
    fi
}

proctype sender()
{
    byte at;
    atomic { sends = 1; inbox = 1 }
    ask_all();
    sends = 0
}

init {
    atomic {
        looks[0] = 1;
        run worker(0);
        if
        :: looks[1] = 1; run worker(1)
        :: run sender()
        fi
    }
}
